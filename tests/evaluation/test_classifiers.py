"""Judgements of pictures: kept apart by role, averaged over runs, compared on the same pictures."""

import numpy as np
import pytest

import planted_classifiers as planted
from mien.config.schema import EvaluateConfig
from mien.errors import TableError
from mien.evaluation.classifiers import (
    best_split,
    expected_runs,
    hit_rate,
    paired_difference,
    read_prediction_set,
    score_on,
)
from mien.evaluation.runs import read_runs

CONFIG = EvaluateConfig(**planted.EVALUATE)


def _panel(root, right, **options):
    _, table = planted.write_samples(root, n_people=options.pop("n_people", 5))
    return read_prediction_set(read_runs(planted.write_runs(root, table, right, **options)), table)


def _compare(panel, one, other, *, strict=False):
    sides = (panel.of(one), panel.of(other))
    return paired_difference(panel, *sides, strict=strict, confidence=0.95)


def test_seeds_are_averaged_per_picture(tmp_path):
    panel = _panel(tmp_path, {"CNN": lambda row: row.seed == 0 or row.label == 1})
    rate = hit_rate(panel, panel.of("CNN"))
    tested = panel.rows("test", "aside")
    assert np.isnan(rate[~tested]).all()
    assert set(rate[tested & (panel.label == 1)]) == {1.0}
    assert set(rate[tested & (panel.label != 1)]) == {0.5}
    assert hit_rate(panel, []).shape == rate.shape


def test_missing_pictures_lower_coverage_and_strict_accuracy_only(tmp_path):
    gone = [f"rafd-00-{label}-90frontal" for label in range(4)]
    panel = _panel(tmp_path, {"AU_SSVM": lambda row: True}, missing={"AU_SSVM": gone})
    usable = ~panel.table["clip"].isin(gone).to_numpy()
    score = score_on(panel, panel.of("AU_SSVM"), panel.rows("test"), usable=usable)
    assert score.measures == {"accuracy": 1, "uar": 1, "macro_f1": 1}
    assert score.coverage == score.strict == pytest.approx(36 / 40)
    assert (score.n_pictures, score.n_judged, score.n_classes, score.n_people) == (40, 36, 4, 5)


def test_the_best_split_is_chosen_by_validation_and_the_earlier_of_equals(tmp_path):
    panel = _panel(
        tmp_path,
        {
            "AU_SSVM": lambda row: (
                row.label < {0: 2, 1: 3, 2: 3}[row.seed] if row.role == "validation" else row.seed == 0
            )
        },
    )
    assert best_split(panel, panel.of("AU_SSVM")).seed == 1  # seed 0 is best on test, seeds 1 and 2 on validation


def test_a_planted_difference_is_found_on_the_same_pictures(tmp_path):
    right = {"CNN": lambda row: row.label != 3 or row.person[-1] == "0", "AU_SSVM": lambda row: row.label < 2}
    panel = _panel(tmp_path, right)
    found = _compare(panel, "CNN", "AU_SSVM")
    assert found.difference == pytest.approx(25 + 5)  # one label of four, another for one person of five
    assert 10 < found.low < found.difference < found.high < 50
    assert (found.n_clips, found.n_people) == (40, 5)
    turned = _compare(panel, "AU_SSVM", "CNN")
    assert turned.difference == pytest.approx(-found.difference)


def test_predictions_of_other_samples_are_refused(tmp_path):
    _, table = planted.write_samples(tmp_path)
    path = planted.write_run(tmp_path, table, "CNN", 0, lambda row: True)
    runs = read_runs([path])
    with pytest.raises(TableError, match="is not in the samples"):
        read_prediction_set(runs, table.iloc[1:].reset_index(drop=True))
    with pytest.raises(TableError, match="another label"):
        read_prediction_set(runs, table.assign(label=(table.label + 1) % 4))
    with pytest.raises(TableError, match="another role"):
        read_prediction_set(runs, table.assign(role=table.role.replace("aside", "test")))
    other = planted.write_run(tmp_path, table, "CNN", 1, lambda row: True, missing=["rafd-00-0-90frontal"])
    with pytest.raises(TableError, match="seeds 0 and 1 were tested on different pictures"):
        read_prediction_set(read_runs([path, other]), table)


def test_a_missing_run_is_named(tmp_path):
    _, table = planted.write_samples(tmp_path)
    runs = read_runs([planted.write_run(tmp_path, table, "CNN", seed, lambda row: True) for seed in (0, 2)])
    with pytest.raises(TableError, match="CNN on ckplus_rafd, seed 1"):
        expected_runs(runs, planted.PAIR, {"CNN": 2})
    assert [run.seed for run in expected_runs(runs, planted.PAIR, {"CNN": 1})] == [0]
