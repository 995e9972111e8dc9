"""Draw figure 5.1: what networks judge clips by, in two dimensions; a row per fold, a column per network."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mien.core.palette import colour_of
from mien.report.confusion import draw_absent
from mien.report.figures import GREY

SYMBOLS = {"f_v": "$f_v$", "f_a": "$f_a$", "g_va": "$g_{va}$"}
FAINT = {"s": 7, "alpha": 0.25, "linewidths": 0, "marker": "o"}
FULL = {"s": 16, "alpha": 1.0, "linewidths": 0.3, "edgecolors": "white", "marker": "o"}


def draw_embeddings(
    figure: Figure, folds: list[pd.DataFrame], columns: list[tuple[str, str]], classes: list[str]
) -> None:
    """Draw a panel per fold and network.

    folds : POINTS of `evaluation.embeddings` of every fold.   columns : (variant, feature) in their order.
    classes : emotions in the order of the labels.
    """
    axes = figure.subplots(len(folds), len(columns), squeeze=False)
    for line, points in zip(axes, folds, strict=True):
        for ax, (variant, feature) in zip(line, columns, strict=True):
            own = points[points.variant == variant]
            title = f"{SYMBOLS[feature]} of {variant}"
            if own.empty:
                draw_absent(ax, title=title, reason=f"{variant} was not trained on this fold")
            else:
                draw_panel(ax, own, classes, title=title)
        tested = sorted(points.actor[points.role == "test"].unique())
        line[0].set_ylabel(f"tested on actor{'' if len(tested) == 1 else 's'} {_listed(tested)}")
    marks = [Line2D([], [], ls="", marker="o", color=colour_of(name), label=name) for name in classes]
    marks.append(Line2D([], [], ls="", marker="o", color=GREY, alpha=FAINT["alpha"], ms=3, label="training clip"))
    figure.legend(handles=marks, loc="outside lower center", ncols=5, frameon=False)


def draw_panel(ax: Axes, points: pd.DataFrame, classes: list[str], *, title: str) -> None:
    """Draw the clips of one network and fold; test clips in full colour over faint training clips."""
    tested = points.role == "test"
    for part, look in ((points[~tested], FAINT), (points[tested], FULL)):
        ax.scatter(part.x, part.y, c=[colour_of(classes[label]) for label in part.label], **look)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left")
    means = points[tested][["by_emotion", "by_actor"]].mean()
    ax.set_xlabel(
        f"silhouette of {tested.sum()} test clips, before t-SNE:\n"
        f"by emotion {means.by_emotion:+.2f}, by actor {means.by_actor:+.2f}"
    )


def _listed(actors: list[str]) -> str:
    return ", ".join(actors) if len(actors) <= 4 else f"{actors[0]} … {actors[-1]}"
