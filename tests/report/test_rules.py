"""Every rule gives the answer that the page says, on numbers at and around its thresholds."""

import math

import pytest

from mien.evaluation.statistics import Gain, over
from mien.report.rules import (
    NOT_SUPPORTED,
    ONE_TRAINING,
    SUPPORTED,
    TOO_FEW,
    UNDECIDED,
    answer,
    answer_of,
    decide_cases,
    decide_folds,
    decide_gaps,
    decide_printed,
    decide_printed_cases,
    decide_time,
    decide_transfer,
    interval_of_ratio,
    p_of_cases,
)

LEVEL = {"confidence": 0.95}


def gain(low: float, high: float, *folds: float, clear: int = 0, n: int = 3) -> Gain:
    """Return a difference with an interval and its folds, the first `clear` of them clearly below zero."""
    known = {f"A{k}": value for k, value in enumerate(folds)}
    p_folds = {name: 1e-6 if k < clear else 0.5 for k, name in enumerate(known)}
    cases = {name: float(value < 0) for name, value in known.items()}
    error = (high - low) / 2 / 1.959964
    middle = (low + high) / 2
    return Gain("a", "b", middle, low, high, folds=known, error=error, p_folds=p_folds, cases=cases, n_trainings=n)


def test_an_interval_and_its_p_say_the_same():
    one = gain(0, 4)
    assert over(one, confidence=0.95) == pytest.approx((0, 4), abs=1e-6)
    assert one.p_above() == pytest.approx(0.025)
    assert one.p_below(4) == pytest.approx(0.025)
    assert one.p_interval == pytest.approx(0.05)
    assert math.isnan(Gain("a", "b").p_interval)


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
        ([(gain(1, 19), 20, True), (gain(23, 40), 20, True)], NOT_SUPPORTED),
        ([(gain(1, 19), 20, True), (gain(20.5, 40), 20, True)], UNDECIDED),  # one of two, so that chance has two
        ([(gain(math.nan, math.nan), 20, True)], UNDECIDED),
        ([], UNDECIDED),
    ],
)
def test_gaps_are_held_against_the_printed_ones(gaps, expected):
    assert decide_gaps(gaps, **LEVEL) == expected


@pytest.mark.parametrize(
    ("low", "high", "ratios", "learnt", "expected"),
    [
        (-4.9, 3, [(0.5, 0.9), (0.1, 0.5)], True, SUPPORTED),
        (-4.9, 3, [(1.1, 3), (1.2, 2)], True, NOT_SUPPORTED),
        (-4.9, 3, [(0.5, 1.0), (0.1, 0.9)], True, UNDECIDED),  # as dear by chance at one target
        (-4.9, 3, [(1.1, 1.4), (0.2, 0.6)], True, UNDECIDED),  # it hangs on the target
        (-4.9, 3, [(0.1, 0.6), (math.nan, math.nan)], True, UNDECIDED),  # one of them never gets there
        (-5.1, 3, [(0.1, 0.9)], True, UNDECIDED),  # neither comparable nor clearly lower
        (-9, -5.1, [(0.1, 0.1)], True, NOT_SUPPORTED),
        (-9, -5.1, [(0.1, 0.1)], False, NOT_SUPPORTED),
        (10, 20, [(1.1, 1.2)], False, UNDECIDED),  # a cost that says nothing
        (math.nan, math.nan, [(math.nan, math.nan)], True, UNDECIDED),
        (math.nan, math.nan, [], True, UNDECIDED),
    ],
)
def test_transfer_needs_comparable_accuracy_and_lower_cost(low, high, ratios, learnt, expected):
    assert decide_transfer(gain(low, high), ratios, learnt=learnt) == expected
    assert decide_transfer(gain(low, high, n=2), ratios, learnt=learnt) == TOO_FEW


def test_too_few_trainings_decide_nothing():
    better, once = gain(1, 3, 1, 3), gain(1, 3, 1, 3, n=1)
    assert decide_folds([better], 0.0, **LEVEL) == SUPPORTED
    assert decide_folds([better, once], 0.0, **LEVEL) == ONE_TRAINING
    assert decide_time([once], [(0.5, 1.0)], **LEVEL) == ONE_TRAINING
    assert decide_cases([gain(-1, 1, *[-1] * 6, n=1), gain(1, 2, *[1] * 6, n=1)], **LEVEL) == ONE_TRAINING
    assert decide_gaps([(once, 20, True)], **LEVEL) == answer_of([once]) == ONE_TRAINING
    assert decide_transfer(once, [(0.1, 0.5)], learnt=True) == ONE_TRAINING
    assert decide_folds([Gain("a", "b")], 0.0, **LEVEL) == UNDECIDED  # nothing was trained at all


