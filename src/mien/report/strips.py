"""Strips of frames, each framed in the colour of the label given to it (thesis, figures 4.16 and 4.17)."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from mien.core.palette import colour_of
from mien.core.shards import read_faces
from mien.evaluation.streams import Trace, standing
from mien.models.time_axes import newest_steps
from mien.report.figures import GREY

MOST_COLUMNS = 12  # pictures of a strip
EDGE, GAP = 0.07, 0.08  # width of a frame's edge and of the gap between two, shares of a column
RIBBON, ROW = 0.08, 1.42  # heights in columns: of the ribbon below the pictures, and from strip to strip


@dataclass(frozen=True, eq=False)
class Strip:
    """One recording: pictures by the number of the column, of which column k is what is seen at time k * step_s."""

    clip: str
    emotion: str
    person: str
    pictures: dict[int, np.ndarray]  # column -> (S, S, 3) uint8; only where a frame was judged since the column before


def choose_flipping(traces: list[Trace], classes: tuple[str, ...]) -> list[Trace]:
    """Return for every emotion the first recording by name in which the label changes, of the first fold and seed.

    Emotions in whose recordings the label never changes are left out.
    """
    first: dict[int, Trace] = {}
    for trace in sorted(traces, key=lambda trace: (trace.fold, trace.seed, trace.clip)):
        if trace.n_changes:
            first.setdefault(trace.label, trace)
    return [first[label] for label in range(len(classes)) if label in first]


def step_between(traces: list[Trace], *, rate_fps: int) -> float:
    """Return the seconds between two columns: so many looks that the longest recording fits into `MOST_COLUMNS`."""
    last = max(round(float(trace.time_s[-1]) * rate_fps) for trace in traces)  # number of its last look
    return math.ceil((last + 1) / MOST_COLUMNS) / rate_fps


def read_strips(
    traces: list[Trace], clips: pd.DataFrame, faces: Path, *, classes: tuple[str, ...], step_s: float
) -> list[Strip]:
    """Read what the networks saw at every column from the face shards; `clips` is table CLIPS.

    Raises
    ------
    TableError : a shard is missing.
    """
    part_of = dict(zip(clips["clip"], clips.part, strict=True))
    strips = []
    for trace in traces:
        shard = read_faces(Path(faces) / part_of[trace.clip])
        rows = np.flatnonzero((shard.index["clip"] == trace.clip) & shard.index.found)
        newest = newest_steps(shard.index.time_s.to_numpy()[rows], trace.time_s)  # (T,) frame of every judgement
        pictures = {
            column: np.array(shard.seen_along[rows[newest[step]]])
            for column, step in columns_of(trace, step_s=step_s).items()
            if newest[step] >= 0
        }
        strips.append(Strip(trace.clip, classes[trace.label], trace.person, pictures))
    return strips


def columns_of(trace: Trace, *, step_s: float) -> dict[int, int]:
    """Return column -> number of the judgement that stands at its time, if it is newer than the column before."""
    times = step_s * np.arange(int(trace.time_s[-1] / step_s + 1 + 1e-6))
    steps = standing(trace, times)
    before = np.concatenate([[-1], steps[:-1]])
    return {column: int(step) for column, (step, old) in enumerate(zip(steps, before, strict=True)) if step > old}


def draw_strips(
    ax: Axes, strips: list[Strip], traces: list[Trace | None], *, classes: tuple[str, ...], step_s: float
) -> None:
    """Draw a row per recording, the pictures framed by what a network says of them; None: it did not judge this one.

    Where a column stands for several judgements, a ribbon below the pictures shows all of them.
    """
    n_columns = 1 + max(column for strip in strips for column in strip.pictures)
    for row, (strip, trace) in enumerate(zip(strips, traces, strict=True)):
        top = row * ROW
        ax.add_patch(Rectangle((-0.28, top), 0.14, 1.0, color=colour_of(strip.emotion), lw=0))
        if trace is None:
            ax.text(0, top + 0.5, "not judged", va="center", color=GREY)
            continue
        shown = columns_of(trace, step_s=step_s)
        for column, step in shown.items():
            right = bool(trace.said[step] == trace.label)
            _draw_frame(ax, strip.pictures.get(column), classes[trace.said[step]], corner=(column, top), right=right)
        if len(trace.said) > len(shown):
            _draw_ribbon(ax, trace, classes, top=top + 1.0, step_s=step_s)
        changes = f"{trace.n_changes} change{'' if trace.n_changes == 1 else 's'}"
        share = f"{(trace.said == trace.label).mean():.0%} right"
        ax.text(n_columns + 0.05, top + 0.5, f"{changes}\n{share}", va="center", fontsize=7.5)
    ax.set_xlim(-0.3, n_columns + 1.0)
    ax.set_ylim((len(strips) - 1) * ROW + 1.32, -0.05)
    ax.set_aspect("equal")
    ax.set_yticks([row * ROW + 0.5 for row in range(len(strips))], [f"{one.emotion}\n{one.clip}" for one in strips])
    digits = 1 if math.isclose(10 * step_s, round(10 * step_s)) else 2
    ax.set_xticks(
        np.arange(n_columns) + (1 - GAP) / 2, [f"{column * step_s:.{digits}f} s" for column in range(n_columns)]
    )
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False, labelsize=7.5)
    ax.spines[:].set_visible(False)
    handles = [Patch(color=colour_of(name), label=name) for name in classes]
    ax.legend(
        handles=handles,
        ncol=len(classes),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        frameon=False,
        fontsize=7.5,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _draw_frame(ax: Axes, picture: np.ndarray | None, said: str, *, corner: tuple[float, float], right: bool) -> None:
    x, y = corner
    side = 1 - GAP
    ax.add_patch(Rectangle((x, y), side, side, color=colour_of(said), lw=0))
    if picture is not None:
        inside = (x + EDGE, x + side - EDGE, y + side - EDGE, y + EDGE)
        ax.imshow(picture, extent=inside, interpolation="bilinear", zorder=2)  # above the patch
    weight = "bold" if right else "normal"
    ax.text(x + side / 2, y + side + RIBBON + 0.06, said, ha="center", va="top", fontsize=6.5, fontweight=weight)


def _draw_ribbon(ax: Axes, trace: Trace, classes: tuple[str, ...], *, top: float, step_s: float) -> None:
    ends = np.append(trace.time_s[1:], trace.time_s[-1] + step_s / 2) / step_s
    for start, end, said in zip(trace.time_s / step_s, ends, trace.said, strict=True):
        ax.add_patch(Rectangle((start, top - GAP / 2), end - start, RIBBON, color=colour_of(classes[said]), lw=0))
