"""Headline metrics and plot data."""

import json

import pandas as pd
import pytest

import planted
from mien.report.tables.summary import mean_curves, summarise


@pytest.fixture
def written(tmp_path):
    """Return (root, metrics) of two corpora; on the second, one variant could not be trained."""
    clips, runs = [], []
    for corpus in ("ravdess", "cremad"):
        clips.append(planted.write_corpus(tmp_path, n_actors=4, corpus=corpus) / "clips.parquet")
        runs += planted.write_runs(tmp_path, n_folds=2, variants=("AM", "N2"), corpus=corpus, seeds=(0, 1))
    runs += planted.write_runs(tmp_path, n_folds=2, variants=("VM",), corpus="cremad", reason="no picture")
    (tmp_path / "plots" / "curves").mkdir(parents=True)
    (tmp_path / "plots" / "curves" / "gone.csv").write_text("of a variant that was removed")
    summarise(runs=runs, clips=clips, out=tmp_path / "metrics.json", plots=tmp_path / "plots", config=planted.config())
    return tmp_path, json.loads((tmp_path / "metrics.json").read_text())


def test_metrics_are_nested_by_corpus_and_variant(written):
    _, metrics = written
    assert sorted(metrics) == ["cremad", "ravdess"]
    assert sorted(metrics["cremad"]) == ["AM", "N2"]  # nothing is said of what could not be trained
    assert metrics["ravdess"]["N2"]["accuracy_honest"] > metrics["ravdess"]["AM"]["accuracy_honest"]
    assert metrics["ravdess"]["N2"]["n_clips"] == 48
    assert metrics["ravdess"]["N2"]["n_folds"] == 2  # variants may differ in it
    assert metrics["ravdess"]["N2"]["uar"] == metrics["ravdess"]["N2"]["accuracy_honest"]  # as many clips of each class
    for name, key in (("accuracy", "accuracy_honest"), ("uar", "uar"), ("macro_f1", "macro_f1")):
        low, value, high = (metrics["ravdess"]["N2"][one] for one in (f"{name}_low", key, f"{name}_high"))
        assert 0 < low < value < high < 1


def test_what_is_not_known_is_absent(tmp_path):
    clips = planted.write_corpus(tmp_path, n_actors=1) / "clips.parquet"
    run = planted.write_run(tmp_path, "N2", 0, actors=(1,), fold_name="A1")
    summarise(runs=[run], clips=[clips], out=tmp_path / "metrics.json", config=planted.config())
    metrics = json.loads((tmp_path / "metrics.json").read_text())["ravdess"]["N2"]
    assert "uar" in metrics
    assert "uar_low" not in metrics  # of one person


def test_plot_data_agree_with_the_metrics(written):
    root, metrics = written
    pairs = pd.read_csv(root / "plots" / "confusion" / "ravdess_N2.csv")
    assert set(pairs.actual) == set(planted.CLASSES)
    assert (pairs.actual == pairs.predicted).mean() == pytest.approx(
        metrics["ravdess"]["N2"]["accuracy_honest"], abs=1e-4
    )
    curves = pd.read_csv(root / "plots" / "learning_curves.csv")
    assert len(curves) == 2 * 2 * 2 * 2 * 5  # corpora, variants, folds, seeds, epochs
    assert not (root / "plots" / "curves" / "gone.csv").exists()


def test_a_mean_curve_counts_the_runs_that_still_train():
    long = pd.DataFrame({"epoch": [1, 2], "train_loss": [1.0, 0.5], "validation_loss": 1.0, "validation_accuracy": 0.5})
    short = long.iloc[:1].assign(train_loss=3.0)
    mean = mean_curves(pd.concat([long, short]))
    assert mean.train_loss.tolist() == [2.0, 0.5]
    assert mean.n_runs.tolist() == [2, 1]
