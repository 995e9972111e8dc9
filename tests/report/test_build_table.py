"""The table beside the thesis: complete, honest about its corpus, and the same bytes every time."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import planted
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.report.page import percent
from mien.report.tables.comparison import build_table


@pytest.fixture
def build(tmp_path, repository):
    """Return call(runs, corpus folder, config) -> (CSV frame, Markdown)."""

    def call(runs, folder: Path, config: str | None = None) -> tuple[pd.DataFrame, str]:
        return planted.run_table(
            build_table,
            tmp_path / "tables",
            table="5.2",
            runs=runs,
            clips=folder / "clips.parquet",
            corpus_info=folder / "corpus.json",
            thesis=repository / "resources" / "thesis_tables.yaml",
            config=config or planted.config(),
        )

    return call


def test_twelve_folds_stand_beside_the_thesis(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=24)
    cells, _ = build(planted.write_runs(tmp_path, n_folds=12), folder)
    assert len(cells) == len(planted.ROWS) * 13
    first = cells[(cells.variant == "N2") & (cells.fold == "A1,2")].iloc[0]
    assert first.thesis == 97.5
    assert first.difference == pytest.approx(first.honest - 97.5, abs=0.011)
    mean = cells[(cells.variant == "N2") & (cells.fold == "mean")].iloc[0]
    assert mean.thesis == 91.47
    folds = cells[(cells.variant == "N2") & (cells.fold != "mean")]
    assert mean.honest == pytest.approx(folds.honest.mean(), abs=0.01)
    assert ((cells.low <= cells.honest + 0.01) & (cells.honest <= cells.high + 0.01)).all()


def test_the_first_folds_alone_are_compared_with_the_same_folds(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=24)
    runs = planted.write_runs(tmp_path, n_folds=6, variants=("AM", "VM", "N2"))
    cells, _ = build(runs, folder, planted.config(rows=["AM", "VM", "N2"], folds=3))
    assert list(cells.fold[cells.variant == "N2"]) == ["A1,2", "A3,4", "A5,6", "mean"]
    mean = cells[(cells.variant == "N2") & (cells.fold == "mean")].iloc[0]
    assert mean.thesis == pytest.approx((97.5 + 92.1 + 90.8) / 3, abs=0.01)


def test_the_spread_over_seeds_is_beside_the_mean(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=4)
    runs = planted.write_runs(tmp_path, n_folds=2, variants=("AM", "N2"), seeds=(0, 1, 2))
    rows = ["AM", "N2"]
    cells, _ = build(runs, folder, planted.config(rows=rows, single=["AM"]))
    means = [100 * _honest_accuracy(path.parent) for path in runs if "N2/fold0" in str(path)]
    first = cells[(cells.variant == "N2") & (cells.fold == "A1,2")].iloc[0]
    assert first.seeds_sd == pytest.approx(np.std(means, ddof=1), abs=0.006)
    assert (cells.n_seeds == 3).all()
    first = [path for path in runs if "seed0" in str(path)]
    alone, _ = build(first, folder, planted.config(rows=rows, single=["AM"]))
    assert alone.seeds_sd.isna().all()


def _honest_accuracy(folder: Path) -> float:
    rows = tables.read(folder / "predictions.parquet", tables.PREDICTIONS)
    rows = rows[(rows.selection == "honest") & (rows.role == "test")]
    return float(np.mean([np.argmax(logits) == label for logits, label in zip(rows.logits, rows.label, strict=True)]))


def test_other_folds_compare_means_only(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=6)
    cells, _ = build(planted.write_runs(tmp_path, n_folds=3, names=["A1-2", "A3-4", "A5-6"]), folder)
    assert cells[cells.fold != "mean"].thesis.isna().all()
    assert cells[cells.fold == "mean"].thesis.notna().all()


def test_synthetic_people_are_named_in_bold_and_real_ones_are_not(tmp_path, build):
    runs = planted.write_runs(tmp_path, n_folds=2)
    assert "**Synthetic people" in build(runs, planted.write_corpus(tmp_path, n_actors=4))[1]
    assert "ynthetic" not in build(runs, planted.write_corpus(tmp_path, n_actors=4, source="/data/ravdess"))[1]


def test_equal_runs_are_equal_bytes(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=6)
    runs = planted.write_runs(tmp_path, n_folds=3, seeds=(0, 1))
    first, text = build(runs, folder)
    again, same = build(runs, folder)
    pd.testing.assert_frame_equal(first, again)
    assert text == same


def test_rows_come_in_the_order_of_the_parameters_whatever_that_of_the_runs(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=6)
    runs = planted.write_runs(tmp_path, n_folds=3)
    cells, _ = build(runs, folder)
    turned, _ = build(runs[::-1], folder)
    assert list(cells.variant.unique()) == list(planted.ROWS)
    pd.testing.assert_frame_equal(cells, turned)


def test_what_could_not_be_trained_is_a_dash_with_a_reason(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=6)
    runs = planted.write_runs(tmp_path, n_folds=3, variants=("AM", "N0", "N1"))
    runs += planted.write_runs(tmp_path, n_folds=3, variants=("VM", "N2"), reason="no clip has a picture")
    cells, text = build(runs, folder)
    assert cells[cells.variant == "N2"].honest.isna().all()
    assert cells[cells.variant == "N2"].n_clips.eq(0).all()
    row = next(line for line in text.splitlines() if line.startswith("| N2 \\*"))
    assert set(row.replace(" ", "").split("|")[2:-1]) == {"-"}


def test_nothing_trained_is_still_a_table(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=4)
    cells, _ = build(planted.write_runs(tmp_path, n_folds=2, reason="no clips"), folder)
    assert cells.honest.isna().all()


def test_protocol_thesis_is_called_optimistic(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=24)
    cells, _ = build(planted.write_runs(tmp_path, n_folds=12, selections=("optimistic",)), folder)
    assert cells.honest.isna().all()
    assert cells.low.notna().all()
    mean = cells[(cells.variant == "N2") & (cells.fold == "mean")].iloc[0]
    assert mean.difference == pytest.approx(mean.optimistic - mean.thesis, abs=0.011)


def test_twins_are_reported_apart(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=4, apart={"clip-01-0-0", "clip-02-1-1"})
    cells, _ = build(planted.write_runs(tmp_path, n_folds=2), folder)
    assert cells[(cells.variant == "N2") & (cells.fold == "mean")].n_clips.item() == 46


def test_a_single_fold_has_no_test_but_a_table(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=2)
    _, text = build(planted.write_runs(tmp_path, n_folds=1), folder)
    assert "nan" not in text


def test_a_missing_run_and_an_unknown_row_are_named(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=4)
    runs = planted.write_runs(tmp_path, n_folds=2)
    with pytest.raises(TableError, match="N2 on ravdess, fold 1"):
        build(runs[:-1], folder)


def test_numbers_have_one_decimal_and_no_minus_zero():
    assert percent(-0.04, signed=True) == "0.0"
    assert percent(1.25, signed=True) == "+1.2"
    assert percent(math.nan) == "-"


def test_classical_methods_stand_beside_the_networks_without_noise_of_training(tmp_path, build):
    folder = planted.write_corpus(tmp_path, n_actors=12)
    networks = planted.write_runs(tmp_path, n_folds=3, variants=("AM", "N2"), seeds=(0, 1))
    fits = planted.write_runs(tmp_path, n_folds=3, variants=("Voice_SVM",), seeds=(0,))
    for path in fits:
        write_json(path, read_json(path) | {"deterministic": True})
    options = planted.config(rows=["AM", "N2"], single=["AM"], baselines=["Voice_SVM"])
    cells, page = build([*networks, *fits], folder, options)
    rows = cells.groupby("variant", sort=False).n_seeds.unique().map(list).to_dict()
    assert rows == {"AM": [2], "N2": [2], "Voice_SVM": [0]}
    assert cells.seeds_sd[cells.variant == "Voice_SVM"].isna().all()
    mean = cells[(cells.variant == "Voice_SVM") & (cells.fold == "mean")].iloc[0]
    assert mean.low < mean.honest < mean.high
    assert "| Voice_SVM † |" in " ".join(page.split())
    assert "2 seeds" in page
    assert "Voice_SVM: on average ahead of it: N2; not ahead: AM." in page
    assert "N2 vs Voice_SVM" not in page  # in no list of paired tests
    once = [path for path in networks if "seed0" in path.parent.name]
    _, page = build([*once, *fits], folder, options)
    assert "With one training of every network this decides nothing." in page
