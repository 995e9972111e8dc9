"""Grids of grey pictures: both sides of the test (4.6), AUG-A (4.7, 4.8), mean face and subspaces (3.1)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mien.report.figures import GREY
from mien.samples.face4 import FACE4

_ABSENT, _GAP = 242, 255  # grey levels of a cell without a picture and between cells
_GAP_PX = 3

Cells = Sequence[Sequence[np.ndarray | None]]  # rows of pictures (S, S) uint8


def draw_grid(ax: Axes, cells: Cells, *, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Draw pictures of one size in rows and columns, as one image; None is a picture without a face."""
    size = next(len(cell) for row in cells for cell in row if cell is not None)
    step = size + _GAP_PX
    sheet = np.full((len(cells) * step - _GAP_PX, len(columns) * step - _GAP_PX), _GAP, np.uint8)
    middles = (size - 1) / 2 + step * np.arange(max(len(rows), len(columns)))
    for row, pictures in enumerate(cells):
        for column, picture in enumerate(pictures):
            place = np.s_[row * step : row * step + size, column * step : column * step + size]
            sheet[place] = _ABSENT if picture is None else picture
            if picture is None:
                ax.text(
                    middles[column], middles[row], "no face\nfound", ha="center", va="center", color=GREY, fontsize=7
                )
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set_yticks(middles[: len(rows)], rows, fontsize=8)
    ax.set_xticks(middles[: len(columns)], columns, fontsize=8, fontweight="bold")
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)


def draw_sides(
    figure: Figure,
    training: pd.DataFrame,
    test: pd.DataFrame,
    *,
    pictures: dict[str, np.ndarray],
    angles: Sequence[int],
) -> None:
    """Draw training pictures left and test pictures by camera right, a row per emotion (figure 4.6).

    pictures : clip -> (S, S) uint8.   angles : the cameras that count.
    """
    left, right = figure.subplots(1, 2, width_ratios=[training.column.nunique(), test.column.nunique()])
    draw_grid(left, _cells(training, pictures), rows=FACE4, columns=[" \n \n "] * training.column.nunique())
    left.set_title("training, a row shows different people")
    notes = {True: "\n \n ", False: "\nnot in the\nheadline"}
    headings = {row.column: row.column + notes[row.angle in angles] for row in test.itertuples()}
    draw_grid(right, _cells(test, pictures), rows=[""] * len(FACE4), columns=list(headings.values()))
    right.set_title(f"test, {test.person.iloc[0]} from every camera")


def draw_versions(ax: Axes, first: Sequence[np.ndarray], versions: dict[str, np.ndarray]) -> None:
    """Draw a row per name: the picture before (S, S), framed, then what became of it (D, S, S); figures 4.7, 4.8."""
    cells = [[before, *changed] for before, changed in zip(first, versions.values(), strict=True)]
    columns = ["before", "after"] + [""] * (len(cells[0]) - 2)
    draw_grid(ax, cells, rows=list(versions), columns=columns)
    size = len(first[0])
    for row in range(len(cells)):
        corner = (-0.5, row * (size + _GAP_PX) - 0.5)
        ax.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=GREY, linewidth=1.5))


def axis_numbers(pictures: np.ndarray, labels: np.ndarray, axes: np.ndarray) -> pd.DataFrame:
    """Return what the axes (K, S, S) of unit norm tell of pictures (N, S, S) with labels (N,), a row per axis.

    Columns: axis, from 1; variance, the share of the variance of all pixels that lies along the axis; between, the
    share of the variance along the axis that lies between the means of the classes.
    """
    rows = pictures.reshape(len(pictures), -1) / 255.0
    rows = rows - rows.mean(axis=0)
    along = rows @ axes.reshape(len(axes), -1).T  # (N, K)
    variance = (along**2).mean(axis=0)
    means = np.stack([along[labels == label].mean(axis=0) for label in labels])  # (N, K)
    return pd.DataFrame(
        {
            "axis": np.arange(1, len(axes) + 1),
            "variance": variance / (rows**2).mean(axis=0).sum(),
            "between": (means**2).mean(axis=0) / variance,
        }
    )


def draw_subspaces(figure: Figure, mean: np.ndarray, kinds: dict[str, np.ndarray], numbers: pd.DataFrame) -> None:
    """Draw the mean face (S, S), and a row per kind with its axes (figure 3.1).

    kinds : name -> axes (K, S, S).   numbers : of `axis_numbers`, with the kind in an additional column.
    """
    grid = figure.subplots(len(kinds), 1 + max(map(len, kinds.values())), squeeze=False)
    for ax in grid.ravel():
        ax.set(xticks=[], yticks=[])
        ax.set_axis_off()
    grid[0, 0].imshow(mean, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    grid[0, 0].set_title("mean", fontsize=8)
    for row, (name, axes) in enumerate(kinds.items()):
        mine = numbers[numbers.kind == name].to_dict("records")
        for ax, axis, facts in zip(grid[row, 1:], axes, mine, strict=False):
            limit = np.abs(axis).max()
            ax.imshow(axis, cmap="gray", vmin=-limit, vmax=limit, interpolation="bilinear")
            ax.set_title(f"{name} {facts['axis']}", fontsize=8)
            share = f"{facts['variance']:.1%}" if facts["variance"] >= 0.001 else "< 0.1%"
            text = f"{share} of variance,\n{facts['between']:.0%} of it\nbetween classes"
            ax.text(0.5, -0.04, text, transform=ax.transAxes, ha="center", va="top", fontsize=6.5)


def _cells(rows: pd.DataFrame, pictures: dict[str, np.ndarray]) -> Cells:
    """Return the pictures by emotion and column; None where there is none, or no face in it."""
    found = {(row.label_name, row.column): pictures[row.clip] for row in rows[rows["row"] >= 0].itertuples()}
    columns = list(dict.fromkeys(rows.column))
    return [[found.get((emotion, column)) for column in columns] for emotion in FACE4]
