import re

import numpy as np
import pytest

from mien.candide import mesh
from mien.candide.mesh import load_mesh, mirror_partner

MESH = load_mesh()


@pytest.mark.parametrize("name", ["printed", "inner"])
def test_pairs_are_one_to_one(name):
    vertices = mesh.VERTICES[name]
    assert len(mesh.LANDMARKS) == len(set(mesh.LANDMARKS)) == 35
    assert len(vertices) == len(set(vertices)) == 35


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


def test_names_are_those_of_the_model_file():
    words = (
        "Jaw drop",
        "Brow lowerer",
        "corner depressor",
        "Upper lip",
        "stretcher",
        "tightener",
        "wrinkler",
        "closed",
    )
    for position, name, code, word in zip(mesh.ACTIONS, mesh.AU_NAMES, mesh.AU_CODES, words, strict=True):
        assert word in MESH.action_names[position]
        assert name.split()[-1] in MESH.action_names[position].lower()
        assert code[2:].split("-")[0].split("/")[0] in MESH.action_names[position]


def test_each_name_of_a_shape_unit_fits_that_unit_of_the_model_file_alone():
    for position, name in zip(mesh.SHAPES, mesh.SHAPE_NAMES, strict=True):
        part, change = name.split(", ")
        said = re.compile(rf"{part.removesuffix('s')}s?\b.*\b{change}\b", re.IGNORECASE)
        assert [k for k, official in enumerate(MESH.shape_names) if said.search(official)] == [position]
