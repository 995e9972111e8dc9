"""Command plot_samples: a contact sheet of a corpus, as the networks see and hear it."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import SoundConfig, load, section
from mien.core.errors import TableError

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--faces", type=Path, help="folder of the corpus's face shards")
    parser.add_argument("--sound", type=Path, help="folder of the corpus's sound shards")
    parser.add_argument("--columns", type=int, default=6, help="columns of the sheet")
    parser.add_argument("--out-png", type=Path, required=True)


def run(args: Namespace) -> None:
    """Choose clips, read their shards, draw the sheet."""
    from mien.core import tables
    from mien.core.files import read_json
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.report.samples import choose_clips, draw_samples, only_stored, read_samples, sheet_size

    config = section(SoundConfig, load(args.config), "sound")
    info = read_json(args.corpus_info)
    stored = only_stored(tables.read(args.clips, tables.CLIPS), args.faces, args.sound)
    if not (stored.has_video | stored.has_audio).any():
        raise TableError(f"{args.clips}: no shard holds a face or a sound of these clips; name --faces or --sound")
    chosen = choose_clips(stored, args.columns)
    samples = read_samples(chosen, args.faces, args.sound, config)
    classes = [name for name in info["classes"] if name in {sample.label_name for sample in samples}]
    title = title_line("Samples", info["corpus"], synthetic=info["source"] == "synthetic")
    with new_figure(*sheet_size(samples)) as figure:
        figure.set_layout_engine("constrained", h_pad=0.015, w_pad=0.015, hspace=0.0, wspace=0.0)
        draw_samples(figure, samples, classes, title=title, rate_hz=config.rate_hz)
        save_figure(figure, args.out_png)
    log.info("%s: %d clips", args.out_png, len(samples))
