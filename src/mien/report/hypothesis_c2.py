"""C2: is a face-identity network a start of comparable accuracy at lower cost? (thesis L171, X12-X16)"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mien.evaluation.statistics import interval_of_cell
from mien.evaluation.transfer import PRIVATE, Trial, paired_pictures
from mien.report.hypotheses import (
    NOT_SUPPORTED,
    NOTHING,
    SUPPORTED,
    UNDECIDED,
    Answer,
    Contrast,
    Verdict,
    contrast,
)
from mien.report.hypothesis_c2_rates import judge_rates
from mien.report.markdown import grid, limits, percent
from mien.report.transfer import SHARE, THESIS_ROW, TransferEvidence
from mien.report.transfer_pages import amount, power

MARGIN = 5.0  # points by which a comparable accuracy may be lower
SHARES = (0.90, SHARE, 1.0)
LOWER, HIGHER = "lower", "higher"  # of the two final validation accuracies
TARGETS = tuple((share, of) for of in (LOWER, HIGHER) for share in SHARES)  # all have a say
SHOWN = (SHARE, LOWER)  # both rows reach it
PICTURES = 3589  # of either official test of FER2013
IMAGENET = "imagenet_transfer"  # row of table 4.3 beside the ImageNet start
FREEZE_GAIN = 5.0  # points, whole network less dense layers alone (thesis L1023)
MINI = (
    "Rates, dropout and sizes of scale mini were set by hand with validation accuracies of these very rows in view, "
    "and which start is ahead depends on them (params.yaml, extractor.vgg_dropout): here the answer shows that the "
    "machinery works, no more."
)
WITHOUT, WITH = "private test", "private test with twins"
RULE = (
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
        deciding = _pair(evidence, one, other, decides=True)
        costs = [cost_to(evidence, one, other, share, of=of) for share, of in TARGETS]
        learnt = all(evidence.learnt(row) for row in (one, other))
    best = deciding[0] if deciding else NOTHING
    more, contrasts = _contrasts(evidence, one)
    return Verdict(
        key="C2",
        title="transfer from face identity",
        claim="transfer from a face-identity network gives comparable accuracy at lower cost than a random start.",
        rule=RULE,
        verdict=decide(best, [cost.ratio for cost in costs], learnt=learnt),
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
            *_printed(evidence),
        ),
        contrasts=(*deciding, *contrasts),
    )


def decide(accuracy: Contrast, ratios: Sequence[float], *, learnt: bool) -> Answer:
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


def _pair(evidence: TransferEvidence, one: str, other: str, *, thesis: float = math.nan, **more) -> list[Contrast]:
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
            found += _pair(evidence, one, other, thesis=thesis)
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


def _printed(evidence: TransferEvidence) -> list[str]:
    level = evidence.evaluate.confidence
    rows, ends = [], []
    for name in (THESIS_ROW, IMAGENET):
        value = evidence.printed[name]
        low, high = interval_of_cell(value / 100 * PICTURES, PICTURES, confidence=level)
        ends.append((100 * low, 100 * high))
        rows.append({"row of table 4.3": name, "accuracy": f"{value:g}", "Wilson": limits(*ends[-1])})
    low, high = ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]
    gap = percent(evidence.printed[THESIS_ROW] - evidence.printed[IMAGENET], signed=True)
    text = (
        f"The thesis prints {gap} points over a network that started from ImageNet, of other authors and with another "
        f"architecture and protocol. With {PICTURES} pictures Wilson's {100 * level:g}% intervals are those below; the "
        f"difference lies within {limits(low, high, signed=True)}: "
        f"{'comparable, by the rule' if low > -MARGIN else 'not shown to be comparable, by the rule'}. It prints no "
        "random start of its own and no cost, so as printed the claim of lower cost rests on nothing: undecided."
    )
    return ["### As printed", text, grid(rows)]


def _ratio(value: float) -> str:
    return {math.inf: "dearer", 0.0: "cheaper"}.get(value, "-" if math.isnan(value) else f"{value:.2f}")
