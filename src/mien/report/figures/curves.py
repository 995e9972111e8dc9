"""Learning curves: a panel per network of a corpus, and the studies of fine-tuning (thesis, figures 4.14, 4.15)."""

import logging
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, ScalarFormatter

from mien.errors import TableError
from mien.evaluation.runs import Run, read_run, read_runs
from mien.io.files import read_json
from mien.io.tables import TRAIN_ACCURACY
from mien.report.style import GREY, add_panels, corpus_title, draw_absent, saved_figure, write_numbers
from mien.report.tables.summary import learning_curves, mean_curves

log = logging.getLogger(__name__)

COLOURS = {"train_loss": "#1f6fb4", "validation_loss": "#c8521c"}
NAMES = {"4.14": "impact of the learning rate", "4.15": "impact of what is trained"}  # figure -> title
PANELS = {  # column of history.csv -> title, in the places of the thesis
    TRAIN_ACCURACY: "training accuracy",
    "train_loss": "training loss",
    "validation_accuracy": "validation accuracy",
    "validation_loss": "validation loss",
}
CURVES = ["row", "seed", "learning_rate", "trained", "epoch", *PANELS, "chosen"]
TRAINED = {"all": "whole network", "dense": "dense layers only"}  # pretrain.trained -> words of the legend
_DECADE = 10.0  # a loss that spans more has a logarithmic axis
_MARKS = "osD^vPX"
_COLOURS = ("#c8521c", "#1f6fb4", "#2e8b57", "#8a4fa3", "#7a6a00")
_RING = {"marker": "o", "markersize": 9.0, "markerfacecolor": "none", "markeredgewidth": 1.1, "clip_on": False}
_WIDTH = 118  # characters of a line above the legend


