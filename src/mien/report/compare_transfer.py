"""Command compare_transfer: table 4.3 of the thesis beside ours, with what it cost, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import load

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help="run.json of every row on FER2013 and of its starts"
    )
    parser.add_argument("--clips", type=Path, required=True, help="clips.parquet of FER2013")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of FER2013")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, compare, write the table."""
    from mien.report.markdown import write_table
    from mien.report.transfer import compare_transfer, read_transfer
    from mien.report.transfer_pages import render_transfer

    evidence = read_transfer(args.runs, args.clips, args.corpus_info, args.thesis, load(args.config))
    cells = compare_transfer(evidence)
    write_table(cells, render_transfer(cells, evidence), csv=args.out_csv, md=args.out_md)
    log.info("table 4.3: %d rows, %d of them not trained", len(evidence.names), len(evidence.reasons))
