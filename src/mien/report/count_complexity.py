"""Command count_complexity: the listings of thesis section 4.4 (study X19), counted again, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import load, section

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the emotions that ours know")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Build the networks without numbers, count, write the table."""
    from mien.core.files import read_json
    from mien.report.complexity import count_listings, count_ours, frame_of, read_printed, render
    from mien.report.markdown import write_table

    params = load(args.config)
    classes = len(read_json(args.corpus_info)["classes"])
    printed, ours = read_printed(args.thesis), count_ours(params, classes=classes)
    listings = count_listings(printed)
    text = render(listings, ours, classes=classes, scale=section(str, params, "scale"))
    write_table(frame_of(listings, ours), text, csv=args.out_csv, md=args.out_md)
    log.info("complexity: two listings and %d networks counted", len(ours))
