"""Command judge_hypotheses: what the thesis's hypotheses come to, as a page and a table of differences."""

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
    parser.add_argument("--out-md", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, judge every question, write both files."""
    from mien.report.classifiers import read_evidence
    from mien.report.hypotheses import contrast_rows, render
    from mien.report.hypothesis_c1 import judge_networks
    from mien.report.hypothesis_i7 import judge_same_features
    from mien.report.markdown import write_table

    evidence = read_evidence(args.runs, args.samples, args.thesis, load(args.config))
    verdicts = [judge_networks(evidence), *(judge_same_features(evidence, kind) for kind in ("AU8", "FP68"))]
    text = render(verdicts, confidence=evidence.evaluate.confidence, scale=evidence.scale)
    write_table(contrast_rows(verdicts), text, csv=args.out_csv, md=args.out_md)
    log.info("hypotheses: %s", "; ".join(f"{one.key} {one.verdict}" for one in verdicts))
