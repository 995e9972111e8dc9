"""What a network learns to say of a clip: which emotion it shows, or how strongly the emotion is acted.

Emotions are classes: a logit for each, cross-entropy. Intensity is a number: one output, and the squared distance from
the clip's level. Either loss is taken at every head of the network and added up (eq. 28).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
from torch import Tensor
from torch.nn import functional

from mien.core.errors import ConfigError
from mien.core.files import digest
from mien.core.levels import LEVELS
from mien.training.progress import Verdict
from mien.training.recordings import Recordings

log = logging.getLogger(__name__)

NO_LEVEL = -1

Losses = Callable[[Tensor, Tensor], Tensor]  # outputs (B, C) of a head and labels (B,) -> loss of every clip (B,)
Judge = Callable[[dict[str, Tensor], Tensor], Verdict]  # outputs of all heads and labels (N,) -> `Verdict`


def aim(recordings: Recordings, target: str) -> Recordings:
    """Return `recordings` with the labels that `target` asks for.

    target : label (emotions, as they are) or intensity: the level of the corpus, an index into `classes`, its names.
        Clips with another level or none, such as XX in CREMA-D, are unlabelled then, and so in no role.

    Raises
    ------
    ConfigError : the corpus knows no levels.
    """
    if target == "label":
        return recordings
    if recordings.corpus not in LEVELS:
        raise ConfigError(f"{recordings.corpus} does not say how strongly it is acted; known: {', '.join(LEVELS)}")
    levels = LEVELS[recordings.corpus]
    clips = recordings.clips
    level = clips.intensity.map({name: k for k, name in enumerate(levels)}).fillna(NO_LEVEL).astype("int64")
    clips = clips.assign(label=level, label_name=level.map(dict(enumerate(levels)) | {NO_LEVEL: ""}))
    return replace(recordings, clips=clips, classes=levels, digest=digest([recordings.digest, target]))


def facts_of(recordings: Recordings, roles: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what run.json says besides of a network that learns intensity.

    training_mean : of the levels of the training clips: what to say of everything without looking; None without any.
    n_without_level : clips that are in no role because their level is none of `classes`.
    """
    training = roles["training"].label
    without = recordings.clips.label == NO_LEVEL
    log.info("%s: %d clips have none of the levels %s", recordings.corpus, without.sum(), ", ".join(recordings.classes))
    return {"training_mean": float(training.mean()) if len(training) else None, "n_without_level": int(without.sum())}


def losses_of(target: str) -> Losses:
    """Return the loss of every clip, (B, C) and (B,) -> (B,): cross-entropy, or the squared distance of one output."""
    return {"label": cross_entropies, "intensity": _squared_distances}[target]


def judge_of(target: str, *, n_classes: int) -> Judge:
    """Return what sums the outputs of all heads up as a `Verdict`."""
    return {"label": Verdict.of, "intensity": partial(Verdict.of_levels, n_levels=n_classes)}[target]


def cross_entropies(score: Tensor, label: Tensor) -> Tensor:
    """Return the cross-entropy of every clip, (B, C) and (B,) -> (B,)."""
    return functional.cross_entropy(score, label, reduction="none")


def _squared_distances(score: Tensor, label: Tensor) -> Tensor:
    return (score.squeeze(1) - label).square()
