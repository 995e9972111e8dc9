"""Command judge_hypotheses: what the thesis's hypotheses come to, as a page and a table of differences.

What a hypothesis comes to: verdicts, the differences they rest on, and the page that states them.

What was trained for chapter 5 on one corpus, beside what the thesis prints: the evidence of its verdicts.

Claims that a network is at least as good as another: in every fold, in all but a few, or on average.

C1: do neural networks beat geometry with a support vector machine on the same pictures? (thesis L170, X01-X10)

The thesis's sentences about learning rates (X12, L1005, L1012), answered from the histories.

C2: is a face-identity network a start of comparable accuracy at lower cost? (thesis L171, X12-X16)

H1 to H4: what the thesis's fold tables say of time augmentation, joint networks, MRPN and N1 (chapter 5).

C3: does time augmentation help, at marginal cost? (thesis L172, X21-X23, X28, X29)

C4: does MRPN remove the folds in which one modality beats the joint network? (thesis L173, X24-X27)

I-7: can the classifier alone make the thesis's gap between machines and networks? (specification, section 6)

Table 4.1 gives 41 % and 44 % to support vector machines and 75 % to a network of 108 parameters, on the same eight
numbers and with the same accuracy in training.
"""

import itertools
import logging
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from mien.evaluation.metrics import reported, score, twins
from mien.evaluation.runs import Run, read_runs
from mien.evaluation.statistics import Gain, gain, gain_over_best, holm, interval_of_cell
from mien.evaluation.transfer import PRIVATE, Trial, paired_pictures
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.page import SYNTHETIC, grid, limits, p_value, percent, share_of
from mien.report.tables.classifiers import Evidence, printed_once
from mien.report.tables.comparison import best_printed, printed_gain
from mien.report.tables.complexity import TrainingCost, cost_of
from mien.report.tables.transfer import SHARE, THESIS_ROW, TransferEvidence, amount, power
from mien.report.thesis import Published, published_row, read_published

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
Answer = Literal[SUPPORTED, NOT_SUPPORTED, UNDECIDED]
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
        return _with_interval(self.difference, self.low, self.high)


NOTHING = Contrast("", "", "", math.nan, math.nan, math.nan, 0, 0)  # of sides that do not exist


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    effect, interval : points; NaN where nothing can be said.   n : what they rest on, in words.
    printed : the answer that the thesis's printed numbers give, or empty.
    detail : blocks of Markdown.   contrasts : every difference behind the answer.
    """

    key: str
    title: str
    claim: str
    rule: str  # by which the answer is given
    verdict: Answer
    measure: str  # what the effect is
    effect: float
    interval: tuple[float, float]
    n: str
    printed: str
    synthetic: bool
    detail: tuple[str, ...]
    contrasts: tuple[Contrast, ...]


def contrast(one: str, other: str, found: Difference, *, pictures: str, **more) -> Contrast:
    """Return a difference of fractions as a contrast in points."""
    values = (100 * found.difference, 100 * found.low, 100 * found.high)
    return Contrast(one, other, pictures, *values, found.n_pictures, found.n_people, **more)


def answer(lows: Iterable[float], highs: Iterable[float]) -> Answer:
    """Return supported if every interval is above zero, not supported if every one is below, else undecided.

    An interval that does not exist (NaN) decides nothing, and so does no interval.
    """
    lows, highs = list(lows), list(highs)
    if lows and all(low > 0 for low in lows):
        return SUPPORTED
    return NOT_SUPPORTED if highs and all(high < 0 for high in highs) else UNDECIDED


def contrast_rows(verdicts: list[Verdict]) -> pd.DataFrame:
    """Return CONTRASTS of all verdicts."""
    rows = [
        {"question": verdict.key, "verdict": verdict.verdict, "people": _people(verdict)} | vars(one)
        for verdict in verdicts
        for one in verdict.contrasts
    ]
    return pd.DataFrame(rows, columns=CONTRASTS)


def render(verdicts: list[Verdict], *, confidence: float, scale: str) -> str:
    """Return the page: a summary, then a section for every question."""
    notice = [f"**{SYNTHETIC}**"] if any(verdict.synthetic for verdict in verdicts) else []
    text = (
        f"Scale {scale}. Effects are differences of accuracy in points, with {100 * confidence:g}% intervals over "
        "whole test people (C2: over pictures, as nobody is named) in brackets; other people in the training, or other "
        "seeds, are not in them. "
        "An answer holds for the people, the pictures and the settings that it was found on; 'as printed' is the "
        "answer that the thesis's own numbers give. Every difference is in hypotheses.csv."
    )
    sections = [block for verdict in verdicts for block in _section(verdict)]
    return "\n\n".join(["# Hypotheses", *notice, text, grid([_summary(one) for one in verdicts]), *sections]) + "\n"


def _summary(verdict: Verdict) -> dict[str, str]:
    return {
        "question": verdict.key,
        "claim": verdict.claim,
        "answer": f"**{verdict.verdict}**",
        "people": _people(verdict),
        "effect, points": _effect(verdict),
        "as printed": verdict.printed or "-",
    }


def _section(verdict: Verdict) -> list[str]:
    on = "computed people, not a result on people" if verdict.synthetic else "real people"
    return [
        f"## {verdict.key}: {verdict.title}",
        f"Claim: {verdict.claim}",
        f"Rule: {verdict.rule}",
        f"Answer: **{verdict.verdict}** ({on}). {verdict.measure}: {_effect(verdict)}; {verdict.n}.",
        *verdict.detail,
    ]


def _effect(verdict: Verdict) -> str:
    return _with_interval(verdict.effect, *verdict.interval)


def _with_interval(value: float, low: float, high: float) -> str:
    text = percent(value, signed=True)
    return text if math.isnan(low) else f"{text} ({limits(low, high, signed=True)})"


def _people(verdict: Verdict) -> str:
    return "computed" if verdict.synthetic else "real"


SINGLE = ("AM", "VM")  # variants of params.yaml, by the names of its rows
JOINT = ("N0_late", "N0", "N1", "N2")
TIMED = {"AM": "AM_NT", "VM": "VM_NT", "N0": "N0_NT"}  # with time augmentation -> without
NO_OVERLAP = "N0_WO"  # time augmentation without overlapping segments
VARIANTS = (*SINGLE, *JOINT, *TIMED.values(), NO_OVERLAP)
PRINTED = {  # corpus -> variant -> row of a fold table
    "ravdess": {
        "AM": "5.1/AM_T",
        "AM_NT": "5.1/AM_NT",
        "VM": "5.1/VM_T",
        "VM_NT": "5.1/VM_NT",
        "N0_NT": "5.1/JM_NT",
        "N0_late": "5.2/N0_late",
        "N0": "5.2/N0_e2e",
        "N1": "5.2/N1_e2e",
        "N2": "5.2/N2_e2e",
    },
    "cremad": {"N0_late": "5.3/N0_late", "N0": "5.3/N0_e2e", "N1": "5.3/N1_e2e", "N2": "5.3/N2_e2e"},
}
SUMMED = {"N0_NT": "N0_e2e_IA", "N0_WO": "N0_e2e_VA_WO", "N0": "N0_e2e_VA_AO"}  # variant -> row of table 5.4


@dataclass(frozen=True, eq=False)
class Trained:
    """The networks of one corpus.

    scores : SCORES of VARIANTS.   runs : variant -> its trained runs.   reasons : variant -> why it was not trained.
    printed : variant -> what a fold table of the thesis prints.   summed : variant -> percent in table 5.4.
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

    def gain(self, one: str, other: str) -> Gain:
        """Return how much better one variant is than another; without numbers where one was not trained."""
        return gain(self.scores, one, other, self.selection, **self._options(one, other))

    def gain_over_best(self, joint: str, single: Sequence[str]) -> Gain:
        """Return how much better a variant is than the best of others in each fold, if all of them were trained."""
        if not all(self.runs.get(name) for name in (joint, *single)):
            return Gain(joint, f"best of {' and '.join(single)}")
        return gain_over_best(self.scores, joint, single, self.selection, **self._options(joint, *single))

    def printed_gain(self, one: str, other: str) -> Gain | None:
        """Return what the thesis's folds say of two variants; None where it does not print both."""
        sides = self.printed.get(one), self.printed.get(other)
        return printed_gain(*sides, confidence=self.evaluate.confidence)

    def printed_gain_over_best(self, joint: str, single: Sequence[str]) -> Gain | None:
        """Return the same for a variant and the best of others in each fold."""
        row = self.printed.get(joint)
        best = best_printed([self.printed.get(name) for name in single], row)
        return printed_gain(row, best, confidence=self.evaluate.confidence)

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return sentences that say which of some variants have no numbers, and why."""
        names = [name for name in dict.fromkeys(names) if not self.runs.get(name)]
        return [f"{name}: {self.reasons.get(name, 'not asked for')}" for name in names]

    def _options(self, *scope: str) -> dict[str, Any]:
        rng = rng_for(self.seed, "report", "chapter5", self.corpus, *scope)
        return {"confidence": self.evaluate.confidence, "rng": rng}


def read_chapter5(runs: Iterable[Path], clips: Iterable[Path], thesis: Path, params: dict[str, Any]) -> list[Trained]:
    """Read runs of VARIANTS, clips.parquet of their corpora with corpus.json beside each, and the thesis's numbers.

    Runs of other variants are left aside. Corpora come in the order of the thesis's tables.
    params : sections evaluate and seed.

    Raises
    ------
    TableError : a run is of a corpus whose clips.parquet is not given.
    """
    clips = list(clips)
    infos = {info["corpus"]: info for info in (read_json(path.with_name("corpus.json")) for path in clips)}
    chosen = [run for run in read_runs(runs) if run.variant in VARIANTS and run.corpus in ACTED]
    if missing := sorted({run.corpus for run in chosen} - infos.keys()):
        raise TableError(f"the clips of {missing[0]} are not given; pass its clips.parquet with --variant-clips")
    apart, tables = twins(clips), read_published(thesis)
    return [
        Trained(
            corpus=corpus,
            scores=score(own, apart),
            runs={name: list(part) for name, part in itertools.groupby(_trained(own), key=lambda run: run.variant)},
            reasons={run.variant: run.reason or "not applicable" for run in own if not run.trained},
            printed={name: published_row(tables, row, corpus) for name, row in PRINTED[corpus].items()},
            summed={name: float(tables["5.4"]["rows"][row][corpus]) for name, row in SUMMED.items()},
            evaluate=section(EvaluateConfig, params, "evaluate"),
            synthetic=infos[corpus]["source"] == "synthetic",
            seed=params["seed"],
        )
        for corpus in ACTED
        if (own := [run for run in chosen if run.corpus == corpus])
    ]


def _trained(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.trained]  # sorted by variant: read_runs


RULE = (
    "ours: supported if {exception} and every difference of the means over folds has its whole interval above zero; "
    "not supported if an interval lies below zero{clear}; undecided otherwise. As printed: the thesis's folds are "
    "taken as they stand; supported if the claim holds in them and every interval, over folds, is above zero; not "
    "supported if it does not hold; undecided otherwise."
)


@dataclass(frozen=True)
class FoldClaim:
    """A claim about pairs of networks.

    ours, printed : a gain per pair, in the same order; printed may hold None.
    failing : share of the folds in which it may fail; 1 for a claim about averages.
    """

    key: str
    title: str
    claim: str
    ours: tuple[Gain, ...]
    printed: tuple[Gain | None, ...]
    failing: float = 0.0

    @property
    def rule(self) -> str:
        """Return the rule in words."""
        if self.failing == 1:
            return RULE.format(exception="the first network of every pair is better on average", clear="")
        few = f"at most one fold in {round(1 / self.failing)}" if self.failing else "no fold"
        more = (
            ", or if in more folds than that a first network is worse by more than the clips of the fold leave to "
            "chance (their interval, corrected for the number of folds, is below zero)"
        )
        return RULE.format(exception=f"the first network of a pair is worse in {few}", clear=more)

    def allowed(self, gain: Gain) -> int:
        """Return in how many folds the claim may fail."""
        return math.floor(self.failing * gain.n_folds + 1e-9)


def decide(claim: FoldClaim) -> Answer:
    """Return the answer of our networks; a pair without numbers keeps a claim from being supported."""
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


def judge(claim: FoldClaim, trained: Trained) -> Verdict:
    """Answer a claim for our networks of one corpus, beside the thesis's numbers."""
    weakest = weakest_of(claim.ours)
    printed = decide_printed(claim)
    return Verdict(
        key=f"{claim.key}, {trained.corpus}",
        title=claim.title,
        claim=claim.claim,
        rule=claim.rule,
        verdict=decide(claim),
        measure=measure_of(weakest),
        effect=weakest.difference,
        interval=(weakest.low, weakest.high),
        n=rests_on(weakest, trained),
        printed=printed or "",
        synthetic=trained.synthetic,
        detail=(
            *table_of("### Ours", claim.ours, trained),
            *printed_table(claim.printed, f"as printed, the claim is {printed}" if printed else ""),
        ),
        contrasts=contrasts_of(claim.ours, claim.printed),
    )


