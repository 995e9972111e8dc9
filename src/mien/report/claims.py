"""The thesis's claims, judged on our runs and on its printed numbers.

C1: a small network beats geometry with a support vector machine on the same pictures (thesis L170, X01-X10). Same
features: the classifier alone does not make the thesis's gap between the two (specification, section 6, I-7). C2: a
face-identity network is a start of comparable accuracy at lower cost (L171, X12-X16; learning rates: L1005, L1012).
C3: time augmentation helps at marginal cost (L172, X21-X23, X28, X29). C4: MRPN removes the folds in which one modality
beats the joint network (L173, X24-X27). H1 to H4: what the thesis's fold tables say of the networks of chapter 5.

The rules in words and everything else that the page says are in templates/claim_*.md.j2.
"""

import itertools
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from scipy import stats

from mien.augment.slicing import SEGMENTS
from mien.config.labels import ACTED, NETWORKS
from mien.config.schema import EvaluateConfig, load, section
from mien.errors import ConfigError, TableError
from mien.evaluation.classifiers import Difference, Judgement, accuracy_in, mean_and_sd, paired_difference
from mien.evaluation.metrics import read_duplicates, reported, score
from mien.evaluation.runs import Run, read_runs
from mien.evaluation.statistics import Gain, gain, gain_over_best, holm, interval_of_cell
from mien.evaluation.transfer import PRIVATE, Trial, paired_pictures
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.page import (
    join_names,
    limits,
    p_value,
    percent,
    render_page,
    share_of,
    with_interval,
    write_table,
)
from mien.report.tables.classifiers import Evidence, printed_once, read_evidence
from mien.report.tables.comparison import best_printed, printed_gain
from mien.report.tables.complexity import TrainingCost, cost_of
from mien.report.tables.transfer import SHARE, THESIS_ROW, TransferEvidence, amount, power, read_transfer
from mien.report.thesis import Published, printed_beside, published_beside, read_published

log = logging.getLogger(__name__)

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
Answer = Literal[SUPPORTED, NOT_SUPPORTED, UNDECIDED]

CLAIMS = {  # id -> (title, sentence)
    "C1": (
        "neural networks against geometry",
        "a simple convolutional network beats geometry with a support vector machine on the same pictures.",
    ),
    "Same features, AU8": (
        "network and support vector machine on the eight action units",
        "on identical AU8, the classifier alone does not make the thesis's gap{} between network and support vector "
        "machine.",
    ),
    "Same features, FP68": (
        "network and support vector machine on 68 points of the face",
        "on identical FP68, the classifier alone does not make the thesis's gap{} between network and support vector "
        "machine.",
    ),
    "C2": (
        "transfer from face identity",
        "transfer from a face-identity network gives comparable accuracy at lower cost than a random start.",
    ),
    "C3": ("time augmentation", "time augmentation makes {} better at marginal cost."),
    "C4": (
        "MRPN and inferior cases of joint networks",
        "{} (MRPN) removes the folds in which one modality is better than the joint network.",
    ),
    "H1": ("time augmentation, fold by fold", "time augmentation makes {} worse in no fold."),
    "H2": (
        "the joint network and the better of its modalities",
        "the joint network is at least as good as the better of its two modalities alone, in all folds but one of "
        "twelve.",
    ),
    "H3": (
        "MRPN and the other joint networks, fold by fold",
        "N2 (MRPN) is at least as good as {}, in every fold.",
    ),
    "H4": ("N1 and both kinds of N0, on average", "N1 is better than {} on average."),
}

SINGLE = ("AM", "VM")  # variants of params.yaml, by the names of its rows
JOINT = ("N0_late", "N0", "N1", "N2")
TIMED = {"AM": "AM_NT", "VM": "VM_NT", "N0": "N0_NT"}  # with time augmentation -> without
NO_OVERLAP = "N0_WO"  # time augmentation without overlapping segments
VARIANTS = (*SINGLE, *JOINT, *TIMED.values(), NO_OVERLAP)
SLICES = ((NO_OVERLAP, TIMED["N0"]), ("N0", NO_OVERLAP))  # slices alone, then overlapping segments too
Pair = tuple[str, str | tuple[str, ...]]  # a network, and another one or several: the best of these in each fold
FOLD_CLAIMS: dict[str, tuple[tuple[Pair, ...], float]] = {  # id -> (pairs, share of the folds in which it may fail)
    "H1": (tuple(TIMED.items()), 0.0),
    "H2": ((("N0", SINGLE), ("N0_NT", ("AM_NT", "VM_NT"))), 1 / 12),  # the thesis names one of twelve itself, A9,10
    "H3": (tuple(("N2", other) for other in ("N0_late", "N0", "N1")), 0.0),
    "H4": (tuple(("N1", other) for other in ("N0_late", "N0")), 1.0),  # 1: a claim about averages
}
WHERE_KNOWN = ("H1", "H2")  # claims about the pairs of which we, or the thesis's folds, know both
MARGINAL = 2.0  # times the training without: from here on a cost is not; the thesis gives no number
SUMMED = ("N0_NT", "N0_WO", "N0")  # variants that table 5.4 sums up

MACHINES = ("ssvm", "svm_poly")
PICTURES = 67 * 3 * 3 * 4  # RaFD: people, cameras, gazes, emotions; the thesis does not print its number of pictures
COMMON, ALL = "judged by both", "all, missing is an error"
SAME_NETWORKS = {"AU8": "dnn_au", "FP68": "dnn_fp"}  # features -> network that is compared on them
SAME, OTHER = "same scaling", "network standardised, machine raw"

