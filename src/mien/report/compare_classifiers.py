"""Command compare_classifiers: tables 4.1 and 4.2 of the thesis beside ours, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import load

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every classifier and seed")
    parser.add_argument("--samples", type=Path, required=True, help="folder with samples.parquet and corpus.json")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-41", type=Path, required=True, help="table 4.1; .csv and .md are added")
    parser.add_argument("--out-42", type=Path, required=True, help="table 4.2; .csv and .md are added")


def run(args: Namespace) -> None:
    """Read the runs, compare, write both tables."""
    from mien.report.classifier_pages import render_once, render_repeats
    from mien.report.classifiers import compare_once, compare_repeats, read_evidence
    from mien.report.markdown import write_table

    evidence = read_evidence(args.runs, args.samples, args.thesis, load(args.config))
    cells, repeats = compare_once(evidence), compare_repeats(evidence)
    write_table(cells, render_once(cells, evidence), **_files(args.out_41))
    write_table(repeats, render_repeats(repeats, evidence), **_files(args.out_42))
    log.info("tables 4.1 and 4.2: %d classifiers, %d runs", len(evidence.classifiers), len(args.runs))


def _files(path: Path) -> dict[str, Path]:
    """Return the two files of a table; the dot of 4.1 begins no suffix."""
    return {kind: path.with_name(f"{path.name}.{kind}") for kind in ("csv", "md")}
