"""The thesis's claims, judged on our runs and on its printed numbers.

C1: a small network beats geometry with a support vector machine on the same pictures (thesis L170, X01-X10). Same
features: the classifier alone does not make the thesis's gap between the two (specification, section 6, I-7). C2: a
face-identity network is a start of comparable accuracy at lower cost (L171, X12-X16; learning rates: L1005, L1012).
C3: time augmentation helps at marginal cost (L172, X21-X23, X28, X29). C4: MRPN removes the folds in which one modality
beats the joint network (L173, X24-X27). H1 to H4: what the thesis's fold tables say of the networks of chapter 5.

A claim is a row of CLAIMS, answered by a rule of `mien.report.rules`; everything else that the page says is in
templates/claim_*.md.j2, which get the numbers.
"""

import itertools
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config.labels import ACTED, NETWORKS
from mien.config.schema import EvaluateConfig, load, section
from mien.errors import ConfigError, TableError
from mien.evaluation.classifiers import RunPredictions, accuracy_in, mean_and_sd, paired_difference
from mien.evaluation.metrics import read_duplicates, reported, score
from mien.evaluation.runs import Run, read_runs
from mien.evaluation.statistics import FEWEST, Gain, gain, holm, wilson_interval
from mien.evaluation.transfer import PRIVATE, Trials, paired_pictures
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report import rules
from mien.report.page import join_names, percent, render_page, write_table
from mien.report.rules import Answer, answer, answer_of
from mien.report.tables.classifiers import Evidence, printed_once, read_evidence
from mien.report.tables.comparison import best_printed, printed_gain
from mien.report.tables.complexity import TrainingCost, cost_of
from mien.report.tables.transfer import SHARE, THESIS_ROW, TransferEvidence, amount, power, read_transfer
from mien.report.thesis import Published, printed_beside, published_beside, read_published

log = logging.getLogger(__name__)

Pair = tuple[str, str | tuple[str, ...]]  # a network, and another one or several: the best of these in each fold


@dataclass(frozen=True)
class Claim:
    """A claim of the thesis.

    sentence : {one} and {other} stand for the networks of `pairs`, {gap} for what the thesis prints.
    template : claim_<template>.md.j2, which holds its rule in words.
    pairs : of networks of chapter 5 that are compared; where `where_known`, those that we or the thesis have.
    failing : share of the folds in which it may fail; 1 for a claim about averages.
    """

    title: str
    sentence: str
    template: str
    pairs: tuple[Pair, ...] = ()
    failing: float = 0.0
    where_known: bool = False


SINGLE = ("AM", "VM")  # variants of params.yaml, by the names of its rows
JOINT = ("N0_late", "N0", "N1", "N2")
TIMED = {"AM": "AM_NT", "VM": "VM_NT", "N0": "N0_NT"}  # with time augmentation -> without
NO_OVERLAP = "N0_WO"  # time augmentation without overlapping segments
VARIANTS = (*SINGLE, *JOINT, *TIMED.values(), NO_OVERLAP)
SLICES = ((NO_OVERLAP, TIMED["N0"]), ("N0", NO_OVERLAP))  # slices alone, then overlapping segments too
SUMMED = ("N0_NT", "N0_WO", "N0")  # variants that table 5.4 sums up

SAME_FEATURES = (
    "on identical {features}, the classifier alone does not make the thesis's gap{gap} between network and support "
    "vector machine."
)
CLAIMS = {
    "C1": Claim(
        "neural networks against geometry",
        "a simple convolutional network beats geometry with a support vector machine on the same pictures.",
        "networks",
    ),
    "Same features, AU8": Claim(
        "network and support vector machine on the eight action units", SAME_FEATURES, "features"
    ),
    "Same features, FP68": Claim(
        "network and support vector machine on 68 points of the face", SAME_FEATURES, "features"
    ),
    "C2": Claim(
        "transfer from face identity",
        "transfer from a face-identity network gives comparable accuracy at lower cost than a random start.",
        "transfer",
    ),
    "C3": Claim(
        "time augmentation",
        "time augmentation makes {one} better at marginal cost.",
        "time",
        tuple(TIMED.items()),
        where_known=True,
    ),
    "C4": Claim(
        "MRPN and inferior cases of joint networks",
        "N2 (MRPN) removes the folds in which one modality is better than the joint network.",
        "inferior",
        tuple((joint, SINGLE) for joint in JOINT),
    ),
    "H1": Claim(
        "time augmentation, fold by fold",
        "time augmentation makes {one} worse in no fold.",
        "folds",
        tuple(TIMED.items()),
        where_known=True,
    ),
    "H2": Claim(
        "the joint network and the better of its modalities",
        "the joint network is at least as good as the better of its two modalities alone, in all folds but one of "
        "twelve.",
        "folds",
        (("N0", SINGLE), ("N0_NT", ("AM_NT", "VM_NT"))),
        failing=1 / 12,  # the thesis names one of twelve itself, A9,10
        where_known=True,
    ),
    "H3": Claim(
        "MRPN and the other joint networks, fold by fold",
        "N2 (MRPN) is at least as good as {other}, in every fold.",
        "folds",
        tuple(("N2", other) for other in ("N0_late", "N0", "N1")),
    ),
    "H4": Claim(
        "N1 and both kinds of N0, on average",
        "N1 is better than {other} on average.",
        "folds",
        tuple(("N1", other) for other in ("N0_late", "N0")),
        failing=1.0,
    ),
}

