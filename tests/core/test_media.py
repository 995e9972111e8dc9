"""Media survive a round trip; what is no medium is refused by name."""

import numpy as np
import pytest

from mien.core import media
from mien.core.errors import MediaError

RATE_HZ = 16000


def _frames(n: int) -> list[np.ndarray]:
    return [np.full((96, 128, 3), 20 + 8 * k, np.uint8) for k in range(n)]


def _tone(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "codecs", "rate_hz"),
    [
        ("a.mp4", ("libx264", "aac"), 48000),
        ("a.flv", ("flv", "libmp3lame"), 44100),
        ("a.mkv", ("mpeg4", "flac"), 16000),
    ],
)
def test_video_round_trip(tmp_path, name, codecs, rate_hz):
    path = tmp_path / name
    media.write_video(path, _frames(20), rate_fps=10, wave=_tone(2.0, rate_hz), rate_hz=rate_hz, codecs=codecs)
    frames = list(media.read_frames(path))
    np.testing.assert_allclose([picture.mean() for _, picture in frames], 20 + 8 * np.arange(20), atol=3)
    np.testing.assert_allclose([time_s for time_s, _ in frames], np.arange(20) / 10, atol=0.02)
    wave, rate = media.read_sound(path)
    assert rate == rate_hz
    assert wave.shape[1] / rate == pytest.approx(2.0, abs=0.15)


def test_equal_input_gives_equal_bytes(tmp_path):
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in paths:
        media.write_video(path, _frames(5), rate_fps=10, wave=_tone(0.5, 48000))
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("rate_fps", [5, 10, 25])
def test_resampling_shows_the_picture_of_the_moment(tmp_path, rate_fps):
    path = tmp_path / "a.mp4"
    media.write_video(path, _frames(20), rate_fps=10)
    frames = list(media.read_frames(path, rate_fps))
    np.testing.assert_allclose([time_s for time_s, _ in frames], np.arange(len(frames)) / rate_fps, atol=1e-9)
    shown = np.floor(np.arange(len(frames)) / rate_fps * 10 + 1e-6)
    np.testing.assert_allclose([picture.mean() for _, picture in frames], 20 + 8 * shown, atol=3)


def test_sound_round_trip_is_exact_to_16_bits(tmp_path):
    wave = np.stack([_tone(0.3), -_tone(0.3)])
    media.write_sound(tmp_path / "a.wav", wave, RATE_HZ)
    back, rate = media.read_sound(tmp_path / "a.wav")
    assert rate == RATE_HZ
    np.testing.assert_allclose(back, wave, atol=1.0 / 32768)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("text.wav", b"this is no sound at all, only words\n" * 20, "not a video or sound"),
        ("empty.mp4", b"", "empty"),
        ("pointer.flv", media.LFS_POINTER + b"v1\noid sha256:0\nsize 1\n", "git-lfs pointer"),
        ("absent.mp4", None, "no such file"),
    ],
)
def test_what_is_no_medium_is_refused_by_name(tmp_path, name, content, word):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for read in (media.probe, media.read_sound, lambda path: list(media.read_frames(path))):
        with pytest.raises(MediaError, match=word) as error:
            read(path)
        assert name in str(error.value)


def test_a_truncated_mp4_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    media.write_video(path, _frames(20), rate_fps=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError):
        list(media.read_frames(path))


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "I;16"])
def test_images_of_every_mode_become_rgb(tmp_path, mode):
    from PIL import Image

    grey = np.linspace(0, 255, 64 * 48).reshape(48, 64)
    picture = Image.fromarray(grey.astype(np.uint8))
    if mode == "I;16":
        picture = Image.fromarray((grey * 257).astype(np.uint16))
    elif mode != "L":
        picture = picture.convert(mode)
    picture.save(tmp_path / "a.tiff")
    back = media.read_image(tmp_path / "a.tiff")
    assert back.dtype == np.uint8
    np.testing.assert_allclose(back, np.repeat(grey[..., None], 3, axis=2), atol=2)


def test_a_broken_image_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    with pytest.raises(MediaError, match=r"a\.png"):
        media.read_image(path)
