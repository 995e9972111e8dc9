"""`mien compare`: the tables of results/ beside published ones, cell by cell, where a machine gives other numbers."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mien.errors import MienError, TableError
from mien.io.files import atomic_file

TABLES = ("results/tables", "results/hypotheses.csv")
# Columns that say what came out, in words: all other words say what a row is about.
ANSWERS = ("verdict", "answer", "reason", "learnt", "decides")
# Whose interval the columns low and high hold: the first of these that a table has. NAME_low and NAME_high say it.
BOUNDED = ("value", "honest", "test", "private", "difference")
CELLS = ["table", "row", "column", "published", "low", "high", "here", "finding"]
OUTSIDE, OTHER_WORDS, ONLY = "outside its interval", "other words", "only in one"


def compare(other: str = "HEAD", /, *, results: Path = Path("results"), out: Path | None = None) -> None:
    """Set the tables of results/ beside published ones, and say which numbers lie outside the stated intervals.

    Prints every such number, and every answer and row that differs; exits with 1 if there are any, else with 0.

    Parameters
    ----------
    other
        Whose tables are published: a revision of this repository, or a folder that holds a results folder or is one.
    results
        The results folder to compare.
    out
        CSV for all cells, also those that are equal.
    """
    cells = compare_tables(read_published(other), read_folder(results))
    if out is not None:
        with atomic_file(out) as scratch:
            cells.to_csv(scratch, index=False, lineterminator="\n")
    told = cells[cells.finding.isin([OUTSIDE, OTHER_WORDS, ONLY])]
    for cell in told.itertuples():
        bounds = f" ({cell.low} to {cell.high})" * (cell.finding == OUTSIDE)
        place = ": ".join(filter(None, (cell.table, cell.row, cell.column)))
        print(f"{place}: {cell.published}{bounds} -> {cell.here}: {cell.finding}")
    counts = cells.groupby("table", sort=False).finding.value_counts().unstack(fill_value=0)
    print(counts.to_string() if len(counts) else "")
    print(f"{len(cells)} cells beside {other}: {', '.join(f'{n} {what}' for what, n in counts.sum().items())}")
    if len(told):
        sys.exit(1)


def compare_tables(published: Mapping[str, pd.DataFrame], here: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a row of CELLS for every cell of tables, given as text by name."""
    cells: list[tuple] = []
    for name in sorted(published.keys() | here.keys()):
        if name in published and name in here:
            cells += _compare(name, published[name], here[name])
        else:
            cells.append(_alone(name, "table", "", name in published))
    return pd.DataFrame(cells, columns=CELLS)


def _alone(name: str, what: str, row: str, is_published: bool) -> tuple:
    was, now = ("there", "absent") if is_published else ("absent", "there")
    return name, row, what, was, "", "", now, ONLY


def _compare(name: str, published: pd.DataFrame, here: pd.DataFrame) -> list[tuple]:
    words = [
        column
        for column in published.columns.intersection(here.columns)
        if column not in ANSWERS and not (_is_numeric(published[column]) and _is_numeric(here[column]))
    ]
    old, new = (_by_row(table, words) for table in (published, here))
    cells = []
    for row in dict.fromkeys([*old, *new]):
        if row not in old or row not in new:
            cells.append(_alone(name, "row", row, row in old))
            continue
        for column in dict.fromkeys([*old[row], *new[row]]):
            was, low, high = old[row].get(column, ""), *_bounds(old[row], column)
            now = new[row].get(column, "")
            cells.append((name, row, column, was, low, high, now, _find(was, now, low, high)))
    return cells


def _by_row(table: pd.DataFrame, words: list[str]) -> dict[str, dict[str, str]]:
    """Return what a row is about -> column -> cell; rows about the same are counted."""
    rows: dict[str, dict[str, str]] = {}
    seen: dict[str, int] = {}
    for row in table.to_dict("records"):
        about = ", ".join(row[column] for column in words if row[column])
        seen[about] = seen.get(about, 0) + 1
        about += f" ({seen[about]})" * (seen[about] > 1)
        rows[about] = {column: cell for column, cell in row.items() if column not in words}
    return rows


def _bounds(row: Mapping[str, str], column: str) -> tuple[str, str]:
    if f"{column}_low" in row:
        return row[f"{column}_low"], row.get(f"{column}_high", "")
    if column == next((name for name in BOUNDED if name in row), None):
        return row.get("low", ""), row.get("high", "")
    return "", ""


def _find(was: str, now: str, low: str, high: str) -> str:
    if was == now:
        return "equal"
    numbers = pd.to_numeric(pd.Series([was or None, now or None, low or None, high or None]), errors="coerce")
    if numbers[:2].isna().any():
        return OTHER_WORDS
    if numbers[2:].isna().any():
        return "differs, no interval"
    return "inside its interval" if numbers[2] <= numbers[1] <= numbers[3] else OUTSIDE


def _is_numeric(cells: pd.Series) -> bool:
    return pd.to_numeric(cells[cells != ""], errors="coerce").notna().all()


def read_folder(folder: Path) -> dict[str, pd.DataFrame]:
    """Return name -> table, its cells as text, of a results folder or of one that holds it.

    Raises
    ------
    TableError : there are no tables.
    """
    root = folder / "results" if (folder / "results").is_dir() else folder
    files = [*sorted(root.glob("tables/*.csv")), *root.glob("hypotheses.csv")]
    if not files:
        raise TableError(f"{root}: holds no tables/*.csv; name a results folder, or run snakemake to make its tables")
    return {file.stem: _read(file.read_text(encoding="utf-8")) for file in files}


def read_published(other: str) -> dict[str, pd.DataFrame]:
    """Return the tables of a folder, or of a revision of the repository around the working directory.

    Raises
    ------
    MienError : it is neither, or holds no tables.
    """
    if Path(other).is_dir():
        return read_folder(Path(other))
    git = subprocess.run(["git", "archive", other, "--", *TABLES], capture_output=True)
    if git.returncode:
        reason = git.stderr.decode(errors="replace").strip().splitlines()
        raise MienError(
            f"{other}: neither a folder nor a revision with tables ({reason[0] if reason else 'git failed'});"
            " name one of both"
        )
    with tarfile.open(fileobj=io.BytesIO(git.stdout)) as archive:
        return {
            Path(member.name).stem: _read(archive.extractfile(member).read().decode())
            for member in archive
            if member.name.endswith(".csv")
        }


def _read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