MACHINES = ("ssvm", "svm_poly")
PICTURES = 67 * 3 * 3 * 4  # RaFD: people, cameras, gazes, emotions; the thesis does not print its number of pictures
COMMON, ALL = "judged by both", "all, missing is an error"
SAME_NETWORKS = {"AU8": "dnn_au", "FP68": "dnn_fp"}  # features -> network that is compared on them
SAME, OTHER = "same scaling", "network standardised, machine raw"

STUCK = 1.0e-3  # the rate at which the thesis's network does not learn
SAFE = 1.0e-6  # the rate above which its validation loss diverges
RISE = 0.05  # of the lowest validation loss, by which the last must be above it to count as diverging
LOWER, HIGHER = "lower", "higher"  # of the two final validation accuracies
SHARES = (0.90, SHARE, 1.0)
TARGETS = tuple((share, of) for of in (LOWER, HIGHER) for share in SHARES)  # all have a say
SHOWN = (SHARE, LOWER)  # both rows reach it
PRIVATE_PICTURES = 3589  # of either official test of FER2013
IMAGENET = "imagenet_transfer"  # row of table 4.3 beside the ImageNet start
FREEZE_GAIN = 5.0  # points, whole network less dense layers alone (thesis L1023)
WITHOUT, WITH = "private test", "private test with twins"

CONTRASTS = [  # of hypotheses.csv; differences in points
    "question",
    "verdict",  # of the question, in every row of it
    "people",  # computed or real
    "decides",  # the verdict rests on this row
    "one",
    "other",
    "pictures",
    "thesis",
    "difference",
    "low",
    "high",
    "n_pictures",
    "n_people",
    "p",  # of the sign-flip test over folds, where there are folds
    "p_holm",  # adjusted over the differences of the question
    "n_folds",
    "n_below",  # folds in which `one` is worse
    "n_trainings",  # the fewest of a fold, of either side
]


