"""The page keeps its limits, its door and its promise to keep nothing, whoever comes; then a real clip and a camera."""

import asyncio
import contextlib
import http.client
import io
import json
import os
import re
import socket
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.streaming_models import ROWS, WATCH, write_streaming
from apps.tiny_models import CANDIDE, CLASSES
from mien.apps import serve
from mien.apps import serve as apps_serve
from mien.apps.models import load_streaming
from mien.apps.serve import (
    IDLE_S,
    KEPT_S,
    LEAST_S,
    LONGEST_S,
    MOST_SESSIONS,
    Cameras,
    Clip,
    Engine,
    FilmSummary,
    Jobs,
    Refusal,
    base_name,
    make_engine,
)
from mien.apps.streaming import JudgedFace, Moment
from mien.config.schema import CandideConfig, ServeConfig
from mien.errors import ConfigError, MediaError
from mien.io import media

LIMITS = ServeConfig(port=0, upload_mib=1, upload_s=3.0, waiting=2)
GIB = 2**30


class Stub:
    """Judges nothing: waits until it may go on, then fails or answers."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.error: Exception | None = None
        self.judged: list[str] = []

    def __call__(self, clip, folder, *, name, has_sound, units, tell):
        self.judged.append(name)
        while not self.may_end.wait(0.01):
            tell(1.0)
        if self.error is not None:
            raise self.error
        tell(1.0)
        (folder / "film.mp4").write_bytes(clip.read_bytes())
        (folder / "timeline.csv").write_text("time_s\n")
        return {"clip": name, "units": units, "sound": has_sound}


class Site:
    """A running page and a client of it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.clips: list[str] = []  # that it took

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str):
        """Return (status, answer: JSON or bytes, headers in lower case); the header Host_ is Host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            content, names = response.read(), {key.lower(): value for key, value in response.getheaders()}
        is_json = names.get("content-type", "") == "application/json"
        answer = json.loads(content) if is_json and content else content
        if (method, response.status) == ("POST", 202):
            self.clips.append(answer["id"])
        return response.status, answer, names

    def wait(self, clip_id: str, state: str) -> dict:
        """Return the status of a clip as soon as it is in a state."""
        return _until(lambda: (status := self.ask("GET", f"/api/clips/{clip_id}")[1])["state"] == state and status)

    def files(self) -> list[str]:
        """Return what lies in the temporary folder of the page."""
        return [name for _, _, names in os.walk(self.folder) for name in names]


def _until(ready, *, timeout_s: float = 10.0):
    end = time.monotonic() + timeout_s
    while not (found := ready()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@contextlib.contextmanager
def _running(engine: Engine, folder: Path, settings: ServeConfig = LIMITS):
    """Run the page in a thread, with its temporary folder in `folder`; at the end nothing may be left there."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    with serve.listen(0) as door:
        server, address = serve.make_server(engine, settings, door)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            _until(lambda: server.started)
            tempfile.tempdir = before
            yield Site(int(address.rstrip("/").rpartition(":")[2]), folder)
        finally:
            server.should_exit = True
            thread.join(10)
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def one_site(tmp_path_factory):
    """Return a page and the stub behind it."""
    judge = Stub()
    engine = Engine(classes=CLASSES, rate_hz=16000, judge=judge, live=lambda units: None)
    with _running(engine, tmp_path_factory.mktemp("site")) as running:
        yield running, judge


@pytest.fixture
def stub(one_site):
    """Return the judge of `site`, which lets everything pass; clear `may_end` to make it wait."""
    _, judge = one_site
    judge.error, judge.judged = None, []
    judge.may_end.set()
    return judge


@pytest.fixture
def site(one_site, stub):
    """Return the page; at the end nothing of the test may be left there."""
    running, _ = one_site
    yield running
    for clip_id in running.clips:
        running.ask("DELETE", f"/api/clips/{clip_id}")
    running.clips = []
    _until(lambda: running.files() == [])


