"""Confusion matrices of the joint networks of a table (thesis, figures 5.6 and 5.7)."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mien.config.schema import TableConfig, load, section
from mien.evaluation.metrics import by_fold, mean_recall_matrix, read_duplicates, reported, score
from mien.evaluation.runs import Run, read_runs, select_runs
from mien.io.files import read_json
from mien.report.style import add_panels, draw_absent, saved_figure, title_line, write_numbers
from mien.report.tables.comparison import joint_and_single

log = logging.getLogger(__name__)


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
    """Draw a panel on each of `axes`."""
    for ax, panel in zip(axes, found, strict=True):
        if panel.recall is None:
            draw_absent(ax, title=panel.title, reason=panel.reason)
        else:
            draw_confusion(ax, panel.recall, classes, title=panel.title, n_clips=round(panel.clips.sum()))


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
    """Average the folds and draw the confusion matrix of every joint network of a table.

    Parameters
    ----------
    table
        Number of the table under tables in params.yaml.
    runs
        run.json of every fold and seed.
    clips
        Table CLIPS of the corpus.
    corpus_info
        corpus.json of the corpus.
    out_svg, out_png
        The figure.
    out_csv
        The numbers behind it.
    config
        params.yaml, or its sections as JSON text.
    """
    settings = section(TableConfig, load(config), "tables", table)
    joint, single = joint_and_single(settings)
    chosen = select_runs(read_runs(runs), settings.corpus, joint or single, n_folds=settings.folds)
    scores = score(chosen, read_duplicates([clips]))
    found, classes = panels(scores, chosen, joint or single), list(chosen[0].classes)
    synthetic = read_json(corpus_info)["source"] == "synthetic"
    title = title_line(f"Figure {settings.confusion}", settings.corpus, synthetic=synthetic)
    title += f"\nrecall in percent, mean of {len({run.fold for run in chosen})} folds, {reported(scores)} epochs"
    n_columns = min(2, len(found))
    n_rows = -(-len(found) // n_columns)
    with saved_figure(title, 0.9 + 3.7 * n_columns, 0.8 + 3.6 * n_rows, out_svg, out_png) as figure:
        draw_panels(add_panels(figure, len(found), n_columns=n_columns), found, classes)
    write_numbers(out_csv, recalls(found, classes))
    log.info("figure %s: %d panels, %s", settings.confusion, len(found), reported(scores))
