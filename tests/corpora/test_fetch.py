"""Downloads against a server on this machine that breaks off, lies and refuses."""

import asyncio
import hashlib
import http.server
import importlib
import io
import json
import re
import threading
import time
import zipfile
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest

from mien.corpora import download as module
from mien.corpora.base import Access
from mien.corpora.download import (
    Remote,
    download,
    download_cremad,
    download_ravdess,
    fetch,
    fetch_json,
    fetch_unchecked,
)
from mien.errors import CorpusError
from mien.synthetic.containers import write_pointer

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body: bool):
        server = self.server
        content = server.files.get(unquote(self.path))
        if content is None:
            self.send_error(404)
            return
        start, stop = 0, len(content)
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            start, stop = int(match[1]), int(match[2]) + 1
        self.send_response(206 if match else 200)
        self.send_header("Accept-Ranges", "bytes")
        if match:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if not body:
            return
        server.served.append((self.path, start, stop))
        if server.breaks and stop - start > 1:
            server.breaks -= 1
            self.wfile.write(content[start : start + (stop - start) // 2])
            time.sleep(0.5)  # what has arrived is stored before the connection breaks
            self.close_connection = True
            return
        self.wfile.write(content[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    """Cut the waits of the client, which looks every second and rests three after a refusal, to a twentieth."""

    def sleep(duration_s):
        real_sleep(duration_s / 20)

    def rest(duration_s):
        return asyncio.sleep(duration_s / 20)

    real_sleep = time.sleep
    for name in ("pypdl", "utils"):
        monkeypatch.setattr(importlib.import_module(f"pypdl.{name}"), "time", clone_of(time, sleep=sleep))
    for name in ("pypdl", "producer"):
        monkeypatch.setattr(importlib.import_module(f"pypdl.{name}"), "asyncio", clone_of(asyncio, sleep=rest))


def clone_of(module, **changes):
    return SimpleNamespace(**(vars(module) | changes))


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.served, running.breaks = {}, [], 0
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


def remote(server, name="a.zip", content=CONTENT, algorithm="md5", **changes) -> Remote:
    server.files[f"/{name}"] = content
    known = {
        "url": f"{server.url}/{name}",
        "path": name,
        "algorithm": algorithm,
        "checksum": hashlib.new(algorithm, content).hexdigest(),
        "size": len(content),
    }
    return Remote(**(known | changes))


def test_file_comes_whole_and_is_kept(server, tmp_path):
    wanted = [remote(server), remote(server, "sub/b.wav", b"sound", "sha256")]
    paths = fetch(wanted, tmp_path, display=False)
    assert [path.read_bytes() for path in paths] == [CONTENT, b"sound"]
    n_served = len(server.served)
    assert fetch(wanted, tmp_path, display=False) == paths
    assert len(server.served) == n_served  # nothing is asked for twice
    assert {path.name for path in tmp_path.rglob("*")} == {"a.zip", "sub", "b.wav"}


def test_large_file_comes_in_segments(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENTED", 1000)
    assert fetch([remote(server)], tmp_path, display=False)[0].read_bytes() == CONTENT
    assert len({start for _, start, stop in server.served if stop - start > 1}) > 1


def test_broken_download_is_resumed_where_it_broke(server, tmp_path):
    wanted = remote(server)
    server.breaks = 1
    with pytest.raises(CorpusError, match="what came so far is kept"):
        fetch([wanted], tmp_path, display=False, retries=0)
    assert not (tmp_path / "a.zip").exists()
    server.served.clear()
    assert fetch([wanted], tmp_path, display=False)[0].read_bytes() == CONTENT
    (resumed,) = [start for _, start, stop in server.served if stop - start > 1]
    assert 0 < resumed <= len(CONTENT) // 2


def test_wrong_checksum_removes_the_file(server, tmp_path):
    wanted = remote(server, checksum="0" * 32)
    with pytest.raises(CorpusError, match=r"md5 differs from the publisher's .* run the command again"):
        fetch([wanted], tmp_path, display=False)
    assert list(tmp_path.iterdir()) == []


def test_missing_file_is_named(server, tmp_path):
    wanted = remote(server)
    server.files.clear()
    with pytest.raises(CorpusError, match=r"1 of 1 files could not be fetched, the first is .*a\.zip"):
        fetch([wanted], tmp_path, display=False, retries=0)
    with pytest.raises(CorpusError, match="404"):
        fetch_json(f"{server.url}/record")
    with pytest.raises(CorpusError, match="404"):
        fetch_unchecked(f"{server.url}/stubs.zip", tmp_path / "stubs.zip")
    assert not (tmp_path / "stubs.zip").exists()


def test_publisher_cannot_write_outside_the_folder(server, tmp_path):
    with pytest.raises(CorpusError, match="outside"):
        fetch([remote(server, path="../a.zip")], tmp_path, display=False)


def test_ravdess_comes_from_its_record(server, tmp_path):
    names = ["Video_Speech_Actor_01.zip", "Audio_Speech_Actors_01-24.zip", "Video_Song_Actor_01.zip"]
    entries = []
    for k, name in enumerate(names):
        content = zipped({f"Actor_01/file{k}.bin": CONTENT[:100]})
        server.files[f"/{name}"] = content
        checksum = f"md5:{hashlib.md5(content).hexdigest()}"
        links = {"self": f"{server.url}/{name}"}
        entries.append({"key": name, "size": len(content), "checksum": checksum, "links": links})
    server.files["/record"] = json.dumps({"files": entries}).encode()
    download_ravdess(tmp_path / "ravdess", tmp_path / "stock", record=f"{server.url}/record")
    found = sorted(path.name for path in (tmp_path / "ravdess").rglob("*.bin"))
    assert found == ["file0.bin", "file1.bin"]  # no song
    server.files["/record"] = b'{"files": [{"key": "Video_Speech_Actor_01.zip"}]}'
    with pytest.raises(CorpusError, match="another form"):
        download_ravdess(tmp_path / "ravdess", tmp_path / "stock", record=f"{server.url}/record")


def test_cremad_media_are_fetched_by_their_pointers(server, tmp_path):
    pointer = tmp_path / "pointer"
    media = {"AudioWAV/1001_TIE_ANG_XX.wav": b"sound", "VideoFlash/1001_TIE_ANG_XX.flv": b"picture"}
    stubs = {"CREMA-D-master/VideoDemographics.csv": b"ActorID,Sex\n", "CREMA-D-master/AudioMP3/x.mp3": b"stub"}
    for path, content in media.items():
        write_pointer(pointer, hashlib.sha256(content).hexdigest(), len(content))
        stubs[f"CREMA-D-master/{path}"] = pointer.read_bytes()
        server.files[f"/media/{path}"] = content
    server.files["/stubs.zip"] = zipped(stubs)
    for _ in range(2):  # the second time nothing is fetched but the stubs
        download_cremad(
            tmp_path / "cremad", tmp_path / "stock", stubs=f"{server.url}/stubs.zip", media=f"{server.url}/media"
        )
        assert (tmp_path / "cremad" / "AudioWAV/1001_TIE_ANG_XX.wav").read_bytes() == b"sound"
        assert (tmp_path / "cremad" / "VideoFlash/1001_TIE_ANG_XX.flv").read_bytes() == b"picture"
        assert (tmp_path / "cremad" / "VideoDemographics.csv").exists()
        assert not (tmp_path / "cremad" / "AudioMP3").exists()
    assert sum(path.startswith("/media") and stop - start > 1 for path, start, stop in server.served) == 2


def test_corpus_under_agreement_says_where_to_ask(tmp_path):
    access = Access(address="https://example.org", terms="signed agreement", files="a.zip and b.zip")
    with pytest.raises(CorpusError, match=r"example\.org.*a\.zip and b\.zip.*corpora\.ckplus\.source"):
        download("ckplus", access, tmp_path / "ckplus")
    assert list(tmp_path.iterdir()) == []


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
