"""Sources of a corpus: embedded, a folder, archives; nothing half-written, nothing outside."""

import io
import json
import tarfile
import zipfile

import pytest

from mien import cli
from mien.config.labels import CORPORA
from mien.corpora.download import describe_folder, open_source, unpack
from mien.corpora.index import adapter_for
from mien.errors import CorpusError
from mien.io import tables
from mien.io.files import read_json

SYNTHETIC = {
    "size_px": 128,
    "rate_fps": 5,
    "takes": 1,
    "missing_video": 0.0,
    "blended_video": 0.0,
    "missing_audio": 0.0,
    "blended_audio": 0.0,
}


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


def test_folder_below_the_checkout_is_stored_relative(here):
    (here / "mine").mkdir()
    (here / "mine" / "a.txt").write_bytes(b"1")
    assert describe_folder(here / "mine")["root"] == "mine"


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


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_archives_of_every_kind_are_unpacked(tmp_path, suffix):
    archive = tmp_path / f"corpus{suffix}"
    (pack_zip if suffix == ".zip" else pack_tar)(archive, {"a/b.txt": b"1", "c.txt": b"2"})
    unpack([archive], tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"1"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "c.txt"}


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "a\\..\\..\\evil.txt", "C:/evil.txt"])
def test_entries_that_leave_the_folder_are_refused(tmp_path, suffix, name):
    archive = tmp_path / f"corpus{suffix}"
    (pack_zip if suffix == ".zip" else pack_tar)(archive, {"good.txt": b"1", name: b"2"})
    refuse(archive, tmp_path, "outside the folder")


def test_links_are_refused(tmp_path):
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
    refuse(tmp_path / "a.tar", tmp_path, "unsafe entry")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_damaged_archives_are_refused(tmp_path, suffix):
    archive = tmp_path / f"corpus{suffix}"
    (pack_zip if suffix == ".zip" else pack_tar)(archive, {"a.bin": bytes(range(256)) * 400})
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


def test_what_was_there_survives_a_damaged_archive(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_bytes(b"1")
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(CorpusError):
        unpack([tmp_path / "a.zip"], tmp_path / "out")
    assert (tmp_path / "out" / "old.txt").exists()


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


def pack_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def pack_tar(path, files):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
