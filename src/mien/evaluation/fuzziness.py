"""What networks lose as faces or voices say less: accuracies and their slopes, with the repetitions as units.

A repetition has networks, draws and test people of its own, so its numbers count as one: intervals are Student's t over
repetitions. Where there is only one repetition they are over its people, and its networks are held fixed. Fractions
0..1 in and out; NaN where there is too little data.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mien.config.fuzziness import NOTHING, Condition
from mien.errors import TableError
from mien.evaluation.metrics import with_measures
from mien.evaluation.statistics import Estimate, interval_of_mean, logit_t_interval
from mien.io import tables

Subset = Literal["all", "clear", "affected"]
SUBSETS: tuple[Subset, ...] = ("all", "clear", "affected")  # test clips


def read_judgements(paths: Iterable[Path]) -> pd.DataFrame:
    """Return FUZZY of all repetitions with additional columns: predicted, a class, and hit, 0 or 1.

    Raises
    ------
    TableError : a file is missing, logits are not finite, or the repetitions differ in conditions or networks.
    """
    parts = []
    for path in paths:
        rows = tables.read(path, tables.FUZZY)
        logits = np.stack(rows.logits)  # (N, C)
        if not np.isfinite(logits).all():
            raise TableError(f"{path}: logits are not finite; lower train.learning_rate and train again")
        predicted = logits.argmax(axis=1)
        rows = rows.assign(predicted=predicted, hit=(predicted == rows.label).astype(float))
        what = set(zip(rows.kind, rows.modality, rows.share, rows.variant, strict=True))
        if parts and what != parts[0][1]:
            raise TableError(f"{path}: other conditions or networks than the first repetition; run train_fuzzy again")
        parts.append((rows, what))
    rows = pd.concat([rows for rows, _ in parts], ignore_index=True)
    if rows.duplicated(["seed", "kind", "modality", "share", "variant", "clip"]).any():
        raise TableError("a repetition is named twice; name every predictions.parquet once")
    return rows


@dataclass(frozen=True)
class ConditionPredictions:
    """Test clips that are judged under every condition; `rows` as of `read_judgements`."""

    rows: pd.DataFrame
    confidence: float

    @property
    def unit(self) -> Literal["seed", "actor"]:
        """Return the column whose values are the units of all intervals."""
        return "seed" if self.rows.seed.nunique() > 1 else "actor"

    @cached_property
    def cells(self) -> dict[tuple[str, Condition], pd.DataFrame]:
        """Return (network, condition) -> hits and clips of every unit, apart by whether they are affected."""
        keys = ["variant", "kind", "modality", "share"]
        sums = self.rows.groupby([*keys, self.unit, "affected"]).hit.agg(hits="sum", clips="size")
        return {
            (name, Condition(*condition)): part.droplevel(keys) for (name, *condition), part in sums.groupby(level=keys)
        }

    def accuracy(self, variant: str, condition: Condition, subset: Subset = "all") -> pd.Series:
        """Return the accuracy of every unit that has clips of the subset, 0..1."""
        units = self._cell(variant, condition, subset).groupby(level=self.unit).sum()
        return units.hits / units.clips

    def measures(self, variant: str, condition: Condition) -> pd.DataFrame:
        """Return UAR and macro-F1 of every unit, 0..1; of people, linearised within their repetition."""
        rows = self.rows
        chosen = (rows.kind == condition.kind) & (rows.modality == condition.modality) & (rows.share == condition.share)
        rows = with_measures(rows[chosen & (rows.variant == variant)], ["seed"])
        return rows.groupby(self.unit)[["uar", "macro_f1"]].mean()

    def slope(self, variant: str, kind: str, modality: str) -> pd.Series:
        """Return the slope of the least-squares line of accuracy by share for every unit, 1 / share."""
        found = (one for name, one in self.cells if (name, one.kind, one.modality) == (variant, kind, modality))
        line = [NOTHING, *found]
        centred = np.array([condition.share for condition in line])
        centred -= centred.mean()
        table = pd.concat([self.accuracy(variant, condition) for condition in line], axis=1)  # (U, K)
        return pd.Series(table.to_numpy() @ centred / (centred @ centred), index=table.index)

    def mean(self, values: pd.Series) -> Estimate:
        """Return the mean of differences or slopes over units."""
        return self._estimate(values, interval_of_mean)

    def share(self, values: pd.Series) -> Estimate:
        """Return the mean of accuracies over units."""
        return self._estimate(values, logit_t_interval)

    def n_clips(self, condition: Condition, subset: Subset = "all") -> int:
        """Return how many test clips there are in all repetitions."""
        return int(self._cell(self.rows.variant.iloc[0], condition, subset).clips.sum())

    def _estimate(self, values: pd.Series, interval: Callable[..., tuple[float, float]]) -> Estimate:
        known = values.dropna().to_numpy()
        if not len(known):
            return Estimate()
        return Estimate(float(known.mean()), *interval(known, np.ones(len(known)), confidence=self.confidence))

    def _cell(self, variant: str, condition: Condition, subset: Subset) -> pd.DataFrame:
        cell = self.cells[variant, condition]
        return cell if subset == "all" else cell[cell.index.get_level_values("affected") == (subset == "affected")]
