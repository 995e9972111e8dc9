"""Levenberg-Marquardt on equation 21 of the thesis, for thousands of faces at a time.

With points and model centred on their means the translation of a fit is known (eq. 20), and every sum over landmarks is
a contraction of two tables made beforehand: the products of the model's coordinates with themselves, and with those of
the face. A step therefore costs the same for any number of landmarks, and faces lie along the last axis, where numpy
works on all of them at once.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from mien.candide.pose import rotation_matrix, rotation_vector

_FIRST_ROTATION = 1e-3  # rad about every axis, as in the thesis
_FIRST_DAMPING = 1e-3
_TRUSTED = 1.0  # damping up to which a small step means a minimum; strong damping makes any step small
_HOPELESS = 1e12  # damping that leaves no step
_LEAST_COSINE = 0.1  # between face and frontal model, below which eq. 18 is not the scale of the face
_ROUNDING = 1e-15  # share of the face's summed squares that is noise of the arithmetic
_POSE = 4  # unknowns before the coefficients: scale and three rotations
_CHUNK = 1024  # faces; their tables stay in the processor's cache, and calls of numpy are few


@dataclass(frozen=True, eq=False)
class Fit:
    """What was fitted to B faces; NaN and not converged where the points are not finite or all in one place.

    scale (B,) px per model unit, positive; rotation (B, 3) rad; origin (B, 2) px, image of the model's origin, y down;
    coefficients (B, n); residual (B,) root mean square distance of the points, model units; cost (B,) value of eq. 21
    with its ridge; iterations (B,) int, steps tried; converged (B,) bool.
    """

    scale: np.ndarray
    rotation: np.ndarray
    origin: np.ndarray
    coefficients: np.ndarray
    residual: np.ndarray
    cost: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray

    @classmethod
    def blank(cls, n_faces: int, n_units: int) -> Self:
        """Return fits of which nothing is known."""
        shapes = ((n_faces,), (n_faces, 3), (n_faces, 2), (n_faces, n_units), (n_faces,), (n_faces,))
        return cls(*(np.full(shape, np.nan) for shape in shapes), np.zeros(n_faces, int), np.zeros(n_faces, bool))

    def __getitem__(self, rows: slice | np.ndarray) -> Self:
        """Return the fits of some faces."""
        return Fit(*(getattr(self, field.name)[rows] for field in fields(self)))

    def put(self, rows: np.ndarray, other: Self) -> None:
        """Overwrite the fits of some faces."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)


class Model:
    """Points that move linearly: rest + sum over k of coefficient_k units_k.

    rest (N, 3) and units (n, N, 3) in model units, +y up. Attributes: bases (n+1, N, 3), rest and units about their
    means (n+1, 3); gram (9 (n+1), n+1), rows (k, a, b), columns m, sum over points of bases[m, :, a] bases[k, :, b];
    pairs (n n, 9), rows (k, l), columns (a, b), the same of units[k] and units[l].
    """

    def __init__(self, rest: np.ndarray, units: np.ndarray) -> None:
        bases = np.concatenate([rest[None], units])
        self.means = bases.mean(axis=1)
        self.bases = bases - self.means[:, None]
        products = np.einsum("mia,kib->kmab", self.bases, self.bases)
        self.gram = np.ascontiguousarray(np.moveaxis(products, 1, 3).reshape(-1, len(bases)))
        self.pairs = np.ascontiguousarray(products[1:, 1:].reshape(-1, 9))


def fit(
    model: Model, points: np.ndarray, *, ridge: float, evaluations: int, tolerance: float, start: Fit | None = None
) -> Fit:
    """Minimise eq. 21 over scale s, rotation R, translation t and coefficients a, for every face on its own.

        sum_i |s R₂ (P_i + sum_k a_k U_ki) + t - p_i|² / s₀² + ridge |a|²,     R₂ the first two rows of R

    from the initial values of eqs. 17 to 20; s₀ is the initial scale. The damping is relative to the diagonal
    (Marquardt 1963) and follows the gain of the steps (Nielsen 1999). Rotations are updated by multiplication, so that
    no orientation is singular.

    Parameters
    ----------
    points : (B, N, 2) px, x right, y down.
    ridge : weight of the squared coefficients; 0 is the method of the thesis.
    evaluations : of the sum, after which a fit counts as not converged.
    tolerance : decrease of the sum, relative to it, that is not worth another step.
    start : (B,) fits to begin with; a face whose fit is not finite begins with the initial values.
    """
    parts = []
    for first in range(0, max(len(points), 1), _CHUNK):
        rows = slice(first, first + _CHUNK)
        begun = None if start is None else start[rows]
        parts.append(_fit_chunk(model, points[rows], begun, ridge, evaluations, tolerance))
    return Fit(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Fit)))


