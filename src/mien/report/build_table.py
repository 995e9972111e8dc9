"""Command build_table: a table of the thesis beside ours, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from mien.core.config import EvaluateConfig, TableConfig, load, section

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--table", required=True, help="number of the table under tables in params.yaml")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, compare, write both files."""
    from mien.core.files import atomic_file, read_json
    from mien.evaluation.metrics import score, twins
    from mien.evaluation.runs import read_runs, rows_in_order, select_runs
    from mien.report.comparison import compare, joint_and_single
    from mien.report.published import published_row, read_published
    from mien.report.table_pages import Heading, render

    params = load(args.config)
    table = section(TableConfig, params, "tables", args.table)
    table = replace(table, rows=rows_in_order(args.runs, table.rows))
    evaluate = section(EvaluateConfig, params, "evaluate")
    thesis = read_published(args.thesis)
    published = {variant: published_row(thesis, name, table.corpus) for variant, name in table.rows.items()}
    runs = select_runs(read_runs(args.runs), table.corpus, table.rows, n_folds=table.folds)
    comparison = compare(runs, score(runs, twins([args.clips])), published, evaluate, seed=params["seed"])
    heading = Heading(
        number=args.table,
        title=thesis.get(args.table, {}).get("title", f"{table.corpus}"),
        corpus=table.corpus,
        synthetic=read_json(args.corpus_info)["source"] == "synthetic",
        scale=params["scale"],
        confidence=evaluate.confidence,
        n_folds=table.folds,
    )
    joint, single = joint_and_single(table)
    text = render(comparison, heading, joint=joint, single=single, pairs=table.pairs)
    with atomic_file(args.out_csv) as scratch:
        comparison.cells.round(9).to_csv(scratch, index=False, float_format="%.2f", lineterminator="\n")
    with atomic_file(args.out_md) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")
    log.info(
        "table %s: %d variants, %d folds, %d runs", args.table, len(published), len(comparison.fold_names), len(runs)
    )
