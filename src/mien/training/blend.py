"""How much each head's loss counts: G-Blend of Wang, Tran, Feiszli (2020), "What makes training multi-modal
classification networks hard?", reference [97] of the thesis, estimated once and before ("offline").

The weight of a head is proportional to G / O^2 of a network that learnt by that head alone: G is by how much the loss
of the validation people fell, O by how much more than it the loss of the training people did, between the first epoch
and the one with the lowest validation loss. Both come from history.csv, whose training loss is that of the pass itself,
with its distortions and dropout; what they add is about the same at both epochs. Test people have no part in it.

Where the paper's estimate breaks down:

- O near or below 0 says that nothing was overfitted, and its square means nothing. Below `FLOOR`, about what the mean
  loss of a hundred clips is uncertain by, O counts as that.
- G = 0 (no epoch was better than the first) would silence a head, and the answer is one of them. Each head keeps at
  least the share `LEAST`. If no head gained anything, all count alike.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mien.core.errors import ModelError
from mien.core.files import read_json

log = logging.getLogger(__name__)

FLOOR = 0.1  # least overfitting, in units of the loss
LEAST = 0.01  # least share of a head in the sum of all weights


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a network learnt between two epochs, and how much of it by heart."""

    first_epoch: int
    best_epoch: int
    gain: float  # G: fall of the validation loss
    overfitting: float  # O: growth of the distance from training to validation loss


def course_of(history: pd.DataFrame) -> Course:
    """Return what history.csv says; its column validation_loss has numbers."""
    first, best = history.iloc[0], history.loc[history.validation_loss.idxmin()]
    gaps = [row.validation_loss - row.train_loss for row in (first, best)]
    return Course(
        first_epoch=int(first.epoch),
        best_epoch=int(best.epoch),
        gain=float(first.validation_loss - best.validation_loss),
        overfitting=float(gaps[1] - gaps[0]),
    )


def loss_weights(courses: Mapping[str, Course]) -> dict[str, float]:
    """Return head -> weight; their sum is the number of heads."""
    raw = {head: course.gain / max(course.overfitting, FLOOR) ** 2 for head, course in courses.items()}
    for head, course in courses.items():
        if course.overfitting < FLOOR:
            log.info("G-Blend: overfitting %.3f of %s counts as %.3f", course.overfitting, head, FLOOR)
    total = sum(raw.values())
    if total == 0:
        log.warning("G-Blend: no head gained anything after the first epoch: all count alike")
        return dict.fromkeys(courses, 1.0)
    shares = {head: max(weight / total, LEAST) for head, weight in raw.items()}
    return {head: len(shares) * share / sum(shares.values()) for head, share in shares.items()}


def no_blend(folders: Mapping[str, Path], protocol: str) -> str:
    """Say why heads cannot be weighed by the runs `folders`, head -> folder; empty if they can or none shall be."""
    if folders and protocol == "thesis":
        return "G-Blend weighs heads by the loss of validation people, and the protocol of the thesis has none"
    for head, folder in folders.items():
        if _read(folder)["status"] != "trained":
            return f"{folder.parent.name}, whose history weighs the loss of {head}, was not trained"
    return ""


def read_courses(folders: Mapping[str, Path], *, corpus: str, fold: int, seed: int) -> dict[str, Course]:
    """Return head -> course of the runs `folders`, head -> folder.

    Raises
    ------
    ModelError : a run is missing, or is of another corpus, fold or seed, whose validation people may be tested here.
    """
    courses = {}
    for head, folder in folders.items():
        run = _read(folder)
        if (run["corpus"], run["fold"], run["seed"]) != (corpus, fold, seed):
            raise ModelError(
                f"{folder / 'run.json'}: is of {run['corpus']} fold {run['fold']} seed {run['seed']}; train"
                f" {folder.parent.name} again"
            )
        courses[head] = course_of(pd.read_csv(folder / "history.csv"))
    return courses


def _read(folder: Path) -> dict:
    if not (folder / "run.json").is_file():
        raise ModelError(f"{folder / 'run.json'}: is missing, and its history weighs a loss; train that variant first")
    return read_json(folder / "run.json")
