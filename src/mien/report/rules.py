"""The rules that answer a claim: pure functions of differences (points), costs and counts.

Every rule is a pair of conditions, see `decide`; a number that does not exist (NaN) meets none. The rules in words are
in templates/claim_*.md.j2.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from mien.evaluation.statistics import Gain

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
Answer = Literal[SUPPORTED, NOT_SUPPORTED, UNDECIDED]

MARGIN = 5.0  # points by which a comparable accuracy may be lower
MARGINAL = 2.0  # times the training without: from here on a cost is not; the thesis gives no number


def decide(*, shown: bool, refuted: bool) -> Answer:
    """Return the answer of two conditions, of which the second outweighs the first."""
    return NOT_SUPPORTED if refuted else SUPPORTED if shown else UNDECIDED


def every(conditions: Iterable[bool]) -> bool:
    """Say whether all conditions hold, and there is one."""
    conditions = list(conditions)
    return bool(conditions) and all(conditions)


def answer(lows: Iterable[float], highs: Iterable[float]) -> Answer:
    """Answer by intervals: every one is above zero, or every one below."""
    return decide(shown=every(low > 0 for low in lows), refuted=every(high < 0 for high in highs))


def answer_of(gains: Iterable[Gain]) -> Answer:
    """Return the `answer` of the intervals of differences."""
    gains = list(gains)
    return answer((one.low for one in gains), (one.high for one in gains))


def decide_gaps(gaps: Iterable[tuple[Gain, float, bool]]) -> Answer:
    """Answer whether differences stay below printed ones: (ours, printed, there is room for the printed one)."""
    gaps = list(gaps)
    return decide(
        shown=every(room and one.high < printed for one, printed, room in gaps),
        refuted=any(one.low >= printed for one, printed, _ in gaps),
    )


def decide_transfer(accuracy: Gain, ratios: Sequence[float], *, learnt: bool) -> Answer:
    """Answer whether a start is comparable in accuracy, within MARGIN, and cheaper.

    ratios : of the costs, one per target.   learnt : both sides are shown to have learnt.
    """
    return decide(
        shown=learnt and accuracy.low > -MARGIN and every(ratio < 1 for ratio in ratios),
        refuted=accuracy.high < -MARGIN or (learnt and every(ratio > 1 for ratio in ratios)),
    )


def decide_time(gains: Sequence[Gain], ratios: Sequence[float]) -> Answer:
    """Answer whether every network gets better at a marginal cost; `ratios` of the costs that are known."""
    return decide(
        shown=len(ratios) == len(gains) and every(one.low > 0 for one in gains) and max(ratios) < MARGINAL,
        refuted=any(one.high < 0 for one in gains) or every(ratio >= MARGINAL for ratio in ratios),
    )


def decide_folds(gains: Sequence[Gain], failing: float) -> Answer:
    """Answer whether differences are above zero on average, and in all folds but a share `failing` of them."""
    return decide(
        shown=every(one.low > 0 and len(one.below) <= n_allowed(one, failing) for one in gains),
        refuted=any(one.high < 0 or len(one.clearly_below) > n_allowed(one, failing) for one in gains),
    )


def decide_printed(gains: Sequence[Gain | None], failing: float) -> Answer | Literal[""]:
    """Answer as `decide_folds` by printed folds, taken as they stand; empty where the thesis lacks a pair."""
    if not gains or None in gains:
        return ""
    return decide(
        shown=all(one.low > 0 for one in gains),
        refuted=any(one.difference < 0 or len(one.below) > n_allowed(one, failing) for one in gains),
    )


def n_allowed(one: Gain, failing: float) -> int:
    """Return in how many folds a claim may fail."""
    return math.floor(failing * one.n_folds + 1e-9)


def decide_cases(gains: Sequence[Gain]) -> Answer:
    """Answer whether the last of several networks removes the folds below zero that the others have."""
    *others, last = gains
    others = [one for one in others if one.n_folds]
    if not last.n_folds or not others or len({one.n_folds for one in (last, *others)}) > 1:
        return UNDECIDED  # cases of other folds cannot be held against each other
    cases, most = len(last.below), max(len(one.below) for one in others)
    return decide(
        shown=cases == 0 < most and last.low > 0,
        refuted=last.high < 0 or (cases > 0 and cases >= most),
    )
