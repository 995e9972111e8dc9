"""Pages: templates hold the words, and numbers have fixed decimals; no dates, so equal results give equal bytes."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from mien.io.files import atomic_file
from mien.models.card import Export

NEW_LINE = ("|", "#", "- ")  # beginnings of lines that do not go on with the paragraph above them


def render_page(template: str, **values: Any) -> str:
    """Return templates/<template>.md.j2 filled in.

    Lines of a paragraph become one line, as templates are wrapped and pages are not; blocks are an empty line apart.
    So do the lines of a table's row, which begins with |. The first row has the titles; alone it is left out.
    """
    text = environment().get_template(f"{template}.md.j2").render(values)
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines: list[str] = []
        for line in filter(None, map(str.strip, block.splitlines())):
            if lines and not line.startswith("|" if lines[0].startswith("|") else NEW_LINE):
                lines[-1] += f" {line}"
            else:
                lines.append(line)
        if lines[0].startswith("|") and not "".join(lines[1:2]).startswith("|:"):  # not yet a grid
            titles, *rows = map(cells_of, lines)
            if rows:
                blocks.append(grid(pd.DataFrame(rows, columns=titles)))
        elif lines[0].startswith("- ") and blocks and blocks[-1].startswith("- "):
            blocks[-1] += "\n" + "\n".join(lines)  # one list, of which macros wrote the parts
        else:
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


@cache
def environment() -> jinja2.Environment:
    """Return the templates with their filters."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def limits_of(one: Any, *, signed: bool = False) -> str:
        ends = one if isinstance(one, tuple) else (found.getitem(one, end) for end in ("low", "high"))
        return limits(*ends, signed=signed)

    def interval_of(one: Any, name: str = "difference", *, signed: bool = False) -> str:
        return with_interval(*(found.getitem(one, key) for key in (name, "low", "high")), signed=signed)

    found.filters |= {
        "md": grid,
        "percent": percent,
        "signed": lambda value: percent(value, signed=True),
        "g": lambda value, digits=6: f"{value:.{digits}g}",
        "fixed": fixed,
        "n": lambda count, noun: f"{count} {noun}{'' if count == 1 else 's'}",
        "listed": join_names,
        "p": p_value,
        "limits": limits_of,  # of a pair, or of what has low and high
        "interval": interval_of,  # the same with the number that they are of
        "where": where,
    }
    found.globals |= {"limits": limits, "with_interval": with_interval, "mark": mark, "zip": zip}
    found.tests |= {"nan": math.isnan, "infinite": math.isinf}
    return found


def fixed(value: float, decimals: int = 2, *, signed: bool = False) -> str:
    """Return so many decimals, - for nothing; a zero has no sign."""
    if math.isnan(value):
        return "-"
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    return text if text.strip("+-0.") else text.lstrip("+-")


def percent(value: float, *, signed: bool = False) -> str:
    """Return one decimal, - for nothing; a zero has no sign."""
    return fixed(value, 1, signed=signed)


def limits(low: float, high: float, *, decimals: int = 1, signed: bool = False) -> str:
    """Return an interval as 38.6–48.2, or signed as -1.2 to +4.0; - for nothing."""
    if math.isnan(low):
        return "-"
    return (" to " if signed else "–").join(fixed(end, decimals, signed=signed) for end in (low, high))


def with_interval(value: float, low: float, high: float, *, decimals: int = 1, signed: bool = False) -> str:
    """Return a number with its interval in brackets, where it has one; - for nothing."""
    text = fixed(value, decimals, signed=signed)
    if math.isnan(value) or math.isnan(low):
        return text
    return f"{text} ({limits(low, high, decimals=decimals, signed=signed)})"


def share_of(count: int | None, total: int) -> str:
    """Return 3 of 12; - where nothing is known."""
    return "-" if count is None else f"{count} of {total}"


def p_value(p: float) -> str:
    """Return three decimals, <0.001 for less, - for nothing."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def join_names(names: Any) -> str:
    """Return names as A, B and C."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def mark(name: str, reasons: Any) -> str:
    """Return a name with a star where there is a reason why it, or a part of it, was not trained."""
    return f"{name} \\*" if name in reasons else name


def cells_of(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


def grid(rows: list[dict[str, Any]] | pd.DataFrame) -> str:
    """Return a Markdown table of texts; the first column is left-aligned, the others right."""
    table = pd.DataFrame(rows)
    align = ["left", *["right"] * (table.shape[1] - 1)]
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)


def where(rows: pd.DataFrame, **content: Any) -> pd.DataFrame:
    """Return the rows that have this content, column by column; of a tuple, one of its values."""
    for column, value in content.items():
        rows = rows[rows[column].isin(value if isinstance(value, tuple) else (value,))]
    return rows


def write_table(rows: pd.DataFrame, text: str, *, csv: Path, md: Path, decimals: int = 4) -> None:
    """Write the numbers of a page, and the page."""
    with atomic_file(csv) as scratch:
        rows.round(9).to_csv(scratch, index=False, float_format=f"%.{decimals}f", lineterminator="\n")
    with atomic_file(md) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def render_card(path: Path, said: Export) -> str:
    """Return the page about an exported model; `said`: what the header of its file says."""
    facts, card = said.facts, said.cards[0]
    if card.kind == "extractor" or "video" in card.modalities:
        faces = card.faces
        cut = f"the detector's box times {faces['margin']:g}, {card.size_px or faces['size_px']} px, grey"
    elif card.sound.get("front_end") == "logmel":
        cut = "its voice without the silence before and after it, in mel bands"
    else:
        cut = "segments of its spectrogram"

    def ends(name: str) -> str:
        numbers = [facts[f"{name}{end}"] for end in ("", "_low", "_high")]
        return with_interval(*(math.nan if one is None else 100 * one for one in numbers)) + "%"

    return render_page(
        "model",
        file=path.name,
        facts=facts,
        card=card,
        ends=ends,
        cut=cut,
        shown="a voice" if card.modalities == ("audio",) else "a clip",
        digest=said.sha256,
        size_kb=round(path.stat().st_size / 1000),
        epochs=", ".join(str((one or {}).get("honest", "-")) for one in facts["made"]["epochs"]),
        protocol={
            "honest": "epoch and temperature chosen on people, or pictures, that are neither trained on nor tested",
            "thesis": "epoch chosen on those who are tested, as in the thesis",
        }.get(facts["protocol"], "not known"),
    )
