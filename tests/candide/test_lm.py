import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from mien.candide import lm
from mien.candide.mesh import ACTIONS, VERTICES, load_mesh, mirror_partner
from mien.candide.pose import project, rotation_matrix

MESH = load_mesh()
PARTNER = mirror_partner(MESH)
CHOSEN = list(VERTICES["printed"])
REST, UNITS = MESH.vertices[CHOSEN], MESH.action_units[list(ACTIONS)][:, CHOSEN]
MODEL = lm.Model(REST, UNITS)
SETTINGS = {"ridge": 1e-3, "evaluations": 100, "tolerance": 1e-8}
TIGHT = SETTINGS | {"tolerance": 1e-13}


def make_faces(n_faces, *, seed=0, noise=0.01):
    rng = np.random.default_rng(seed)
    truth = lm.Fit.blank(n_faces, 8)
    truth.scale[:] = rng.uniform(40, 200, n_faces)
    truth.rotation[:] = rng.uniform(-1, 1, (n_faces, 3)) * np.deg2rad([20, 40, 15])
    truth.origin[:] = rng.uniform(100, 500, (n_faces, 2))
    truth.coefficients[:] = rng.normal(0, 0.5, (n_faces, 8))
    points = place(truth)
    return points + rng.normal(size=points.shape) * noise * truth.scale[:, None, None], truth


def place(fit, rest=REST):
    moved = rest + np.tensordot(fit.coefficients, UNITS, axes=1)
    return project(moved, rotation_matrix(fit.rotation), fit.scale, fit.origin)


def test_exact_points_give_the_truth_back():
    points, truth = make_faces(200, noise=0.0)
    found = lm.fit(MODEL, points, **TIGHT | {"ridge": 0.0})
    assert found.converged.all()
    for name in ("scale", "rotation", "origin", "coefficients"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-5, atol=1e-5, err_msg=name)
    assert found.residual.max() < 1e-6