def weakest_of(gains: Sequence[Gain]) -> Gain:
    """Return the smallest difference of those that are known; one without numbers if none is."""
    return min((one for one in gains if one.n_folds), key=lambda one: one.difference, default=Gain("", ""))


def measure_of(weakest: Gain) -> str:
    """Say what an effect is."""
    return f"Smallest difference, {weakest.one} less {weakest.other}" if weakest.n_folds else "Nothing to compare"


def rests_on(one: Gain, trained: Trained) -> str:
    """Say what a difference rests on."""
    if not one.n_folds:
        return f"the networks of no pair were trained on {trained.corpus}"
    return f"{one.n_clips} clips of {one.n_people} test actors in {one.n_folds} folds of {trained.corpus}"


def table_of(title: str, gains: Sequence[Gain], trained: Trained) -> list[str]:
    """Return a table of our differences, with the reasons of those that are missing."""
    known = [one for one in gains if one.n_folds]
    blocks = [title]
    if known:
        text = (
            f"Accuracy at {trained.selection} epochs, on the clips that the networks of a pair were tested on, mean "
            "over folds; p of the sign-flip test over folds, as it is and corrected for the pairs of this question "
            "(Holm). Intervals are over test actors and hold the trained networks fixed."
        )
        blocks += [text, grid(_rows(known))]
    missing = trained.absent(name for one in gains if not one.n_folds for name in _names(one))
    return [*blocks, *([f"Not judged: {'; '.join(missing)}."] if missing else [])]


def printed_table(gains: Sequence[Gain | None], answer: str) -> list[str]:
    """Return a table of the thesis's differences, and what they come to."""
    known = [one for one in gains if one is not None]
    if not known:
        return ["### As printed", "The thesis prints no folds of these networks on this corpus."]
    text = (
        "The thesis's own folds, each a unit: it prints no judgements of clips, so intervals and p are over folds"
        f"{'; ' + answer if answer else ''}."
    )
    return ["### As printed", text, grid(_rows(known))]


def contrasts_of(
    gains: Sequence[Gain], printed: Sequence[Gain | None], *, decides: bool = True
) -> tuple[Contrast, ...]:
    """Return the contrasts of differences that are known; they are one family of tests."""
    adjusted = holm([one.p for one in gains])
    return tuple(
        Contrast(
            one.one,
            one.other,
            "clips of both",
            one.difference,
            one.low,
            one.high,
            one.n_clips,
            one.n_people,
            thesis=math.nan if theirs is None else theirs.difference,
            decides=decides,
            p=one.p,
            p_holm=p,
            n_folds=one.n_folds,
            n_below=len(one.below),
        )
        for one, theirs, p in zip(gains, printed, adjusted, strict=True)
        if one.n_folds
    )


def _rows(gains: Sequence[Gain]) -> list[dict[str, str]]:
    return [
        {
            "pair": f"{one.one} less {one.other}",
            "difference": percent(one.difference, signed=True),
            "interval": limits(one.low, one.high, signed=True),
            "p": p_value(one.p),
            "p (Holm)": p_value(p),
            "folds below zero": share_of(len(one.below), one.n_folds),
            "which": "; ".join(f"{name} ({percent(one.folds[name], signed=True)})" for name in one.below) or "-",
        }
        for one, p in zip(gains, holm([one.p for one in gains]), strict=True)
    ]