@dataclass(frozen=True)
class Contrast:
    """A difference behind an answer.

    pictures : which count.   thesis : the same difference there, points; NaN where it prints none.
    """

    gain: Gain
    pictures: str = "clips of both"
    thesis: float = math.nan
    decides: bool = False
    p_holm: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    claim : key of CLAIMS.   sentence : the claim in words.
    verdict, printed : the answer by our runs, and by the thesis's numbers; empty where these say nothing.
    effect : what is shown of the differences; without numbers where there are none.
    contrasts : every difference behind the answer.   facts : what its template gets.
    """

    claim: str
    sentence: str
    verdict: Answer
    printed: str
    effect: Gain
    synthetic: bool
    contrasts: tuple[Contrast, ...]
    facts: Mapping[str, Any] = field(repr=False)
    corpus: str = ""

    @property
    def key(self) -> str:
        """Return the name of the question."""
        return f"{self.claim}, {self.corpus}" if self.corpus else self.claim

    @property
    def people(self) -> str:
        """Say whose faces and voices were judged."""
        return "computed" if self.synthetic else "real"

    def section(self) -> str:
        """Return its part of the page."""
        claim = CLAIMS[self.claim]
        return render_page(f"claim_{claim.template}", verdict=self, title=claim.title, **self.facts)


def contrast_rows(verdicts: list[Verdict]) -> pd.DataFrame:
    """Return CONTRASTS of all verdicts."""
    rows = [
        {"question": verdict.key, "verdict": verdict.verdict, "people": verdict.people}
        | vars(one.gain)
        | vars(one)
        | {"n_pictures": one.gain.n_clips, "n_folds": one.gain.n_folds, "n_below": len(one.gain.below)}
        for verdict in verdicts
        for one in verdict.contrasts
    ]
    return pd.DataFrame(rows, columns=CONTRASTS)


def render(verdicts: list[Verdict], *, confidence: float, scale: str) -> str:
    """Return the page: a summary, then a section for every question."""
    synthetic = any(one.synthetic for one in verdicts)
    facts = {"synthetic": synthetic, "scale": scale, "confidence": confidence, "one_training": rules.ONE_TRAINING}
    return render_page("hypotheses", verdicts=verdicts, **facts)


# C1: networks on pictures against support vector machines on geometry


def judge_networks(evidence: Evidence) -> Verdict:
    """Compare the best network on pictures with the best support vector machine, and every network with every one."""
    images = _names(evidence, NETWORKS, pictures=True)
    networks, machines = _names(evidence, NETWORKS), _names(evidence, MACHINES)
    preferred = _preferred(evidence, images), _preferred(evidence, machines)
    pairs = {
        pair: _compare_pair(evidence, *pair, decides=pair == preferred)
        for pair in itertools.product(networks, machines)
    }
    deciding = pairs.get(preferred, [])
    printed = _printed_best(evidence)
    return Verdict(
        claim="C1",
        sentence=CLAIMS["C1"].sentence,
        verdict=answer_of(one.gain for one in deciding),
        printed=printed["printed_answer"],
        effect=deciding[0].gain if deciding else Gain("", ""),
        synthetic=evidence.synthetic,
        contrasts=tuple(itertools.chain(*pairs.values())),
        facts={
            "evidence": evidence,
            "chosen": (*images, *machines),
            "preferred": preferred,
            "deciding": deciding,
            "networks": networks,
            "machines": machines,
            "pairs": pairs,
            "answers": {pair: answer_of(one.gain for one in found) for pair, found in pairs.items()},
            "n_pictures": PICTURES,
            **printed,
        },
    )


def _names(evidence: Evidence, models: Iterable[str], *, pictures: bool = False) -> list[str]:
    """Return the classifiers of some models that were trained, in their order."""
    return [
        name
        for name, one in evidence.classifiers.items()
        if one.model in models and (one.features == "image" or not pictures) and evidence.panel.of(name)
    ]


def _preferred(evidence: Evidence, names: list[str]) -> str:
    """Return the name with the best validation accuracy, the earlier of equals; empty where none was validated."""
    known = [name for name in names if not math.isnan(evidence.validation(name))]
    return max(known, key=evidence.validation, default="")


def _compare_pair(evidence: Evidence, one: str, other: str, *, decides: bool) -> list[Contrast]:
    """Return the two contrasts of a pair: on the pictures both could judge, and on all."""
    printed = [printed_once(evidence.thesis, evidence.classifiers[name]).test for name in (one, other)]
    sides, confidence = (evidence.panel.of(one), evidence.panel.of(other)), evidence.evaluate.confidence
    return [
        Contrast(
            paired_difference(evidence.panel, *sides, strict=pictures == ALL, confidence=confidence),
            pictures,
            thesis=printed[0] - printed[1],
            decides=decides,
        )
        for pictures in (COMMON, ALL)
    ]


def _printed_best(evidence: Evidence) -> dict[str, Any]:
    """Return what table 4.1 prints: the best cell of each kind on test, all cells with Wilson's intervals, the answer.

    The difference of two cells lies between those of the ends of their intervals: table 4.1 prints no pairs.
    """
    table, confidence = evidence.thesis["4.1"], evidence.evaluate.confidence
    images = {name: values["test"] for name, values in table["images"].items()}
    machines = {
        f"{row}/{column}": value
        for row, values in table["features"].items()
        if row != "DNN"
        for column, value in values["test"].items()
    }
    cells = images | machines
    ends = {name: wilson_interval(value * PICTURES, PICTURES, confidence=confidence) for name, value in cells.items()}
    image, machine = (max(side, key=side.get) for side in (images, machines))
    return {
        "best_cells": (image, machine),
        "printed_gap": 100 * (images[image] - machines[machine]),
        "printed_answer": answer([ends[image][0] - ends[machine][1]], [ends[image][1] - ends[machine][0]]),
        "n_enough": min_pictures_for_disjoint_intervals(images[image], machines[machine], confidence=confidence),
        "printed_cells": {name: (100 * value, tuple(100 * end for end in ends[name])) for name, value in cells.items()},
    }


def min_pictures_for_disjoint_intervals(one: float, other: float, *, confidence: float) -> int:
    """Return the smallest number of test pictures with which Wilson's intervals of two accuracies lie apart.

    Raises
    ------
    ValueError
        The accuracies are equal, so no number is enough.
    """
    if one == other:
        raise ValueError(f"two accuracies of {one} never part")

    def are_disjoint(n: int) -> bool:
        lower, upper = (wilson_interval(value * n, n, confidence=confidence) for value in sorted((one, other)))
        return lower[1] < upper[0]

    return next(n for n in itertools.count(1) if are_disjoint(n))


# Same features: networks against support vector machines on identical numbers


@dataclass(frozen=True)
class Gap:
    """Network less machine, and whether the gap of the thesis would fit between this network and chance."""

    contrast: Contrast
    network: float  # accuracy on the test pictures, percent
    machine: float
    room: bool


def judge_same_features(evidence: Evidence, features: str) -> Verdict:
    """Compare the networks with the support vector machines on the features "AU8" or "FP68"."""
    models = (*MACHINES, SAME_NETWORKS[features])
    names = [name for name in _names(evidence, models) if evidence.classifiers[name].features == features]
    gaps = [compare_scaled(evidence, *pair) for pair in _scaled_pairs(evidence, names)]
    gaps = [gap for gap in gaps if not math.isnan(gap.contrast.gain.difference)]
    deciding = [gap for gap in gaps if gap.contrast.decides]
    largest = max(deciding, key=lambda gap: gap.contrast.gain.difference, default=None)
    seeds = _shared_seeds(evidence, names) if names else set()
    accuracies = {name: _accuracies(evidence, name, seeds) for name in names}
    ends = [percent(end(gap.contrast.thesis for gap in deciding)) for end in (min, max)] if deciding else []
    claim = f"Same features, {features}"
    return Verdict(
        claim=claim,
        sentence=CLAIMS[claim].sentence.format(
            features=features, gap=f" of {' to '.join(dict.fromkeys(ends))} points" if ends else ""
        ),
        verdict=rules.decide_gaps(
            ((gap.contrast.gain, gap.contrast.thesis, gap.room) for gap in deciding),
            confidence=evidence.evaluate.confidence,
        ),
        printed="",
        effect=largest.contrast.gain if largest else Gain("", ""),
        synthetic=evidence.synthetic,
        contrasts=tuple(gap.contrast for gap in gaps),
        facts={
            "evidence": evidence,
            "seeds": seeds,
            "accuracies": accuracies,
            "edges": _edge_pairs(evidence, {name: found["test"] for name, found in accuracies.items()}),
            "gaps": gaps,
            "deciding": deciding,
            "largest": largest,
        },
    )


def compare_scaled(evidence: Evidence, network: str, machine: str, scaling: str) -> Gap:
    """Return network less machine over the runs that learnt on the same people."""
    panel, names = evidence.panel, (network, machine)
    seeds = _shared_seeds(evidence, names)
    sides = [_runs_of(evidence, name, seeds) for name in names]
    found = paired_difference(panel, *sides, strict=False, confidence=evidence.evaluate.confidence)
    printed = [_printed_like(evidence, name) for name in names]
    thesis = printed[0] - printed[1]
    scores = [_mean_accuracy(evidence, side, "test")[0] for side in sides]
    contrast = Contrast(found, scaling, thesis, decides=scaling == SAME and not math.isnan(thesis))
    return Gap(contrast, *scores, room=scores[0] - 100 * panel.chance >= thesis)


def _scaled_pairs(evidence: Evidence, names: list[str]) -> list[tuple[str, str, str]]:
    """Return (network, machine, SAME) and then, for the standardised networks and the raw machines, OTHER."""
    config = evidence.classifiers
    machines = [name for name in names if config[name].model in MACHINES]
    every = [(one, other) for one in names if one not in machines for other in machines]
    scaled = {name: config[name].standardise for name in names}
    same = [(one, other, SAME) for one, other in every if scaled[one] == scaled[other]]
    return same + [(one, other, OTHER) for one, other in every if scaled[one] and not scaled[other]]


def _printed_like(evidence: Evidence, name: str) -> float:
    """Return what the thesis prints for a model on these features, percent; NaN where it does not.

    A raw row has no cell of its own: it is held against the cell of the same model and features.
    """
    mine = evidence.classifiers[name]
    cells = [printed_once(evidence.thesis, one).test for one in evidence.classifiers.values() if _alike(one, mine)]
    return next((cell for cell in cells if not math.isnan(cell)), math.nan)


def _alike(one: Any, other: Any) -> bool:
    return (one.model, one.features) == (other.model, other.features)


def _shared_seeds(evidence: Evidence, names: Iterable[str]) -> set[int]:
    """Return the seeds, which are also the splits, that all of `names` were trained with."""
    return set.intersection(*({one.seed for one in evidence.panel.of(name)} for name in names))


def _runs_of(evidence: Evidence, name: str, seeds: set[int], selection: str = "honest") -> list[RunPredictions]:
    return [one for one in evidence.panel.of(name, selection) if one.seed in seeds]


def _mean_accuracy(evidence: Evidence, runs: list[RunPredictions], role: str) -> tuple[float, float]:
    """Return mean and standard deviation of the accuracy of runs, percent."""
    return mean_and_sd(100 * accuracy_in(evidence.panel, run, role) for run in runs)


def _accuracies(evidence: Evidence, name: str, seeds: set[int]) -> dict[str, Any]:
    runs, optimistic = (_runs_of(evidence, name, seeds, selection) for selection in ("honest", "optimistic"))
    test, sd = _mean_accuracy(evidence, runs, "test")
    return {
        "train": _mean_accuracy(evidence, runs, "training")[0],
        "test": test,
        "sd": sd,
        "optimistic": _mean_accuracy(evidence, optimistic, "test")[0],
        "printed": printed_once(evidence.thesis, evidence.classifiers[name]),
    }


def _edge_pairs(evidence: Evidence, test: dict[str, float]) -> list[tuple[str, str]]:
    """Return (standardised, raw) machines that differ on test and of which a search ended at the edge of its grid."""
    config, edges = evidence.classifiers, evidence.edges
    return [
        (one, other)
        for one, other in itertools.product(test, test)
        if config[one].standardise and not config[other].standardise and _alike(config[one], config[other])
        if test[one] != test[other] and max(edges[one], edges[other]) > 0
    ]


# C2: a start from face identities against a random one


@dataclass(frozen=True)
class Cost:
    """What two rows needed to reach one validation accuracy, means over S trainings of both.

    The trainings of a seed are a pair, which has a target of its own.   low, high : see `cost_to`.
    """

    share: float  # of a final accuracy
    of: str  # which of the two: LOWER or HIGHER
    accuracy: float  # 0..1, the target
    reached: np.ndarray  # (S, 2) epochs; NaN where a training never reaches its target
    each: np.ndarray  # (S, 2) multiply-adds of an epoch
    starts: tuple[float, float]  # multiply-adds of what they start from
    low: float = math.nan
    high: float = math.nan

    @property
    def epochs(self) -> tuple[float, float]:
        """Return the epochs of both rows; NaN where a training never reaches its target."""
        return tuple(self.reached.mean(axis=0).tolist())

    @property
    def adds(self) -> tuple[float, float]:
        """Return the multiply-adds of both rows."""
        return tuple((self.reached * self.each).mean(axis=0).tolist())

    @property
    def ratio(self) -> float:
        """Return the cost of the first row relative to the second, without their starts: a geometric mean over pairs.

        Infinite where only the first ever misses the target, 0 where only the second does, NaN where both do.
        """
        return self._relative((0.0, 0.0))

    @property
    def ratio_with_start(self) -> float:
        """Return the same with what the starts cost; NaN where that is not known."""
        return self._relative(self.starts)

    def _relative(self, starts: tuple[float, float]) -> float:
        missed = np.isnan(self.reached).any(axis=0)
        if any(map(math.isnan, starts)) or missed.all():
            return math.nan
        if missed.any():
            return math.inf if missed[0] else 0.0
        logs = np.log(self.reached * self.each + starts)
        return float(np.exp((logs[:, 0] - logs[:, 1]).mean()))

    @property
    def tasks(self) -> float:
        """Return over how many such trainings the first start pays for itself; NaN if never, or not known."""
        saved, paid = self.adds[1] - self.adds[0], self.starts[0] - self.starts[1]
        return math.nan if math.isnan(paid) or not saved > 0 else float(max(math.ceil(paid / saved), 1))


def judge_transfer(evidence: TransferEvidence) -> Verdict:
    """Compare the face-identity start with the random one, in accuracy and cost, and answer X12 and X13."""
    one, other, missing = _sides(evidence)
    deciding: list[Contrast] = []
    costs: list[Cost] = []
    learnt = False
    if not missing:
        deciding = _compare_rows(evidence, one, other, decides=True)
        costs = [cost_to(evidence, one, other, share, of=of) for share, of in TARGETS]
        learnt = all(evidence.learnt(row) for row in (one, other))
    effect = deciding[0].gain if deciding else Gain("", "")
    more = _compare_other_starts(evidence, one)
    return Verdict(
        claim="C2",
        sentence=CLAIMS["C2"].sentence,
        verdict=rules.decide_transfer(effect, [(cost.low, cost.high) for cost in costs], learnt=learnt),
        printed=rules.UNDECIDED,
        effect=effect,
        synthetic=evidence.synthetic,
        contrasts=(*deciding, *more["others"]),
        facts={
            "evidence": evidence,
            "missing": missing,
            "learnt": learnt,
            "margin": rules.MARGIN,
            "needed": rules.TRANSFER_TRAININGS,
            "shares": SHARES,
            "deciding": deciding,
            "costs": costs,
            "cost": costs[TARGETS.index(SHOWN)] if costs else None,
            "rates": [evidence.rows[name].learning_rate for name in (one, other) if name],
            "last_epochs": [name for name in (one, other) if costs and _is_last_best(evidence.trials[name])],
            "study": _study_of_rates(evidence),
            "stuck_rate": STUCK,
            "safe_rate": SAFE,
            "least_rise": RISE,
            "thesis_row": THESIS_ROW,
            "imagenet": IMAGENET,
            "freeze_gain": FREEZE_GAIN,
            "n_private": PRIVATE_PICTURES,
            "amount": amount,
            "power": power,
            **more,
            **_printed_transfer(evidence),
        },
    )


def cost_to(evidence: TransferEvidence, one: str, other: str, share: float, *, of: str) -> Cost:
    """Return what two rows needed for a share of the lower or higher of their final validation accuracies.

    The interval of the ratio is over pairs of trainings. Of one that never reaches its target is known that it costs
    more than all its epochs: each end takes what is worst for it, and is not known where that has no bound.
    """
    pairs = list(zip(evidence.trials[one].each, evidence.trials[other].each, strict=False))
    targets = [share * {LOWER: min, HIGHER: max}[of](trial.final_accuracy for trial in pair) for pair in pairs]
    reached = np.array([[trial.epochs_to(at) for trial in pair] for at, pair in zip(targets, pairs, strict=True)])
    each = np.array([[trial.adds_per_epoch for trial in pair] for pair in pairs])
    last = np.array([[trial.history.epoch.max() for trial in pair] for pair in pairs])
    low, high = rules.interval_of_costs(reached, each, last, confidence=evidence.evaluate.confidence)
    starts = (evidence.start_adds(one), evidence.start_adds(other))
    return Cost(share, of, float(np.mean(targets)), reached, each, starts, low, high)


def _sides(evidence: TransferEvidence) -> tuple[str, str, str]:
    """Return the row with the face-identity start, that with the random start, and why one of them is missing."""
    one, *rest = evidence.transfer.table
    network = evidence.rows[one].network  # P1 has a random start too, and is another network
    alike = [name for name in rest if evidence.rows[name].network == network]
    other = next((name for name in alike if evidence.rows[name].init == "random"), "")
    if not other:
        return one, other, f"table 4.3 has no row of {network} with a random start"
    if evidence.rows[one].init == "random":
        return one, other, f"the first row of table 4.3, {one}, has a random start itself"
    untrained = [name for name in (one, other) if name in evidence.reasons]
    return one, other, "; ".join(f"{name} was not trained: {evidence.reasons[name]}" for name in untrained)


def _compare_rows(
    evidence: TransferEvidence, one: str, other: str, *, thesis: float = math.nan, decides: bool = False
) -> list[Contrast]:
    """Return the contrasts of two rows on the private test, without and with twins; only the first can decide."""
    trials, confidence = (evidence.trials[one], evidence.trials[other]), evidence.evaluate.confidence
    return [
        Contrast(
            paired_pictures(*trials, PRIVATE, duplicates=pictures == WITH, confidence=confidence),
            pictures,
            thesis,
            decides=decides and pictures == WITHOUT,
        )
        for pictures in (WITHOUT, WITH)
    ]


def _is_last_best(row: Trials) -> bool:
    return any(trial.chosen_epoch == trial.history.epoch.max() for trial in row.each)


def _compare_other_starts(evidence: TransferEvidence, identity: str) -> dict[str, Any]:
    """Return the contrasts with the ImageNet start and of the frozen convolutions (X13, X15), and what to note of them.

    Of a pair are noted the rows that were not trained, or else its cost and the rows that did not learn.
    """
    rows, printed = evidence.rows, evidence.printed
    imagenet = next((name for name in evidence.transfer.table if evidence.beside.get(name) == IMAGENET), "")
    frozen = {rows[name].trained: name for name in reversed(evidence.transfer.frozen)}
    pairs = [(identity, imagenet, printed[THESIS_ROW] - printed[IMAGENET])] if imagenet else []
    if {"all", "dense"} <= frozen.keys():
        pairs.append((frozen["all"], frozen["dense"], FREEZE_GAIN))
    found, notes = [], []
    for one, other, thesis in pairs:
        note = {"one": one, "other": other, "absent": [name for name in (one, other) if name in evidence.reasons]}
        if not note["absent"]:
            found += _compare_rows(evidence, one, other, thesis=thesis)
            note["ratio"] = cost_to(evidence, one, other, SHARE, of=LOWER).ratio
            note["idle"] = [name for name in (one, other) if not evidence.learnt(name)]
        notes.append(note)
    return {"others": found, "notes": notes, "has_imagenet": bool(imagenet)}


def _study_of_rates(evidence: TransferEvidence) -> list[dict[str, Any]]:
    """Return what the study of learning rates says to both sentences about them, the highest rate first."""
    rate = {name: evidence.rows[name].learning_rate for name in evidence.transfer.rates if name not in evidence.reasons}
    found = []
    for name in sorted(rate, key=lambda name: -rate[name]):
        trial = evidence.trials[name].first
        loss = trial.history.validation_loss
        last, lowest = float(loss.iloc[-1]), loss.min()
        rise = last / lowest - 1 if math.isfinite(last) else math.inf
        facts = {"rate": rate[name], "learnt": evidence.learnt(name), "trial": trial}
        found.append(facts | {"name": name, "lowest": lowest, "last": last, "rise": rise, "diverges": rise > RISE})
    return found


def _printed_transfer(evidence: TransferEvidence) -> dict[str, Any]:
    """Return the thesis's row and the ImageNet one, with Wilson's intervals and what their difference lies between."""
    ends = {}
    for name in (THESIS_ROW, IMAGENET):
        hits = evidence.printed[name] / 100 * PRIVATE_PICTURES
        found = wilson_interval(hits, PRIVATE_PICTURES, confidence=evidence.evaluate.confidence)
        ends[name] = tuple(100 * end for end in found)
    (low, high), (other_low, other_high) = ends.values()
    between = (low - other_high, high - other_low)
    return {"printed_ends": ends, "printed_between": between, "comparable": between[0] > -rules.MARGIN}


# C3, C4 and H1 to H4: the networks of chapter 5 on one corpus


@dataclass(frozen=True, eq=False)
class Trained:
    """The networks of one corpus, by what variants there are.

    scores : SCORES of VARIANTS.   runs : of these, trained or not.   thesis : number -> table, see `read_published`.
    """

    corpus: str
    scores: pd.DataFrame
    runs: list[Run]
    thesis: dict[str, Any]
    evaluate: EvaluateConfig
    synthetic: bool
    seed: int

    @property
    def selection(self) -> str:
        """Return the selection that verdicts rest on."""
        return reported(self.scores)

    def of(self, variant: str) -> list[Run]:
        """Return the trained runs of a variant."""
        return [run for run in self.runs if run.variant == variant and run.trained]

    def gain(self, one: str, other: str | tuple[str, ...]) -> Gain:
        """Return how much better one variant is than another, or than the best of several in each fold.

        Without numbers where one of them was not trained.
        """
        rng = rng_for(self.seed, "report", "chapter5", self.corpus, one, *_names_in(other))
        return gain(self.scores, one, other, self.selection, confidence=self.evaluate.confidence, rng=rng)

    def printed(self, variant: str) -> Published | None:
        """Return the folds of a variant in the thesis, where it prints them."""
        return published_beside(self.thesis, variant, self.corpus, number="5.2")

    def printed_gain(self, one: str, other: str | tuple[str, ...]) -> Gain | None:
        """Return what the thesis's folds say of the same; None where it does not print both sides."""
        row = self.printed(one)
        best = self.printed(other) if isinstance(other, str) else best_printed(list(map(self.printed, other)), row)
        return printed_gain(row, best, confidence=self.evaluate.confidence)

    def summed(self, variant: str) -> float:
        """Return what table 5.4 prints for a variant, percent."""
        table = self.thesis["5.4"]
        return float(table["rows"][printed_beside(table, variant)][self.corpus])

    def absent(self, names: Iterable[str]) -> dict[str, str]:
        """Return those of some variants that have no numbers, and why."""
        reasons = {run.variant: run.reason or "not applicable" for run in self.runs if not run.trained}
        return {name: reasons.get(name, "not asked for") for name in dict.fromkeys(names) if not self.of(name)}

    def absent_of(self, gains: Mapping[Pair, Gain]) -> dict[str, str]:
        """Return the variants that keep differences from being known, and why."""
        unknown = [pair for pair, found in gains.items() if not found.n_folds]
        return self.absent(name for one, other in unknown for name in (one, *_names_in(other)))


