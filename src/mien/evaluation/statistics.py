"""Intervals and paired tests, thin over scipy; fractions 0..1 in and out, NaN where there is too little data."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

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


def interval_of_mean(
    values: np.ndarray, weights: np.ndarray, *, confidence: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a weighted mean, with whole people resampled.

    values, weights : (A,) accuracy and weight of every person. Clips of one person resemble each other, so people,
    not clips, are drawn. NaN with fewer than two people.
    """
    if len(values) < 2:
        return math.nan, math.nan

    def mean(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
        return (values * weights).sum(axis=axis) / weights.sum(axis=axis)

    result = stats.bootstrap(
        (np.asarray(values, float), np.asarray(weights, float)),
        mean,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=rng,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


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
