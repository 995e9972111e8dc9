"""Gains of one network over another: exact differences, the right units, and nothing where nothing is known."""

import math

import numpy as np
import pytest
from scipy import special

from mien.evaluation.metrics import NO_SEED
from mien.evaluation.statistics import gain, interval_of_mean, sign_flip
from mien.io.randomness import rng_for
from planted_scores import scores

OPTIONS = {"confidence": 0.95, "rng": rng_for(0, "pairs")}


def test_a_gain_is_the_mean_over_folds_with_folds_as_units():
    table = scores({"one": [[1.0, 0.75], [0.5, 1.0], [0.75, 0.75]], "other": [[0.5, 0.5], [0.5, 0.5], [0.75, 1.0]]})
    found = gain(table, "one", "other", "honest", **OPTIONS)
    folds = {"A0": 37.5, "A1": 25.0, "A2": -12.5}
    assert found.folds == folds
    assert found.difference == pytest.approx(np.mean(list(folds.values())))
    ends = interval_of_mean(np.array(list(folds.values())), np.ones(3), confidence=0.95)
    assert (found.low, found.high) == pytest.approx(ends)
    assert found.n_trainings == 1
    assert not found.clearly_below(0.5)
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


def test_few_folds_have_the_variances_of_people_and_of_trainings():
    table = scores({"one": [[0.75, 0.5]], "other": [[0.5, 0.5]]}, seeds=2)
    for variant, clip in (("one", "0-0-3"), ("one", "0-1-3"), ("other", "0-0-0")):  # in one training each
        mine = (table.variant == variant) & (table["clip"] == clip) & (table.seed == 1)
        table.loc[mine, "hit"] = 1 - table.hit[mine]
    found = gain(table, "one", "other", "honest", **OPTIONS)
    people = np.array([50.0, 12.5])  # of one 87.5 and 62.5, of other 37.5 and 50
    trainings = [np.array([62.5, 87.5]), np.array([50.0, 37.5])]
    parts = [(people.var(ddof=1) / 2, 1), *((one.var(ddof=1) / 2, 1) for one in trainings)]
    variance = sum(part for part, _ in parts)
    df = variance**2 / sum(part**2 for part, _ in parts)
    assert found.difference == pytest.approx(31.25)
    assert (found.error, found.df) == pytest.approx((math.sqrt(variance), df))
    assert found.high - found.difference == pytest.approx(special.stdtrit(df, 0.975) * math.sqrt(variance))
    assert (found.n_trainings, found.cases) == (2, {"A0": 0.0})
    once = gain(table[table.seed == 0], "one", "other", "honest", **OPTIONS)
    assert once.error == pytest.approx(np.std([25, 0], ddof=1) / math.sqrt(2))  # people alone
    assert not gain(table[table.actor == "00"], "one", "other", "honest", **OPTIONS).error > 0  # people are not known


def test_a_fold_is_clearly_below_only_beyond_what_people_clips_and_trainings_leave_to_chance():
    one = [[0.5, 0.5], [0.9, 0.9]]
    right = {"one": one, "close": [[0.525, 0.525], [0.8, 0.8]], "far": [[0.95, 0.95], [0.8, 0.8]]}
    table = scores(right, n_clips=40, seeds=2)
    close, far = (gain(table, "one", other, "honest", **OPTIONS) for other in ("close", "far"))
    assert close.below == far.below == ["A0"]
    assert close.clearly_below(0.05) == []
    assert far.clearly_below(0.05) == ["A0"]
    assert gain(table[table.seed == 0], "one", "far", "honest", **OPTIONS).clearly_below(0.05) == []


def test_equal_folds_have_the_interval_of_their_clips():
    found = gain(scores({"one": [[0.5]] * 3, "other": [[0.5]] * 3}), "one", "other", "honest", **OPTIONS)
    assert (found.difference, found.p) == (0, 1)
    assert found.low < 0 < found.high


def test_the_best_of_others_is_chosen_in_every_fold():
    table = scores({"N0": [[0.75], [0.75]], "AM": [[1.0], [0.25]], "VM": [[0.5], [0.5]]})
    found = gain(table, "N0", ["AM", "VM"], "honest", **OPTIONS)
    assert found.folds == {"A0": -25.0, "A1": 25.0}
    assert (found.one, found.other, found.below) == ("N0", "best of AM and VM", ["A0"])


def test_the_luck_of_the_best_of_others_is_not_held_against_a_network():
    up, down = [[0.75], [0.25]] * 3, [[0.25], [0.75]] * 3  # by chance: both are right in half of the clips
    table = scores({"N0": [[0.5]] * 6, "AM": up, "VM": down}, n_clips=20)
    found = gain(table, "N0", ["AM", "VM"], "honest", **OPTIONS)
    assert found.difference == -25
    assert found.low < -25 < 0 < found.high
    assert found.p_below() > 0.5
    alone = gain(table, "N0", ["AM"], "honest", **OPTIONS)
    assert not alone.rivals


def test_nothing_in_common_is_a_gain_without_numbers():
    table = scores({"one": [[1.0, 0.5]]})
    for found in (
        gain(table, "one", "other", "honest", **OPTIONS),
        gain(table, "one", "one", "optimistic", **OPTIONS),
        gain(table, "one", ["other"], "honest", **OPTIONS),
    ):
        assert (found.n_folds, found.n_people, found.below) == (0, 0, [])
        assert math.isnan(found.difference)


def test_a_side_that_draws_nothing_adds_no_noise_of_training_and_counts_no_training():
    frame = scores({"N2": [[1.0, 0.75], [0.75, 0.5]], "SVM": [[0.5, 0.25], [0.5, 0.25]]}, seeds=3)
    frame.loc[(frame.variant == "N2") & (frame.seed == 2), "hit"] = 1.0
    frame = frame[(frame.variant != "SVM") | (frame.seed == 0)]
    fixed = frame.assign(seed=frame.seed.where(frame.variant != "SVM", NO_SEED))
    one, other = (gain(rows, "N2", "SVM", "honest", **OPTIONS) for rows in (frame, fixed))
    assert (one.n_trainings, other.n_trainings) == (1, 3)
    assert one.difference == other.difference
    assert np.isnan(list(one.p_folds.values())).all()  # of one training the noise is not known
    assert not np.isnan(list(other.p_folds.values())).any()
    assert one.error < other.error  # without the noise of the network's own training, and with it
    drawn = fixed.assign(seed=NO_SEED).drop_duplicates(["variant", "clip"])
    both = gain(drawn, "N2", "SVM", "honest", **OPTIONS)
    assert both.n_trainings == 0
    assert both.low < both.difference < both.high
