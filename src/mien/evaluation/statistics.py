"""Intervals, paired tests and their correction; fractions 0..1 in and out, NaN where there is too little data.

What is tested of a network is a training: another seed moves the accuracy of a fold by 4 to 6 points. A fold has its
own trainings and its own test people, so a mean over folds has Student's t over folds, with F - 1 degrees of freedom:
people, clips and training are all in it. Of one or two folds the variances of people and of seeds are added, with
Satterthwaite's degrees of freedom; of one training each, only people are in it. Accuracies are on the scale of log
odds. Where all units are equal there is no spread to measure, and the interval is that of the clips alone; always to
take the wider of the two would cover 98 % where it says 95. Quantities that are not compared as a `Gain` are over folds
too, or over people where there are fewer than three (`units_of`); there the trained networks are held fixed.
tests/evaluation/test_coverage.py simulates people, test_training_noise.py trainings and every rule of
mien.report.rules.

A `Gain` compares two networks on the same test clips: its interval and its tests are over folds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pandas as pd
from scipy import special, stats

from mien.evaluation.metrics import NO_SEED, headline, paired_clips, with_person

EXACT = 16  # folds up to which all 2^n sign patterns are enumerated
FEWEST = 3  # folds whose spread is that of people and trainings; of fewer, t is so long that it says nothing
SAME = 9  # decimals of a point within which two accuracies are equal
EQUAL = 1e-9  # a smaller spread is rounding


@dataclass(frozen=True)
class Estimate:
    """A number with its interval over people, or other units, and what it rests on."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n_clips: int = 0
    n_people: int = 0


def wilson_interval(n_hits: float, n_clips: int, *, confidence: float) -> tuple[float, float]:
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
    values: np.ndarray, weights: np.ndarray, *, confidence: float, flat: float = math.nan
) -> tuple[float, float]:
    """Return Student's t interval of a weighted mean over people, or over folds.

    values, weights : (A,) of every person. NaN with fewer than two of them.
    flat : standard error of the mean where all are equal, as they have no spread; NaN where it is not known.
    The error is that of the linearised ratio, sqrt(A / (A - 1) Σ w²(x - mean)²), with weights that add up to 1 and
    A - 1 degrees of freedom (Särndal, Swensson & Wretman 1992, section 5.6); with equal weights it is sd / sqrt(A).
    """
    mean, error = _mean_and_error(values, weights)
    error = flat if error == 0 else error
    if math.isnan(error):
        return math.nan, math.nan
    reach = _reach(error, len(values) - 1, confidence)
    return mean - reach, mean + reach


def logit_t_interval(
    values: np.ndarray, weights: np.ndarray, *, confidence: float, n_clips: int = 0
) -> tuple[float, float]:
    """Return the interval of a weighted mean of accuracies over people: Student's t on the scale of log odds.

    values, weights : (A,) accuracy 0..1 and weight of every person. NaN with fewer than two of them.
    As `interval_of_mean`, with the error of log(m / (1 - m)) by the delta method: error / (m (1 - m)). It stays within
    0..1 and leans away from the nearer of the two. Where all are equal there is no spread to measure: Wilson's interval
    of `n_clips`, or of as many clips as there are people.
    """
    mean, error = _mean_and_error(values, weights)
    return accuracy_ends(mean, error, len(values) - 1, n_clips or len(values), confidence)


def accuracy_ends(mean: float, error: float, df: float, n_clips: int, confidence: float) -> tuple[float, float]:
    if math.isnan(error):
        return math.nan, math.nan
    if error == 0 or not 0 < mean < 1:
        return wilson_interval(mean * n_clips, n_clips, confidence=confidence)
    odds, reach = special.logit(mean), _reach(error / (mean * (1 - mean)), df, confidence)
    return float(special.expit(odds - reach)), float(special.expit(odds + reach))


