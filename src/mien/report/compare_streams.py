"""Command compare_streams: what running networks are worth (thesis 4.4, 4.5; X17 and X18), as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import load

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the streams, compare, write both files."""
    from mien.report.markdown import write_table
    from mien.report.stream_pages import render
    from mien.report.streams import (
        anytime_rows,
        compare,
        describe,
        joint_and_single,
        numbers,
        read_streams,
        ticks_of,
        with_and_without_memory,
    )

    streams = read_streams(args.runs, args.clips, args.corpus_info, load(args.config))
    networks = {row: describe(streams, row) for row in streams.rows}
    memory = [compare(streams, *pair) for pair in with_and_without_memory(streams.rows)]
    joint = [compare(streams, *pair) for pair in joint_and_single(streams)]
    curves = anytime_rows(streams, ticks_of(streams))
    text = render(streams, networks=networks, memory=memory, joint=joint, curves=curves)
    write_table(numbers(networks, [*memory, *joint], curves), text, csv=args.out_csv, md=args.out_md)
    log.info("streams: %s", "; ".join(f"{pair.one} against {pair.other} {pair.verdict()}" for pair in memory))
