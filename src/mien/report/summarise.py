"""Command summarise: headline metrics and plot data of all runs, in the form that DVC compares and draws.

Writes --out, {corpus: {variant: {metric: value}}}, and below --plots the folders confusion/ (a CSV per corpus and
variant: actual, predicted; a row per test clip and seed), curves/ (a CSV per corpus and variant: losses averaged over
folds and seeds) and the file learning_curves.csv (every epoch of every run).
"""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every run")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="table CLIPS of every corpus in the runs")
    parser.add_argument("--out", type=Path, required=True, help="metrics.json")
    parser.add_argument("--plots", type=Path, help="folder for the plot data; it is replaced")


def run(args: Namespace) -> None:
    """Read the runs, average them, write metrics and plot data."""
    from mien.core.files import atomic_folder, write_json
    from mien.evaluation.intensity import said
    from mien.evaluation.metrics import score, twins
    from mien.evaluation.runs import read_runs
    from mien.report.summary import headline, headline_of_intensity, write_plots

    runs = read_runs(args.runs)
    apart = twins(args.clips)
    by_corpus = {corpus: [r for r in runs if r.corpus == corpus] for corpus in sorted({r.corpus for r in runs})}
    scores = {corpus: score([r for r in own if r.target == "label"], apart) for corpus, own in by_corpus.items()}
    numbers = {corpus: said([r for r in own if r.target == "intensity"]) for corpus, own in by_corpus.items()}
    write_json(
        args.out,
        {
            corpus: headline(scores[corpus], own) | headline_of_intensity(numbers[corpus], own)
            for corpus, own in by_corpus.items()
        },
    )
    if args.plots:
        with atomic_folder(args.plots) as scratch:
            write_plots(scratch, runs, scores)
    log.info("%s: %d runs of %s", args.out, len(runs), ", ".join(scores))
