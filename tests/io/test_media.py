"""Media survive a round trip; what is no medium is refused by name."""

from fractions import Fraction

import av
import numpy as np
import pytest

from mien.errors import MediaError
from mien.io import media

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


FILM_S, BEEP_S = 2.0, 1.0  # length of the films below, and when the beep in their sound begins


def _beep(rate_hz: int, channels: int) -> np.ndarray:
    """Return silence with a tenth of a second of a tone in it, (channels, N) float32."""
    at_s = np.arange(round(FILM_S * rate_hz)) / rate_hz
    wave = 0.5 * np.sin(2 * np.pi * 440 * at_s) * ((at_s >= BEEP_S) & (at_s < BEEP_S + 0.1))
    return np.repeat(wave[None].astype(np.float32), channels, axis=0)


def _write_source(path, *, codec: str, rate_hz: int, layout: str = "mono", late_s: float = 0.0) -> None:
    """Write a film of 20 pictures, the first of them `late_s` after the beginning of the sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=10)
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        audio = container.add_stream(codec, rate=rate_hz, layout=layout)
        for k, picture in enumerate(_frames(20)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round((k / 10 + late_s) * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        wave = _beep(rate_hz, {"mono": 1, "stereo": 2, "5.1": 6}[layout])
        for start in range(0, wave.shape[1], rate_hz // 10):
            block = np.ascontiguousarray(wave[:, start : start + rate_hz // 10])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def _beep_at_s(path) -> float:
    """Return when the beep begins, in s after the first picture."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp")
        for frame in container.decode(audio=0):
            for block in resampler.resample(frame):
                loud = np.flatnonzero(np.abs(block.to_ndarray()).max(axis=0) > 0.2)
                if len(loud):
                    return block.time + loud[0] / block.sample_rate - first
    raise AssertionError(f"{path}: no beep")


def _copy_film(source, target) -> None:
    with media.FilmWriter(target, rate_fps=10, sound_of=source) as film:
        for time_s, picture in media.read_frames(source):
            film.write(time_s, picture)


@pytest.mark.parametrize(
    ("name", "made", "target", "codec", "rate_hz", "channels"),
    [
        ("a.mp4", {"codec": "aac", "rate_hz": 48000}, "b.mp4", "aac", 48000, 1),
        ("a.mp4", {"codec": "aac", "rate_hz": 44100, "layout": "5.1"}, "b.mkv", "aac", 44100, 6),
        ("a.flv", {"codec": "libmp3lame", "rate_hz": 44100}, "b.mp4", "mp3", 44100, 1),
        ("a.mkv", {"codec": "pcm_s16le", "rate_hz": 8000}, "b.mp4", "aac", 8000, 1),
        ("a.mkv", {"codec": "flac", "rate_hz": 96000, "layout": "stereo"}, "b.mov", "aac", 96000, 2),
        ("a.mkv", {"codec": "pcm_s16le", "rate_hz": 192000, "layout": "5.1"}, "b.mp4", "aac", 48000, 6),
        ("a.avi", {"codec": "pcm_s16le", "rate_hz": 44100}, "b.mp4", "aac", 44100, 1),
        ("a.mkv", {"codec": "aac", "rate_hz": 48000, "late_s": 0.5}, "b.mp4", "aac", 48000, 1),
        ("a.mkv", {"codec": "pcm_s16le", "rate_hz": 48000, "late_s": 0.5}, "b.mp4", "aac", 48000, 1),
    ],
)
def test_a_film_keeps_times_and_sound_in_step(tmp_path, name, made, target, codec, rate_hz, channels):
    source, target = tmp_path / name, tmp_path / target
    _write_source(source, **made)
    _copy_film(source, target)
    times = [[time_s for time_s, _ in media.read_frames(path)] for path in (source, target)]
    np.testing.assert_allclose(times[1], times[0], atol=1e-3)  # Matroska counts in ms
    assert _beep_at_s(target) == pytest.approx(BEEP_S - made.get("late_s", 0.0), abs=2e-3)
    with av.open(str(target)) as container:
        sound = container.streams.audio[0].codec_context
        assert (sound.codec.canonical_name, sound.rate, sound.channels) == (codec, rate_hz, channels)
        longest_s = 0.2 if target.suffix == ".mkv" else 0.1  # one block of sound, and its lead-in
        assert container.duration / 1e6 == pytest.approx(FILM_S, abs=longest_s)
    if codec == made["codec"] and "late_s" not in made and target.suffix == ".mp4":  # packets were copied
        np.testing.assert_array_equal(media.read_sound(target)[0], media.read_sound(source)[0])


def test_a_film_keeps_a_variable_rate_and_equal_input_gives_equal_bytes(tmp_path):
    times = np.round([0.0, 0.01, 0.2, 0.21, 0.9, 1.0, 1.7], 3)
    for name in ("a.mp4", "b.mp4"):
        with media.FilmWriter(tmp_path / name) as film:
            for time_s, picture in zip(times, _frames(len(times)), strict=True):
                film.write(time_s, picture[:95, :127])  # odd sides are filled up
    back = list(media.read_frames(tmp_path / "a.mp4"))
    np.testing.assert_allclose([time_s for time_s, _ in back], times, atol=1e-4)
    np.testing.assert_allclose([picture.mean() for _, picture in back], 20 + 8 * np.arange(len(times)), atol=3)
    assert back[0][1].shape == (96, 128, 3)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert not media.probe(tmp_path / "a.mp4").has_audio


def test_of_a_film_that_fails_nothing_is_left(tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"what was here before")
    with pytest.raises(KeyError), media.FilmWriter(tmp_path / "old.mp4") as film:
        film.write(0.0, _frames(1)[0])
        raise KeyError
    with pytest.raises(MediaError, match="no pictures"), media.FilmWriter(tmp_path / "none.mp4"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"what was here before"


@pytest.mark.parametrize(
    ("name", "sound_of", "word"),
    [
        ("a.webm", None, r"a\.webm: a film ends in one of \.mp4"),
        ("a", None, "a film ends in one of"),
        ("folder.mp4", None, r"folder\.mp4: is a folder"),
        ("file/a.mp4", None, "the film cannot be written"),
        ("a.mp4", "gone.mp4", r"gone\.mp4: no such file"),
        ("a.mp4", "file", "file: not a video or sound"),
    ],
)
def test_a_film_that_cannot_be_is_refused_in_a_sentence(tmp_path, name, sound_of, word):
    (tmp_path / "file").write_text("only words\n" * 50)
    (tmp_path / "folder.mp4").mkdir()
    before = sorted(tmp_path.iterdir())
    with (
        pytest.raises(MediaError, match=word) as error,
        media.FilmWriter(tmp_path / name, sound_of=sound_of and tmp_path / sound_of) as film,
    ):
        film.write(0.0, _frames(1)[0])
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before
