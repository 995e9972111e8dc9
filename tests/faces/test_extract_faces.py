"""Shards hold what was found, are kept while nothing changes, and do not depend on the number of processes."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mien.faces import extract as faces_extract
from mien.faces.track import follow
from mien.io import media, shards, tables
from mien.io.files import read_json, write_json

CONFIG = {"rate_fps": 10, "size_px": 48, "detect_px": 240, "detect_every": 4, "margin": 1.2, "region_s": 0.25}


def extract(corpus, out, *, jobs=1, **changes):
    """Run the command as the command line does."""
    paths = {"manifest": corpus / "manifest.json", "clips": corpus / "clips.parquet", "out": out}
    faces_extract.extract_faces(corpus="toy", **paths, config=json.dumps({"faces": CONFIG | changes}), jobs=jobs)
    return read_json(out / "manifest.json")


def content(folder):
    """Return path -> bytes of everything in a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def extracted(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("faces") / "toy"
    extract(corpus, out)
    return out


def test_the_manifest_counts_what_the_shards_hold(extracted):
    manifest = read_json(extracted / "manifest.json")
    parts = {part: shards.read_faces(extracted / part) for part in manifest["parts"]}
    assert sorted(parts) == ["01", "02", "table"]
    assert manifest["n_frames"] == sum(len(part.index) for part in parts.values()) == 8 + 8 + 4 + 1
    assert manifest["n_found"] == sum(int(part.index.found.sum()) for part in parts.values()) == 8 + 8 + 1
    assert manifest["clips_without_face"] == ["blank"]
    assert [problem["clip"] for problem in manifest["problems"]] == ["text", "row-1"]
    assert all(problem["path"] not in problem["reason"] for problem in manifest["problems"])


def test_a_shard_has_landmarks_exactly_where_a_face_was_found(extracted, config):
    part = shards.read_faces(extracted / "02")
    assert part.frames.shape == (12, config.size_px, config.size_px, 3)
    np.testing.assert_array_equal(np.isfinite(part.landmarks).all(axis=(1, 2)), part.index.found)
    for _, rows in part.index.groupby("clip"):
        assert rows[["x", "y", "side"]].nunique().eq(1).all()
        np.testing.assert_allclose(rows.time_s, rows.frame / config.rate_fps)


def test_films_have_crops_that_know_nothing_later(extracted, corpus, config):
    part = shards.read_faces(extracted / "02")
    film = list(media.read_frames(corpus / "root" / "02.avi", config.rate_fps))
    assert part.along.shape == part.frames.shape
    for upto in (1, 5, 8):  # as if the film ended there
        short = follow(film[:upto], replace(config, region_s=CONFIG["region_s"]), along=True)
        np.testing.assert_array_equal(part.along[:upto], short.along)
    assert (part.along[:8] != part.frames[:8]).any()
    assert not part.along[~part.index.found].any()
    assert not (extracted / "table" / "along.npy").exists()  # of stills there is nothing later


def test_the_number_of_processes_changes_nothing(corpus, extracted, tmp_path):
    extract(corpus, tmp_path / "toy", jobs=2)
    assert content(tmp_path / "toy") == content(extracted)


def test_finished_parts_are_kept_and_broken_ones_made_again(corpus, extracted, tmp_path):
    out = tmp_path / "toy"
    shutil.copytree(extracted, out)
    (out / "manifest.json").unlink()
    (out / "02" / "frames.npy").write_bytes(b"half a")
    (out / "gone").mkdir()
    (out / "gone" / "index.parquet").touch()
    (out / ".01.77.partial").mkdir()
    os.utime(out / "01" / "frames.npy", (1, 1))
    extract(corpus, out)
    assert content(out) == content(extracted)
    assert (out / "01" / "frames.npy").stat().st_mtime == 1
    assert (out / "02" / "frames.npy").stat().st_mtime != 1


def test_a_corpus_without_pictures_gives_an_empty_manifest(corpus, tmp_path):
    clips = tables.read(corpus / "clips.parquet", tables.CLIPS)
    tables.write(tmp_path / "clips.parquet", clips[~clips.has_video], tables.CLIPS)
    write_json(tmp_path / "manifest.json", read_json(corpus / "manifest.json"))
    manifest = extract(tmp_path, tmp_path / "toy")
    assert manifest["parts"] == {}
    assert manifest["n_frames"] == 0
