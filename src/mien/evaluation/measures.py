"""Accuracy, UAR and macro-F1 of judged clips with their intervals, in the same way wherever emotions are told.

A measure is the mean over folds of the mean over seeds of that of one trained network, as the thesis's accuracies are.
UAR and macro-F1 are no means over clips; linearised (`metrics.linearise`) they are, and have the interval of an
accuracy: Student's t over people on the scale of log odds (`statistics.interval_of_share`).

In simulated tables of 6 to 24 people and 4 to 8 classes this interval covers 94 to 97 % of UAR and macro-F1 where it
says 95, a percentile bootstrap over people 85 to 92 %. Student's t over the values of folds covers 93 to 97 % too, but
is 10 to 90 % wider (tests/evaluation/test_measures.py).
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from mien.evaluation.metrics import MEASURES, headline, with_measures, with_person
from mien.evaluation.statistics import Estimate, interval_of_share

BESIDE = MEASURES[1:]  # what stands beside accuracy in tables


def measure(judged: pd.DataFrame, *, confidence: float) -> dict[str, Estimate]:
    """Return MEASURES of one network, 0..1; NaN without clips.

    judged : a row per clip and training, as SCORES: fold, seed, clip, actor, label, predicted, apart. Every seed of a
    fold judges the same clips.
    """
    judged = with_person(headline(judged))
    if judged.empty:
        return dict.fromkeys(MEASURES, Estimate())
    weight = 1.0 / judged.groupby("fold").label.transform("size")
    rows = with_measures(judged, ["fold", "seed"])[["fold", "person", *MEASURES]].assign(weight=weight)
    rows[MEASURES] = rows[MEASURES].mul(weight, axis=0)
    people = rows.groupby(["fold", "person"]).sum()
    found = {}
    for name in MEASURES:
        values = (people[name] / people.weight).to_numpy()
        ends = interval_of_share(values, people.weight.to_numpy(), confidence=confidence)
        mean = float(people[name].sum() / people.weight.sum())
        found[name] = Estimate(mean, *ends, n_people=len(people))
    return found


def columns(names: Iterable[str] = BESIDE) -> list[str]:
    """Return the columns of a table with measures and their intervals, such as uar, uar_low, uar_high."""
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def percents(found: Mapping[str, Estimate], names: Iterable[str] = BESIDE) -> dict[str, float]:
    """Return `columns` of measures, percent."""
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}": 100 * getattr(found[name], key) for name in names for end, key in ends.items()}
