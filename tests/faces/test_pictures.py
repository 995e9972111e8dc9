"""Tables of pixels come in several forms; broken films keep their good frames and say so."""

import numpy as np
import pytest

from mien.errors import CorpusError
from mien.faces.extract import VideoFrames, describe_missing_frames, describe_truncation, open_pictures, read_pixel_rows
from mien.io import media

GREY = np.arange(16).reshape(4, 4)


@pytest.mark.parametrize("header", ["emotion,pixels,Usage", "emotion, Usage, pixels", "pixels"])
def test_columns_come_in_any_order(tmp_path, header):
    text = " ".join(map(str, GREY.ravel()))
    row = ",".join(text if name.strip() == "pixels" else "0" for name in header.split(","))
    (tmp_path / "a.csv").write_text(f"{header}\n{row}\n{row}\n")
    pictures = read_pixel_rows(tmp_path / "a.csv", [1])
    assert pictures.keys() == {1}
    np.testing.assert_array_equal(pictures[1], np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("pixels", ["", "1 2 3", "1 2 3 x", "1 2 3 300", "1 2 3 -1"])
def test_rows_that_are_no_picture_are_left_out(tmp_path, pixels):
    (tmp_path / "a.csv").write_text(f"emotion,pixels\n0,{pixels}\n0,1 2 3 4\n")
    assert read_pixel_rows(tmp_path / "a.csv", [0, 1, 7]).keys() == {1}


def test_a_table_without_pixels_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("emotion,Usage\n0,Training\n")
    with pytest.raises(CorpusError, match="pixels"):
        read_pixel_rows(tmp_path / "a.csv", [0])
    with pytest.raises(CorpusError, match="no such file"):
        read_pixel_rows(tmp_path / "b.csv", [0])


def _noise(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)
    codec = "flv" if name.endswith(".flv") else "mpeg4"
    media.write_video(tmp_path / name, frames, rate_fps=10, codecs=(codec, "aac"))
    return tmp_path / name


@pytest.mark.parametrize("name", ["half.mkv", "half.flv"])
def test_half_a_film_keeps_its_good_frames_and_says_so(tmp_path, name):
    path = _noise(tmp_path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    footage = VideoFrames(path, 10)
    n_read = sum(1 for _ in footage)
    assert 5 < n_read < 35
    assert footage.end_s == pytest.approx(n_read / 10)
    assert footage.problem or "ends after" in describe_truncation(path, footage.end_s)


def test_a_whole_film_has_no_problem_and_can_be_read_twice(tmp_path):
    footage = open_pictures(_noise(tmp_path, "whole.mkv"), 10)
    assert [sum(1 for _ in footage), sum(1 for _ in footage)] == [40, 40]
    assert footage.problem == ""
    assert describe_truncation(footage.path, footage.end_s) == ""


def test_a_few_frames_that_are_missing_are_noted(tmp_path):
    path = _noise(tmp_path, "whole.mp4")
    for end_s in (4.0, 3.9):  # tracks of a good film differ by a frame
        assert describe_missing_frames(path, end_s) == ""
    for end_s in (3.8, 3.2):
        assert describe_truncation(path, end_s) == ""
        assert (
            describe_missing_frames(path, end_s)
            == f"{path}: its pictures end after {end_s:.2f} s of 4.00 s; frames at its end are missing"
        )
