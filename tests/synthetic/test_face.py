import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mien.candide import mesh as candide
from mien.candide.mesh import load_mesh, mirror_partner
from mien.io.randomness import rng_for
from mien.synthetic.face import FaceRenderer, draw_setting
from mien.synthetic.people import CLEAR, EMOTIONS, person_for
from mien.synthetic.performance import portrait

SIZE = (192, 256)
STILL = {"gaze": np.zeros(2), "shift": np.zeros(2), "grain": (0, 0)}
# Landmarks of the 68-point scheme and the vertices at the same place: lips, nose, inner eye corners, brow ends.
LANDMARKS = [48, 51, 54, 57, 62, 66, 30, 33, 39, 42, 17, 26]
VERTICES = [64, 7, 31, 8, 87, 40, 5, 6, 56, 23, 48, 15]


def renderer_of(number: int) -> FaceRenderer:
    person = person_for(0, "test", str(number), "female")
    return FaceRenderer(person, draw_setting(person, SIZE, scale=70.0, rng=rng_for(0, number)))


def portrait_of(number: int, **changes):
    asked = {"emotion": EMOTIONS[number % 9], "intensity": 1.0, "size": SIZE, "yaw_deg": 0.0, "gaze": "frontal"}
    sex = ("male", "female")[number % 2]
    person = person_for(1, "test", str(number), sex)
    return portrait(person, **{**asked, **changes}, fuzziness=CLEAR, rng=rng_for(7, number))


@pytest.fixture(scope="module")
def found():
    """Return, for 32 people within 30 degrees of frontal, the landmarks that dlib finds (or None) and the vertices."""
    dlib = pytest.importorskip("dlib")
    place = Path(importlib.util.find_spec("face_recognition_models").submodule_search_locations[0])
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(place / "models" / "shape_predictor_68_face_landmarks.dat"))
    results = []
    for number, yaw_deg in enumerate(np.random.default_rng(0).permutation(np.linspace(-30, 30, 32))):
        picture, _, _, vertices = portrait_of(number, yaw_deg=yaw_deg)
        boxes = detector(picture, 0)
        marks = [(p.x, p.y) for p in predictor(picture, boxes[0]).parts()] if len(boxes) else None
        results.append((marks, vertices))
    return results


def test_dlib_finds_the_faces(found):
    n_found = sum(marks is not None for marks, _ in found)
    assert n_found >= 0.98 * len(found)


def test_dlib_landmarks_lie_on_the_features(found):
    errors = []
    for marks, vertices in found:
        if marks is not None:
            eyes = np.linalg.norm(vertices[20] - vertices[53])
            errors.append(np.linalg.norm(np.array(marks)[LANDMARKS] - vertices[VERTICES], axis=1) / eyes)
    assert np.median(errors, axis=0).max() < 0.08  # of the distance between the outer eye corners


def test_mirrored_yaw_mirrors_the_vertices():
    renderer = renderer_of(0)
    renderer.shape[12] = 0.0  # eyes vertical difference, the one asymmetric unit
    partner = mirror_partner(load_mesh())
    units = np.linspace(-0.3, 0.7, candide.N_ACTIONS)
    _, left = renderer.place(units, np.array([0.1, 0.4, 0.0]), np.zeros(2))
    _, right = renderer.place(units, np.array([0.1, -0.4, 0.0]), np.zeros(2))
    middle = renderer.setting.origin[0]
    np.testing.assert_allclose(left[partner][:, 0] - middle, middle - right[:, 0], atol=1e-9)
    np.testing.assert_allclose(left[partner][:, 1], right[:, 1], atol=1e-9)


def test_yaw_and_gaze_have_their_sides():
    turned = [portrait_of(0, yaw_deg=yaw_deg)[3] for yaw_deg in (-40.0, 40.0)]
    across = [places[5, 0] - places[[20, 53], 0].mean() for places in turned]  # nose tip against the eyes
    assert across[0] < 0 < across[1]
    left, right = (portrait_of(0, gaze=gaze)[0].astype(float) for gaze in ("left", "right"))
    vertices = portrait_of(0)[3]
    top, bottom = (int(vertices[[97, 99], 1][i] + (-3, 4)[i]) for i in (0, 1))
    for outer, inner in ((20, 23), (56, 53)):  # both eyes from the picture's right to its left
        low, high = int(vertices[inner, 0]), int(vertices[outer, 0])
        middle = (low + high) // 2
        towards_left, towards_right = (
            picture[top:bottom, middle:high].mean() - picture[top:bottom, low:middle].mean()
            for picture in (left, right)
        )
        assert towards_left < towards_right  # the subject's left is the right of the picture, and the iris is dark


@pytest.mark.parametrize("unit", [candide.JAW, candide.CORNER, candide.BROW_LOWER, candide.NOSE, candide.LID_RAISE])
def test_every_unit_shows(unit):
    renderer = renderer_of(1)
    rest, _ = renderer.render(np.zeros(11), np.zeros(3), **STILL)
    moved, _ = renderer.render(np.eye(11)[unit], np.zeros(3), **STILL)
    assert (np.abs(moved.astype(int) - rest).max(axis=2) > 20).sum() > 15  # px
