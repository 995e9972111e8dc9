"""Networks of pictures that start from other weights: what they get right on both official tests, and what it cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import TableError
from mien.evaluation.measures import measure
from mien.evaluation.runs import Run
from mien.evaluation.statistics import Estimate, Gain, gain_of_one, interval_of_cell
from mien.io import tables

PUBLIC, PRIVATE = "PublicTest", "PrivateTest"  # CLIPS.split
USAGES = {"validation": PUBLIC, "test": PRIVATE}  # role of a run -> the official test that it is part of
PASSES = 3  # a pass forward, one for the gradient of the activations, one for that of the weights
_JUDGED = ["selection", "clip", "usage", "apart", "label", "predicted"]
_COUNTS = ("n_trained", "multiply_adds", "n_shown", "best_epoch", "config")


@dataclass(frozen=True)
class Tally:
    """Pictures judged right, of how many."""

    hits: int
    n: int

    @property
    def accuracy(self) -> float:
        """Return the share 0..1; NaN without pictures."""
        return self.hits / self.n if self.n else math.nan

    def interval(self, *, confidence: float) -> tuple[float, float]:
        """Return Wilson's interval 0..1, every picture a unit of its own; NaN without pictures."""
        return interval_of_cell(self.hits, self.n, confidence=confidence)


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
    def name(self) -> str:
        """Return the row of ``pretrain``."""
        return self.run.variant

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

    def tally(self, usage: str, *, selection: str = "honest", duplicates: bool = False) -> Tally:
        """Count what is right among `rows`."""
        rows = self.rows(usage, selection=selection, duplicates=duplicates)
        return Tally(int((rows.label.to_numpy() == rows.predicted.to_numpy()).sum()), len(rows))

    def measures(self, usage: str, *, confidence: float) -> dict[str, Estimate]:
        """Return accuracy, UAR and macro-F1 of the honest epoch, duplicates left out; every picture is a unit."""
        return measure(self.rows(usage).assign(fold=0, seed=0, actor=""), confidence=confidence)

    def chance(self, usage: str) -> float:
        """Return the accuracy 0..1 of always naming the commonest class of an official test; NaN without pictures."""
        label = self.rows(usage).label.to_numpy()
        return float(np.bincount(label).max() / len(label)) if len(label) else math.nan

    def learnt(self, *, confidence: float) -> bool:
        """Say whether the interval of the public test lies above always naming its commonest class."""
        return self.tally(PUBLIC).interval(confidence=confidence)[0] > self.chance(PUBLIC)

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


def start_adds(name: str, inits: Mapping[str, str], trials: Mapping[str, Trial]) -> float:
    """Return the multiply-adds of training what a row starts from, until the epoch whose weights are kept.

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
    start = trials[init]
    return start.adds_per_epoch * start.chosen_epoch + start_adds(init, inits, trials)


def paired_pictures(one: Trial, other: Trial, usage: str, *, duplicates: bool, confidence: float) -> Gain:
    """Compare two trainings on the same test pictures; the interval is over pictures: FER2013 names nobody.

    The number of people of the result is 0: it is not known.

    Raises
    ------
    TableError : they were tested on different pictures.
    """
    sides = [trial.rows(usage, duplicates=duplicates).set_index("clip").sort_index() for trial in (one, other)]
    if not all(len(side) for side in sides):
        return Gain(one.name, other.name)
    if not sides[0].index.equals(sides[1].index):
        raise TableError(f"{one.name} and {other.name} were tested on different pictures; train both again")
    hits = [(side.label == side.predicted).to_numpy(float) for side in sides]
    pictures, trainings = np.arange(len(hits[0])), tuple([float(side.mean())] for side in hits)
    found = gain_of_one(one.name, other.name, hits[0] - hits[1], pictures, trainings, confidence=confidence)
    return replace(found, n_people=0)
