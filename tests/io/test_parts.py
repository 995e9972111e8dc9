"""A part is built once per key; what is not ours is left alone."""

import pytest

from mien.errors import TableError
from mien.io.files import write_json
from mien.io.shards import Task, build_parts, source_root


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
