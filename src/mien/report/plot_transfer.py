"""Command plot_transfer: learning curves of a study of fine-tuning, four panels (thesis, figures 4.14 and 4.15)."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of the rows, in their order")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus that is learnt")
    parser.add_argument("--figure", choices=("4.14", "4.15"), required=True, help="4.14: rates; 4.15: what is trained")
    parser.add_argument("--out-svg", type=Path, required=True)
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="the numbers drawn, a row per run and epoch")


def run(args: Namespace) -> None:
    """Read the histories, draw the panels, write the numbers behind them."""
    from mien.core.files import atomic_file, read_json
    from mien.evaluation.runs import read_runs, rows_in_order
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.report.transfer_curves import NAMES, draw_study, study_curves

    info = read_json(args.corpus_info)
    runs = read_runs(args.runs)
    order = list(rows_in_order(args.runs, {run.variant: "" for run in runs}))
    runs.sort(key=lambda run: (order.index(run.variant), run.seed))
    curves = study_curves(runs)
    with atomic_file(args.out_csv) as scratch:
        curves.to_csv(scratch, index=False, float_format="%.6g", lineterminator="\n")
    title = title_line(
        f"Figure {args.figure}: {NAMES[args.figure]}", info["corpus"], synthetic=info["source"] == "synthetic"
    )
    with new_figure(7.6, 6.2) as figure:
        draw_study(figure, curves, runs, figure_name=args.figure)
        figure.suptitle(title, fontsize=10)
        save_figure(figure, args.out_svg)
        save_figure(figure, args.out_png)
    log.info("%s: %d rows, %d of them trained", args.out_svg, len(order), curves["row"].nunique())
