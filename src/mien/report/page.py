"""Numbers as Markdown; fixed decimals, fixed order, no dates, so that equal results are equal bytes."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from mien.io.files import atomic_file

SYNTHETIC = "Synthetic people: the faces and voices of this corpus are computed, so this is not a result on people."
CHOICE = (
    "The epoch is chosen on separate validation actors; "
    "'optimistic' chooses it on the reported actors, as the thesis did."
)
CHOICE_THESIS = (
    "Protocol thesis: the epoch is chosen on the reported actors, as the thesis did, "
    "so every number of ours is optimistic."
)


def percent(value: float, *, signed: bool = False) -> str:
    """Return one decimal, - for nothing; a zero has no sign."""
    if math.isnan(value):
        return "-"
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def limits(low: float, high: float, *, signed: bool = False) -> str:
    """Return an interval as 38.6–48.2, or signed as -1.2 to +4.0; - for nothing."""
    if math.isnan(low):
        return "-"
    return f"{percent(low, signed=signed)}{' to ' if signed else '–'}{percent(high, signed=signed)}"


def share_of(count: int | None, total: int) -> str:
    """Return 3 of 12; - where nothing is known."""
    return "-" if count is None else f"{count} of {total}"


def p_value(p: float) -> str:
    """Return three decimals, <0.001 for less, - for nothing."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def grid(rows: list[dict[str, Any]] | pd.DataFrame) -> str:
    """Return a Markdown table of texts; the first column is left-aligned, the others right."""
    table = pd.DataFrame(rows)
    align = ["left", *["right"] * (table.shape[1] - 1)]
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)


def write_table(rows: pd.DataFrame, text: str, *, csv: Path, md: Path) -> None:
    """Write the numbers of a page, and the page."""
    with atomic_file(csv) as scratch:
        rows.round(9).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    with atomic_file(md) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")
