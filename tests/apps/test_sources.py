"""Pictures and sound come in the order of time, whatever holds them; what cannot be watched is said in a sentence."""

import io
import os
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.apps import sources
from mien.apps.sources import open_source
from mien.errors import MediaError

RATE = 16000


def write(path: Path, *, times=None, rate_hz=RATE, layout="mono", codecs=("mpeg4", "pcm_s16le"), n=20, split=False):
    """Write n pictures whose grey level is 10 k, at 10 fps or at `times`, and a tone that sounds from 1 s on.

    split : all pictures come before all sound, as a writer leaves it that does not interleave.
    """
    times = [k / 10 for k in range(n)] if times is None else times
    with av.open(str(path), "w", options={"max_interleave_delta": "1"} if split else {}) as film:
        video = film.add_stream(codecs[0], rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = film.add_stream(codecs[1], rate=rate_hz, layout=layout)
        channels = audio.codec_context.channels
        place = 0
        wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(2.0 * rate_hz)) / rate_hz)
        wave[:rate_hz] = 0.0
        late = []
        for k, time_s in enumerate(times):
            grey = np.full((64, 96, 3), 10 * k, np.uint8)
            grey[:16, :24] = 255  # left top
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            film.mux(video.encode(frame))
            block = wave[place : round((time_s + 0.1) * rate_hz)]
            if len(block):
                values = np.repeat((block * 32767).astype(np.int16)[:, None], channels, axis=1).reshape(1, -1)
                sound = av.AudioFrame.from_ndarray(values, format="s16", layout=layout)
                sound.rate, sound.pts = rate_hz, place
                place += len(block)
                late.append(sound) if split else film.mux(audio.encode(sound))
        film.mux(video.encode(None))
        for sound in late:
            film.mux(audio.encode(sound))
        film.mux(audio.encode(None))
    return path


def read(source):
    """Return (times, pictures, wave); checks that with a picture comes all sound up to it, and none beyond."""
    items = list(source)
    source.close()
    shown = [item for item in items if item.pixels is not None]  # after them the rest of the sound comes
    times = np.array([item.time_s for item in shown])
    if source.has_sound:
        assert np.cumsum([len(item.sound) for item in shown]).tolist() == np.round(times * RATE).astype(int).tolist()
    return times, [item.pixels for item in shown], np.concatenate([item.sound for item in items])


SOUNDS = {
    "8k.mkv": {"rate_hz": 8000},
    "96k.mkv": {"rate_hz": 96000},
    "surround.mkv": {"layout": "5.1", "codecs": ("mpeg4", "flac"), "rate_hz": 48000},
    "stereo.mp4": {"layout": "stereo", "codecs": ("mpeg4", "aac"), "rate_hz": 44100},
    "apart.avi": {"split": True},
}


@pytest.mark.parametrize("name", SOUNDS)
def test_any_sound_stands_at_its_time(tmp_path, name):
    source = open_source(str(write(tmp_path / name, **SOUNDS[name])), rate_hz=RATE)
    times, pictures, wave = read(source)
    np.testing.assert_allclose(times, np.arange(20) / 10, atol=1e-6)
    assert [round(float(picture[-8:].mean()) / 10) for picture in pictures] == list(range(20))
    assert np.abs(wave[: int(0.95 * RATE)]).max() < 0.01
    assert np.abs(wave[int(1.05 * RATE) :]).max() == pytest.approx(0.5, abs=0.1)
    assert wave.dtype == np.float32
    assert source.problem == ""


def test_a_variable_rate_stays_variable(tmp_path):
    times = [5.0, 5.04, 5.3, 5.9, 6.0]  # begins late: time 0 is the first picture, the sound before it is left out
    source = open_source(str(write(tmp_path / "vfr.mkv", times=times)), rate_hz=RATE)
    found = [item.time_s for item in source]
    source.close()
    np.testing.assert_allclose(found, np.array(times) - 5.0, atol=2e-3)


def test_a_pause_in_the_sound_is_silence(tmp_path):
    path = write(tmp_path / "pause.mkv", times=[0.0, 0.1, 0.2, 1.2, 1.3])
    wave = read(open_source(str(path), rate_hz=RATE))[2]
    assert len(wave) == pytest.approx(1.4 * RATE, abs=2)


