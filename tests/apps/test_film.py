"""The film of a clip has its pictures, its times and its sound; what is no film is said, what is damaged is refused."""

import shutil
from fractions import Fraction

import av
import numpy as np
import pytest

from apps.streaming_models import ROWS, write_streaming
from mien.apps import annotate
from mien.apps.models import load_streaming
from mien.apps.watch import write_film
from mien.config.schema import WatchConfig
from mien.errors import MediaError
from mien.io import media

WATCH = {"joint": "AV", "video": "V", "audio": "A", "forget_s": 1.0, "timeline_s": 5.0}


@pytest.fixture(scope="module")
def streaming(tmp_path_factory):
    """Return files of streaming networks with random weights."""
    folder = tmp_path_factory.mktemp("streaming")
    return sorted(write_streaming(folder / f"{row}.safetensors", row, rate_fps=5) for row in ROWS)


@pytest.fixture(scope="module")
def networks(streaming):
    """Return them loaded."""
    return load_streaming(streaming)


@pytest.fixture
def seen(monkeypatch):
    """Return the moments that are drawn."""
    moments, draw = [], annotate.Annotator.draw
    monkeypatch.setattr(annotate.Annotator, "draw", lambda *args, **kw: moments.append(args[1]) or draw(*args, **kw))
    return moments


def _times(path) -> list[float]:
    return [time_s for time_s, _ in media.read_frames(path)]


def _grey_film(path, times, *, size=(128, 96), wave=None, rate_hz=16000, layout="mono") -> None:
    """Write pictures of one grey at given times, and a wave (channels, N) if given."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("pcm_s16le", rate=rate_hz, layout=layout) if wave is not None else None
        for time_s in times:
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 100, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32), format="fltp", layout=layout)
            frame.rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
            container.mux([*audio.encode(frame), *audio.encode(None)])


def _noise(channels: int, rate_hz: int, seconds: float = 1.6) -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((channels, round(seconds * rate_hz)))


def test_the_film_of_a_clip_has_its_times_its_sound_and_its_face(
    run_predict, models, streaming, media_folder, tmp_path, seen
):
    clip, film = media_folder / "both.mp4", tmp_path / "film.mp4"
    networks = {"checkpoint": list(models.values()), "video_checkpoint": streaming, "params": {"watch": WATCH}}
    error, out, _ = run_predict(clip, out=tmp_path / "out", video=film, units=True, **networks)
    assert error == ""
    assert f"film: {film}" in out
    np.testing.assert_allclose(_times(film), _times(clip), atol=1e-4)
    for a, b in zip(media.read_sound(film), media.read_sound(clip), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"both.csv", "both.json", "both.units.csv"}
    assert all(len(moment.faces) == 1 for moment in seen)
    assert seen[-1].basis == ("face", "voice")
    assert seen[-1].faces[0].units is not None
    np.testing.assert_allclose([moment.time_s for moment in seen], _times(clip), atol=1e-6)
    error, _, _ = run_predict(clip, video=film, **networks | {"checkpoint": None})
    assert "mien watch CLIP --out FILM" in error  # without networks for whole clips, the way to a film is said


def test_every_clip_of_a_folder_has_its_film_or_a_sentence(run_predict, models, streaming, media_folder, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("voice.wav", "still.png", "nothing.mp4"):
        shutil.copy(media_folder / name, folder / name)
    whole = (media_folder / "nothing.mp4").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    networks = {"checkpoint": list(models.values()), "video_checkpoint": streaming, "params": {"watch": WATCH}}
    error, out, _ = run_predict(folder, out=tmp_path / "out", video=tmp_path / "films", **networks)
    assert "broken.mp4" in error
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert "no film" in lines["still.png"]
    assert "no film" in lines["voice.wav"]
    assert lines["nothing.mp4"].endswith(f"; film: {tmp_path / 'films' / 'nothing.mp4'}")
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["nothing.mp4"]


@pytest.mark.parametrize(("layout", "channels", "rate_hz"), [("mono", 1, 8000), ("5.1", 6, 48000)])
def test_sounds_of_every_kind_and_a_variable_rate_are_kept(networks, tmp_path, seen, layout, channels, rate_hz):
    times = [0.0, 0.04, 0.3, 0.9, 1.0, 1.5]
    source, film = tmp_path / "a.mkv", tmp_path / "a.mp4"
    _grey_film(source, times, wave=_noise(channels, rate_hz), rate_hz=rate_hz, layout=layout)
    write_film(source, film, networks, watch=WatchConfig(**WATCH))
    np.testing.assert_allclose(_times(film), times, atol=1e-4)
    wave, rate = media.read_sound(film)
    assert (len(wave), rate) == (channels, rate_hz)
    assert wave.shape[1] / rate == pytest.approx(1.6, abs=0.15)
    assert seen[-1].basis == ("voice",)


def test_a_film_that_breaks_off_leaves_nothing(networks, tmp_path):
    _grey_film(tmp_path / "cut.mkv", np.arange(30) / 10, size=(640, 360), wave=_noise(1, 16000, 3.0))
    whole = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"cut\.mkv") as error:
        write_film(tmp_path / "cut.mkv", tmp_path / "a.mp4", networks, watch=WatchConfig(**WATCH))
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mkv"]
