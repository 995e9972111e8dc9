"""FP68 knows the shape of a face, not where it is, how large, or how far the head is tilted."""

import numpy as np
import pytest

from mien.classical.samples import LEFT_EYE, RIGHT_EYE, fp68
from mien.io.randomness import rng_for


@pytest.fixture
def faces():
    return rng_for(0, "faces").normal(200.0, 40.0, (50, 68, 2))


def _turned(points, angles):
    cosine, sine = np.cos(angles), np.sin(angles)
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)  # (N, 2, 2)
    return np.einsum("nij,nlj->nli", turn, points)


def test_place_size_and_tilt_do_not_matter(faces):
    rng = rng_for(1, "moves")
    moved = _turned(faces, rng.uniform(-np.pi, np.pi, 50)) * rng.uniform(0.01, 100, (50, 1, 1))
    moved += rng.uniform(-1000, 1000, (50, 1, 2))
    np.testing.assert_allclose(fp68(moved), fp68(faces), atol=1e-8)


def test_the_shape_is_kept_up_to_a_similarity(faces):
    points = fp68(faces).reshape(-1, 68, 2)
    np.testing.assert_allclose(points.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((points**2).sum(axis=2).mean(axis=1), 1)
    eyes = points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1)
    assert (eyes[:, 0] > 0).all()
    np.testing.assert_allclose(eyes[:, 1], 0, atol=1e-12)
    ratio = np.linalg.norm(points[:, 1:] - points[:, :-1], axis=2) / np.linalg.norm(
        faces[:, 1:] - faces[:, :-1], axis=2
    )
    np.testing.assert_allclose(ratio / ratio[:, :1], 1)


def test_x_and_y_alternate_and_a_mirrored_face_is_another(faces):
    vector = fp68(faces)[0]
    level = _turned(faces[:1], np.zeros(1))
    assert fp68(level * [-1, 1])[0] == pytest.approx(vector * np.tile([1, -1], 68))  # turned back upright: y negated


def test_what_is_no_face_becomes_nan_alone(faces):
    bad = faces[:6].copy()
    bad[0] = np.nan
    bad[1, 7, 1] = np.inf
    bad[2] = 123.4  # all in one place
    bad[3, 36:48] = 5.0  # eyes in one place
    bad[4] = np.float32(0.1) * 3
    vectors = fp68(bad)
    assert np.isnan(vectors[:5]).all()
    np.testing.assert_array_equal(vectors[5], fp68(faces[5:6])[0])
    assert fp68(np.empty((0, 68, 2))).shape == (0, 136)
    with pytest.raises(ValueError, match="68"):
        fp68(np.zeros((3, 67, 2)))