@dataclass(eq=False)
class _Batch:
    """Faces in the making; they lie along the last axis everywhere."""

    face: np.ndarray  # (B,) row of the result
    cross: np.ndarray  # (n+1, 2, 3, B) sum over points of face times bases
    square: np.ndarray  # (B,) sum over points of the squared face
    scale: np.ndarray  # (B,) relative to the initial one
    turn: np.ndarray  # (3, 3, B)
    coefficients: np.ndarray  # (n, B)
    damping: np.ndarray  # (B,) relative to the diagonal of the normal equations
    growth: np.ndarray  # (B,) factor of the damping at the next failure
    cost: np.ndarray  # (B,)
    gradient: np.ndarray  # (4+n, B) half of it
    normal: np.ndarray  # (4+n, 4+n, B)

    def take(self, keep: np.ndarray) -> Self:
        return _Batch(*(getattr(self, field.name)[..., keep] for field in fields(self)))

    def accept(self, trial: Self, where: np.ndarray) -> None:
        for name in ("scale", "turn", "coefficients", "cost", "gradient", "normal"):
            np.copyto(getattr(self, name), getattr(trial, name), where=where)


def _fit_chunk(
    model: Model, points: np.ndarray, start: Fit | None, ridge: float, evaluations: int, tolerance: float
) -> Fit:
    result = Fit.blank(len(points), len(model.bases) - 1)
    with np.errstate(all="ignore"):  # what is not finite is left out, not computed with
        middle = points.mean(axis=1) * [1.0, -1.0]
        centred = points * [1.0, -1.0] - middle[:, None]
        unit = _initial_scale(model, centred)
        usable = np.flatnonzero(np.isfinite(unit) & (unit > 0))
    if not len(usable):
        return result
    middle, unit = middle[usable], unit[usable]
    centred = centred[usable] / unit[:, None, None]
    batch = _first_batch(model, centred, unit, None if start is None else start[usable])
    final, iterations, converged = _descend(model, batch, ridge, evaluations, tolerance)
    turn, coefficients = np.moveaxis(final.turn, -1, 0), final.coefficients.T
    weights = np.concatenate([np.ones((len(unit), 1)), coefficients], axis=1)
    seen = np.tensordot(weights, model.bases, 1) @ np.swapaxes(turn[:, :2], 1, 2)  # (B, N, 2)
    # From the points, as the contractions lose the digits of a small sum.
    squares = ((final.scale[:, None, None] * seen - centred) ** 2).sum(axis=(1, 2))
    flip = np.where(final.scale < 0, -1.0, 1.0)  # a negative scale is a half turn about the axis of sight
    scale, turn = unit * final.scale * flip, turn * np.stack([flip, flip, np.ones_like(flip)], axis=-1)[..., None]
    shift = scale[:, None] * np.einsum("bxa,ba->bx", turn[:, :2], weights @ model.means)
    with np.errstate(divide="ignore", invalid="ignore"):  # points on a line may be fitted by a face of no size
        residual = np.sqrt(squares / points.shape[1]) * unit / scale
    fitted = Fit(
        scale=scale,
        rotation=rotation_vector(turn),
        origin=(middle - shift) * [1.0, -1.0],
        coefficients=coefficients,
        residual=residual,
        cost=squares + ridge * (coefficients**2).sum(axis=1),
        iterations=iterations,
        converged=converged,
    )
    result.put(usable, fitted)
    return result


def _initial_scale(model: Model, centred: np.ndarray) -> np.ndarray:
    """Return (B,) the scale of eq. 18, or the ratio of the sizes where the face is turned too far for it."""
    frontal = model.bases[0, :, :2]
    size = np.sqrt((centred**2).sum(axis=(1, 2)) / (frontal**2).sum())
    scale = (centred * frontal).sum(axis=(1, 2)) / (frontal**2).sum()
    return np.where(scale > _LEAST_COSINE * size, scale, size)


