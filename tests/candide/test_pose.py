import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mien.candide.pose import project, rotation_matrix, rotation_vector

axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 1e-3).map(np.array)


@given(axes, st.floats(0, np.pi - 1e-6))
def test_rotation_vector_inverts_rotation_matrix(axis, angle):
    vector = axis / np.linalg.norm(axis) * angle
    np.testing.assert_allclose(rotation_vector(rotation_matrix(vector)), vector, atol=1e-11)


@given(axes, st.floats(0, 20.0))
def test_rotations_are_proper(axis, angle):
    matrix = rotation_matrix(axis / np.linalg.norm(axis) * angle)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1.0)


@given(axes)
def test_half_turns_keep_their_axis_up_to_sign(axis):
    vector = axis / np.linalg.norm(axis) * np.pi
    matrix = rotation_matrix(vector)
    np.testing.assert_allclose(rotation_matrix(rotation_vector(matrix)), matrix, atol=1e-9)


def test_no_rotation_is_the_identity_without_warnings():
    np.testing.assert_array_equal(rotation_matrix(np.zeros(3)), np.eye(3))
    np.testing.assert_array_equal(rotation_vector(np.eye(3)), np.zeros(3))


def test_rotations_come_in_batches():
    vectors = np.random.default_rng(0).normal(size=(4, 5, 3)) * 0.5
    matrices = rotation_matrix(vectors)
    assert matrices.shape == (4, 5, 3, 3)
    np.testing.assert_allclose(rotation_vector(matrices), vectors)
    np.testing.assert_allclose(matrices[1, 2], rotation_matrix(vectors[1, 2]))


def test_positive_yaw_turns_the_nose_to_the_subjects_left():
    nose = np.array([[0.0, 0.0, 1.0]])
    seen = project(nose, rotation_matrix(np.array([0.0, 0.3, 0.0])), 100.0, np.zeros(2))
    assert seen[0, 0] > 0  # the subject's left is the right of the picture


def test_image_rows_grow_downwards():
    up = project(np.array([[0.0, 1.0, 0.0]]), np.eye(3), 50.0, np.array([10.0, 80.0]))
    np.testing.assert_allclose(up, [[10.0, 30.0]])


def test_depth_is_invisible_under_weak_perspective():
    points = np.random.default_rng(0).normal(size=(50, 3))
    near, far = (project(points + np.array([0.0, 0.0, z]), np.eye(3), 120.0, np.zeros(2)) for z in (0.0, 7.0))
    np.testing.assert_allclose(near, far)


def test_projection_broadcasts_over_frames():
    rng = np.random.default_rng(0)
    points, vectors = rng.normal(size=(6, 9, 3)), rng.normal(size=(6, 3))
    scales, origins = rng.uniform(1, 2, 6), rng.normal(size=(6, 2))
    together = project(points, rotation_matrix(vectors), scales, origins)
    apart = [project(points[i], rotation_matrix(vectors[i]), scales[i], origins[i]) for i in range(6)]
    np.testing.assert_allclose(together, np.stack(apart))