STUCK = 1.0e-3  # the rate at which the thesis's network does not learn
SAFE = 1.0e-6  # the rate above which its validation loss diverges
RISE = 0.05  # of the lowest validation loss, by which the last must be above it to count as diverging
MARGIN = 5.0  # points by which a comparable accuracy may be lower
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
]


@dataclass(frozen=True)
class Contrast:
    """Accuracy of `one` less that of `other`, points."""

    one: str
    other: str
    pictures: str  # which count
    difference: float
    low: float
    high: float
    n_pictures: int
    n_people: int
    thesis: float = math.nan  # the same difference in the thesis
    decides: bool = False
    p: float = math.nan
    p_holm: float = math.nan
    n_folds: int = 0
    n_below: int = 0

    @property
    def text(self) -> str:
        """Return the difference with its interval in brackets."""
        return with_interval(self.difference, self.low, self.high, signed=True)


NOTHING = Contrast("", "", "", math.nan, math.nan, math.nan, 0, 0)  # of sides that do not exist


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    Attributes
    ----------
    claim : str
        Key of CLAIMS.
    kind : str
        Of its template, which gets `facts`.
    sentence : str
        The claim in words.
    verdict, printed : str
        The answer by our runs, and by the thesis's printed numbers; empty where these say nothing.
    effect : Contrast
        What is shown of the differences; NOTHING where there are none.
    contrasts : tuple of Contrast
        Every difference behind the answer.
    """

    claim: str
    kind: str
    sentence: str
    verdict: Answer
    printed: str
    effect: Contrast
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
        return render_page(f"claim_{self.kind}", verdict=self, title=CLAIMS[self.claim][0], **self.facts)


def answer(lows: Iterable[float], highs: Iterable[float]) -> Answer:
    """Return supported if every interval is above zero, not supported if every one is below, else undecided.

    An interval that does not exist (NaN) decides nothing, and so does no interval.
    """
    lows, highs = list(lows), list(highs)
    if lows and all(low > 0 for low in lows):
        return SUPPORTED
    return NOT_SUPPORTED if highs and all(high < 0 for high in highs) else UNDECIDED


def answer_of(contrasts: Iterable[Contrast]) -> Answer:
    """Return the `answer` of the intervals of contrasts."""
    contrasts = list(contrasts)
    return answer([one.low for one in contrasts], [one.high for one in contrasts])


def contrast_rows(verdicts: list[Verdict]) -> pd.DataFrame:
    """Return CONTRASTS of all verdicts."""
    rows = [
        {"question": verdict.key, "verdict": verdict.verdict, "people": verdict.people} | vars(one)
        for verdict in verdicts
        for one in verdict.contrasts
    ]
    return pd.DataFrame(rows, columns=CONTRASTS)


def render(verdicts: list[Verdict], *, confidence: float, scale: str) -> str:
    """Return the page: a summary, then a section for every question."""
    summary = [
        {
            "question": one.key,
            "claim": one.sentence,
            "answer": f"**{one.verdict}**",
            "people": one.people,
            "effect, points": one.effect.text,
            "as printed": one.printed or "-",
        }
        for one in verdicts
    ]
    synthetic = any(one.synthetic for one in verdicts)
    values = {"synthetic": synthetic, "scale": scale, "confidence": confidence, "summary": summary}
    return render_page("hypotheses", sections=[one.section() for one in verdicts], **values)


def contrast_of(one: str, other: str, found: Difference, *, pictures: str, **more: Any) -> Contrast:
    """Return a difference of fractions as a contrast in points."""
    values = (100 * found.difference, 100 * found.low, 100 * found.high)
    return Contrast(one, other, pictures, *values, found.n_pictures, found.n_people, **more)


# C1: networks on pictures against support vector machines on geometry


def judge_networks(evidence: Evidence) -> Verdict:
    """Compare the best network on pictures with the best support vector machine, and every network with every one."""
    images = _names(evidence, NETWORKS, pictures=True)
    networks, machines = _names(evidence, NETWORKS), _names(evidence, MACHINES)
    image, machine = _preferred(evidence, images), _preferred(evidence, machines)
    pairs = {(one, other): _compare_pair(evidence, one, other) for one in networks for other in machines}
    deciding: list[Contrast] = []
    if image and machine:
        deciding = pairs[image, machine] = [replace(one, decides=True) for one in pairs[image, machine]]
    printed = _printed_best(evidence)
    return Verdict(
        claim="C1",
        kind="networks",
        sentence=CLAIMS["C1"][1],
        verdict=answer_of(deciding),
        printed=printed["printed_answer"],
        effect=deciding[0] if deciding else NOTHING,
        synthetic=evidence.synthetic,
        contrasts=tuple(one for found in pairs.values() for one in found),
        facts={
            "evidence": evidence,
            "chosen": [
                {
                    "classifier": name,
                    "validation": percent(100 * evidence.validation(name)),
                    "runs": str(len(evidence.panel.of(name))),
                    "stands for its kind": "yes" if name in (image, machine) else "",
                }
                for name in (*images, *machines)
            ],
            "deciding": [
                {
                    "pictures": one.pictures,
                    "difference": one.text,
                    "test pictures": str(one.n_pictures),
                    "test people": str(one.n_people),
                    "thesis, same pair": percent(one.thesis, signed=True),
                }
                for one in deciding
            ],
            "matrix": [
                {"network": one} | {other: _bold_if_clear(pairs[one, other]) for other in machines} for one in networks
            ],
            "n_pairs": len(pairs),
            "n_above": sum(answer_of(found) == SUPPORTED for found in pairs.values()),
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


def _compare_pair(evidence: Evidence, one: str, other: str) -> list[Contrast]:
    """Return the two contrasts of a pair: on the pictures both could judge, and on all."""
    printed = [printed_once(evidence.thesis, evidence.classifiers[name]).test for name in (one, other)]
    found = []
    for pictures in (COMMON, ALL):
        sides = evidence.shown(one), evidence.shown(other)
        difference = paired_difference(evidence.panel, *sides, strict=pictures == ALL, config=evidence.evaluate)
        found.append(contrast_of(one, other, difference, pictures=pictures, thesis=printed[0] - printed[1]))
    return found


def _bold_if_clear(pair: list[Contrast]) -> str:
    return f"**{pair[0].text}**" if answer_of(pair) != UNDECIDED else pair[0].text


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
    ends = {name: interval_of_cell(value * PICTURES, PICTURES, confidence=confidence) for name, value in cells.items()}
    image, machine = (max(side, key=side.get) for side in (images, machines))
    return {
        "best_cells": (image, machine),
        "printed_gap": 100 * (images[image] - machines[machine]),
        "printed_answer": answer([ends[image][0] - ends[machine][1]], [ends[image][1] - ends[machine][0]]),
        "n_enough": pictures_to_part(images[image], machines[machine], confidence=confidence),
        "printed_cells": [
            {
                "cell of table 4.1": name,
                "test": percent(100 * value),
                "Wilson": limits(*(100 * end for end in ends[name])),
            }
            for name, value in cells.items()
        ],
    }


def pictures_to_part(one: float, other: float, *, confidence: float) -> int:
    """Return the smallest number of test pictures with which Wilson's intervals of two accuracies lie apart.

    Raises
    ------
    ValueError
        The accuracies are equal, so no number is enough.
    """
    if one == other:
        raise ValueError(f"two accuracies of {one} never part")

    def lie_apart(n: int) -> bool:
        lower, upper = (interval_of_cell(value * n, n, confidence=confidence) for value in sorted((one, other)))
        return lower[1] < upper[0]

    return next(n for n in itertools.count(1) if lie_apart(n))


# Same features: networks against support vector machines on identical numbers


@dataclass(frozen=True)
class Gap:
    """Network less machine, and whether the gap of the thesis would fit between this network and chance."""

    found: Contrast
    network: float  # accuracy on the test pictures, percent
    machine: float
    room: bool

    @property
    def names(self) -> str:
        """Return the pair in words."""
        return f"{self.found.one} less {self.found.other}"


def judge_same_features(evidence: Evidence, features: str) -> Verdict:
    """Compare the networks with the support vector machines on the features "AU8" or "FP68"."""
    models = (*MACHINES, SAME_NETWORKS[features])
    names = [name for name in _names(evidence, models) if evidence.classifiers[name].features == features]
    gaps = [compare_scaled(evidence, *pair) for pair in _scaled_pairs(evidence, names)]
    gaps = [gap for gap in gaps if not math.isnan(gap.found.difference)]
    deciding = [gap for gap in gaps if gap.found.decides]
    largest = max(deciding, key=lambda gap: gap.found.difference, default=None)
    seeds = _shared_seeds(evidence, names) if names else set()
    claim = f"Same features, {features}"
    ends = [percent(end([gap.found.thesis for gap in deciding])) for end in (min, max)] if deciding else []
    printed = f" of {' to '.join(dict.fromkeys(ends))} points" if ends else ""
    return Verdict(
        claim=claim,
        kind="features",
        sentence=CLAIMS[claim][1].format(printed),
        verdict=decide_gaps(deciding),
        printed="",
        effect=largest.found if largest else NOTHING,
        synthetic=evidence.synthetic,
        contrasts=tuple(gap.found for gap in gaps),
        facts={
            "evidence": evidence,
            "seeds": seeds,
            "accuracies": [_accuracy_row(evidence, name, seeds) for name in names],
            "edges": _edge_pairs(evidence, names, seeds),
            "gaps": [
                {
                    "network less machine": gap.names,
                    "scaling": gap.found.pictures,
                    "difference": gap.found.text,
                    "thesis": percent(gap.found.thesis, signed=True),
                    "gap possible above chance": "yes" if gap.room else "no",
                    "test pictures": str(gap.found.n_pictures),
                }
                for gap in gaps
            ],
            "deciding": deciding,
            "largest": largest,
        },
    )


def decide_gaps(gaps: list[Gap]) -> Answer:
    """Hold the interval of every pair against the gap that the thesis prints for it; NaN decides nothing."""
    if any(gap.found.low >= gap.found.thesis for gap in gaps):
        return NOT_SUPPORTED
    below = [gap.room and gap.found.high < gap.found.thesis for gap in gaps]
    return SUPPORTED if below and all(below) else UNDECIDED


def compare_scaled(evidence: Evidence, network: str, machine: str, scaling: str) -> Gap:
    """Return network less machine over the runs that learnt on the same people."""
    panel = evidence.panel
    seeds = _shared_seeds(evidence, [network, machine])
    sides = [_runs_of(evidence, name, seeds) for name in (network, machine)]
    difference = paired_difference(panel, *sides, strict=False, config=evidence.evaluate)
    printed = [_printed_like(evidence, name) for name in (network, machine)]
    thesis = printed[0] - printed[1]
    decides = scaling == SAME and not math.isnan(thesis)
    scores = [_mean_accuracy(evidence, side, "test")[0] for side in sides]
    found = contrast_of(network, machine, difference, pictures=scaling, thesis=thesis, decides=decides)
    return Gap(found, *scores, room=scores[0] - 100 * panel.chance >= thesis)


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


def _shared_seeds(evidence: Evidence, names: list[str]) -> set[int]:
    """Return the seeds, which are also the splits, that all of `names` were trained with."""
    return set.intersection(*({one.seed for one in evidence.panel.of(name)} for name in names))


def _runs_of(evidence: Evidence, name: str, seeds: set[int], selection: str = "honest") -> list[Judgement]:
    return [one for one in evidence.panel.of(name, selection) if one.seed in seeds]


def _mean_accuracy(evidence: Evidence, runs: list[Judgement], role: str) -> tuple[float, float]:
    """Return mean and standard deviation of the accuracy of runs, percent."""
    return mean_and_sd(100 * accuracy_in(evidence.panel, run, role) for run in runs)


def _accuracy_row(evidence: Evidence, name: str, seeds: set[int]) -> dict[str, str]:
    config, runs = evidence.classifiers[name], _runs_of(evidence, name, seeds)
    test, sd = _mean_accuracy(evidence, runs, "test")
    printed = printed_once(evidence.thesis, config)
    return {
        "classifier": name,
        "scaling": "standardised" if config.standardise else "raw",
        "train": percent(_mean_accuracy(evidence, runs, "training")[0]),
        "test": percent(test),
        "sd": percent(sd),
        "optimistic": percent(_mean_accuracy(evidence, _runs_of(evidence, name, seeds, "optimistic"), "test")[0]),
        "thesis train": percent(printed.train),
        "thesis test": percent(printed.test),
    }


def _edge_pairs(evidence: Evidence, names: list[str], seeds: set[int]) -> list[tuple[str, str]]:
    """Return (standardised, raw) machines that differ on test and of which a search ended at the edge of its grid."""
    config, edges = evidence.classifiers, evidence.edges
    test = {name: _mean_accuracy(evidence, _runs_of(evidence, name, seeds), "test")[0] for name in names}
    return [
        (one, other)
        for one, other in itertools.product(names, names)
        if config[one].standardise and not config[other].standardise and _alike(config[one], config[other])
        if test[one] != test[other] and max(edges[one], edges[other]) > 0
    ]


# C2: a start from face identities against a random one


@dataclass(frozen=True)
class Cost:
    """What two rows needed to reach one validation accuracy; NaN where one did not."""

    share: float  # of a final accuracy
    of: str  # which of the two: LOWER or HIGHER
    accuracy: float  # 0..1, the target
    epochs: tuple[float, float]
    adds: tuple[float, float]  # multiply-adds of training
    starts: tuple[float, float]  # multiply-adds of what they start from

    @property
    def ratio(self) -> float:
        """Return the cost of the first row relative to the second, without their starts.

        Infinite where only the first never reaches the target, 0 where only the second does not, NaN where neither.
        """
        return self._relative(*self.adds)

    @property
    def ratio_with_start(self) -> float:
        """Return the same with what the starts cost; NaN where that is not known."""
        if any(math.isnan(start) for start in self.starts):
            return math.nan
        return self._relative(self.adds[0] + self.starts[0], self.adds[1] + self.starts[1])

    def _relative(self, one: float, other: float) -> float:
        never = [math.isnan(n) for n in self.epochs]
        if any(never):
            return math.nan if all(never) else (math.inf if never[0] else 0.0)
        return one / other

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
    effect = deciding[0] if deciding else NOTHING
    more = _compare_other_starts(evidence, one)
    return Verdict(
        claim="C2",
        kind="transfer",
        sentence=CLAIMS["C2"][1],
        verdict=decide_transfer(effect, [cost.ratio for cost in costs], learnt=learnt),
        printed=UNDECIDED,
        effect=effect,
        synthetic=evidence.synthetic,
        contrasts=(*deciding, *more["others"]),
        facts={
            "evidence": evidence,
            "missing": missing,
            "learnt": learnt,
            "margin": MARGIN,
            "shares": SHARES,
            "deciding": _contrast_table(deciding),
            "costs": costs,
            "cost": costs[TARGETS.index(SHOWN)] if costs else None,
            "cost_table": [_cost_row(cost, one, other) for cost in costs],
            "rates": [evidence.rows[name].learning_rate for name in (one, other) if name],
            "last_epochs": [name for name in (one, other) if costs and _is_last_best(evidence.trials[name])],
            "thesis_row": THESIS_ROW,
            "imagenet": IMAGENET,
            "freeze_gain": FREEZE_GAIN,
            "n_private": PRIVATE_PICTURES,
            "amount": amount,
            "power": power,
            "ratio": ratio_text,
            **more | {"others": _contrast_table(more["others"])},
            **_rate_facts(evidence),
            **_printed_transfer(evidence),
        },
    )


def decide_transfer(accuracy: Contrast, ratios: Sequence[float], *, learnt: bool) -> Answer:
    """Return the answer by the rule of C2; a difference or a ratio that does not exist (NaN) decides nothing.

    Parameters
    ----------
    accuracy : Contrast
        Accuracy of the row with the face-identity start less that with the random one.
    ratios : sequence of float
        Of the costs, one per target.
    learnt : bool
        Both rows are shown to have learnt.
    """
    if accuracy.high < -MARGIN:
        return NOT_SUPPORTED
    if not learnt or not ratios:
        return UNDECIDED
    if all(ratio > 1 for ratio in ratios):
        return NOT_SUPPORTED
    return SUPPORTED if accuracy.low > -MARGIN and all(ratio < 1 for ratio in ratios) else UNDECIDED


def cost_to(evidence: TransferEvidence, one: str, other: str, share: float, *, of: str) -> Cost:
    """Return what two rows needed for a share of the lower or higher of their final validation accuracies."""
    trials = (evidence.trials[one], evidence.trials[other])
    accuracy = share * {LOWER: min, HIGHER: max}[of](trial.final_accuracy for trial in trials)
    epochs = tuple(trial.epochs_to(accuracy) for trial in trials)
    adds = tuple(trial.adds_per_epoch * n for trial, n in zip(trials, epochs, strict=True))
    return Cost(share, of, accuracy, epochs, adds, (evidence.start_adds(one), evidence.start_adds(other)))


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
    trials, found = (evidence.trials[one], evidence.trials[other]), []
    for pictures in (WITHOUT, WITH):
        difference = paired_pictures(*trials, PRIVATE, duplicates=pictures == WITH, config=evidence.evaluate)
        found.append(contrast_of(one, other, difference, pictures=pictures, thesis=thesis))
    return [replace(found[0], decides=decides), found[1]]


def _contrast_table(contrasts: list[Contrast]) -> list[dict[str, str]]:
    return [
        {
            "contrast": f"{one.one} less {one.other}",
            "pictures": one.pictures,
            "difference": one.text,
            "n": str(one.n_pictures),
            "thesis": percent(one.thesis, signed=True),
        }
        for one in contrasts
    ]


def _cost_row(cost: Cost, one: str, other: str) -> dict[str, str]:
    epochs = ["never" if math.isnan(number) else f"{number:.0f}" for number in cost.epochs]
    return {
        "target": f"{100 * cost.share:g}% of the {cost.of}",
        "validation accuracy": percent(100 * cost.accuracy),
        f"epochs, {one}": epochs[0],
        f"epochs, {other}": epochs[1],
        f"multiply-adds, {one}": amount(cost.adds[0]),
        f"multiply-adds, {other}": amount(cost.adds[1]),
        "ratio": ratio_text(cost.ratio),
        "ratio with start": ratio_text(cost.ratio_with_start),
    }


def ratio_text(value: float) -> str:
    """Return a ratio of costs with two decimals, or what it means where one side never gets there."""
    return {math.inf: "dearer", 0.0: "cheaper"}.get(value, "-" if math.isnan(value) else f"{value:.2f}")


def _is_last_best(trial: Trial) -> bool:
    return trial.chosen_epoch == trial.history.epoch.max()


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


def _rate_facts(evidence: TransferEvidence) -> dict[str, Any]:
    """Return what the study of learning rates says to both sentences about them."""
    rate = {name: evidence.rows[name].learning_rate for name in evidence.transfer.rates if name not in evidence.reasons}
    names = sorted(rate, key=lambda name: -rate[name])
    diverges = {name: rise(evidence.trials[name]) > RISE for name in names}
    learnt = {name: evidence.learnt(name) for name in names}

    def outcome(chosen: list[str]) -> dict[str, list[str]]:
        wild, able = ([name for name in chosen if facts[name]] for facts in (diverges, learnt))
        return {"names": chosen, "diverge": wild, "learnt": able}

    return {
        "stuck_rate": STUCK,
        "safe_rate": SAFE,
        "least_rise": RISE,
        "rate_table": [_rate_row(evidence, name) for name in names],
        "stuck": {name: learnt[name] for name in names if rate[name] == STUCK},
        "above": outcome([name for name in names if rate[name] > SAFE]),
        "below": outcome([name for name in names if not rate[name] > SAFE]),
    }


def _rate_row(evidence: TransferEvidence, name: str) -> dict[str, str]:
    trial = evidence.trials[name]
    loss = trial.history.validation_loss
    return {
        "row": name,
        "rate": power(evidence.rows[name].learning_rate),
        "validation accuracy": percent(100 * trial.final_accuracy),
        "learnt": "yes" if evidence.learnt(name) else "not shown",
        "lowest validation loss": f"{loss.min():.3f} (epoch {trial.chosen_epoch} of {len(loss)})",
        "last": f"{loss.iloc[-1]:.3f}",
        "rise": f"{percent(100 * rise(trial))}%",
        "diverges": "yes" if rise(trial) > RISE else "no",
    }


def rise(trial: Trial) -> float:
    """Return how far the last validation loss is above the lowest, as a share; infinite if it is no number."""
    loss = trial.history.validation_loss
    return float(loss.iloc[-1] / loss.min() - 1) if math.isfinite(loss.iloc[-1]) else math.inf


def _printed_transfer(evidence: TransferEvidence) -> dict[str, Any]:
    """Return the thesis's row and the ImageNet one, with Wilson's intervals and what their difference lies between."""
    rows, ends = [], []
    confidence = evidence.evaluate.confidence
    for name in (THESIS_ROW, IMAGENET):
        hits = evidence.printed[name] / 100 * PRIVATE_PICTURES
        ends.append([100 * end for end in interval_of_cell(hits, PRIVATE_PICTURES, confidence=confidence)])
        rows.append({"row of table 4.3": name, "accuracy": f"{evidence.printed[name]:g}", "Wilson": limits(*ends[-1])})
    low, high = ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]
    return {"printed_rows": rows, "printed_limits": limits(low, high, signed=True), "comparable": low > -MARGIN}


# C3, C4 and H1 to H4: the networks of chapter 5 on one corpus


@dataclass(frozen=True, eq=False)
class Trained:
    """The networks of one corpus.

    Attributes
    ----------
    scores : DataFrame
        SCORES of VARIANTS.
    runs : dict
        Variant -> its trained runs.
    reasons : dict
        Variant -> why it was not trained.
    printed : dict
        Variant -> what a fold table of the thesis prints.
    summed : dict
        Variant -> percent in table 5.4.
    """

    corpus: str
    scores: pd.DataFrame
    runs: dict[str, list[Run]]
    reasons: dict[str, str]
    printed: dict[str, Published]
    summed: dict[str, float]
    evaluate: EvaluateConfig
    synthetic: bool
    seed: int

    @property
    def selection(self) -> str:
        """Return the selection that verdicts rest on."""
        return reported(self.scores)

    def gain(self, one: str, other: str | tuple[str, ...]) -> Gain:
        """Return how much better one variant is than another, or than the best of several in each fold.

        Without numbers where one of them was not trained.
        """
        others = (other,) if isinstance(other, str) else other
        rng = rng_for(self.seed, "report", "chapter5", self.corpus, one, *others)
        options = {"confidence": self.evaluate.confidence, "rng": rng}
        if isinstance(other, str):
            return gain(self.scores, one, other, self.selection, **options)
        if not self.has_runs(one, *others):
            return Gain(one, f"best of {' and '.join(others)}")
        return gain_over_best(self.scores, one, others, self.selection, **options)

    def printed_gain(self, one: str, other: str | tuple[str, ...]) -> Gain | None:
        """Return what the thesis's folds say of the same; None where it does not print both sides."""
        row = self.printed.get(one)
        best = (
            self.printed.get(other)
            if isinstance(other, str)
            else best_printed([self.printed.get(name) for name in other], row)
        )
        return printed_gain(row, best, confidence=self.evaluate.confidence)

    def has_runs(self, *names: str) -> bool:
        """Say whether all of some variants were trained."""
        return all(self.runs.get(name) for name in names)

    def knows(self, one: str, other: str | tuple[str, ...]) -> bool:
        """Say whether we, or the thesis's folds, know both sides of a pair."""
        others = (other,) if isinstance(other, str) else other
        return self.has_runs(one, *others) or self.printed_gain(one, other) is not None

    def absent(self, names: Iterable[str]) -> dict[str, str]:
        """Return those of some variants that have no numbers, and why."""
        names = [name for name in dict.fromkeys(names) if not self.runs.get(name)]
        return {name: self.reasons.get(name, "not asked for") for name in names}


