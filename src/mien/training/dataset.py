"""Who is trained on, who is tested, and batches of clips in a fixed order."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mien.augment.slicing import (
    SEGMENTS,
    SLICED,
    Interval,
    apart_s,
    frame_times,
    nearest_frames,
    random_slice,
    segment_starts,
)
from mien.core.config import SoundConfig
from mien.core.errors import TableError
from mien.models.units import UNITS
from mien.sound.spectrogram import cut_segments, segment_s, segment_shape
from mien.training.batches import random_batches
from mien.training.recordings import Footage, Recordings, Voice
from mien.training.units import Motion

ROLES = ("training", "validation", "test")

Held = TypeVar("Held")  # a batch of any kind


@dataclass(frozen=True)
class Batch:
    """B clips.

    inputs : video (B, T, S, S, 3) uint8, audio (B, S, 1, F, W) and units (B, T, 8) float; zeros where a clip lacks the
        modality.
    present : modality -> (B,) bool.   label : (B,) int64.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    label: Tensor

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        return replace(
            self,
            inputs={name: value.to(device) for name, value in self.inputs.items()},
            present={name: value.to(device) for name, value in self.present.items()},
            label=self.label.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How clips are looked at: frames and segments per clip, share of the clip that a random slice keeps.

    apart_s : least time between the starts of two segments.
    """

    frames: int
    segments: int
    apart_s: float
    share: float
    sliced: bool
    sound: SoundConfig

    @classmethod
    def of(cls, augmentation: str, *, frames: int, share: float, sound: SoundConfig) -> "Sampling":
        """Return the sampling that a variant's augmentation asks for in training."""
        sliced, segments = SLICED[augmentation], SEGMENTS[augmentation]
        apart = apart_s(augmentation, segment_s(sound))
        return cls(frames=frames, segments=segments, apart_s=apart, share=share, sliced=sliced, sound=sound)


def split(recordings: Recordings, fold: int) -> dict[str, pd.DataFrame]:
    """Return the labelled clips of a fold by role, each with at least one of the modalities.

    Clips set apart (an identical twin is on another side) are in no role.

    Raises
    ------
    TableError : the fold does not exist or has a group in two roles.
    """
    folds = recordings.folds[recordings.folds.fold == fold]
    if folds.empty:
        known = sorted(recordings.folds.fold.unique().tolist())
        raise TableError(f"{recordings.corpus}: there is no fold {fold}; folds.parquet has {known}")
    if folds.group.duplicated().any():
        twice = sorted(folds.group[folds.group.duplicated()])
        raise TableError(f"{recordings.corpus}: fold {fold} has {twice} in two roles; run index_corpus again")
    clips = recordings.clips
    seen = set().union(*recordings.media.values())
    clips = clips[clips["clip"].isin(seen) & ~clips.apart & (clips.label >= 0)]
    role = clips.group.map(dict(zip(folds.group, folds.role, strict=True)))
    return {name: clips[role == name].sort_values("clip").reset_index(drop=True) for name in ROLES}


def complete(recordings: Recordings, clips: pd.DataFrame) -> pd.DataFrame:
    """Return the clips that have every modality: joint networks are trained on these."""
    has_all = set(clips["clip"]).intersection(*recordings.media.values())
    return clips[clips["clip"].isin(has_all)].reset_index(drop=True)


def obstacle(recordings: Recordings, roles: dict[str, pd.DataFrame]) -> str:
    """Say why a network of these modalities cannot be trained on the clips of `roles`; empty if it can."""
    for modality, media in recordings.media.items():
        if not media:
            return f"{recordings.corpus} has no usable {modality}"
    if len(roles["training"]) < 2:
        return f"the training people have {len(roles['training'])} clips with {' and '.join(recordings.media)}"
    for role, clips in roles.items():
        if clips.empty:
            return f"the {role} people have no clip with {' or '.join(recordings.media)}"
    return ""


def training_batches(
    recordings: Recordings, clips: pd.DataFrame, sampling: Sampling, *, size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield one epoch in random order, in batches of `random_batches`."""
    clips = clips[["clip", "label"]]  # of every other column, too, each batch would be a copy
    for rows in random_batches(len(clips), size=size, rng=rng):
        yield assemble(recordings, clips.iloc[rows], sampling, rng=rng)


def evaluation_batches(
    recordings: Recordings, clips: pd.DataFrame, sampling: Sampling, *, size: int
) -> Iterator[Batch]:
    """Yield all clips in their order, whole and without random changes."""
    for start in range(0, len(clips), size):
        yield assemble(recordings, clips.iloc[start : start + size], sampling, rng=None)


def assemble(
    recordings: Recordings, clips: pd.DataFrame, sampling: Sampling, *, rng: np.random.Generator | None
) -> Batch:
    """Look at clips once: with `rng` as training does, else as evaluation does."""
    rng = rng if sampling.sliced else None
    inputs: dict[str, list[Tensor]] = {name: [] for name in recordings.media}
    present: dict[str, list[bool]] = {name: [] for name in recordings.media}
    for clip in clips["clip"]:
        interval = _interval(recordings.duration_s(clip), sampling, rng)
        for name, media in recordings.media.items():
            medium = media.get(clip)
            present[name].append(medium is not None)
            inputs[name].append(
                _blank(recordings, name, sampling) if medium is None else _look(medium, interval, sampling, rng)
            )
    return Batch(
        {name: torch.stack(values) for name, values in inputs.items()},
        {name: torch.tensor(values) for name, values in present.items()},
        torch.from_numpy(clips.label.to_numpy(np.int64, copy=True)),
    )


def read_ahead(batches: Iterable[Held]) -> Iterator[Held]:
    """Yield `batches` while a thread assembles the next one; the order and all draws stay the same."""
    source = iter(batches)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(next, source, None)
        while (batch := pending.result()) is not None:
            pending = pool.submit(next, source, None)
            yield batch


def on_device(device: torch.device, batches: Iterable[Held]) -> Iterable[Held]:
    """Return `batches` on a device; where it is not the processor, the next one is assembled meanwhile."""
    if device.type == "cpu":  # nothing to overlap: the same cores would do both
        return batches
    return (batch.to(device) for batch in read_ahead(batches))


def _interval(duration_s: float, sampling: Sampling, rng: np.random.Generator | None) -> Interval:
    if rng is None:
        return Interval(0.0, duration_s)
    return random_slice(duration_s, rng, share=sampling.share, least_s=segment_s(sampling.sound))


def _look(
    medium: Footage | Voice | Motion, interval: Interval, sampling: Sampling, rng: np.random.Generator | None
) -> Tensor:
    if isinstance(medium, Footage | Motion):
        rows = nearest_frames(medium.time_s, frame_times(interval, sampling.frames, rng=rng))
        return torch.from_numpy(medium.units[rows] if isinstance(medium, Motion) else medium.pixels[rows])  # (T, ...)
    length_s = segment_s(sampling.sound)
    starts = segment_starts(interval, sampling.segments, length_s=length_s, apart_s=sampling.apart_s, rng=rng)
    return cut_segments(medium.spectrum, starts, sampling.sound, stop_s=interval.stop_s)  # (S, 1, F, W)


def _blank(recordings: Recordings, modality: str, sampling: Sampling) -> Tensor:
    if modality == "audio":
        return torch.zeros(sampling.segments, 1, *segment_shape(sampling.sound))
    if modality == "units":
        return torch.zeros(sampling.frames, UNITS)
    pixels = next(iter(recordings.media["video"].values())).pixels
    return torch.zeros(sampling.frames, *pixels.shape[1:], dtype=torch.uint8)