def _names_in(other: str | tuple[str, ...]) -> tuple[str, ...]:
    return (other,) if isinstance(other, str) else other


def read_chapter5(runs: Iterable[Path], clips: Iterable[Path], thesis: Path, params: dict[str, Any]) -> list[Trained]:
    """Read what was trained on every corpus, in the order of the thesis's tables.

    runs : run.json of VARIANTS; runs of others are left aside.   params : sections evaluate and seed.
    clips : clips.parquet of their corpora, with corpus.json beside each.

    Raises
    ------
    TableError : a run is of a corpus whose clips.parquet is not given.
    """
    clips = list(clips)
    infos = {info["corpus"]: info for info in (read_json(path.with_name("corpus.json")) for path in clips)}
    chosen = [run for run in read_runs(runs) if run.variant in VARIANTS and run.corpus in ACTED]
    if missing := sorted({run.corpus for run in chosen} - infos.keys()):
        raise TableError(f"the clips of {missing[0]} are not given; pass its clips.parquet with --variant-clips")
    apart, tables = read_duplicates(clips), read_published(thesis)
    evaluate = section(EvaluateConfig, params, "evaluate")
    found = []
    for corpus in ACTED:
        if own := [run for run in chosen if run.corpus == corpus]:
            synthetic = infos[corpus]["source"] == "synthetic"
            found.append(Trained(corpus, score(own, apart), own, tables, evaluate, synthetic, params["seed"]))
    return found


