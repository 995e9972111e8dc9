from dataclasses import replace

import numpy as np
import pytest

from mien.candide.fit import DEGENERATE, FITTED, NO_FACE, NOT_FINITE, fit_frames, fit_shapes, place_mesh
from mien.candide.mesh import LANDMARKS, VERTICES
from mien.config.schema import CandideConfig
from mien.io.randomness import rng_for

CONFIG = CandideConfig(landmarks="printed", ridge=1e-3, warm_start=True, evaluations=100, tolerance=1e-8)
SHAPE = np.array([0.3, -0.1, 0.2, 0.1, 0.2, -0.3, 0.05])
NOISE = 0.01  # model units


def landmarks_of(vertices, config=CONFIG):
    """Return (..., 68, 2): the 35 at their vertices (..., 113, 2), nobody looks at the rest."""
    points = np.full((*vertices.shape[:-2], 68, 2), np.nan)
    points[..., list(LANDMARKS), :] = vertices[..., list(VERTICES[config.landmarks]), :]
    return points


def film(n_frames, *, seed=0):
    """Return landmarks of a film without noise, and its units and rotations."""
    rng = rng_for(seed, "film")
    phase = np.linspace(0, 2 * np.pi, n_frames)[:, None]
    units = 0.4 * np.sin(phase + rng.uniform(0, 6, 8))
    rotation = np.deg2rad([10, 30, 8]) * np.sin(phase + rng.uniform(0, 6, 3))
    scale, origin = np.full(n_frames, 90.0), np.tile([200.0, 150.0], (n_frames, 1)) + 5 * phase
    return landmarks_of(place_mesh(SHAPE, units=units, rotation=rotation, scale=scale, origin=origin)), units, rotation


def fit_film(landmarks, config, recordings=None):
    found = np.ones(len(landmarks), bool)
    recordings = [np.arange(len(landmarks))] if recordings is None else recordings
    return fit_frames(landmarks, found=found, recordings=recordings, shape=SHAPE, config=config)


@pytest.mark.parametrize("landmarks", ["printed", "inner"])
def test_both_stages_find_an_exact_face(landmarks):
    config = replace(CONFIG, landmarks=landmarks, ridge=0.0, tolerance=1e-13)
    pose = {"rotation": np.array([0.05, 0.3, -0.1]), "scale": np.array(80.0), "origin": np.array([90.0, 120.0])}
    neutral = place_mesh(SHAPE, units=np.zeros(8), **pose)
    shapes, verdicts = fit_shapes(landmarks_of(neutral, config)[None], config)
    assert verdicts.tolist() == [FITTED]
    np.testing.assert_allclose(shapes[0], SHAPE, atol=1e-5)
    units = np.array([0.5, -0.7, 0.6, 0.4, -0.3, 0.2, 0.8, 0.1])
    seen = place_mesh(SHAPE, units=units, **pose)
    frames = fit_frames(
        landmarks_of(seen, config)[None], found=np.ones(1, bool), recordings=[np.arange(1)], shape=SHAPE, config=config
    )
    np.testing.assert_allclose(frames.units[0], units, atol=1e-4)
    again = place_mesh(
        SHAPE, units=frames.units, rotation=frames.rotation, scale=frames.scale, origin=frames.origin
    )  # all 113 vertices, not the fitted ones alone
    np.testing.assert_allclose(again[0], seen, atol=1e-2)


def spoil(landmarks):
    """Return damaged copies of one face (68, 2) and the verdicts that they deserve."""
    holed, endless, equal, single, line = (landmarks.copy() for _ in range(5))
    holed[30] = np.nan
    endless[30, 0] = np.inf
    equal[:] = 50.0
    single[list(LANDMARKS[1:])] = single[LANDMARKS[0]] + 1e-3  # two places are on a line
    line[:, 1] = 2.0 * line[:, 0] + 7.0
    return np.stack([holed, endless, equal, single, line]), [NOT_FINITE] * 2 + [DEGENERATE] * 3


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_fitted_is_marked_and_harms_no_other_frame():
    good, *_ = film(8)
    bad, verdicts = spoil(good[4])
    mixed = np.concatenate([good[:4], bad, good[3:4], good[4:]])
    found = np.ones(len(mixed), bool)
    found[9] = False
    frames = fit_frames(mixed, found=found, recordings=[np.arange(len(mixed))], shape=SHAPE, config=CONFIG)
    assert frames.verdict.tolist() == [FITTED] * 4 + verdicts + [NO_FACE] + [FITTED] * 4
    fitted = frames.verdict == FITTED
    for values in (frames.scale, frames.residual, frames.rotation, frames.origin, frames.units):
        assert np.isnan(values[~fitted]).all()
        assert np.isfinite(values[fitted]).all()
    assert (frames.iterations[~fitted] == 0).all()
    np.testing.assert_allclose(frames.units[fitted], fit_film(good, CONFIG).units, atol=1e-3)
    shapes, said = fit_shapes(mixed[3:10], CONFIG)
    assert said.tolist() == [FITTED, *verdicts, FITTED]
    assert np.isnan(shapes[1:6]).all()
    assert np.isfinite(shapes[[0, 6]]).all()


@pytest.mark.parametrize("yaw_deg", [0, 30])
def test_errors_are_those_that_the_noise_forces(yaw_deg):
    """The spread of every unit, and of the pose, is the Cramér-Rao bound of the 35 noisy points."""
    true = np.concatenate([[90.0, 0.0, np.deg2rad(yaw_deg), 0.0, 200.0, 150.0], 0.3 * np.sin(np.arange(8))])

    def points_of(unknowns):
        scale, rotation, origin, units = np.split(unknowns, [1, 4, 6])
        return landmarks_of(place_mesh(SHAPE, units=units, rotation=rotation, scale=scale[0], origin=origin))

    steps = 1e-5 * np.eye(len(true))
    chosen = list(LANDMARKS)
    jacobian = np.stack([(points_of(true + h) - points_of(true - h))[chosen].ravel() / 2e-5 for h in steps], axis=1)
    bound = 90 * NOISE * np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    noise = rng_for(0, "noise", yaw_deg).normal(0.0, 90 * NOISE, (1500, 68, 2))
    frames = fit_film(points_of(true) + noise, replace(CONFIG, ridge=0.0, warm_start=False))
    np.testing.assert_allclose(frames.units.std(axis=0), bound[6:], rtol=0.15)
    np.testing.assert_allclose(frames.rotation.std(axis=0), bound[1:4], rtol=0.15)
    assert (np.abs(frames.units.mean(axis=0) - true[6:]) < 0.15 * bound[6:]).all()