def _names(gain: Gain) -> list[str]:
    """Return the variants of a gain, of which "best of A and B" has several."""
    return [gain.one, *gain.other.removeprefix("best of ").split(" and ")]


MACHINES = ("ssvm", "svm_poly")
PICTURES = 67 * 3 * 3 * 4  # RaFD: people, cameras, gazes, emotions; the thesis does not print its number of pictures
COMMON, ALL = "judged by both", "all, missing is an error"
HYPOTHESIS_C1_RULE = (
    "the network on pictures and the support vector machine with the best validation accuracy, averaged over their "
    "runs, stand for their kinds (the earlier of equals); no test picture takes part in the choice. Supported if the "
    "difference of their test accuracies has its whole interval above zero, on the pictures that both could judge and "
    "on all test pictures with a missing judgement as an error; not supported if both intervals are below zero; "
    "undecided otherwise."
)


def judge_networks(evidence: Evidence) -> Verdict:
    """Compare the best network on pictures with the best support vector machine, and every network with every one."""
    images, machines = _kind(evidence, pictures=True), _kind(evidence, models=MACHINES)
    image, machine = _preferred(evidence, images), _preferred(evidence, machines)
    networks = _kind(evidence, models=NETWORKS)
    pairs = {(one, other): _pair(evidence, one, other) for one in networks for other in machines}
    deciding = [replace(one, decides=True) for one in pairs[image, machine]] if image and machine else []
    if deciding:
        pairs[image, machine] = deciding
    best = deciding[0] if deciding else NOTHING
    *_, low, high = _printed_best(evidence)
    return Verdict(
        key="C1",
        title="neural networks against geometry",
        claim="a simple convolutional network beats geometry with a support vector machine on the same pictures.",
        rule=HYPOTHESIS_C1_RULE,
        verdict=answer([one.low for one in deciding], [one.high for one in deciding]),
        measure=f"{image} less {machine}" if deciding else "Nothing to compare",
        effect=best.difference,
        interval=(best.low, best.high),
        n=f"{best.n_pictures} pictures of {best.n_people} test people that both could judge, {evidence.corpora}",
        printed=answer([low], [high]),
        synthetic=evidence.synthetic,
        detail=(
            *evidence.caution,
            *_chosen(evidence, images, machines),
            *_deciding(deciding, synthetic=evidence.synthetic),
            *_matrix(pairs, networks, machines),
            *_printed(evidence),
        ),
        contrasts=tuple(one for found in pairs.values() for one in found),
    )


def _kind(evidence: Evidence, *, models: tuple[str, ...] = NETWORKS, pictures: bool = False) -> list[str]:
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


def _pair(evidence: Evidence, one: str, other: str) -> list[Contrast]:
    """Return the two contrasts of a pair: on the pictures both could judge, and on all."""
    printed = [printed_once(evidence.thesis, evidence.classifiers[name].thesis).test for name in (one, other)]
    return [
        contrast(
            one,
            other,
            paired_difference(
                evidence.panel,
                evidence.shown(one),
                evidence.shown(other),
                strict=pictures == ALL,
                config=evidence.evaluate,
            ),
            pictures=pictures,
            thesis=printed[0] - printed[1],
        )
        for pictures in (COMMON, ALL)
    ]


def _chosen(evidence: Evidence, *kinds: list[str]) -> list[str]:
    rows = []
    for names in kinds:
        preferred = _preferred(evidence, names)
        rows.extend(
            {
                "classifier": name,
                "validation": percent(100 * evidence.validation(name)),
                "runs": str(len(evidence.panel.of(name))),
                "stands for its kind": "yes" if name == preferred else "",
            }
            for name in names
        )
    if not rows:
        return ["No network on pictures and no support vector machine was trained."]
    text = "Validation accuracy, averaged over the runs of a classifier: what the choice rests on."
    return ["### Which of them stand for their kinds", text, grid(rows)]


def _deciding(contrasts: list[Contrast], *, synthetic: bool) -> list[str]:
    if not contrasts:
        return ["One of the two kinds is missing, so nothing can be said."]
    rows = [
        {
            "pictures": one.pictures,
            "difference": one.text,
            "test pictures": str(one.n_pictures),
            "test people": str(one.n_people),
            "thesis, same pair": percent(one.thesis, signed=True),
        }
        for one in contrasts
    ]
    text = (
        f"{contrasts[0].one} less {contrasts[0].other}, as table 4.1 shows them: of a network the mean over its seeds, "
        "of a support vector machine the division with the best validation accuracy."
    )
    if synthetic:
        text += (
            " Computed faces are drawn from the very mesh that is fitted to them and move by its units, which favours "
            "geometry, and a small training corpus favours few parameters: the answer is about these faces only."
        )
    return ["### The difference that decides", text, grid(rows)]


def _matrix(pairs: dict[tuple[str, str], list[Contrast]], networks: list[str], machines: list[str]) -> list[str]:
    if not pairs:
        return []
    rows = [{"network": one} | {other: _cell(*pairs[one, other]) for other in machines} for one in networks]
    above = sum(
        answer([one.low for one in found], [one.high for one in found]) == SUPPORTED for found in pairs.values()
    )
    text = (
        "Network less support vector machine on the pictures that both could judge; bold where both intervals, this "
        f"one and that on all test pictures, are above zero ({above} of {len(pairs)} pairs) or both are below. The "
        "intervals are not corrected for the number of pairs: a guide, no proof."
    )
    return ["### Every network against every support vector machine", text, grid(rows)]


def _cell(common: Contrast, strict: Contrast) -> str:
    clear = answer([common.low, strict.low], [common.high, strict.high]) != UNDECIDED
    return f"**{common.text}**" if clear else common.text


def _printed_rows(evidence: Evidence) -> tuple[dict[str, float], dict[str, float]]:
    """Return the thesis's networks on pictures and its support vector machines: cell -> test accuracy 0..1."""
    table = evidence.thesis["4.1"]
    images = {name: values["test"] for name, values in table["images"].items()}
    machines = {
        f"{row}/{column}": value
        for row, values in table["features"].items()
        if row != "DNN"
        for column, value in values["test"].items()
    }
    return images, machines


def _printed_best(evidence: Evidence) -> tuple[str, str, float, float]:
    """Return the best cell of each kind on test, and the lower and upper end of what lies between their intervals."""
    images, machines = _printed_rows(evidence)
    image, machine = (max(side, key=side.get) for side in (images, machines))
    one, other = (_wilson(value, PICTURES, evidence) for value in (images[image], machines[machine]))
    return image, machine, one[0] - other[1], one[1] - other[0]


def _printed(evidence: Evidence) -> list[str]:
    images, machines = _printed_rows(evidence)
    image, machine, low, high = _printed_best(evidence)
    rows = [
        {
            "cell of table 4.1": name,
            "test": percent(100 * value),
            "Wilson": limits(*(100 * end for end in _wilson(value, PICTURES, evidence))),
        }
        for name, value in (images | machines).items()
    ]
    gap = percent(100 * (images[image] - machines[machine]))
    enough = pictures_to_part(images[image], machines[machine], confidence=evidence.evaluate.confidence)
    text = (
        f"The thesis prints {image} {gap} points above {machine}, the best of each kind on test: as printed, the claim "
        f"is {answer([low], [high])}. A paired interval needs the judgement of every picture, which the thesis does "
        f"not print. With {PICTURES} test pictures (67 people, 3 cameras, 3 gazes, 4 emotions; its own number is not "
        f"stated) Wilson's {100 * evidence.evaluate.confidence:g}% intervals are those below, if pictures were "
        f"independent, which pictures of one person are not; {enough} test pictures would be enough to part the two "
        "best. Chance is no explanation of the printed difference; another protocol on either side could be."
    )
    return ["### As printed", text, grid(rows)]


def pictures_to_part(one: float, other: float, *, confidence: float) -> int:
    """Return the smallest number of test pictures with which Wilson's intervals of two accuracies lie apart.

    Raises
    ------
    ValueError : the accuracies are equal, so no number is enough.
    """
    if one == other:
        raise ValueError(f"two accuracies of {one} never part")

    def lie_apart(n: int) -> bool:
        lower, upper = (interval_of_cell(value * n, n, confidence=confidence) for value in sorted((one, other)))
        return lower[1] < upper[0]

    return next(n for n in itertools.count(1) if lie_apart(n))


