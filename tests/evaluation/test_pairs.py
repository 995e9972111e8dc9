"""Gains of one network over another: exact differences, the right units, and nothing where nothing is known."""

import math

import numpy as np
import pytest

from mien.evaluation.statistics import gain, interval_of_mean, sign_flip
from mien.io.randomness import rng_for
from planted_scores import scores

OPTIONS = {"confidence": 0.95, "rng": rng_for(0, "pairs")}


def test_a_gain_is_the_mean_over_folds_with_people_as_units():
    table = scores({"one": [[1.0, 0.75], [0.5, 1.0], [0.75, 0.75]], "other": [[0.5, 0.5], [0.5, 0.5], [0.75, 1.0]]})
    found = gain(table, "one", "other", "honest", **OPTIONS)
    folds = {"A0": 37.5, "A1": 25.0, "A2": -12.5}
    people = np.array([50.0, 25.0, 0.0, 50.0, 0.0, -25.0])
    assert found.folds == folds
    assert found.difference == pytest.approx(np.mean(list(folds.values())))
    assert (found.low, found.high) == pytest.approx(interval_of_mean(people, np.ones(6), confidence=0.95))
    assert found.p == sign_flip(np.array(list(folds.values())))[0]
    assert (found.n_folds, found.n_people, found.n_clips, found.below) == (3, 6, 24, ["A2"])
    back = gain(table, "other", "one", "honest", **OPTIONS)
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))


def test_only_common_clips_and_folds_count_and_seeds_are_averaged():
    table = scores({"one": [[1.0, 1.0], [1.0, 1.0]], "other": [[0.5, 0.5]]}, seeds=2)
    lost = (table.variant == "other") & (table["clip"].isin(["0-0-2", "0-0-3"]))  # both were wrong
    wrong_once = (table.variant == "one") & (table["clip"] == "0-0-0") & (table.seed == 1)
    table = table[~lost].assign(hit=table.hit.mask(wrong_once, 0.0))
    found = gain(table, "one", "other", "honest", **OPTIONS)
    assert found.folds == {"A0": pytest.approx(100 * (-0.5 + 2) / 6)}
    assert (found.n_clips, found.n_people) == (6, 2)
    assert math.isnan(found.p)
    assert found.low < found.difference < found.high


def test_a_fold_is_clearly_below_only_beyond_what_its_clips_leave_to_chance():
    one = [[0.5, 0.5], [0.9, 0.9]]
    table = scores({"one": one, "close": [[0.525, 0.525], [0.8, 0.8]], "far": [[0.95, 0.95], [0.8, 0.8]]}, n_clips=40)
    close, far = (gain(table, "one", other, "honest", **OPTIONS) for other in ("close", "far"))
    assert close.below == far.below == ["A0"]
    assert close.clearly_below == ()
    assert far.clearly_below == ("A0",)


def test_the_best_of_others_is_chosen_in_every_fold():
    table = scores({"N0": [[0.75], [0.75]], "AM": [[1.0], [0.25]], "VM": [[0.5], [0.5]]})
    found = gain(table, "N0", ["AM", "VM"], "honest", **OPTIONS)
    assert found.folds == {"A0": -25.0, "A1": 25.0}
    assert (found.one, found.other, found.below) == ("N0", "best of AM and VM", ["A0"])


def test_nothing_in_common_is_a_gain_without_numbers():
    table = scores({"one": [[1.0, 0.5]]})
    for found in (
        gain(table, "one", "other", "honest", **OPTIONS),
        gain(table, "one", "one", "optimistic", **OPTIONS),
        gain(table, "one", ["other"], "honest", **OPTIONS),
    ):
        assert (found.n_folds, found.n_people, found.below) == (0, 0, [])
        assert math.isnan(found.difference)
