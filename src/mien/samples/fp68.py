"""FP68: the 68 landmarks of a face as a vector that does not depend on place, size and tilt of the face."""

import numpy as np

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # the subject's; in the picture the right eye is on the left
_NONE = 1e-6  # share of the RMS radius below which the eyes are in one place


def fp68(landmarks: np.ndarray) -> np.ndarray:
    """Normalise landmarks: centroid to 0, RMS radius to 1, the line from the right to the left eye along +x.

    The eyes are the means of their six points. The thesis does not say how it normalises; this is the similarity
    transform, so that a face keeps its own shape and yaw.

    Parameters
    ----------
    landmarks : (N, 68, 2) px, x right, y down; NaN where there is no face.

    Returns
    -------
    (N, 136), x and y of every landmark in turn; a row of NaN where a landmark is not finite, where all landmarks are in
    one place or where the eyes are.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise ValueError(f"landmarks should be (N, 68, 2), got {points.shape}")
    extent = np.abs(points).max(axis=(1, 2))  # of equal points, centring leaves a rounding error of this size
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        points = points - points.mean(axis=1, keepdims=True)
        radius = np.sqrt((points**2).sum(axis=2).mean(axis=1))  # (N,)
        points = points / radius[:, None, None]
        eyes = points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1)  # (N, 2)
        length = np.hypot(*eyes.T)
        cosine, sine = (eyes / length[:, None]).T
        x = cosine[:, None] * points[..., 0] + sine[:, None] * points[..., 1]
        y = cosine[:, None] * points[..., 1] - sine[:, None] * points[..., 0]
        vectors = np.stack([x, y], axis=2).reshape(len(points), 136)
        usable = np.isfinite(vectors).all(axis=1) & (radius > 1e-9 * extent) & (length > _NONE)
    return np.where(usable[:, None], vectors, np.nan)
