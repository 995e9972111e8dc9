"""Command draw_networks: N0, N1 and N2, and N2 over three modalities, from their modules (thesis, figures 5.4, 5.5).

Drawn are the networks of the thesis: 64 channels in the first stage, LSTM, eight emotions.
"""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)

SIZES = {"aggregator": "lstm", "side_head": "dense", "classes": 8, "width": 64, "dropout": 0.5}
FUSIONS = {"N0": "n0", "N1": "n1", "N2 (MRPN)": "mrpn"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is written."""
    parser.add_argument("--out", type=Path, required=True, help="folder for 5.4 and 5.5, each as .svg and .png")


def run(args: Namespace) -> None:
    """Build the networks without numbers, trace them, draw them."""
    import torch

    from mien.models.build import build, n_parameters
    from mien.models.graph import boxes_of
    from mien.report.figures import new_figure, save_figure
    from mien.report.network_figures import draw_network

    panels = {
        "5.4": [(name, ("video", "audio"), fusion) for name, fusion in FUSIONS.items()],
        "5.5": [("MRPN of M = 3 modalities, as of any number", ("video", "audio", "units"), "mrpn")],
    }
    for figure_name, shown in panels.items():
        n_rows = sum(len(modalities) + 1 for _, modalities, _ in shown)
        with new_figure(9.6, 0.6 + 0.84 * n_rows) as figure:
            axes = figure.subplots(len(shown), squeeze=False)[:, 0]
            for ax, (name, modalities, fusion) in zip(axes, shown, strict=True):
                with torch.device("meta"):  # shapes without numbers
                    model = build(modalities, fusion=fusion, **SIZES)
                count = f"{n_parameters(model):,}".replace(",", " ")
                draw_network(ax, boxes_of(model), title=f"{name}: {count} weights")
            figure.suptitle(f"Figure {figure_name}. Dashed: in training only", fontsize=10)
            for suffix in ("svg", "png"):
                save_figure(figure, args.out / f"{figure_name}.{suffix}")
        log.info("%s: %d networks", args.out / f"{figure_name}.svg", len(shown))