def _wilson(value: float, n: int, evidence: Evidence) -> tuple[float, float]:
    return interval_of_cell(value * n, n, confidence=evidence.evaluate.confidence)


STUCK = 1.0e-3  # the rate at which the thesis's network does not learn
SAFE = 1.0e-6  # the rate above which its validation loss diverges
RISE = 0.05  # of the lowest validation loss, by which the last must be above it to count as diverging


def rise(trial: Trial) -> float:
    """Return how far the last validation loss is above the lowest, as a share; infinite if it is no number."""
    loss = trial.history.validation_loss
    return float(loss.iloc[-1] / loss.min() - 1) if math.isfinite(loss.iloc[-1]) else math.inf


def judge_rates(evidence: TransferEvidence) -> list[str]:
    """Return the blocks of Markdown that answer both sentences, from the rows of ``transfer.rates``."""
    names = [name for name in evidence.transfer.rates if name not in evidence.reasons]
    title = "### Learning rates"
    if not names:
        return [title, "No row of the study of learning rates was trained, so neither sentence has an answer."]
    names.sort(key=lambda name: -evidence.rows[name].learning_rate)
    text = (
        f"The thesis says that a rate of {power(STUCK)} does not learn, and that above {power(SAFE)} the validation "
        "loss diverges. Learnt: the interval of the public test lies above always naming its commonest class. "
        f"Diverges: the last validation loss is more than {100 * RISE:g}% above the lowest. A rate that is too small "
        "to learn within these epochs does not diverge either, so the second sentence needs rates that learnt."
    )
    return [title, text, grid([_row(evidence, name) for name in names]), _answers(evidence, names)]


def _row(evidence: TransferEvidence, name: str) -> dict[str, str]:
    trial, history = evidence.trials[name], evidence.trials[name].history
    return {
        "row": name,
        "rate": power(evidence.rows[name].learning_rate),
        "validation accuracy": percent(100 * trial.final_accuracy),
        "learnt": "yes" if evidence.learnt(name) else "not shown",
        "lowest validation loss": f"{history.validation_loss.min():.3f} (epoch {trial.chosen_epoch} of {len(history)})",
        "last": f"{history.validation_loss.iloc[-1]:.3f}",
        "rise": f"{percent(100 * rise(trial))}%",
        "diverges": "yes" if rise(trial) > RISE else "no",
    }


def _answers(evidence: TransferEvidence, names: list[str]) -> str:
    rate = {name: evidence.rows[name].learning_rate for name in names}
    lines = []
    for name in (one for one in names if rate[one] == STUCK):
        said = "learns here, against the thesis" if evidence.learnt(name) else "is not shown to learn here either"
        lines.append(f"A rate of {power(STUCK)} ({name}) {said}.")
    if not lines:
        lines.append(f"No row has a rate of {power(STUCK)}.")
    above, below = ([name for name in names if (rate[name] > SAFE) == side] for side in (True, False))
    for kind, found in ((f"above {power(SAFE)}", above), (f"of {power(SAFE)} and below", below)):
        wild = [name for name in found if rise(evidence.trials[name]) > RISE]
        able = [name for name in found if evidence.learnt(name)]
        lines.append(
            f"Of the rates {kind} ({', '.join(found) or 'none'}) the validation loss diverges for "
            f"{', '.join(wild) or 'none'}; learnt have {', '.join(able) or 'none'}."
        )
    return " ".join(lines)


MARGIN = 5.0  # points by which a comparable accuracy may be lower
SHARES = (0.90, SHARE, 1.0)
LOWER, HIGHER = "lower", "higher"  # of the two final validation accuracies
TARGETS = tuple((share, of) for of in (LOWER, HIGHER) for share in SHARES)  # all have a say
SHOWN = (SHARE, LOWER)  # both rows reach it
PRIVATE_PICTURES = 3589  # of either official test of FER2013
IMAGENET = "imagenet_transfer"  # row of table 4.3 beside the ImageNet start
FREEZE_GAIN = 5.0  # points, whole network less dense layers alone (thesis L1023)
MINI = (
    "Rates, dropout and sizes of scale mini were set by hand with validation accuracies of these very rows in view, "
    "and which start is ahead depends on them (params.yaml, extractor.vgg_dropout): here the answer shows that the "
    "machinery works, no more."
)
WITHOUT, WITH = "private test", "private test with twins"
HYPOTHESIS_C2_RULE = (
    "the first row of table 4.3 (face identity) is held against its row with a random start, on the same pictures of "
    f"the private test. Comparable: the lower end of the interval of the difference is above -{MARGIN:g} points; "
    f"clearly lower: its upper end is below. Cost: multiply-adds of training until the validation accuracy reaches a "
    f"target, which is {', '.join(f'{100 * share:g}' for share in SHARES)}% of the lower or of the higher of the two "
    "final ones, without what the start itself cost (it is there once and serves any number of tasks); a row that "
    "never reaches a target is dearer there. Cheaper, or dearer, means at every target: a cost is counted in whole "
    "epochs of one training and has no interval, so one target would hang on luck. Supported if comparable and "
    "cheaper; not supported if clearly lower, or dearer; undecided otherwise. A row that is not shown to have learnt "
    "(its public test against always naming the commonest class) is "
    "no yardstick of cost: it leaves the claim undecided, unless the accuracy is clearly lower."
)


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
    deciding, costs, learnt = [], [], False
    if not missing:
        deciding = _pair_hypothesis_c2(evidence, one, other, decides=True)
        costs = [cost_to(evidence, one, other, share, of=of) for share, of in TARGETS]
        learnt = all(evidence.learnt(row) for row in (one, other))
    best = deciding[0] if deciding else NOTHING
    more, contrasts = _contrasts(evidence, one)
    return Verdict(
        key="C2",
        title="transfer from face identity",
        claim="transfer from a face-identity network gives comparable accuracy at lower cost than a random start.",
        rule=HYPOTHESIS_C2_RULE,
        verdict=decide_hypothesis_c2(best, [cost.ratio for cost in costs], learnt=learnt),
        measure=f"{one} less {other}" if deciding else "Nothing to compare",
        effect=best.difference,
        interval=(best.low, best.high),
        n=_n(best, costs) if costs else missing,
        printed=UNDECIDED,
        synthetic=evidence.synthetic,
        detail=(
            *_accuracy(evidence, deciding),
            *_cost(evidence, one, other, costs, learnt=learnt),
            *more,
            *judge_rates(evidence),
            *_printed_hypothesis_c2(evidence),
        ),
        contrasts=(*deciding, *contrasts),
    )


