"""Command draw_candide: the mesh, its units, and the landmarks (thesis, figures 3.8 and 4.1 to 4.4)."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

LENS = "boxes: the lids of an eye enlarged, dashed at rest; how far they move up in model units"

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--samples", type=Path, required=True, help="folder of select_samples")
    parser.add_argument("--out", type=Path, required=True, help="folder; 3.8, 4.1, 4.2, 4.3, 4.4 as .svg and .png")


def run(args: Namespace) -> None:
    """Draw the mesh and the mean landmarks of the neutral frontal pictures."""
    from mien.candide.correspondence import VERTICES
    from mien.candide.mesh import load_mesh
    from mien.core.config import CandideConfig, load, section
    from mien.report.candide_figures import (
        draw_actions,
        draw_groups,
        draw_numbers,
        draw_shapes,
        draw_views,
        mean_landmarks,
        neutral_frontal,
    )
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.samples.read import read_samples

    candide = section(CandideConfig, load(args.config), "candide")
    mesh = load_mesh()
    samples = read_samples(args.samples)
    averaged = neutral_frontal(samples.table)
    points, n_learnt = mean_landmarks(averaged), (averaged.role == "training").sum()
    corpus, synthetic = samples.title, samples.info["source"] == "synthetic"
    numbers = title_line("Figure 4.1: the 68 landmarks", corpus, synthetic=synthetic)
    groups = title_line("Figure 4.4: groups of landmarks", corpus, synthetic=synthetic)
    mean = f"mean of {len(averaged)} neutral frontal pictures: {n_learnt} training, {len(averaged) - n_learnt} test"
    drawings = {  # figure -> width and height in inches, title, what draws it
        "3.8": ((7.2, 4.2), "Figure 3.8: the Candide-3 mesh, 113 vertices, 184 triangles", draw_views, (mesh,)),
        "4.1": ((7.6, 4.6), f"{numbers}\n{mean}", draw_numbers, (points,)),
        "4.2": ((8.6, 7.4), f"Figure 4.2: action units of Candide-3\n{LENS}", draw_actions, (mesh,)),
        "4.3": ((10.6, 5.7), "Figure 4.3: shape units of Candide-3", draw_shapes, (mesh,)),
        "4.4": (
            (6.8, 4.5),
            f"{groups}\n{mean}",
            draw_groups,
            (points, mesh, VERTICES[candide.landmarks]),
        ),
    }
    for name, (size, title, draw, content) in drawings.items():
        with new_figure(*size) as figure:
            draw(figure, *content)
            figure.suptitle(title, fontsize=10)
            save_figure(figure, args.out / f"{name}.svg")
            figure.set_layout_engine("none")  # the places are found; they need not be found twice
            save_figure(figure, args.out / f"{name}.png")
    log.info("%s: %d figures", args.out, len(drawings))
