"""The copies by which AUG-B balances the training pictures: those that a row of ``pretrain`` really sees."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from mien.augment.aug_b import BALANCING, DRAWS, Copies, balance, change, no_copies
from mien.core.errors import TableError
from mien.core.rng import rng_for
from mien.evaluation.runs import Run
from mien.report.fer2013_pictures import Gallery


@dataclass(frozen=True, eq=False)
class Balanced:
    """Training pictures and their copies.

    clips : rows of CLIPS, labelled ones of the role training, in the order of their names.
    copies : source is a number of a row of `clips`.   size_px : side that the network looks at.
    """

    clips: pd.DataFrame
    copies: Copies
    size_px: int

    def n_copies(self, n_classes: int) -> np.ndarray:
        """Return (C,) how many copies each class gets."""
        return np.bincount(self.clips.label.to_numpy()[self.copies.source], minlength=n_classes)


def balanced(run: Run, gallery: Gallery) -> Balanced:
    """Draw the copies of a row again as `pretrain` drew them, from the seeds that its run.json names.

    Raises
    ------
    TableError : they are not as many as the row was trained with: the pictures have changed since.
    """
    clips = gallery.clips[(gallery.clips.role == "training") & (gallery.clips.label >= 0)].reset_index(drop=True)
    config = run.record["config"]
    copies = no_copies()
    if config["pretrain"]["balance"]:
        rng = rng_for(config["seed"], "pretrain", run.corpus, run.seed, "copies")  # as training.pictures has it
        copies = balance(clips.label.to_numpy(np.int64), np.arange(len(clips)), rng=rng)
    counted, said = (len(clips), len(copies)), (run.record["n_clips"]["training"], run.record["n_copies"])
    if counted != said:
        raise TableError(
            f"{run.folder}/run.json: trained on {said[0]} pictures and {said[1]} copies, but {gallery.corpus} has"
            f" {counted[0]} and needs {counted[1]}; train {run.variant} again"
        )
    size_px = config["extractor"]["vgg_size_px"] if config["pretrain"]["network"] == "vgg16" else None
    return Balanced(clips, copies, size_px or config["faces"]["size_px"])


def illustration(found: Balanced, *, n: int, seed: int) -> Balanced:
    """Return `n` copies of pictures of every class, drawn for a figure: for a corpus whose classes need none."""
    rng = rng_for(seed, "plot_fer2013", "copies")
    label = found.clips.label.to_numpy()
    sources = [rng.permutation(np.flatnonzero(label == name))[:n] for name in np.unique(label)]
    source = np.concatenate(sources).astype(np.int64)
    return Balanced(found.clips, Copies(source, rng.random((len(source), DRAWS), dtype=np.float32)), found.size_px)


def first_copies(found: Balanced, label: int, *, n: int) -> np.ndarray:
    """Return the numbers of the first `n` copies of a class, of different pictures where it has as many."""
    mine = np.flatnonzero(found.clips.label.to_numpy()[found.copies.source] == label)
    _, first = np.unique(found.copies.source[mine], return_index=True)
    return mine[np.sort(first)][:n]


def pixels(found: Balanced, gallery: Gallery, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return copies and the pictures that they are made from, both (N, S, S) uint8.

    S is the side that the network looks at, or the stored one where that is larger: changes are the same at any side.
    """
    names = found.clips["clip"].to_numpy()[found.copies.source[numbers]].tolist()
    pictures = torch.from_numpy(gallery.grey(names)).unsqueeze(1).float()  # (N, 1, S, S)
    if pictures.shape[-1] < found.size_px:
        size = (found.size_px, found.size_px)
        pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
    changed = change(pictures, torch.from_numpy(found.copies.draws[numbers]))
    before, after = (part[:, 0].round().clamp(0, 255).byte().numpy() for part in (pictures, changed))
    return after, before


def factors(found: Balanced, numbers: np.ndarray) -> pd.DataFrame:
    """Return what was done to make copies: clip, label, mirrored, scale, turn_deg, shear_deg, shift_x, shift_y.

    Shifts are shares of the side.
    """
    draws = found.copies.draws[numbers]
    low, high = BALANCING.scale
    reach = np.array([BALANCING.rotate, BALANCING.shear, BALANCING.translate, BALANCING.translate])
    around = (2 * draws[:, 2:] - 1) * reach
    rows = found.clips.iloc[found.copies.source[numbers]][["clip", "label_name"]].rename(
        columns={"label_name": "label"}
    )
    return rows.reset_index(drop=True).assign(
        mirrored=draws[:, 0] < BALANCING.mirror,
        scale=low + (high - low) * draws[:, 1],
        **dict(zip(("turn_deg", "shear_deg", "shift_x", "shift_y"), around.T, strict=True)),
    )
