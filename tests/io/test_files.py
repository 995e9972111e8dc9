"""Whole files or none."""

import pytest

from mien.errors import TableError
from mien.io import files


def test_a_failed_write_leaves_the_old_file_and_no_scratch(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_file(path) as scratch:
        scratch.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_folder_and_no_scratch(tmp_path):
    folder = tmp_path / "shard"
    with files.atomic_folder(folder) as scratch:
        (scratch / "a").write_text("old")
    with pytest.raises(RuntimeError), files.atomic_folder(folder) as scratch:
        (scratch / "b").write_text("half")
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_new_folder_replaces_the_old_one_whole(tmp_path):
    folder = tmp_path / "shard"
    for name in ("a", "b"):
        with files.atomic_folder(folder) as scratch:
            (scratch / name).touch()
    assert [path.name for path in folder.iterdir()] == ["b"]


def test_what_a_killed_writer_left_is_swept_and_a_living_one_is_left_alone(tmp_path):
    dead, alive = tmp_path / ".shard.4194305.partial", tmp_path / ".shard.1.partial"  # above pid_max; init
    dead.mkdir()
    alive.mkdir()
    with files.atomic_folder(tmp_path / "shard"):
        pass
    assert not dead.exists()
    assert alive.exists()


def test_digest_ignores_key_order_only():
    assert files.digest({"a": 1, "b": [1, 2]}) == files.digest({"b": [1, 2], "a": 1})
    assert files.digest({"a": 1}) != files.digest({"a": 2})


def test_json_round_trip_and_damage(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"ä": [1.5, None]})
    assert files.read_json(path) == {"ä": [1.5, None]}
    path.write_text("{")
    with pytest.raises(TableError, match="not JSON"):
        files.read_json(path)
    with pytest.raises(TableError, match="missing"):
        files.read_json(tmp_path / "b.json")
