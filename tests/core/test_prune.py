"""Pruning removes what is no longer listed and nothing else."""

from mien.io.prune import stale_folders


def test_only_unlisted_folders_of_listed_stages_are_stale(tmp_path):
    for folder in ("training/r/A/fold0", "training/r/A/fold1", "training/r/B/fold0", "faces/r/part", "tables/x"):
        (tmp_path / folder).mkdir(parents=True)
    stale = stale_folders(tmp_path, ["training/r/A/fold0", "faces/r"])
    assert sorted(path.relative_to(tmp_path).as_posix() for path in stale) == ["training/r/A/fold1", "training/r/B"]


def test_an_empty_list_removes_nothing(tmp_path):
    (tmp_path / "training" / "r").mkdir(parents=True)
    assert stale_folders(tmp_path, []) == []
