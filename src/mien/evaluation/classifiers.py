"""Classifiers of pictures: what every run says of every picture, and the numbers that follow from it.

All arrays are aligned with the rows of one table SAMPLES (N pictures); fractions 0..1 in and out.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mien.errors import TableError
from mien.evaluation.metrics import average, linearise, with_measures
from mien.evaluation.runs import Run, reasons_of
from mien.evaluation.statistics import Gain, gain_of_one

UNJUDGED = -1
TESTED = ("test", "aside")  # roles that are the same in every run


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """What one run says of every picture, with one choice of its epoch."""

    variant: str
    seed: int  # also the number of the split
    selection: str  # honest or optimistic
    role: np.ndarray  # (N,) training, validation, test, aside; empty where the run says nothing
    predicted: np.ndarray  # (N,) class; UNJUDGED where the run says nothing


@dataclass(frozen=True, eq=False)
class PredictionSet:
    """All judgements on one table of pictures.

    reasons : variant -> why it, or some of its runs, could not be trained.
    """

    table: pd.DataFrame  # SAMPLES
    judgements: tuple[RunPredictions, ...]  # by variant, selection and seed
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> np.ndarray:
        """Return (N,) true classes."""
        return self.table.label.to_numpy()

    @property
    def chance(self) -> float:
        """Return the accuracy of always naming the commonest class of the test pictures; NaN without any."""
        label = self.label[self.rows("test")]
        return float(np.bincount(label).max() / len(label)) if len(label) else math.nan

    def of(self, variant: str, selection: str = "honest") -> list[RunPredictions]:
        """Return the judgements of a variant in the order of their seeds."""
        return [one for one in self.judgements if (one.variant, one.selection) == (variant, selection)]

    def rows(self, *roles: str) -> np.ndarray:
        """Return (N,) bool: the pictures of these roles of SAMPLES."""
        return self.table.role.isin(roles).to_numpy()


@dataclass(frozen=True)
class Score:
    """How well some pictures are judged; means over the runs."""

    measures: Mapping[str, float]  # accuracy, UAR and macro-F1 of the pictures that were judged
    coverage: float  # share of the pictures that have the features
    strict: float  # accuracy where a picture without judgement is an error
    n_pictures: int
    n_judged: int
    n_classes: int  # of the pictures that were judged
    n_people: int  # of the pictures that were judged


def expected_runs(runs: Iterable[Run], corpus: str, n_runs: Mapping[str, int]) -> list[Run]:
    """Return the runs of `corpus` with seeds 0, 1, ... of every variant; `n_runs` says how many seeds each has.

    Raises
    ------
    TableError : a run is missing, or two have different classes.
    """
    known = {(run.variant, run.seed): run for run in runs if run.corpus == corpus}
    chosen = []
    for variant, n in n_runs.items():
        for seed in range(n):
            if (variant, seed) not in known:
                raise TableError(f"no run of {variant} on {corpus}, seed {seed}; train it and pass its run.json")
            chosen.append(known[variant, seed])
            if chosen[-1].classes != chosen[0].classes:
                raise TableError(
                    f"{chosen[-1].folder}/run.json: other classes than {chosen[0].folder}; train both again"
                )
    return chosen


def read_prediction_set(runs: Iterable[Run], table: pd.DataFrame) -> PredictionSet:
    """Read the predictions of `runs` on the pictures of `table` (SAMPLES, a picture listed once).

    Raises
    ------
    TableError : predictions that do not belong to these pictures, or seeds that were tested on different ones.
    """
    runs, rows = list(runs), pd.MultiIndex.from_arrays([table.person, table["clip"]])
    judgements = [one for run in runs if run.trained for one in _judgements(run, rows, table)]
    judgements.sort(key=lambda one: (one.variant, one.selection, one.seed))
    reasons = reasons_of(runs, dict.fromkeys(run.variant for run in runs))
    panel = PredictionSet(table, tuple(judgements), reasons)
    _check_seeds(panel)
    return panel


def accuracy_in(panel: PredictionSet, judgement: RunPredictions, role: str) -> float:
    """Return the accuracy on the pictures that a run judged in a role; NaN where there are none."""
    return measures_in(panel, judgement, role)["accuracy"]


def measures_in(panel: PredictionSet, judgement: RunPredictions, role: str) -> dict[str, float]:
    """Return accuracy, UAR and macro-F1 on the pictures that a run judged in a role; NaN where there are none."""
    mine = judgement.role == role
    found = linearise(panel.label[mine], judgement.predicted[mine])
    return {name: float(values.mean()) if len(values) else math.nan for name, values in found.items()}


def best_split(panel: PredictionSet, judgements: list[RunPredictions]) -> RunPredictions:
    """Return the judgement with the best validation accuracy, the earlier of equals."""
    scores = [accuracy_in(panel, one, "validation") for one in judgements]
    return judgements[int(np.argmax([-math.inf if math.isnan(score) else score for score in scores]))]


def mean_and_sd(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation (ddof 1); NaN where there are too few values."""
    values = np.asarray(list(values), float)
    mean = float(values.mean()) if len(values) else math.nan
    return mean, float(values.std(ddof=1)) if len(values) > 1 else math.nan


