"""Command plot_streams: running networks frame by frame (thesis, figures 4.16, 4.17), and how soon they are right."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.config import load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.report.streams import Streams

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--faces", type=Path, required=True, help="folder of the corpus's face shards")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder; 4.16, 4.17, anytime as .svg and .png, and anytime.csv"
    )


def run(args: Namespace) -> None:
    """Read the streams, draw two figures of strips and one of curves."""
    from mien.report.streams import read_streams, with_and_without_memory

    streams = read_streams(args.runs, args.clips, args.corpus_info, load(args.config))
    pairs = [pair for pair in with_and_without_memory(streams.rows) if streams.rows[pair[0]].modalities == ("video",)]
    _strips(args, streams, pairs[0] if pairs else None)
    _curves(args.out, streams)
    log.info("%s: 3 figures", args.out)


def _strips(args: Namespace, streams: "Streams", pair: tuple[str, str] | None) -> None:
    """Draw the same recordings with the frame classifier's labels (4.16) and with those of the network beside it."""
    from mien.core import tables
    from mien.report.confusion import draw_absent
    from mien.report.figures import new_figure, title_line
    from mien.report.strips import ROW, choose_flipping, draw_strips, read_strips, step_between

    memory, alone = pair or ("", "")
    chosen = choose_flipping(streams.of(alone), streams.classes)
    names = {"4.16": alone, "4.17": memory}
    texts = {
        "4.16": f"the first test clip of every emotion in which {alone}, which knows one frame, changes its label",
        "4.17": f"{memory}, which carries a memory along, on the clips chosen for the changes of {alone}",
    }
    if chosen:
        step_s = step_between(chosen, rate_fps=streams.streaming.rate_fps)
        clips = tables.read(args.clips, tables.CLIPS)
        strips = read_strips(chosen, clips, args.faces, classes=streams.classes, step_s=step_s)
    for number, row in names.items():
        title = title_line(f"Figure {number}", streams.corpus, synthetic=streams.synthetic)
        with new_figure(9.0, 0.75 + 0.72 * ROW * max(len(chosen), 1)) as figure:
            figure.set_layout_engine("compressed")  # the pictures are square: their shape is fixed
            ax = figure.subplots()
            if chosen:
                found = {trace.recording: trace for trace in streams.of(row)}
                said = [found.get(trace.recording) for trace in chosen]
                draw_strips(ax, strips, said, classes=streams.classes, step_s=step_s)
                title += "\n" + texts[number]
            else:
                draw_absent(ax, title="", reason=streams.reasons.get(alone, "no label of single frames changes"))
            figure.suptitle(title, fontsize=10)
            _save(figure, args.out / number)


def _curves(out: Path, streams: "Streams") -> None:
    from mien.core.files import atomic_file
    from mien.report.anytime import draw_anytime
    from mien.report.confusion import draw_absent
    from mien.report.figures import new_figure, title_line
    from mien.report.streams import anytime_rows, times_of

    curves = anytime_rows(streams, times_of(streams))
    title = title_line("Accuracy while a clip runs", streams.corpus, synthetic=streams.synthetic)
    with new_figure(6.2, 4.2) as figure:
        ax = figure.subplots()
        if curves.empty:
            draw_absent(ax, title="", reason="; ".join(streams.reasons.values()))
        else:
            level = f"{100 * streams.evaluate.confidence:g}%"
            draw_anytime(ax, curves, chance=streams.chance, level=level)
        figure.suptitle(title, fontsize=10)
        _save(figure, out / "anytime")
    with atomic_file(out / "anytime.csv") as scratch:
        curves.round(9).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")


def _save(figure: "Figure", path: Path) -> None:
    """Write a figure as SVG and PNG; the dot of 4.16 begins no suffix."""
    from mien.report.figures import save_figure

    for kind in ("svg", "png"):
        save_figure(figure, path.with_name(f"{path.name}.{kind}"))
