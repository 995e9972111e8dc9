"""A face is followed honestly, and its region is one square for the whole clip."""

import dataclasses

import cv2
import numpy as np
import pytest

from mien.errors import MediaError
from mien.faces.detect import search_faces
from mien.faces.track import cut_region, follow, region_around
from mien.io import media

BLANK = np.full((240, 320, 3), 120, np.uint8)


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
    track = follow(_film(scene), dataclasses.replace(config, detect_px=80))
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
        assert len(search_faces(grey, config.detect_px, thorough=True)) == 1, file.name
        track = follow(_film(real), config)
        points = track.landmarks[0]
        eyes, mouth = points[36:48, 1].mean(), points[48:, 1].mean()
        assert eyes < points[30, 1] < mouth, f"{file.name}: the nose lies between eyes and mouth"
