"""Command plot_trust: draw the numbers of build_trust: reliability, coverage, conditions, people."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--table", type=Path, required=True, help="CSV of build_trust")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder; trust-<corpus>-<what> as .svg and .png")


def run(args: Namespace) -> None:
    """Read the numbers, draw four figures."""
    from mien.core.files import read_json
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.report.trust_figures import (
        conditions_size,
        draw_conditions,
        draw_coverage,
        draw_people,
        draw_reliability,
        people_size,
        reliability_size,
    )
    from mien.report.trust_table import read_numbers

    numbers, info = read_numbers(args.table), read_json(args.corpus_info)
    chance = 100 * max(info["counts"].values()) / max(sum(info["counts"].values()), 1)
    draw = {
        "reliability": ("Confidence and accuracy", reliability_size(numbers.network.nunique()), draw_reliability),
        "coverage": ("Accuracy where a network may stay silent", (5.6, 4.2), _on_one_ax(draw_coverage)),
        "conditions": (
            "Accuracy under disturbances",
            conditions_size(numbers),
            lambda figure, numbers: draw_conditions(figure, numbers, chance=chance),
        ),
        "people": ("Who and what is judged right", people_size(numbers), draw_people),
    }
    for name, (title, size, function) in draw.items():
        with new_figure(*size) as figure:
            function(figure, numbers)
            figure.suptitle(title_line(title, info["corpus"], synthetic=info["source"] == "synthetic"), fontsize=10)
            for kind in ("svg", "png"):
                save_figure(figure, args.out / f"trust-{info['corpus']}-{name}.{kind}")
    log.info("%s: %d figures", args.out, len(draw))


def _on_one_ax(function):
    """Return `function`, which draws on an Axes, as one that draws on a figure."""
    return lambda figure, numbers: function(figure.subplots(), numbers)