def decide_hypothesis_c2(accuracy: Contrast, ratios: Sequence[float], *, learnt: bool) -> Answer:
    """Return the answer by RULE; a difference or a ratio that does not exist (NaN) decides nothing.

    ratios : of the costs, one per target.   learnt : both rows are shown to have learnt.
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


def _pair_hypothesis_c2(
    evidence: TransferEvidence, one: str, other: str, *, thesis: float = math.nan, **more
) -> list[Contrast]:
    """Return the contrasts of two rows on the private test, without and with twins; only the first can decide."""
    found = [
        contrast(
            one,
            other,
            paired_pictures(
                evidence.trials[one],
                evidence.trials[other],
                PRIVATE,
                twins=pictures == WITH,
                config=evidence.evaluate,
            ),
            pictures=pictures,
            thesis=thesis,
        )
        for pictures in (WITHOUT, WITH)
    ]
    return [replace(found[0], **more), found[1]]


def _n(best: Contrast, costs: list[Cost]) -> str:
    cost = costs[TARGETS.index(SHOWN)]
    text = f"{best.n_pictures} pictures of the {WITHOUT}, each a unit of its own; one training each. "
    text += f"Cost, relative to {best.other}, to {100 * SHARE:g}% of the lower final accuracy: {_ratio(cost.ratio)}"
    if math.isnan(cost.ratio_with_start):
        return f"{text}; what the start cost is not known"
    return f"{text}, and {_ratio(cost.ratio_with_start)} with what the start itself cost"


def _accuracy(evidence: TransferEvidence, deciding: list[Contrast]) -> list[str]:
    if not deciding:
        return []
    text = (
        f"Accuracy of {deciding[0].one} less that of {deciding[0].other}, each at its epoch of lowest validation loss. "
        "FER2013 names nobody, so the interval is over pictures, not people; pictures of one person resemble each "
        "other, so the true interval is wider. Every row is a single training: the interval says nothing about the "
        "spread over trainings, and another seed may move a difference by more than its width."
    )
    rates = [evidence.rows[name].learning_rate for name in (deciding[0].one, deciding[0].other)]
    if rates[0] != rates[1]:
        text += f" The rows also differ in their learning rates, {power(rates[0])} and {power(rates[1])}."
    rates = evidence.transfer.rates
    if deciding[0].one in rates and deciding[0].other not in rates and len(rates) > 1:
        text += (
            f" That of {deciding[0].one} belongs to a study of {len(rates)} rates; {deciding[0].other} has no such "
            "study, and what led to its rate is not in these files."
        )
    if evidence.scale == "mini":
        text += f" {MINI}"
    return ["### The difference that decides", text, _grid_of(deciding)]


def _grid_of(contrasts: list[Contrast]) -> str:
    rows = [
        {
            "contrast": f"{one.one} less {one.other}",
            "pictures": one.pictures,
            "difference": one.text,
            "n": str(one.n_pictures),
            "thesis": percent(one.thesis, signed=True),
        }
        for one in contrasts
    ]
    return grid(rows)


def _cost(evidence: TransferEvidence, one: str, other: str, costs: list[Cost], *, learnt: bool) -> list[str]:
    if not costs:
        return []
    rows = [
        {
            "target": f"{100 * cost.share:g}% of the {cost.of}",
            "validation accuracy": percent(100 * cost.accuracy),
            f"epochs, {one}": _epochs(cost.epochs[0]),
            f"epochs, {other}": _epochs(cost.epochs[1]),
            f"multiply-adds, {one}": amount(cost.adds[0]),
            f"multiply-adds, {other}": amount(cost.adds[1]),
            "ratio": _ratio(cost.ratio),
            "ratio with start": _ratio(cost.ratio_with_start),
        }
        for cost in costs
    ]
    cost = costs[TARGETS.index(SHOWN)]
    cheaper = sum(one.ratio < 1 for one in costs)
    text = (
        "Multiply-adds are counted as in table 4.3, to shares of the lower and of the higher final validation "
        f"accuracy: {one} is cheaper at {cheaper} of {len(costs)} targets. What it starts from cost "
        f"{amount(cost.starts[0])}" + (" (not known for a file of weights)." if math.isnan(cost.starts[0]) else ".")
    )
    if not math.isnan(cost.tasks):
        text += f" At this saving it has paid for itself after {cost.tasks:.0f} such training(s)."
    if not learnt:
        text += " One of the two is not shown to have learnt, so that its cost says nothing and does not decide."
    return ["### Cost", text + _unfinished(evidence, (one, other)), grid(rows)]


def _epochs(number: float) -> str:
    return "never" if math.isnan(number) else f"{number:.0f}"


def _unfinished(evidence: TransferEvidence, names: tuple[str, ...]) -> str:
    late = [name for name in names if _is_last(evidence.trials[name])]
    if not late:
        return ""
    return f" The lowest validation loss of {' and '.join(late)} is in the last epoch: more epochs may give more."


def _is_last(trial: Trial) -> bool:
    return trial.chosen_epoch == trial.history.epoch.max()


def _contrasts(evidence: TransferEvidence, identity: str) -> tuple[list[str], list[Contrast]]:
    """Return the blocks and contrasts of the ImageNet start and of the frozen convolutions (X13, X15)."""
    pairs, notes = [], []
    imagenet = next((name for name in evidence.transfer.table if evidence.rows[name].thesis == IMAGENET), "")
    if imagenet:
        gap = evidence.printed[THESIS_ROW] - evidence.printed[IMAGENET]
        pairs.append((identity, imagenet, gap))
    else:
        notes.append("ImageNet start: no row of table 4.3 stands for it.")
    rows = evidence.transfer.frozen
    whole, dense = (
        next((name for name in rows if evidence.rows[name].trained == kind), "") for kind in ("all", "dense")
    )
    if whole and dense:
        pairs.append((whole, dense, FREEZE_GAIN))
    found: list[Contrast] = []
    for one, other, thesis in pairs:
        absent = [
            f"{name} is not applicable: {evidence.reasons[name]}" for name in (one, other) if name in evidence.reasons
        ]
        if absent:
            notes.append(f"{one} less {other}: {'; '.join(absent)}.")
        else:
            found += _pair_hypothesis_c2(evidence, one, other, thesis=thesis)
            ratio = _ratio(cost_to(evidence, one, other, SHARE, of=LOWER).ratio)
            idle = [name for name in (one, other) if not evidence.learnt(name)]
            says = f" {' and '.join(idle)}: not shown to have learnt, so it says nothing." if idle else ""
            notes.append(f"Cost of {one} relative to {other}, starts left out, by the same rule: {ratio}.{says}")
    text = (
        "The face-identity start against the ImageNet start (X15; the thesis holds its own "
        f"{evidence.printed[THESIS_ROW]:g} against {evidence.printed[IMAGENET]:g} of other authors), and the whole "
        f"network against its dense layers alone (X13; the thesis: {FREEZE_GAIN:g} points). They decide nothing here."
    )
    notes = [f"- {note}" for note in notes]
    blocks = ["### ImageNet start, and frozen convolutions", text, *([_grid_of(found)] if found else [])]
    return [*blocks, *(["\n".join(notes)] if notes else [])], found


def _printed_hypothesis_c2(evidence: TransferEvidence) -> list[str]:
    level = evidence.evaluate.confidence
    rows, ends = [], []
    for name in (THESIS_ROW, IMAGENET):
        value = evidence.printed[name]
        low, high = interval_of_cell(value / 100 * PRIVATE_PICTURES, PRIVATE_PICTURES, confidence=level)
        ends.append((100 * low, 100 * high))
        rows.append({"row of table 4.3": name, "accuracy": f"{value:g}", "Wilson": limits(*ends[-1])})
    low, high = ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]
    gap = percent(evidence.printed[THESIS_ROW] - evidence.printed[IMAGENET], signed=True)
    text = (
        f"The thesis prints {gap} points over a network that started from ImageNet, of other authors and with another "
        f"architecture and protocol. With {PRIVATE_PICTURES} pictures "
        f"Wilson's {100 * level:g}% intervals are those below; the "
        f"difference lies within {limits(low, high, signed=True)}: "
        f"{'comparable, by the rule' if low > -MARGIN else 'not shown to be comparable, by the rule'}. It prints no "
        "random start of its own and no cost, so as printed the claim of lower cost rests on nothing: undecided."
    )
    return ["### As printed", text, grid(rows)]


def _ratio(value: float) -> str:
    return {math.inf: "dearer", 0.0: "cheaper"}.get(value, "-" if math.isnan(value) else f"{value:.2f}")


EXCEPTION = 1 / 12  # of the folds; the thesis names one of twelve itself, A9,10
HYPOTHESIS_H_LAST, BEFORE = "N2", ("N0_late", "N0", "N1")
EARLIER = ("N0_late", "N0")  # what N1 is held against


def judge_folds(trained: Trained) -> list[Verdict]:
    """Return the verdicts on H1 to H4 of one corpus; none on a question of which neither side knows anything."""
    claims = (_time(trained), _joint(trained), _residual(trained), _side_heads(trained))
    return [judge(claim, trained) for claim in claims if _is_known(claim)]


def known_pairs(trained: Trained, pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs (one, other) of which we, or the thesis's folds, know both."""
    return {
        one: other
        for one, other in pairs.items()
        if all(trained.runs.get(name) for name in (one, other)) or trained.printed_gain(one, other)
    }


