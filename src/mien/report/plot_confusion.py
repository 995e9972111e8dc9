"""Command plot_confusion: confusion matrices of the joint networks of a table (thesis, figures 5.6 and 5.7)."""

import logging
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from mien.core.config import TableConfig, load, section

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--table", required=True, help="number of the table under tables in params.yaml")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-svg", type=Path, required=True)
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="the numbers behind the figure")


def run(args: Namespace) -> None:
    """Average the folds, draw a panel per joint network, write figure and numbers."""
    from mien.core.files import atomic_file, read_json
    from mien.evaluation.metrics import reported, score, twins
    from mien.evaluation.runs import read_runs, rows_in_order, select_runs
    from mien.report.comparison import joint_and_single
    from mien.report.confusion import draw_panels, panels, recalls
    from mien.report.figures import new_figure, save_figure, title_line

    table = section(TableConfig, load(args.config), "tables", args.table)
    table = replace(table, rows=rows_in_order(args.runs, table.rows))
    joint, single = joint_and_single(table)
    runs = select_runs(read_runs(args.runs), table.corpus, joint or single, n_folds=table.folds)
    scores = score(runs, twins([args.clips]))
    found = panels(scores, runs, joint or single)
    synthetic = read_json(args.corpus_info)["source"] == "synthetic"
    title = title_line(f"Figure {table.confusion}", table.corpus, synthetic=synthetic)
    title += f"\nrecall in percent, mean of {len({run.fold for run in runs})} folds, {reported(scores)} epochs"
    n_columns = min(2, len(found))
    n_rows = -(-len(found) // n_columns)
    with new_figure(0.9 + 3.7 * n_columns, 0.8 + 3.6 * n_rows) as figure:
        draw_panels(figure.subplots(n_rows, n_columns, squeeze=False).ravel(), found, list(runs[0].classes))
        figure.suptitle(title, fontsize=10)
        save_figure(figure, args.out_svg)
        save_figure(figure, args.out_png)
    with atomic_file(args.out_csv) as scratch:
        recalls(found, list(runs[0].classes)).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    log.info("figure %s: %d panels, %s", table.confusion, len(found), reported(scores))
