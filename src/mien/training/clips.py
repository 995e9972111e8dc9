"""What a network learns to say of a clip: which emotion it shows, or how strongly the emotion is acted.

Emotions are classes: a logit for each, cross-entropy. Intensity is a number: one output, and the squared distance from
the clip's level. Either loss is taken at every head of the network and added up (eq. 28).

The action units of a corpus, as the networks see them.

What a network can look at: the frames, spectrograms and action units of a corpus, read once per command.

The order in which an epoch looks at its training rows.

Who is trained on, who is tested, and batches of clips in a fixed order.

Modality dropout: training clips lose a modality, so that a joint network learns to do without any of them.

ModDrop of Neverova, Wolf, Taylor, Nebout (2016), "ModDrop: adaptive multi-modal gesture recognition", and modality
dropout of Chumachenko, Iosifidis, Gabbouj (2022), "Self-attention fusion for audiovisual emotion recognition with
incomplete data". A lost modality is absent as a missing one is in evaluation.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from mien.audio.spectrogram import cut_segments, segment_s, segment_shape, spectrogram
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
from mien.classical.samples import FITTED
from mien.config.labels import LEVELS
from mien.config.schema import FacesConfig, SoundConfig
from mien.errors import ConfigError, TableError
from mien.io import shards, tables
from mien.io.files import digest, read_json, sha256
from mien.models.mrpn import UNITS
from mien.training.engine import Verdict


@dataclass(frozen=True)
class Motion:
    """The frames of a clip that the mesh was fitted to; units (n, 8) float32 (AU8), time_s (n,) ascending."""

    units: np.ndarray
    time_s: np.ndarray
    duration_s: float


def read_motions(folders: list[Path], usable: set[str], *, rate_fps: float) -> dict[str, Motion]:
    """Return clip -> `Motion` of those among the `usable` clips that have a fitted frame.

    folders : parts of fit_candide; their rows are the frames of the clips in order.   rate_fps : of the frames.

    Raises
    ------
    TableError : a part is missing or damaged.
    """
    motions = {}
    for folder in folders:
        fits = tables.read(folder / "index.parquet", tables.FITS)
        for clip, rows in fits[fits["clip"].isin(usable)].groupby("clip"):
            fitted = rows[rows.verdict == FITTED]
            if len(fitted):
                units = np.stack(fitted.units.to_list()).astype(np.float32)
                duration_s = float(rows.time_s.iloc[-1]) + 1.0 / rate_fps
                motions[clip] = Motion(units, fitted.time_s.to_numpy(), duration_s)
    return motions


log = logging.getLogger(__name__)

IN_MEMORY = 2**28  # bytes; face shards of a corpus up to this size are copied into memory, larger ones stay mapped


@dataclass(frozen=True)
class Footage:
    """The frames of a clip in which a face was found; pixels (n, S, S, 3) uint8, time_s (n,) ascending."""

    pixels: np.ndarray
    time_s: np.ndarray
    duration_s: float


@dataclass(frozen=True)
class Voice:
    """The sound of a clip; spectrum (F, K) from `spectrogram`."""

    spectrum: Tensor
    duration_s: float


@dataclass(frozen=True)
class Wave:
    """The sound of a clip as it is stored; samples (N,) int16, still on disk."""

    samples: np.ndarray
    duration_s: float


Medium = Footage | Voice | Wave | Motion


@dataclass(frozen=True)
class Recordings:
    """A corpus as the networks see it.

    clips : table CLIPS.   folds : table FOLDS.   classes : names in the order of labels.
    media : modality -> clip -> its `Footage`, `Voice`, `Wave` or `Motion`; clips without a usable one are absent.
    digest : of all files that were read; equal files have equal digests wherever they lie.
    """

    corpus: str
    clips: pd.DataFrame
    folds: pd.DataFrame
    classes: tuple[str, ...]
    media: dict[str, dict[str, Medium]]
    digest: str

    def duration_s(self, clip: str) -> float:
        """Return the length of a clip, that of its longest modality."""
        return max(media[clip].duration_s for media in self.media.values() if clip in media)


def read(
    results: Path,
    corpus: str,
    modalities: Sequence[str],
    *,
    faces: FacesConfig | None,
    sound: SoundConfig | None,
    running: bool = False,
) -> Recordings:
    """Read what earlier stages left below `results` about a corpus, as far as `modalities` need it.

    faces, sound : sections that pictures (and units) and voices were made with; None where no such modality is read.
    running : for networks that run along and know nothing of the rest of the clip: pictures cut by what was known by
        then, and sounds as `Wave`.

    Raises
    ------
    TableError : a stage has not run, or its files are damaged.
    """
    folder = Path(results) / "corpora" / corpus
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    folds = tables.read(folder / "folds.parquet", tables.FOLDS)
    classes = read_json(folder / "corpus.json").get("classes", [])
    media, digests = {}, {name: sha256(folder / name) for name in ("clips.parquet", "folds.parquet")}
    for modality in modalities:
        stage = {"video": "faces", "audio": "sound", "units": "candide"}[modality]
        parts = read_json(Path(results) / stage / corpus / "manifest.json")["parts"]
        digests[stage] = parts
        folders = [Path(results) / stage / corpus / part for part in sorted(parts)]
        usable = clips[clips.has_audio if modality == "audio" else clips.has_video]
        if modality == "video":
            media[modality] = _footage(folders, usable, faces, running=running)
        elif modality == "units":
            media[modality] = read_motions(folders, set(usable["clip"]), rate_fps=faces.rate_fps)
        else:
            media[modality] = _voices(folders, set(usable["clip"]), sound, waves=running)
        log.info("%s: %d of %d clips have %s", corpus, len(media[modality]), len(clips), modality)
    return Recordings(corpus, clips, folds, tuple(classes), media, digest([list(classes), digests]))


def _footage(folders: list[Path], clips: pd.DataFrame, config: FacesConfig, *, running: bool) -> dict[str, Footage]:
    cropped = dict(zip(clips["clip"], clips.cropped, strict=True))
    parts = [shards.read_faces(folder) for folder in folders]
    copy = sum(part.frames.nbytes for part in parts) <= IN_MEMORY
    footage = {}
    for folder, part in zip(folders, parts, strict=True):
        frames = part.seen_along if running else part.frames
        frames = np.array(frames) if copy else frames
        for clip, start, stop in _runs(part.index["clip"].to_numpy()):
            rows = part.index.iloc[start:stop]
            found = np.flatnonzero(rows.found.to_numpy())
            if clip in cropped and len(found):
                if running and part.along is None and len(rows) > 1 and not cropped[clip]:
                    raise TableError(f"{folder}: has no along.npy for networks that run along; run extract_faces again")
                time_s = rows.time_s.to_numpy()
                pixels = _rows(frames, start + found)
                footage[clip] = Footage(pixels, time_s[found], float(time_s[-1]) + 1.0 / config.rate_fps)
    return footage


def _voices(folders: list[Path], usable: set[str], config: SoundConfig, *, waves: bool) -> dict[str, Voice | Wave]:
    voices = {}
    for folder in folders:
        part = shards.read_sound(folder)
        for row in part.index[~part.index.silent & part.index["clip"].isin(usable)].itertuples():
            if row.n_samples:
                samples = part.wave[row.start : row.start + row.n_samples]
                duration_s = row.n_samples / config.rate_hz
                if waves:
                    voices[row.clip] = Wave(samples, duration_s)
                else:
                    level = torch.from_numpy(samples.astype(np.float32) / shards.FULL_SCALE)
                    voices[row.clip] = Voice(spectrogram(level, config), duration_s)
    return voices


def _runs(names: np.ndarray) -> list[tuple[str, int, int]]:
    """Return (name, start, stop) of every run of equal names."""
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)] if len(names) else [0]
    runs = [(names[start], start, stop) for start, stop in pairwise(edges)]
    if len({name for name, _, _ in runs}) < len(runs):
        raise TableError(
            "a face shard has a clip whose rows are not consecutive; delete it and run extract_faces again"
        )
    return runs


def _rows(frames: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return `rows` of `frames` as a view where they are consecutive, so that mapped shards stay on disk."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return frames[rows[0] : rows[-1] + 1]
    return frames[rows]


def random_batches(n: int, *, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield 0..n-1 in random order; a remainder of one joins the batch before (batch statistics need two)."""
    order = rng.permutation(n)
    edges = [*range(0, n, size), n]
    if len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    for start, stop in pairwise(edges):
        yield order[start:stop]


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


LEAST = 2  # clips of a batch that keep a modality: batch statistics need two


def lose_modalities(batches: Iterable[Batch], probability: float, *, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield batches of complete clips, each of which has lost one modality, any of them alike, with `probability`.

    Inputs stay as they are. A loss that would leave fewer than `LEAST` clips of a batch with the modality is none.
    """
    for batch in batches:
        present = {name: there.clone() for name, there in batch.present.items()}
        names = list(present)
        losing = rng.uniform(size=len(batch)) < probability
        which = rng.integers(len(names), size=len(batch))
        for clip in np.flatnonzero(losing):
            there = present[names[which[clip]]]
            if there.sum() > LEAST:
                there[clip] = False
        yield replace(batch, present=present)


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
