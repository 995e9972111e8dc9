"""Intervals, paired tests and their correction; fractions 0..1 in and out, NaN where there is too little data.

Clips of one person resemble each other, so people, not clips, are what a mean is taken over. With 6 to 24 people, 30
or 60 clips each, the percentile bootstrap covers 77 to 94 % where it says 95, and BCa no more. Student's t over people
covers 93 to 96 %: of differences as it is, of accuracies on the scale of log odds (as it is, 87 to 92 % where people
differ much and most of them are near the ceiling). tests/evaluation/test_coverage.py simulates this. The trained
networks are held fixed: another training, or other people in it, is in none of the intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

EXACT = 16  # folds up to which all 2^n sign patterns are enumerated


@dataclass(frozen=True)
class Paired:
    """Mean difference a - b, two-sided p, the smallest p that so many pairs can give, and their number."""

    difference: float
    p: float
    p_floor: float
    n: int


def interval_of_cell(n_hits: float, n_clips: int, *, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of one accuracy.

    `n_hits` may be a mean over seeds: a broken count takes the low end of the whole count below it and the high end
    of the one above. The clips count as independent, which holds for these actors only: the interval says how well
    the fold is measured, not how far other people are from it.
    """
    if n_clips < 1:
        return math.nan, math.nan
    whole = round(n_hits) if math.isclose(n_hits, round(n_hits), abs_tol=1e-6) else n_hits
    ends = [
        stats.binomtest(count, n_clips).proportion_ci(confidence, method="wilson")
        for count in (math.floor(whole), math.ceil(whole))
    ]
    return float(ends[0].low), float(ends[1].high)


def interval_of_mean(values: np.ndarray, weights: np.ndarray, *, confidence: float) -> tuple[float, float]:
    """Return Student's t interval of a weighted mean over people, or over folds.

    values, weights : (A,) of every person. NaN with fewer than two of them.
    The error is that of the linearised ratio, sqrt(A / (A - 1) Σ w²(x - mean)²), with weights that add up to 1 and
    A - 1 degrees of freedom (Särndal, Swensson & Wretman 1992, section 5.6); with equal weights it is sd / sqrt(A).
    """
    mean, error = _mean_and_error(values, weights)
    reach = _t(len(values), confidence) * error
    return mean - reach, mean + reach


def interval_of_share(values: np.ndarray, weights: np.ndarray, *, confidence: float) -> tuple[float, float]:
    """Return the interval of a weighted mean of accuracies over people: Student's t on the scale of log odds.

    values, weights : (A,) accuracy 0..1 and weight of every person. NaN with fewer than two of them.
    As `interval_of_mean`, with the error of log(m / (1 - m)) by the delta method: error / (m (1 - m)). It stays within
    0..1 and leans away from the nearer of the two. Where everybody is right, or nobody, there is no spread to measure
    and the interval is a point.
    """
    mean, error = _mean_and_error(values, weights)
    if not 0 < mean < 1:  # or NaN
        return mean, mean
    odds, reach = special.logit(mean), _t(len(values), confidence) * error / (mean * (1 - mean))
    return float(special.expit(odds - reach)), float(special.expit(odds + reach))


def sign_flip(a: np.ndarray, b: np.ndarray, *, rng: np.random.Generator | None = None) -> Paired:
    """Test whether paired values differ: the null hypothesis exchanges a and b within any pair.

    a, b : (K,) accuracies per fold. All 2^K exchanges are enumerated up to K = 16; beyond, 2^16 - 1 are drawn from
    `rng`. Pairs with a NaN are left out; with fewer than two the p is NaN.

    Raises
    ------
    ValueError : a and b have different lengths, or K > 16 and no `rng` was given.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        raise ValueError(f"pairs expected, got {a.shape} and {b.shape}")
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    n = len(a)
    if n < 2:
        return Paired(float(np.mean(a - b)) if n else math.nan, math.nan, math.nan, n)
    if n > EXACT and rng is None:
        raise ValueError(f"{n} pairs are drawn, not enumerated: give rng")

    def mean_difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(a - b, axis=axis)

    draws = np.inf if n <= EXACT else 2**EXACT - 1
    result = stats.permutation_test(
        (a, b), mean_difference, permutation_type="samples", vectorized=True, n_resamples=draws, rng=rng
    )
    return Paired(float(result.statistic), float(result.pvalue), 2.0 ** (1 - min(n, EXACT)), n)


def holm(p: Sequence[float]) -> list[float]:
    """Return the p of a family of tests, adjusted by Holm (1979): below 0.05, the family errs at most 5 % of the time.

    The k-th smallest of n is multiplied by n - k + 1, and none is below a smaller one's. A test that could not be made
    (NaN) stays so and does not belong to the family.
    """
    p = np.asarray(p, float)
    order = [k for k in np.argsort(p, kind="stable") if not math.isnan(p[k])]
    adjusted, least = p.copy(), 0.0
    for rank, k in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * p[k]))
        adjusted[k] = least
    return [float(one) for one in adjusted]


def _mean_and_error(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean and its standard error; NaN with fewer than two values."""
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    weights = weights / weights.sum()
    mean = float(weights @ values)
    return mean, math.sqrt(n / (n - 1) * float(np.sum((weights * (values - mean)) ** 2)))


def _t(n: int, confidence: float) -> float:
    """Return how many standard errors the interval of a mean of `n` values reaches."""
    return float(special.stdtrit(n - 1, 0.5 + confidence / 2)) if n > 1 else math.nan
