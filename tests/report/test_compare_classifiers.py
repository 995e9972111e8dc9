"""Tables 4.1 and 4.2 beside the thesis: planted accuracies come out, and the same runs give the same bytes."""

import math
from pathlib import Path

import pandas as pd
import pytest

import planted_classifiers as planted
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.report.tables.classifiers import compare_classifiers

ROWS = {
    "CNN": planted.image("cnn1"),
    "AU_SSVM": planted.vector("AU8", "ssvm"),
    "AU_raw": planted.vector("AU8", "ssvm", standardise=False),
    "FP_SVMpoly": planted.vector("FP68", "svm_poly"),
}
RIGHT = {
    "CNN": lambda row: row.label < (3 if row.selection == "optimistic" else 1 + row.seed),
    "AU_SSVM": lambda row: row.label < 1 + row.seed if row.role == "test" else row.label < (1, 3, 3)[row.seed],
    "AU_raw": lambda row: False,
    "FP_SVMpoly": lambda row: row.angle != 0,
}


@pytest.fixture
def compare(tmp_path, repository):
    """Return call(runs, samples folder, config) -> (4.1.csv, 4.1.md, 4.2.csv, 4.2.md)."""

    def call(runs, folder: Path, config: str | None = None):
        out = tmp_path / "results" / "tables"
        compare_classifiers(
            runs=runs,
            samples=folder,
            thesis=repository / "resources" / "thesis_tables.yaml",
            out_41=out / "4.1",
            out_42=out / "4.2",
            config=config or planted.config(ROWS),
        )
        return tuple(
            pd.read_csv(out / f"{number}.csv") if kind == "csv" else (out / f"{number}.md").read_text(encoding="utf-8")
            for number in ("4.1", "4.2")
            for kind in ("csv", "md")
        )

    return call


def _cell(cells: pd.DataFrame, name: str, pictures: str = "headline") -> pd.Series:
    return cells[(cells.classifier == name) & (cells.pictures == pictures)].iloc[0]


