import numpy as np
import pytest

from mien.candide import mesh as candide
from mien.candide.mesh import load_mesh, mesh_digest, mirror_partner
from mien.errors import TableError

MESH = load_mesh()
MIRROR = np.array([-1.0, 1.0, 1.0])


def test_tables_have_the_sizes_of_candide_3():
    assert MESH.vertices.shape == (113, 3)
    assert MESH.faces.shape == (184, 3)
    assert MESH.action_units.shape == (11, 113, 3)
    assert MESH.shape_units.shape == (14, 113, 3)
    assert len(set(MESH.action_names)) == 11
    assert len(set(MESH.shape_names)) == 14


def test_named_positions_are_those_of_the_file():
    words = {
        candide.UPPER_LIP: "Upper lip raiser",
        candide.JAW: "Jaw drop",
        candide.STRETCH: "Lip stretcher",
        candide.BROW_LOWER: "Brow lowerer",
        candide.CORNER: "Lip corner depressor",
        candide.BROW_OUTER: "Outer brow raiser",
        candide.EYES_CLOSED: "Eyes closed",
        candide.LID_TIGHT: "Lid tightener",
        candide.NOSE: "Nose wrinkler",
        candide.PRESS: "Lip presser",
        candide.LID_RAISE: "Upper lid raiser",
    }
    assert all(word in MESH.action_names[position] for position, word in words.items())


def test_mesh_and_units_are_mirror_symmetric():
    partner = mirror_partner(MESH)
    np.testing.assert_array_equal(partner[partner], np.arange(113))
    np.testing.assert_allclose(MESH.vertices[partner] * MIRROR, MESH.vertices)
    np.testing.assert_allclose(MESH.action_units[:, partner] * MIRROR, MESH.action_units)
    symmetric = np.delete(MESH.shape_units, 12, axis=0)
    np.testing.assert_allclose(symmetric[:, partner] * MIRROR, symmetric)
    tilted = MESH.shape_units[12]  # eyes vertical difference
    np.testing.assert_allclose(tilted[partner] * MIRROR, -tilted)


def test_faces_are_symmetric_and_name_no_vertex_twice():
    partner = mirror_partner(MESH)
    faces = {frozenset(face) for face in MESH.faces.tolist()}
    assert all(len(face) == 3 for face in faces)
    places = {frozenset(map(tuple, np.abs(MESH.vertices[list(face)]).tolist())) for face in faces}
    mirrored = {frozenset(map(tuple, np.abs(MESH.vertices[partner[list(face)]]).tolist())) for face in faces}
    assert places == mirrored


def test_deform_is_linear_and_broadcasts():
    rng = np.random.default_rng(0)
    shape, actions = rng.normal(size=14), rng.normal(size=(5, 11))
    batch = MESH.deform(shape, actions)
    assert batch.shape == (5, 113, 3)
    single = np.stack([MESH.deform(shape, action) for action in actions])
    np.testing.assert_allclose(batch, single)
    middle = MESH.deform(shape, actions.mean(axis=0))
    np.testing.assert_allclose(batch.mean(axis=0), middle)
    np.testing.assert_array_equal(MESH.deform(np.zeros(14), np.zeros(11)), MESH.vertices)


def test_closing_the_eyes_brings_the_lids_together():
    units = np.zeros(11)
    units[candide.EYES_CLOSED] = 1.0
    closed = MESH.deform(np.zeros(14), units)
    for upper, lower in ((97, 99), (105, 107), (98, 100), (106, 108)):
        assert abs(closed[upper, 1] - closed[lower, 1]) < 0.01


def test_loaded_numbers_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        MESH.vertices[0, 0] = 1.0


def test_missing_and_damaged_tables_are_refused(tmp_path, repository):
    with pytest.raises(TableError, match=r"vertices\.csv is missing; restore"):
        load_mesh(tmp_path)
    with pytest.raises(TableError, match=r"displacements\.csv is missing; restore"):
        mesh_digest(tmp_path)
    for table in (repository / "resources" / "candide3").glob("*.csv"):
        (tmp_path / table.name).write_bytes(table.read_bytes())
    assert load_mesh(tmp_path).faces.shape == (184, 3)
    first = mesh_digest(tmp_path)
    assert first == mesh_digest()
    (tmp_path / "notes.csv").touch()  # no table of the mesh
    assert mesh_digest(tmp_path) == first
    lines = (tmp_path / "faces.csv").read_text().splitlines()
    for damaged in (lines[:-1], [*lines[:-1], "183,107,23,113"], ["a,b", *lines[1:]], []):
        load_mesh.cache_clear()
        (tmp_path / "faces.csv").write_text("\n".join(damaged))
        with pytest.raises(TableError, match=r"faces\.csv"):
            load_mesh(tmp_path)