def units_of(folds: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return what an interval is over, row by row: folds, or people where there are fewer than three folds.

    folds, people : (N,) of every row.
    """
    return np.asarray(folds if len(np.unique(folds)) >= FEWEST else people)


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

    values = np.asarray(differences, float)
    drawn = [] if n <= EXACT else [np.ones(n), *(1.0 - 2.0 * rng.integers(0, 2, (2**EXACT - 1, n)))]
    signs = np.array(drawn) if drawn else _patterns(n)
    null = np.abs(signs @ values)
    extreme = null >= abs(values.sum()) - 1e-9 * np.abs(values).sum()
    return float(extreme.mean()), 2.0 ** (1 - min(n, EXACT))


@cache
def _patterns(n: int) -> np.ndarray:
    """Return (2^n, n) all patterns of signs."""
    return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


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
    if np.ptp(values) < EQUAL:
        return mean, 0.0
    return mean, math.sqrt(n / (n - 1) * float(np.sum((weights * (values - mean)) ** 2)))


def _reach(error: float, df: float, confidence: float) -> float:
    """Return half the length of Student's interval of a mean."""
    return float(special.stdtrit(df, 0.5 + confidence / 2)) * error


@dataclass(frozen=True)
class Folds:
    """A quantity fold by fold: arrays of K folds, or (..., K) of many tables at once.

    means : of every fold, over its trainings and people.
    people, seeds : squared error of every mean that its people, or its trainings, make, and the degrees of freedom of
    the variance that it rests on, pooled over folds; see `pooled`.
    clips : squared error that its clips alone make.
    """

    means: np.ndarray
    people: list[tuple[np.ndarray, float]]
    seeds: list[tuple[np.ndarray, float]]
    clips: np.ndarray

    def error(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the standard error of the mean over folds and its degrees of freedom; NaN where nothing is known."""
        n = self.means.shape[-1]
        if n < FEWEST:
            error, df = self._added(lambda squares: squares.sum(axis=-1) / n**2)
        else:
            error = self.means.std(axis=-1, ddof=1) / math.sqrt(n)
            df = np.full(error.shape, n - 1.0)
        flat = error < EQUAL  # equal folds have no spread to measure
        return np.where(flat, np.sqrt(self.clips.sum(axis=-1)) / n, error), np.where(flat, np.inf, df)

    def p_below(self) -> np.ndarray:
        """Return the one-sided p (..., K) that a fold is below zero, for other people and trainings; NaN of one each.

        It is never below that of the clips alone.
        """
        if not self.people or not self.seeds:
            return np.full(self.means.shape, math.nan)
        error, df = self._added(lambda squares: squares)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.fmax(special.stdtr(df, self.means / error), special.ndtr(self.means / np.sqrt(self.clips)))

    def _added(self, total: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the error of parts together and its degrees of freedom, by Satterthwaite (1946)."""
        if not self.people:
            nothing = np.full(total(self.means).shape, math.nan)
            return nothing, nothing
        parts = [(total(squares), df) for squares, df in (*self.people, *self.seeds)]
        variance = sum(part for part, _ in parts)
        with np.errstate(invalid="ignore", divide="ignore"):
            df = variance**2 / sum(part**2 / df for part, df in parts)
        return np.sqrt(variance), df


def pooled(variances: np.ndarray, counts: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return the squared errors of means of `counts` (K,) units with one variance, as a part of `Folds`.

    variances : (..., K) sample variance of the units of every fold, of which there may be but one. Empty where every
    fold has but one unit.
    """
    free = np.asarray(counts) - 1
    if not free.sum():
        return []
    variance = np.sum(np.nan_to_num(variances) * free, axis=-1, keepdims=True) / free.sum()
    return [(variance / counts, float(free.sum()))]


def error_of_clips(differences: np.ndarray) -> float:
    """Return the squared error of a mean of differences (N,) of clips, -1..1 each.

    Bonett & Price's (2012) for paired proportions: two clips more, one of either sign, so that it is never zero.
    """
    n = len(differences) + 2
    return float((np.sum(differences**2) + 2 - np.sum(differences) ** 2 / n) / n**2)


def interval_of_accuracy(scores: pd.DataFrame, *, confidence: float) -> tuple[float, float]:
    """Return the interval of the mean accuracy over folds of one variant and selection; see the top of this file.

    scores : SCORES. NaN without clips.
    """
    scores = headline(scores)
    if scores.empty:
        return math.nan, math.nan
    clips = with_person(scores).groupby(["fold", "person", "clip"]).hit.mean()
    trainings = scores.groupby(["fold", "seed"]).hit.mean()
    folds = Folds(
        clips.groupby("fold").mean().to_numpy(),
        _people(clips),
        _pooled(trainings),
        np.zeros(trainings.index.levshape[0]),
    )
    error, df = folds.error()
    return accuracy_ends(float(folds.means.mean()), float(error), float(df), len(clips), confidence)


def _people(clips: pd.Series) -> list[tuple[np.ndarray, float]]:
    """Return the part of people of `Folds`; `clips` has the levels fold and person."""
    people = clips.groupby(["fold", "person"]).agg(["mean", "size"])
    found = [(len(part), _mean_and_error(part["mean"], part["size"])[1]) for _, part in people.groupby("fold")]
    counts = np.array([n for n, _ in found])
    return pooled(np.array([error**2 for _, error in found]) * counts, counts)


def _is_drawn(trainings: pd.Series) -> bool:
    return bool((trainings.index.get_level_values("seed") != NO_SEED).any())


def _pooled(trainings: pd.Series) -> list[tuple[np.ndarray, float]]:
    """Return the part of seeds of `Folds`; `trainings` has the levels fold and seed.

    Where nothing is drawn it is known, and zero.
    """
    if not _is_drawn(trainings):
        return [(np.zeros(trainings.index.get_level_values("fold").nunique()), math.inf)]
    found = trainings.groupby("fold").agg(["var", "size"])
    return pooled(found["var"].to_numpy(), found["size"].to_numpy())


@dataclass(frozen=True)
class Gain:
    """Accuracy of `one` less that of `other`, points; NaN where there is too little.

    low, high : interval, see the top of this file.   error, df : standard error and degrees of freedom behind it.
    p, p_floor : of the sign-flip test over folds, and the smallest that so many folds can give.
    folds : name of a fold -> difference.
    p_folds : name of a fold -> one-sided p that it is below zero, for other people and trainings.
    cases : name of a fold -> share of the trainings of `one` that are below the mean of the other's.
    n_trainings : the fewest trainings of a fold, of either side, of those that draw anything; 0 where neither does, or
        they are not known.
    rivals : where `other` is the best of several: the gains over each.
    """

    one: str
    other: str
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_floor: float = math.nan
    folds: Mapping[str, float] = field(default_factory=dict)
    n_people: int = 0
    n_clips: int = 0
    n_trainings: int = 0
    error: float = math.nan
    df: float = math.inf
    p_folds: Mapping[str, float] = field(default_factory=dict)
    cases: Mapping[str, float] = field(default_factory=dict)
    rivals: tuple["Gain", ...] = ()

    @property
    def n_folds(self) -> int:
        """Return the number of folds in which both are known."""
        return len(self.folds)

    @property
    def below(self) -> list[str]:
        """Return the folds in which `one` is worse."""
        return [name for name in self.folds if self.folds[name] < 0]

    @property
    def p_interval(self) -> float:
        """Return the two-sided p of the interval: at this level it would end at zero."""
        return 2 * min(self.p_below(), self.p_above()) if self.error > 0 else math.nan

    def p_below(self, at: float = 0.0) -> float:
        """Return the one-sided p that the mean is below `at`.

        The best of several, chosen by test accuracy, has luck on its side: the mean is below only if it is so against
        one of them throughout, corrected for their number (Bonferroni).
        """
        own = float(special.stdtr(self.df, (self.difference - at) / self.error))
        if not self.rivals:
            return own
        return max(own, min(1.0, len(self.rivals) * min(one.p_below(at) for one in self.rivals)))

    def p_above(self, at: float = 0.0) -> float:
        """Return the one-sided p that the mean is above `at`."""
        return float(special.stdtr(self.df, (at - self.difference) / self.error))

    def clearly_below(self, level: float) -> list[str]:
        """Return the folds that are below zero at a one-sided `level`, corrected for their number (Bonferroni)."""
        level /= max(1, self.n_folds * max(1, len(self.rivals)))
        return [name for name, p in self.p_folds.items() if p < level]


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

    The best of a fold is chosen by its accuracy there, over all trainings, which favours the others: the first of
    equals. See `Gain.p_below`.

    scores : SCORES of one corpus.   rng : draws the sign flips where there are too many folds to enumerate.
    """
    others = [other] if isinstance(other, str) else list(other)
    rates = paired_clips(scores, [one, *others], selection)
    if not isinstance(other, str):
        other = f"best of {' and '.join(others)}"
    if rates.empty:
        return Gain(one, other)
    chosen = scores[(scores.selection == selection) & scores.variant.isin([one, *others])]
    chosen = chosen[pd.MultiIndex.from_frame(chosen[["fold", "clip"]]).isin(rates.index.droplevel([1, 2]))]
    trainings = chosen.groupby(["variant", "fold", "seed"]).hit.mean()
    best = rates[others].groupby("fold").mean().idxmax(axis=1)
    found = _compare(one, other, best, rates, trainings, confidence=confidence)
    if len(others) > 1:
        fixed = [pd.Series(name, index=best.index) for name in others]
        rivals = [_compare(one, each.iloc[0], each, rates, trainings, confidence=confidence) for each in fixed]
        found = with_rivals(found, rivals, confidence=confidence)
    p, p_floor = sign_flip(np.array(list(found.folds.values())), rng=rng)
    return replace(found, p=p, p_floor=p_floor)


def with_rivals(found: Gain, rivals: Sequence[Gain], *, confidence: float) -> Gain:
    """Return a gain over the best of several whose upper end is that over the strongest on average; see `p_below`."""
    strict = 1 - (1 - confidence) / len(rivals)
    high = min(over(each, confidence=strict)[1] for each in rivals)
    return replace(found, rivals=tuple(rivals), high=max(found.high, high))


def over(one: Gain, *, confidence: float) -> tuple[float, float]:
    """Return the interval of a gain at another confidence."""
    reach = _reach(one.error, one.df, confidence)
    return one.difference - reach, one.difference + reach


def gain_of_folds(one: str, other: str, folds: Mapping[str, float], *, confidence: float) -> Gain:
    """Return the gain that differences per fold alone give, points; its interval is over folds."""
    folds = {name: round(value, SAME) for name, value in folds.items()}
    values = np.array(list(folds.values()))
    mean, error = _mean_and_error(values, np.ones(len(values)))
    found = Gain(
        one,
        other,
        mean if len(values) > 1 else float(values.mean()),
        folds=folds,
        cases={name: float(value < 0) for name, value in folds.items()},
        error=error if error > 0 else math.nan,
        df=len(values) - 1.0,
    )
    low, high = over(found, confidence=confidence)
    p, p_floor = sign_flip(values)
    return replace(found, low=low, high=high, p=p, p_floor=p_floor)


def _compare(
    one: str, other: str, chosen: pd.Series, rates: pd.DataFrame, trainings: pd.Series, *, confidence: float
) -> Gain:
    """Return the gain over the network `chosen` of every fold, without its sign-flip test.

    rates : see `paired_clips`.   trainings : accuracy by variant, fold and seed.
    """
    clips = pd.concat([rates.loc[[fold], one] - rates.loc[[fold], name] for fold, name in chosen.items()])
    mine = trainings[one].loc[chosen.index]
    theirs = pd.concat({fold: trainings[name].loc[fold] for fold, name in chosen.items()}, names=["fold"])
    return _gain_of_clips(one, other, clips, mine, theirs, confidence=confidence)


def gain_of_one(
    one: str,
    other: str,
    gap: np.ndarray,
    people: np.ndarray,
    trainings: tuple[Sequence[float], Sequence[float]],
    *,
    confidence: float,
) -> Gain:
    """Return the gain on test pictures (N,) that are not divided into folds; its interval is as of one fold.

    gap : right, less right of the other, means over trainings.   people : whose pictures they are.
    trainings : accuracy of every training of both sides, fractions.
    """
    names = ["fold", "fold_name", "person", "clip"]
    index = pd.MultiIndex.from_arrays([*np.zeros((2, len(gap)), int), people, np.arange(len(gap))], names=names)
    sides = (
        pd.Series(values, pd.MultiIndex.from_product([[0], range(len(values))], names=["fold", "seed"]), float)
        for values in trainings
    )
    found = _gain_of_clips(one, other, pd.Series(gap, index), *sides, confidence=confidence)
    return replace(found, folds={}, p_folds={}, cases={})


def _gain_of_clips(
    one: str, other: str, clips: pd.Series, mine: pd.Series, theirs: pd.Series, *, confidence: float
) -> Gain:
    """Return the gain of differences clip by clip and of the trainings of both sides, all fractions."""
    clips, mine, theirs = 100 * clips, 100 * mine, 100 * theirs
    by_fold = clips.groupby(["fold", "fold_name"])
    folds = Folds(
        by_fold.mean().round(SAME).to_numpy(),
        _people(clips),
        _both(_pooled(mine), _pooled(theirs)),
        np.array([1e4 * error_of_clips(part.to_numpy() / 100) for _, part in by_fold]),
    )
    error, df = folds.error()
    names = [name for _, name in by_fold.groups]
    found = Gain(
        one,
        other,
        float(np.mean(folds.means)),
        folds=dict(zip(names, folds.means.tolist(), strict=True)),
        n_people=clips.index.droplevel("clip").nunique(),
        n_clips=len(clips),
        n_trainings=int(
            min((side.groupby("fold").size().min() for side in (mine, theirs) if _is_drawn(side)), default=0)
        ),
        error=float(error),
        df=float(df),
        p_folds=dict(zip(names, folds.p_below().tolist(), strict=True)),
        cases=dict(zip(names, _below(mine, theirs.groupby("fold").mean()), strict=True)),
    )
    low, high = over(found, confidence=confidence)
    return replace(found, low=low, high=high)


def gain_of_differences(one: str, other: str, rows: pd.DataFrame, *, confidence: float) -> Gain:
    """Return the gain that differences recording by recording and training by training give, in their own unit.

    rows : fold, seed, person, clip and value, a number whose mean over the recordings of a fold is that of the fold.
    """
    clips, trainings = (rows.groupby(["fold", *keys]).value.mean() for keys in (["person", "clip"], ["seed"]))
    by_fold = clips.groupby("fold")
    means, n_seeds = by_fold.mean().round(SAME), trainings.groupby("fold").size()
    found = Folds(means.to_numpy(), _people(clips), _pooled(trainings), (by_fold.var() / by_fold.size()).to_numpy())
    error, df = found.error()
    gained = Gain(
        one,
        other,
        float(means.mean()),
        folds=means.to_dict(),
        n_people=len(clips.index.droplevel("clip").unique()),
        n_clips=len(clips),
        n_trainings=int(n_seeds.min()),
        error=float(error) if error > 0 else math.nan,
        df=float(df),
    )
    low, high = over(gained, confidence=confidence)
    return replace(gained, low=low, high=high)


def _both(one: list, other: list) -> list:
    """Return the parts of two sides; nothing where one of them has one training in every fold."""
    return one + other if one and other else []


def _below(mine: pd.Series, bar: pd.Series) -> list[float]:
    """Return the share of the trainings of every fold that are below `bar` there."""
    return (mine.round(SAME) < bar.round(SAME).reindex(mine.index, level="fold")).groupby("fold").mean().tolist()
