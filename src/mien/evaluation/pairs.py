"""Two networks on the same test clips: how much better one is, over folds and over people.

The unit of the intervals is a test person and the unit of the tests is a fold, whose people no other fold tests.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mien.evaluation.metrics import paired_clips
from mien.evaluation.statistics import interval_of_mean, sign_flip

SAME = 9  # decimals of a point within which two accuracies are equal


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
    other: str,
    selection: str,
    *,
    confidence: float,
    rng: np.random.Generator,
) -> Gain:
    """Compare two variants on the clips that both were tested on; seeds are averaged clip by clip.

    scores : SCORES of one corpus.   rng : draws the sign flips where there are too many folds to enumerate.
    """
    rates = paired_clips(scores, [one, other], selection)
    return _gain(one, other, rates[one] - rates[other], confidence=confidence, rng=rng)


def gain_over_best(
    scores: pd.DataFrame,
    joint: str,
    single: Sequence[str],
    selection: str,
    *,
    confidence: float,
    rng: np.random.Generator,
) -> Gain:
    """Compare a variant with the best of others in each fold, on the clips that all were tested on.

    The best of a fold is chosen by its accuracy there, which favours the others: the first of equals.
    """
    rates = paired_clips(scores, [joint, *single], selection)
    folds = rates.groupby("fold").mean()[list(single)]
    best = folds.idxmax(axis=1) if len(folds) else pd.Series(dtype=object)
    found = [rates.loc[[fold], joint] - rates.loc[[fold], name] for fold, name in best.items()]
    other = f"best of {' and '.join(single)}"
    return _gain(joint, other, pd.concat(found) if found else rates[joint], confidence=confidence, rng=rng)


def gain_of_folds(one: str, other: str, folds: Mapping[str, float], *, confidence: float) -> Gain:
    """Return the gain that differences per fold alone give, points; its interval is over folds."""
    values = np.array(list(folds.values()))
    low, high = interval_of_mean(values, np.ones(len(values)), confidence=confidence)
    return Gain(one, other, **_tested(folds, rng=None), low=low, high=high)


def _gain(one: str, other: str, clips: pd.Series, *, confidence: float, rng: np.random.Generator) -> Gain:
    """Return the gain of differences clip by clip: fractions with the index of `paired_clips`."""
    if clips.empty:
        return Gain(one, other)
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
    test = sign_flip(values, np.zeros(len(values)), rng=rng)
    return {"difference": test.difference, "p": test.p, "p_floor": test.p_floor, "folds": folds}
