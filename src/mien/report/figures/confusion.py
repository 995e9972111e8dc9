"""Confusion matrices of the variants of a table: from scores to panels, and from panels to Axes.

Command plot_confusion: confusion matrices of the joint networks of a table (thesis, figures 5.6 and 5.7).
"""

import logging
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mien.config.schema import TableConfig, load, section
from mien.evaluation.metrics import by_fold, mean_recall_matrix, reported
from mien.evaluation.runs import Run
from mien.report.style import GREY


@dataclass(frozen=True)
class Panel:
    """One variant: recall (C, C) 0..1 averaged over folds, clips (C, C); or the reason why there is none."""

    variant: str
    title: str
    recall: np.ndarray | None = None
    clips: np.ndarray | None = None
    reason: str = ""


def panels(scores: pd.DataFrame, runs: list[Run], variants: list[str]) -> list[Panel]:
    """Return a panel per variant, of the epochs that headlines rest on."""
    scores = scores[(scores.selection == reported(scores)) & ~scores.apart.astype(bool)]
    folds = by_fold(scores)
    found = []
    for variant in variants:
        mine = scores[scores.variant == variant]
        if mine.empty:
            reason = next((run.reason for run in runs if run.variant == variant and not run.trained), "no test clips")
            found.append(Panel(variant, variant, reason=reason))
            continue
        recall, clips = mean_recall_matrix(mine, n_classes=len(runs[0].classes))
        means = folds[folds.variant == variant][["accuracy", "macro_recall"]].mean()
        title = f"{variant}   accuracy {means.accuracy:.1%}, macro recall {means.macro_recall:.1%}"
        found.append(Panel(variant, title, recall, clips))
    return found


def recalls(found: list[Panel], classes: list[str]) -> pd.DataFrame:
    """Return the numbers behind the panels: variant, truth, predicted, recall 0..1, clips (mean over seeds)."""
    rows = [
        (panel.variant, classes[i], classes[j], panel.recall[i, j], panel.clips[i, j])
        for panel in found
        if panel.recall is not None
        for i, j in np.ndindex(panel.recall.shape)
    ]
    return pd.DataFrame(rows, columns=["variant", "truth", "predicted", "recall", "clips"])


def draw_panels(axes: np.ndarray, found: list[Panel], classes: list[str]) -> None:
    """Draw a panel on each of `axes`; what is left over stays blank."""
    for ax, panel in zip(axes, found, strict=False):
        if panel.recall is None:
            draw_absent(ax, title=panel.title, reason=panel.reason)
        else:
            draw_confusion(ax, panel.recall, classes, title=panel.title, n_clips=round(panel.clips.sum()))
    for ax in axes[len(found) :]:
        ax.set_axis_off()


def draw_confusion(ax: Axes, recall: np.ndarray, classes: list[str], *, title: str, n_clips: int) -> None:
    """Draw a row-normalised confusion matrix; empty cells are cells that round to 0.

    recall : (C, C) 0..1, rows truth, columns prediction; a row of NaN is a class that was not tested.
    """
    ax.imshow(recall, vmin=0.0, vmax=1.0, cmap="Blues")
    for (row, column), value in np.ndenumerate(recall):
        if np.isnan(value) or round(100 * value) == 0:
            continue
        color = "white" if value > 0.55 else "black"
        weight = "bold" if row == column else "normal"
        ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=color, fontsize=7, fontweight=weight)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(ticks, classes)
    ax.set_xticks(np.arange(len(classes) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(classes) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=0.8)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left")
    ax.set_xlabel("predicted emotion")
    ax.set_ylabel(f"true emotion (n = {n_clips} clips)")


def draw_absent(ax: Axes, *, title: str, reason: str) -> None:
    """Say in place of a matrix why there is none."""
    ax.set_axis_off()
    ax.set_title(title, loc="left")
    ax.text(
        0.5, 0.5, f"not applicable:\n{reason}", ha="center", va="center", wrap=True, color=GREY, transform=ax.transAxes
    )


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--table", required=True, help="number of the table under tables in params.yaml")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-svg", type=Path, required=True)
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="the numbers behind the figure")


def run(args: Namespace) -> None:
    """Average the folds, draw a panel per joint network, write figure and numbers."""
    from mien.evaluation.metrics import reported, score, twins
    from mien.evaluation.runs import read_runs, select_runs
    from mien.io.files import atomic_file, read_json
    from mien.report.style import new_figure, save_figure, title_line
    from mien.report.tables.comparison import joint_and_single

    table = section(TableConfig, load(args.config), "tables", args.table)
    joint, single = joint_and_single(table)
    runs = select_runs(read_runs(args.runs), table.corpus, joint or single, n_folds=table.folds)
    scores = score(runs, twins([args.clips]))
    found = panels(scores, runs, joint or single)
    synthetic = read_json(args.corpus_info)["source"] == "synthetic"
    title = title_line(f"Figure {table.confusion}", table.corpus, synthetic=synthetic)
    title += f"\nrecall in percent, mean of {len({run.fold for run in runs})} folds, {reported(scores)} epochs"
    n_columns = min(2, len(found))
    n_rows = -(-len(found) // n_columns)
    with new_figure(0.9 + 3.7 * n_columns, 0.8 + 3.6 * n_rows) as figure:
        draw_panels(figure.subplots(n_rows, n_columns, squeeze=False).ravel(), found, list(runs[0].classes))
        figure.suptitle(title, fontsize=10)
        save_figure(figure, args.out_svg)
        save_figure(figure, args.out_png)
    with atomic_file(args.out_csv) as scratch:
        recalls(found, list(runs[0].classes)).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    log.info("figure %s: %d panels, %s", table.confusion, len(found), reported(scores))