def hit_rate(panel: PredictionSet, judgements: list[RunPredictions]) -> np.ndarray:
    """Return (N,) the share of the runs that are right; NaN for pictures that are not tested, or not judged."""
    rate = np.full(len(panel.table), math.nan)
    if judgements:
        judged = np.isin(judgements[0].role, TESTED)
        rate[judged] = np.mean([one.predicted[judged] == panel.label[judged] for one in judgements], axis=0)
    return rate


def judged_on(panel: PredictionSet, judgements: list[RunPredictions], rows: np.ndarray) -> pd.DataFrame:
    """Return who said what of the tested pictures `rows` (N,) bool, in the columns of `measures.measure`."""
    judged = rows & ~np.isnan(hit_rate(panel, judgements))
    known = panel.table[judged][["clip", "person", "label"]].rename(columns={"person": "actor"})
    known = known.assign(fold=0, seed=0, predicted=UNJUDGED, apart=False)
    said = [known.assign(seed=one.seed, predicted=one.predicted[judged]) for one in judgements]
    return pd.concat(said or [known], ignore_index=True)


def score_on(panel: PredictionSet, judgements: list[RunPredictions], rows: np.ndarray, *, usable: np.ndarray) -> Score:
    """Return the score on the tested pictures `rows` (N,) bool.

    usable : (N,) bool, the pictures that have the features. Without judgements the strict accuracy is known only where
    no picture has them: every one is an error then.
    """
    rate = hit_rate(panel, judgements)[rows]
    label, people = panel.label[rows], panel.table.person.to_numpy()[rows]
    judged = ~np.isnan(rate)
    n, n_usable = len(rate), int(usable[rows].sum())
    n_judged, n_right = int(judged.sum()), float(rate[judged].sum())
    return Score(
        measures=average(with_measures(judged_on(panel, judgements, rows), ["seed"])),
        coverage=n_usable / n if n else math.nan,
        strict=n_right / n if n and (judgements or not n_usable) else math.nan,
        n_pictures=n,
        n_judged=n_judged,
        n_classes=len(set(label[judged])),
        n_people=len(set(people[judged])),
    )


def paired_difference(
    panel: PredictionSet, one: list[RunPredictions], other: list[RunPredictions], *, strict: bool, confidence: float
) -> Gain:
    """Compare two classifiers on the same test pictures; the interval is over test people and runs.

    strict : all test pictures count, one without a judgement as an error; else those that both could judge.
    """
    names = [side[0].variant if side else "" for side in (one, other)]
    rows = panel.rows("test")
    rates = [hit_rate(panel, side) for side in (one, other)]
    if strict:
        rates = [np.nan_to_num(rate, nan=0.0) for rate in rates]
    gap = rates[0] - rates[1]
    known = rows & ~np.isnan(gap)
    if not (one and other and known.any()):
        return Gain(*names)
    label, people = panel.label[known], panel.table.person.to_numpy()[known]
    trainings = tuple([float(np.mean(run.predicted[known] == label)) for run in side] for side in (one, other))
    return gain_of_one(*names, gap[known], people, trainings, confidence=confidence)


def _judgements(run: Run, rows: pd.MultiIndex, table: pd.DataFrame) -> list[RunPredictions]:
    """Return a judgement per selection; `rows` (person, clip) of the table."""
    predictions = run.predictions()
    predictions = predictions[predictions["head"] == "fused"]
    result = []
    for selection, part in predictions.groupby("selection"):
        place = rows.get_indexer(pd.MultiIndex.from_arrays([part.actor, part["clip"]]))
        _check(run, part, place, table)
        role = np.full(len(table), "", dtype=object)
        predicted = np.full(len(table), UNJUDGED, dtype=np.int64)
        role[place], predicted[place] = part.role, part.predicted
        result.append(RunPredictions(run.variant, run.seed, str(selection), role, predicted))
    return result


def _check(run: Run, part: pd.DataFrame, place: np.ndarray, table: pd.DataFrame) -> None:
    where = f"{run.folder}/predictions.parquet"
    again = "the samples are others than those of the training; delete the folder and train again"
    if (place < 0).any():
        raise TableError(f"{where}: picture {part['clip'].iloc[int(np.argmin(place))]} is not in the samples; {again}")
    if len(set(place)) < len(place):
        raise TableError(f"{where}: a picture occurs twice; delete the folder and train again")
    if (part.label.to_numpy() != table.label.to_numpy()[place]).any():
        raise TableError(f"{where}: another label than in the samples; {again}")
    said = part.role.where(part.role.isin(TESTED), "training").to_numpy()  # a split makes validation of training
    if (said != table.role.to_numpy()[place]).any():
        raise TableError(f"{where}: another role than in the samples; {again}")


def _check_seeds(panel: PredictionSet) -> None:
    first: dict[tuple[str, str], RunPredictions] = {}
    for one in panel.judgements:
        base = first.setdefault((one.variant, one.selection), one)
        if (np.isin(one.role, TESTED) != np.isin(base.role, TESTED)).any():
            raise TableError(
                f"{one.variant} ({one.selection}): seeds {base.seed} and {one.seed} were tested on different pictures;"
                " train them again"
            )
