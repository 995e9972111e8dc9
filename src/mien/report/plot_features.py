"""Command plot_features: learnt kernels and feature maps of a CNN-1 (thesis, figure 2.12)."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)

EMOTION = "surprise"  # of the picture: the mouth and the brows have most to see


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a CNN-1")
    parser.add_argument("--samples", type=Path, required=True, help="folder of select_samples")
    parser.add_argument("--results", type=Path, required=True, help="folder with faces/<corpus>")
    parser.add_argument("--out-svg", type=Path, required=True)
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="a row per filter of the layers shown")


def run(args: Namespace) -> None:
    """Show the network a test picture, draw its kernels and what they answer."""
    from mien.core.files import atomic_file
    from mien.models.checkpoint import is_bare
    from mien.report.feature_maps import choose_picture, draw_features, filter_numbers, look
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.samples.read import read_samples

    samples = read_samples(args.samples)
    title = title_line(
        "Figure 2.12: what a CNN-1 has learnt", samples.title, synthetic=samples.info["source"] == "synthetic"
    )
    found = None if is_bare(args.model) else look(args.model, choose_picture(samples.table, EMOTION), args.results)
    with atomic_file(args.out_csv) as scratch:
        filter_numbers(found).to_csv(scratch, index=False, float_format="%.5f", lineterminator="\n")
    with new_figure(7.8, 6.9) as figure:
        draw_features(figure, found)
        figure.suptitle(title, fontsize=10)
        save_figure(figure, args.out_svg)
        save_figure(figure, args.out_png)
    log.info("%s: %s", args.out_svg, "nothing was trained" if found is None else f"{found.variant}, {found.clip}")
