"""The colour of every emotion, the same in all figures of the four emotions.

What every figure shares: a look, the synthetic label, and files whose bytes depend on the content only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mien.io.files import atomic_file

matplotlib.use("Agg")  # draws without a screen; must be chosen before pyplot is imported

SYNTHETIC = "synthetic people"
GREY = "#5a5a5a"
_LINES = ("#7f8790", "#1f6fb4", "#c8521c", "#228833", "#aa3377", "#b5982a")  # told apart when colours are not: below
_STYLES = ((0, (4, 1.5)), "-", (0, (1, 1)), "-", (0, (6, 1.5, 1, 1.5)), "-")
_LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that text has the same extent on every machine
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "mien",  # ids of SVG elements do not change from run to run
    "svg.fonttype": "path",
    "figure.dpi": 100,
}


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure of `width` x `height` inches in our look; closed at the end."""
    with plt.rc_context(_LOOK):
        figure = plt.figure(figsize=(width, height), layout="constrained")
        try:
            yield figure
        finally:
            plt.close(figure)


def save_figure(figure: Figure, path: Path) -> None:
    """Write an SVG or a PNG (160 dpi) by its suffix, without date or software version."""
    kind = Path(path).suffix.lstrip(".")
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    with atomic_file(path) as scratch:
        figure.savefig(scratch, format=kind, metadata=metadata, dpi=160)


def line_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of the line of the `number`-th network, as matplotlib names them."""
    return {"color": _LINES[number % len(_LINES)], "linestyle": _STYLES[number % len(_STYLES)]}


def title_line(name: str, corpus: str, *, synthetic: bool) -> str:
    """Return the headline of a figure, which says when its people are not people."""
    return f"{name}: {corpus}" + (f" ({SYNTHETIC})" if synthetic else "")


# Paul Tol's vibrant scheme: told apart with every common colour blindness, and on grey pictures. His grey would not
# be seen there, so the neutral face has the cyan.
CLASS_COLOURS = {"neutral": "#33bbee", "smile": "#009988", "surprise": "#ee7733", "anger": "#cc3311"}
