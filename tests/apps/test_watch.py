"""`mien watch` writes whole films and tables, keeps to the clock when it runs, and ends when it is told to."""

import csv
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict

import av
import numpy as np
import pytest

from apps.tiny_models import CLASSES, PREDICT, WATCH
from mien.apps import watch as watch_module
from mien.apps.engine import Moment
from mien.apps.models import load_models
from mien.apps.page import MjpegPage
from mien.apps.recording import judge_file
from mien.apps.watch import Clock, Prefetcher, run_stream
from mien.errors import ConfigError, MediaError
from mien.io import media

PARAMS = json.dumps({"watch": asdict(WATCH), "predict": PREDICT})


@pytest.fixture
def files(models):
    """Return model files, one for each role."""
    return [models[name] for name in ("N2", "VM", "AM")]


@pytest.fixture
def watch(files, capsys):
    """Return a function that runs `mien watch`: arguments -> what it prints."""

    def call(source, **options) -> str:
        watch_module.watch(str(source), checkpoint=files, config=PARAMS, **options)
        return capsys.readouterr().out

    return call


def test_the_command_reads_a_film_from_its_standard_input(models, media_folder, tmp_path):
    pictures = [picture for _, picture in media.read_frames(media_folder / "face.mp4")]
    media.write_video(tmp_path / "film.mkv", pictures, rate_fps=10)
    command = [sys.executable, "-m", "mien", "watch", "-", "--timeline", "all.csv", "--checkpoint", str(models["VM"])]
    with (tmp_path / "film.mkv").open("rb") as film:
        run = subprocess.run(command, stdin=film, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert f"-: {len(pictures)} frames" in run.stdout
    assert len((tmp_path / "all.csv").read_text().splitlines()) > 1


def _film(path):
    with av.open(str(path)) as film:
        pictures = [frame.time for frame in film.decode(video=0)]
        film.seek(0)
        heard = sum(frame.samples / frame.sample_rate for frame in film.decode(audio=0)) if film.streams.audio else 0.0
        return pictures, heard


def test_every_picture_of_a_film_is_written_with_its_sound(watch, media_folder, tmp_path):
    out, timeline = tmp_path / "out.mp4", tmp_path / "out.csv"
    line = watch(media_folder / "both.mp4", out=out, timeline=timeline)
    times = [time_s for time_s, _ in media.read_frames(media_folder / "both.mp4")]
    pictures, heard = _film(out)
    np.testing.assert_allclose(pictures, times, atol=1e-3)
    assert heard == pytest.approx(times[-1], abs=0.3)
    rows = list(csv.DictReader(timeline.open()))
    assert {row["used"] for row in rows} == {"face+voice"}
    for row in rows:
        assert row["label"] == max(CLASSES, key=lambda name: float(row[name]))
    assert f"{len(times)} frames" in line
    assert "dropped" not in line


@pytest.mark.parametrize("name", ["both.mp4", "half.mp4"])
def test_what_is_watched_is_what_is_predicted(watch, files, media_folder, tmp_path, name):
    watch(media_folder / name, timeline=tmp_path / "out.csv")
    watched = list(csv.DictReader((tmp_path / "out.csv").open()))
    windows = {"window_s": PREDICT["window_s"], "hop_s": PREDICT["hop_s"], "forget_s": WATCH.forget_s}
    predicted = judge_file(media_folder / name, load_models(files), **windows).rows
    assert len(predicted) > 1
    for row, other in zip(watched, predicted, strict=True):
        assert (int(row["person"]), row["used"]) == (other.person, "+".join(other.used))
        assert [float(row[side]) for side in ("start_s", "end_s")] == pytest.approx([other.start_s, other.end_s])
        if other.judged:
            np.testing.assert_allclose([float(row[name]) for name in CLASSES], other.probabilities, atol=2e-4)


def test_a_film_with_nothing_to_see_or_hear_says_so(watch, media_folder, tmp_path):
    line = watch(media_folder / "nothing.mp4", timeline=tmp_path / "out.csv")
    assert "no face; no voice" in line
    assert {(row["used"], row["label"]) for row in csv.DictReader((tmp_path / "out.csv").open())} == {("", "")}


def test_an_interrupt_leaves_a_whole_film(watch, media_folder, tmp_path, monkeypatch):
    show, shown = watch_module.Outputs.show, []

    def interrupting(self, moment, remark):
        shown.append(moment)
        if len(shown) == 5:
            signal.raise_signal(signal.SIGINT)
        show(self, moment, remark)

    monkeypatch.setattr(watch_module.Outputs, "show", interrupting)
    before = signal.getsignal(signal.SIGINT)
    out = tmp_path / "out.mp4"
    line = watch(media_folder / "both.mp4", out=out, timeline=tmp_path / "out.csv")
    assert signal.getsignal(signal.SIGINT) is before
    assert "interrupted" in line
    pictures, heard = _film(out)
    assert 5 <= len(pictures) < 15
    assert heard < pictures[-1] + 0.2
    assert len((tmp_path / "out.csv").read_text().splitlines()) >= 2


def test_a_damaged_film_is_written_until_there_and_reported(watch, media_folder, tmp_path):
    pictures = [picture for _, picture in media.read_frames(media_folder / "both.mp4")]
    media.write_video(tmp_path / "whole.avi", pictures, rate_fps=10, codecs=("mpeg4", "aac"))
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: int(0.9 * len(content))])
    with pytest.raises(MediaError, match=r"cut\.avi"):
        watch(tmp_path / "cut.avi", out=tmp_path / "out.mp4")
    assert 3 < len(_film(tmp_path / "out.mp4")[0]) < len(pictures)


