"""Command judge_hypotheses: what the thesis's hypotheses come to, as a page and a table of differences."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from mien.core.config import load
from mien.core.errors import ConfigError

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every classifier and seed")
    parser.add_argument("--samples", type=Path, required=True, help="folder with samples.parquet and corpus.json")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument(
        "--transfer-runs", type=Path, nargs="+", help="run.json of the rows on FER2013 and their starts"
    )
    parser.add_argument("--transfer-clips", type=Path, help="clips.parquet of FER2013, with its corpus.json beside it")
    parser.add_argument("--variant-runs", type=Path, nargs="+", help="run.json of the variants of chapter 5")
    parser.add_argument(
        "--variant-clips", type=Path, nargs="+", help="clips.parquet of their corpora, with corpus.json beside each"
    )
    parser.add_argument("--out-md", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, judge every question, write both files."""
    from mien.report.classifiers import read_evidence
    from mien.report.hypotheses import contrast_rows, render
    from mien.report.hypothesis_c1 import judge_networks
    from mien.report.hypothesis_i7 import judge_same_features
    from mien.report.markdown import write_table

    params = load(args.config)
    evidence = read_evidence(args.runs, args.samples, args.thesis, params)
    verdicts = [judge_networks(evidence), *(judge_same_features(evidence, kind) for kind in ("AU8", "FP68"))]
    verdicts += _transfer(args, params) + _chapter5(args, params)
    text = render(verdicts, confidence=evidence.evaluate.confidence, scale=evidence.scale)
    write_table(contrast_rows(verdicts), text, csv=args.out_csv, md=args.out_md)
    log.info("hypotheses: %s", "; ".join(f"{one.key} {one.verdict}" for one in verdicts))


def _transfer(args: Namespace, params: dict[str, Any]) -> list:
    """Return the Verdict on transfer, where its runs are named."""
    from mien.report.hypothesis_c2 import judge_transfer
    from mien.report.transfer import read_transfer

    if bool(args.transfer_runs) != bool(args.transfer_clips):
        raise ConfigError("--transfer-runs and --transfer-clips belong together; name both or neither")
    if not args.transfer_runs:
        return []
    info = args.transfer_clips.with_name("corpus.json")
    return [judge_transfer(read_transfer(args.transfer_runs, args.transfer_clips, info, args.thesis, params))]


def _chapter5(args: Namespace, params: dict[str, Any]) -> list:
    """Return the verdicts of chapter 5, question by question, where its runs are named."""
    from mien.report.chapter5 import read_chapter5
    from mien.report.hypothesis_c3 import judge_time
    from mien.report.hypothesis_c4 import judge_inferior
    from mien.report.hypothesis_h import judge_folds

    if bool(args.variant_runs) != bool(args.variant_clips):
        raise ConfigError("--variant-runs and --variant-clips belong together; name both or neither")
    if not args.variant_runs:
        return []
    corpora = read_chapter5(args.variant_runs, args.variant_clips, args.thesis, params)
    verdicts = [judge(corpus) for judge in (judge_time, judge_inferior) for corpus in corpora]
    verdicts += sorted((one for corpus in corpora for one in judge_folds(corpus)), key=lambda one: one.key[:2])
    return [one for one in verdicts if one is not None]