def and_(names: Iterable[str]) -> str:
    """Return names as A, B and C."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _is_known(claim: FoldClaim) -> bool:
    return any(one.n_folds for one in claim.ours) or any(one is not None for one in claim.printed)


def _time(trained: Trained) -> FoldClaim:
    pairs = known_pairs(trained, TIMED)
    return FoldClaim(
        key="H1",
        title="time augmentation, fold by fold",
        claim=f"time augmentation makes {and_(pairs or TIMED)} worse in no fold.",
        ours=tuple(trained.gain(*pair) for pair in pairs.items()),
        printed=tuple(trained.printed_gain(*pair) for pair in pairs.items()),
    )


def _joint(trained: Trained) -> FoldClaim:
    pairs = [("N0", SINGLE), (TIMED["N0"], tuple(TIMED[name] for name in SINGLE))]
    sides = [(trained.gain_over_best(*pair), trained.printed_gain_over_best(*pair)) for pair in pairs]
    known = [(ours, printed) for ours, printed in sides if ours.n_folds or printed]
    return FoldClaim(
        key="H2",
        title="the joint network and the better of its modalities",
        claim="the joint network is at least as good as the better of its two modalities alone, in all folds but one "
        "of twelve.",
        ours=tuple(ours for ours, _ in known),
        printed=tuple(printed for _, printed in known),
        failing=EXCEPTION,
    )


def _residual(trained: Trained) -> FoldClaim:
    return FoldClaim(
        key="H3",
        title="MRPN and the other joint networks, fold by fold",
        claim=f"{HYPOTHESIS_H_LAST} (MRPN) is at least as good as {and_(BEFORE)}, in every fold.",
        ours=tuple(trained.gain(HYPOTHESIS_H_LAST, other) for other in BEFORE),
        printed=tuple(trained.printed_gain(HYPOTHESIS_H_LAST, other) for other in BEFORE),
    )


def _side_heads(trained: Trained) -> FoldClaim:
    return FoldClaim(
        key="H4",
        title="N1 and both kinds of N0, on average",
        claim=f"N1 is better than {and_(EARLIER)} on average.",
        ours=tuple(trained.gain("N1", other) for other in EARLIER),
        printed=tuple(trained.printed_gain("N1", other) for other in EARLIER),
        failing=1.0,
    )


DOUBLE = 2.0  # times the training without: from here on a cost is not marginal; the thesis gives no number
SLICES = ((NO_OVERLAP, TIMED["N0"]), ("N0", NO_OVERLAP))  # slices alone, then overlapping segments too
HYPOTHESIS_C3_RULE = (
    "every network with time augmentation is held against the same one without. Helps: the difference of the means "
    "over folds has its whole interval above zero. Cost: multiply-adds of training until the chosen epoch (per clip, "
    f"times clips of an epoch, times epochs, over all folds); marginal: less than {DOUBLE:g} times that without. "
    "Supported if every network is helped at marginal cost; not supported if an interval lies below zero, or no cost "
    "is marginal; undecided otherwise."
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
    pairs = known_pairs(trained, TIMED)
    if not pairs:
        return None
    gains = tuple(trained.gain(*pair) for pair in pairs.items())
    slices = tuple(trained.gain(*pair) for pair in SLICES)
    printed = tuple(trained.printed_gain(*pair) for pair in pairs.items())
    prices = [price for one, other in pairs.items() if (price := price_of(trained, one, other))]
    weakest = weakest_of(gains)
    return Verdict(
        key=f"C3, {trained.corpus}",
        title="time augmentation",
        claim=f"time augmentation makes {and_(pairs)} better at marginal cost.",
        rule=HYPOTHESIS_C3_RULE,
        verdict=decide_hypothesis_c3(gains, [price.ratio for price in prices]),
        measure=measure_of(weakest),
        effect=weakest.difference,
        interval=(weakest.low, weakest.high),
        n=f"{rests_on(weakest, trained)}{_at_cost(prices)}",
        printed=UNDECIDED if any(printed) else "",
        synthetic=trained.synthetic,
        detail=(
            *table_of("### With and without time augmentation", gains, trained),
            *_cost_hypothesis_c3(prices),
            *table_of("### Slices alone, and overlapping segments", slices, trained),
            *printed_table(printed, _printed_hypothesis_c3(printed)),
            _summed(trained),
        ),
        contrasts=(*contrasts_of(gains, printed), *contrasts_of(slices, [None] * len(slices), decides=False)),
    )


def decide_hypothesis_c3(gains: tuple[Gain, ...], ratios: list[float]) -> Answer:
    """Return the answer by RULE; a network without numbers keeps the claim from being supported."""
    if any(one.high < 0 for one in gains) or (ratios and all(ratio >= DOUBLE for ratio in ratios)):
        return NOT_SUPPORTED
    helped = len(ratios) == len(gains) > 0 and all(one.low > 0 for one in gains)
    return SUPPORTED if helped and all(ratio < DOUBLE for ratio in ratios) else UNDECIDED


def price_of(trained: Trained, one: str, other: str) -> Priced | None:
    """Return the costs of two networks over the folds and seeds that both were trained on; None without any."""
    sides = [{(run.fold, run.seed): run for run in trained.runs.get(name, ())} for name in (one, other)]
    common = sorted(sides[0].keys() & sides[1].keys())
    if not common:
        return None
    return Priced(one, other, *(cost_of([side[key] for key in common], trained.selection) for side in sides))


def _at_cost(prices: list[Priced]) -> str:
    if not prices:
        return ""
    return ". Cost relative to that without: " + ", ".join(f"{one.one} {one.ratio:.2f}" for one in prices)


def _cost_hypothesis_c3(prices: list[Priced]) -> list[str]:
    rows: list[dict[str, Any]] = [
        {
            "network": name,
            "multiply-adds per clip": f"{cost.per_clip:.4g}",
            "clips per epoch": f"{cost.clips:.0f}",
            "epochs": f"{cost.epochs:.1f}",
            "multiply-adds of all trainings": f"{cost.total:.4g}",
            "ratio": ratio,
        }
        for one in prices
        for name, cost, ratio in ((one.one, one.with_it, f"{one.ratio:.2f}"), (one.other, one.without, "1"))
    ]
    if not rows:
        return []
    text = (
        "Passes forward of training, counted from shapes; passes backward cost about twice as much in both. Slicing "
        "itself costs nothing; overlapping segments are more segments per clip "
        f"({SEGMENTS['VA+AO']} instead of {SEGMENTS['NT']}, our choice: the thesis prints no numbers), and another "
        "epoch may be the best. Epochs are means over few trainings and vary from seed to seed."
    )
    return ["### Cost", text, grid(rows)]


def _printed_hypothesis_c3(gains: tuple[Gain | None, ...]) -> str:
    known = [one for one in gains if one is not None]
    if not known or len(known) < len(gains):
        return ""
    said = "helps" if all(one.low > 0 for one in known) else "is not shown to help"
    return (
        f"as printed, time augmentation {said} every network, but the thesis prints no cost, so that the claim is "
        "undecided"
    )


def _summed(trained: Trained) -> str:
    """Say what table 5.4 prints of the options of N0."""
    values = [trained.summed[name] for name in SUMMED]
    names = [f"{name} {value:.2f}" for name, value in zip(SUMMED, values, strict=True)]
    steps = [percent(after - before, signed=True) for before, after in pairwise(values)]
    return (
        f"Table 5.4 prints single numbers on {trained.corpus}: {', '.join(names)}; slices are worth {steps[0]} points "
        f"by them and overlapping segments {steps[1]} more, without an interval."
    )


LAST = JOINT[-1]
HYPOTHESIS_C4_RULE = (
    f"an inferior case is a fold in which the better of {' and '.join(SINGLE)} has a higher accuracy than the joint "
    f"network, on the clips that all three were tested on. Supported if {LAST} has none, a joint network without "
    "residual perception has some, and the difference of the means over folds between "
    f"{LAST} and the better modality has its whole interval above zero; not supported if that interval lies below "
    f"zero, or if {LAST} has cases, and as many as each of the others or more; undecided otherwise, and where no "
    "network has any: then there is nothing to remove. The thesis's folds are judged by the same rule, with intervals "
    "over folds."
)


def judge_inferior(trained: Trained) -> Verdict | None:
    """Answer C4 for one corpus; None where neither we nor the thesis's folds have the networks."""
    ours = [trained.gain_over_best(joint, SINGLE) for joint in JOINT]
    printed = [trained.printed_gain_over_best(joint, SINGLE) for joint in JOINT]
    if not any(one.n_folds for one in ours) and not any(printed):
        return None
    last = ours[-1]
    theirs = [one or Gain(joint, "") for joint, one in zip(JOINT, printed, strict=True)]
    return Verdict(
        key=f"C4, {trained.corpus}",
        title="MRPN and inferior cases of joint networks",
        claim=f"{LAST} (MRPN) removes the folds in which one modality is better than the joint network.",
        rule=HYPOTHESIS_C4_RULE,
        verdict=decide_hypothesis_c4(ours),
        measure=f"{LAST} less {last.other}" if last.n_folds else "Nothing to compare",
        effect=last.difference,
        interval=(last.low, last.high),
        n=f"{rests_on(last, trained)}{_cases(ours)}",
        printed=decide_hypothesis_c4(theirs) if any(printed) else "",
        synthetic=trained.synthetic,
        detail=(*_ours(ours, trained), *_printed_hypothesis_c4(theirs, known=any(printed))),
        contrasts=contrasts_of(ours, printed),
    )


