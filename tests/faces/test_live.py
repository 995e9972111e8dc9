"""Faces of a running film keep their identity, and one face alone is followed as in a stored film."""

from dataclasses import replace

import numpy as np
import pytest

from faces.conftest import still
from mien.faces.track import FaceTracker, cut_region, follow, region_around

BLANK = np.full((240, 320, 3), 120, np.uint8)
LEFT = np.s_[:, :320]


@pytest.fixture(scope="module")
def pair() -> np.ndarray:
    """Return two faces side by side (240, 640, 3): the right one is a fifth smaller."""
    import cv2

    small = np.full((240, 320, 3), 200, np.uint8)
    small[24:216, 32:288] = cv2.resize(still("02"), (256, 192), interpolation=cv2.INTER_AREA)
    return np.concatenate([still("01"), small], axis=1)


def _watch(film, config, *, forget_s=1.0, rate_fps=10.0):
    faces = FaceTracker(config, forget_s=forget_s)
    return [faces.update(k / rate_fps, picture) for k, picture in enumerate(film)]


def test_one_face_is_followed_as_in_a_stored_film(picture, config):
    film = [np.roll(picture, 3 * k, axis=1) for k in range(9)]
    film[3:5] = [BLANK, BLANK]  # lost, and found again when it is not yet forgotten
    track = follow([(k / 10, frame) for k, frame in enumerate(film)], config, along=True)
    seen = _watch(film, config)
    assert [face.found for (face,) in seen] == track.found.tolist() != [True] * 9
    assert {face.person for (face,) in seen} == {1}
    for k in np.flatnonzero(track.found):
        np.testing.assert_array_equal(seen[k][0].box, track.boxes[k])
        np.testing.assert_array_equal(seen[k][0].landmarks, track.landmarks[k])
        np.testing.assert_array_equal(track.along[k], cut_region(film[k], seen[k][0].region, size_px=config.size_px))
    assert not track.along[3:5].any()
    assert (track.along[0] != track.frames[0]).any()
    assert np.isnan(seen[3][0].landmarks).all()
    np.testing.assert_array_equal(seen[3][0].box, track.boxes[2])  # where it was last
    np.testing.assert_array_equal(seen[-1][0].region, track.region)


def test_the_region_forgets_old_boxes(picture, config):
    film = [np.roll(picture, 8 * k, axis=1) for k in range(6)]
    for region_s, n_boxes in ((0.25, 3), (0.3, 3), (0.31, 4), (0.01, 1)):  # a box as old as region_s is too old
        seen = _watch(film, replace(config, region_s=region_s))
        boxes = np.array([face.box for (face,) in seen])
        np.testing.assert_array_equal(seen[-1][0].region, region_around(boxes[-n_boxes:], margin=config.margin))


def test_two_people_keep_their_numbers(pair, config):
    blank = np.full_like(pair, 120)
    one = pair.copy()
    one[LEFT] = 120  # the left one is out of the picture
    film = [pair] * 6 + [one] * 3 + [pair] * 4
    seen = _watch(film, config)
    assert [sorted(face.person for face in faces) for faces in seen] == [[1, 2]] * 13
    assert [{face.person: face.found for face in faces} for faces in seen[6:9]] == [{1: False, 2: True}] * 3
    left, right = sorted(seen[-1], key=lambda face: face.person)
    assert left.found
    assert left.box[0] < 320 < right.box[0]
    gone = _watch([pair] + [blank] * 11 + [pair], config)
    assert gone[11] == []
    assert {face.person for face in gone[-1]} == {3, 4}


def test_the_main_face_does_not_flip_but_gives_way(pair, config):
    mirrored = np.roll(pair, 320, axis=1)  # somebody else is as prominent, but not by much
    alone = pair.copy()
    alone[LEFT] = 120
    faces = FaceTracker(config, forget_s=1.0)
    film = [pair] * 4 + [alone] * 9
    mains = [faces.update(k / 10, picture)[0] for k, picture in enumerate(film)]
    assert mains[0].box[0] < 320
    assert mains[4].person == mains[0].person  # lost only just now
    assert mains[-1].person != mains[0].person
    assert mains[-1].box[0] > 320
    assert _watch([mirrored], config)[0][0].box[0] > 320


def test_no_faces(config):
    assert _watch([BLANK] * 3, config) == [[], [], []]
