"""Running networks frame by frame (thesis, figures 4.16, 4.17), and how often they are right while a clip runs."""

import logging
import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from mien.config.labels import colour_of
from mien.config.schema import load
from mien.evaluation.streams import Trace, standing
from mien.io import tables
from mien.io.shards import read_faces
from mien.models.streaming import newest_steps
from mien.report.style import GREY, draw_absent, line_style, saved_figure, svg_png, title_line, write_numbers
from mien.report.tables.streams import Streams, anytime_rows, read_streams, times_of, with_and_without_memory

log = logging.getLogger(__name__)

MOST_COLUMNS = 12  # pictures of a strip
EDGE, GAP = 0.07, 0.08  # width of a frame's edge and of the gap between two, shares of a column
RIBBON, ROW = 0.08, 1.42  # heights in columns: of the ribbon below the pictures, and from strip to strip


def plot_streams(
    *, runs: list[Path], clips: Path, corpus_info: Path, faces: Path, out: Path, config: str = "params.yaml"
) -> None:
    """Draw what running networks say frame by frame, and their accuracy over the seconds of a clip.

    Parameters
    ----------
    out
        Folder; 4.16, 4.17, anytime as .svg and .png, and anytime.csv.
    """
    streams = read_streams(runs, clips, corpus_info, load(config))
    plot_strips(out, streams, clips=tables.read(clips, tables.CLIPS), faces=faces)
    curves = anytime_rows(streams, times_of(streams))
    title = title_line("Accuracy while a clip runs", streams.corpus, synthetic=streams.synthetic)
    with saved_figure(title, 6.2, 4.2, *svg_png(out, "anytime")) as figure:
        ax = figure.subplots()
        if curves.empty:
            draw_absent(ax, reason="; ".join(streams.reasons.values()))
        else:
            draw_anytime(ax, curves, chance=streams.chance, level=f"{100 * streams.evaluate.confidence:g}%")
    write_numbers(out / "anytime.csv", curves.round(9))
    log.info("%s: 3 figures", out)


def draw_anytime(ax: Axes, curves: pd.DataFrame, *, chance: float, level: str) -> None:
    """Draw a step line with its band per network; `curves` of `report.streams.anytime_rows`, `chance` 0..1.

    A judgement stands until the next one, so lines are steps. A line begins where the first recording is judged.
    """
    for number, (network, part) in enumerate(curves.groupby("network", sort=False)):
        part = part[part.judged > 0]
        style = line_style(number)
        ax.fill_between(part.at_s, 100 * part.low, 100 * part.high, step="post", alpha=0.13, color=style["color"], lw=0)
        ax.step(part.at_s, 100 * part.accuracy, where="post", linewidth=1.9, label=network, **style)
    last_s, first_end_s = curves.at_s.max(), curves.at_s[curves.groupby("at_s").ended.transform("min") > 0].min()
    if first_end_s < last_s:
        ax.axvspan(first_end_s, last_s, color=GREY, alpha=0.07, lw=0)
        ax.text(first_end_s, 101, " the first clips have ended", color=GREY, fontsize=7, va="bottom")
    if not math.isnan(chance):
        ax.axhline(100 * chance, color=GREY, linewidth=0.9, linestyle=":")
        ax.text(last_s, 100 * chance + 1, "commonest emotion", color=GREY, fontsize=7, ha="right", va="bottom")
    ax.set(xlim=(0, last_s), ylim=(0, 100), xlabel="seconds of the clip seen and heard")
    ax.set_ylabel(f"clips judged right, % (n = {curves.n_clips.max()} clips, {curves.n_people.max()} actors)")
    ax.grid()
    ax.legend(
        title=f"bands: {level} over actors", title_fontsize=7, ncol=2, loc="lower center", bbox_to_anchor=(0.5, -0.36)
    )


def choose_flipping(traces: list[Trace], classes: tuple[str, ...]) -> list[Trace]:
    """Return for every emotion the first recording by name in which the label changes, of the first fold and seed.

    Emotions in whose recordings the label never changes are left out.
    """
    first: dict[int, Trace] = {}
    for trace in sorted(traces, key=lambda trace: trace.recording):
        if trace.n_changes:
            first.setdefault(trace.label, trace)
    return [first[label] for label in range(len(classes)) if label in first]


def step_between(traces: list[Trace], *, rate_fps: int) -> float:
    """Return the seconds between two columns: so many looks that the longest recording fits into `MOST_COLUMNS`."""
    last = max(round(float(trace.time_s[-1]) * rate_fps) for trace in traces)  # number of its last look
    return math.ceil((last + 1) / MOST_COLUMNS) / rate_fps


def read_pictures(trace: Trace, shard: Path, *, step_s: float) -> dict[int, np.ndarray]:
    """Return column -> (S, S, 3) uint8, what the network saw at column * `step_s`; where a frame was judged since.

    Raises
    ------
    TableError : the shard is missing.
    """
    faces = read_faces(shard)
    rows = np.flatnonzero((faces.index["clip"] == trace.clip) & faces.index.found)
    newest = newest_steps(faces.index.time_s.to_numpy()[rows], trace.time_s)  # (T,) frame of every judgement
    steps = columns_of(trace, step_s=step_s).items()
    return {column: faces.seen_along[rows[newest[step]]] for column, step in steps if newest[step] >= 0}