def decide_hypothesis_c4(gains: Sequence[Gain]) -> Answer:
    """Return the answer by RULE from gains over the better modality, in the order of JOINT."""
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


def _cases(gains: Sequence[Gain]) -> str:
    counts = [f"{one.one} {share_of(len(one.below), one.n_folds)}" for one in gains if one.n_folds]
    return f". Inferior folds: {', '.join(counts)}" if counts else ""


def _ours(gains: Sequence[Gain], trained: Trained) -> list[str]:
    missing = trained.absent([*JOINT, *SINGLE])
    blocks = ["### Ours"]
    if any(one.n_folds for one in gains):
        text = (
            "Accuracy of each joint network less that of the better modality, which is chosen in each fold by its test "
            "accuracy and so has luck on its side. p: exact test that a network is inferior as often as "
            f"{LAST}. Counts of few folds show little: one more or less is a matter of a few clips."
        )
        blocks += [text, grid(_rows_hypothesis_c4(gains))]
    return [*blocks, *([f"Not judged: {'; '.join(missing)}."] if missing else [])]


def _printed_hypothesis_c4(gains: Sequence[Gain], *, known: bool) -> list[str]:
    if not known:
        text = f"The thesis prints no folds of {' and '.join(SINGLE)} on this corpus, so it has no answer here."
        return ["### As printed", text]
    text = f"The thesis's own folds; intervals are over folds. As printed, the claim is {decide_hypothesis_c4(gains)}."
    if free := [one.one for one in gains[:-1] if one.n_folds and not one.below]:
        text += f" None either without residual perception: {', '.join(free)}."
    return ["### As printed", text, grid(_rows_hypothesis_c4(gains))]


def _rows_hypothesis_c4(gains: Sequence[Gain]) -> list[dict[str, str]]:
    return [
        {
            "joint network": one.one,
            "inferior folds": share_of(len(one.below), one.n_folds),
            "which": "; ".join(f"{name} ({percent(one.folds[name], signed=True)})" for name in one.below) or "-",
            "p": "-" if one is gains[-1] else p_value(p_of_cases(one, gains[-1])),
            "difference, mean": percent(one.difference, signed=True),
            "interval": limits(one.low, one.high, signed=True),
        }
        for one in gains
        if one.n_folds
    ]


HYPOTHESIS_I7_NETWORKS = {"AU8": "dnn_au", "FP68": "dnn_fp"}
TITLES = {"AU8": "the eight action units", "FP68": "68 points of the face"}
POSSIBLE = "gap possible above chance"
SAME, OTHER = "same scaling", "network standardised, machine raw"
HYPOTHESIS_I7_RULE = (
    "the network less each support vector machine on identical features (both standardised or both raw), means over "
    "the runs with the same training people, on the same test pictures. Supported if every interval ends below the "
    "gap that the thesis prints for that machine; not supported if one of them starts at that gap or above; undecided "
    "otherwise, and where the network is so weak that such a gap below it would end under chance. The largest gap is "
    "shown, so the search for one favours the thesis."
)


@dataclass(frozen=True)
class _Gap:
    """Network less machine, and whether the gap of the thesis would fit between this network and chance."""

    found: Contrast
    network: float  # accuracy on the test pictures, percent
    machine: float
    room: bool


def judge_same_features(evidence: Evidence, features: str) -> Verdict:
    """Compare the networks with the support vector machines on the features "AU8" or "FP68"."""
    names = [name for name, one in evidence.classifiers.items() if _belongs(evidence, name, features)]
    gaps = [_gap(evidence, *pair) for pair in _pairs(evidence, names)]
    gaps = [gap for gap in gaps if not math.isnan(gap.found.difference)]
    deciding = [gap for gap in gaps if gap.found.decides]
    largest = max(deciding, key=lambda gap: gap.found.difference, default=None)
    printed = _span([gap.found.thesis for gap in deciding])
    best = largest.found if largest else NOTHING
    return Verdict(
        key=f"Same features, {features}",
        title=f"network and support vector machine on {TITLES[features]}",
        claim=f"on identical {features}, the classifier alone does not make the thesis's gap{printed} between network "
        "and support vector machine.",
        rule=HYPOTHESIS_I7_RULE,
        verdict=_answer(deciding),
        measure=f"Largest gap found, {best.one} less {best.other}" if largest else "Nothing to compare",
        effect=best.difference,
        interval=(best.low, best.high),
        n=f"{best.n_pictures} pictures of {best.n_people} test people, {evidence.corpora}",
        printed="",
        synthetic=evidence.synthetic,
        detail=(
            *evidence.caution,
            *_accuracies(evidence, names),
            *_edges(evidence, names),
            *_table(gaps),
            *_explanation(evidence, deciding, largest),
        ),
        contrasts=tuple(gap.found for gap in gaps),
    )


def _span(values: list[float]) -> str:
    if not values:
        return ""
    low, high = percent(min(values)), percent(max(values))
    return f" of {low} points" if low == high else f" of {low} to {high} points"


def _belongs(evidence: Evidence, name: str, features: str) -> bool:
    one = evidence.classifiers[name]
    return (
        one.features == features
        and one.model in (*MACHINES, HYPOTHESIS_I7_NETWORKS[features])
        and bool(evidence.panel.of(name))
    )


def _pairs(evidence: Evidence, names: list[str]) -> list[tuple[str, str, str]]:
    """Return (network, machine, SAME) and then, for the standardised networks and the raw machines, OTHER."""
    config = evidence.classifiers
    machines = [name for name in names if config[name].model in MACHINES]
    every = [(one, other) for one in names if one not in machines for other in machines]
    scaled = {name: config[name].standardise for name in names}
    same = [(one, other, SAME) for one, other in every if scaled[one] == scaled[other]]
    return same + [(one, other, OTHER) for one, other in every if scaled[one] and not scaled[other]]


def _gap(evidence: Evidence, network: str, machine: str, scaling: str) -> _Gap:
    """Return network less machine over the runs that learnt on the same people."""
    panel = evidence.panel
    seeds = _shared(evidence, [network, machine])
    one, other = (_runs(evidence, name, seeds) for name in (network, machine))
    difference = paired_difference(panel, one, other, strict=False, config=evidence.evaluate)
    thesis = _printed_gap(evidence, network, machine)
    decides = scaling == SAME and not math.isnan(thesis)
    scores = [_test_accuracy(evidence, side) for side in (one, other)]
    found = contrast(network, machine, difference, pictures=scaling, thesis=thesis, decides=decides)
    return _Gap(found, *scores, room=scores[0] - 100 * panel.chance >= thesis)


def _test_accuracy(evidence: Evidence, runs: list[Judgement]) -> float:
    """Return the mean accuracy of some runs on the test pictures, percent."""
    return mean_and_sd(100 * accuracy_in(evidence.panel, run, "test") for run in runs)[0]


def _printed_gap(evidence: Evidence, *names: str) -> float:
    """Return the gap that the thesis prints between two models on these features, points; NaN where it does not.

    A raw row has no cell of its own: it is held against the cell of the same model and features.
    """
    values = []
    for name in names:
        mine = evidence.classifiers[name]
        like = [one.thesis for one in evidence.classifiers.values() if _alike(one, mine) and one.thesis]
        values.append(printed_once(evidence.thesis, like[0]).test if like else math.nan)
    return values[0] - values[1]


def _alike(one, other) -> bool:
    return (one.model, one.features) == (other.model, other.features)


def _shared(evidence: Evidence, names: list[str]) -> set[int]:
    """Return the seeds, which are also the splits, that all of `names` were trained with."""
    return set.intersection(*({one.seed for one in evidence.panel.of(name)} for name in names))