def _row(text: str, name: str) -> dict[str, str]:
    """Return the cells of a classifier in a Markdown table, by column."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return dict(zip(lines[0], next(line for line in lines if line[0].split(" ")[0] == name), strict=True))


def _judged(text: str, name: str) -> dict[str, str]:
    return _row(text.split("## How much could be judged")[1].split("## By camera")[0], name)


def _rewrite(folder: Path, table: pd.DataFrame) -> None:
    tables.write(folder / "samples.parquet", table, tables.SAMPLES)


def _without(folder: Path, table: pd.DataFrame, column: str, clips) -> None:
    """Take a column of features from some clips of the samples."""
    gone = table["clip"].isin(clips)
    _rewrite(folder, table.assign(**{column: table[column].where(~gone, gone.map(lambda _: []))}))


def test_ours_stand_beside_the_thesis(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path, gazes=("frontal", "left"))
    cells, _text, repeats, _page = compare(planted.write_runs(tmp_path, table, RIGHT, rows=ROWS), folder)
    machine = _cell(cells, "AU_SSVM")
    assert (machine.thesis_test, machine.split, machine.n_runs) == (41.1, 1, 3)  # split 2 is as good, but later
    assert (machine.train, machine.test, machine.difference) == pytest.approx((75, 50, 8.9))
    assert math.isnan(machine.optimistic)
    network = _cell(cells, "CNN")
    assert (network.train, network.test, network.optimistic) == pytest.approx((37.5, 37.5, 75))
    assert network.test_sd == pytest.approx(25 / math.sqrt(2), abs=1e-4)
    assert (network.n_runs, network.n_pictures, network.n_people) == (2, 80, 5)
    assert (_cell(cells, "FP_SVMpoly", "camera 0").test, _cell(cells, "FP_SVMpoly", "camera 90").test) == (0, 100)
    assert list(cells.classifier.unique()) == list(ROWS)
    assert "gaze left" in set(cells.pictures)
    rows = repeats[repeats.classifier == "AU_SSVM"].set_index("part")
    assert rows.loc["test", ["thesis_mean", "thesis_sd", "mean", "sd", "difference"]].tolist() == pytest.approx(
        [40.4, 0.4, 50, 25, 9.6]
    )
    assert list(repeats.classifier.unique()) == ["AU_SSVM", "FP_SVMpoly", "AU_raw"]  # what the thesis lacks is last


def test_missing_features_cost_coverage(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    gone = [f"rafd-00-{label}-{angle}frontal" for label in range(4) for angle in (0, 90)]
    right = RIGHT | {"FP_SVMpoly": lambda row: True}
    runs = planted.write_runs(tmp_path, table, right, rows=ROWS, missing={"FP_SVMpoly": gone})
    _without(folder, table, "points", gone)
    cells, _text, *_ = compare(runs, folder)
    cell = _cell(cells, "FP_SVMpoly")
    assert (cell.test, cell.coverage, cell.strict, cell.n_judged) == (100, 90, 90, 36)
    assert _cell(cells, "FP_SVMpoly", "camera 0").coverage == 80
    assert _cell(cells, "CNN").coverage == 100


def test_pictures_that_gave_a_shape_can_be_left_out(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    right = RIGHT | {"AU_raw": lambda row: row.shaped}
    cells, text, *_ = compare(planted.write_runs(tmp_path, table, right, rows=ROWS), folder)
    assert _cell(cells, "AU_raw").test == pytest.approx(100 * 5 / 40)
    unshaped = _cell(cells, "AU_raw", "without neutral shape")
    assert (unshaped.test, unshaped.n_pictures) == (0, 35)
    shown = _judged(text, "AU_raw")
    assert (shown["without neutral shape"], shown["change"]) == ("0.0", "-12.5")


def test_fewer_emotions_are_not_compared_with_all(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    table = table[table.angle == 90].reset_index(drop=True)  # frontal only: every neutral picture gives a shape
    _rewrite(folder, table)
    cells, text, *_ = compare(planted.write_runs(tmp_path, table, RIGHT, rows=ROWS), folder)
    assert (_cell(cells, "CNN").n_classes, _cell(cells, "CNN", "without neutral shape").n_classes) == (4, 3)
    shown = _judged(text, "CNN")
    assert (shown["test"], shown["without neutral shape"], shown["change"]) == ("37.5", "-", "-")


def test_the_share_of_searches_that_end_at_the_edge_is_shown(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    runs = planted.write_runs(tmp_path, table, RIGHT, rows=ROWS)
    costs = {"AU_SSVM": (1e-4, 0.1, 1e3), "AU_raw": (0.01, 1.0, 100.0), "FP_SVMpoly": (1e-4, 1e-4, 1e-4)}
    for run in runs:
        record = read_json(run)
        if record["variant"] in costs:
            write_json(run, record | {"chosen": {"C": costs[record["variant"]][record["seed"]]}})
    *_, repeats, page = compare(runs, folder)
    edges = repeats[repeats.part == "test"].set_index("classifier").edge
    assert edges.to_dict() == pytest.approx({"AU_SSVM": 200 / 3, "FP_SVMpoly": 100, "AU_raw": 0}, abs=1e-3)
    assert _row(page, "AU_SSVM")["at the grid's edge"] == "66.7"


def test_equal_runs_are_equal_bytes_and_name_their_people(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    runs = planted.write_runs(tmp_path, table, RIGHT, rows=ROWS)
    files = [tmp_path / "results" / "tables" / f"{name}.{kind}" for name in ("4.1", "4.2") for kind in ("csv", "md")]
    _, _text, _, _page = compare(runs, folder)
    first = [file.read_bytes() for file in files]
    compare(runs, folder)
    assert [file.read_bytes() for file in files] == first
    real, _ = planted.write_samples(tmp_path, source="/data/ckplus")
    assert "ynthetic" not in compare(runs, real)[1]


def test_what_could_not_be_trained_is_a_dash_with_a_reason(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path, n_people=1)
    runs = planted.write_runs(tmp_path, table, RIGHT, rows=ROWS, reason=dict.fromkeys(ROWS, "nobody was fitted"))
    cells, text, repeats, page = compare(runs, folder)
    assert cells.test.isna().all()
    assert _cell(cells, "CNN").coverage == 100  # there are faces
    assert math.isnan(_cell(cells, "CNN").strict)
    assert repeats["mean"].isna().all()
    assert "nan" not in text + page
    assert "<NA>" not in text + page


def test_without_features_coverage_and_strict_accuracy_are_zero(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    reason = {"FP_SVMpoly": "no test sample has FP68"}
    runs = planted.write_runs(tmp_path, table, RIGHT, rows=ROWS, reason=reason)
    _without(folder, table, "points", table["clip"][table.role != "training"])
    _, text, *_ = compare(runs, folder)
    shown = _judged(text, "FP_SVMpoly")
    assert list(shown)[:3] == ["classifier", "test", "pictures"]
    assert (shown["test"], shown["coverage"], shown["strict"], shown["pictures"]) == ("-", "0.0", "0.0", "-")


def test_a_single_test_person_has_no_interval(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path, n_people=1)
    cells, text, *_ = compare(planted.write_runs(tmp_path, table, RIGHT, rows=ROWS), folder)
    assert cells.low.isna().all()
    assert _cell(cells, "CNN").test == 37.5
    assert "nan" not in text


def test_a_missing_run_is_named(tmp_path, compare):
    folder, table = planted.write_samples(tmp_path)
    runs = planted.write_runs(tmp_path, table, RIGHT, rows=ROWS)
    with pytest.raises(TableError, match="FP_SVMpoly on ckplus_rafd, seed 2"):
        compare(runs[:-1], folder)
