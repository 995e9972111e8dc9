"""Command plot_curves: training and validation losses of the variants of a corpus."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every run of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-svg", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the histories, draw a panel per variant."""
    from mien.core.files import read_json
    from mien.evaluation.runs import read_runs
    from mien.report.confusion import draw_absent
    from mien.report.curves import draw_curves
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.report.summary import learning_curves

    info = read_json(args.corpus_info)
    runs = [run for run in read_runs(args.runs) if run.corpus == info["corpus"]]
    variants = list(dict.fromkeys(run.variant for run in runs))
    curves = learning_curves(runs)
    n_columns = min(3, max(1, len(variants)))
    n_rows = max(1, -(-len(variants) // n_columns))
    with new_figure(0.4 + 3.0 * n_columns, 0.6 + 2.3 * n_rows) as figure:
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()  # numbers of epochs differ: own axes
        for ax, variant in zip(axes, variants, strict=False):
            mine = curves[curves.variant == variant]
            if mine.empty:
                draw_absent(ax, title=variant, reason=next(run.reason for run in runs if run.variant == variant))
            else:
                draw_curves(ax, mine, title=variant)
        for ax in axes[len(variants) :]:
            ax.set_axis_off()
        if legend := next((ax for ax in axes if ax.lines), None):
            legend.legend(frameon=False)
        title = title_line("Learning curves", info["corpus"], synthetic=info["source"] == "synthetic")
        figure.suptitle(f"{title}\nthin: one fold and seed, bold: their mean", fontsize=10)
        save_figure(figure, args.out_svg)
    log.info("%s: %d variants", args.out_svg, len(variants))