def plot_curves(*, runs: list[Path], corpus_info: Path, out_svg: Path) -> None:
    """Draw the losses of training and validation, a panel per variant of a corpus.

    Parameters
    ----------
    out_svg
        The figure.
    """
    info = read_json(corpus_info)
    mine = [run for run in read_runs(runs) if run.corpus == info["corpus"]]
    absent = {run.variant: run.reason for run in reversed(mine)}
    variants = list(dict.fromkeys(run.variant for run in mine))
    curves = learning_curves(mine)
    n_columns = min(3, max(1, len(variants)))
    size = (0.4 + 3.0 * n_columns, 0.6 + 2.3 * max(1, -(-len(variants) // n_columns)))
    title = f"{corpus_title('Learning curves', info)}\nthin: one fold and seed, bold: their mean"
    with saved_figure(title, *size, out_svg) as figure:
        axes = add_panels(figure, len(variants), n_columns=n_columns)  # numbers of epochs differ: own axes
        for ax, variant in zip(axes, variants, strict=True):
            rows = curves[curves.variant == variant]
            if rows.empty:
                draw_absent(ax, title=variant, reason=absent[variant])
            else:
                draw_losses(ax, rows, title=variant)
        if legend := next((ax for ax in axes if ax.lines), None):
            legend.legend()
    log.info("%s: %d variants", out_svg, len(variants))


def draw_losses(ax: Axes, curves: pd.DataFrame, *, title: str) -> None:
    """Draw the losses of one variant; `curves` has columns fold, seed, epoch, train_loss, validation_loss.

    The mean ends with the last epoch that every run reached: later it would be a mean over other runs.
    """
    runs = curves.groupby(["fold", "seed"])
    mean = mean_curves(curves)
    mean = mean[mean.n_runs == mean.n_runs.max()]
    for _, one in runs:
        for column, colour in COLOURS.items():
            ax.plot(one.epoch, one[column], color=colour, alpha=0.25, linewidth=0.7)
    for column, colour in COLOURS.items():
        ax.plot(mean.epoch, mean[column], color=colour, linewidth=1.8, label=PANELS[column].removesuffix(" loss"))
    ax.set_title(title, loc="left")
    ax.set(xlabel=f"epoch (n = {runs.ngroups} runs)", ylabel="mean loss")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    ax.grid()


def plot_transfer(
    *,
    runs: list[Path],
    corpus_info: Path,
    figure: Literal["4.14", "4.15"],
    out_svg: Path,
    out_png: Path,
    out_csv: Path,
) -> None:
    """Draw a study of fine-tuning: accuracy and loss, in training and in validation, a line per row.

    Parameters
    ----------
    runs
        run.json of the rows, in their order.
    corpus_info
        corpus.json of the corpus that is learnt.
    figure
        4.14: learning rates; 4.15: what is trained.
    out_csv
        The numbers drawn, a row per run and epoch.
    """
    title = corpus_title(f"Figure {figure}: {NAMES[figure]}", read_json(corpus_info))
    order = [read_run(path).variant for path in runs]
    found = sorted(read_runs(runs), key=lambda run: (order.index(run.variant), run.seed))
    curves = study_curves(found)
    write_numbers(out_csv, curves, number="%.6g")
    with saved_figure(title, 7.6, 6.2, out_svg, out_png) as drawn:
        draw_study(drawn, curves, found, ordered=figure == "4.14")
    log.info("%s: %d rows, %d of them trained", out_svg, len(order), curves["row"].nunique())


def study_curves(runs: Sequence[Run]) -> pd.DataFrame:
    """Return CURVES, a row per epoch of every trained run, runs in their order.

    learning_rate and trained are those of the row in params.yaml. chosen : the epoch of lowest validation loss, whose
    weights are kept.

    Raises
    ------
    TableError : the runs have different classes, or one was not made by `pretrain`.
    """
    frames = [pd.DataFrame(columns=CURVES)]
    for run in runs:
        if run.classes != runs[0].classes:
            raise TableError(f"{run.folder}/run.json: other classes than {runs[0].folder}; name rows of one corpus")
        if not run.trained:
            continue
        row, history = run.record.get("config", {}).get("pretrain", {}), run.history()
        if not {"learning_rate", "trained"} <= row.keys() or row["trained"] not in TRAINED:
            raise TableError(f"{run.folder}/run.json: not a run of `pretrain`; name rows of the section pretrain")
        if missing := [column for column in ("epoch", *PANELS) if column not in history]:
            raise TableError(f"{run.folder}/history.csv lacks {', '.join(missing)}; train it again with `pretrain`")
        frames.append(
            history.assign(
                row=run.variant,
                seed=run.seed,
                learning_rate=row["learning_rate"],
                trained=row["trained"],
                chosen=history.epoch == run.record["best_epoch"]["honest"],
            )[CURVES]
        )
    return pd.concat(frames[1:] or frames, ignore_index=True)


def draw_study(figure: Figure, curves: pd.DataFrame, runs: Sequence[Run], *, ordered: bool) -> None:
    """Draw four panels of `study_curves`, in the places of the thesis, and below them what the lines mean.

    runs : those of the curves and those that were not trained, whose reasons are printed.
    ordered : rows are rates that fall, their colours go from dark to light.
    """
    axes = dict(zip(PANELS, figure.subplots(2, 2).ravel(), strict=True))
    absent = {run.variant: run.reason for run in runs if not run.trained}
    if curves.empty:
        for column, ax in axes.items():
            reason = textwrap.fill(" ".join(dict.fromkeys(absent.values())), 40)
            draw_absent(ax, title=PANELS[column], reason=reason)
        return
    looks, handles = {}, []
    rows = curves.drop_duplicates("row")
    for k, row in enumerate(rows.itertuples()):
        share = 0.88 * k / max(1, len(rows) - 1)
        colour = mpl.colormaps["viridis"](share) if ordered else _COLOURS[k % len(_COLOURS)]
        looks[row.row] = {"color": colour, "marker": _MARKS[k % len(_MARKS)], "markersize": 3.6, "linewidth": 1.4}
        mantissa, exponent = f"{row.learning_rate:e}".split("e")
        factor = "" if float(mantissa) == 1 else rf"{float(mantissa):g}\cdot"
        label = f"{TRAINED[row.trained]} at ${factor}10^{{{int(exponent)}}}$ ({row.row})"
        handles.append(Line2D([], [], **looks[row.row], label=label))
    for column, ax in axes.items():
        draw_panel(ax, curves, column, looks=looks, n_classes=len(runs[0].classes))
    accuracies = [TRAIN_ACCURACY, "validation_accuracy"]
    for column in accuracies:
        axes[column].set_ylim(0.0, max(curves[accuracies].max().max() * 1.06, 0.3))
    for column in ("validation_accuracy", "validation_loss"):
        axes[column].set_xlabel("epoch")
    handles += [
        Line2D([], [], **_RING, color=GREY, linestyle="none", label="epoch whose weights are kept"),
        Line2D([], [], color=GREY, linestyle="--", linewidth=1.0, label="guessing without looking"),
    ]
    notes = [textwrap.fill(f"{name} was not trained: {reason}", _WIDTH) for name, reason in absent.items()]
    look = {"title": "\n".join(notes), "title_fontsize": 7, "ncols": 3, "handlelength": 2.6}
    figure.legend(handles=handles, loc="outside lower center", **look)


def draw_panel(ax: Axes, curves: pd.DataFrame, column: str, *, looks: dict[str, dict], n_classes: int) -> None:
    """Draw one column of `study_curves`, a line per row and seed, with a ring at the chosen epoch in validation.

    looks : row -> properties of its lines. A loss has a logarithmic axis where it spans more than a decade. Dashed:
    what equal scores for all classes give.
    """
    for (name, _), one in curves.groupby(["row", "seed"], sort=False):
        one = one.dropna(subset=[column])  # not every epoch need have been evaluated
        ax.plot(one.epoch, one[column], **looks[name], markevery=max(1, len(one) // 10))
        if column.startswith("validation"):
            chosen = one[one.chosen]
            ax.plot(chosen.epoch, chosen[column], **_RING, color=looks[name]["color"], linestyle="none")
    ax.set_title(PANELS[column], loc="left")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.margins(y=0.08)
    ax.grid()
    if column in COLOURS:
        guessing = np.log(n_classes)
        ax.set_ylabel("mean cross-entropy, nat")
        lowest, highest = curves[column].min(), curves[column].max()
        if lowest > 0 and highest > _DECADE * lowest:
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if highest < 1000 * lowest else (1.0,)))
            ax.yaxis.set_major_formatter(ScalarFormatter())
            ax.yaxis.get_major_formatter().set_scientific(False)
            ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        guessing = 1.0 / n_classes
        ax.set_ylabel("share of pictures")
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    low, high = ax.get_ylim()
    ax.axhline(guessing, color=GREY, linestyle="--", linewidth=1.0, zorder=1)
    ax.set_ylim(min(low, 0.97 * guessing), max(high, 1.03 * guessing))
