"""`mien compare` tells numbers outside stated intervals from those inside, and words and rows that differ."""

import shutil
import subprocess

import pandas as pd
import pytest

from mien.errors import MienError
from mien.report.compare import compare

TABLE = """variant,fold,thesis,honest,low,high,mae,mae_low,mae_high,n_clips,reason
AM,A1,,43.33,34.81,52.27,0.48,0.46,0.50,120,
AM,mean,69.34,42.85,36.13,49.84,,,,357,
VM,A1,,57.50,48.41,66.12,0.40,0.30,0.50,120,no voice
"""
VERDICTS = "question,verdict,difference,low,high\nC1,not supported,-6.1,-10.4,-1.8\n"


def write(folder, table=TABLE, verdicts=VERDICTS):
    (folder / "results" / "tables").mkdir(parents=True, exist_ok=True)
    (folder / "results" / "tables" / "5.2.csv").write_text(table)
    (folder / "results" / "hypotheses.csv").write_text(verdicts)
    return folder


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that compares tables with those above: exit status, what is printed, cells that differ."""
    write(tmp_path / "published")

    def run(table=TABLE, verdicts=VERDICTS):
        here = write(tmp_path / "here", table, verdicts) / "results"
        status = 0
        try:
            compare(str(tmp_path / "published"), results=here, out=tmp_path / "cells.csv")
        except SystemExit as end:
            status = end.code
        cells = pd.read_csv(tmp_path / "cells.csv", dtype=str, keep_default_na=False)
        found = cells[cells.finding != "equal"]
        return status, capsys.readouterr().out, list(zip(found.row, found.column, found.finding, strict=True))

    return run


def test_equal_tables(run):
    status, said, found = run()
    assert (status, found) == (0, [])
    assert "31 equal" in said  # 9 cells of 3 rows and 4 of one: words say what a row is about


@pytest.mark.parametrize(
    ("old", "new", "cell"),
    [
        ("43.33,", "52.27,", ("AM, A1", "honest", "inside its interval")),  # the bound is in
        ("43.33,", "52.28,", ("AM, A1", "honest", "outside its interval")),
        ("0.40,", "0.29,", ("VM, A1", "mae", "outside its interval")),
        ("69.34,", "70.00,", ("AM, mean", "thesis", "differs, no interval")),
        ("357,", "356,", ("AM, mean", "n_clips", "differs, no interval")),
        ("no voice", "no face", ("VM, A1", "reason", "other words")),
        ("VM,A1", "VM,A2", ("VM, A2", "row", "only in one")),
    ],
)
def test_a_cell_that_differs(run, old, new, cell):
    status, said, found = run(TABLE.replace(old, new))
    assert cell in found
    is_told = cell[2] in ("outside its interval", "other words", "only in one")
    assert status == is_told
    assert (f"5.2: {cell[0]}: {cell[1]}: " in said) == is_told


def test_another_verdict_and_a_number_outside(run):
    status, said, found = run(verdicts=VERDICTS.replace("not supported,-6.1", "undecided,-1.0"))
    assert (status, len(found)) == (1, 2)
    assert "hypotheses: C1: verdict: not supported -> undecided: other words\n" in said
    assert "hypotheses: C1: difference: -6.1 (-10.4 to -1.8) -> -1.0: outside its interval\n" in said


def test_rows_about_the_same_are_told_apart_and_columns_may_come(run):
    _, _, found = run(
        verdicts="question,verdict,difference,low,high,p\nC1,not supported,-6.1,-10.4,-1.8,0.1\nC1,,1,0,2,\n"
    )
    assert found == [("C1", "p", "other words"), ("C1 (2)", "row", "only in one")]


def test_a_revision_of_the_repository(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(write(tmp_path))
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@localhost", *command], check=True)
    compare()
    write(tmp_path, TABLE.replace("43.33", "20.00"))
    shutil.copy("results/tables/5.2.csv", "results/tables/5.3.csv")
    with pytest.raises(SystemExit, match="1"):
        compare("HEAD")
    said = capsys.readouterr().out
    assert "5.2: AM, A1: honest: 43.33 (34.81 to 52.27) -> 20.00: outside its interval\n" in said
    assert "5.3: table: absent -> there: only in one\n" in said
    with pytest.raises(MienError, match="v9: neither a folder nor a revision"):
        compare("v9")
    with pytest.raises(MienError, match=r"holds no tables"):
        compare(str(tmp_path / ".git"))