def printed_on(tables: dict[str, Any], corpus: str) -> dict[str, Published]:
    """Return variant -> its folds in the thesis, where it prints them."""
    found = {name: published_beside(tables, name, corpus, number="5.2") for name in VARIANTS}
    return {name: row for name, row in found.items() if row is not None}


def summed_beside(tables: dict[str, Any], variant: str, corpus: str) -> float:
    """Return what table 5.4 prints for a variant on a corpus, percent."""
    return float(tables["5.4"]["rows"][printed_beside(tables["5.4"], variant)][corpus])


def read_chapter5(runs: Iterable[Path], clips: Iterable[Path], thesis: Path, params: dict[str, Any]) -> list[Trained]:
    """Read what was trained on every corpus, in the order of the thesis's tables.

    Parameters
    ----------
    runs : iterable of Path
        run.json of VARIANTS; runs of others are left aside.
    clips : iterable of Path
        clips.parquet of their corpora, with corpus.json beside each.
    thesis : Path
        The thesis's numbers.
    params : dict
        Sections evaluate and seed.

    Raises
    ------
    TableError
        A run is of a corpus whose clips.parquet is not given.
    """
    clips = list(clips)
    infos = {info["corpus"]: info for info in (read_json(path.with_name("corpus.json")) for path in clips)}
    chosen = [run for run in read_runs(runs) if run.variant in VARIANTS and run.corpus in ACTED]
    if missing := sorted({run.corpus for run in chosen} - infos.keys()):
        raise TableError(f"the clips of {missing[0]} are not given; pass its clips.parquet with --variant-clips")
    apart, tables = read_duplicates(clips), read_published(thesis)
    found = []
    for corpus in ACTED:
        own = [run for run in chosen if run.corpus == corpus]  # sorted by variant: read_runs
        trained = [run for run in own if run.trained]
        if own:
            found.append(
                Trained(
                    corpus=corpus,
                    scores=score(own, apart),
                    runs={name: list(part) for name, part in itertools.groupby(trained, key=lambda run: run.variant)},
                    reasons={run.variant: run.reason or "not applicable" for run in own if not run.trained},
                    printed=printed_on(tables, corpus),
                    summed={name: summed_beside(tables, name, corpus) for name in SUMMED},
                    evaluate=section(EvaluateConfig, params, "evaluate"),
                    synthetic=infos[corpus]["source"] == "synthetic",
                    seed=params["seed"],
                )
            )
    return found