def columns_of(trace: Trace, *, step_s: float) -> dict[int, int]:
    """Return column -> number of the judgement that stands at its time, if it is newer than the column before."""
    steps = standing(trace, step_s * np.arange(int(trace.time_s[-1] / step_s + 1 + 1e-6)))
    newer = np.diff(steps, prepend=-1) > 0
    return {int(column): int(steps[column]) for column in np.flatnonzero(newer)}


def plot_strips(out: Path, streams: Streams, *, clips: pd.DataFrame, faces: Path) -> None:
    """Draw the same recordings with the labels of the frame classifier (4.16) and of the network with memory (4.17)."""
    pairs = with_and_without_memory(streams.rows)
    memory, alone = next((pair for pair in pairs if streams.rows[pair[0]].modalities == ("video",)), ("", ""))
    chosen = choose_flipping(streams.of(alone), streams.classes)
    texts = {  # figure -> network, what is shown
        "4.16": (
            alone,
            f"the first test clip of every emotion in which {alone}, which knows one frame, changes its label",
        ),
        "4.17": (memory, f"{memory}, which carries a memory along, on the clips chosen for the changes of {alone}"),
    }
    step_s = step_between(chosen, rate_fps=streams.streaming.rate_fps) if chosen else 0.0
    part_of = dict(zip(clips["clip"], clips.part, strict=True))
    pictures = [read_pictures(trace, faces / part_of[trace.clip], step_s=step_s) for trace in chosen]
    for number, (row, text) in texts.items():
        title = title_line(f"Figure {number}", streams.corpus, synthetic=streams.synthetic)
        title += f"\n{text}" if chosen else ""
        height = 0.75 + 0.72 * ROW * max(len(chosen), 1)
        with saved_figure(title, 9.0, height, *svg_png(out, number), square=True) as figure:
            ax = figure.subplots()
            if not chosen:
                draw_absent(ax, reason=streams.reasons.get(alone, "no label of single frames changes"))
                continue
            found = {trace.recording: trace for trace in streams.of(row)}
            said = [found.get(trace.recording) for trace in chosen]
            draw_strips(ax, chosen, said, pictures, classes=streams.classes, step_s=step_s)


def draw_strips(
    ax: Axes,
    chosen: list[Trace],
    traces: list[Trace | None],
    pictures: list[dict[int, np.ndarray]],
    *,
    classes: tuple[str, ...],
    step_s: float,
) -> None:
    """Draw a row per recording, its `pictures` framed by what a network says of them; None: it did not judge this one.

    Where a column stands for several judgements, a ribbon below the pictures shows all of them.
    """
    side, n_columns = 1 - GAP, 1 + max(max(columns) for columns in pictures)
    for row, (recording, trace, seen) in enumerate(zip(chosen, traces, pictures, strict=True)):
        top = row * ROW
        ax.add_patch(Rectangle((-0.28, top), 0.14, 1.0, color=colour_of(classes[recording.label]), lw=0))
        if trace is None:
            ax.text(0, top + 0.5, "not judged", va="center", color=GREY)
            continue
        shown = columns_of(trace, step_s=step_s)
        for x, step in shown.items():
            said, weight = classes[trace.said[step]], "bold" if trace.said[step] == trace.label else "normal"
            ax.add_patch(Rectangle((x, top), side, side, color=colour_of(said), lw=0))
            if x in seen:
                inside = (x + EDGE, x + side - EDGE, top + side - EDGE, top + EDGE)
                ax.imshow(seen[x], extent=inside, interpolation="bilinear", zorder=2)  # above the patch
            at = (x + side / 2, top + side + RIBBON + 0.06)
            ax.text(*at, said, ha="center", va="top", fontsize=6.5, fontweight=weight)
        if len(trace.said) > len(shown):
            ends = np.append(trace.time_s[1:], trace.time_s[-1] + step_s / 2) / step_s
            for start, end, said in zip(trace.time_s / step_s, ends, trace.said, strict=True):
                corner = (start, top + 1.0 - GAP / 2)
                ax.add_patch(Rectangle(corner, end - start, RIBBON, color=colour_of(classes[said]), lw=0))
        changes = f"{trace.n_changes} change{'' if trace.n_changes == 1 else 's'}"
        share = f"{(trace.said == trace.label).mean():.0%} right"
        ax.text(n_columns + 0.05, top + 0.5, f"{changes}\n{share}", va="center", fontsize=7.5)
    ax.set(xlim=(-0.3, n_columns + 1.0), ylim=((len(chosen) - 1) * ROW + 1.32, -0.05), aspect="equal")
    ax.set_yticks(ROW * np.arange(len(chosen)) + 0.5, [f"{classes[one.label]}\n{one.clip}" for one in chosen])
    digits = 1 if math.isclose(10 * step_s, round(10 * step_s)) else 2
    times = [f"{column * step_s:.{digits}f} s" for column in range(n_columns)]
    ax.set_xticks(np.arange(n_columns) + side / 2, times)
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False, labelsize=7.5)
    ax.spines[:].set_visible(False)
    handles = [Patch(color=colour_of(name), label=name) for name in classes]
    look = {"fontsize": 7.5, "handlelength": 1.2, "columnspacing": 1.2}
    ax.legend(handles=handles, ncol=len(classes), loc="upper center", bbox_to_anchor=(0.5, 0.0), **look)
