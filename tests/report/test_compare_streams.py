"""The table of running networks: planted judgements come back, and answers follow the rule."""

import math

import pandas as pd
import pytest

import planted
from mien.config.schema import StreamConfig, load, section
from mien.errors import TableError
from mien.evaluation.statistics import Gain
from mien.evaluation.streams import QUANTITIES, Estimate
from mien.io import tables
from mien.report.rules import NOT_SUPPORTED, ONE_TRAINING, SUPPORTED, UNDECIDED
from mien.report.tables.streams import Pair, compare_streams, text_of, with_and_without_memory
from report import planted_streams
from report.planted_streams import FLICKERING, STEADY, WRONG


@pytest.fixture
def compare(tmp_path):
    """Return call(runs, config=, source=) -> (CSV frame, Markdown) of a corpus of four."""

    def call(runs, *, config: str | None = None, source: str = "synthetic", apart=()) -> tuple[pd.DataFrame, str]:
        folder = planted.write_corpus(tmp_path, n_actors=4, source=source, apart=apart)
        changes = [
            ("V_stream", 0, 0, f"{k}", f"{k % 4}", 0, n_before, memory, k % 2 == 0, memory == "endless", 0.5)
            for memory in ("endless", "bounded")
            for n_before in (0, 10)
            for k in range(8)
        ]
        rows = pd.DataFrame(changes, columns=tables.CHANGES.columns.names)
        tables.write(tmp_path / "changes.parquet", rows, tables.CHANGES)
        return planted.run_table(
            compare_streams,
            tmp_path / "tables",
            runs=runs,
            changes=tmp_path / "changes.parquet",
            clips=folder / "clips.parquet",
            corpus_info=folder / "corpus.json",
            config=config or planted_streams.config(),
        )

    return call


def value(rows: pd.DataFrame, quantity: str, **where) -> float:
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    return rows[rows.quantity == quantity].value.item()


def answer_of(text: str) -> str:
    return text.split("Answer: **")[1].split("**")[0]


def test_planted_judgements_come_back(tmp_path, compare):
    rows, text = compare(planted_streams.write_runs(tmp_path, {"V_frame": FLICKERING, "A_stream": WRONG}, n_folds=2))
    for quantity, expected in {"right": 200 / 3, "flips": 10, "constant": 0, "majority": 100, "last": 100}.items():
        assert value(rows, quantity, part="network", network="V_frame") == pytest.approx(expected, abs=1e-3)
    assert value(rows, "right_s", part="network", network="V_frame") == 0.2
    assert value(rows, "flips", part="pair", network="V_stream", against="V_frame") == -10
    assert value(rows, "majority", part="pair", network="AV_stream", against="A_stream") == 100
    assert value(rows, "right", part="anytime", network="V_frame", at_s=0.1) == 0
    assert value(rows, "right", part="anytime", network="V_frame", at_s=0.2) == 100
    after = rows[rows.part == "change"]
    assert set(after.n_before) == {0, 10}
    assert set(after.value[after.quantity == "right"]) == {50}
    assert set(after.value[(after.quantity == "previous") & (after.memory == "endless")]) == {100}
    assert set(after.value[after.quantity == "follow_s"]) == {0.5}
    rows = rows[rows.part != "change"]
    assert set(rows.n_clips[rows.quantity != "right_s"]) == {48}
    assert set(rows.n_people[rows.quantity != "right_s"]) == {4}
    assert "nan" not in text


def test_one_training_each_decides_nothing(tmp_path, compare):
    runs = planted_streams.write_runs(tmp_path, {"V_frame": (1, 0, 1), "V_stream": STEADY})
    assert answer_of(compare(runs)[1]) == ONE_TRAINING


@pytest.mark.parametrize(
    ("flips", "right", "expected"),
    [
        ((-2, -1), (0.1, 0.2), SUPPORTED),
        ((-2, 1), (0.1, 0.2), UNDECIDED),
        ((-2, -1), (-0.1, 0.2), UNDECIDED),
        ((1, 2), (0.1, 0.2), NOT_SUPPORTED),
        ((-2, -1), (-0.2, -0.1), NOT_SUPPORTED),
        ((math.nan, math.nan), (0.1, 0.2), UNDECIDED),
    ],
)
def test_both_parts_of_the_claim_must_hold(flips, right, expected):
    def verdict(n_trainings: int) -> str:
        gains = {
            key: Gain("one", "other", sum(ends) / 2, *ends, error=(ends[1] - ends[0]) / 4, n_trainings=n_trainings)
            for key, ends in {"flips": flips, "majority": right, "last": (-1.0, 1.0)}.items()
        }
        return Pair("one", "other", {}, gains, 0.95).verdict()

    assert verdict(2) == expected
    assert verdict(1) == ONE_TRAINING