def _weakest(gains: Sequence[Gain]) -> Gain:
    """Return the smallest difference of those that are known; one without numbers if none is."""
    return min((one for one in gains if one.n_folds), key=lambda one: one.difference, default=Gain("", ""))


def _as_contrast(one: Gain) -> Contrast:
    values = (one.difference, one.low, one.high, one.n_clips, one.n_people)
    return Contrast(one.one, one.other, "clips of both", *values, n_folds=one.n_folds, n_below=len(one.below))


def _contrasts(gains: Sequence[Gain], printed: Sequence[Gain | None], *, decides: bool = True) -> tuple[Contrast, ...]:
    """Return the contrasts of differences that are known; they are one family of tests."""
    adjusted = holm([one.p for one in gains])
    return tuple(
        replace(
            _as_contrast(one),
            thesis=theirs.difference if theirs else math.nan,
            decides=decides,
            p=one.p,
            p_holm=p,
        )
        for one, theirs, p in zip(gains, printed, adjusted, strict=True)
        if one.n_folds
    )


def _gain_table(gains: Sequence[Gain | None]) -> list[dict[str, str]]:
    """Return the differences that are known, as texts."""
    known = [one for one in gains if one is not None and one.n_folds]
    return [
        {
            "pair": f"{one.one} less {one.other}",
            "difference": percent(one.difference, signed=True),
            "interval": limits(one.low, one.high, signed=True),
            "p": p_value(one.p),
            "p (Holm)": p_value(p),
            "folds below zero": share_of(len(one.below), one.n_folds),
            "which": _folds_below(one),
        }
        for one, p in zip(known, holm([one.p for one in known]), strict=True)
    ]


