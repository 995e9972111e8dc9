"""Faces are followed honestly and keep their identity; the region of a clip is one square."""

import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from faces.conftest import still
from mien.errors import MediaError, ModelError
from mien.faces import detect
from mien.faces.track import FaceTracker, cut_region, follow, region_around
from mien.io import media

BLANK = np.full((240, 320, 3), 120, np.uint8)
LEFT = np.s_[:, :320]


def _film(*pictures):
    return [(k / 10, picture) for k, picture in enumerate(pictures)]


def _centre(track):
    return track.boxes[0, :2] + track.boxes[0, 2] / 2


def test_a_face_is_found_in_every_frame(picture, config):
    track = follow(_film(*[np.roll(picture, 3 * k, axis=1) for k in range(10)]), config)
    assert track.found.all()
    assert track.frames.shape == (10, config.size_px, config.size_px, 3)
    assert np.isfinite(track.landmarks).all()
    searched = ~np.isnan(track.score)
    assert searched.tolist() == [k % config.detect_every == 0 for k in range(10)]


def test_boxes_and_landmarks_move_with_the_picture(picture, config):
    still = follow(_film(picture), config)
    for shift in ((8, 0), (0, 16), (-8, -24)):
        moved = follow(_film(np.roll(picture, shift, axis=(0, 1))), config)
        by = np.array([shift[1], shift[0]])
        step = 8 / 80 * still.boxes[0, 2]  # the detector moves by cells of a tenth of its window, and grows by a fifth
        np.testing.assert_allclose(_centre(moved) - _centre(still), by, atol=step)
        assert moved.boxes[0, 2] == pytest.approx(still.boxes[0, 2], rel=0.21)
        assert np.abs(moved.landmarks[0] - still.landmarks[0] - by).mean() < 2.5


def test_landmarks_do_not_depend_on_the_resolution(picture, config):
    small = follow(_film(picture), config).landmarks[0]
    large = follow(_film(cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)), config).landmarks[0]
    face = np.ptp(small[:, 0])
    assert np.abs(large / 3 - small).mean() < 0.03 * face


def test_a_blank_picture_has_no_face_and_keeps_its_centre(config):
    track = follow(_film(BLANK, BLANK), config)
    assert not track.found.any()
    assert np.isnan(track.landmarks).all()
    assert np.isnan(track.boxes).all()
    assert np.isnan(track.score).all()
    assert track.region.tolist() == [40, 0, 240]


def test_a_lost_face_is_lost_and_found_again_at_once(picture, config):
    track = follow(_film(picture, picture, BLANK, BLANK, BLANK, picture, picture), config)
    assert track.found.tolist() == [True, True, False, False, False, True, True]
    assert np.isnan(track.landmarks[2:5]).all()
    np.testing.assert_array_equal(track.region, region_around(track.boxes[track.found], margin=config.margin))


def test_a_face_far_away_is_found_at_full_resolution(picture, config):
    scene = np.full((960, 1280, 3), 200, np.uint8)
    scene[300:540, 400:720] = picture
    track = follow(_film(scene), replace(config, detect_px=80))
    assert track.found.all()
    assert 400 < track.landmarks[0, :, 0].mean() < 720


def test_the_followed_face_stays_the_followed_face(picture, config):
    scene = np.concatenate([picture, np.full_like(picture, 200)], axis=1)
    both = np.concatenate([picture, picture], axis=1)
    track = follow(_film(scene, both, both, both, both, both), config)
    assert (track.boxes[:, 0] < 320).all()


def test_an_iterator_and_a_list_give_the_same(picture, config, monkeypatch):
    film = _film(*[np.roll(picture, 3 * k, axis=1) for k in range(5)])
    monkeypatch.setattr("mien.faces.track.KEPT_BYTES", 2 * picture.nbytes)  # a list is read twice
    from_list, from_iterator = follow(film, config), follow(iter(film), config)
    for name in ("frames", "landmarks", "boxes", "region", "score", "found"):
        np.testing.assert_array_equal(getattr(from_list, name), getattr(from_iterator, name))


def test_a_cropped_picture_is_its_own_region(picture, config):
    square = cv2.resize(picture[:, 40:280], (48, 48), interpolation=cv2.INTER_AREA)
    track = follow(_film(square), config, cropped=True)
    assert track.found.all()
    assert track.region.tolist() == [0, 0, 48]
    np.testing.assert_array_equal(track.frames[0], square)
    assert ((track.landmarks > -10) & (track.landmarks < 58)).all()


@pytest.mark.parametrize("region", [(-10, -20, 60), (280, 200, 80), (-50, -50, 500), (10, 10, 24)])
def test_a_region_beyond_the_edge_continues_the_edge(picture, region):
    left, top, side = region
    pad = 600
    padded = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    inside = cut_region(padded, np.array([left + pad, top + pad, side]), size_px=32)
    np.testing.assert_array_equal(cut_region(picture, np.array(region), size_px=32), inside)


def test_films_without_frames_and_with_changing_frames_are_refused(picture, config):
    with pytest.raises(MediaError, match="no frames"):
        follow([], config)
    with pytest.raises(MediaError, match="changes its size"):
        follow(_film(picture, picture[:100]), config)


def test_all_real_stills_have_exactly_one_face(shared, config):
    for file in sorted((shared / "data" / "ravdess" / "stills").glob("*.png")):
        real = media.read_image(file)
        grey = cv2.cvtColor(real, cv2.COLOR_RGB2GRAY)
        assert len(detect.search_faces(grey, config.detect_px, thorough=True)) == 1, file.name
        track = follow(_film(real), config)
        points = track.landmarks[0]
        eyes, mouth = points[36:48, 1].mean(), points[48:, 1].mean()
        assert eyes < points[30, 1] < mouth, f"{file.name}: the nose lies between eyes and mouth"


@pytest.fixture(scope="module")
def pair() -> np.ndarray:
    """Return two faces side by side (240, 640, 3): the right one is a fifth smaller."""
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


def test_the_network_of_dlib_finds_profile_views(config):
    left, front = (still(size=(384, 255), yaw_deg=yaw_deg) for yaw_deg in (-90.0, 0.0))
    box = {}
    for detector in ("hog", "cnn"):
        track = follow(_film(front), replace(config, detector=detector))
        assert track.found.all()
        assert np.isfinite(track.landmarks).all()
        box[detector] = detect.Box(*track.boxes[0], track.score[0])
    assert box["hog"].overlap(box["cnn"]) > 0.6
    assert not follow(_film(left), config).found.any()
    track = follow(_film(left, left), replace(config, detector="cnn"))
    assert track.found.all()  # where it was searched, and where it was followed
    assert np.isfinite(track.score).tolist() == [True, False]


def test_the_predictor_is_found_without_importing_its_package():
    assert detect.model_file().stat().st_size == 99693937
    assert detect.PACKAGE not in sys.modules


def test_a_missing_predictor_says_what_to_install(monkeypatch):
    monkeypatch.setattr(detect, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install"):
        detect.model_file()
