"""Command plot_fuzziness: what missing and fuzzy information does to the networks (thesis 5.1), figure and table."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import load

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="predictions.parquet of every repetition"
    )
    parser.add_argument("--out-figures", type=Path, required=True, help="folder for fuzziness.svg and fuzziness.png")
    parser.add_argument("--out-csv", type=Path, required=True, help="every number")
    parser.add_argument("--out-md", type=Path, required=True, help="the page")


def run(args: Namespace) -> None:
    """Read the repetitions, write the table, draw the figure."""
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.report.fuzziness import WORDS, read_fuzziness, rows_of
    from mien.report.fuzziness_figure import draw_fuzziness
    from mien.report.fuzziness_pages import render
    from mien.report.markdown import write_table

    found = read_fuzziness(args.predictions, load(args.config))
    numbers = rows_of(found)
    write_table(numbers, render(found), csv=args.out_csv, md=args.out_md)
    with new_figure(8.4, 9.6) as figure:
        draw_fuzziness(figure, found, numbers)
        title = title_line("Missing and fuzzy information", f"twin of {found.config.corpus}", synthetic=True)
        figure.suptitle(title, fontsize=10)
        for kind in ("svg", "png"):
            save_figure(figure, args.out_figures / f"fuzziness.{kind}")
    log.info("residual perception protects: %s", {WORDS[kind]: found.verdict(kind) for kind in WORDS})
