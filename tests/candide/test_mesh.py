"""The mesh, its points and its camera: symmetric, named as in the model file, and proper rotations."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.candide import mesh
from mien.candide.mesh import load_mesh, mesh_digest, mirror_partner
from mien.candide.pose import project, rotation_matrix, rotation_vector
from mien.errors import TableError

MESH = load_mesh()
MIRROR = np.array([-1.0, 1.0, 1.0])


def test_mesh_and_units_are_mirror_symmetric():
    partner = mirror_partner(MESH)
    np.testing.assert_array_equal(partner[partner], np.arange(113))
    np.testing.assert_allclose(MESH.vertices[partner] * MIRROR, MESH.vertices)
    np.testing.assert_allclose(MESH.action_units[:, partner] * MIRROR, MESH.action_units)
    symmetric = np.delete(MESH.shape_units, 12, axis=0)
    np.testing.assert_allclose(symmetric[:, partner] * MIRROR, symmetric)
    tilted = MESH.shape_units[12]  # eyes vertical difference
    np.testing.assert_allclose(tilted[partner] * MIRROR, -tilted)


def test_missing_and_damaged_tables_are_refused(tmp_path, monkeypatch):
    tables, first = list(mesh.FOLDER.glob("*.csv")), mesh_digest()
    monkeypatch.setattr(mesh, "FOLDER", tmp_path)
    with pytest.raises(TableError, match=r"vertices\.csv is missing; restore"):
        load_mesh.__wrapped__()
    with pytest.raises(TableError, match=r"displacements\.csv is missing; restore"):
        mesh_digest()
    for table in tables:
        (tmp_path / table.name).write_bytes(table.read_bytes())
    (tmp_path / "notes.csv").touch()  # no table of the mesh
    assert mesh_digest() == first
    lines = (tmp_path / "faces.csv").read_text().splitlines()
    for damaged in (lines[:-1], [*lines[:-1], "183,107,23,113"], ["a,b", *lines[1:]], []):
        (tmp_path / "faces.csv").write_text("\n".join(damaged))
        with pytest.raises(TableError, match=r"faces\.csv"):
            load_mesh.__wrapped__()


@pytest.mark.parametrize("name", ["printed", "inner"])
def test_the_points_are_their_own_mirror_image(name):
    vertices = set(mesh.VERTICES[name])
    assert set(mirror_partner(MESH)[list(vertices)].tolist()) == vertices


def test_landmarks_and_vertices_lie_in_the_same_order_across_the_face():
    # Landmarks 36 to 47 run from the eye on the left of the picture, the subject's right (-x), to the other eye.
    eyes = [mesh.VERTICES["printed"][mesh.LANDMARKS.index(point)] for point in (36, 39, 42, 45)]
    assert (np.diff(MESH.vertices[eyes, 0]) > 0).all()


def test_only_the_inner_points_close_with_the_lids():
    lids = MESH.action_units[list(mesh.ACTIONS)][[5, 7]]  # lid tightener, eyes closed
    moves = {name: np.abs(lids[:, list(of)]).max(axis=(0, 2)) > 0 for name, of in mesh.VERTICES.items()}
    changed = np.array(mesh.VERTICES["printed"]) != np.array(mesh.VERTICES["inner"])
    assert [mesh.LANDMARKS[k] for k in np.flatnonzero(changed)] == [38, 40, 43, 47]
    assert moves["inner"][changed].all()
    assert not moves["printed"][changed].any()


def test_each_name_of_a_shape_unit_fits_that_unit_of_the_model_file_alone():
    for position, name in zip(mesh.SHAPES, mesh.SHAPE_NAMES, strict=True):
        part, change = name.split(", ")
        said = re.compile(rf"{part.removesuffix('s')}s?\b.*\b{change}\b", re.IGNORECASE)
        assert [k for k, official in enumerate(MESH.shape_names) if said.search(official)] == [position]


axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 1e-3).map(np.array)


@settings(deadline=None)
@given(axes, st.floats(0, np.pi - 1e-6))
def test_rotation_vector_inverts_rotation_matrix(axis, angle):
    vector = axis / np.linalg.norm(axis) * angle
    np.testing.assert_allclose(rotation_vector(rotation_matrix(vector)), vector, atol=1e-11)


@settings(deadline=None)
@given(axes, st.floats(0, 20.0))
def test_rotations_are_proper(axis, angle):
    matrix = rotation_matrix(axis / np.linalg.norm(axis) * angle)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1.0)


@settings(deadline=None)
@given(axes)
def test_half_turns_keep_their_axis_up_to_sign(axis):
    vector = axis / np.linalg.norm(axis) * np.pi
    matrix = rotation_matrix(vector)
    np.testing.assert_allclose(rotation_matrix(rotation_vector(matrix)), matrix, atol=1e-9)


def test_positive_yaw_turns_the_nose_to_the_subjects_left():
    nose = np.array([[0.0, 0.0, 1.0]])
    seen = project(nose, rotation_matrix(np.array([0.0, 0.3, 0.0])), 100.0, np.zeros(2))
    assert seen[0, 0] > 0  # the subject's left is the right of the picture
