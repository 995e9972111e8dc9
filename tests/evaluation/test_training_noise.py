"""Trainings differ: the intervals of simulated tables hold the truth, and no rule answers where there is no effect.

A table has networks that are equal in truth. Every training is off by a number of its own, whose standard deviation in
a difference is 0, 3, 6 or 8 points (measured: 7.5), every person is off in general and with every network, and every
clip is a draw. The functions are those that the pages use, on the arrays of many tables at once.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

from mien.evaluation.statistics import Folds, Gain, accuracy_ends, error_of_clips, pooled, with_rivals
from mien.io.randomness import rng_for
from mien.report.rules import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    answer_of,
    decide_cases,
    decide_folds,
    decide_gaps,
    decide_time,
    decide_transfer,
    interval_of_ratio,
)

CONFIDENCE, N_CLIPS = 0.95, 30
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
    return Folds(means, pooled(np.stack(spread, axis=1), counts), sum(seeds, []), clips)


def gains(one: Networks, *others: Networks) -> list[Gain]:
    """Return the gain of a network over another, or over the best of several in each fold, of every table."""
    means = np.stack([other.trainings.mean(axis=2) for other in others])  # (M, N, K)
    best = means.argmax(axis=0)
    bar = np.take_along_axis(np.stack([other.trainings for other in others]), best[None, :, :, None], axis=0)[0]
    people = [
        one.people[k] - np.take_along_axis(np.stack([o.people[k] for o in others]), best[None, :, k, None], axis=0)[0]
        for k in range(best.shape[1])
    ]
    found = _gains(one.trainings, people, bar)
    if len(others) == 1:
        return found
    rivals = zip(*(gains(one, other) for other in others), strict=True)
    return [with_rivals(gain, each, confidence=CONFIDENCE) for gain, each in zip(found, rivals, strict=True)]


def _gains(mine: np.ndarray, people: list[np.ndarray], bar: np.ndarray) -> list[Gain]:
    folds = folds_of(people, mine, bar)
    error, df = folds.error()
    mean, reach = folds.means.mean(axis=-1), special.stdtrit(df, 0.5 + CONFIDENCE / 2) * error
    cases = (mine.round(9) < bar.mean(axis=2, keepdims=True).round(9)).mean(axis=2)
    columns = (mean, mean - reach, mean + reach, error, df, folds.means, folds.p_below(), cases)
    return [
        Gain(
            *("one", "other", difference, low, high),
            error=error,
            df=df,
            folds=dict(enumerate(by_fold)),
            p_folds=dict(enumerate(p)),
            cases=dict(enumerate(share)),
            n_trainings=mine.shape[2],
        )
        for difference, low, high, error, df, by_fold, p, share in zip(*(c.tolist() for c in columns), strict=True)
    ]


def covered(gains: list[Gain], truth: float = 0.0) -> float:
    """Return the share of the intervals that hold the truth."""
    return float(np.mean([one.low <= truth <= one.high for one in gains]))


@pytest.mark.parametrize("size", SIZES)
def test_intervals_over_folds_hold_the_truth_whatever_the_training_noise(size):
    for noise in NOISE:
        for seeds in (1, 2):
            rng = rng_for(0, "folds", size, noise, seeds)
            people = persons(rng, size, 3000)
            one, other = (train(rng, people, noise, seeds=seeds) for _ in range(2))
            assert 0.93 <= covered(gains(one, other)) <= 0.97, (noise, seeds)
            folds = folds_of(one.people, one.trainings)
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
        people = persons(rng, size, 3000)
        one, other = (train(rng, people, noise, seeds=seeds) for _ in range(2))
        assert covered(gains(one, other)) >= 0.93, noise  # clips count twice, as noise of people and of trainings


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


def answers(size: tuple[int, int], noise: float, *, n_tables: int, seeds: int, lead: float) -> dict[str, list[str]]:
    """Return rule -> its answers on tables without an effect; `lead` of joint networks over single ones."""
    rng = rng_for(4, "rules", size, noise, seeds, lead)
    people = persons(rng, size, n_tables)

    def more(n: int, mean: float = MEAN) -> list[Networks]:
        return [train(rng, people, noise, seeds=seeds, mean=mean) for _ in range(n)]

    timed, untimed, single, joint = more(2), more(2), more(2, MEAN - lead), more(4)
    pairs = [gains(a, b) for a, b in zip([*timed, joint[1]], [*untimed, more(1)[0]], strict=True)]
    cases = [gains(one, *single) for one in joint]
    mrpn = [gains(joint[3], other) for other in joint[:3]]
    average = [gains(joint[2], other) for other in joint[:2]]
    level, tables = {"confidence": CONFIDENCE}, range(n_tables)

    def of(rows: list[list[Gain]], k: int) -> list[Gain]:
        return [row[k] for row in rows]

    return {
        "H1": [decide_folds(of(pairs, k), 0.0, **level) for k in tables],
        "H1, one pair": [decide_folds([pairs[0][k]], 0.0, **level) for k in tables],
        "H2": [decide_folds([cases[1][k]], 1 / 12, **level) for k in tables] if lead <= 0 else [],
        "H3": [decide_folds(of(mrpn, k), 0.0, **level) for k in tables],
        "H4": [decide_folds(of(average, k), 1.0, **level) for k in tables],
        "C3": [decide_time(of(pairs, k), [(1.0, 1.5)] * 3, **level) for k in tables],
        "C3, one pair": [decide_time([pairs[0][k]], [(1.0, 1.5)], **level) for k in tables],
        "C4": [decide_cases(of(cases, k), **level) for k in tables],
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", NOISE)
def test_no_rule_answers_where_there_is_no_effect(size, noise):
    for seeds, lead, n_tables in ((2, 0.0, 500), (3, 8.0, 500)):
        for rule, found in answers(size, noise, n_tables=n_tables, seeds=seeds, lead=lead).items():
            print(size, noise, seeds, lead, rule, np.mean([one == SUPPORTED for one in found]), np.mean([one == NOT_SUPPORTED for one in found]))
