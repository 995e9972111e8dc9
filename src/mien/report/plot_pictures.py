"""Command plot_pictures: training and test pictures, AUG-A, mean and eigenfaces (thesis, figures 3.1, 4.6 to 4.8)."""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.config import AugmentConfig, CrossConfig, load, section
from mien.core.errors import TableError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

log = logging.getLogger(__name__)

NETWORK_PX = 75  # side of the pictures that the CNN-1 and CNN-2 of table 4.1 see
SUBSPACE_PX = 50  # side of those that the subspaces are made of
N_PEOPLE, N_DRAWS, N_VERSIONS, N_EIGENFACES = 5, 7, 12, 8


@dataclass(frozen=True, eq=False)
class _Shown:
    """Chosen rows of SAMPLES, their pictures (S, S) uint8 by clip, and what makes a title of a text."""

    training: "pd.DataFrame"
    test: "pd.DataFrame"
    seen: "dict[str, np.ndarray]"
    title: Callable[[str], str]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--samples", type=Path, required=True, help="folder of select_samples")
    parser.add_argument("--results", type=Path, required=True, help="folder with faces/<corpus>")
    parser.add_argument("--out", type=Path, required=True, help="folder; 3.1, 4.6, 4.7, 4.8 as .png, and 3.1.csv")


def run(args: Namespace) -> None:
    """Choose pictures, distort them, draw the grids."""
    from mien.report.chosen_pictures import choose_test, choose_training
    from mien.report.figures import title_line
    from mien.samples.read import pictures, read_samples

    params = load(args.config)
    augment = section(AugmentConfig, params, "augment")
    cross = section(CrossConfig, params, "cross")
    seed = section(int, params, "seed")
    samples = read_samples(args.samples)
    synthetic = samples.info["source"] == "synthetic"

    def title(text: str) -> str:
        return title_line(text, samples.title, synthetic=synthetic)

    training, test = choose_training(samples.table, N_PEOPLE), choose_test(samples.table)
    seen = {
        clip: picture
        for rows in (training, test)
        for clip, picture in zip(rows["clip"], pictures(rows, args.results, NETWORK_PX), strict=True)
    }
    shown = _Shown(training, test, seen, title)
    _sides(args.out, shown, cross)
    _augmented(args.out, shown, augment, seed=seed)
    learnt = samples.table[(samples.table.role == "training") & (samples.table["row"] >= 0)]
    _subspaces(args.out, pictures(learnt, args.results, SUBSPACE_PX), labels=learnt.label.to_numpy(), title=title)
    log.info("%s: 4 figures", args.out)


def _sides(out: Path, shown: _Shown, cross: CrossConfig) -> None:
    from mien.report.figures import new_figure, save_figure
    from mien.report.picture_grids import draw_sides

    with new_figure(10.0, 4.75) as figure:
        figure.set_layout_engine("compressed")
        draw_sides(figure, shown.training, shown.test, pictures=shown.seen, angles=cross.angles)
        figure.suptitle(shown.title("Figure 4.6: training and test pictures"), fontsize=10)
        save_figure(figure, out / "4.6.png")


def _augmented(out: Path, shown: _Shown, augment: AugmentConfig, *, seed: int) -> None:
    from mien.report.augmented import all_operations, single_operations
    from mien.report.chosen_pictures import most_lopsided
    from mien.report.figures import new_figure, save_figure
    from mien.report.picture_grids import draw_versions

    training, seen = shown.training, shown.seen
    first = training[training.column == "1"]
    names = dict(zip(first.label_name, first["clip"], strict=True))
    one = most_lopsided({clip: seen[clip] for clip in training["clip"]})
    alone = single_operations(one, augment, n_draws=N_DRAWS, seed=seed)
    together = {
        name: all_operations(seen[clip], augment, n_draws=N_VERSIONS, seed=seed, clip=clip)
        for name, clip in names.items()
    }
    sheets = {
        "4.7": ("Figure 4.7: the operations of AUG-A, each alone", (9.2, 6.15), [one] * len(alone), alone),
        "4.8": ("Figure 4.8: all of AUG-A together", (11.0, 3.75), [seen[clip] for clip in names.values()], together),
    }
    for name, (text, size, before, versions) in sheets.items():
        with new_figure(*size) as figure:
            figure.set_layout_engine("compressed")  # the pictures are square: their shape is fixed
            draw_versions(figure.subplots(), before, versions)
            figure.suptitle(shown.title(text), fontsize=10)
            save_figure(figure, out / f"{name}.png")


def _subspaces(out: Path, pictures: "np.ndarray", *, labels: "np.ndarray", title: Callable[[str], str]) -> None:
    import pandas as pd

    from mien.classical.subspaces import subspace_pictures
    from mien.core.files import atomic_file
    from mien.report.figures import new_figure, save_figure
    from mien.report.picture_grids import axis_numbers, draw_subspaces

    if len(set(labels)) < 2 or len(pictures) < 2 * len(set(labels)):
        raise TableError(
            f"samples.parquet: {len(pictures)} training pictures of {len(set(labels))} emotions have a face, too few"
            " for subspaces; raise corpora.<corpus>.actors in params.yaml"
        )
    found = subspace_pictures(pictures, labels)
    kinds = {"eigenface": found["eigenfaces"], "fisherface": found["fisherfaces"]}
    numbers = pd.concat([axis_numbers(pictures, labels, axes).assign(kind=kind) for kind, axes in kinds.items()])
    with atomic_file(out / "3.1.csv") as scratch:
        ordered = numbers[["kind", "axis", "variance", "between"]]
        ordered.to_csv(scratch, index=False, float_format="%.6f", lineterminator="\n")
    with new_figure(10.2, 3.9) as figure:
        first = {kind: axes[:N_EIGENFACES] for kind, axes in kinds.items()}
        draw_subspaces(figure, found["mean"][0], first, numbers)
        text = title(f"Figure 3.1: eigenfaces and fisherfaces of {len(pictures)} training pictures")
        figure.suptitle(text, fontsize=10)
        save_figure(figure, out / "3.1.png")