def _first_batch(model: Model, centred: np.ndarray, unit: np.ndarray, start: Fit | None) -> _Batch:
    n_faces, n_units = len(centred), len(model.bases) - 1
    scale, rotation = np.ones(n_faces), np.full((n_faces, 3), _FIRST_ROTATION)
    coefficients = np.zeros((n_faces, n_units))
    if start is not None:
        warm = np.isfinite(start.scale + start.rotation.sum(axis=1) + start.coefficients.sum(axis=1))
        scale[warm] = start.scale[warm] / unit[warm]
        rotation[warm], coefficients[warm] = start.rotation[warm], start.coefficients[warm]
    columns = np.moveaxis(model.bases, 1, 0).reshape(-1, 3 * (n_units + 1))  # (N, 3 (n+1))
    cross = (np.swapaxes(centred, 1, 2) @ columns).reshape(n_faces, 2, n_units + 1, 3)
    n_unknowns = _POSE + n_units
    return _Batch(
        face=np.arange(n_faces),
        cross=np.ascontiguousarray(cross.transpose(2, 1, 3, 0)),
        square=(centred**2).sum(axis=(1, 2)),
        scale=scale,
        turn=np.ascontiguousarray(np.moveaxis(rotation_matrix(rotation), 0, -1)),
        coefficients=np.ascontiguousarray(coefficients.T),
        damping=np.full(n_faces, _FIRST_DAMPING),
        growth=np.full(n_faces, 2.0),
        cost=np.empty(n_faces),
        gradient=np.empty((n_unknowns, n_faces)),
        normal=np.empty((n_unknowns, n_unknowns, n_faces)),
    )