def judge_chapter5(trained: Trained, key: str) -> Verdict | None:
    """Answer C3, C4 or one of H1 to H4 for one corpus; None where neither we nor the thesis's folds know a pair."""
    claim = CLAIMS[key]
    ours = {pair: trained.gain(*pair) for pair in claim.pairs}
    printed = {pair: trained.printed_gain(*pair) for pair in claim.pairs}
    known = [pair for pair in claim.pairs if ours[pair].n_folds or printed[pair]]
    if not known:
        return None
    if claim.where_known:
        ours, printed = ({pair: side[pair] for pair in known} for side in (ours, printed))
    names = [join_names(map(str, side)) for side in zip(*ours, strict=True)]
    facts = {
        "trained": trained,
        "ours": _family(ours.values(), printed.values(), decides=True),
        "printed": _family(filter(None, printed.values())),
        "untrained": trained.absent_of(ours),
    }
    answers = {"time": _answer_time, "inferior": _answer_inferior, "folds": _answer_folds}[claim.template]
    verdict, by_theirs, effect, more = answers(trained, claim, ours, list(printed.values()))
    return Verdict(
        claim=key,
        sentence=claim.sentence.format(one=names[0], other=names[1]),
        verdict=verdict,
        printed=by_theirs,
        effect=effect,
        synthetic=trained.synthetic,
        contrasts=(*facts["ours"], *more.get("slices", ())),
        facts=facts | more,
        corpus=trained.corpus,
    )


