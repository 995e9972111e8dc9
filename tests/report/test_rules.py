"""Every rule gives the answer that the page says, on numbers at and around its thresholds."""

import math

import pytest

from mien.evaluation.statistics import Gain
from mien.report.rules import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    answer,
    decide_cases,
    decide_folds,
    decide_gaps,
    decide_printed,
    decide_time,
    decide_transfer,
)


def gain(low: float, high: float, *folds: float, clear: int = 0) -> Gain:
    """Return a difference with an interval and its folds, the first `clear` of them clearly below zero."""
    known = {f"A{k}": value for k, value in enumerate(folds)}
    return Gain("a", "b", sum(folds), low, high, folds=known, clearly_below=tuple(known)[:clear])


def test_an_answer_needs_every_interval():
    assert answer([1, 2], [3, 4]) == SUPPORTED
    assert answer([-2, -3], [-1, -1]) == NOT_SUPPORTED
    assert answer([1, -2], [3, 4]) == answer([1, math.nan], [3, math.nan]) == answer([], []) == UNDECIDED


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([(gain(1, 19), 20, True), (gain(-5, 9), 10, True)], SUPPORTED),
        ([(gain(1, 19), 20, True), (gain(1, 20), 20, True)], UNDECIDED),
        ([(gain(1, 19), 20, False)], UNDECIDED),  # the printed gap would end under chance
        ([(gain(1, 19), 20, True), (gain(20, 40), 20, True)], NOT_SUPPORTED),
        ([(gain(math.nan, math.nan), 20, True)], UNDECIDED),
        ([], UNDECIDED),
    ],
)
def test_gaps_are_held_against_the_printed_ones(gaps, expected):
    assert decide_gaps(gaps) == expected


@pytest.mark.parametrize(
    ("low", "high", "ratios", "learnt", "expected"),
    [
        (-4.9, 3, [0.9, 0.5], True, SUPPORTED),
        (-4.9, 3, [1.1, math.inf], True, NOT_SUPPORTED),
        (-4.9, 3, [1.0, 0.9], True, UNDECIDED),  # the same epoch at one target
        (-4.9, 3, [1.4, 0.6], True, UNDECIDED),  # it hangs on the target
        (-4.9, 3, [0.6, 0.0], True, SUPPORTED),  # the other never gets there
        (-5.1, 3, [0.9], True, UNDECIDED),  # neither comparable nor clearly lower
        (-9, -5.1, [0.1], True, NOT_SUPPORTED),
        (-9, -5.1, [0.1], False, NOT_SUPPORTED),
        (10, 20, [1.1], False, UNDECIDED),  # a cost that says nothing
        (math.nan, math.nan, [math.nan], True, UNDECIDED),
        (math.nan, math.nan, [], True, UNDECIDED),
    ],
)
def test_transfer_needs_comparable_accuracy_and_lower_cost(low, high, ratios, learnt, expected):
    assert decide_transfer(gain(low, high), ratios, learnt=learnt) == expected


@pytest.mark.parametrize(
    ("gains", "failing", "expected"),
    [
        ([gain(1, 3, 1, 3)], 0.0, SUPPORTED),
        ([gain(1, 3, 0, 3)], 0.0, SUPPORTED),  # a tie is no failure
        ([gain(1, 3, -1, 3)], 0.0, UNDECIDED),  # one fold fails, by chance
        ([gain(1, 3, -9, 3, clear=1)], 0.0, NOT_SUPPORTED),
        ([gain(1, 3, *[-1] * 1, *[3] * 11)], 1 / 12, SUPPORTED),
        ([gain(1, 3, *[-1] * 2, *[3] * 10)], 1 / 12, UNDECIDED),
        ([gain(1, 3, *[-1] * 1, *[3] * 10)], 1 / 12, UNDECIDED),  # eleven folds allow none
        ([gain(1, 3, 1, 3), gain(-3, -1, -1)], 0.0, NOT_SUPPORTED),
        ([gain(1, 3, 1, 3), Gain("c", "d")], 0.0, UNDECIDED),
        ([gain(1, 3, -1, 9, clear=1)], 1.0, SUPPORTED),  # an average only
        ([gain(-1, 3, 1, 3)], 1.0, UNDECIDED),
        ([], 0.0, UNDECIDED),
    ],
)
def test_our_folds_may_fail_by_chance(gains, failing, expected):
    assert decide_folds(gains, failing) == expected


@pytest.mark.parametrize(
    ("gains", "failing", "expected"),
    [
        ([gain(1, 3, 1, 3)], 0.0, SUPPORTED),
        ([gain(1, 3, -1, 5)], 0.0, NOT_SUPPORTED),
        ([gain(-1, 3, 1, 3)], 0.0, UNDECIDED),
        ([gain(-3, 1, -1, 0.5)], 1.0, NOT_SUPPORTED),
        ([gain(1, 3, 1, 3), None], 0.0, ""),
        ([], 0.0, ""),
    ],
)
def test_printed_folds_are_taken_as_they_stand(gains, failing, expected):
    assert decide_printed(gains, failing) == expected


@pytest.mark.parametrize(
    ("lows", "ratios", "expected"),
    [
        ([1, 1], [1.5, 1.0], SUPPORTED),
        ([1, -1], [1.5, 1.0], UNDECIDED),
        ([1, 1], [2.0, 1.0], UNDECIDED),
        ([1, 1], [2.0, 3.0], NOT_SUPPORTED),
        ([1, 1], [1.0], UNDECIDED),  # one was not trained
        ([1, -9], [1.0, 1.0], NOT_SUPPORTED),
        ([], [], UNDECIDED),
    ],
)
def test_time_augmentation_needs_help_everywhere_at_a_marginal_cost(lows, ratios, expected):
    assert decide_time([gain(low, low + 5, low) for low in lows], ratios) == expected


CASES = (-1, -1, 3)  # two inferior folds of three


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([gain(-1, 1, *CASES), gain(1, 2, 1, 1, 1)], SUPPORTED),
        ([gain(-1, 1, *CASES), gain(-1, 2, 1, 1, 1)], UNDECIDED),  # none, but not clearly better
        ([gain(-1, 1, *CASES), gain(1, 2, -1, 1, 1)], UNDECIDED),  # fewer, not none
        ([gain(-1, 1, *CASES), gain(1, 2, *CASES)], NOT_SUPPORTED),  # as many
        ([gain(1, 1, 1, 1, 1), gain(1, 2, 1, 1, 1)], UNDECIDED),  # nothing to remove
        ([gain(-1, 1, *CASES), gain(-2, -1, 1, 1, 1)], NOT_SUPPORTED),
        ([gain(-1, 1, -1, -1), gain(1, 2, 1, 1, 1)], UNDECIDED),  # other folds
        ([Gain("a", "b"), gain(1, 2, 1, 1, 1)], UNDECIDED),
    ],
)
def test_cases_are_removed_where_there_were_some(gains, expected):
    assert decide_cases(gains) == expected