def _runs(evidence: Evidence, name: str, seeds: set[int], selection: str = "honest") -> list[Judgement]:
    return [one for one in evidence.panel.of(name, selection) if one.seed in seeds]


def _answer(gaps: list[_Gap]) -> Answer:
    """Hold the interval of every pair against the gap that the thesis prints for it; NaN decides nothing."""
    if any(gap.found.low >= gap.found.thesis for gap in gaps):
        return NOT_SUPPORTED
    below = [gap.room and gap.found.high < gap.found.thesis for gap in gaps]
    return SUPPORTED if below and all(below) else UNDECIDED


def _accuracies(evidence: Evidence, names: list[str]) -> list[str]:
    if not names:
        return ["No network and no support vector machine was trained on these features."]
    seeds = _shared(evidence, names)
    rows = []
    for name in names:
        config, runs = evidence.classifiers[name], _runs(evidence, name, seeds)
        cells = {
            role: mean_and_sd(100 * accuracy_in(evidence.panel, one, role) for one in runs)
            for role in ("training", "test")
        }
        best = _runs(evidence, name, seeds, "optimistic")
        printed = printed_once(evidence.thesis, config.thesis)
        rows.append(
            {
                "classifier": name,
                "scaling": "standardised" if config.standardise else "raw",
                "train": percent(cells["training"][0]),
                "test": percent(cells["test"][0]),
                "sd": percent(cells["test"][1]),
                "optimistic": percent(_test_accuracy(evidence, best)),
                "thesis train": percent(printed.train),
                "thesis test": percent(printed.test),
            }
        )
    text = (
        f"Means over the {len(seeds)} run{'' if len(seeds) == 1 else 's'} that all of them share: the same people are "
        "learnt from, the same people are tested. 'sd' is the sample standard deviation of test; 'optimistic' chooses "
        "the epoch of a network on the test pictures. Augmented landmarks were not tried."
    )
    return ["### Accuracy on identical features", text, grid(rows)]


def _edges(evidence: Evidence, names: list[str]) -> list[str]:
    """Say where a machine differs between the scalings and either search ended at the edge of its grid."""
    config, seeds = evidence.classifiers, _shared(evidence, names) if names else set()
    test = {name: _test_accuracy(evidence, _runs(evidence, name, seeds)) for name in names}
    pairs = [
        f"{percent(100 * evidence.edges[one])}% of the divisions for {one} and {percent(100 * evidence.edges[other])}% "
        f"for {other}"
        for one, other in itertools.product(names, names)
        if config[one].standardise and not config[other].standardise and _alike(config[one], config[other])
        if test[one] != test[other] and max(evidence.edges[one], evidence.edges[other]) > 0
    ]
    if not pairs:
        return []
    return [
        "Where a machine scores differently when standardised than when raw, scaling may not be the only reason: the "
        f"search chose the smallest or the largest C of its grid in {'; in '.join(pairs)} (all divisions, "
        "table 4.2). A wider grid could move these rows."
    ]


def _table(gaps: list[_Gap]) -> list[str]:
    if not gaps:
        return ["There is no pair of a network and a support vector machine, so nothing can be said."]
    rows = [
        {
            "network less machine": _pair_of(gap),
            "scaling": gap.found.pictures,
            "difference": gap.found.text,
            "thesis": percent(gap.found.thesis, signed=True),
            POSSIBLE: "yes" if gap.room else "no",
            "test pictures": str(gap.found.n_pictures),
        }
        for gap in gaps
    ]
    text = (
        f"A pair with the same scaling, of which the thesis prints the gap, decides; '{POSSIBLE}' says whether that "
        "gap has room between the network and chance. A standardised network against a machine on raw numbers compares "
        "no classifiers; it shows how much of a gap a forgotten standardisation could make."
    )
    return ["### Gaps", text, grid(rows)]


def _explanation(evidence: Evidence, deciding: list[_Gap], largest: _Gap | None) -> list[str]:
    if largest is None:
        return []
    people = "On these computed people" if evidence.synthetic else "On these people"
    return [
        f"{people} the largest gap on identical features is {largest.found.text} points, against "
        f"{percent(largest.found.thesis, signed=True)} in the thesis for these models. The network scores "
        f"{percent(largest.network)} there and the machine {percent(largest.machine)}; the easier the pictures are for "
        f"both, the weaker is this test. {_conclusion(evidence, deciding)}"
    ]


def _conclusion(evidence: Evidence, deciding: list[_Gap]) -> str:
    """Say what all gaps that decide come to, and which of them stand in the way of an answer."""
    verdict = _answer(deciding)
    if verdict == SUPPORTED:
        return (
            "Every gap that decides ends below that of the thesis for its models: a gap of the thesis's size is not "
            "explained by the classifier."
        )
    if verdict == NOT_SUPPORTED:
        large = "; ".join(_pair_of(gap) for gap in deciding if gap.found.low >= gap.found.thesis)
        return (
            f"The classifier can explain a gap of the thesis's size, as the whole interval is there or above: {large}."
        )
    chance = percent(100 * evidence.panel.chance)
    weak = "; ".join(
        f"{_pair_of(gap)}: {percent(gap.network)} - {percent(gap.found.thesis)} < {chance}"
        for gap in deciding
        if not gap.room
    )
    wide = "; ".join(_pair_of(gap) for gap in deciding if not gap.found.high < gap.found.thesis)  # or no interval
    return " ".join(
        [
            "Whether the classifier explains a gap of the thesis's size is undecided.",
            *([f"There is no room for the thesis's gap between the network and chance ({weak})."] if weak else []),
            *([f"There is no interval that ends below the thesis's gap ({wide})."] if wide else []),
        ]
    )


def _pair_of(gap: _Gap) -> str:
    return f"{gap.found.one} less {gap.found.other}"


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every classifier and seed")
    parser.add_argument("--samples", type=Path, required=True, help="folder with samples.parquet and corpus.json")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument(
        "--transfer-runs", type=Path, nargs="+", help="run.json of the rows on FER2013 and their starts"
    )
    parser.add_argument("--transfer-clips", type=Path, help="clips.parquet of FER2013, with its corpus.json beside it")
    parser.add_argument("--variant-runs", type=Path, nargs="+", help="run.json of the variants of chapter 5")
    parser.add_argument(
        "--variant-clips", type=Path, nargs="+", help="clips.parquet of their corpora, with corpus.json beside each"
    )
    parser.add_argument("--out-md", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, judge every question, write both files."""
    from mien.report.page import write_table
    from mien.report.tables.classifiers import read_evidence

    params = load(args.config)
    evidence = read_evidence(args.runs, args.samples, args.thesis, params)
    verdicts = [judge_networks(evidence), *(judge_same_features(evidence, kind) for kind in ("AU8", "FP68"))]
    verdicts += _transfer(args, params) + _chapter5(args, params)
    text = render(verdicts, confidence=evidence.evaluate.confidence, scale=evidence.scale)
    write_table(contrast_rows(verdicts), text, csv=args.out_csv, md=args.out_md)
    log.info("hypotheses: %s", "; ".join(f"{one.key} {one.verdict}" for one in verdicts))


def _transfer(args: Namespace, params: dict[str, Any]) -> list:
    """Return the Verdict on transfer, where its runs are named."""
    from mien.report.tables.transfer import read_transfer

    if bool(args.transfer_runs) != bool(args.transfer_clips):
        raise ConfigError("--transfer-runs and --transfer-clips belong together; name both or neither")
    if not args.transfer_runs:
        return []
    info = args.transfer_clips.with_name("corpus.json")
    return [judge_transfer(read_transfer(args.transfer_runs, args.transfer_clips, info, args.thesis, params))]


def _chapter5(args: Namespace, params: dict[str, Any]) -> list:
    """Return the verdicts of chapter 5, question by question, where its runs are named."""

    if bool(args.variant_runs) != bool(args.variant_clips):
        raise ConfigError("--variant-runs and --variant-clips belong together; name both or neither")
    if not args.variant_runs:
        return []
    corpora = read_chapter5(args.variant_runs, args.variant_clips, args.thesis, params)
    verdicts = [judge(corpus) for judge in (judge_time, judge_inferior) for corpus in corpora]
    verdicts += sorted((one for corpus in corpora for one in judge_folds(corpus)), key=lambda one: one.key[:2])
    return [one for one in verdicts if one is not None]
