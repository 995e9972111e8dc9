"""The table of build_trust: its columns, and how it is read again by what draws it."""

from pathlib import Path

import pandas as pd

from mien.core.errors import TableError

COLUMNS = [  # of the CSV; shares, accuracies and calibration errors in percent, their differences in points
    "network",
    "part",  # of the page
    "item",  # what of it: before or after the temperature, a group of people or clips, a condition, a label
    "at",  # bin of the reliability diagram, from 0; percent of the clips that are judged
    "quantity",
    "value",
    "low",
    "high",
    "n_clips",
    "n_people",
]
STATES = ("before", "after")  # the temperature
GROUPS = ("sex", "statement", "intensity")
_NUMBERS = ("at", "value", "low", "high", "n_clips", "n_people")


def read_numbers(path: Path) -> pd.DataFrame:
    """Read COLUMNS from the CSV of build_trust.

    Raises
    ------
    TableError : the file is missing or has other columns.
    """
    texts = dict.fromkeys(("network", "part", "item", "quantity"), str)
    try:
        rows = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={name: [""] for name in _NUMBERS})
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read ({error}); run build_trust again") from error
    if list(rows.columns) != COLUMNS:
        raise TableError(f"{path}: its columns are {list(rows.columns)}, not {COLUMNS}; run build_trust again")
    return rows


def items_of(numbers: pd.DataFrame, part: str) -> list[str]:
    """Return the items of a part, in their order."""
    return list(dict.fromkeys(numbers["item"][numbers.part == part]))