def _folds_below(one: Gain) -> str:
    return "; ".join(f"{name} ({percent(one.folds[name], signed=True)})" for name in one.below) or "-"


def _untrained(gains: Sequence[Gain], trained: Trained) -> dict[str, str]:
    """Return the variants that keep differences from being known, with their reasons; "best of A and B" has several."""
    names = [
        name
        for one in gains
        if not one.n_folds
        for name in (one.one, *one.other.removeprefix("best of ").split(" and "))
    ]
    return trained.absent(names)


@dataclass(frozen=True)
class FoldClaim:
    """A claim about pairs of networks, fold by fold.

    Attributes
    ----------
    ours, printed : tuple of Gain
        One per pair, in the same order; printed may hold None.
    failing : float
        Share of the folds in which it may fail; 1 for a claim about averages.
    """

    ours: tuple[Gain, ...]
    printed: tuple[Gain | None, ...]
    failing: float = 0.0

    def allowed(self, one: Gain) -> int:
        """Return in how many folds the claim may fail."""
        return math.floor(self.failing * one.n_folds + 1e-9)


def decide_folds(claim: FoldClaim) -> Answer:
    """Return the answer of our folds; a pair without numbers keeps the claim from being supported."""
    if any(one.high < 0 or len(one.clearly_below) > claim.allowed(one) for one in claim.ours):
        return NOT_SUPPORTED
    held = [one.low > 0 and len(one.below) <= claim.allowed(one) for one in claim.ours]
    return SUPPORTED if held and all(held) else UNDECIDED


