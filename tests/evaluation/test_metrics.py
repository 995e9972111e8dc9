"""Scores from runs: what counts, what is averaged, what is kept apart."""

import numpy as np
import pandas as pd
import pytest

import planted
from mien.errors import TableError
from mien.evaluation import metrics
from mien.evaluation.runs import read_run, read_runs, select_runs
from mien.io import tables
from mien.io.prune import list_runs


def test_the_weighted_mean_over_actors_is_the_mean_over_folds(tmp_path):
    paths = [
        planted.write_run(tmp_path, "N2", fold, actors=actors, fold_name=f"S{fold + 1}")
        for fold, actors in enumerate([(1, 2, 3), (4,), (5, 6)])
    ]
    scores = metrics.score(read_runs(paths), set())
    scores = scores[scores.selection == "honest"]
    people = metrics.by_actor(scores)
    assert len(people) == 6
    assert people.weight.sum() == pytest.approx(1)
    assert (people.weight * people.accuracy).sum() == pytest.approx(metrics.by_fold(scores).accuracy.mean())


def test_twins_are_in_no_headline(tmp_path):
    corpus = planted.write_corpus(tmp_path, n_actors=2, apart={"clip-01-0-0"})
    runs = read_runs(planted.write_runs(tmp_path, n_folds=1, variants=("N2",)))
    apart = metrics.read_duplicates([corpus / "clips.parquet"])
    assert apart == {("ravdess", "clip-01-0-0")}
    scores = metrics.score(runs, apart)
    assert (metrics.by_fold(scores).n_clips == 23).all()
    assert len(metrics.paired_clips(scores, ["N2"], "honest")) == 23
    assert scores.apart.sum() == 2  # one per selection


def test_seeds_on_different_clips_are_refused(tmp_path):
    planted.write_run(tmp_path, "N2", 0, actors=(1,), fold_name="A1", seed=0)
    planted.write_run(tmp_path, "N2", 0, actors=(2,), fold_name="A1", seed=1)
    with pytest.raises(TableError, match="different clips"):
        metrics.score(read_runs(sorted((tmp_path / "results").rglob("run.json"))), set())


def test_a_missing_fold_is_named(tmp_path):
    paths = planted.write_runs(tmp_path, n_folds=2, variants=("N1", "N2"))
    with pytest.raises(TableError, match="N1 on ravdess, fold 1"):
        select_runs(read_runs(path for path in paths if "N1/fold1" not in str(path)), "ravdess", ["N1", "N2"])
    with pytest.raises(TableError, match="same run"):
        read_runs(paths + paths[:1])


@pytest.mark.parametrize("damage", ["nan", "width", "label"])
def test_damaged_predictions_are_refused(tmp_path, damage):
    run = planted.write_run(tmp_path, "N2", 0, actors=(1,), fold_name="A1")
    path = run.with_name("predictions.parquet")
    rows = tables.read(path, tables.PREDICTIONS)
    logits = {"nan": [np.nan, 0, 0], "width": [0.0], "label": [0.0, 0.0, 0.0]}[damage]
    rows["logits"] = [list(logits), *map(list, rows.logits[1:])]
    if damage == "label":
        rows.loc[0, "label"] = 7
    tables.write(path, rows, tables.PREDICTIONS)
    with pytest.raises(TableError, match=r"predictions\.parquet"):
        read_run(run).predictions()


@pytest.mark.parametrize("name", ["run.json", "predictions.parquet", "history.csv"])
def test_files_of_a_run_that_were_changed_are_refused(tmp_path, name):
    path = planted.write_run(tmp_path, "N2", 0, actors=(1,), fold_name="A1")
    list_runs(folders=[path.parent], out=path.parents[1] / "seed0.json")
    file = path.with_name(name)
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(TableError, match=f"{name}: its bytes are not those"):
        read_run(path).history(), read_run(path).predictions()


def test_a_run_that_could_not_be_trained_scores_nothing(tmp_path):
    run = read_run(planted.write_run(tmp_path, "VM", 0, actors=(1,), fold_name="A1", reason="no video"))
    assert not run.trained
    assert run.history().empty
    assert metrics.score([run], set()).empty
    assert metrics.by_fold(metrics.score([run], set())).empty
    assert isinstance(metrics.by_actor(metrics.score([run], set())), pd.DataFrame)
