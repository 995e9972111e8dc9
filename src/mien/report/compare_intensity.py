"""Command compare_intensity: how well networks say how strongly an emotion is acted, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import EvaluateConfig, IntensityConfig, load, section

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Hold what the runs say against the levels, write both files."""
    from mien.core.files import read_json
    from mien.evaluation.intensity import compare, said
    from mien.evaluation.metrics import reported
    from mien.evaluation.runs import read_runs, select_runs
    from mien.report.intensity import Heading, render
    from mien.report.markdown import write_table

    params = load(args.config)
    config = section(IntensityConfig, params, "intensity")
    confidence = section(EvaluateConfig, params, "evaluate").confidence
    runs = select_runs(read_runs(args.runs), config.corpus, config.rows)
    rows = said(runs)
    selection = reported(rows)
    table = compare(rows[rows.selection == selection], confidence=confidence)
    synthetic = read_json(args.corpus_info)["source"] == "synthetic"
    heading = Heading(config.corpus, params["scale"], selection, confidence, synthetic=synthetic)
    write_table(table, render(table, runs, heading), csv=args.out_csv, md=args.out_md)
    log.info("intensity on %s: %d rows of numbers from %d runs", config.corpus, len(table), len(runs))