def _descend(
    model: Model, batch: _Batch, ridge: float, evaluations: int, tolerance: float
) -> tuple[_Batch, np.ndarray, np.ndarray]:
    """Return all faces as the steps left them, the steps tried (B,) and whether they converged (B,)."""
    with np.errstate(all="ignore"):  # a step that is not finite is refused
        _linearise(model, batch, ridge)
        iterations, converged = np.full(len(batch.face), evaluations - 1), np.zeros(len(batch.face), bool)
        ended = []
        for n_steps in range(evaluations):
            step, expected = _propose(batch)
            negligible = expected <= tolerance * batch.cost + _ROUNDING * batch.square
            met = negligible & (batch.damping <= _TRUSTED)
            done = met | (batch.damping > _HOPELESS)
            if done.any():
                iterations[batch.face[done]], converged[batch.face[done]] = n_steps, met[done]
                ended.append(batch.take(done))
                batch, step, expected = batch.take(~done), step[:, ~done], expected[~done]
            if n_steps + 1 == evaluations or not len(batch.face):
                break
            trial = _moved(batch, step)
            _linearise(model, trial, ridge)
            gain = (batch.cost - trial.cost) / expected
            better = gain > 0  # not where it is NaN
            batch.accept(trial, better)
            shrink = np.maximum(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
            batch.damping = batch.damping * np.where(better, shrink, batch.growth)
            batch.growth = np.where(better, 2.0, 2.0 * batch.growth)
    ended.append(batch)
    order = np.argsort(np.concatenate([part.face for part in ended]))
    names = [field.name for field in fields(_Batch)]
    joined = _Batch(*(np.concatenate([getattr(part, name) for part in ended], axis=-1) for name in names))
    return joined.take(order), iterations, converged


def _linearise(model: Model, batch: _Batch, ridge: float) -> None:
    """Set the cost, half its gradient Jᵀr and the Gauss-Newton matrix JᵀJ at the unknowns of `batch`.

    With X the moved model, q the face, Y = R X and V_k = R U_k, the columns of the Jacobian of r = s (Yx, Yy) - q are
    (Yx, Yy) for the scale, (0, -s Yz), (s Yz, 0) and (-s Yy, s Yx) for the rotations about x, y and z, and
    s (V_kx, V_ky) for the coefficients.
    """
    s, turn = batch.scale, batch.turn
    n_units = len(batch.coefficients)
    weights = np.concatenate([np.ones((1, len(s))), batch.coefficients])  # (n+1, B)
    still = (model.gram @ weights).reshape(n_units + 1, 3, 3, -1)  # Σ X bases_kᵀ
    with_model = (weights[:, None, None] * still).sum(axis=0)
    with_units = _turned(turn, still[1:])  # Σ Y V_kᵀ, (n, 3, 3, B)
    (xx, _, xz), (_, yy, yz), (_, _, zz) = _turned(turn, with_model)  # Σ Y Yᵀ
    with_face = (weights[:, None, None] * batch.cross).sum(axis=0)  # Σ q Xᵀ, (2, 3, B)
    face_seen = (with_face[:, None] * turn[None]).sum(axis=2)  # Σ q Yᵀ, (2, 3, B)
    units_seen = (batch.cross[1:] * turn[:2]).sum(axis=(1, 2))  # Σ q V_k, (n, B)
    length = xx + yy
    agreement = face_seen[0, 0] + face_seen[1, 1]
    in_plane = with_units[:, 0, 0] + with_units[:, 1, 1]
    squared = s * s

    batch.cost = squared * length - 2.0 * s * agreement + batch.square + ridge * (batch.coefficients**2).sum(axis=0)
    gradient = np.empty((_POSE + n_units, len(s)))
    gradient[0] = s * length - agreement
    gradient[1] = -squared * yz + s * face_seen[1, 2]
    gradient[2] = squared * xz - s * face_seen[0, 2]
    gradient[3] = s * (face_seen[0, 1] - face_seen[1, 0])
    gradient[_POSE:] = squared * in_plane - s * units_seen + ridge * batch.coefficients
    normal = np.empty((_POSE + n_units, _POSE + n_units, len(s)))
    zero = np.zeros_like(s)
    normal[:_POSE, :_POSE] = np.array(
        [
            [length, -s * yz, s * xz, zero],
            [-s * yz, squared * zz, zero, -squared * xz],
            [s * xz, zero, squared * zz, -squared * yz],
            [zero, -squared * xz, -squared * yz, squared * length],
        ]
    )
    normal[_POSE:, 0] = s * in_plane
    normal[_POSE:, 1] = -squared * with_units[:, 2, 1]
    normal[_POSE:, 2] = squared * with_units[:, 2, 0]
    normal[_POSE:, 3] = squared * (with_units[:, 0, 1] - with_units[:, 1, 0])
    normal[:_POSE, _POSE:] = np.swapaxes(normal[_POSE:, :_POSE], 0, 1)
    metric = (turn[:2, :, None] * turn[:2, None]).sum(axis=0) * squared  # s² R₂ᵀ R₂, (3, 3, B)
    normal[_POSE:, _POSE:] = (model.pairs @ metric.reshape(9, -1)).reshape(n_units, n_units, -1)
    normal[range(_POSE, _POSE + n_units), range(_POSE, _POSE + n_units)] += ridge
    batch.gradient, batch.normal = gradient, normal


def _turned(turn: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Return R M Rᵀ for M (..., 3, 3, B) and R (3, 3, B)."""
    half = sum(turn[:, a, None] * products[..., None, a, :, :] for a in range(3))
    return sum(turn[:, b] * half[..., b, None, :] for b in range(3))


def _propose(batch: _Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return the damped step (4+n, B) and the decrease of the cost (B,) that the linear model expects of it."""
    every = range(len(batch.gradient))
    added = batch.damping * (batch.normal[every, every] + _ROUNDING * batch.square)  # never quite singular
    damped = batch.normal.copy()
    damped[every, every] += added
    step = -_solve(damped, batch.gradient)
    return step, (step * (added * step - batch.gradient)).sum(axis=0)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve positive definite systems (P, P, B) for (P, B) by Cholesky's method; `matrix` is overwritten."""
    solution = right.copy()
    n_unknowns = len(right)
    for k in range(n_unknowns):
        matrix[k:, k] /= np.sqrt(matrix[k, k])
        solution[k] /= matrix[k, k]
        below = matrix[k + 1 :, k]
        solution[k + 1 :] -= below * solution[k]
        for j in range(k + 1, n_unknowns):
            matrix[j:, j] -= matrix[j:, k] * matrix[j, k]
    for k in reversed(range(n_unknowns)):
        solution[k] /= matrix[k, k]
        solution[:k] -= matrix[k, :k] * solution[k]
    return solution


def _moved(batch: _Batch, step: np.ndarray) -> _Batch:
    """Return the batch a step (4+n, B) further, not yet linearised."""
    small = np.moveaxis(rotation_matrix(step[1:_POSE].T), 0, -1)  # (3, 3, B)
    return replace(
        batch,
        scale=batch.scale + step[0],
        turn=(small[:, :, None] * batch.turn).sum(axis=1),
        coefficients=batch.coefficients + step[_POSE:],
    )
