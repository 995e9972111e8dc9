"""The page keeps its limits and its promise to keep nothing; a real clip and a camera go all the way."""

import contextlib
import io
import os
import re
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from PIL import Image

from apps.tiny_models import CANDIDE, CLASSES, PREDICT, WATCH, write_model
from mien.apps import serve
from mien.apps.engine import JudgedFace, Moment, warm_up
from mien.apps.models import load_models
from mien.apps.page import listen, make_server
from mien.apps.recording import judge_file
from mien.apps.reference import PersonReference, read_reference
from mien.apps.serve import base_name
from mien.apps.summary import FilmSummary
from mien.config.schema import CandideConfig, PredictConfig, ServeConfig
from mien.errors import ConfigError, MediaError
from mien.io import media
from mien.training.clips import Reference

LIMITS = ServeConfig(port=0, upload_mib=1, upload_s=3.0, waiting=2)


class Stub:
    """Stands for `write_film` and judges nothing: waits until it may go on, then fails or ends."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.error: Exception | None = None
        self.ends_s = 1.0
        self.n_judged = 0

    def __call__(self, path, out, models, *, predict, watch, candide, cropped, reference, timeline, on_moment):
        def tell(time_s):
            on_moment(Moment(time_s, np.zeros((4, 4, 3), np.uint8), (), False, None, None, ()))

        self.n_judged += 1
        while not self.may_end.wait(0.01):
            tell(1.0)
        if self.error is not None:
            raise self.error
        tell(self.ends_s)
        out.write_bytes(path.read_bytes())
        timeline.write_text("time_s\n")
        return SimpleNamespace(verdict=np.full(len(CLASSES), np.nan))


class Site:
    """A running page and a client of it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder

    def ask(self, method: str, path: str, **options) -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=60, **options)

    def upload(self, content: bytes, name: str = "a.mp4", **query) -> requests.Response:
        return self.ask("POST", "/api/clips", params={"name": name, **query}, data=content)

    def wait(self, clip_id: str, state: str) -> dict:
        """Return the status of a clip as soon as it is in a state."""
        return _until(lambda: (now := self.ask("GET", f"/api/clips/{clip_id}").json())["state"] == state and now)

    def files(self) -> list[str]:
        """Return what lies in the temporary folder of the page."""
        return sorted(name for _, _, names in os.walk(self.folder) for name in names)


