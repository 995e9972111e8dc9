"""Draw learning curves: a panel per variant, a thin line per run, the mean on top."""

import pandas as pd
from matplotlib.axes import Axes

from mien.report.figures import GREY
from mien.report.summary import mean_curves

TRAINING, VALIDATION = "#1f6fb4", "#c8521c"


def draw_curves(ax: Axes, curves: pd.DataFrame, *, title: str) -> None:
    """Draw the losses of one variant; `curves` has columns fold, seed, epoch, train_loss, validation_loss.

    The mean ends with the last epoch that every run reached: later it would be a mean over other runs.
    """
    for _, one in curves.groupby(["fold", "seed"]):
        ax.plot(one.epoch, one.train_loss, color=TRAINING, alpha=0.25, linewidth=0.7)
        ax.plot(one.epoch, one.validation_loss, color=VALIDATION, alpha=0.25, linewidth=0.7)
    mean = mean_curves(curves)
    mean = mean[mean.n_runs == mean.n_runs.max()]
    ax.plot(mean.epoch, mean.train_loss, color=TRAINING, linewidth=1.8, label="training")
    ax.plot(mean.epoch, mean.validation_loss, color=VALIDATION, linewidth=1.8, label="validation")
    n_runs = len(curves[["fold", "seed"]].drop_duplicates())
    ax.set_title(title, loc="left")
    ax.set_xlabel(f"epoch (n = {n_runs} runs)")
    ax.set_ylabel("mean loss")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    ax.grid(color=GREY, alpha=0.15, linewidth=0.6)
