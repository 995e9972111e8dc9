"""Claims that a network is at least as good as another: in every fold, in all but a few, or on average."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mien.evaluation.pairs import Gain
from mien.evaluation.statistics import holm
from mien.report.chapter5 import Trained
from mien.report.hypotheses import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, Contrast, Verdict
from mien.report.markdown import grid, limits, p_value, percent, share_of

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
