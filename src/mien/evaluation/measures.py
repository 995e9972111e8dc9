"""Accuracy, UAR and macro-F1 of judged clips with their intervals, in the same way wherever emotions are told.

A measure is the mean over folds of the mean over seeds of that of one trained network, as the thesis's accuracies are.
UAR and macro-F1 are no means over clips; linearised (`metrics.linearise`) they are, and then have the interval of an
accuracy (`statistics.interval_of_accuracy`), whatever its units. tests/evaluation/test_measures.py simulates it: it
covers 93 to 97 % where it says 95; a percentile bootstrap over people covers 85 to 92 %.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from mien.evaluation.metrics import MEASURES, average, headline, with_measures, with_person
from mien.evaluation.statistics import Estimate, interval_of_accuracy

BESIDE = MEASURES[1:]  # what stands beside accuracy in tables


def measure(judged: pd.DataFrame, *, confidence: float) -> dict[str, Estimate]:
    """Return MEASURES of one network, 0..1; NaN without clips.

    judged : a row per clip and training, as SCORES: fold, seed, clip, actor, label, predicted, apart. Every seed of a
    fold judges the same clips.
    """
    judged = headline(judged)
    if judged.empty:
        return dict.fromkeys(MEASURES, Estimate())
    rows = with_measures(judged, ["fold", "seed"])
    mean, n_people = average(rows), with_person(rows).person.nunique()
    ends = {name: interval_of_accuracy(rows.assign(hit=rows[name]), confidence=confidence) for name in MEASURES}
    return {name: Estimate(mean[name], *ends[name], n_people=n_people) for name in MEASURES}


def columns(names: Iterable[str] = BESIDE) -> list[str]:
    """Return the columns of a table with measures and their intervals, such as uar, uar_low, uar_high."""
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def percents(found: Mapping[str, Estimate], names: Iterable[str] = BESIDE) -> dict[str, float]:
    """Return `columns` of measures, percent."""
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}": 100 * getattr(found[name], key) for name in names for end, key in ends.items()}