def test_places_that_cannot_be_written_are_refused_at_once(watch, media_folder, tmp_path):
    with pytest.raises(MediaError, match="a film ends in one of"):
        watch(media_folder / "both.mp4", out=tmp_path / "out.txt")
    with pytest.raises(ConfigError, match="is the source"):
        watch(media_folder / "both.mp4", out=media_folder / "both.mp4")
    with pytest.raises(ConfigError, match="is a folder"):
        watch(media_folder / "both.mp4", timeline=tmp_path)
    with pytest.raises(ConfigError, match="name the same file"):
        watch(media_folder / "both.mp4", out=tmp_path / "one.mp4", timeline=tmp_path / "one.mp4")


class _Camera:
    """Gives pictures when their time has come, however fast they are taken."""

    def __init__(self, n_frames: int, rate_fps: float, *, live: bool) -> None:
        self.n_frames, self.rate_fps, self.live = n_frames, rate_fps, live
        self.closed = False

    def __iter__(self):
        from mien.apps.sources import Picture

        start = time.monotonic()
        for k in range(self.n_frames):
            if self.live:
                time.sleep(max(0.0, start + k / self.rate_fps - time.monotonic()))
            yield Picture(k / self.rate_fps, np.zeros((4, 4, 3), np.uint8), np.zeros(0, np.float32))

    def close(self) -> None:
        self.closed = True


class _Slow:
    """Looks for a while at each picture."""

    def __init__(self, look_s: float) -> None:
        self.look_s = look_s

    def add_sound(self, samples):
        assert not len(samples)

    def add(self, time_s, picture, samples, cut):
        time.sleep(self.look_s)
        return []

    def moment(self, time_s, picture):
        return Moment(time_s, picture, (), False, None, None, ())

    def finish(self):
        return []


class _Shown:
    """Stands for `Outputs`."""

    def __init__(self, show) -> None:
        self.show = show

    def write(self, rows) -> None:
        assert rows == []


@pytest.mark.parametrize("live", [True, False])
def test_pictures_for_which_there_is_no_time_are_dropped_and_counted(live):
    source, shown = _Camera(30, 50.0, live=live), []
    clock = Clock(drops=True, paces=not live, stop=threading.Event())
    outputs = _Shown(lambda moment, remark: shown.append((moment.time_s, remark)))
    count = run_stream(source, _Slow(0.06), outputs, clock=clock)
    assert count.n_frames == 30
    assert len(shown) == 30 - count.n_dropped
    assert 8 < count.n_dropped < 25  # three in a picture's time, less what may be late or waits
    assert shown[-1][1].startswith("dropped ")
    assert [time_s for time_s, _ in shown] == sorted(time_s for time_s, _ in shown)
    assert source.closed


def test_a_hopeless_film_is_still_seen_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: now[0])
    clock = Clock(drops=True, paces=False, stop=threading.Event())
    kept = []
    for k in range(40):  # the decoder takes four times as long as the film runs
        kept.append(not clock.is_late(k * 0.04))
        now[0] += 0.16
    assert 0.2 < np.mean(kept[5:]) < 0.4


def test_errors_of_both_threads_arrive():
    def broken():
        yield 1
        raise MediaError("breaks off")

    with pytest.raises(MediaError, match="breaks off"):
        list(Prefetcher(broken(), stop=threading.Event()))

    def show(moment, remark):
        raise MediaError("disk full")

    clock = Clock(drops=False, paces=False, stop=threading.Event())
    with pytest.raises(MediaError, match="disk full"):
        run_stream(_Camera(20, 500.0, live=False), _Slow(0.001), _Shown(show), clock=clock)


def test_the_page_shows_the_newest_picture_and_serves_this_machine_only():
    with MjpegPage() as page:
        assert page.address.startswith("http://127.0.0.1:")
        assert "film" in urllib.request.urlopen(page.address, timeout=5).read().decode()
        elsewhere = urllib.request.Request(page.address, headers={"Host": "example.org"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(elsewhere, timeout=5)
        page.show(np.full((32, 48, 3), (200, 30, 30), np.uint8))
        film = urllib.request.urlopen(page.address + "film", timeout=5)
        assert film.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        head = [film.readline() for _ in range(4)]
        length = int(head[2].split(b":")[1])
        jpeg = np.frombuffer(film.read(length), np.uint8)
        import cv2

        np.testing.assert_allclose(cv2.imdecode(jpeg, cv2.IMREAD_COLOR).mean(axis=(0, 1)), [30, 30, 200], atol=6)
        assert page.watched.is_set()
