"""C4: does MRPN remove the folds in which one modality beats the joint network? (thesis L173, X24-X27)"""

import math
from collections.abc import Sequence

from scipy import stats

from mien.evaluation.pairs import Gain
from mien.report.chapter5 import JOINT, SINGLE, Trained
from mien.report.fold_claims import contrasts_of, rests_on
from mien.report.hypotheses import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, Verdict
from mien.report.markdown import grid, limits, p_value, percent, share_of

LAST = JOINT[-1]
RULE = (
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
        rule=RULE,
        verdict=decide(ours),
        measure=f"{LAST} less {last.other}" if last.n_folds else "Nothing to compare",
        effect=last.difference,
        interval=(last.low, last.high),
        n=f"{rests_on(last, trained)}{_cases(ours)}",
        printed=decide(theirs) if any(printed) else "",
        synthetic=trained.synthetic,
        detail=(*_ours(ours, trained), *_printed(theirs, known=any(printed))),
        contrasts=contrasts_of(ours, printed),
    )


def decide(gains: Sequence[Gain]) -> Answer:
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
        blocks += [text, grid(_rows(gains))]
    return [*blocks, *([f"Not judged: {'; '.join(missing)}."] if missing else [])]


def _printed(gains: Sequence[Gain], *, known: bool) -> list[str]:
    if not known:
        text = f"The thesis prints no folds of {' and '.join(SINGLE)} on this corpus, so it has no answer here."
        return ["### As printed", text]
    text = f"The thesis's own folds; intervals are over folds. As printed, the claim is {decide(gains)}."
    if free := [one.one for one in gains[:-1] if one.n_folds and not one.below]:
        text += f" None either without residual perception: {', '.join(free)}."
    return ["### As printed", text, grid(_rows(gains))]


def _rows(gains: Sequence[Gain]) -> list[dict[str, str]]:
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
