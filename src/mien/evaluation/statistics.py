"""Intervals, paired tests and their correction; fractions 0..1 in and out, NaN where there is too little data.

Clips of one person resemble each other, so people, not clips, are what a mean is taken over. With 6 to 24 people, 30
or 60 clips each, the percentile bootstrap covers 77 to 94 % where it says 95, and BCa no more. Student's t over people
covers 93 to 96 %: of differences as it is, of accuracies on the scale of log odds (as it is, 87 to 92 % where people
differ much and most of them are near the ceiling). tests/evaluation/test_coverage.py simulates this. The trained
networks are held fixed: another training, or other people in it, is in none of the intervals.

A `Gain` compares two networks on the same test clips: its interval is over test people, its test over folds, whose
people no other fold tests.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from mien.evaluation.metrics import paired_clips

EXACT = 16  # folds up to which all 2^n sign patterns are enumerated

SAME = 9  # decimals of a point within which two accuracies are equal


@dataclass(frozen=True)
class Estimate:
    """A number with its interval over people, or other units, and what it rests on."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n_clips: int = 0
    n_people: int = 0


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


def sign_flip(differences: np.ndarray, *, rng: np.random.Generator | None = None) -> tuple[float, float]:
    """Return the two-sided p of a mean of differences (K,), and the smallest that so many can give; NaN below two.

    The null hypothesis exchanges the two sides within any pair. All 2^K exchanges are enumerated up to K = 16; beyond,
    2^16 - 1 are drawn from `rng`.

    Raises
    ------
    ValueError : K > 16 and no `rng` was given.
    """
    n = len(differences)
    if n < 2:
        return math.nan, math.nan
    if n > EXACT and rng is None:
        raise ValueError(f"{n} pairs are drawn, not enumerated: give rng")

    def mean_difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(a - b, axis=axis)

    sides = (np.asarray(differences, float), np.zeros(n))
    draws = np.inf if n <= EXACT else 2**EXACT - 1
    result = stats.permutation_test(
        sides, mean_difference, permutation_type="samples", vectorized=True, n_resamples=draws, rng=rng
    )
    return float(result.pvalue), 2.0 ** (1 - min(n, EXACT))


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


@dataclass(frozen=True)
class Gain:
    """Accuracy of `one` less that of `other`, points; NaN where there is too little.

    low, high : interval over people (or over folds, where only folds are known).
    p, p_floor : of the sign-flip test over folds, and the smallest that so many folds can give.
    folds : name of a fold -> difference.
    clearly_below : folds that are below zero by more than their clips leave to chance.
    """

    one: str
    other: str
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_floor: float = math.nan
    folds: Mapping[str, float] = field(default_factory=dict)
    clearly_below: tuple[str, ...] = ()
    n_people: int = 0
    n_clips: int = 0

    @property
    def n_folds(self) -> int:
        """Return the number of folds in which both are known."""
        return len(self.folds)

    @property
    def below(self) -> list[str]:
        """Return the folds in which `one` is worse."""
        return [name for name in self.folds if self.folds[name] < 0]


def gain(
    scores: pd.DataFrame,
    one: str,
    other: str | Sequence[str],
    selection: str,
    *,
    confidence: float,
    rng: np.random.Generator,
) -> Gain:
    """Compare a variant with another, or with the best of several in each fold, on the clips that all were tested on.

    Seeds are averaged clip by clip. The best of a fold is chosen by its accuracy there, which favours the others: the
    first of equals.

    scores : SCORES of one corpus.   rng : draws the sign flips where there are too many folds to enumerate.
    """
    others = [other] if isinstance(other, str) else list(other)
    rates = paired_clips(scores, [one, *others], selection)
    if not isinstance(other, str):
        other = f"best of {' and '.join(others)}"
    if rates.empty:
        return Gain(one, other)
    best = rates[others].groupby("fold").mean().idxmax(axis=1)
    clips = pd.concat([rates.loc[[fold], one] - rates.loc[[fold], name] for fold, name in best.items()])
    return _gain(one, other, clips, confidence=confidence, rng=rng)


def gain_of_folds(one: str, other: str, folds: Mapping[str, float], *, confidence: float) -> Gain:
    """Return the gain that differences per fold alone give, points; its interval is over folds."""
    values = np.array(list(folds.values()))
    low, high = interval_of_mean(values, np.ones(len(values)), confidence=confidence)
    return Gain(one, other, **_tested(folds, rng=None), low=low, high=high)


def _gain(one: str, other: str, clips: pd.Series, *, confidence: float, rng: np.random.Generator) -> Gain:
    """Return the gain of differences clip by clip: fractions with the index of `paired_clips`."""
    clips = 100 * clips
    by_fold = {name: part.to_numpy() for (_, name), part in clips.groupby(["fold", "fold_name"])}
    people = clips.groupby(["fold", "person"]).agg(["mean", "size"])
    n_clips = clips.groupby("fold").size().reindex(people.index.get_level_values("fold")).to_numpy()
    low, high = interval_of_mean(people["mean"].to_numpy(), people["size"].to_numpy() / n_clips, confidence=confidence)
    strict = 1 - (1 - confidence) / len(by_fold)  # Bonferroni: one fold of many is below by chance
    ends = {name: interval_of_mean(part, np.ones(len(part)), confidence=strict)[1] for name, part in by_fold.items()}
    return Gain(
        one,
        other,
        **_tested({name: float(part.mean()) for name, part in by_fold.items()}, rng=rng),
        low=low,
        high=high,
        clearly_below=tuple(name for name, end in ends.items() if end < 0),
        n_people=len(people),
        n_clips=len(clips),
    )


def _tested(folds: Mapping[str, float], *, rng: np.random.Generator | None) -> dict[str, Any]:
    """Return the mean of differences per fold, its sign-flip test and the folds, as fields of Gain."""
    folds = {name: round(value, SAME) for name, value in folds.items()}
    values = np.array(list(folds.values()))
    p, p_floor = sign_flip(values, rng=rng)
    return {"difference": float(np.mean(values)), "p": p, "p_floor": p_floor, "folds": folds}
