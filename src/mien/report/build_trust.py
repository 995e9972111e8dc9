"""Command build_trust: how far the networks of a corpus can be trusted, and what disturbs them, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import load

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--assessed", type=Path, required=True, help="folder of assess: a table ASSESSMENTS per row")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--votes", type=Path, required=True, help="table VOTES of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read what the networks said, measure, write both files."""
    from mien.report.markdown import write_table
    from mien.report.trust import read_trust
    from mien.report.trust_numbers import numbers
    from mien.report.trust_pages import render

    trust = read_trust(
        args.corpus,
        args.runs,
        assessed=args.assessed,
        clips=args.clips,
        votes=args.votes,
        info=args.corpus_info,
        params=load(args.config),
    )
    found = numbers(trust)
    write_table(found, render(trust, found), csv=args.out_csv, md=args.out_md)
    log.info("trust, %s: %d numbers of %d networks", args.corpus, len(found), len(trust.networks))
