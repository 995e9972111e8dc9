"""Networks of pictures that start from other weights: what they get right on both official tests, and what it cost."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.errors import TableError
from mien.evaluation.measures import measure
from mien.evaluation.runs import Run
from mien.evaluation.statistics import Estimate, Gain, gain_of_one, wilson_interval
from mien.io import tables

PUBLIC, PRIVATE = "PublicTest", "PrivateTest"  # CLIPS.split
USAGES = {"validation": PUBLIC, "test": PRIVATE}  # role of a run -> the official test that it is part of
PASSES = 3  # a pass forward, one for the gradient of the activations, one for that of the weights
_JUDGED = ["selection", "clip", "usage", "apart", "label", "predicted"]
_COUNTS = ("n_trained", "multiply_adds", "n_shown", "best_epoch", "config")


@dataclass(frozen=True, eq=False)
class Trial:
    """One training.

    judged : a row per selection and test picture: selection, clip, usage (PUBLIC or PRIVATE), apart, label, predicted.
    history : as history.csv.   Both are empty where nothing was trained.
    """

    run: Run
    judged: pd.DataFrame
    history: pd.DataFrame

    @property
    def chosen_epoch(self) -> int:
        """Return the epoch of lowest validation loss, whose weights are kept; 0 where nothing was trained."""
        return int(self.run.record["best_epoch"]["honest"]) if self.run.trained else 0

    @property
    def final_accuracy(self) -> float:
        """Return the validation accuracy 0..1 of the chosen epoch; NaN where nothing was trained."""
        found = self.history.validation_accuracy[self.history.epoch == self.chosen_epoch]
        return float(found.iloc[0]) if len(found) else math.nan

    def rows(self, usage: str, *, selection: str = "honest", duplicates: bool = False) -> pd.DataFrame:
        """Return the judged pictures of an official test; with `duplicates`, duplicates of training pictures too."""
        chosen = self.judged[(self.judged.usage == usage) & (self.judged.selection == selection)]
        return chosen if duplicates else chosen[~chosen.apart.astype(bool)]

    def epochs_to(self, accuracy: float) -> float:
        """Return the first epoch with at least this validation accuracy 0..1; NaN if none has it."""
        reached = self.history.epoch[self.history.validation_accuracy >= accuracy - 1e-9]
        return float(reached.min()) if len(reached) else math.nan

    @property
    def adds_per_epoch(self) -> float:
        """Return the multiply-adds of an epoch of training; NaN where nothing was trained.

        A picture costs `PASSES` passes where everything is trained. Where convolutions stay as they are it costs one
        pass and the two gradients of the dense part, whose weights are each used once: as many multiply-adds as
        trained weights. Validation and the steps of the optimiser are left out.
        """
        if not self.run.trained:
            return math.nan
        record = self.run.record
        forward, n_shown = record["multiply_adds"], record["n_shown"]
        backward = record["n_trained"] if record["config"]["pretrain"]["trained"] == "dense" else forward
        return float((forward + (PASSES - 1) * backward) * n_shown)


@dataclass(frozen=True, eq=False)
class Trials:
    """The trainings of one row of ``pretrain``, by seed; at least one."""

    each: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """Return the row."""
        return self.first.run.variant

    @property
    def first(self) -> Trial:
        """Return the training of the first seed: that of figures 4.14 and 4.15, and what other rows start from."""
        return self.each[0]

    @property
    def trained(self) -> bool:
        """Say whether every training could be made."""
        return all(one.run.trained for one in self.each)

    def mean(self, of: Callable[[Trial], float]) -> float:
        """Return the mean of a number of every training; NaN where one has none."""
        return float(np.mean([of(one) for one in self.each]))

    def accuracy(
        self, usage: str, *, confidence: float, selection: str = "honest", duplicates: bool = False
    ) -> Estimate:
        """Return the accuracy 0..1 on an official test, mean over trainings; NaN without pictures.

        FER2013 names nobody, so every picture is a unit: the interval is Wilson's of one training, else the variances
        of pictures and of trainings are added.
        """
        judged = self._judged(usage, selection=selection, duplicates=duplicates)
        if len(self.each) > 1:
            return measure(judged, confidence=confidence)["accuracy"]
        hits, n = int((judged.label == judged.predicted).sum()), len(judged)
        low, high = wilson_interval(hits, n, confidence=confidence)
        return Estimate(hits / n if n else math.nan, low, high, n)

    def measures(self, usage: str, *, confidence: float) -> dict[str, Estimate]:
        """Return accuracy, UAR and macro-F1 of the honest epochs, duplicates left out; every picture is a unit."""
        return measure(self._judged(usage), confidence=confidence)

    def chance(self, usage: str) -> float:
        """Return the accuracy 0..1 of always naming the commonest class of an official test; NaN without pictures."""
        label = self.first.rows(usage).label.to_numpy()
        return float(np.bincount(label).max() / len(label)) if len(label) else math.nan

    def learnt(self, *, confidence: float) -> bool:
        """Say whether the interval of the public test lies above always naming its commonest class."""
        return self.accuracy(PUBLIC, confidence=confidence).low > self.chance(PUBLIC)

    def _judged(self, usage: str, **which: Any) -> pd.DataFrame:
        """Return what `measure` wants of the rows of all trainings."""
        rows = [one.rows(usage, **which).assign(fold=0, seed=one.run.seed, actor="") for one in self.each]
        return pd.concat(rows, ignore_index=True)


def read_usages(path: Path) -> pd.DataFrame:
    """Return columns usage and apart of the clips of a clips.parquet, by clip."""
    clips = tables.read(path, tables.CLIPS)
    return clips.set_index("clip")[["split", "apart"]].rename(columns={"split": "usage"})


def read_trial(run: Run, usages: pd.DataFrame | None) -> Trial:
    """Read the history and the judged test pictures of a run.

    usages : see `read_usages`; None for a run of another corpus, of which only the cost counts.

    Raises
    ------
    TableError : pictures that are not in `usages`, or that have another part there; numbers that `pretrain` writes
        are missing.
    """
    again = "delete the folder and train again"
    if run.trained and (missing := [key for key in _COUNTS if key not in run.record]):
        raise TableError(f"{run.folder}/run.json lacks {', '.join(missing)}: not a run of `pretrain`; {again}")
    history = run.history() if run.trained else pd.DataFrame(columns=tables.HISTORY)
    if usages is None:
        return Trial(run, pd.DataFrame(columns=_JUDGED), history)
    rows = run.predictions()
    rows = rows[(rows["head"] == "fused") & rows.role.isin([*USAGES, "apart"])]
    where = f"{run.folder}/predictions.parquet"
    if rows.duplicated(["selection", "clip"]).any():
        raise TableError(f"{where}: a picture occurs twice; {again}")
    known = rows["clip"].isin(usages.index)
    if not known.all():
        raise TableError(f"{where}: picture {rows['clip'][~known].iloc[0]} is not among the clips; {again}")
    found = usages.loc[rows["clip"]].reset_index(drop=True)
    judged = rows[["selection", "clip", "role", "label", "predicted"]].reset_index(drop=True).join(found)
    judged["apart"] = judged.apart.astype(bool)
    said = judged.role.map(USAGES).where(judged.role != "apart", judged.usage)
    wrong = (said != judged.usage) | ((judged.role == "apart") != judged.apart) | ~judged.usage.isin([PUBLIC, PRIVATE])
    if wrong.any():
        one = judged[wrong].iloc[0]
        raise TableError(f"{where}: picture {one['clip']} has the role {one.role}, but is of {one.usage}; {again}")
    return Trial(run, judged[_JUDGED], history)


def start_adds(name: str, inits: Mapping[str, str], trials: Mapping[str, Trials]) -> float:
    """Return the multiply-adds of training what a row starts from, until the epoch whose weights are kept.

    Means over the trainings of the start.

    inits : row -> what it starts from: random, a row, or a file, whose cost is unknown (NaN).

    Raises
    ------
    TableError : the run of a start is missing.
    """
    init = inits[name]
    if init == "random":
        return 0.0
    if init not in inits:
        return math.nan
    if init not in trials:
        raise TableError(f"no run of {init}, which {name} starts from; train it and pass its run.json")
    own = trials[init].mean(lambda start: start.adds_per_epoch * start.chosen_epoch)
    return own + start_adds(init, inits, trials)


def paired_pictures(one: Trials, other: Trials, usage: str, *, duplicates: bool, confidence: float) -> Gain:
    """Compare two rows on the same test pictures, means over their trainings.

    The interval is over pictures, as FER2013 names nobody; of several trainings their variance is added.

    The number of people of the result is 0: it is not known.

    Raises
    ------
    TableError : they were tested on different pictures.
    """
    sides = [
        [trial.rows(usage, duplicates=duplicates).set_index("clip").sort_index() for trial in row.each]
        for row in (one, other)
    ]
    if not all(len(rows) for side in sides for rows in side):
        return Gain(one.name, other.name)
    if not all(rows.index.equals(sides[0][0].index) for side in sides for rows in side):
        raise TableError(f"{one.name} and {other.name} were tested on different pictures; train both again")
    hits = [np.stack([rows.label == rows.predicted for rows in side]).astype(float) for side in sides]  # (S, N) each
    gap, pictures = hits[0].mean(axis=0) - hits[1].mean(axis=0), np.arange(hits[0].shape[1])
    trainings = tuple(side.mean(axis=1).tolist() for side in hits)
    found = gain_of_one(one.name, other.name, gap, pictures, trainings, confidence=confidence)
    return replace(found, n_people=0)