def _family(
    gains: Iterable[Gain], printed: Iterable[Gain | None] | None = None, *, decides: bool = False
) -> tuple[Contrast, ...]:
    """Return the contrasts of differences that are known; they are one family of tests."""
    gains = list(gains)
    printed = [None] * len(gains) if printed is None else printed
    adjusted = holm([one.p for one in gains])
    return tuple(
        Contrast(one, thesis=theirs.difference if theirs else math.nan, decides=decides, p_holm=p)
        for one, theirs, p in zip(gains, printed, adjusted, strict=True)
        if one.n_folds
    )


def _weakest(gains: Iterable[Gain]) -> Gain:
    """Return the smallest difference of those that are known; one without numbers if none is."""
    return min((one for one in gains if one.n_folds), key=lambda one: one.difference, default=Gain("", ""))


Answered = tuple[Answer, str, Gain, dict[str, Any]]  # ours, as printed, what is shown, and facts of the template


def _answer_folds(trained: Trained, claim: Claim, ours: dict[Pair, Gain], printed: list[Gain | None]) -> Answered:
    gains = list(ours.values())
    by_theirs = rules.decide_printed(printed, claim.failing)
    verdict = rules.decide_folds(gains, claim.failing, confidence=trained.evaluate.confidence)
    best = any(not isinstance(other, str) for _, other in claim.pairs)
    return verdict, by_theirs, _weakest(gains), {"failing": claim.failing, "best": best}


