"""Command track: write the training runs into the MLflow store, a window on the files and never their source."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--db", type=Path, required=True, help="SQLite store of MLflow, brought up to date in place")
    parser.add_argument("--artifacts", type=Path, required=True, help="folder that mlflow ui serves: mlartifacts")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every run there is")
    parser.add_argument(
        "--corpus-info", type=Path, nargs="+", required=True, help="corpus.json of every corpus in the runs"
    )


def run(args: Namespace) -> None:
    """Add what is new, replace what changed, remove what vanished."""
    from mien.core.provenance import git_revision
    from mien.core.records import read_corpora, read_records
    from mien.core.tracking import synchronise

    records = read_records(args.runs, read_corpora(args.corpus_info))
    count = synchronise(records, args.db, args.artifacts, revision=git_revision())
    log.info(
        "%s: %d kept, %d added, %d replaced, %d removed",
        args.db,
        count.kept,
        count.added,
        count.replaced,
        count.removed,
    )
