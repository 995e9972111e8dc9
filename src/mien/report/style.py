"""What every figure shares: a look, the synthetic label, panels, and files whose bytes depend on the content only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.io.files import atomic_file

matplotlib.use("Agg")  # draws without a screen; must be chosen before pyplot is imported

SYNTHETIC = "synthetic people"
GREY = "#5a5a5a"
ABSENT = "#f2f2f2"  # of a cell without a picture
# Paul Tol's vibrant scheme: told apart with every common colour blindness, and on grey pictures. His grey would not
# be seen there, so the neutral face has the cyan.
CLASS_COLOURS = {"neutral": "#33bbee", "smile": "#009988", "surprise": "#ee7733", "anger": "#cc3311"}
_LINES = ("#7f8790", "#1f6fb4", "#c8521c", "#228833", "#aa3377", "#b5982a")  # told apart when colours are not: below
_STYLES = ((0, (4, 1.5)), "-", (0, (1, 1)), "-", (0, (6, 1.5, 1, 1.5)), "-")
_LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that text has the same extent on every machine
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GREY,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "mien",  # ids of SVG elements do not change from run to run
    "svg.fonttype": "path",
    "figure.dpi": 100,
}
DPI = 160  # of a PNG
GAP_PX = 3  # between the pictures of a grid
WHITE, ABSENT_LEVEL = 255, 242  # the latter as ABSENT


@contextmanager
def saved_figure(title: str, width: float, height: float, *paths: Path, square: bool = False) -> Iterator[Figure]:
    """Yield an empty figure of `width` x `height` inches; at the end put `title` above it and write it to `paths`.

    They are SVG or PNG by their suffixes, without date or software version.   square : the panels are pictures, whose
    shape is fixed.
    """
    with plt.rc_context(_LOOK):
        figure = plt.figure(figsize=(width, height), layout="compressed" if square else "constrained")
        try:
            yield figure
            figure.suptitle(title, fontsize=10)
            for path in paths:
                kind = Path(path).suffix.lstrip(".")
                metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
                with atomic_file(path) as scratch:
                    figure.savefig(scratch, format=kind, metadata=metadata, dpi=DPI)
                figure.set_layout_engine("none")  # the places are found; they need not be found twice
        finally:
            plt.close(figure)


def svg_png(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the two files of a figure; the dot of 4.16 begins no suffix."""
    return folder / f"{name}.svg", folder / f"{name}.png"


def write_numbers(path: Path, rows: pd.DataFrame, *, number: str = "%.4f") -> None:
    """Write the numbers behind a figure as CSV, formatted by `number`."""
    with atomic_file(path) as scratch:
        rows.to_csv(scratch, index=False, float_format=number, lineterminator="\n")


def line_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of the line of the `number`-th network, as matplotlib names them."""
    return {"color": _LINES[number % len(_LINES)], "linestyle": _STYLES[number % len(_STYLES)]}


def title_line(name: str, corpus: str, *, synthetic: bool) -> str:
    """Return the headline of a figure, which says when its people are not people."""
    return f"{name}: {corpus}" + (f" ({SYNTHETIC})" if synthetic else "")


def corpus_title(name: str, info: dict[str, Any], *, corpus: str = "") -> str:
    """Return the headline of a figure of the corpus with this corpus.json; `corpus`: its name, if another one."""
    return title_line(name, corpus or info["corpus"], synthetic=info["source"] == "synthetic")


def add_panels(figure: Figure, n: int, *, n_columns: int, **shared: Any) -> np.ndarray:
    """Return `n` axes (n,) in rows of `n_columns`; what is left over of the last row stays blank."""
    axes = figure.subplots(max(1, -(-n // n_columns)), n_columns, squeeze=False, **shared).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n]


def hide_frame(ax: Axes) -> None:
    """Show what is drawn without ticks and spines."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def draw_absent(ax: Axes, *, reason: str, title: str = "") -> None:
    """Say in place of a drawing why there is none."""
    ax.set_axis_off()
    ax.set_title(title, loc="left")
    ax.text(
        0.5, 0.5, f"not applicable:\n{reason}", ha="center", va="center", wrap=True, color=GREY, transform=ax.transAxes
    )


def draw_picture(ax: Axes, picture: np.ndarray) -> None:
    """Draw a grey (h, w) or coloured (h, w, 3) picture uint8 without a frame."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    hide_frame(ax)


def tile(pictures: np.ndarray, n_columns: int, *, gap: int, fill: float) -> np.ndarray:
    """Return pictures (N, h, w) or (N, h, w, 3) as one, in rows of `n_columns` with `gap` px of `fill` between them."""
    n, height, width, *channels = pictures.shape
    n_rows, height, width = -(-n // n_columns), height + gap, width + gap
    cells = np.full((n_rows * n_columns, height, width, *channels), fill, pictures.dtype)
    cells[:n, :-gap, :-gap] = pictures
    rows = cells.reshape(n_rows, n_columns, height, width, *channels).swapaxes(1, 2)
    return rows.reshape(n_rows * height, n_columns * width, *channels)[:-gap, :-gap]


def draw_grid(
    ax: Axes, cells: dict[tuple[int, int], np.ndarray | None], *, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Draw pictures (h, w) or (h, w, 3) uint8 by row and column as one image; None is a picture without a face."""
    shape = next(cell.shape for cell in cells.values() if cell is not None)
    pictures = np.full((len(rows), len(columns), *shape), WHITE, np.uint8)
    down, across = (
        (size - 1) / 2 + (size + GAP_PX) * np.arange(n)
        for size, n in zip(shape, (len(rows), len(columns)), strict=False)
    )
    for (row, column), picture in cells.items():
        pictures[row, column] = ABSENT_LEVEL if picture is None else picture
        if picture is None:
            at, text = (across[column], down[row]), "no face\nfound"
            ax.text(*at, text, ha="center", va="center", color=GREY, fontsize=7)
    draw_picture(ax, tile(pictures.reshape(-1, *shape), len(columns), gap=GAP_PX, fill=WHITE))
    ax.set_yticks(down, rows, fontsize=8)
    ax.set_xticks(across, columns, fontsize=8, fontweight="bold")
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)


def spread(values: Sequence[Any], n: int) -> list[Any]:
    """Return up to `n` of the values, at equal distances from the first to the last."""
    return [values[place] for place in np.linspace(0, len(values) - 1, min(n, len(values))).round().astype(int)]
