"""Whole files or none; streams of random numbers depend on their seed and name only."""

import pytest

from mien.errors import TableError
from mien.io import files
from mien.io.randomness import rng_for, seed_for


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


def test_what_a_killed_writer_left_is_swept_and_a_living_one_is_left_alone(tmp_path):
    dead, alive = tmp_path / ".shard.4194305.partial", tmp_path / ".shard.1.partial"  # above pid_max; init
    dead.mkdir()
    alive.mkdir()
    with files.atomic_folder(tmp_path / "shard"):
        pass
    assert not dead.exists()
    assert alive.exists()


def test_json_round_trip_and_damage(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"ä": [1.5, None]})
    assert files.read_json(path) == {"ä": [1.5, None]}
    path.write_text("{")
    with pytest.raises(TableError, match="not JSON"):
        files.read_json(path)
    with pytest.raises(TableError, match="missing"):
        files.read_json(tmp_path / "b.json")


def test_equal_names_give_equal_draws_and_others_differ():
    draws = {name: tuple(rng_for(0, *name).integers(0, 2**31, 4)) for name in [("a", 1), ("a", 2), ("b", 1)]}
    assert draws[("a", 1)] == tuple(rng_for(0, "a", "1").integers(0, 2**31, 4))
    assert len(set(draws.values())) == 3
    assert tuple(rng_for(1, "a", 1).integers(0, 2**31, 4)) != draws[("a", 1)]


def test_seeds_fit_torch_generators():
    seeds = {seed_for(0, "clip", k) for k in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
