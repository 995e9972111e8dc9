"""Intervals and paired tests: against scipy, against the thesis's own folds, and where data run out."""

import math

import numpy as np
import pytest
import yaml
from scipy import stats

from mien.evaluation.statistics import (
    holm,
    interval_of_accuracy,
    interval_of_mean,
    logit_t_interval,
    sign_flip,
    wilson_interval,
)
from mien.io.randomness import rng_for
from planted_scores import scores


@pytest.fixture(scope="module")
def thesis(repository) -> dict:
    return yaml.safe_load((repository / "resources" / "thesis_tables.yaml").read_text())["tables"]


@pytest.mark.parametrize(
    ("table", "other", "difference", "p"),
    [
        ("5.2", "N1_e2e", 1.65, 0.008),
        ("5.2", "N0_e2e", 3.91, 0.002),
        ("5.2", "N0_late", 9.87, 0.001),
        ("5.3", "N1_e2e", 3.58, 0.008),
        ("5.3", "N0_e2e", 2.22, 0.008),
        ("5.3", "N0_late", 3.74, 0.004),
    ],
)
def test_the_thesis_folds_give_the_known_p(thesis, table, other, difference, p):
    rows = thesis[table]["rows"]
    found = np.array(rows["N2_e2e"]) - np.array(rows[other])
    assert round(found.mean(), 2) == difference
    assert round(sign_flip(found)[0], 3) == p
    assert len(found) == len(thesis[table]["folds"])


@pytest.mark.parametrize("n", [2, 5, 9])
def test_sign_flip_counts_every_pattern(n):
    found = np.subtract(*rng_for(0, "a", n).normal(size=(2, n)))
    signs = np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1)
    null = np.abs((found[:, None] * signs).mean(axis=0))
    expected = np.mean(null >= abs(np.mean(found)) - 1e-12)
    assert sign_flip(found)[0] == pytest.approx(expected)


def test_sign_flip_is_symmetric_and_never_below_its_floor():
    found = np.array([2.0, 2.0, 3.0])
    assert sign_flip(found) == sign_flip(-found) == (0.25, 0.25)
    assert sign_flip(0 * found)[0] == 1.0


def test_too_few_pairs_are_nan_not_an_error():
    assert np.isnan([sign_flip(np.array([])), sign_flip(np.array([0.5]))]).all()


def test_many_pairs_are_drawn_from_the_generator():
    found = rng_for(1, "pairs").normal(loc=0.4, size=20)
    with pytest.raises(ValueError, match="rng"):
        sign_flip(found)
    first, again = (sign_flip(found, rng=rng_for(0, "draws"))[0] for _ in range(2))
    assert 0 < first == again <= 1


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 5), (5, 5), (12.5, 24), (0.4, 1), (119.33, 120)])
def test_the_interval_of_a_cell_contains_it(hits, n):
    low, high = wilson_interval(hits, n, confidence=0.95)
    assert 0 <= low <= hits / n + 1e-9
    assert hits / n - 1e-9 <= high <= 1


def test_the_interval_of_a_cell_is_wilsons():
    low, high = wilson_interval(9, 12, confidence=0.9)
    expected = stats.binomtest(9, 12).proportion_ci(0.9, method="wilson")
    assert (low, high) == (expected.low, expected.high)
    assert all(math.isnan(end) for end in wilson_interval(0, 0, confidence=0.95))


def test_the_interval_of_the_mean_is_students():
    values = rng_for(2, "actors").uniform(0.4, 0.9, 12)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert interval_of_mean(values, np.full(12, 3.0), confidence=0.9) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_a_share_stays_inside_and_leans_away_from_the_end():
    values, weights = np.array([1.0, 1.0, 0.9, 0.6]), np.ones(4)
    low, high = logit_t_interval(values, weights, confidence=0.95)
    assert 0 < low < values.mean() < high < 1
    assert interval_of_mean(values, weights, confidence=0.95)[1] > 1
    assert values.mean() - low > high - values.mean()
    mirrored = logit_t_interval(1 - values, weights, confidence=0.95)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("interval", [interval_of_mean, logit_t_interval])
def test_an_interval_is_never_a_point_and_one_person_has_none(interval):
    for value in (0.0, 0.8, 1.0):
        low, high = interval(np.full(4, value), np.ones(4), confidence=0.95)
        assert math.isnan(low) or low < high
    assert all(math.isnan(end) for end in interval(np.array([0.5]), np.ones(1), confidence=0.95))
    assert all(math.isnan(end) for end in interval(np.array([]), np.array([]), confidence=0.95))


def test_equal_people_have_the_interval_of_their_clips():
    found = logit_t_interval(np.full(4, 0.8), np.ones(4), confidence=0.95, n_clips=120)
    assert found == wilson_interval(96, 120, confidence=0.95)


def test_the_accuracy_of_folds_is_on_the_scale_of_log_odds():
    table = scores({"one": [[0.5, 0.75], [0.25, 0.5], [1.0, 0.75]]}, seeds=2)
    found = interval_of_accuracy(table, confidence=0.95)
    assert found == pytest.approx(logit_t_interval(np.array([0.625, 0.375, 0.875]), np.ones(3), confidence=0.95))
    low, high = interval_of_accuracy(table[table.fold == 0], confidence=0.95)
    assert (low, high) == pytest.approx(logit_t_interval(np.array([0.5, 0.75]), np.ones(2), confidence=0.95))
    flat = scores({"one": [[1.0], [1.0], [1.0]]})
    assert interval_of_accuracy(flat, confidence=0.95) == wilson_interval(12, 12, confidence=0.95)
    assert all(map(math.isnan, interval_of_accuracy(table[:0], confidence=0.95)))


def test_holm_is_the_closed_test_of_bonferroni():
    """A hypothesis is rejected if every intersection that holds it is, by Bonferroni (Holm 1979, section 3)."""
    p = rng_for(3, "p").uniform(0, 0.2, 6)
    subsets = [[k for k in range(6) if code >> k & 1] for code in range(1, 64)]
    closed = [max(min(1.0, len(s) * p[s].min()) for s in subsets if k in s) for k in range(6)]
    assert holm(p) == pytest.approx(closed)


def test_holm_keeps_order_and_leaves_out_what_could_not_be_tested():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    found = holm([0.03, math.nan, 0.02])
    assert math.isnan(found[1])
    assert [found[0], found[2]] == pytest.approx([0.04, 0.04])
    assert holm([]) == []
    assert holm([0.7, 0.9]) == [1.0, 1.0]
