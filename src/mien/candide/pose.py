"""Rotation vectors and the weak-perspective camera (thesis, equations 17 to 23)."""

import numpy as np

_STILL = 1e-12  # rad, below which a rotation is none


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Turn rotation vectors into matrices by Rodrigues' formula.

    Parameters
    ----------
    vector : (..., 3) axis times angle, rad; +x right, +y up, +z to the viewer.

    Returns
    -------
    (..., 3, 3) with R = cos θ I + (1 - cos θ) uuᵀ + sin θ [u]ₓ; the identity below 1e-12 rad.
    """
    vector = np.asarray(vector, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)  # (..., 1)
    axis = np.where(angle > _STILL, vector / np.where(angle > _STILL, angle, 1.0), 0.0)
    cross = _cross_matrix(axis)
    angle = angle[..., None]
    # sin θ [u]ₓ + (1 - cos θ) [u]ₓ² is the same rotation, and it stays exact for small angles.
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Turn rotation matrices into vectors, the inverse of `rotation_matrix` for angles up to π.

    Parameters
    ----------
    matrix : (..., 3, 3) proper rotation.

    Returns
    -------
    (..., 3) axis times angle, rad, angle in 0..π; at π the sign of the axis is arbitrary.

    The half-angle quaternion is built from its largest component (Shepperd 1978), so that neither angles near 0 nor
    angles near π lose digits.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    diagonal = np.diagonal(matrix, axis1=-2, axis2=-1)  # (..., 3)
    trace = diagonal.sum(axis=-1, keepdims=True)
    squares = np.concatenate([1.0 + trace, 1.0 + 2.0 * diagonal - trace], axis=-1)  # 4 q², (..., 4)
    pairs = _quaternion_products(matrix)  # 4 qᵢqⱼ, (..., 4, 4)
    pairs[..., range(4), range(4)] = squares
    row = np.take_along_axis(pairs, squares.argmax(axis=-1)[..., None, None], axis=-2)[..., 0, :]
    quaternion = row / np.linalg.norm(row, axis=-1, keepdims=True)
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, quaternion[..., :1])
    return np.where(sine > _STILL, angle / np.where(sine > _STILL, sine, 1.0), 2.0) * quaternion[..., 1:]


def project(vertices: np.ndarray, rotation: np.ndarray, scale: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Project model points to the image under weak perspective (equations 21 and 22).

    Parameters
    ----------
    vertices : (..., V, 3) model units; x right, y up, z to the viewer.
    rotation : (..., 3, 3) model axes to camera axes.
    scale : (...,) or scalar, px per model unit.
    origin : (..., 2) px, image position of the model origin; x right, y down, pixel centres at integers.

    Returns
    -------
    (..., V, 2) px.
    """
    turned = vertices @ np.swapaxes(rotation, -1, -2)
    scale = np.asarray(scale, dtype=np.float64)[..., None, None]
    return np.asarray(origin)[..., None, :] + scale * turned[..., :2] * [1.0, -1.0]  # image rows grow downwards


def _cross_matrix(axis: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(axis, -1, 0)
    zero = np.zeros_like(x)
    rows = [np.stack(row, axis=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, axis=-2)


def _quaternion_products(matrix: np.ndarray) -> np.ndarray:
    plus, minus = matrix + np.swapaxes(matrix, -1, -2), matrix - np.swapaxes(matrix, -1, -2)
    products = np.zeros((*matrix.shape[:-2], 4, 4))
    products[..., 1:, 1:] = plus  # 4 xy and so on; the diagonal is replaced by the caller
    for axis, (i, j) in enumerate(((2, 1), (0, 2), (1, 0)), start=1):
        products[..., 0, axis] = products[..., axis, 0] = minus[..., i, j]  # 4 wx, 4 wy, 4 wz
    return products
