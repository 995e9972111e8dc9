"""Trainings differ: the intervals of simulated tables hold the truth, and no rule answers where there is no effect.

A table has networks that are equal in truth. Every training is off by a number of its own, whose standard deviation in
a difference is 0, 3, 6 or 8 points (measured: 7.5), every person is off in general and with every network, and every
clip is a draw. The functions are those that the pages use, on the arrays of many tables at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

from mien.evaluation.statistics import Folds, Gain, accuracy_ends, error_of_clips, pooled, with_rivals
from mien.io.randomness import rng_for
from mien.report.rules import (
    NOT_SUPPORTED,
    ONE_TRAINING,
    SUPPORTED,
    answer_of,
    decide_cases,
    decide_folds,
    decide_gaps,
    decide_steady,
    decide_time,
    decide_transfer,
    interval_of_costs,
)

CONFIDENCE, N_CLIPS, N_TABLES = 0.95, 30, 1200
NOISE = (0.0, 3.0, 6.0, 8.0)  # points
SIZES = [(3, 4), (3, 12), (3, 24), (6, 6), (6, 12), (6, 24), (12, 12), (12, 24)]  # folds, people
FEW = [(1, 4), (1, 12), (2, 4), (2, 24)]
PERSON, OWN = 10.0, 3.5  # points that people are off, in general and with one network
MEAN = 65.0


@dataclass(frozen=True)
class Networks:
    """One network of N tables, percent: its trainings (N, K, S), and its people by fold (N, A), means over seeds."""

    trainings: np.ndarray
    people: list[np.ndarray]


def persons(rng: np.random.Generator, size: tuple[int, int], n_tables: int) -> list[np.ndarray]:
    """Return how much the people of every fold are off, (N, A) each."""
    return [rng.normal(0, PERSON, (n_tables, len(part))) for part in np.array_split(range(size[1]), size[0])]


def train(rng, people: list[np.ndarray], noise: float, *, seeds: int, mean: float = MEAN) -> Networks:
    """Return a network of all tables; `noise` of a difference of two."""
    found = []
    for person in people:
        level = rng.normal(mean, noise / math.sqrt(2), (len(person), seeds, 1))
        off = (person + rng.normal(0, OWN, person.shape))[:, None]
        found.append(100 * rng.binomial(N_CLIPS, np.clip((level + off) / 100, 0, 1)) / N_CLIPS)  # (N, S, A)
    return Networks(np.stack([one.mean(axis=2) for one in found], axis=1), [one.mean(axis=1) for one in found])


def folds_of(people: list[np.ndarray], *sides: np.ndarray) -> Folds:
    """Return the folds of `people`, accuracies or differences (N, A), of which `sides` (N, K, S) are the trainings."""
    counts, n_seeds = np.array([one.shape[1] for one in people]), sides[0].shape[2]
    spread = [one.var(axis=1, ddof=1) if one.shape[1] > 1 else np.zeros(len(one)) for one in people]
    seeds = [pooled(side.var(axis=2, ddof=1), np.full(len(people), n_seeds)) for side in sides if n_seeds > 1]
    means = np.stack([one.mean(axis=1) for one in people], axis=1).round(9)
    clips = np.broadcast_to(len(sides) * MEAN * (100 - MEAN) / (counts * N_CLIPS * n_seeds), means.shape)
    return Folds(means, pooled(np.stack(spread, axis=1), counts), [part for parts in seeds for part in parts], clips)


class Gains:
    """The gains of a network over one, or over the best of several in each fold, of all tables; built if asked for."""

    def __init__(self, one: Networks, *others: Networks) -> None:
        """Compare; see `mien.evaluation.statistics.gain`, which does the same with the clips of one table."""
        best = np.stack([other.trainings.mean(axis=2) for other in others]).argmax(axis=0)  # (N, K)

        def of_best(sides: list[np.ndarray], chosen: np.ndarray) -> np.ndarray:
            shape = chosen.reshape(*chosen.shape, *[1] * (sides[0].ndim - chosen.ndim))
            return np.take_along_axis(np.stack(sides), shape[None], axis=0)[0]

        bar = of_best([other.trainings for other in others], best)
        people = [
            mine - of_best([other.people[k] for other in others], best[:, k]) for k, mine in enumerate(one.people)
        ]
        self.folds = folds_of(people, one.trainings, bar)
        self.error, self.df = self.folds.error()
        self.mean, self.p_folds = self.folds.means.mean(axis=-1), self.folds.p_below()
        self.reach = special.stdtrit(self.df, 0.5 + CONFIDENCE / 2) * self.error
        self.cases = (one.trainings.round(9) < bar.mean(axis=2, keepdims=True).round(9)).mean(axis=2)
        self.n_trainings = one.trainings.shape[2]
        self.rivals = [Gains(one, other) for other in others] if len(others) > 1 else []

    def covered(self) -> float:
        """Return the share of the intervals that hold zero."""
        return float(np.mean(abs(self.mean) <= self.reach))

    def possible(self) -> np.ndarray:
        """Return (N,) whether the interval leaves out zero, or a fold alone is below: else no rule can decide."""
        return (abs(self.mean) > self.reach) | self.fold_below()

    def fold_below(self) -> np.ndarray:
        """Return (N,) whether a fold is below zero at the largest level of any rule."""
        return (self.p_folds < (1 - CONFIDENCE) / 2 / self.p_folds.shape[1]).any(axis=1)

    def __getitem__(self, k: int) -> Gain:
        """Return the gain of table k."""
        by_fold, p, cases = (part[k].tolist() for part in (self.folds.means, self.p_folds, self.cases))
        mean, reach = float(self.mean[k]), float(self.reach[k])
        found = Gain(
            *("one", "other", mean, mean - reach, mean + reach),
            error=float(self.error[k]),
            df=float(self.df[k]),
            folds=dict(enumerate(by_fold)),
            p_folds=dict(enumerate(p)),
            cases=dict(enumerate(cases)),
            n_trainings=self.n_trainings,
        )
        rivals = [one[k] for one in self.rivals]
        return with_rivals(found, rivals, confidence=CONFIDENCE) if rivals else found


@pytest.mark.parametrize("size", SIZES)
def test_intervals_over_folds_hold_the_truth_whatever_the_training_noise(size):
    for noise in NOISE:
        for seeds in (1, 2):
            rng = rng_for(0, "folds", size, noise, seeds)
            people = persons(rng, size, 2000)
            one, other = (train(rng, people, noise, seeds=seeds) for _ in range(2))
            assert 0.93 <= Gains(one, other).covered() <= 0.97, (noise, seeds)
            folds = folds_of([part[:600] for part in one.people], one.trainings[:600])
            error, df = (part.tolist() for part in folds.error())
            ends = [
                accuracy_ends(mean / 100, one / 100, free, size[1] * N_CLIPS, CONFIDENCE)
                for mean, one, free in zip(folds.means.mean(axis=-1).tolist(), error, df, strict=True)
            ]
            assert 0.93 <= np.mean([low <= MEAN / 100 <= high for low, high in ends]) <= 0.97, (noise, seeds)


@pytest.mark.parametrize("size", FEW)
@pytest.mark.parametrize("seeds", [2, 5])
def test_intervals_of_one_or_two_folds_hold_people_and_trainings(size, seeds):
    for noise in NOISE:
        rng = rng_for(1, "few", size, noise, seeds)
        people = persons(rng, size, 2000)
        one, other = (train(rng, people, noise, seeds=seeds) for _ in range(2))
        assert Gains(one, other).covered() >= 0.93, noise  # clips count twice, as noise of people and of trainings


def test_an_interval_over_people_alone_would_not_hold_the_truth():
    """Why trainings are the unit: the check above would have caught it."""
    rng = rng_for(2, "people")
    people = persons(rng, (3, 12), 2000)
    one, other = (train(rng, people, 8.0, seeds=1) for _ in range(2))
    off = np.concatenate([a - b for a, b in zip(one.people, other.people, strict=True)], axis=1)  # (N, 12)
    reach = special.stdtrit(11, 0.975) * off.std(axis=1, ddof=1) / math.sqrt(12)
    assert np.mean(abs(off.mean(axis=1)) <= reach) < 0.9


def test_the_interval_of_clips_is_never_a_point():
    assert error_of_clips(np.zeros(30)) > 0
    assert error_of_clips(np.ones(30)) > 0
    rng = rng_for(3, "clips")
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=(3000, 60))
    centre = values.sum(axis=1) / 62
    reach = 1.96 * np.sqrt([error_of_clips(one) for one in values])
    assert 0.93 <= np.mean(abs(centre - 0.1) <= reach) <= 0.97


def wrong(rule: Callable, rows: list[Gains], possible: np.ndarray) -> float:
    """Return the share of tables that a rule of a list of gains answers with "supported" or "not supported"."""
    found = [rule([row[k] for row in rows]) for k in np.flatnonzero(possible)]
    assert not any(decides(rule([row[k] for row in rows])) for k in np.flatnonzero(~possible)[:20])
    return sum(map(decides, found)) / len(possible)


def decides(answer: str) -> bool:
    """Say whether an answer is one."""
    return answer in (SUPPORTED, NOT_SUPPORTED)


def any_of(rows: list[Gains]) -> np.ndarray:
    """Return (N,) whether some rule may decide by these gains."""
    return np.any([row.possible() for row in rows], axis=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", NOISE)
def test_no_rule_of_chapter_5_answers_where_there_is_no_effect(size, noise):
    rng = rng_for(4, "rules", size, noise)
    people = persons(rng, size, N_TABLES)
    one, other, *joint = (train(rng, people, noise, seeds=2) for _ in range(6))
    timed = [Gains(a, b) for a, b in ((joint[0], one), (joint[1], other), (joint[2], joint[3]))]
    best = [Gains(joint[0], one, other)]
    mrpn = [Gains(joint[3], each) for each in joint[:3]]
    average = [Gains(joint[2], each) for each in joint[:2]]
    level, costs = {"confidence": CONFIDENCE}, (1.0, 1.5)
    rules = {
        "H1": (timed, lambda found: decide_folds(found, 0.0, **level)),
        "H2": (best, lambda found: decide_folds(found, 1 / 12, **level)),
        "H3": (mrpn, lambda found: decide_folds(found, 0.0, **level)),
        "H4": (average, lambda found: decide_folds(found, 1.0, **level)),
        "C3": (timed, lambda found: decide_time(found, [costs] * 3, **level)),
    }
    for name, (rows, rule) in rules.items():
        assert wrong(rule, rows, any_of(rows)) <= 0.05, name


@pytest.mark.parametrize("size", [*FEW, (3, 4), (3, 24), (12, 12)])
@pytest.mark.parametrize("noise", NOISE)
def test_no_rule_of_streams_answers_where_there_is_no_effect(size, noise):
    """Label changes and clips that are right, both at once and each alone; `mien.evaluation.streams.gain_of`."""
    rng = rng_for(9, "streams", size, noise)
    rows = []
    for _ in ("flips", "right"):
        people = persons(rng, size, N_TABLES)
        rows.append(Gains(*(train(rng, people, noise, seeds=2) for _ in range(2))))
    assert wrong(lambda found: decide_steady(*found, confidence=CONFIDENCE), rows, any_of(rows)) <= 0.05
    assert all(wrong(answer_of, [row], row.possible()) <= 0.05 + 3 * 0.0063 for row in rows)  # three standard errors


@pytest.mark.parametrize("size", [(3, 4), (3, 24), (6, 24), (12, 12)])
@pytest.mark.parametrize("noise", NOISE)
def test_a_rule_of_one_pair_has_no_more_chances(size, noise):
    rng = rng_for(8, "pair", size, noise)
    people = persons(rng, size, 4 * N_TABLES)
    rows = [Gains(*(train(rng, people, noise, seeds=2) for _ in range(2)))]
    rules = {
        "H1": lambda found: decide_folds(found, 0.0, confidence=CONFIDENCE),
        "C3": lambda found: decide_time(found, [(1.0, 1.5)], confidence=CONFIDENCE),
    }
    for name, rule in rules.items():
        assert wrong(rule, rows, any_of(rows)) <= 0.05, name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", NOISE)
def test_mrpn_removes_no_cases_where_it_is_like_the_other_joint_networks(size, noise):
    rng, lead = rng_for(5, "cases", size, noise), 6.0
    people = persons(rng, size, N_TABLES)
    single = [train(rng, people, noise, seeds=2, mean=MEAN - lead) for _ in range(2)]
    rows = [Gains(train(rng, people, noise, seeds=2), *single) for _ in range(4)]
    possible = (rows[3].folds.means >= 0).all(axis=1) if size[0] > 3 else np.zeros(N_TABLES, bool)  # no p below .25
    possible |= rows[3].fold_below()
    assert wrong(lambda found: decide_cases(found, confidence=CONFIDENCE), rows, possible) <= 0.05


@pytest.mark.parametrize("noise", NOISE)
def test_no_rule_of_one_division_answers_where_there_is_no_effect(noise):
    """C1 and the same features (test people), C2 (trainings whose costs differ by chance)."""
    rng = rng_for(6, "one", noise)
    people = persons(rng, (1, 12), N_TABLES)
    one, *others = (train(rng, people, noise, seeds=3) for _ in range(4))
    rows = [Gains(one, each) for each in others]
    assert wrong(answer_of, rows[:1], any_of(rows[:1])) <= 0.05
    level = {"confidence": CONFIDENCE}
    at_printed = [decide_gaps([(row[k], 0.0, True) for row in rows], **level) for k in np.flatnonzero(any_of(rows))]
    assert sum(map(decides, at_printed)) / N_TABLES <= 0.05
    found = [decide_transfer(rows[0][k], costs_of(rng), learnt=True) for k in range(500)]
    assert sum(map(decides, found)) / 500 <= 0.05


def costs_of(rng: np.random.Generator, *, n_epochs: int = 12) -> list[tuple[float, float]]:
    """Return intervals of the cost to six targets, of three pairs of trainings whose curves have the same law."""
    rate = np.exp(rng.normal(-1.2, 0.4, (3, 2, 1)))  # of learning, per epoch
    final, epochs = 0.65 + rng.normal(0, 0.03, (3, 2, 1)), np.arange(1, n_epochs + 1)
    curves = final * (1 - np.exp(-rate * epochs)) + rng.normal(0, 0.01, (3, 2, n_epochs))
    ends, last = curves[:, :, -1], np.full((3, 2), n_epochs)
    ratios = []
    for share in (0.9, 0.95, 1.0):
        for of in (ends.min(axis=1), ends.max(axis=1)):
            reached = curves >= share * of[:, None, None] - 1e-9
            first = np.where(reached.any(axis=2), reached.argmax(axis=2) + 1.0, math.nan)
            ratios.append(interval_of_costs(first, np.ones((3, 2)), last, confidence=CONFIDENCE))
    return ratios


def test_no_training_that_never_gets_there_has_a_bound_above():
    epochs, last = np.array([[3, np.nan], [4, 12], [3, np.nan]]), np.full((3, 2), 12)
    low, high = interval_of_costs(epochs, np.ones((3, 2)), last, confidence=CONFIDENCE)
    assert math.isnan(low)  # the other may never get there
    assert 0.25 < high < 1  # or it costs 12 epochs and more
    back = interval_of_costs(epochs[:, ::-1], np.ones((3, 2)), last, confidence=CONFIDENCE)
    assert (back[0], math.isnan(back[1])) == (pytest.approx(1 / high), True)
    same = interval_of_costs(np.array([[3.0, 6.0]] * 3), np.ones((3, 2)), last, confidence=CONFIDENCE)
    assert 0 < same[0] < 0.5 < same[1] < 1  # no spread but that of whole epochs
    one = interval_of_costs(np.array([[3.0, 6.0]]), np.ones((1, 2)), last[:1], confidence=CONFIDENCE)
    assert np.isnan(one).all()


def test_one_training_each_decides_nothing_and_real_effects_are_found():
    rng = rng_for(7, "power")
    people = persons(rng, (6, 24), 200)
    level = {"confidence": CONFIDENCE}
    for seeds, answer in ((1, ONE_TRAINING), (5, SUPPORTED)):
        better, worse = (train(rng, people, 6.0, seeds=seeds, mean=mean) for mean in (80.0, 60.0))
        row = Gains(better, worse)
        assert np.mean([decide_folds([row[k]], 0.0, **level) == answer for k in range(200)]) > 0.9
    row = Gains(worse, better)
    assert np.mean([decide_folds([row[k]], 0.0, **level) == NOT_SUPPORTED for k in range(200)]) > 0.9
