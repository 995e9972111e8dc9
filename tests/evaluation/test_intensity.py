"""Numbers on intensity: known answers, folds that weigh the same, and intervals that hold what they promise."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mien.evaluation.intensity import MEAN, SAID, compare, concordance, correlation, measures
from mien.io.randomness import rng_for


def rows(label, said, *, person=None, fold="A", constant=0.5) -> pd.DataFrame:
    n = len(label)
    frame = pd.DataFrame({"label": label, "said": said, "clip": [f"{fold}{k}" for k in range(n)]})
    right = (np.rint(frame.said) == frame.label).astype(float)
    person = [f"{fold}-{k % 4}" for k in range(n)] if person is None else person
    facts = {"variant": "N", "head": "fused", "fold": fold, "seed": 0, "selection": "honest", "constant": constant}
    return frame.assign(person=person, right=right, **facts)[SAID]


def test_of_one_fold_the_numbers_are_the_plain_ones():
    rng = rng_for(0)
    level = rng.integers(0, 3, 40)
    said = level + rng.normal(0, 1.0, 40)
    found = measures(rows(level, said, constant=1.1), confidence=0.95)
    assert found["r"] == pytest.approx(stats.pearsonr(level, said).statistic)
    gap = (level.mean() - said.mean()) ** 2  # Lin (1989), with moments of 1 / N
    assert found["ccc"] == pytest.approx(2 * np.cov(level, said, ddof=0)[0, 1] / (level.var() + said.var() + gap))
    assert found["ccc_low"] < found["ccc"] < found["ccc_high"]
    assert found["mae"] == pytest.approx(np.abs(said - level).mean())
    assert found["r2"] == pytest.approx(1 - np.mean((said - level) ** 2) / np.mean((1.1 - level) ** 2))
    assert found["r_low"] < found["r"] < found["r_high"]
    assert found["mae_low"] < found["mae"] < found["mae_high"]


def test_in_the_mean_every_fold_weighs_the_same_and_seeds_are_averaged():
    level, rng = np.array([0, 1] * 10), rng_for(1)
    one = rows(level, level + 0.1)
    two = rows(level[:4], level[:4] + rng.choice([-0.5, 0.5], 4), fold="B")
    again = two.assign(seed=1, said=two.label + 0.2)
    table = compare(pd.concat([one, two, again]), confidence=0.95).set_index("fold")
    assert table.mae["A"] == pytest.approx(0.1)
    assert table.mae["B"] == pytest.approx((0.5 + 0.2) / 2)
    assert table.mae[MEAN] == pytest.approx((table.mae["A"] + table.mae["B"]) / 2)
    assert table.right[MEAN] == pytest.approx((table.right["A"] + table.right["B"]) / 2)
    assert (table.n_clips[MEAN], table.n_seeds["B"]) == (24, 2)


def test_ccc_is_r_lowered_by_a_wrong_scale_and_a_wrong_offset():
    x, weight, person = np.tile([0.0, 1.0], 20), np.full(40, 1 / 40), np.repeat(np.arange(4), 10)
    r, ccc = (one(x, 0.5 * x + 1, weight, person, 0.95)[0] for one in (correlation, concordance))
    assert (r, ccc) == pytest.approx((1, 2 * 0.125 / (0.25 + 0.0625 + 0.75**2)))
    assert concordance(x, x, weight, person, 0.95)[0] == 1
    ccc, *ends = concordance(x, np.full(40, 0.5), weight, person, 0.95)
    assert ccc == 0
    assert np.isnan(ends).all()
    assert np.isnan(concordance(np.ones(40), np.ones(40), weight, person, 0.95)).all()


@pytest.mark.parametrize("coefficient", [correlation, concordance])
def test_intervals_hold_the_truth_as_often_as_they_say(coefficient):
    """Twelve actors, each with a bent of their own to be called strong, which the network shares in part."""
    rng, hits, n = rng_for(2), 0, 300
    level = np.tile([0.0, 1.0], 12 * 15)
    person, weight = np.repeat(np.arange(12), 30), np.full(360, 1 / 360)
    variance = 0.25 + 0.5**2 + 0.3**2  # of what is said: the level, noise, the person
    truth = 0.25 / np.sqrt(0.25 * variance) if coefficient is correlation else 2 * 0.25 / (0.25 + variance)
    for _ in range(n):
        said = level + rng.normal(0, 0.5, 360) + np.repeat(rng.normal(0, 0.3, 12), 30)
        _, low, high = coefficient(level, said, weight, person, 0.95)
        hits += low <= truth <= high
    assert 0.92 <= hits / n <= 0.98