def test_a_ratio_of_costs_has_an_interval_where_there_are_several():
    low, high = interval_of_ratio([1.0, 2.0, 4.0], **LEVEL)
    assert low * high == pytest.approx(4.0)  # about 2
    assert low < 1 < 4 < high
    for few in ([2.0], [], [1.0, math.inf, 2.0], [0.0, 1.0]):
        assert all(map(math.isnan, interval_of_ratio(few, **LEVEL)))


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
        ([gain(1, 3, 1, 3), gain(-3, -0.1, -1)], 0.0, UNDECIDED),  # one of two, so that chance has two
        ([gain(1, 3, 1, 3), Gain("c", "d")], 0.0, UNDECIDED),
        ([gain(1, 3, -1, 9, clear=1)], 1.0, SUPPORTED),  # an average only
        ([gain(-1, 3, 1, 3)], 1.0, UNDECIDED),
        ([], 0.0, UNDECIDED),
    ],
)
def test_our_folds_may_fail_by_chance(gains, failing, expected):
    assert decide_folds(gains, failing, **LEVEL) == expected


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
        ([1, 1], [(1, 1.5), (0.5, 1)], SUPPORTED),
        ([1, -1], [(1, 1.5), (0.5, 1)], UNDECIDED),
        ([1, 1], [(1, 2.0), (0.5, 1)], UNDECIDED),
        ([1, 1], [(2, 3), (3, 4)], NOT_SUPPORTED),
        ([1, 1], [(0.5, 1)], UNDECIDED),  # one was not trained
        ([1, -9], [(1, 1), (1, 1)], NOT_SUPPORTED),
        ([], [], UNDECIDED),
    ],
)
def test_time_augmentation_needs_help_everywhere_at_a_marginal_cost(lows, ratios, expected):
    assert decide_time([gain(low, low + 5, low) for low in lows], ratios, **LEVEL) == expected


CASES, NONE = (-1, -1, -1, -1, -1, -1, 3), (1,) * 7  # six inferior folds of seven


@pytest.mark.parametrize(
    ("gains", "expected", "printed"),
    [
        ([gain(-1, 1, *CASES), gain(1, 2, *NONE)], SUPPORTED, SUPPORTED),
        ([gain(-1, 1, *CASES), gain(-1, 2, *NONE)], SUPPORTED, SUPPORTED),  # its own mean has no say
        ([gain(-1, 1, -1, *NONE[1:]), gain(1, 2, *NONE)], UNDECIDED, SUPPORTED),  # one fold is little
        ([gain(-1, 1, *CASES), gain(1, 2, -1, *NONE[1:])], UNDECIDED, UNDECIDED),  # fewer, not none
        ([gain(-1, 1, *CASES), gain(1, 2, *CASES)], UNDECIDED, NOT_SUPPORTED),  # as many
        ([gain(-1, 1, *CASES), gain(1, 2, *CASES, clear=1)], NOT_SUPPORTED, NOT_SUPPORTED),
        ([gain(1, 1, *NONE), gain(1, 2, *NONE)], UNDECIDED, UNDECIDED),  # nothing to remove
        ([gain(-1, 1, -1, -1), gain(1, 2, *NONE)], UNDECIDED, UNDECIDED),  # other folds
        ([Gain("a", "b"), gain(1, 2, *NONE)], UNDECIDED, UNDECIDED),
        ([gain(1, 1, *NONE), gain(-1, 1, *CASES), gain(1, 2, *NONE)], SUPPORTED, SUPPORTED),  # more on average
    ],
)
def test_cases_are_removed_where_there_were_some(gains, expected, printed):
    assert decide_cases(gains, **LEVEL) == expected
    assert decide_printed_cases(gains) == printed


def test_counts_of_cases_are_tested_on_the_folds_in_which_they_differ():
    many, few = gain(-1, 1, *[-1] * 6, 1, 1), gain(-1, 1, *[1] * 7, -1)
    assert p_of_cases([many], few) == pytest.approx(2 * (1 + 7) / 2**7)  # six against one: McNemar's
    assert p_of_cases([many], many) == 1.0
    assert p_of_cases([few, many], few) == p_of_cases([many], few)
    assert math.isnan(p_of_cases([many], Gain("a", "b")))