def test_residual_is_the_distance_of_the_points_in_model_units():
    points, _ = make_faces(50)
    found = lm.fit(MODEL, points, **SETTINGS)
    distance = np.linalg.norm(place(found) - points, axis=2)
    np.testing.assert_allclose(found.residual, np.sqrt((distance**2).mean(axis=1)) / found.scale)


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_minimum_is_that_of_scipy(ridge):
    points, _ = make_faces(60, seed=1)
    found = lm.fit(MODEL, points, **SETTINGS | {"ridge": ridge})
    flat = REST[:, :2] - REST[:, :2].mean(axis=0)
    for face, cost in zip(points * [1, -1], found.cost, strict=True):
        centre = face.mean(axis=0)
        first = ((face - centre) * flat).sum() / (flat**2).sum()  # eq. 18

        def residuals(x, face=face, first=first):
            moved = (REST + np.tensordot(x[6:], UNITS, axes=1)) @ rotation_matrix(x[1:4]).T
            return np.append((x[0] * moved[:, :2] + x[4:6] - face) / first, np.sqrt(ridge) * x[6:])

        start = np.concatenate([[first], [1e-3] * 3, centre - first * REST[:, :2].mean(axis=0), np.zeros(8)])
        other = least_squares(residuals, start, method="lm", x_scale="jac")
        np.testing.assert_allclose(cost, 2 * other.cost, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_scale_and_place_of_the_picture_move_nothing_else(seed, factor, right, down):
    points, _ = make_faces(4, seed=seed)
    one, other = (lm.fit(MODEL, p, **SETTINGS) for p in (points, points * factor + [right, down]))
    np.testing.assert_allclose(other.scale, one.scale * factor, rtol=1e-6)
    np.testing.assert_allclose(other.origin, one.origin * factor + [right, down], rtol=1e-6, atol=1e-6)
    for name in ("rotation", "coefficients", "residual", "cost"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-5, atol=1e-6, err_msg=name)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_mirrored_face_has_the_mirrored_pose_and_the_same_units(seed):
    points, _ = make_faces(4, seed=seed)
    partner = [CHOSEN.index(PARTNER[vertex]) for vertex in CHOSEN]
    one, other = (lm.fit(MODEL, p, **TIGHT) for p in (points, points[:, partner] * [-1, 1]))
    np.testing.assert_allclose(other.rotation, one.rotation * [1, -1, -1], atol=1e-4)
    np.testing.assert_allclose(other.origin, one.origin * [-1, 1], atol=0.02)
    np.testing.assert_allclose(other.coefficients, one.coefficients, atol=1e-3)
    np.testing.assert_allclose(other.cost, one.cost, rtol=1e-8)


@settings(max_examples=5, deadline=None)
@given(st.floats(-5, 5))
def test_depth_of_the_model_is_invisible(depth):
    points, _ = make_faces(4)
    moved = REST + np.array([0, 0, depth])
    one, other = (lm.fit(model, points, **TIGHT) for model in (MODEL, lm.Model(moved, UNITS)))
    np.testing.assert_allclose(other.coefficients, one.coefficients, atol=1e-5)
    np.testing.assert_allclose(place(other, moved), place(one), atol=1e-3)


def test_faces_do_not_influence_each_other():
    points, _ = make_faces(lm._CHUNK + 3)
    together = lm.fit(MODEL, points, **SETTINGS)
    for face in (0, 7, lm._CHUNK - 1, lm._CHUNK, lm._CHUNK + 2):
        alone = lm.fit(MODEL, points[face : face + 1], **SETTINGS)
        assert alone.iterations[0] == together.iterations[face]
        np.testing.assert_allclose(alone.coefficients[0], together.coefficients[face], atol=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_hopeless_points_harm_nobody(ridge):
    points, _ = make_faces(9)
    alone = lm.fit(MODEL, points[-1:], **SETTINGS | {"ridge": ridge})
    points[0, 3, 1] = np.nan
    points[1, 4, 0] = np.inf
    points[2] = [120.0, 80.0]
    points[3, :, 1] = 70.0
    points[4] = np.linspace(0, 1, 35)[:, None] * [30.0, 50.0]
    points[5] *= 1e200
    points[6] = 0.0
    points[7, 1:] = points[7, :1]
    found = lm.fit(MODEL, points, **SETTINGS | {"ridge": ridge})
    assert not found.converged[[0, 1, 2, 5, 6]].any()
    assert np.isnan(found.scale[[0, 1, 2, 5, 6]]).all()
    assert found.converged[8]
    np.testing.assert_allclose(found.coefficients[8], alone.coefficients[0], atol=1e-6)


def test_scale_is_positive_even_upside_down():
    points, truth = make_faces(30, noise=0.0)
    middle = points.mean(axis=1, keepdims=True)
    found = lm.fit(MODEL, 2 * middle - points, **SETTINGS | {"ridge": 0.0})
    assert (found.scale > 0).all()
    good = found.converged & (found.residual < 1e-4)
    assert good.mean() > 0.9
    turned = rotation_matrix(np.array([0.0, 0.0, np.pi])) @ rotation_matrix(truth.rotation)
    np.testing.assert_allclose(rotation_matrix(found.rotation)[good], turned[good], atol=1e-3)


def test_too_few_evaluations_are_admitted():
    assert lm.fit(MODEL, np.empty((0, 35, 2)), **SETTINGS).coefficients.shape == (0, 8)
    points, _ = make_faces(5)
    found = lm.fit(MODEL, points, **SETTINGS | {"evaluations": 2})
    assert not found.converged.any()
    assert (found.iterations == 1).all()
    assert np.isfinite(found.cost).all()


def test_a_start_at_the_minimum_saves_the_steps():
    points, _ = make_faces(20)
    cold = lm.fit(MODEL, points, **SETTINGS)
    cold.scale[3] = np.nan  # begins with the initial values
    warm = lm.fit(MODEL, points, **SETTINGS, start=cold)
    others = np.arange(20) != 3
    assert (warm.iterations[others] == 0).all()
    assert warm.iterations[3] == cold.iterations[3]
    np.testing.assert_allclose(warm.cost, cold.cost)
