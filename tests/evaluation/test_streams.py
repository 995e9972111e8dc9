"""What running networks say, counted: every number by hand, and intervals that rest on people."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import planted
from mien.config.schema import EvaluateConfig
from mien.errors import TableError
from mien.evaluation.runs import read_runs
from mien.evaluation.streams import (
    Quantity,
    Trace,
    anytime,
    at_common_times,
    differences,
    gain_of,
    interval_of_median,
    measure,
    read_traces,
)
from mien.io import tables
from mien.io.randomness import rng_for
from report import planted_streams

CONFIG = EvaluateConfig(confidence=0.95, resamples=300)


def trace(said, time_s, *, clip="a", person="1", label=0, seed=0, variant="V") -> Trace:
    return Trace(variant, 0, seed, clip, person, label, np.array(time_s, float), np.array(said))


def test_a_flickering_clip_by_hand():
    (row,) = measure([trace([0, 0, 2, 0, 2], [0.0, 0.2, 0.4, 0.6, 0.8])]).itertuples()
    assert (row.n_steps, row.right) == (5, pytest.approx(3 / 5))
    assert row.flips == pytest.approx(3 / 0.8)
    assert (row.constant, row.majority, row.last) == (0, 1, 0)
    assert row.settled_s == 0.8
    assert math.isnan(row.right_s)


def test_the_interval_of_a_median_holds_that_of_all_people():
    """Seconds are multiples of a fifth, as the networks look, and people differ."""
    rng = rng_for(0, "medians")

    def times(n: int) -> np.ndarray:  # (n, 30) of every person
        return np.ceil(5 * np.exp(0.3 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, 30)))) / 5

    truth, people = np.median(times(20_000)), np.repeat(np.arange(12), 30)
    ends = np.array([interval_of_median(times(12).ravel(), people, confidence=0.95) for _ in range(300)])
    assert np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])) >= 0.93
    assert (ends[:, 0] < ends[:, 1]).all()


def test_the_interval_of_a_median_is_never_a_point():
    units = np.repeat(np.arange(3), 4)
    values = np.full(12, 0.4)
    assert np.isnan(interval_of_median(values, units, confidence=0.95)).all()
    values[[0, 4, 11]] = 0.2, 0.8, 0.6
    assert interval_of_median(values, units, confidence=0.05) == (0.2, 0.6)  # the next ones
    values[0] = 0.4
    assert interval_of_median(values, units, confidence=0.05) == (0.4, 0.6)
    assert np.isnan(interval_of_median(values, np.zeros(12), confidence=0.95)).all()


def test_differences_of_streams_are_over_folds_and_trainings():
    """Of two folds the variance of trainings, seed by seed, is added to that of people; weights make a mean of each."""
    times = np.arange(4.0)
    ours, theirs = (
        [
            replace(trace(said[seed], times, clip=f"{fold}{person}", person=f"{fold}{person}", seed=seed), fold=fold)
            for fold in range(2)
            for person in range(4)
            for seed in range(2)
        ]
        for said in (([0, 0, 0, 0], [0, 0, 1, 1]), ([0, 1, 1, 1], [0, 1, 0, 1]))
    )
    gap = differences(measure(ours), measure(theirs))
    flips, right = (gain_of(gap, Quantity(key, "", "1/s", weight), "a", "b", config=CONFIG) for key, weight in KEYS)
    assert (flips.difference, flips.n_trainings, flips.n_people, flips.n_clips) == (pytest.approx(-1 / 2), 2, 8, 8)
    assert flips.error == pytest.approx((1 / 18 / 2 / 2) ** 0.5)  # people are alike, two trainings of two folds are not
    assert right.difference == pytest.approx(np.mean([0.75, 0.0]))


KEYS = (("flips", "span_s"), ("right", "n_steps"))


def test_two_networks_are_compared_when_both_have_spoken():
    video = trace([1, 1, 0, 2, 0], [0.0, 0.2, 0.4, 0.6, 0.8])
    joint = trace([0, 1], [0.5, 1.0], variant="AV")
    alone = trace([0], [1.0], clip="only seen")
    ours, theirs = at_common_times([joint], [video, alone])
    assert [part.clip for part in ours + theirs] == ["a", "a"]
    np.testing.assert_array_equal(theirs[0].time_s, [0.5, 1.0])
    np.testing.assert_array_equal(theirs[0].said, [0, 0])  # of 0.4 s and 0.8 s: the 2 of 0.6 s is not seen
    late = trace([0], [1.0], variant="A")
    assert at_common_times([late], [video])[1][0].said.tolist() == [0]
    assert at_common_times([video], [trace([0], [9.0])])[0][0].time_s.tolist() == [9.0]
    early = trace([0], [0.0], variant="V")
    assert at_common_times([early], [trace([0, 0], [1.0, 1.5])]) == ([], [])


def test_differences_are_of_the_same_recordings():
    times = [0.0, 0.5, 1.0]
    ours = [trace([0, 0, 0], times), trace([1, 0, 0], times, seed=1)]
    theirs = [trace([0, 1, 0], times, seed=1), trace([0, 1, 1], times)]
    gap = differences(measure(ours), measure(theirs))
    assert gap.seed.tolist() == [0, 1]
    np.testing.assert_allclose(gap.flips, [-1, -1])
    np.testing.assert_allclose(gap["last"], [1, 0])
    assert gap.settled_s.tolist() == [-0.5, -0.5]
    assert math.isnan(gap.right_s[0])  # the other one ends wrong
    assert differences(measure([]), measure([])).empty


def test_a_judgement_stands_until_the_next_and_after_the_end():
    traces = [trace([1, 0], [0.5, 1.0]), trace([0, 0, 2], [0.0, 0.5, 1.5], clip="b", person="2")]
    found = anytime(traces, np.array([0.0, 0.5, 1.0, 1.5, 9.0]), config=CONFIG)
    assert found.accuracy.tolist() == [0.5, 0.5, 1.0, 0.5, 0.5]
    assert found.judged.tolist() == [0.5, 1, 1, 1, 1]
    assert found.ended.tolist() == [0, 0, 0.5, 1, 1]
    assert found.accuracy.iloc[-1] == measure(traces)["last"].mean()
    assert (found.n_people == 2).all()


def test_streams_are_read_without_twins_other_heads_and_validation(tmp_path):
    path = planted_streams.write_run(tmp_path, "V_frame", 0, actors=(1, 2), said=(0, 1, 2))
    clip = planted.clip_names(1)[0][0]
    _change(path, lambda rows: rows.assign(role=rows.role.where(rows.actor == "01", "validation")))
    traces = read_traces(read_runs([path]), {("ravdess", clip)})
    assert len(traces) == len(planted.clip_names(1)) - 1
    assert {one.person for one in traces} == {"01"}
    for one in traces:
        np.testing.assert_array_equal((one.said - one.label) % 3, [0, 1, 2])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda rows: rows.assign(logits=[np.zeros(5, np.float32)] * len(rows)), "5.* logits, expected 3"),
        (lambda rows: rows.assign(logits=[np.full(3, np.nan, np.float32)] * len(rows)), "not finite"),
        (lambda rows: pd.concat([rows, rows]), "judged twice"),
        (lambda rows: rows.assign(label=7), "labels outside"),
    ],
)
def test_a_stream_that_does_not_fit_is_named(tmp_path, change, text):
    path = planted_streams.write_run(tmp_path, "V_frame", 0, actors=(1,))
    _change(path, change)
    with pytest.raises(TableError, match=text):
        read_traces(read_runs([path]), set())


def test_seeds_that_followed_other_clips_are_refused(tmp_path):
    paths = [planted_streams.write_run(tmp_path, "V_frame", 0, actors=(1,), seed=seed) for seed in (0, 1)]
    _change(paths[1], lambda rows: rows[rows["clip"] != rows["clip"].iloc[0]])
    with pytest.raises(TableError, match="different clips"):
        read_traces(read_runs(paths), set())


def _change(path, change) -> None:
    file = path.parent / "stream.parquet"
    tables.write(file, change(tables.read(file, tables.STREAM)), tables.STREAM)
