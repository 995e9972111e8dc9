"""Draw how often a running network is right, over the seconds that it has seen and heard."""

import math

import pandas as pd
from matplotlib.axes import Axes

from mien.report.figures import GREY, line_style


def draw_anytime(ax: Axes, curves: pd.DataFrame, *, chance: float, level: str) -> None:
    """Draw a step line with its band per network; `curves` of `report.streams.anytime_rows`, `chance` 0..1.

    A judgement stands until the next one, so lines are steps. A line begins where the first recording is judged.
    """
    for number, (network, part) in enumerate(curves.groupby("network", sort=False)):
        part = part[part.judged > 0]
        style = line_style(number)
        ax.fill_between(part.at_s, 100 * part.low, 100 * part.high, step="post", alpha=0.13, color=style["color"], lw=0)
        ax.step(part.at_s, 100 * part.accuracy, where="post", linewidth=1.9, label=network, **style)
    last_s = curves.at_s.max()
    over = curves.groupby("at_s").ended.min()
    ended = over[over > 0].index
    if len(ended) and ended[0] < last_s:
        ax.axvspan(ended[0], last_s, color=GREY, alpha=0.07, lw=0)
        ax.text(ended[0], 101, " the first clips have ended", color=GREY, fontsize=7, va="bottom")
    if not math.isnan(chance):
        ax.axhline(100 * chance, color=GREY, linewidth=0.9, linestyle=":")
        ax.text(last_s, 100 * chance + 1, "commonest emotion", color=GREY, fontsize=7, ha="right", va="bottom")
    ax.set_xlim(0, last_s)
    ax.set_ylim(0, 100)
    ax.set_xlabel("seconds of the clip seen and heard")
    ax.set_ylabel(f"clips judged right, % (n = {curves.n_clips.max()} clips, {curves.n_people.max()} actors)")
    ax.grid(color=GREY, alpha=0.15, linewidth=0.6)
    ax.legend(
        title=f"bands: {level} over actors",
        title_fontsize=7,
        frameon=False,
        ncol=2,
        loc="lower center",
        bbox_to_anchor=(0.5, -0.36),
    )
