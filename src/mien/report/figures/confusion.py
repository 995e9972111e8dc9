"""Confusion matrices of the joint networks of a table (thesis, figures 5.6 and 5.7)."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mien.config.schema import TableConfig, load, section
from mien.evaluation.metrics import by_fold, mean_recall_matrix, read_duplicates, reported, score
from mien.evaluation.runs import read_runs, select_runs
from mien.io.files import read_json
from mien.report.style import add_panels, corpus_title, draw_absent, saved_figure, write_numbers
from mien.report.tables.comparison import joint_and_single

log = logging.getLogger(__name__)


def plot_confusion(
    *,
    table: str,
    runs: list[Path],
    clips: Path,
    corpus_info: Path,
    out_svg: Path,
    out_png: Path,
    out_csv: Path,
    config: str = "params.yaml",
) -> None:
    """Average the folds and draw the confusion matrix of every joint network of a table."""
    settings = section(TableConfig, load(config), "tables", table)
    joint, single = joint_and_single(settings)
    variants = joint or single
    chosen = select_runs(read_runs(runs), settings.corpus, variants, n_folds=settings.folds)
    classes, reasons = list(chosen[0].classes), {run.variant: run.reason for run in reversed(chosen) if not run.trained}
    scores = score(chosen, read_duplicates([clips]))
    selection = reported(scores)
    scores = scores[(scores.selection == selection) & ~scores.apart.astype(bool)]
    means = by_fold(scores).groupby("variant")[["accuracy", "uar"]].mean()
    title = corpus_title(f"Figure {settings.confusion}", read_json(corpus_info), corpus=settings.corpus)
    title += f"\nrecall in percent, mean of {len({run.fold for run in chosen})} folds, {selection} epochs"
    n_columns = min(2, len(variants))
    size = (0.9 + 3.7 * n_columns, 0.8 + 3.6 * -(-len(variants) // n_columns))
    rows = [pd.DataFrame(columns=["variant", "truth", "predicted", "recall", "clips"])]
    with saved_figure(title, *size, out_svg, out_png) as figure:
        for variant, ax in zip(variants, add_panels(figure, len(variants), n_columns=n_columns), strict=True):
            mine = scores[scores.variant == variant]
            if mine.empty:
                draw_absent(ax, title=variant, reason=reasons.get(variant, "no test clips"))
                continue
            recall, clips_of = mean_recall_matrix(mine, n_classes=len(classes))
            accuracy, uar = means.loc[variant]
            text = f"{variant}   accuracy {accuracy:.1%}, UAR {uar:.1%}"
            draw_confusion(ax, recall, classes, title=text, n_clips=round(clips_of.sum()))
            pairs = pd.MultiIndex.from_product([[variant], classes, classes], names=rows[0].columns[:3])
            numbers = pd.DataFrame({"recall": recall.ravel(), "clips": clips_of.ravel()}, index=pairs)
            rows.append(numbers.reset_index())
    write_numbers(out_csv, pd.concat(rows[1:] or rows))
    log.info("figure %s: %d panels, %s", settings.confusion, len(variants), selection)


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
    ticks, borders = np.arange(len(classes)), np.arange(len(classes) + 1) - 0.5
    ax.set_xticks(ticks, classes, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(ticks, classes)
    ax.set_xticks(borders, minor=True)
    ax.set_yticks(borders, minor=True)
    ax.grid(which="minor", color="white", alpha=1.0, linewidth=0.8)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left")
    ax.set_xlabel("predicted emotion")
    ax.set_ylabel(f"true emotion (n = {n_clips} clips)")