def test_a_film_of_a_phone_is_upright(tmp_path):
    path = write(tmp_path / "phone.mp4", codecs=("mpeg4", "aac"), n=3)
    whole = path.read_bytes()
    flat = b"".join(value.to_bytes(4, "big") for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    turned = b"".join(value.to_bytes(4, "big") for value in (0, 1 << 16, 0, (1 << 32) - (1 << 16), *[0] * 4, 1 << 30))
    place = whole.index(flat, whole.index(b"tkhd"))  # of the first track, the video
    path.write_bytes(whole[:place] + turned + whole[place + len(flat) :])
    _, pictures, _ = read(open_source(str(path), rate_hz=RATE))
    assert pictures[0].shape == (96, 64, 3)
    assert pictures[0][4:20, -12:-4].mean() > 200  # what was left top is right top: turned clockwise


def test_a_film_that_ends_in_a_frame_is_shown_until_there(tmp_path):
    for name, share in (("a.mkv", 0.4), ("a.avi", 0.5)):
        whole = write(tmp_path / name, n=25).read_bytes()
        cut = tmp_path / f"cut-{name}"
        cut.write_bytes(whole[: int(share * len(whole)) + 3])
        source = open_source(str(cut), rate_hz=RATE)
        times = read(source)[0]
        assert 5 < len(times) < 20
        np.testing.assert_allclose(times, np.arange(len(times)) / 10, atol=2e-3)
        assert str(cut) in source.problem


class _Input:
    """Stands for sys.stdin: a pipe that something writes to."""

    def __init__(self, content: bytes) -> None:
        self._read, write = os.pipe()
        self._thread = threading.Thread(target=self._feed, args=(write, content))
        self._thread.start()

    def _feed(self, write: int, content: bytes) -> None:
        with open(write, "wb") as file:
            file.write(content)

    def fileno(self) -> int:
        return self._read


def test_a_pipe_is_read_as_it_comes(tmp_path, monkeypatch):
    content = write(tmp_path / "film.mkv").read_bytes()
    monkeypatch.setattr(sys, "stdin", _Input(content))
    times, _, wave = read(open_source("-", rate_hz=RATE))
    assert len(times) == 20
    assert np.abs(wave[int(1.05 * RATE) :]).max() == pytest.approx(0.5, abs=0.01)


def test_a_pipe_whose_sound_lags_goes_on_without_it(tmp_path, monkeypatch):
    content = write(tmp_path / "film.avi", split=True).read_bytes()
    monkeypatch.setattr(sys, "stdin", _Input(content))
    monkeypatch.setattr(sources, "PICTURES_WAIT", 4)
    source = open_source("-", rate_hz=RATE)
    items = [item for item in source if item.pixels is not None]
    source.close()
    assert len(items) == 20
    assert not any(len(item.sound) for item in items[:4])


@pytest.mark.parametrize("content", [b"", b"only words, line after line\n" * 99])
def test_a_pipe_without_a_film_is_refused(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", _Input(content))
    with pytest.raises(MediaError, match="standard input: is closed, or not a film"):
        open_source("-", rate_hz=RATE)


def test_what_cannot_be_watched_is_said(tmp_path, monkeypatch):
    text = tmp_path / "notes.txt"
    text.write_text("only words, line after line\n" * 99)
    sound = tmp_path / "voice.wav"
    with av.open(str(sound), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    expected = {
        str(text): "is a text, not a video or sound",
        str(sound): "no moving picture to watch",
        str(tmp_path / "none.mp4"): "no such file",
        str(tmp_path): "is a folder",
        "camera:77": "there is no camera /dev/video77",
    }
    for source, message in expected.items():
        with pytest.raises(MediaError, match=message):
            open_source(source, rate_hz=RATE)
    for closed in (io.StringIO(), None):  # without a descriptor; as Python has it where the shell closed it
        monkeypatch.setattr(sys, "stdin", closed)
        with pytest.raises(MediaError, match="standard input: is closed"):
            open_source("-", rate_hz=RATE)