@pytest.fixture(scope="module")
def clip() -> bytes:
    """Return a film of 0.2 s without sound."""
    with tempfile.TemporaryDirectory() as folder:
        media.write_video(Path(folder, "a.mp4"), [np.zeros((64, 64, 3), np.uint8)] * 2, rate_fps=10)
        return Path(folder, "a.mp4").read_bytes()


def test_a_visitor_gets_the_film_and_nothing_stays(site, clip):
    status, job, _ = site.ask("POST", "/api/clips?name=a.mp4&units=true", clip)
    assert (status, job["name"]) == (202, "a.mp4")
    assert site.wait(job["id"], "done")["answer"] == {"clip": "a.mp4", "units": True, "sound": False}
    assert sorted(site.files()) == ["film.mp4", "timeline.csv"]  # the upload is gone
    status, film, headers = site.ask("GET", f"/api/clips/{job['id']}/film.mp4", Range="bytes=0-9")
    assert (status, film, headers["content-type"]) == (206, clip[:10], "video/mp4")
    assert site.ask("DELETE", f"/api/clips/{job['id']}")[0] == 204
    assert site.files() == []
    assert site.ask("GET", f"/api/clips/{job['id']}")[0] == 404


def test_the_page_works_without_other_hosts(site):
    status, page, headers = site.ask("GET", "/")
    assert status == 200
    assert b"acted emotions are not feelings" in page
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    for name in ("main.js", "clip.js", "camera.js", "worklet.js", "style.css", "icon.svg"):
        status, content, _ = site.ask("GET", f"/static/{name}")
        assert status == 200
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", content)
    assert site.ask("GET", "/static/..%2fapp.py")[0] == 404
    assert [one["name"] for one in site.ask("GET", "/api/settings")[1]["classes"]] == list(CLASSES)