def test_what_decides_is_said_and_so_is_what_would_be_otherwise(tmp_path, compare):
    _, text = compare(planted_streams.write_runs(tmp_path, {"V_frame": (0, 0, 1)}))
    assert answer_of(text) == ONE_TRAINING


def test_networks_of_other_paces_meet_at_common_times(tmp_path, compare):
    runs = planted_streams.write_runs(tmp_path, {"V_stream": FLICKERING})
    planted_streams.write_run(tmp_path, "AV_stream", 0, actors=(1, 2), said=(0,), times_s=(0.2,))  # where V is right
    rows, _ = compare(runs)
    assert value(rows, "right", part="pair", network="AV_stream", against="V_stream") == 0
    assert math.isnan(value(rows, "flips", part="pair", network="AV_stream", against="V_stream"))


def test_synthetic_people_are_named_in_bold_and_real_ones_are_not(tmp_path, compare):
    runs = planted_streams.write_runs(tmp_path, {})
    assert "not a result on people.**" in compare(runs)[1]
    assert "ynthetic" not in compare(runs, source="/data/ravdess")[1]


def test_equal_runs_are_equal_bytes(tmp_path, compare):
    runs = planted_streams.write_runs(tmp_path, {"V_frame": FLICKERING})
    first, text = compare(runs)
    again, same = compare(runs)
    pd.testing.assert_frame_equal(first, again)
    assert text == same


def test_what_could_not_be_trained_is_a_dash_with_a_reason(tmp_path, compare):
    runs = planted_streams.write_runs(tmp_path, {})
    for row in ("A_stream", "AV_stream"):
        planted_streams.write_run(tmp_path, row, 0, actors=(1,), reason="no clip has a sound")
    rows, text = compare(runs)
    assert rows[rows.network == "AV_stream"].value.isna().all()
    assert "nan" not in text


def test_nothing_trained_is_still_a_page(tmp_path, compare):
    _, text = compare(planted_streams.write_runs(tmp_path, {}, reason="no clips"))
    assert answer_of(text) == UNDECIDED
    assert "nan" not in text


def test_twins_count_nowhere(tmp_path, compare):
    rows, _ = compare(planted_streams.write_runs(tmp_path, {}), apart={"clip-01-0-0"})
    assert rows.n_clips.max() == 23


def test_missing_runs_are_named_and_rows_without_a_partner_are_no_pair(tmp_path, compare):
    runs = planted_streams.write_runs(tmp_path, {}, n_folds=2)
    with pytest.raises(TableError, match="AV_stream on ravdess, fold 1"):
        compare(runs[:-1])
    rows = {name: row for name, row in planted_streams.ROWS.items() if name != "V_frame"}
    _, text = compare(runs, config=planted_streams.config(streams=rows))
    assert "No row of streams has no memory." in text


def test_numbers_have_a_unit_and_no_minus_zero():
    by_key = {quantity.key: quantity for quantity in QUANTITIES}
    assert text_of(by_key["right"], Estimate(0.5, 0.25, 0.75, 1, 2)) == "50.0 (25.0–75.0)"
    assert text_of(by_key["flips"], Estimate(-0.001, -1, 1, 1, 2), signed=True) == "0.00 (-1.00 to +1.00)"
    assert text_of(by_key["settled_s"], Estimate(1.234, math.nan, math.nan, 1, 1)) == "1.23"
    assert text_of(by_key["flips"], Estimate(*3 * [math.nan], 0, 0)) == "-"


def test_the_shipped_rows_have_a_pair_with_and_without_memory(repository):
    params = load(repository / "params.yaml")
    rows = {name: section(StreamConfig, params, "streams", name) for name in params["streams"]}
    assert with_and_without_memory(rows) == [("V_stream", "V_frame")]
