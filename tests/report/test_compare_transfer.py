"""Table 4.3: planted accuracies and costs come out, twins are counted apart, and pages say what is missing."""

import math
from dataclasses import replace

import pytest

from mien.errors import TableError
from mien.evaluation.runs import read_run
from mien.evaluation.transfer import PRIVATE, PUBLIC, Trials, paired_pictures, read_trial, read_usages
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.report.tables.transfer import amount, compare_transfer, power
from planted import run_table
from report import planted_transfer as planted


def most(k: int, usage: str, selection: str) -> bool:
    """Judge 30 of 40 private pictures right, all at the best epoch, no private twin, and all public ones."""
    return usage == PUBLIC or k < (30 if selection == "honest" else 40)


RIGHT = {"whole": most, "dense": lambda *_: False, "blind": lambda k, *_: k < 28, "fast": most}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Return the run.json files of RIGHT, which nobody changes."""
    return planted.write_runs(tmp_path_factory.mktemp("plain"), RIGHT)


@pytest.fixture(scope="module")
def thesis(tmp_path_factory, repository):
    resource = repository / "resources" / "thesis_tables.yaml"
    return planted.write_thesis(tmp_path_factory.mktemp("thesis") / "thesis.yaml", resource)


@pytest.fixture
def compare(tmp_path, plain, thesis):
    """Return call(runs, source of the corpus, config) -> (cells by row, page)."""

    def call(runs=plain, *, config=None, **sources):
        folder = planted.write_fer2013(tmp_path, **sources)
        cells, text = run_table(
            compare_transfer,
            tmp_path / "tables",
            runs=runs,
            clips=folder / "clips.parquet",
            corpus_info=folder / "corpus.json",
            thesis=thesis,
            config=config or planted.config(),
        )
        return cells.set_index("row"), text

    return call


def test_planted_accuracies_stand_beside_the_thesis(compare):
    cells, text = compare()
    assert cells.index[:5].tolist() == ["whole", "objects", "dense", "blind", "fast"]
    assert cells.part.tolist() == ["table"] * 4 + ["others"] + ["printed"] * 7
    whole = cells.loc["whole"]
    assert (whole.private, whole.optimistic, whole.public, whole.uar, whole.chance) == (75, 100, 100, 75, 50)
    assert (whole.thesis, whole.difference) == pytest.approx((70.47, 4.53))
    assert (whole.low, whole.high) == pytest.approx((59.81, 85.81), abs=0.01)  # Wilson, 30 of 40
    assert (whole.private_with_twins, whole.n_private_with_twins, whole.n_private) == (60, 50, 40)
    assert whole.public_with_twins == 100
    assert cells.loc["blind", "private_with_twins"] == 56
    assert "nan" not in text
    assert "<NA>" not in text


def test_cost_is_counted_until_the_accuracy_is_nearly_reached(compare, tmp_path):
    curves = {"blind": (0.5, 0.79, 0.80, 0.60), "People": (0.1, 0.9, 0.9, 0.9)}
    losses = {"blind": (3, 2, 1, 2), "People": (3, 1, 2, 3)}
    cells, _ = compare(planted.write_runs(tmp_path, RIGHT, curve=curves, loss=losses))
    whole, dense, blind = (cells.loc[name] for name in ("whole", "dense", "blind"))
    assert (whole.chosen_epoch, whole.cost_epochs) == (4, 3)  # .77 is more than 95 % of .80
    assert (blind.chosen_epoch, blind.cost_epochs, blind.validation) == (3, 2, 80)
    assert whole.cost_adds == 3 * 3 * 1000 * 10
    assert dense.cost_adds == 3 * (1000 + 2 * 100) * 10  # gradients of the dense layers alone
    assert whole.start_adds == dense.start_adds == 2 * 3 * 1000 * 10  # People, until its chosen epoch
    assert blind.start_adds == 0
    assert (whole.n_trained, dense.n_trained) == (500, 100)


def test_several_trainings_are_averaged_and_widen_the_interval(compare, plain, tmp_path):
    curve, better = (0.4, 0.6, 0.7, 0.8), lambda k, *_: k < 38
    again = [planted.write_run(tmp_path, "whole", better, curve=curve, seed=1)]
    again.append(planted.write_run(tmp_path, "People", None, loss=(3, 2, 1, 2), seed=1))
    cells, text = compare([*plain, *again])
    whole = cells.loc["whole"]
    assert (whole.n_trainings, cells.loc["blind", "n_trainings"]) == (2, 1)
    assert (whole.private, whole.cost_epochs, whole.n_private) == (85, 3.5, 40)
    assert whole.start_adds == (4 + 3) / 2 * 3 * 1000 * 10
    assert whole.low < 60 < 95 < whole.high  # two trainings that are 20 points apart
    assert "nan" not in text


def test_starts_from_files_have_no_known_cost_and_chains_add_up(compare, plain, tmp_path):
    rows = planted.ROWS | {"People": planted.row("weights/face.pth", corpus="ravdess")}
    cells, _ = compare(config=planted.config(rows))
    assert math.isnan(cells.loc["whole", "start_adds"])
    rows = planted.ROWS | {"People": planted.row("Older", corpus="ravdess")}
    rows |= {"Older": planted.row("random", corpus="ravdess")}
    cells, _ = compare([*plain, planted.write_run(tmp_path, "Older", None, rows=rows)], config=planted.config(rows))
    assert cells.loc["whole", "start_adds"] == 2 * 4 * 3 * 1000 * 10


def test_rows_that_were_not_trained_or_did_not_learn_are_marked(compare, tmp_path):
    cells, text = compare()
    assert math.isnan(cells.loc["objects", "private"])
    assert cells.learnt.iloc[[0, 2, 3]].tolist() == [True, False, True]
    cells, text = compare(
        planted.write_runs(tmp_path, RIGHT, reasons=dict.fromkeys(planted.ROWS, "there are no pictures"))
    )
    assert cells.private.isna().all()
    assert "nan" not in text


def test_equal_runs_are_equal_bytes_and_real_people_are_not_called_synthetic(compare, tmp_path):
    _, text = compare()
    first = (tmp_path / "tables" / "table.csv").read_bytes()
    _, again = compare(source="/data/fer2013")
    assert (tmp_path / "tables" / "table.csv").read_bytes() == first
    assert ("**Synthetic people" in text, "ynthetic" in again) == (True, False)
    assert "**Synthetic people" in compare(source="/data/fer2013", starts="synthetic")[1]


def test_what_does_not_belong_together_is_refused(compare, tmp_path):
    runs = planted.write_runs(tmp_path, RIGHT)
    with pytest.raises(TableError, match="no run of fast on fer2013"):
        compare(runs[:-1])
    with pytest.raises(TableError, match="no run of People, which whole starts from"):
        compare(runs[1:])
    record = read_json(runs[1])
    write_json(runs[1], {key: value for key, value in record.items() if key != "multiply_adds"})
    with pytest.raises(TableError, match="lacks multiply_adds"):
        compare(runs)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("role", "test", "has the role test, but is of PublicTest"), ("clip", "zz", "picture zz is not among the clips")],
)
def test_pictures_of_another_part_or_of_nobody_are_refused(tmp_path, column, value, message):
    folder, path = planted.write_fer2013(tmp_path), planted.write_run(tmp_path, "whole", most)
    rows = tables.read(path.with_name("predictions.parquet"), tables.PREDICTIONS)
    rows.loc[0, column] = value
    tables.write(path.with_name("predictions.parquet"), rows, tables.PREDICTIONS)
    with pytest.raises(TableError, match=message):
        read_trial(read_run(path), read_usages(folder / "clips.parquet"))


def test_pictures_are_paired_and_the_difference_has_both_signs(tmp_path):
    usages = read_usages(planted.write_fer2013(tmp_path) / "clips.parquet")
    paths = [planted.write_run(tmp_path, name, RIGHT[name]) for name in ("whole", "blind")]
    one, other = (Trials((read_trial(read_run(path), usages),)) for path in paths)
    found, back = (
        paired_pictures(*pair, PRIVATE, duplicates=False, confidence=0.95) for pair in ((one, other), (other, one))
    )
    assert (found.difference, found.n_clips) == (pytest.approx(5), 40)
    assert (found.low, found.high) == pytest.approx((-back.high, -back.low))
    assert -5 < found.low < 5 < found.high < 15  # two of forty pictures: far narrower than unpaired
    judged = other.first.judged[other.first.judged["clip"] != planted.clip(0, PRIVATE)]
    fewer = Trials((replace(other.first, judged=judged),))
    with pytest.raises(TableError, match="tested on different pictures"):
        paired_pictures(one, fewer, PRIVATE, duplicates=True, confidence=0.95)


def test_amounts_and_rates_are_short():
    assert [amount(value) for value in (0, 999, 31_800_000_000, 999_700, 7.0e16)] == [
        "0",
        "999",
        "31.8 G",
        "1000 k",
        "70 P",
    ]
    assert amount(math.nan) == "-"
    assert [power(rate) for rate in (1e-3, 3e-4, 2.5e-6)] == ["1e-3", "3e-4", "2.5e-6"]