def decide_printed(claim: FoldClaim) -> Answer | None:
    """Return the answer of the thesis's folds; None where it does not print every pair."""
    known = [one for one in claim.printed if one is not None]
    if not known or len(known) < len(claim.printed):
        return None
    if any(one.difference < 0 or len(one.below) > claim.allowed(one) for one in known):
        return NOT_SUPPORTED
    return SUPPORTED if all(one.low > 0 for one in known) else UNDECIDED


def judge_folds(trained: Trained, key: str) -> Verdict | None:
    """Answer one of FOLD_CLAIMS for one corpus; None where neither side knows anything."""
    pairs, failing = FOLD_CLAIMS[key]
    known = [pair for pair in pairs if trained.knows(*pair)] if key in WHERE_KNOWN else pairs
    claim = FoldClaim(
        tuple(trained.gain(*pair) for pair in known), tuple(trained.printed_gain(*pair) for pair in known), failing
    )
    if not any(one.n_folds for one in claim.ours) and not any(claim.printed):
        return None
    subjects = [one for one, _ in known or pairs] if key == "H1" else [str(other) for _, other in pairs]
    printed = decide_printed(claim)
    return Verdict(
        claim=key,
        kind="folds",
        sentence=CLAIMS[key][1].format(join_names(subjects)),
        verdict=decide_folds(claim),
        printed=printed or "",
        effect=_as_contrast(_weakest(claim.ours)),
        synthetic=trained.synthetic,
        contrasts=_contrasts(claim.ours, claim.printed),
        facts={
            "trained": trained,
            "failing": failing,
            "ours": _gain_table(claim.ours),
            "untrained": _untrained(claim.ours, trained),
            "printed": _gain_table(claim.printed),
        },
        corpus=trained.corpus,
    )