def test_only_this_page_may_talk_to_it(site, clip):
    here = f"http://127.0.0.1:{site.port}"
    for method, path, headers, expected in [
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("GET", "/", {"Host": f"evil.example:{site.port}"}, 421),
        ("GET", "/", {"Host": "127.0.0.1"}, 421),
        ("GET", "/", {"Host": f"localhost:{site.port}"}, 200),
        ("POST", "/api/clips", {"Origin": "http://evil.example"}, 403),
        ("POST", "/api/clips", {"Origin": "null"}, 403),
        ("POST", "/api/clips", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", "/api/clips", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("DELETE", "/api/cameras/x", {"Origin": "http://evil.example"}, 403),
        ("POST", "/api/clips", {"Origin": here, "Sec-Fetch-Site": "same-origin"}, 202),
    ]:
        assert site.ask(method, path, clip if method == "POST" else None, **headers)[0] == expected, (path, headers)


def _read_answer(client: socket.socket) -> bytes:
    """Return what comes until its length is that which it says."""
    answer = b""
    while True:
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if (length and len(body) >= int(length[1])) or not (more := client.recv(4096)):
            return answer
        answer += more


def test_a_huge_file_is_refused_before_it_is_sent(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
        head = f"POST /api/clips HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Length: {2 * GIB}\r\n\r\n"
        client.sendall(head.encode())
        answer = _read_answer(client)
        client.sendall(b"x" * 2**20)  # and who goes on sending is not cut off before it could read the answer
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"2048 MiB" in answer
    assert site.files() == []


@pytest.mark.parametrize("length", [None, "nonsense"])
def test_a_file_that_grows_over_the_limit_is_refused(site, length):
    chunk = b"%x\r\n" % 2**18 + b"x" * 2**18 + b"\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        client.sendall(f"POST /api/clips HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n{size}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(8 if length is None else 0):
                client.sendall(chunk)
        answer = _read_answer(client)
    assert answer.startswith(b"HTTP/1.1 413 " if length is None else b"HTTP/1.1 400 ")
    _until(lambda: site.files() == [])


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "words")
    return buffer.getvalue()


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_is_no_film_is_refused_in_a_sentence(site, clip, stub, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    media.write_video(folder / "long.mp4", [np.zeros((64, 64, 3), np.uint8)] * 8, rate_fps=2)
    media.write_sound(folder / "voice.m4a", np.zeros(1600), 16000, codec="aac")
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    for content, expected, words in [
        (_zip(), 415, "is not a film by its content"),
        (_png(), 415, "is not a film by its content"),
        (playlist, 415, "is not a film by its content"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "is not a film by its content"),
        ((folder / "voice.m4a").read_bytes(), 415, "no moving picture"),
        ((folder / "long.mp4").read_bytes(), 422, "is 4 s long, and at most 3 s are taken"),
        (clip[: len(clip) // 3], 422, "FFmpeg"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(100), 422, "FFmpeg"),
        (b"", 400, "is empty"),
    ]:
        status, answer, _ = site.ask("POST", "/api/clips?name=film.mp4", content)
        assert status == expected, answer
        assert words in answer["error"]
        assert "\n" not in answer["error"]
        assert str(site.folder) not in answer["error"]
    assert (site.files(), stub.judged) == ([], [])


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
        ("Ünsinn 1.mp4", "Ünsinn 1.mp4"),
    ],
)
def test_names_lose_their_paths(text, shown):
    assert base_name(text) == shown


def test_a_path_in_a_name_is_never_a_path(site, clip):
    _, job, _ = site.ask("POST", "/api/clips?name=..%2F..%2Fescaped.mp4", clip)
    assert site.wait(job["id"], "done")["name"] == "escaped.mp4"
    assert sorted(site.files()) == ["film.mp4", "timeline.csv"]
    assert "escaped.film.mp4" in site.ask("GET", f"/api/clips/{job['id']}/film.mp4")[2]["content-disposition"]
    for odd in ("..%2F..%2Fupload", "upload", "film.mkv"):
        assert site.ask("GET", f"/api/clips/{job['id']}/{odd}")[0] == 404


def test_of_ten_at_once_some_wait_and_the_others_come_back_later(site, clip, stub):
    stub.may_end.clear()
    answers: list = []
    visitors = [
        threading.Thread(target=lambda k=k: answers.append(site.ask("POST", f"/api/clips?name={k}.mp4", clip)))
        for k in range(10)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    accepted = [answer for status, answer, _ in answers if status == 202]
    refused = [(status, headers) for status, _, headers in answers if status != 202]
    assert len(accepted) == 1 + LIMITS.waiting
    assert {(status, headers["retry-after"]) for status, headers in refused} == {(503, "10")}
    ahead = [site.ask("GET", f"/api/clips/{job['id']}")[1]["ahead"] for job in accepted]
    assert sorted(ahead) == [0, 1, 2]
    leaves = accepted[ahead.index(1)]
    assert site.ask("DELETE", f"/api/clips/{leaves['id']}")[0] == 204
    assert site.ask("POST", "/api/clips?name=late.mp4", clip)[0] == 202  # its place is free
    stub.may_end.set()
    for job in accepted:
        if job is not leaves:
            site.wait(job["id"], "done")
    _until(lambda: len(stub.judged) == 3)
    assert leaves["name"] not in stub.judged


def test_a_visitor_who_leaves_ends_the_work(site, clip, stub):
    stub.may_end.clear()
    _, job, _ = site.ask("POST", "/api/clips", clip)
    site.wait(job["id"], "judging")
    assert site.ask("GET", f"/api/clips/{job['id']}/film.mp4")[0] == 409
    assert site.ask("DELETE", f"/api/clips/{job['id']}")[0] == 204
    _until(lambda: site.files() == [])  # though the judge was never told that it may end
    assert site.ask("GET", f"/api/clips/{job['id']}")[0] == 404


@pytest.mark.parametrize(
    ("error", "words"),
    [(MediaError("{}: breaks off"), "a.mp4: breaks off"), (RuntimeError("secret"), "a fault of the program")],
)
def test_a_clip_that_fails_leaves_the_page_up(site, clip, stub, error, words, caplog):
    stub.error = error
    _, job, _ = site.ask("POST", "/api/clips?name=a.mp4", clip)
    status = site.wait(job["id"], "failed")
    assert words in status["error"].replace("{}", "a.mp4")
    assert "secret" not in status["error"]
    stub.error = None
    _, job, _ = site.ask("POST", "/api/clips", clip)
    site.wait(job["id"], "done")


def test_a_film_that_is_longer_than_it_says_is_left_off(tmp_path):
    def judge(clip, folder, *, name, has_sound, units, tell):
        tell(1.0)
        tell(100.0)
        raise AssertionError("went on")

    async def scene() -> str:
        jobs = Jobs(tmp_path, judge, waiting=1, longest_s=3.0)
        work = asyncio.create_task(jobs.work())
        job = jobs.admit("a.mp4", units=False)
        job.upload.write_bytes(b"x")
        jobs.submit(job, Clip(duration_s=1.0, has_sound=False))
        while job.state != "failed":
            await asyncio.sleep(0.005)
        work.cancel()
        jobs.close()
        return job.error

    assert "at most 3 s" in asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_answers_that_nobody_fetches_are_deleted(tmp_path, stub):
    now = [0.0]

    async def scene() -> None:
        jobs = Jobs(tmp_path, stub, waiting=1, longest_s=3.0, clock=lambda: now[0])
        work = asyncio.create_task(jobs.work())
        job = jobs.admit("a.mp4", units=False)
        job.upload.write_bytes(b"x")
        jobs.submit(job, Clip(duration_s=1.0, has_sound=False))
        while job.state != "done":
            await asyncio.sleep(0.005)
        now[0] += KEPT_S - 1
        jobs.sweep()
        assert jobs.get(job.id) is job  # and asking keeps it for longer
        now[0] += KEPT_S - 1
        jobs.sweep()
        assert (job.folder / "film.mp4").exists()
        now[0] += KEPT_S + 1
        jobs.sweep()
        assert list(tmp_path.iterdir()) == []
        work.cancel()
        jobs.close()

    asyncio.run(scene())


def test_an_upload_that_breaks_off_frees_its_place(site, clip):
    for _ in range(LIMITS.waiting + 2):
        with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
            head = f"POST /api/clips HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Length: 1000\r\n\r\n"
            client.sendall(head.encode() + clip[:100])
            _until(lambda: "upload" in site.files())
        _until(lambda: site.files() == [])
    assert site.ask("POST", "/api/clips", clip)[0] == 202


@pytest.mark.parametrize(
    "sent",
    ["", "GET / HTTP/1.1\r\nHost:", "POST /api/clips HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\nab"],
)
def test_silent_clients_are_hung_up_on(site, monkeypatch, sent):
    monkeypatch.setattr(apps_serve.PatientProtocol, "idle_s", 0.1)
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
        client.sendall(sent.format(f"127.0.0.1:{site.port}").encode())
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
    _until(lambda: site.files() == [])


def test_a_port_is_taken_or_impossible():
    with serve.listen(0) as door, pytest.raises(ConfigError, match="cannot be used"):
        serve.listen(door.getsockname()[1])
    with pytest.raises(ConfigError, match="--port 70000"):
        serve.listen(70000)


def test_folders_of_killed_servers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("mien-serve-999999999-abc", "mien-serve-1-abc", "other"):
        (tmp_path / name).mkdir()
    serve.remove_leftovers()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mien-serve-1-abc", "other"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    """Return what judges with small networks with random weights."""
    folder = tmp_path_factory.mktemp("running")
    models = load_streaming([write_streaming(folder / f"{row}.safetensors", row) for row in ROWS])
    return make_engine(models, watch=WATCH, candide=CandideConfig(**CANDIDE))


def test_a_real_clip_from_upload_to_film(engine, media_folder, tmp_path):
    with _running(engine, tmp_path) as site:
        _, job, _ = site.ask("POST", "/api/clips?name=both.mp4", (media_folder / "both.mp4").read_bytes())
        answer = site.wait(job["id"], "done")["answer"]
        film, table = (site.ask("GET", f"/api/clips/{job['id']}/{name}")[1] for name in ("film.mp4", "timeline.csv"))
    (tmp_path / "film.mp4").write_bytes(film)
    facts = media.probe(tmp_path / "film.mp4")
    assert facts.has_video
    assert facts.has_audio
    assert answer["verdict"]["label"] in CLASSES
    assert answer["missing"] == []
    assert answer["sentence"].endswith("Judged by the face and the voice.")
    ends = [stretch["end_s"] for stretch in answer["timeline"]]
    assert [stretch["start_s"] for stretch in answer["timeline"]] == [0.0, *ends[:-1]]
    assert ends[-1] == answer["duration_s"] == pytest.approx(facts.duration_s, abs=0.15)
    assert sum(answer["verdict"]["seconds"].values()) == pytest.approx(answer["verdict"]["judged_s"], abs=0.01)
    assert table.decode().splitlines()[0] == ",".join(["time_s", "person", "basis", "label", *CLASSES])
    assert len(table.splitlines()) - 1 == len(list(media.read_frames(media_folder / "both.mp4")))


def _trace(labels: str, *, basis: tuple[str, ...] = ("face",), heard: bool = False) -> FilmSummary:
    """Return the trace of a film with a picture every 0.1 s: n, h, s, a (the classes) or - for no verdict."""
    trace = FilmSummary(CLASSES)
    for k, letter in enumerate(labels):
        one = None if letter == "-" else np.eye(len(CLASSES))["nhsa".index(letter)]
        box = np.array([1.0, 1.0, 9.0])
        face = JudgedFace(1, box, box, np.zeros((68, 2)), True, one, np.full(8, 0.1 * k))
        faces = (face,) if "face" in basis and one is not None else ()
        voice = one if "voice" in basis else None
        picture = np.zeros((4, 4, 3), np.uint8)
        trace.add(Moment(k / 10, picture, faces, heard, voice, one, basis if one is not None else ()))
    return trace


def test_the_verdict_is_what_held_for_most_of_the_time():
    answer = _trace("--nnnssaa").answer("a.mp4", has_sound=True)
    assert answer["verdict"]["label"] == "neutral"
    assert answer["verdict"]["last"] == "angry"
    assert answer["verdict"]["seconds"] == {"neutral": 0.3, "happy": 0.0, "sad": 0.2, "angry": 0.2}
    assert [(part["label"], part["start_s"], part["end_s"]) for part in answer["timeline"]] == [
        (None, 0.0, 0.2),
        ("neutral", 0.2, 0.5),
        ("sad", 0.5, 0.7),
        ("angry", 0.7, 0.9),
    ]
    assert answer["timeline"][1]["units"]["jaw drop"] == pytest.approx(0.3)  # mean of its frames 2, 3, 4
    assert answer["sentence"] == (
        "Neutral for 43% of the time, angry at the end."
        " Judged by the face alone: no voice (the sound is shorter than a second)."
    )
    assert _trace("ssaa").answer("a", has_sound=True)["verdict"]["label"] == "sad"  # of equals the first


def test_what_is_missing_is_said():
    whole = _trace("h" * 12, basis=("face", "voice"), heard=True).answer("a", has_sound=True)
    assert (whole["missing"], whole["sentence"]) == ([], "Happy all the time. Judged by the face and the voice.")
    blind = _trace("h" * 12, basis=("voice",), heard=True).answer("a", has_sound=True)
    assert blind["sentence"].endswith("Judged by the voice alone: no face (there is none in 12 pictures).")
    mute = _trace("h" * 12).answer("a", has_sound=False)
    assert mute["reasons"] == {"voice": "the clip has no sound"}
    nothing = _trace("-" * 12).answer("a", has_sound=True)
    assert nothing["verdict"]["label"] is None
    assert nothing["sentence"] == (
        "There is nothing to judge: no face (there is none in 12 pictures) and no voice (the sound is silent)."
    )


def _jpeg(picture: np.ndarray, size: int | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    (image.resize((size, size)) if size else image).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_a_camera_from_start_to_stop(engine, media_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.apps.serve.LEAST_S", 0.0)
    frames = list(media.read_frames(media_folder / "both.mp4", 5))
    wave, rate_hz = media.read_sound(media_folder / "both.mp4")
    samples = (32767 * wave.mean(axis=0)).astype("<i2")
    with _running(engine, tmp_path) as site:
        status, camera, _ = site.ask("POST", "/api/cameras")
        assert status == 201
        address, sent = f"/api/cameras/{camera['id']}/moments", 0
        for time_s, picture in frames:
            sound = samples[sent : round(time_s * rate_hz)].tobytes()
            sent = round(time_s * rate_hz)
            query = f"time_s={time_s}&sound_bytes={len(sound)}&sound_hz={rate_hz}"
            status, moment, _ = site.ask("POST", f"{address}?{query}", sound + _jpeg(picture))
            assert status == 200
        assert moment["basis"] == ["face", "voice"]
        assert moment["heard"]
        assert sum(moment["probabilities"]) == pytest.approx(1.0, abs=1e-3)
        (face,) = moment["people"]
        assert face["found"]
        assert moment["size"] == list(frames[0][1].shape[1::-1])
        last = _jpeg(frames[-1][1])
        for query, body, expected in [
            ("time_s=0.1", last, 422),  # runs back
            ("time_s=nan", last, 422),
            ("time_s=90", _png(), 422),
            ("time_s=91", _jpeg(frames[0][1], 1600), 422),
            ("time_s=92&sound_bytes=999999", last, 422),
            ("time_s=93&sound_bytes=3", last, 422),
            ("time_s=94&sound_hz=1", last, 422),
            ("time_s=x", last, 422),
            ("time_s=95", bytes(4 * 2**20), 413),
        ]:
            status, answer, _ = site.ask("POST", f"{address}?{query}", body)
            assert (status, "\n" in answer["error"]) == (expected, False), query
        assert site.ask("POST", f"{address}?time_s=96", last)[0] == 200  # nothing of this has ended it
        assert site.ask("DELETE", f"/api/cameras/{camera['id']}")[0] == 204
        assert site.ask("POST", f"{address}?time_s=97", last)[0] == 404


def test_cameras_are_few_and_expire():
    now = [0.0]
    cameras = Cameras(lambda units: None, rate_hz=16000, clock=lambda: now[0])
    first, *_ = [cameras.open(units=False) for _ in range(MOST_SESSIONS)]
    with pytest.raises(Refusal, match="watched already") as refusal:
        cameras.open(units=False)
    assert refusal.value.status == 503
    now[0] = LEAST_S / 2
    with pytest.raises(Refusal, match="pictures per second"):
        asyncio.run(cameras.look(first.id, 0.0, b"", 0, 48000))
    now[0] = IDLE_S + 1
    again = cameras.open(units=False)  # the silent ones are gone
    with pytest.raises(Refusal, match="has ended"):
        asyncio.run(cameras.look(first.id, 0.0, b"", 0, 48000))
    again.last_at = now[0] = IDLE_S + LONGEST_S + 2  # however busy it is
    with pytest.raises(Refusal, match="has ended"):
        asyncio.run(cameras.look(again.id, 0.0, b"", 0, 48000))
    cameras.close()