@dataclass(frozen=True)
class Priced:
    """The costs of a network with and without time augmentation.

    low, high : interval of their ratio, over folds, or over the trainings of less than three; NaN of one.
    """

    one: str
    other: str
    with_it: TrainingCost
    without: TrainingCost
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """Return the cost of all trainings relative to those without."""
        return self.with_it.total / self.without.total


def _answer_time(trained: Trained, claim: Claim, ours: dict[Pair, Gain], printed: list[Gain | None]) -> Answered:
    gains = list(ours.values())
    prices = [price for pair in ours if (price := price_of(trained, *pair))]
    slices = {pair: trained.gain(*pair) for pair in SLICES}
    facts = {
        "marginal": rules.MARGINAL,
        "prices": prices,
        "slices": _family(slices.values()),
        "slices_untrained": trained.absent_of(slices),
        "printed_helps": all(one.low > 0 for one in printed) if all(printed) else None,
        "summed": {name: trained.summed(name) for name in SUMMED},
    }
    by_theirs = rules.UNDECIDED if any(printed) else ""  # the thesis prints no cost
    ratios = [(price.low, price.high) for price in prices]
    verdict = rules.decide_time(gains, ratios, confidence=trained.evaluate.confidence)
    return verdict, by_theirs, _weakest(gains), facts


