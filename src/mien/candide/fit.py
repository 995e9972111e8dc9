"""Fit the Candide-3 mesh to landmarks in the two stages of the thesis: a person's shape, then the units of every frame.

The second stage takes the shape as given, as mouth width and lip stretcher move the points almost alike (spec. 3.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.candide.lm import Fit, Model, fit
from mien.candide.mesh import ACTIONS, LANDMARKS, N_ACTIONS, N_SHAPES, SHAPES, VERTICES, load_mesh
from mien.candide.pose import project, rotation_matrix
from mien.config.schema import CandideConfig

FITTED, NO_FACE, NOT_FINITE = "fitted", "no face", "not finite"
DEGENERATE, NOT_CONVERGED = "degenerate", "not converged"
FEWEST_FRAMES = 10  # with a face, from which films say enough about the shape of their person
MOST_FRAMES = 100  # of a person's films that are fitted to find that shape

_FLATNESS = 1e-3  # of the cloud of points, smaller to larger extent, below which they lie on a line
_VERDICT = f"U{len(NOT_CONVERGED)}"


@dataclass(frozen=True, eq=False)
class Frames:
    """What became of T frames; every number but the iterations is NaN where the verdict is not `FITTED`.

    verdict (T,) str; scale (T,) px per model unit; rotation (T, 3) rad; origin (T, 2) px, y down; units (T, 8) in the
    order of `ACTIONS`; residual (T,) root mean square distance, model units; iterations (T,) int, 0 where not tried.
    """

    verdict: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    origin: np.ndarray
    units: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray


def fit_shapes(landmarks: np.ndarray, config: CandideConfig) -> tuple[np.ndarray, np.ndarray]:
    """Fit the seven shape units to neutral faces (stage 1).

    landmarks (B, 68, 2) px, y down -> shapes (B, 7) in the order of `SHAPES`, NaN where not fitted; verdicts (B,) str.
    Only the 35 of `LANDMARKS` count.
    """
    mesh, vertices = load_mesh(), list(VERTICES[config.landmarks])
    points = np.asarray(landmarks, dtype=np.float64)[:, LANDMARKS]
    verdict = _judge(points, np.ones(len(points), bool))
    shapes = np.full((len(points), len(SHAPES)), np.nan)
    rows = np.flatnonzero(verdict == FITTED)
    model = Model(mesh.vertices[vertices], mesh.shape_units[list(SHAPES)][:, vertices])
    found = fit(model, points[rows], **_settings(config))
    verdict[rows[~found.converged]] = NOT_CONVERGED
    shapes[rows[found.converged]] = found.coefficients[found.converged]
    return shapes, verdict


def fit_median_shape(landmarks: np.ndarray, config: CandideConfig) -> np.ndarray | None:
    """Fit the seven shape units to films of one person, whatever the face does in them (stage 1 without a label).

    Unit by unit the median over frames: expressions differ, and no single one counts. At most `MOST_FRAMES` frames,
    evenly spaced, are fitted.

    Parameters
    ----------
    landmarks : (T, 68, 2) px, y down, of the frames with a face, in the order of time.

    Returns
    -------
    (7,) in the order of `SHAPES`; None where fewer than `FEWEST_FRAMES` can be fitted.
    """
    chosen = np.unique(np.linspace(0, len(landmarks) - 1, min(len(landmarks), MOST_FRAMES)).round().astype(int))
    if len(chosen) < FEWEST_FRAMES:
        return None
    shapes, verdicts = fit_shapes(landmarks[chosen], config)
    fitted = shapes[verdicts == FITTED]
    return np.median(fitted, axis=0) if len(fitted) >= FEWEST_FRAMES else None


def fit_frames(
    landmarks: np.ndarray,
    *,
    found: np.ndarray,
    recordings: Sequence[np.ndarray],
    shape: np.ndarray,
    config: CandideConfig,
) -> Frames:
    """Fit pose and the eight action units to frames of one person (stage 2).

    Parameters
    ----------
    landmarks : (T, 68, 2) px, y down; only the 35 of `LANDMARKS` count.
    found : (T,) bool, a face was found.
    recordings : row numbers in the order of time, together every row once. With config.warm_start a frame starts from
        the last fitted one of its recording; the recordings advance side by side.
    shape : (7,) shape units of the person.
    """
    order = np.sort(np.concatenate([np.zeros(0, int), *recordings]))
    if not np.array_equal(order, np.arange(len(landmarks))):
        raise ValueError(f"recordings should name each of {len(landmarks)} rows once, they name {len(order)}")
    vertices = list(VERTICES[config.landmarks])
    model = Model(person_vertices(shape)[vertices], load_mesh().action_units[list(ACTIONS)][:, vertices])
    points = np.asarray(landmarks, dtype=np.float64)[:, LANDMARKS]
    verdict = _judge(points, found)
    sequences = recordings if config.warm_start else list(np.arange(len(points))[:, None])
    every = _follow(model, points, verdict == FITTED, sequences, config)
    verdict[(verdict == FITTED) & ~every.converged] = NOT_CONVERGED
    lost = verdict != FITTED
    for values in (every.scale, every.rotation, every.origin, every.coefficients, every.residual):
        values[lost] = np.nan
    return Frames(
        verdict, every.scale, every.rotation, every.origin, every.coefficients, every.residual, every.iterations
    )


def person_vertices(shape: np.ndarray) -> np.ndarray:
    """Return (113, 3) the face of a person at rest, of its (7,) shape units in the order of `SHAPES`."""
    return load_mesh().deform(_spread(shape, SHAPES, N_SHAPES), np.zeros(N_ACTIONS))


def place_mesh(
    shape: np.ndarray, *, units: np.ndarray, rotation: np.ndarray, scale: np.ndarray, origin: np.ndarray
) -> np.ndarray:
    """Return (..., 113, 2) px where the fitted mesh is seen, y down.

    shape (7,) of the person; units (..., 8), rotation (..., 3) rad, scale (...,) and origin (..., 2) px as in `Frames`.
    """
    action = _spread(np.asarray(units), ACTIONS, N_ACTIONS)
    vertices = load_mesh().deform(_spread(shape, SHAPES, N_SHAPES), action)
    return project(vertices, rotation_matrix(rotation), scale, origin)


def _judge(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return (T,) what hinders a fit of points (T, 35, 2); FITTED where nothing does so far."""
    with np.errstate(all="ignore"):
        centred = points - points.mean(axis=1, keepdims=True)
        centred /= np.abs(centred).max(axis=(1, 2), keepdims=True)  # so that no square overflows
        xx, xy, yy = (
            (centred[..., i] * centred[..., j]).sum(axis=1) for i, j in ((0, 0), (0, 1), (1, 1))
        )  # of the scatter matrix, whose eigenvalues are the squared extents
        flat = ~(xx * yy - xy**2 > _FLATNESS**2 * (xx + yy) ** 2)
    verdict = np.full(len(points), FITTED, dtype=_VERDICT)
    verdict[flat] = DEGENERATE
    verdict[~np.isfinite(points).all(axis=(1, 2))] = NOT_FINITE
    verdict[~np.asarray(found, dtype=bool)] = NO_FACE
    return verdict


def _follow(
    model: Model, points: np.ndarray, good: np.ndarray, recordings: Sequence[np.ndarray], config: CandideConfig
) -> Fit:
    """Fit points (T, 35, 2) where `good` (T,), frame by frame, each from the last converged one of its recording."""
    every, last = Fit.blank(len(points), len(ACTIONS)), Fit.blank(len(recordings), len(ACTIONS))
    for k in range(max(map(len, recordings), default=0)):
        running = np.array([r for r, rows in enumerate(recordings) if len(rows) > k and good[rows[k]]], dtype=int)
        if not len(running):
            continue
        rows = np.array([recordings[r][k] for r in running])
        now = fit(model, points[rows], start=last[running], **_settings(config))
        every.put(rows, now)
        last.put(running[now.converged], now[now.converged])
    return every


def _settings(config: CandideConfig) -> dict[str, float]:
    return {"ridge": config.ridge, "evaluations": config.evaluations, "tolerance": config.tolerance}


def _spread(values: np.ndarray, places: Sequence[int], n_units: int) -> np.ndarray:
    spread = np.zeros((*np.shape(values)[:-1], n_units))
    spread[..., list(places)] = values
    return spread
