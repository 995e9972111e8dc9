"""Intervals and paired tests: against scipy, against the thesis's own folds, and where data run out."""

import math

import numpy as np
import pytest
import yaml
from scipy import stats

from mien.core.rng import rng_for
from mien.evaluation.statistics import interval_of_cell, interval_of_mean, sign_flip


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
    found = sign_flip(np.array(rows["N2_e2e"]), np.array(rows[other]))
    assert round(found.difference, 2) == difference
    assert round(found.p, 3) == p
    assert found.n == len(thesis[table]["folds"])


@pytest.mark.parametrize("n", [2, 5, 9])
def test_sign_flip_counts_every_pattern(n):
    a, b = rng_for(0, "a", n).normal(size=(2, n))
    signs = np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1)
    null = np.abs(((a - b)[:, None] * signs).mean(axis=0))
    expected = np.mean(null >= abs(np.mean(a - b)) - 1e-12)
    assert sign_flip(a, b).p == pytest.approx(expected)


def test_sign_flip_is_symmetric_and_never_below_its_floor():
    a, b = np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 2.0])
    found = sign_flip(a, b)
    assert found.p == sign_flip(b, a).p == found.p_floor == 0.25
    assert sign_flip(a, a).p == 1.0


def test_too_few_pairs_are_nan_not_an_error():
    assert math.isnan(sign_flip(np.array([]), np.array([])).difference)
    one = sign_flip(np.array([1.0, np.nan]), np.array([0.5, 2.0]))
    assert (one.n, one.difference) == (1, 0.5)
    assert math.isnan(one.p)


def test_many_pairs_are_drawn_from_the_generator():
    a, b = rng_for(1, "pairs").normal(loc=[[0.4], [0.0]], size=(2, 20))
    with pytest.raises(ValueError, match="rng"):
        sign_flip(a, b)
    first, again = (sign_flip(a, b, rng=rng_for(0, "draws")) for _ in range(2))
    assert first == again
    assert 0 < first.p <= 1


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 5), (5, 5), (12.5, 24), (0.4, 1), (119.33, 120)])
def test_the_interval_of_a_cell_contains_it(hits, n):
    low, high = interval_of_cell(hits, n, confidence=0.95)
    assert 0 <= low <= hits / n + 1e-9
    assert hits / n - 1e-9 <= high <= 1


def test_the_interval_of_a_cell_is_wilsons():
    low, high = interval_of_cell(9, 12, confidence=0.9)
    expected = stats.binomtest(9, 12).proportion_ci(0.9, method="wilson")
    assert (low, high) == (expected.low, expected.high)
    assert all(math.isnan(end) for end in interval_of_cell(0, 0, confidence=0.95))


def test_the_interval_of_the_mean_contains_it_and_repeats():
    values = rng_for(2, "actors").uniform(0.4, 0.9, 12)
    weights = np.ones(12) / 12
    first, again = (
        interval_of_mean(values, weights, confidence=0.95, resamples=500, rng=rng_for(0, "b")) for _ in range(2)
    )
    assert first == again
    assert first[0] < values.mean() < first[1]
    wider = interval_of_mean(values, weights, confidence=0.99, resamples=500, rng=rng_for(0, "b"))
    assert wider[0] <= first[0]
    assert wider[1] >= first[1]


def test_equal_people_have_no_spread_and_one_person_no_interval():
    interval = interval_of_mean(np.full(4, 0.5), np.ones(4), confidence=0.95, resamples=200, rng=rng_for(0, "b"))
    assert interval == (0.5, 0.5)
    alone = interval_of_mean(np.array([0.5]), np.ones(1), confidence=0.95, resamples=200, rng=rng_for(0, "b"))
    assert all(math.isnan(end) for end in alone)


def test_more_people_narrow_the_interval():
    def width(n: int) -> float:
        values = np.tile([0.4, 0.8], n // 2)
        low, high = interval_of_mean(values, np.ones(n), confidence=0.95, resamples=2000, rng=rng_for(0, "b"))
        return high - low

    assert width(64) < 0.5 * width(8)