def price_of(trained: Trained, one: str, other: str) -> Priced | None:
    """Return the costs of two networks over the folds and seeds that both were trained on; None without any."""
    sides = [{(run.fold, run.seed): run for run in trained.of(name)} for name in (one, other)]
    common = sorted(sides[0].keys() & sides[1].keys())
    if not common:
        return None

    def costs(keys: Iterable[tuple[int, int]]) -> list[TrainingCost]:
        return [cost_of([side[key] for key in keys], trained.selection) for side in sides]

    folds = [[key for key in common if key[0] == fold] for fold in dict.fromkeys(fold for fold, _ in common)]
    units = [costs(keys) for keys in (folds if len(folds) >= FEWEST else [[key] for key in common])]
    ratios = [with_it.total / without.total for with_it, without in units]
    return Priced(one, other, *costs(common), *rules.interval_of_ratio(ratios, confidence=trained.evaluate.confidence))


def _answer_inferior(trained: Trained, claim: Claim, ours: dict[Pair, Gain], printed: list[Gain | None]) -> Answered:
    gains = list(ours.values())
    theirs = [one or Gain(joint, "") for joint, one in zip(JOINT, printed, strict=True)]
    facts = {
        "single": SINGLE,
        "last": JOINT[-1],
        "cases": _cases(gains),
        "printed_cases": _cases(theirs),
        "untrained": trained.absent([*JOINT, *SINGLE]),
        "free": [one.one for one in theirs[:-1] if one.n_folds and not one.below],
    }
    verdict = rules.decide_cases(gains, confidence=trained.evaluate.confidence)
    return verdict, rules.decide_printed_cases(theirs) if any(printed) else "", gains[-1], facts


def _cases(gains: Sequence[Gain]) -> list[tuple[Gain, float]]:
    """Return the differences that are known, and p of as many cases as the last; of itself, as the others' mean."""
    *others, last = gains
    alike = [one for one in others if one.n_folds and one.folds.keys() == last.folds.keys()]
    rows = [(one, rules.p_of_cases([one], last) if one in alike else math.nan) for one in others]
    rows.append((last, rules.p_of_cases(alike, last) if alike else math.nan))
    return [(one, p) for one, p in rows if one.n_folds]


def judge_hypotheses(
    *,
    runs: list[Path],
    samples: Path,
    thesis: Path,
    out_md: Path,
    out_csv: Path,
    transfer_runs: list[Path] | None = None,
    transfer_clips: Path | None = None,
    variant_runs: list[Path] | None = None,
    variant_clips: list[Path] | None = None,
    config: str = "params.yaml",
) -> None:
    """Judge the thesis's claims, on its numbers and on ours.

    Parameters
    ----------
    out_md, out_csv : Path
        Page, and table of differences.
    transfer_runs : list of Path
        run.json of the rows on FER2013 and their starts.
    transfer_clips : Path
        clips.parquet of FER2013, with its corpus.json beside it.
    variant_runs : list of Path
        run.json of the variants of chapter 5.
    variant_clips : list of Path
        clips.parquet of their corpora, with corpus.json beside each.
    """
    for name, sides in {"transfer": (transfer_runs, transfer_clips), "variant": (variant_runs, variant_clips)}.items():
        if bool(sides[0]) != bool(sides[1]):
            raise ConfigError(f"--{name}-runs and --{name}-clips belong together; name both or neither")
    params = load(config)
    evidence = read_evidence(runs, samples, thesis, params)
    verdicts = [judge_networks(evidence), *(judge_same_features(evidence, kind) for kind in SAME_NETWORKS)]
    if transfer_runs:
        info = transfer_clips.with_name("corpus.json")
        verdicts.append(judge_transfer(read_transfer(transfer_runs, transfer_clips, info, thesis, params)))
    if variant_runs:
        corpora = read_chapter5(variant_runs, variant_clips, thesis, params)
        keys = [key for key, claim in CLAIMS.items() if claim.pairs]
        judged = [judge_chapter5(corpus, key) for key in keys for corpus in corpora]
        verdicts += [one for one in judged if one is not None]
    text = render(verdicts, confidence=evidence.evaluate.confidence, scale=evidence.scale)
    write_table(contrast_rows(verdicts), text, csv=out_csv, md=out_md)
    log.info("hypotheses: %s", "; ".join(f"{one.key} {one.verdict}" for one in verdicts))
