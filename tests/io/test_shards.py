"""Contracts of tables and shards hold on the way in and out; a part is built once per key."""

import numpy as np
import pandas as pd
import pytest

from mien.errors import TableError
from mien.io import shards, tables
from mien.io.files import write_json
from mien.io.shards import Task, build_parts, folder_digest, source_root

FOLDS = pd.DataFrame({"fold": [0, 0], "name": ["A1,2"] * 2, "group": ["01", "02"], "role": ["test", "training"]})


def test_round_trip_keeps_rows_and_bytes(tmp_path):
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    tables.write(first, FOLDS, tables.FOLDS)
    tables.write(second, tables.read(first, tables.FOLDS), tables.FOLDS)
    pd.testing.assert_frame_equal(tables.read(first, tables.FOLDS), FOLDS, check_dtype=False)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (FOLDS.drop(columns="role"), "lacks"),
        (FOLDS.assign(colour="red"), "colour"),
        (FOLDS.assign(fold="first"), "cannot be written"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(tmp_path, rows, word):
    with pytest.raises(TableError, match=word):
        tables.write(tmp_path / "a.parquet", rows, tables.FOLDS)
    assert not list(tmp_path.iterdir())


def test_a_missing_or_damaged_table_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(TableError, match="missing"):
        tables.read(path, tables.FOLDS)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(TableError, match="not a parquet table"):
        tables.read(path, tables.FOLDS)


def test_a_table_with_broken_text_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    tables.write(path, FOLDS, tables.FOLDS)
    path.write_bytes(path.read_bytes().replace(b"training", b"train\xe9ng"))
    with pytest.raises(TableError, match=r"a\.parquet: holds no FOLDS"):
        tables.read(path, tables.FOLDS)


def _sound(n_samples: int) -> shards.SoundShard:
    index = pd.DataFrame(
        {"clip": ["a"], "start": [0], "n_samples": [n_samples], "peak": [0.5], "rms": [0.1], "silent": [False]}
    )
    return shards.SoundShard(np.arange(n_samples, dtype=np.int16), index)


@pytest.mark.parametrize("n_samples", [0, 100])
def test_a_sound_shard_comes_back_as_it_was(tmp_path, n_samples):
    shards.write_sound(tmp_path / "s", _sound(n_samples))
    np.testing.assert_array_equal(shards.read_sound(tmp_path / "s").wave, np.arange(n_samples))


def test_a_truncated_shard_is_refused(tmp_path):
    shards.write_sound(tmp_path / "s", _sound(100))
    wave = tmp_path / "s" / "wave.npy"
    wave.write_bytes(wave.read_bytes()[:-20])
    with pytest.raises(TableError, match="damaged"):
        shards.read_sound(tmp_path / "s")


def _build_sound(folder, n_samples):
    shards.write_sound(folder, _sound(n_samples))
    return {}


def test_a_shard_with_other_bytes_than_its_stage_wrote_is_refused(tmp_path):
    build_parts(tmp_path, {"a": Task("1", 100), "b": Task("1", 100)}, _build_sound, jobs=1)
    wave = tmp_path / "a" / "wave.npy"
    wave.write_bytes(wave.read_bytes()[:-64] + bytes(64))
    for read in (shards.read_sound, shards.read_faces, shards.read_fits):
        with pytest.raises(TableError, match="not those that its stage wrote"):
            read(tmp_path / "a")
    assert len(shards.read_sound(tmp_path / "b").wave) == 100
    build_parts(tmp_path, {"a": Task("1", 100), "b": Task("1", 100)}, _build_sound, jobs=1)  # the cure
    assert len(shards.read_sound(tmp_path / "a").wave) == 100


def test_a_process_reads_a_shard_once_to_check_it(tmp_path, monkeypatch):
    build_parts(tmp_path, {"a": Task("1", 100)}, _build_sound, jobs=1)
    read = []
    monkeypatch.setattr(shards, "folder_digest", lambda folder: read.append(folder) or folder_digest(folder))
    for _ in range(3):
        shards.read_sound(tmp_path / "a")
    assert read == [tmp_path / "a"]


def _build(calls):
    def build(folder, work):
        calls.append(folder.name)
        folder.mkdir(exist_ok=True)
        (folder / "index.parquet").write_text(work)
        return {"n": len(work)}

    return build


def test_a_part_is_built_again_only_for_another_key(tmp_path):
    calls = []
    tasks = {"b": Task("1", "bb"), "a": Task("1", "a")}
    first = build_parts(tmp_path, tasks, _build(calls), jobs=1)
    assert list(first) == ["a", "b"]
    assert build_parts(tmp_path, tasks, _build(calls), jobs=1) == first
    assert calls == ["a", "b"]
    build_parts(tmp_path, tasks | {"a": Task("2", "a")}, _build(calls), jobs=1)
    assert calls == ["a", "b", "a"]


def test_a_part_that_was_broken_off_or_changed_is_built_again(tmp_path):
    calls = []
    tasks = {"a": Task("1", "a"), "b": Task("1", "b"), "c": Task("1", "c")}
    build_parts(tmp_path, tasks, _build(calls), jobs=1)
    (tmp_path / "a.json").unlink()
    (tmp_path / "b" / "index.parquet").write_text("changed")
    (tmp_path / "c.json").write_text("{")
    build_parts(tmp_path, tasks, _build(calls), jobs=1)
    assert calls == ["a", "b", "c"] * 2


def test_stale_parts_go_and_strangers_stay(tmp_path):
    build_parts(tmp_path, {"a": Task("1", "a"), "b": Task("1", "b")}, _build([]), jobs=1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / ".a.1.partial").mkdir()
    build_parts(tmp_path, {"a": Task("1", "a")}, _build([]), jobs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.json", "notes.json", "photos"]


def test_a_manifest_must_be_that_of_the_corpus(tmp_path):
    path = tmp_path / "manifest.json"
    write_json(path, {"corpus": "jaffe", "root": "data/jaffe", "digest": "1"})
    assert source_root(path, "jaffe")[1] == "1"
    with pytest.raises(TableError, match="describes jaffe"):
        source_root(path, "mug")
    write_json(path, ["jaffe"])
    with pytest.raises(TableError, match="not a manifest"):
        source_root(path, "jaffe")