def _until(ready, *, timeout_s: float = 60.0):
    end = time.monotonic() + timeout_s
    while not (found := ready()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@contextlib.contextmanager
def _running(models, folder: Path, reference=None):
    """Run the page in a thread, with its temporary folder in `folder`; at the end nothing may be left there."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    with listen(0) as door:
        how = {"predict": PredictConfig(**PREDICT), "watch": WATCH, "candide": CandideConfig(**CANDIDE)}
        app = serve.build_app(models, **how, settings=LIMITS, reference=reference)
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            _until(lambda: server.started)
            tempfile.tempdir = before
            yield Site(door.getsockname()[1], folder)
        finally:
            server.should_exit = True
            thread.join(10)
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return small networks with random weights."""
    folder = tmp_path_factory.mktemp("networks")
    models = load_models([write_model(folder / f"{row}.safetensors", row) for row in ("N2", "VM", "AM")])
    warm_up(models, window_s=PREDICT["window_s"], hop_s=PREDICT["hop_s"])
    return models


@pytest.fixture
def stub(monkeypatch):
    """Return what judges in place of the networks and lets everything pass; clear `may_end` to make it wait."""
    judge = Stub()
    judge.may_end.set()
    monkeypatch.setattr(serve, "write_film", judge)
    return judge


@pytest.fixture
def site(models, stub, tmp_path):
    """Return a page with that judge."""
    (tmp_path / "site").mkdir()
    with _running(models, tmp_path / "site") as running:
        yield running


@pytest.fixture
def hasty_site(monkeypatch, request):
    """Return a page that keeps nothing for more than an instant."""
    for name, value in (("KEPT_S", 0.3), ("IDLE_S", 0.3), ("SWEEP_S", 0.05)):
        monkeypatch.setattr(serve, name, value)
    return request.getfixturevalue("site")


@pytest.fixture(scope="module")
def clip() -> bytes:
    """Return a film of 0.2 s without sound."""
    with tempfile.TemporaryDirectory() as folder:
        media.write_video(Path(folder, "a.mp4"), [np.zeros((64, 64, 3), np.uint8)] * 2, rate_fps=10)
        return Path(folder, "a.mp4").read_bytes()


def test_a_visitor_gets_the_film_and_nothing_stays(site, clip):
    answer = site.upload(clip, "..%2F../Ünsinn 1.mp4", units=True)
    assert answer.status_code == 202
    address = f"/api/clips/{answer.json()['id']}"
    done = site.wait(answer.json()["id"], "done")
    assert (done["answer"]["clip"], done["answer"]["sound"]) == ("Ünsinn 1.mp4", False)
    assert site.files() == ["film.mp4", "timeline.csv"]  # the upload is gone
    film = site.ask("GET", f"{address}/film.mp4", headers={"Range": "bytes=0-9"})
    assert (film.status_code, film.content, film.headers["content-type"]) == (206, clip[:10], "video/mp4")
    assert site.ask("GET", f"{address}/upload").status_code == 404
    assert site.ask("DELETE", address).status_code == 204
    assert site.files() == []
    assert site.ask("GET", address).status_code == 404


def test_the_page_works_without_other_hosts(site):
    page = site.ask("GET", "/")
    assert b"acted emotions are not feelings" in page.content
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("main.js", "clip.js", "camera.js", "worklet.js", "style.css", "icon.svg"):
        answer = site.ask("GET", f"/static/{name}")
        assert answer.status_code == 200
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", answer.content)
    assert [one["name"] for one in site.ask("GET", "/api/settings").json()["classes"]] == list(CLASSES)


def test_only_this_page_may_talk_to_it(site):
    for method, path, headers, expected in [
        ("GET", "/", {"Host": "evil.example"}, 400),
        ("GET", "/", {"Host": f"localhost:{site.port}"}, 200),
        ("POST", "/api/cameras", {"Origin": "http://evil.example"}, 403),
        ("POST", "/api/cameras", {"Origin": "null"}, 403),
        ("DELETE", "/api/cameras/x", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", "/api/cameras", {"Origin": f"http://127.0.0.1:{site.port}"}, 201),
    ]:
        assert site.ask(method, path, headers=headers).status_code == expected, (path, headers)


def test_what_cannot_be_judged_or_is_too_large_is_refused_in_a_sentence(site, clip, stub, tmp_path):
    media.write_video(tmp_path / "long.mp4", [np.zeros((64, 64, 3), np.uint8)] * 8, rate_fps=2)
    picture = io.BytesIO()
    Image.new("1", (12000, 10000)).save(picture, "PNG")
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    for content, expected, words in [
        (picture.getvalue(), 415, "a picture of 12000x10000; at most 100 million pixels"),
        (playlist, 415, "cannot be read"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "cannot be read"),
        (clip[: len(clip) // 3], 415, "cannot be read"),
        (b"", 415, "cannot be read"),
        ((tmp_path / "long.mp4").read_bytes(), 422, "is 4 s long, and at most 3 s are taken"),
        (bytes(5 * 2**20), 413, "at most 1 are taken"),
    ]:
        answer = site.upload(content, "film.mp4")
        assert answer.status_code == expected, answer.text
        sentence = answer.json()["detail"]
        assert words in sentence
        assert "\n" not in sentence
        assert str(site.folder) not in sentence
    assert (site.files(), stub.n_judged) == ([], 0)


def test_a_photograph_larger_than_films_may_be_is_made_smaller(site, stub):
    stub.may_end.clear()
    picture = io.BytesIO()
    Image.new("RGB", (6000, 4000)).save(picture, "JPEG")
    answer = site.upload(picture.getvalue(), "photo.jpg")
    assert answer.status_code == 202, answer.text
    (upload,) = site.folder.rglob("upload")
    assert media.read_image(upload).shape == (2508, 3762, 3)
    stub.may_end.set()
    site.wait(answer.json()["id"], "done")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.mp4", "a.mp4"),
        ("C:a.mp4", "a.mp4"),
        ("/", "clip"),
        ("..", "clip"),
        ("a\x00\r\nb\u202e.mp4", "ab.mp4"),
        ("x" * 500 + ".mp4", "x" * 116 + ".mp4"),
    ],
)
def test_names_lose_their_paths(text, shown):
    assert base_name(text) == shown


def test_of_many_at_once_some_wait_and_the_others_come_back_later(site, clip, stub):
    stub.may_end.clear()
    answers = [site.upload(clip, f"{k}.mp4") for k in range(5)]
    assert [answer.status_code for answer in answers] == [202] * (1 + LIMITS.waiting) + [503] * 2
    first, leaves, last = (answer.json()["id"] for answer in answers[:3])
    site.wait(first, "judging")
    assert site.ask("GET", f"/api/clips/{first}/film.mp4").status_code == 409
    assert site.ask("GET", f"/api/clips/{last}").json()["ahead"] == 2
    site.ask("DELETE", f"/api/clips/{leaves}")
    assert site.upload(clip, "late.mp4").status_code == 202  # its place is free
    site.ask("DELETE", f"/api/clips/{first}")  # though the judge was never told that it may end
    stub.may_end.set()
    site.wait(last, "done")
    _until(lambda: stub.n_judged == 3)


@pytest.mark.parametrize(
    ("error", "words"),
    [(MediaError("a.mp4: breaks off"), "a.mp4: breaks off"), (RuntimeError("secret"), "a fault of the program")],
)
def test_a_clip_that_fails_leaves_the_page_up(site, clip, stub, error, words):
    stub.error = error
    status = site.wait(site.upload(clip).json()["id"], "failed")
    assert words in status["error"]
    assert "secret" not in status["error"]
    stub.error = None
    site.wait(site.upload(clip).json()["id"], "done")


def test_a_film_that_is_longer_than_it_says_is_left_off(site, clip, stub):
    stub.ends_s = 100.0
    assert "at most 3 s" in site.wait(site.upload(clip).json()["id"], "failed")["error"]


def test_what_nobody_asks_for_is_forgotten(hasty_site, clip, stub):
    uploaded = hasty_site.upload(clip).json()["id"]
    for _ in range(10):  # asking keeps it
        time.sleep(0.1)
        assert hasty_site.wait(uploaded, "done")
    cameras = [hasty_site.ask("POST", "/api/cameras") for _ in range(serve.MOST_CAMERAS + 1)]
    assert [answer.status_code for answer in cameras] == [201] * serve.MOST_CAMERAS + [503]
    _until(lambda: hasty_site.files() == [])
    assert hasty_site.ask("GET", f"/api/clips/{uploaded}").status_code == 404
    _until(lambda: hasty_site.ask("POST", "/api/cameras").status_code == 201)


def test_an_upload_that_breaks_off_frees_its_place(site, clip):
    for _ in range(LIMITS.waiting + 2):
        with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
            head = f"POST /api/clips HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Length: 1000\r\n\r\n"
            client.sendall(head.encode() + clip[:100])
            _until(lambda: "upload" in site.files())
        _until(lambda: site.files() == [])
    assert site.upload(clip).status_code == 202


def test_a_port_is_taken_or_impossible():
    with listen(0) as door, pytest.raises(ConfigError, match="cannot be used"):
        listen(door.getsockname()[1])
    with pytest.raises(ConfigError, match="--port 70000"):
        listen(70000)


def test_folders_of_killed_servers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("mien-serve-999999999-abc", "mien-serve-1-abc", "other"):
        (tmp_path / name).mkdir()
    serve.remove_leftovers()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mien-serve-1-abc", "other"]


def test_a_real_clip_from_upload_to_film(models, media_folder, tmp_path):
    with _running(models, tmp_path) as site:
        job = site.upload((media_folder / "both.mp4").read_bytes()).json()["id"]
        answer = site.wait(job, "done")["answer"]
        film, table = (site.ask("GET", f"/api/clips/{job}/{name}").content for name in ("film.mp4", "timeline.csv"))
    (tmp_path / "film.mp4").write_bytes(film)
    facts = media.probe(tmp_path / "film.mp4")
    assert (facts.has_video, facts.has_audio) == (True, True)
    expected = judge_file(media_folder / "both.mp4", models, window_s=PREDICT["window_s"], hop_s=PREDICT["hop_s"])
    assert list(answer["verdict"]["probabilities"].values()) == pytest.approx(list(expected.probabilities), abs=1e-4)
    assert (answer["kind"], answer["missing"]) == ("film", [])
    ends = [stretch["end_s"] for stretch in answer["timeline"]]
    assert [stretch["start_s"] for stretch in answer["timeline"]] == [0.0, *ends[:-1]]
    assert ends[-1] == answer["duration_s"] == pytest.approx(facts.duration_s, abs=0.15)
    assert sum(answer["verdict"]["seconds"].values()) == pytest.approx(answer["verdict"]["judged_s"], abs=0.01)
    assert table.decode().splitlines()[0].startswith(",".join(["start_s", "end_s", "face", "voice", "label", *CLASSES]))
    assert len(table.splitlines()) > 1


@pytest.mark.parametrize(
    ("name", "kind", "missing"), [("voice.wav", "sound", ["face"]), ("still.png", "picture", ["voice"])]
)
def test_a_sound_and_a_picture_are_judged_without_a_film(models, media_folder, tmp_path, name, kind, missing):
    with _running(models, tmp_path) as site:
        job = site.upload((media_folder / name).read_bytes(), name).json()["id"]
        answer = site.wait(job, "done")["answer"]
        film, table = (site.ask("GET", f"/api/clips/{job}/{file}") for file in ("film.mp4", "timeline.csv"))
        judged_by = site.ask("GET", "/api/settings").json()["judged_by"]
    assert (answer["clip"], answer["kind"], answer["missing"]) == (name, kind, missing)
    expected = judge_file(media_folder / name, models, window_s=PREDICT["window_s"], hop_s=PREDICT["hop_s"])
    assert list(answer["verdict"]["probabilities"].values()) == pytest.approx(list(expected.probabilities), abs=1e-4)
    assert sum(answer["verdict"]["seconds"].values()) == pytest.approx(answer["duration_s"], abs=0.01)
    assert (film.status_code, table.status_code) == (404, 200)
    assert len(table.text.splitlines()) == len(expected.rows) + 1
    assert "N2 of ravdess" in judged_by


def test_other_recordings_of_the_person_are_used_for_all_that_the_page_gets(media_folder, tmp_path):
    models = load_models([write_model(tmp_path / "own.safetensors", "units", normalise="subject")], reference=True)
    warm_up(models, window_s=PREDICT["window_s"], hop_s=PREDICT["hop_s"])
    own = read_reference([media_folder / "both.mp4"], models)
    far = PersonReference({"units": Reference(own.of["units"].mean - 9, own.of["units"].deviation / 9)}, 1)
    said, judged_by = [], []
    for reference in (None, far):
        folder = tmp_path / f"site-{len(said)}"
        folder.mkdir()
        with _running(models, folder, reference) as site:
            job = site.upload((media_folder / "face.mp4").read_bytes()).json()["id"]
            said.append(list(site.wait(job, "done")["answer"]["verdict"]["probabilities"].values()))
            judged_by.append(site.ask("GET", "/api/settings").json()["judged_by"])
    assert np.abs(np.subtract(*said)).max() > 0.003
    assert "reference" not in judged_by[0]
    assert judged_by[1].endswith("; reference of the person: folder, 1 recording")
    windows = {"window_s": PREDICT["window_s"], "hop_s": PREDICT["hop_s"], "forget_s": WATCH.forget_s}
    expected = judge_file(media_folder / "face.mp4", models, **windows, reference=far)
    assert said[1] == pytest.approx(list(expected.probabilities), abs=1e-4)


def _summarise(labels: str, *, basis=("face",), heard=False, has_sound=True) -> dict:
    """Return the answer to a film with a picture every 0.1 s: n, h, s, a (the classes) or - for no verdict."""
    summary = FilmSummary(CLASSES)
    for k, letter in enumerate(labels):
        one = None if letter == "-" else np.eye(len(CLASSES))["nhsa".index(letter)]
        box = np.array([1.0, 1.0, 9.0])
        face = JudgedFace(1, box, box, np.zeros((68, 2)), 1.0, True, one, np.full(8, 0.1 * k))
        faces = (face,) if "face" in basis and one is not None else ()
        voice = one if "voice" in basis else None
        picture = np.zeros((4, 4, 3), np.uint8)
        summary.add(Moment(k / 10, picture, faces, heard, voice, one, basis if one is not None else ()))
    judged = [np.eye(len(CLASSES))["nhsa".index(letter)] for letter in labels if letter != "-"]
    verdict = np.mean(judged, axis=0) if judged else np.full(len(CLASSES), np.nan)
    return summary.make_answer("a.mp4", has_sound=has_sound, verdict=verdict)


def test_the_verdict_is_the_engines_and_how_long_it_held_is_said():
    answer = _summarise("--nnnssaa")
    assert (answer["verdict"]["label"], answer["verdict"]["last"]) == ("neutral", "angry")
    assert answer["verdict"]["seconds"] == {"neutral": 0.3, "happy": 0.0, "sad": 0.2, "angry": 0.2}
    assert [(part["label"], part["start_s"], part["end_s"]) for part in answer["timeline"]] == [
        (None, 0.0, 0.2),
        ("neutral", 0.2, 0.5),
        ("sad", 0.5, 0.7),
        ("angry", 0.7, 0.9),
    ]
    assert answer["timeline"][1]["units"]["jaw drop"] == pytest.approx(0.3)  # mean of its frames 2, 3, 4
    sentence = "Neutral, 43% over the whole; the most probable for 43% of the time, angry at the end."
    assert answer["sentence"].startswith(sentence)


def test_what_is_missing_is_said():
    assert _summarise("h" * 12, basis=("face", "voice"), heard=True)["missing"] == []
    assert _summarise("h" * 12, basis=("voice",), heard=True)["missing"] == ["face"]
    assert _summarise("h" * 12, has_sound=False)["missing"] == ["voice"]
    nothing = _summarise("-" * 12)
    assert (nothing["verdict"]["label"], nothing["missing"]) == (None, ["face", "voice"])


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_a_camera_from_start_to_stop(models, media_folder, tmp_path):
    frames = list(media.read_frames(media_folder / "both.mp4", 5))
    wave, rate_hz = media.read_sound(media_folder / "both.mp4")
    samples = (32767 * wave.mean(axis=0)).astype("<i2")
    with _running(models, tmp_path) as site:
        camera, sent = site.ask("POST", "/api/cameras").json(), 0
        address = f"/api/cameras/{camera['id']}"

        def send(body: bytes, **query) -> requests.Response:
            return site.ask("POST", f"{address}/moments", params=query, data=body)

        for time_s, picture in frames:
            sound = samples[sent : round(time_s * rate_hz)].tobytes()
            sent = round(time_s * rate_hz)
            answer = send(sound + _jpeg(picture), time_s=time_s, sound_bytes=len(sound), sound_hz=rate_hz)
            moment = answer.json()
        assert moment["basis"] == ["face", "voice"]
        assert moment["heard"]
        assert sum(moment["probabilities"]) == pytest.approx(1.0, abs=1e-3)
        assert [face["found"] for face in moment["people"]] == [True]
        assert moment["size"] == list(frames[0][1].shape[1::-1])
        last = _jpeg(frames[-1][1])
        for body, query, expected in [
            (last, {"time_s": 0.1}, 422),  # runs back
            (last, {"time_s": "nan"}, 422),
            (last[5:], {"time_s": 90}, 422),
            (_jpeg(np.zeros((1600, 1600, 3), np.uint8)), {"time_s": 91}, 422),
            (last, {"time_s": 92, "sound_bytes": 999998}, 422),
            (last, {"time_s": 93, "sound_bytes": 3}, 422),
            (last, {"time_s": 94, "sound_hz": 1}, 422),
            (bytes(4 * 2**20), {"time_s": 95}, 413),
        ]:
            assert send(body, **query).status_code == expected, query
        assert send(last, time_s=96).status_code == 200  # nothing of this has ended it
        site.ask("DELETE", address)
        assert send(last, time_s=97).status_code == 404
