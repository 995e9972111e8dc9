"""What networks judge clips by, in two dimensions; a row per fold, a column per network (thesis, figure 5.1)."""

import logging
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mien.config.labels import colour_of
from mien.config.schema import EmbeddingsConfig, load, section
from mien.evaluation.embeddings import POINTS, tsne_layout
from mien.io import tables
from mien.io.files import read_json
from mien.io.randomness import seed_for
from mien.report.style import GREY, corpus_title, draw_absent, hide_frame, saved_figure, write_numbers

log = logging.getLogger(__name__)

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
        names = ", ".join(tested) if len(tested) <= 4 else f"{tested[0]} … {tested[-1]}"
        line[0].set_ylabel(f"tested on actor{'' if len(tested) == 1 else 's'} {names}")
    marks = [Line2D([], [], ls="", marker="o", color=colour_of(name), label=name) for name in classes]
    marks.append(Line2D([], [], ls="", marker="o", color=GREY, alpha=FAINT["alpha"], ms=3, label="training clip"))
    figure.legend(handles=marks, loc="outside lower center", ncols=5)


def draw_panel(ax: Axes, points: pd.DataFrame, classes: list[str], *, title: str) -> None:
    """Draw the clips of one network and fold; test clips in full colour over faint training clips."""
    tested = points.role == "test"
    for part, look in ((points[~tested], FAINT), (points[tested], FULL)):
        ax.scatter(part.x, part.y, c=[colour_of(classes[label]) for label in part.label], **look)
    hide_frame(ax)
    ax.set_title(title, loc="left")
    means = points[tested][["by_emotion", "by_actor"]].mean()
    ax.set_xlabel(
        f"silhouette of {tested.sum()} test clips, before t-SNE:\n"
        f"by emotion {means.by_emotion:+.2f}, by actor {means.by_actor:+.2f}"
    )


def plot_embeddings(
    *,
    embeddings: list[Path],
    corpus_info: Path,
    out_svg: Path,
    out_png: Path,
    out_csv: Path,
    config: str = "params.yaml",
) -> None:
    """Lay the vectors of every network and fold out in two dimensions, and draw a panel of each.

    Parameters
    ----------
    embeddings
        Table EMBEDDINGS of every fold.
    out_csv
        A row per point.
    """
    params = load(config)
    settings = section(EmbeddingsConfig, params, "embeddings")
    seed = seed_for(params["seed"], "embeddings") % 2**32  # numpy's old generators take no more
    info = read_json(corpus_info)
    columns = [(settings.rows[key], symbol) for key, symbol in tables.FEATURES.items() if key in settings.rows]
    folds = {}
    for path in embeddings:
        parts = tables.read(path, tables.EMBEDDINGS).groupby("variant", sort=False)
        points = [tsne_layout(part, perplexity=settings.perplexity, seed=seed) for _, part in parts]
        folds[path.stem] = pd.concat(points, ignore_index=True) if points else pd.DataFrame(columns=POINTS)
    title = corpus_title("Figure 5.1: what networks judge clips by", info)
    title += "\nt-SNE: distances and axes mean nothing, only who is beside whom"
    with saved_figure(title, 2.7 * len(columns), 0.9 + 2.8 * len(folds), out_svg, out_png) as figure:
        draw_embeddings(figure, list(folds.values()), columns, info["classes"])
    rows = pd.concat(folds, names=["fold", None]).reset_index("fold")
    write_numbers(out_csv, rows)
    log.info("%s: %d points in %d panels", out_svg, len(rows), len(folds) * len(columns))
