"""Manifests list what runs left; pruning removes what is no longer listed and nothing else."""

import os

import pytest

from mien.errors import TableError
from mien.io.files import read_json, sha256
from mien.io.prune import find_stale, is_as_listed, list_runs, prune


def test_a_manifest_names_every_file_by_its_digest(tmp_path):
    folders = [tmp_path / "fold0-seed0", tmp_path / "fold1-seed0"]
    for folder in folders:
        folder.mkdir()
        (folder / "run.json").write_text(folder.name)
    list_runs(folders=folders, out=tmp_path / "seed0.json")
    assert read_json(tmp_path / "seed0.json") == {
        str(folder): {"run.json": sha256(folder / "run.json")} for folder in folders
    }
    (folders[1] / "run.json").unlink()
    with pytest.raises(TableError, match="fold1-seed0 holds no run"):
        list_runs(folders=folders, out=tmp_path / "seed0.json")


def test_a_changed_file_of_a_listed_run_is_known(tmp_path):
    folders = [tmp_path / "fold0-seed0", tmp_path / "fold0-seed1"]
    for folder in folders:
        folder.mkdir()
        for name in ("run.json", "history.csv"):
            (folder / name).write_text(name)
    list_runs(folders=folders[:1], out=tmp_path / "seed0.json")  # that of seed 1 is not finished
    for folder in folders:
        (folder / "history.csv").write_text("history.cs#")
    assert not is_as_listed(folders[0] / "history.csv")
    assert is_as_listed(folders[0] / "run.json")
    assert is_as_listed(folders[1] / "history.csv")
    assert is_as_listed(tmp_path / "alone.csv")


def test_only_what_is_unlisted_in_listed_stages_is_stale(tmp_path):
    for folder in ("training/r/A/fold0", "training/r/A/fold1", "training/r/B/fold0", "faces/r/part", "tables/x"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("training/r/A/seed0.json", "training/r/A/seed1.json", "training/.gitignore"):
        (tmp_path / file).touch()
    stale = find_stale(tmp_path, ["training/r/A/fold0", "training/r/A/seed0.json", "faces/r"])
    names = sorted(path.relative_to(tmp_path).as_posix() for path in stale)
    assert names == ["training/r/A/fold1", "training/r/A/seed1.json", "training/r/B"]
    assert find_stale(tmp_path, []) == []


def test_what_killed_writers_left_goes_with_it(tmp_path):
    ours, dead = os.getpid(), 2**22 + 1  # no process has a number as high
    for name in (f"tables/.5.2.{dead}.partial.csv", f"tables/.5.3.{ours}.partial.csv", "tables/5.2.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "faces" / f".01.{dead}.partial").mkdir(parents=True)
    prune(root=tmp_path, keep=["faces/kept"])
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == [f"tables/.5.3.{ours}.partial.csv", "tables/5.2.csv"]
    assert not list((tmp_path / "faces").iterdir())
