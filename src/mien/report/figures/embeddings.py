"""Draw figure 5.1: what networks judge clips by, in two dimensions; a row per fold, a column per network.

Command plot_embeddings: what networks judge clips by, in two dimensions (thesis, figure 5.1).
"""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mien.config.labels import colour_of
from mien.config.schema import EmbeddingsConfig, load, section
from mien.report.figures.confusion import draw_absent
from mien.report.style import GREY

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


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="table EMBEDDINGS of every fold")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-svg", type=Path, required=True)
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="a row per point")


def run(args: Namespace) -> None:
    """Lay the vectors of every network and fold out, draw a panel of each."""
    import pandas as pd

    from mien.evaluation.embeddings import POINTS, lay_out
    from mien.io import tables
    from mien.io.files import atomic_file, read_json
    from mien.io.randomness import seed_for
    from mien.report.style import new_figure, save_figure, title_line

    params = load(args.config)
    config = section(EmbeddingsConfig, params, "embeddings")
    seed = seed_for(params["seed"], "embeddings") % 2**32  # numpy's old generators take no more
    info = read_json(args.corpus_info)
    columns = [(config.rows[key], symbol) for key, symbol in tables.FEATURES.items() if key in config.rows]
    folds = []
    for path in args.embeddings:
        rows = tables.read(path, tables.EMBEDDINGS)
        parts = [
            lay_out(part, perplexity=config.perplexity, seed=seed) for _, part in rows.groupby("variant", sort=False)
        ]
        folds.append(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=POINTS))
    name = "Figure 5.1: what networks judge clips by"
    title = title_line(name, info["corpus"], synthetic=info["source"] == "synthetic")
    with new_figure(2.7 * len(columns), 0.9 + 2.8 * len(folds)) as figure:
        draw_embeddings(figure, folds, columns, info["classes"])
        figure.suptitle(f"{title}\nt-SNE: distances and axes mean nothing, only who is beside whom", fontsize=10)
        save_figure(figure, args.out_svg)
        save_figure(figure, args.out_png)
    named = {path.stem: points for path, points in zip(args.embeddings, folds, strict=True)}
    rows = pd.concat(named, names=["fold", None]).reset_index("fold")
    with atomic_file(args.out_csv) as scratch:
        rows.to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    log.info("%s: %d points in %d panels", args.out_svg, len(rows), len(folds) * len(columns))