@dataclass(frozen=True)
class Priced:
    """The costs of a network with and without time augmentation."""

    one: str
    other: str
    with_it: TrainingCost
    without: TrainingCost

    @property
    def ratio(self) -> float:
        """Return the cost of all trainings relative to those without."""
        return self.with_it.total / self.without.total


def judge_time(trained: Trained) -> Verdict | None:
    """Answer C3 for one corpus; None where neither we nor the thesis's folds have a pair."""
    pairs = [pair for pair in TIMED.items() if trained.knows(*pair)]
    if not pairs:
        return None
    gains = tuple(trained.gain(*pair) for pair in pairs)
    slices = tuple(trained.gain(*pair) for pair in SLICES)
    printed = tuple(trained.printed_gain(*pair) for pair in pairs)
    prices = [price for pair in pairs if (price := price_of(trained, *pair))]
    summed = [trained.summed[name] for name in SUMMED]
    return Verdict(
        claim="C3",
        kind="time",
        sentence=CLAIMS["C3"][1].format(join_names(one for one, _ in pairs)),
        verdict=decide_time(gains, [price.ratio for price in prices]),
        printed=UNDECIDED if any(printed) else "",
        effect=_as_contrast(_weakest(gains)),
        synthetic=trained.synthetic,
        contrasts=(*_contrasts(gains, printed), *_contrasts(slices, [None] * len(slices), decides=False)),
        facts={
            "trained": trained,
            "marginal": MARGINAL,
            "gains": _gain_table(gains),
            "untrained": _untrained(gains, trained),
            "slices": _gain_table(slices),
            "slices_untrained": _untrained(slices, trained),
            "prices": prices,
            "cost_table": [row for price in prices for row in _price_rows(price)],
            "segments": SEGMENTS,
            "printed": _gain_table(printed),
            "printed_helps": all(one.low > 0 for one in printed) if all(printed) else None,
            "steps": [after - before for before, after in pairwise(summed)],
        },
        corpus=trained.corpus,
    )


