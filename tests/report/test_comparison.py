"""The thesis's own numbers through our tables: means, tests and inferior folds of the specification come out again."""

import pytest

import planted
from mien.config.schema import EvaluateConfig, TableConfig, section
from mien.evaluation.metrics import score
from mien.evaluation.runs import Run
from mien.report.tables.comparison import (
    MEAN,
    Comparison,
    compare,
    controls_of,
    gains_over_single,
    paired_tests,
    render,
)
from mien.report.thesis import published_row, read_published

TIME = {"AM": "AM_NT", "VM": "VM_NT", "N0": "N0_NT"}
ROWS = {
    "5.1": {"AM_NT": "AM_NT", "AM": "AM_T", "VM_NT": "VM_NT", "VM": "VM_T", "N0_NT": "JM_NT", "N0": "JM_T"},
    "5.2": {"N0_late": "N0_late", "N0": "N0_e2e", "N1": "N1_e2e", "N2": "N2_e2e"},
    "5.3": {"N0_late": "N0_late", "N0": "N0_e2e", "N1": "N1_e2e", "N2": "N2_e2e"},
}
MEANS = {  # specification 1.4
    "5.1": [59.18, 69.34, 69.91, 73.88, 82.98, 87.56],
    "5.2": [81.60, 87.56, 89.82, 91.47],
    "5.3": [76.84, 78.37, 77.01, 80.59],
}


@pytest.fixture(scope="module")
def thesis(repository) -> dict:
    return read_published(repository / "resources" / "thesis_tables.yaml")


def compared(thesis: dict, table: str, *, more: dict | None = None) -> Comparison:
    """Return the comparison of a table of which nothing was trained, in the thesis's folds."""
    corpus = thesis[table]["corpus"]
    rows = {name: f"{table}/{row}" for name, row in ROWS[table].items()} | (more or {})
    published = {name: published_row(thesis, row, corpus) for name, row in rows.items()}
    runs = [
        Run(None, corpus, variant, fold, name, 0, False, "nothing was trained", ("a", "b"), {})
        for variant in rows
        for fold, name in enumerate(thesis[table]["folds"])
    ]
    return compare(runs, score(runs, set()), published, EvaluateConfig(**planted.EVALUATE), seed=0)


@pytest.mark.parametrize("table", ROWS)
def test_means_of_the_thesis_come_out_again(thesis, table):
    cells = compared(thesis, table).cells
    assert cells.thesis[cells.fold == MEAN].tolist() == pytest.approx(MEANS[table], abs=0.0051)


def test_every_fold_is_better_with_time_augmentation_in_the_thesis(thesis):
    """Specification 1.4, H1: true in all 36 printed pairs; the smallest gains are .8, .8 and 1.2 points."""
    tests = paired_tests(compared(thesis, "5.1"), list(TIME.items()))
    assert [test.thesis.below for test in tests] == [[], [], []]
    assert [round(min(test.thesis.folds.values()), 1) for test in tests] == [0.8, 0.8, 1.2]
    assert all(test.ours.n_folds == 0 for test in tests)


def test_p_of_the_thesis_are_corrected_over_the_pairs(thesis):
    tests = paired_tests(compared(thesis, "5.2"), [("N2", "N1"), ("N2", "N0"), ("N1", "N0")])
    assert [round(test.thesis.p, 3) for test in tests] == [0.008, 0.002, 0.061]
    assert [round(test.thesis_p, 3) for test in tests] == [0.016, 0.006, 0.061]


def test_inferior_folds_of_the_thesis_are_found_with_and_without_time_augmentation(thesis):
    """Specification 1.4, H2, and I-18."""
    comparison = compared(thesis, "5.1")
    assert gains_over_single(comparison, "N0", ["AM", "VM"])[1].below == ["A9,10"]
    [(control, single)] = controls_of({"time augmentation": TIME}, ["N0"], ["AM", "VM"])
    assert (control, single) == ("N0_NT", ["AM_NT", "VM_NT"])
    assert gains_over_single(comparison, control, single)[1].below == ["A9,10"]
    comparison = compared(thesis, "5.2", more={"AM": "5.1/AM_T", "VM": "5.1/VM_T"})
    found = {joint: gains_over_single(comparison, joint, ["AM", "VM"]) for joint in ROWS["5.2"]}
    assert {joint: len(printed.below) for joint, (_, printed) in found.items()} == {
        "N0_late": 3,
        "N0": 1,
        "N1": 0,
        "N2": 0,
    }
    assert found["N0_late"][1].below == ["A1,2", "A9,10", "A23,24"]
    assert all((ours.n_folds, printed.n_folds) == (0, 12) for ours, printed in found.values())


def test_the_page_of_table_5_1_is_whole(thesis):
    config = {
        "corpus": "ravdess",
        "rows": list(ROWS["5.1"]),
        "single": ["AM", "VM"],
        "controls": {"time augmentation": TIME},
    }
    table = section(TableConfig, {"table": config}, "table")
    text = render(compared(thesis, "5.1"), table, title="t", number="5.1", scale="mini", synthetic=False)
    assert "nan" not in text
