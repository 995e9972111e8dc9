"""The rules that answer a claim: pure functions of differences (points), costs and counts.

Every rule is a pair of conditions, see `decide`; a number that does not exist (NaN) meets none. Either is met by chance
in at most half of 1 - confidence of all tables, however many pairs and folds it looks at, and only where every network
was trained several times (`enough`). tests/evaluation/test_training_noise.py simulates them; the rules in words are in
templates/claim_*.md.j2.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from mien.evaluation.statistics import Gain, interval_of_mean, sign_flip
from mien.io.randomness import rng_for

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
ONE_TRAINING = "undecided (one training each)"
TOO_FEW = "undecided (too few trainings)"
Answer = Literal[SUPPORTED, NOT_SUPPORTED, UNDECIDED, ONE_TRAINING, TOO_FEW]

TRAININGS = 2  # of every network and fold that an answer needs at least
TRANSFER_TRAININGS = 3  # of both rows of C2: table 4.3 has one fold, so that trainings are its only units
MARGIN = 5.0  # points by which a comparable accuracy may be lower
MARGINAL = 2.0  # times the training without: from here on a cost is not; the thesis gives no number

Ends = tuple[float, float]  # of an interval


def decide(*, shown: bool, refuted: bool) -> Answer:
    """Return the answer of two conditions, of which the second outweighs the first."""
    return NOT_SUPPORTED if refuted else SUPPORTED if shown else UNDECIDED


def enough(gains: Iterable[Gain], found: Answer, needed: int = TRAININGS) -> Answer:
    """Return an answer, or that too few trainings decide nothing; where nothing is known it is undecided anyway."""
    least = min((one.n_trainings for one in gains if one.n_trainings), default=needed)
    return found if least >= needed else ONE_TRAINING if least == 1 else TOO_FEW


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
    return enough(gains, answer((one.low for one in gains), (one.high for one in gains)))


def decide_steady(flips: Gain, right: Gain, *, confidence: float) -> Answer:
    """Answer whether a network changes its label less often than another and judges more clips right.

    It is refuted by one of the two, each at half of the level.
    """
    level = (1 - confidence) / 4
    found = decide(shown=flips.high < 0 < right.low, refuted=flips.p_above() < level or right.p_below() < level)
    return enough([flips, right], found)


def decide_gaps(gaps: Iterable[tuple[Gain, float, bool]], *, confidence: float) -> Answer:
    """Answer whether differences stay below printed ones: (ours, printed, there is room for the printed one)."""
    gaps = list(gaps)
    level = (1 - confidence) / 2 / max(1, len(gaps))
    found = decide(
        shown=every(room and one.high < printed for one, printed, room in gaps),
        refuted=any(one.p_above(printed) < level for one, printed, _ in gaps),
    )
    return enough((one for one, _, _ in gaps), found)


def decide_transfer(accuracy: Gain, ratios: Sequence[Ends], *, learnt: bool) -> Answer:
    """Answer whether a start is comparable in accuracy, within MARGIN, and cheaper.

    ratios : intervals of the ratio of the costs, one per target.   learnt : both sides are shown to have learnt.
    """
    found = decide(
        shown=learnt and accuracy.low > -MARGIN and every(high < 1 for _, high in ratios),
        refuted=accuracy.high < -MARGIN or (learnt and every(low > 1 for low, _ in ratios)),
    )
    return enough([accuracy], found, TRANSFER_TRAININGS)


def decide_time(gains: Sequence[Gain], ratios: Sequence[Ends], *, confidence: float) -> Answer:
    """Answer whether every network gets better at a marginal cost.

    ratios : intervals of the costs that are known.   It is refuted by an average below zero, or by every cost.
    """
    level = (1 - confidence) / 4 / max(1, len(gains))
    found = decide(
        shown=len(ratios) == len(gains)
        and every(one.low > 0 for one in gains)
        and every(high < MARGINAL for _, high in ratios),
        refuted=any(one.p_below() < level for one in gains) or every(low >= MARGINAL for low, _ in ratios),
    )
    return enough(gains, found)


def interval_of_ratio(ratios: Sequence[float], *, confidence: float, flat: float = math.nan) -> Ends:
    """Return the interval of a ratio of costs over folds, or over trainings: Student's t of its logarithm.

    flat : standard error of the logarithm where all ratios are equal.
    """
    if min(ratios, default=0.0) <= 0 or not np.isfinite(ratios).all():
        return math.nan, math.nan  # a target that one of them never reached
    low, high = interval_of_mean(np.log(ratios), np.ones(len(ratios)), confidence=confidence, flat=flat)
    return math.exp(low), math.exp(high)


def interval_of_costs(epochs: np.ndarray, each: np.ndarray, last: np.ndarray, *, confidence: float) -> Ends:
    """Return the interval of the ratio of what two networks cost until a target, over pairs of trainings.

    epochs, each, last : (S, 2) epochs until the target, NaN where a training never reaches it; cost of one; epochs in
    all. A training that never does costs more than all its epochs: it counts with these below and has no bound above.
    Where all pairs are equal, the error is that of rounding up to whole epochs, sd 1 / sqrt(12) of one.
    """
    never = np.isnan(epochs)
    least, most = np.where(never, last, epochs) * each, np.where(never, math.inf, epochs) * each
    rounding = math.sqrt(float(np.mean(np.where(never, last, epochs) ** -2.0)) / 6 / len(epochs))
    low, _ = interval_of_ratio(least[:, 0] / most[:, 1], confidence=confidence, flat=rounding)
    _, high = interval_of_ratio(most[:, 0] / least[:, 1], confidence=confidence, flat=rounding)
    return low, high


def decide_folds(gains: Sequence[Gain], failing: float, *, confidence: float) -> Answer:
    """Answer whether differences are above zero on average, and in all folds but a share `failing` of them.

    It is refuted by an average below zero, or by folds that are; each by half of the level where there are both.
    """
    level = (1 - confidence) / 2 / max(1, len(gains)) / (1 if failing >= 1 else 2)
    found = decide(
        shown=every(one.low > 0 and len(one.below) <= n_allowed(one, failing) for one in gains),
        refuted=any(one.p_below() < level or len(one.clearly_below(level)) > n_allowed(one, failing) for one in gains),
    )
    return enough(gains, found)


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


def decide_cases(gains: Sequence[Gain], *, confidence: float) -> Answer:
    """Answer whether the last of several networks removes the folds below zero that the others have.

    It has none, and fewer trainings below than the others have on average, by `p_of_cases`. It is refuted by a fold of
    the last that is clearly below. Its own mean has no say: every joint network can be better than one modality.
    """
    *others, last = gains
    others = [one for one in others if one.n_folds]
    if not last.n_folds or not others or len({one.n_folds for one in (last, *others)}) > 1:
        return UNDECIDED  # cases of other folds cannot be held against each other
    fewer = not last.below and np.mean([n_cases(one) for one in others]) > n_cases(last)
    found = decide(
        shown=fewer and p_of_cases(others, last) < 1 - confidence,
        refuted=bool(last.clearly_below((1 - confidence) / 2)),
    )
    return enough([last, *others], found)


def decide_printed_cases(gains: Sequence[Gain]) -> Answer:
    """Answer as `decide_cases` by printed folds, taken as they stand."""
    *others, last = gains
    others = [one for one in others if one.n_folds]
    if not last.n_folds or not others or len({one.n_folds for one in (last, *others)}) > 1:
        return UNDECIDED
    cases, most = len(last.below), max(len(one.below) for one in others)
    return decide(shown=cases == 0 < most, refuted=cases > 0 and cases >= most)


def n_cases(one: Gain) -> float:
    """Return in how many folds a network is inferior, each counted as the share of its trainings that are."""
    return float(sum(one.cases.values()))


def p_of_cases(others: Sequence[Gain], last: Gain) -> float:
    """Return the two-sided p that a network is inferior as often as others are on average: sign flips over folds.

    Of one training each, and one other, it is McNemar's (1947), exact. NaN without folds.
    """
    differences = [np.mean([one.cases[name] for one in others]) - last.cases[name] for name in last.cases]
    return sign_flip(np.array(differences), rng=rng_for(0, "report", "cases"))[0]
