"""Sources of a corpus: downloads from a server that breaks off and lies, folders, archives; nothing half-written."""

import asyncio
import hashlib
import http.server
import importlib
import io
import json
import re
import tarfile
import threading
import time
import zipfile
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest

from mien import cli
from mien.config.labels import CORPORA
from mien.corpora import download as module
from mien.corpora.download import (
    Remote,
    describe_folder,
    download_cremad,
    download_ravdess,
    fetch,
    fetch_json,
    fetch_unchecked,
    open_source,
    unpack,
)
from mien.corpora.index import adapter_for
from mien.errors import CorpusError
from mien.io import tables
from mien.io.files import read_json
from mien.synthetic.containers import write_pointer

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
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
        if self.command == "HEAD":
            return
        server.served.append((self.path, start, stop))
        if server.breaks and stop - start > 1:
            server.breaks -= 1
            self.wfile.write(content[start : start + (stop - start) // 2])
            time.sleep(0.5)  # what has arrived is stored before the connection breaks
            self.close_connection = True
            return
        self.wfile.write(content[start:stop])

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def hurried(monkeypatch):
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
def server(hurried):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.served, running.breaks = {}, [], 0
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


def remote(server, name="a.zip", content=CONTENT, algorithm="md5", **changes) -> Remote:
    server.files[f"/{name}"] = content
    known = {"url": f"{server.url}/{name}", "path": name, "algorithm": algorithm, "size": len(content)}
    return Remote(**{**known, "checksum": hashlib.new(algorithm, content).hexdigest(), **changes})


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


def zipped(files: dict[str, bytes]) -> bytes:
    pack_zip(buffer := io.BytesIO(), files)
    return buffer.getvalue()


SHARES = dict.fromkeys(("missing_video", "blended_video", "missing_audio", "blended_audio"), 0.0)
SYNTHETIC = {"size_px": 128, "rate_fps": 5, "takes": 1} | SHARES


def settings(corpus: str, source: str, n_folds: int = 3) -> str:
    sections = {"seed": 0, "synthetic": SYNTHETIC, "folds": {corpus: n_folds}}
    return json.dumps(sections | {"corpora": {corpus: {"source": source, "actors": 3}}})


def get(corpus: str, source: str, *more: str) -> None:
    config = settings(corpus, source)
    cli.main(["get_corpus", "--config", config, "--corpus", corpus, "--out", f"data/{corpus}.json", *more])


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_embedded_corpus_goes_through_both_commands(here):
    get("jaffe", "synthetic")
    manifest = read_json(here / "data/jaffe.json")
    assert manifest["root"] == "data/jaffe"
    assert manifest["n_files"] == 3 * 21 + 1
    out = "results/corpora/jaffe"
    config = settings("jaffe", "synthetic")
    cli.main(["index_corpus", "--config", config, "--corpus", "jaffe", "--manifest", "data/jaffe.json", "--out", out])
    clips = tables.read(here / out / "clips.parquet", tables.CLIPS)
    facts = read_json(here / out / "corpus.json")
    assert facts["n_clips"] == facts["n_video"] == len(clips) == 63
    assert facts["counts"] == dict.fromkeys(facts["classes"], 9)
    assert facts["source"] == "synthetic"


def test_folder_is_read_in_place(here, tmp_path):
    source = tmp_path / "mine"
    (source / "Actor_01").mkdir(parents=True)
    (source / "Actor_01" / "a.wav").write_bytes(b"1")
    (source / ".git").mkdir()
    (source / ".git" / "b").write_bytes(b"2")
    get("ravdess", str(source))
    manifest = read_json(here / "data/ravdess.json")
    assert manifest["root"] == source.as_posix()
    assert manifest["n_files"] == 1
    assert not (here / "data/ravdess").exists()
    (source / "Actor_01" / "a.wav").write_bytes(b"3")
    assert describe_folder(source)["digest"] != manifest["digest"]


def test_folder_of_archives_is_unpacked_together(here, tmp_path):
    source = tmp_path / "fetched"
    source.mkdir()
    pack_zip(source / "Video_Speech_Actor_01.zip", {"Actor_01/01.mp4": b"v"})
    pack_zip(source / "Audio_Speech.zip", {"Actor_01/03.wav": b"a"})
    (source / "license.txt").write_text("terms")
    get("ravdess", str(source))
    files = {path.relative_to(here / "data/ravdess").as_posix() for path in (here / "data/ravdess").rglob("*.*")}
    assert files == {"Actor_01/01.mp4", "Actor_01/03.wav", "license.txt"}
    assert read_json(here / "data/ravdess.json")["root"] == "data/ravdess"


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "a\\..\\..\\evil.txt", "C:/evil.txt"])
def test_entries_that_leave_the_folder_are_refused(tmp_path, suffix, name):
    archive = tmp_path / f"corpus{suffix}"
    pack(archive, {"good.txt": b"1", name: b"2"})
    refuse(archive, tmp_path, "outside the folder")


@pytest.mark.parametrize("python", ["3.11.4", "3.11.3"])
def test_links_are_refused(tmp_path, monkeypatch, python):
    if python == "3.11.3":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refuse(tmp_path / "a.zip", tmp_path, "has a link")
    (tmp_path / "a.zip").unlink()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(entry)
    refuse(tmp_path / "a.tar", tmp_path, "has a link")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_damaged_archives_are_refused(tmp_path, suffix):
    archive = tmp_path / f"corpus{suffix}"
    pack(archive, {"a.bin": bytes(range(256)) * 400})
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no archive", flip(whole, len(whole) // 2)):
        archive.write_bytes(damaged)
        refuse(archive, tmp_path, "damaged")


def test_archives_that_disagree_are_refused(tmp_path):
    pack_zip(tmp_path / "a.zip", {"x.txt": b"1"})
    pack_zip(tmp_path / "b.zip", {"x.txt": b"2"})
    with pytest.raises(CorpusError, match=r"x\.txt differs"):
        unpack([tmp_path / "a.zip", tmp_path / "b.zip"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    unpack([tmp_path / "a.zip", tmp_path / "a.zip"], tmp_path / "out")


def test_sources_that_are_nothing_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="no such file or folder"):
        open_source("ravdess", tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="is empty"):
        open_source("ravdess", tmp_path / "empty", tmp_path / "out")
    (tmp_path / "corpus.rar").write_bytes(b"?")
    with pytest.raises(CorpusError, match="neither a folder nor an archive"):
        open_source("ravdess", tmp_path / "corpus.rar", tmp_path / "out")


@pytest.mark.parametrize("corpus", [name for name in CORPORA if not adapter_for(name).ACCESS.open])
def test_download_under_agreement_is_explained(here, corpus, capsys):
    with pytest.raises(SystemExit) as stop:
        get(corpus, "download")
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert adapter_for(corpus).ACCESS.address in message
    assert f"corpora.{corpus}.source" in message
    assert not (here / "data").exists()


def refuse(archive, tmp_path, reason):
    with pytest.raises(CorpusError, match=reason):
        unpack([archive], tmp_path / "inner" / "out")
    assert not list((tmp_path / "inner").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"inner", archive.name}


def pack(path, files):
    if path.suffix == ".zip":
        pack_zip(path, files)
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def pack_zip(file, files):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