def decide_time(gains: tuple[Gain, ...], ratios: list[float]) -> Answer:
    """Return the answer by the rule of C3; a network without numbers keeps the claim from being supported."""
    if any(one.high < 0 for one in gains) or (ratios and all(ratio >= MARGINAL for ratio in ratios)):
        return NOT_SUPPORTED
    helped = len(ratios) == len(gains) > 0 and all(one.low > 0 for one in gains)
    return SUPPORTED if helped and all(ratio < MARGINAL for ratio in ratios) else UNDECIDED


def price_of(trained: Trained, one: str, other: str) -> Priced | None:
    """Return the costs of two networks over the folds and seeds that both were trained on; None without any."""
    sides = [{(run.fold, run.seed): run for run in trained.runs.get(name, ())} for name in (one, other)]
    common = sorted(sides[0].keys() & sides[1].keys())
    if not common:
        return None
    return Priced(one, other, *(cost_of([side[key] for key in common], trained.selection) for side in sides))


def _price_rows(price: Priced) -> list[dict[str, str]]:
    sides = ((price.one, price.with_it, f"{price.ratio:.2f}"), (price.other, price.without, "1"))
    return [
        {
            "network": name,
            "multiply-adds per clip": f"{cost.per_clip:.4g}",
            "clips per epoch": f"{cost.clips:.0f}",
            "epochs": f"{cost.epochs:.1f}",
            "multiply-adds of all trainings": f"{cost.total:.4g}",
            "ratio": ratio,
        }
        for name, cost, ratio in sides
    ]


def judge_inferior(trained: Trained) -> Verdict | None:
    """Answer C4 for one corpus; None where neither we nor the thesis's folds have the networks."""
    ours = [trained.gain(joint, SINGLE) for joint in JOINT]
    printed = [trained.printed_gain(joint, SINGLE) for joint in JOINT]
    if not any(one.n_folds for one in ours) and not any(printed):
        return None
    theirs = [one or Gain(joint, "") for joint, one in zip(JOINT, printed, strict=True)]
    return Verdict(
        claim="C4",
        kind="inferior",
        sentence=CLAIMS["C4"][1].format(JOINT[-1]),
        verdict=decide_cases(ours),
        printed=decide_cases(theirs) if any(printed) else "",
        effect=_as_contrast(ours[-1]),
        synthetic=trained.synthetic,
        contrasts=_contrasts(ours, printed),
        facts={
            "trained": trained,
            "single": SINGLE,
            "last": JOINT[-1],
            "known": [one for one in ours if one.n_folds],
            "ours": _case_table(ours),
            "untrained": trained.absent([*JOINT, *SINGLE]),
            "printed": _case_table(theirs) if any(printed) else [],
            "free": [one.one for one in theirs[:-1] if one.n_folds and not one.below],
        },
        corpus=trained.corpus,
    )


def decide_cases(gains: Sequence[Gain]) -> Answer:
    """Return the answer by the rule of C4 from gains over the better modality, in the order of JOINT."""
    *others, last = gains
    others = [one for one in others if one.n_folds]
    if not last.n_folds or not others or len({one.n_folds for one in (last, *others)}) > 1:
        return UNDECIDED  # cases of other folds cannot be held against each other
    cases, most = len(last.below), max(len(one.below) for one in others)
    if last.high < 0 or (cases and cases >= most):
        return NOT_SUPPORTED
    return SUPPORTED if cases == 0 < most and last.low > 0 else UNDECIDED


def p_of_cases(one: Gain, other: Gain) -> float:
    """Return the two-sided exact p that two networks are inferior equally often, by the folds in which one of them is.

    McNemar's test (1947) in its binomial form; 1 where they are inferior in the same folds, NaN without folds.
    """
    only = [len(set(a.below) - set(b.below)) for a, b in ((one, other), (other, one))]
    if not (one.n_folds and other.n_folds):
        return math.nan
    return float(stats.binomtest(only[0], sum(only)).pvalue) if sum(only) else 1.0


def _case_table(gains: Sequence[Gain]) -> list[dict[str, str]]:
    return [
        {
            "joint network": one.one,
            "inferior folds": share_of(len(one.below), one.n_folds),
            "which": _folds_below(one),
            "p": "-" if one is gains[-1] else p_value(p_of_cases(one, gains[-1])),
            "difference, mean": percent(one.difference, signed=True),
            "interval": limits(one.low, one.high, signed=True),
        }
        for one in gains
        if one.n_folds
    ]


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
    runs : list of Path
        run.json of every classifier and seed.
    samples : Path
        Folder with samples.parquet and corpus.json.
    thesis : Path
        The thesis's numbers.
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
    config : str
        params.yaml, or its sections as JSON text.
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
        judged = [judge(corpus) for judge in (judge_time, judge_inferior) for corpus in corpora]
        judged += [judge_folds(corpus, key) for key in FOLD_CLAIMS for corpus in corpora]
        verdicts += [one for one in judged if one is not None]
    text = render(verdicts, confidence=evidence.evaluate.confidence, scale=evidence.scale)
    write_table(contrast_rows(verdicts), text, csv=out_csv, md=out_md)
    log.info("hypotheses: %s", "; ".join(f"{one.key} {one.verdict}" for one in verdicts))
