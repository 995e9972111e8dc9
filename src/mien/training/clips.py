"""Clips of a corpus as networks see them: read once per command, divided into roles, cut and stacked into tensors.

`assemble_inputs` is the one way from a clip to the input of a network of chapter 5: training, evaluation, the
disturbed clips of `robustness` and the program `predict` all use it, followed by `network_inputs` on the device.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mien.audio.spectrogram import crop_or_repeat, cut_segments, log_mel, segment_s, segment_shape, spectrogram
from mien.augment.slicing import (
    HOPS,
    SLICED,
    Interval,
    frame_times,
    nearest_frames,
    random_slice,
    segment_starts,
)
from mien.classical.samples import FITTED
from mien.config.labels import FROZEN_ENCODERS, LEVELS, VECTORS
from mien.config.schema import FacesConfig, SoundConfig
from mien.errors import ConfigError, TableError
from mien.io import shards, tables
from mien.io.files import digest, read_json, sha256
from mien.models.mrpn import UNITS, normalise_pixels

log = logging.getLogger(__name__)

ROLES = ("training", "validation", "test")
IN_MEMORY = 2**28  # bytes; face shards of a corpus up to this size are copied into memory, larger ones stay mapped
NO_LEVEL = -1
ALSO = "also_"  # how columns of further targets begin
CONSTANT = 1e-6  # deviation below which a feature does not vary, and is not divided by it
UNTIMED_S = 1.0  # length of clips that come as vectors, which do not say it
LEAST = 2  # clips of a batch that keep a modality: batch statistics need two

T = TypeVar("T")  # a batch of any kind
Change = Callable[[Tensor], Tensor]  # frames (B, T, 3, H, W), grey levels -> the same shape


@dataclass(frozen=True)
class FrameSequence:
    """The frames of a clip in which a face was found; pixels (n, S, S, 3) uint8, time_s (n,) ascending."""

    pixels: np.ndarray
    time_s: np.ndarray
    duration_s: float


@dataclass(frozen=True)
class ActionUnitSequence:
    """The frames of a clip that the mesh was fitted to; units (n, 8) float32 (AU8), time_s (n,) ascending."""

    units: np.ndarray
    time_s: np.ndarray
    duration_s: float


@dataclass(frozen=True)
class FeatureVector:
    """Numbers that describe a clip as a whole; values (D,) float32."""

    values: np.ndarray
    duration_s: float


@dataclass(frozen=True)
class Spectrogram:
    """The sound of a clip; spectrum (F, K) from `mien.audio.spectrogram`, whose first column is at `start_s`."""

    spectrum: Tensor
    duration_s: float
    start_s: float = 0.0


@dataclass(frozen=True)
class Wave:
    """The sound of a clip as it is stored; samples (N,) int16, still on disk."""

    samples: np.ndarray
    duration_s: float


ModalityData = FrameSequence | ActionUnitSequence | FeatureVector | Spectrogram | Wave


@dataclass(frozen=True)
class ClipDataset:
    """A corpus as the networks see it.

    clips, folds : tables CLIPS and FOLDS.   classes : names in the order of labels.
    media : modality -> clip -> its data; clips without usable data of a modality are absent.
    digest : of all files that were read; equal files have equal digests wherever they lie.
    """

    corpus: str
    clips: pd.DataFrame
    folds: pd.DataFrame
    classes: tuple[str, ...]
    media: dict[str, dict[str, ModalityData]]
    digest: str

    def duration_s(self, clip: str) -> float:
        """Return the length of a clip, that of its longest modality."""
        return max(media[clip].duration_s for media in self.media.values() if clip in media)

    def name_of(self, fold: int) -> str:
        """Return the name of a fold, its number where the corpus has too few people for folds."""
        return str(fold) if self.folds.empty else self.folds.name[self.folds.fold == fold].iloc[0]


def read(
    results: Path,
    corpus: str,
    modalities: Sequence[str],
    *,
    faces: FacesConfig | None,
    sound: SoundConfig | None,
    running: bool = False,
) -> ClipDataset:
    """Read what earlier stages left about a corpus, as far as `modalities` need it.

    Parameters
    ----------
    results : folder with corpora/, faces/, sound/ and candide/.
    faces, sound : what pictures (and units) and sounds were made with; None where no such modality is read.
    running : for streaming networks, which know nothing of the rest of the clip: pictures cut by what was known by
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
        stage = {"video": "faces", "audio": "sound", "units": "candide"}.get(modality, "vectors")
        home = Path(results) / stage / (f"{corpus}-{modality}" if modality in FROZEN_ENCODERS else corpus)
        parts = read_json(home / "manifest.json")["parts"]
        digests[modality if modality in FROZEN_ENCODERS else stage] = parts
        folders = [home / part for part in sorted(parts)]
        usable = clips[clips[VECTORS.get(modality, "has_audio" if modality == "audio" else "has_video")]]
        if modality == "video":
            media[modality] = _read_frames(folders, usable, faces, running=running)
        elif modality == "units":
            media[modality] = _read_units(folders, set(usable["clip"]), rate_fps=faces.rate_fps)
        elif modality in VECTORS:
            media[modality] = _read_vectors(folders, set(usable["clip"]), modality)
        else:
            media[modality] = _read_sounds(folders, set(usable["clip"]), sound, waves=running)
        log.info("%s: %d of %d clips have %s", corpus, len(media[modality]), len(clips), modality)
    return ClipDataset(corpus, clips, folds, tuple(classes), media, digest([list(classes), digests]))


def _read_frames(
    folders: list[Path], clips: pd.DataFrame, config: FacesConfig, *, running: bool
) -> dict[str, FrameSequence]:
    cropped = dict(zip(clips["clip"], clips.cropped, strict=True))
    parts = [shards.read_faces(folder) for folder in folders]
    copy = sum(part.frames.nbytes for part in parts) <= IN_MEMORY
    sequences = {}
    for folder, part in zip(folders, parts, strict=True):
        frames = part.seen_along if running else part.frames
        frames = np.array(frames) if copy else frames
        for clip, rows in part.index.groupby("clip", sort=False):
            if rows.index[-1] - rows.index[0] + 1 != len(rows):
                raise TableError(f"{folder}: rows of {clip} are not consecutive; delete it and run extract_faces again")
            found = rows[rows.found]
            if clip in cropped and len(found):
                if running and part.along is None and len(rows) > 1 and not cropped[clip]:
                    raise TableError(f"{folder}: has no along.npy for networks that run along; run extract_faces again")
                first, last = found.index[[0, -1]]
                # A view where rows are consecutive, so that mapped shards stay on disk.
                pixels = frames[first : last + 1] if last - first + 1 == len(found) else frames[found.index]
                duration_s = float(rows.time_s.iloc[-1]) + 1.0 / config.rate_fps
                sequences[clip] = FrameSequence(pixels, found.time_s.to_numpy(), duration_s)
    return sequences


def _read_units(folders: list[Path], usable: set[str], *, rate_fps: float) -> dict[str, ActionUnitSequence]:
    """Return clip -> action units of those of the `usable` clips that have a fitted frame."""
    sequences = {}
    for folder in folders:
        fits = shards.read_fits(folder)
        for clip, rows in fits[fits["clip"].isin(usable)].groupby("clip"):
            fitted = rows[rows.verdict == FITTED]
            if len(fitted):
                units = np.stack(fitted.units.to_list()).astype(np.float32)
                duration_s = float(rows.time_s.iloc[-1]) + 1.0 / rate_fps
                sequences[clip] = ActionUnitSequence(units, fitted.time_s.to_numpy(), duration_s)
    return sequences


def _read_vectors(folders: list[Path], usable: set[str], modality: str) -> dict[str, FeatureVector]:
    rows = pd.concat([shards.read_vectors(folder) for folder in folders])
    rows = rows[(rows.modality == modality) & rows["clip"].isin(usable)]
    return {clip: FeatureVector(values, UNTIMED_S) for clip, values in zip(rows["clip"], rows["values"], strict=True)}


def _read_sounds(
    folders: list[Path], usable: set[str], config: SoundConfig, *, waves: bool
) -> dict[str, Spectrogram | Wave]:
    sounds = {}
    for folder in folders:
        part = shards.read_sound(folder)
        for row in part.index[~part.index.silent & part.index["clip"].isin(usable)].itertuples():
            if row.n_samples:
                wave = Wave(part.wave[row.start : row.start + row.n_samples], row.n_samples / config.rate_hz)
                sounds[row.clip] = wave if waves else transform_wave(wave, config)
    return sounds


def transform_wave(wave: Wave, config: SoundConfig) -> Spectrogram:
    """Return the spectrogram of a stored wave as networks take it: mean 0 and deviation 1."""
    level = torch.from_numpy(wave.samples.astype(np.float32) / shards.FULL_SCALE)
    if config.front_end == "stft":
        return Spectrogram(spectrogram(level, config), wave.duration_s)
    spectrum, start_s = log_mel(level, config)
    spectrum = (spectrum - spectrum.mean()) / spectrum.std(correction=0).clamp(min=CONSTANT)
    return Spectrogram(spectrum, wave.duration_s, start_s)


def select_target(dataset: ClipDataset, target: str) -> ClipDataset:
    """Return `dataset` with the labels of a target.

    label : emotions, as they are.
    intensity : the level of the corpus at which the emotion is acted, an index into `classes`. Clips with another level
        or none, such as XX in CREMA-D, are unlabelled then, and so in no role.

    Raises
    ------
    ConfigError : the corpus knows no levels.
    """
    if target == "label":
        return dataset
    levels, level = _levels(dataset)
    clips = dataset.clips.assign(label=level, label_name=level.map(dict(enumerate(levels)) | {NO_LEVEL: ""}))
    return replace(dataset, clips=clips, classes=levels, digest=digest([dataset.digest, target]))


def _levels(dataset: ClipDataset) -> tuple[tuple[str, ...], pd.Series]:
    """Return the names of the levels of intensity of a corpus, and the level of every clip."""
    if dataset.corpus not in LEVELS:
        raise ConfigError(f"{dataset.corpus} does not say how strongly it is acted; known: {', '.join(LEVELS)}")
    levels = LEVELS[dataset.corpus]
    level = dataset.clips.intensity.map({name: k for k, name in enumerate(levels)})
    return levels, level.fillna(NO_LEVEL).astype("int64")


def add_targets(dataset: ClipDataset, also: Iterable[str]) -> ClipDataset:
    """Return `dataset` with further targets as columns also_TARGET of its clips, `NO_LEVEL` where not known."""
    further = {f"{ALSO}{target}": _levels(dataset)[1] for target in also}
    return replace(dataset, clips=dataset.clips.assign(**further), digest=digest([dataset.digest, *further]))


def also_in(clips: pd.DataFrame) -> list[str]:
    """Return the columns of further targets."""
    return [name for name in clips if name.startswith(ALSO)]


def describe_levels(dataset: ClipDataset, training: pd.DataFrame, *, column: str = "label") -> dict[str, Any]:
    """Return what run.json says besides of a network that learns intensity.

    training_mean : mean level of the training clips, the best constant answer; None without clips.
    n_without_level : clips whose level is none of the corpus's; where it is the target, they are in no role.
    """
    known = training[column][training[column] != NO_LEVEL]
    mean = float(known.mean()) if len(known) else None
    return {"training_mean": mean, "n_without_level": int((dataset.clips[column] == NO_LEVEL).sum())}


@dataclass(frozen=True)
class Reference:
    """Where the features of a person lie: mean and deviation (D,) over all that some recordings of theirs show.

    No label enters, so it can be made of any recordings of a person, those that are judged among them.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, recordings: Iterable[ModalityData]) -> "Reference | None":
        """Return the reference of recordings of one person and modality; None of pictures, which have none."""
        rows = [found for one in recordings if (found := _rows(one)) is not None]
        if not rows:
            return None
        rows = np.concatenate(rows).astype(np.float64)
        deviation = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(deviation < CONSTANT, 1.0, deviation))

    def standardise(self, one: ModalityData) -> ModalityData:
        """Return a recording with the mean 0 and the deviation 1 of those of the reference."""
        return _with_rows(one, ((_rows(one) - self.mean) / self.deviation).astype(np.float32))


def _rows(one: ModalityData) -> np.ndarray | None:
    """Return the rows (n, D) in which data are standardised by person; None of data that are not."""
    if isinstance(one, FeatureVector):
        return one.values[np.newaxis]
    return one.units if isinstance(one, ActionUnitSequence) else None


def _with_rows(one: ModalityData, rows: np.ndarray) -> ModalityData:
    """Return data with other `_rows`."""
    return replace(one, values=rows[0]) if isinstance(one, FeatureVector) else replace(one, units=rows)


def normalise(dataset: ClipDataset, how: str) -> ClipDataset:
    """Return `dataset` as the key `normalise` of a row of params.yaml wants it.

    corpus : as it is; networks and classical methods standardise by the training people.
    subject : every recording standardised by all recordings of its person, without labels; pictures as they are.

    Raises
    ------
    ConfigError : the corpus does not say who is seen.
    """
    if how == "corpus":
        return dataset
    person_of = dict(zip(dataset.clips["clip"], dataset.clips.actor, strict=True))
    media = {}
    for name, found in dataset.media.items():
        recordings: dict[str, list[ModalityData]] = {}
        for clip, one in found.items():
            recordings.setdefault(person_of[clip], []).append(one)
        if "" in recordings:
            raise ConfigError(f"normalise: subject needs to know who is seen, which {dataset.corpus} does not say")
        references = {person: Reference.of(own) for person, own in recordings.items()}
        media[name] = {
            clip: one if (own := references[person_of[clip]]) is None else own.standardise(one)
            for clip, one in found.items()
        }
    return replace(dataset, media=media, digest=digest([dataset.digest, how]))


def split(dataset: ClipDataset, fold: int) -> dict[str, pd.DataFrame]:
    """Return the labelled clips of a fold by role, each with at least one of the modalities.

    Clips set apart (an identical duplicate is on another side) are in no role. A corpus of too few people has no folds
    at all, and nobody is in a role.

    Raises
    ------
    TableError : the fold does not exist or has a group in two roles.
    """
    folds = dataset.folds[dataset.folds.fold == fold]
    if folds.empty and len(dataset.folds):
        known = sorted(dataset.folds.fold.unique().tolist())
        raise TableError(f"{dataset.corpus}: there is no fold {fold}; folds.parquet has {known}")
    if folds.group.duplicated().any():
        twice = sorted(folds.group[folds.group.duplicated()])
        raise TableError(f"{dataset.corpus}: fold {fold} has {twice} in two roles; run index_corpus again")
    clips = dataset.clips
    seen = set().union(*dataset.media.values())
    clips = clips[clips["clip"].isin(seen) & ~clips.apart & (clips.label >= 0)]
    role = clips.group.map(dict(zip(folds.group, folds.role, strict=True)))
    return {name: clips[role == name].sort_values("clip").reset_index(drop=True) for name in ROLES}


def complete(dataset: ClipDataset, clips: pd.DataFrame) -> pd.DataFrame:
    """Return the clips that have every modality: joint networks are trained on these."""
    has_all = set(clips["clip"]).intersection(*dataset.media.values())
    return clips[clips["clip"].isin(has_all)].reset_index(drop=True)


@dataclass(frozen=True)
class Batch:
    """B clips.

    inputs : video (B, T, S, S, 3) uint8, audio (B, S, 1, F, W) and units (B, T, 8) float; zeros beyond the steps that a
        clip has.
    n_steps : modality -> (B,) int64, steps that a clip has; 0: it lacks the modality.   label : (B,) int64.
    also : further target -> (B,) int64, `NO_LEVEL` where it is not known.
    """

    inputs: dict[str, Tensor]
    n_steps: dict[str, Tensor]
    label: Tensor
    also: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Tensor) -> "Batch":
        """Return some of the clips; rows (N,) int64."""
        return self._each(lambda value: value[rows])

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        return self._each(lambda value: value.to(device))

    def _each(self, change: Change) -> "Batch":
        inputs, n_steps, also = (
            {name: change(value) for name, value in values.items()} for values in (self.inputs, self.n_steps, self.also)
        )
        return Batch(inputs, n_steps, change(self.label), also)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How clips are looked at: frames of a clip, hop of the segments, share of the clip that a random slice keeps."""

    frames: int
    hop_s: float
    share: float
    sliced: bool
    sound: SoundConfig

    @classmethod
    def of(cls, augmentation: str, *, frames: int, share: float, sound: SoundConfig) -> "Sampling":
        """Return the sampling that a variant's augmentation asks for in training."""
        hop_s = HOPS[augmentation] * segment_s(sound)
        return cls(frames=frames, hop_s=hop_s, share=share, sliced=SLICED[augmentation], sound=sound)

    def starts(self, interval: Interval, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return when the segments of a stretch start, s."""
        return segment_starts(interval, length_s=segment_s(self.sound), hop_s=self.hop_s, rng=rng)

    def count_steps(self, modality: str, duration_s: float) -> int:
        """Return how many steps of a modality a whole clip has."""
        if modality == "audio" and self.sound.front_end != "logmel":
            return len(self.starts(Interval(0.0, duration_s)))
        return 1 if modality == "audio" or modality in VECTORS else self.frames


def assemble_inputs(
    clips: Iterable[tuple[Interval, Mapping[str, ModalityData]]],
    modalities: Sequence[str],
    sampling: Sampling,
    *,
    size_px: int,
    rng: np.random.Generator | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Look at stretches of clips: the nearest frames, the segments of the sound, zeros for what is absent.

    Parameters
    ----------
    clips : of each, the stretch that is looked at, and modality -> data of the whole clip, as far as it is there.
    modalities : those of the network, in its order.
    size_px : side of a picture; used for clips without one.
    rng : draws times within parts, as training does; None: the centres of the parts, as evaluation does.

    Returns
    -------
    inputs, n_steps : as in `Batch`; `network_inputs` makes of `inputs` what a network is called with.
    """
    inputs: dict[str, list[Tensor]] = {name: [] for name in modalities}
    n_steps: dict[str, list[int]] = {name: [] for name in modalities}
    for interval, data in clips:
        for name in modalities:
            one = data.get(name)
            steps = _blank(name, sampling, size_px) if one is None else _sample_steps(one, interval, sampling, rng)
            n_steps[name].append(0 if one is None else len(steps))
            inputs[name].append(steps)
    stacked = {name: pad_sequence(values, batch_first=True) for name, values in inputs.items()}
    return stacked, {name: torch.tensor(values) for name, values in n_steps.items()}


def _sample_steps(one: ModalityData, interval: Interval, sampling: Sampling, rng: np.random.Generator | None) -> Tensor:
    if isinstance(one, FrameSequence | ActionUnitSequence):
        rows = nearest_frames(one.time_s, frame_times(interval, sampling.frames, rng=rng))
        return torch.from_numpy(one.pixels[rows] if isinstance(one, FrameSequence) else one.units[rows])  # (T, ...)
    if sampling.sound.front_end == "logmel":
        return _crop_spectrogram(one, interval, sampling.sound, rng)
    starts = sampling.starts(interval, rng)
    return cut_segments(one.spectrum, starts, sampling.sound, stop_s=interval.stop_s)  # (S, 1, F, W)


def _crop_spectrogram(
    one: Spectrogram, interval: Interval, sound: SoundConfig, rng: np.random.Generator | None
) -> Tensor:
    """Return what is heard in a stretch (1, 1, F, W), all of the voice where that is silence; `rng`: begun anywhere."""
    rate = sound.rate_hz / sound.mel.hop  # columns per second
    edges = np.round((np.array([interval.start_s, interval.stop_s]) - one.start_s) * rate).clip(0).astype(int)
    heard = one.spectrum[:, edges[0] : edges[1]]
    heard = heard if heard.shape[1] else one.spectrum
    return crop_or_repeat(heard, sound, place=None if rng is None else float(rng.uniform()))


def _blank(modality: str, sampling: Sampling, size_px: int) -> Tensor:
    """Return steps for a batch in which no clip may have any."""
    if modality == "audio":
        return torch.zeros(1, 1, *segment_shape(sampling.sound))
    if modality == "units":
        return torch.zeros(sampling.frames, UNITS)
    return torch.zeros(sampling.frames, size_px, size_px, 3, dtype=torch.uint8)


def network_inputs(batch: Any, *, augment: Change | None = None) -> dict[str, Tensor]:
    """Return the inputs of a batch as networks take them: frames as (B, T, 3, S, S) float, changed and normalised.

    batch : anything with `inputs`, whose video, if there is any, is (B, T, S, S, 3) uint8.
    """
    inputs = dict(batch.inputs)
    if "video" in inputs:
        frames = inputs["video"].permute(0, 1, 4, 2, 3).contiguous().float()
        inputs["video"] = normalise_pixels(frames if augment is None else augment(frames))
    return inputs


def assemble(
    dataset: ClipDataset, clips: pd.DataFrame, sampling: Sampling, *, rng: np.random.Generator | None
) -> Batch:
    """Look at labelled clips once: with `rng` a random slice of each as training does, else all of it."""
    rng = rng if sampling.sliced else None
    pictures = next(iter(dataset.media.get("video", {}).values()), None)

    def looks() -> Iterator[tuple[Interval, dict[str, ModalityData]]]:  # slice and look of a clip are drawn in turn
        for clip in clips["clip"]:
            duration_s = dataset.duration_s(clip)
            interval = Interval(0.0, duration_s)
            if rng is not None:
                interval = random_slice(duration_s, rng, share=sampling.share, least_s=segment_s(sampling.sound))
            yield interval, {name: media[clip] for name, media in dataset.media.items() if clip in media}

    if sizes := vector_sizes(dataset):
        inputs, n_steps = _stack_vectors(dataset, clips, sizes)
    else:
        inputs, n_steps = assemble_inputs(
            looks(), list(dataset.media), sampling, size_px=0 if pictures is None else pictures.pixels.shape[1], rng=rng
        )
    targets = {
        name.removeprefix(ALSO): torch.from_numpy(clips[name].to_numpy(np.int64, copy=True))
        for name in ("label", *also_in(clips))
    }
    return Batch(inputs, n_steps, targets.pop("label"), targets)


def _stack_vectors(
    dataset: ClipDataset, clips: pd.DataFrame, sizes: Mapping[str, int]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return (B, 1, D) of every modality, and 0 or 1 step of every clip: a vector looks the same at every look."""
    inputs, n_steps = {}, {}
    for name, size in sizes.items():
        found = [dataset.media[name].get(clip) for clip in clips["clip"]]
        rows = [np.zeros(size, np.float32) if one is None else one.values for one in found]
        inputs[name] = torch.from_numpy(np.stack(rows)).unsqueeze(1)
        n_steps[name] = torch.tensor([int(one is not None) for one in found])
    return inputs, n_steps


def vector_sizes(dataset: ClipDataset) -> dict[str, int]:
    """Return modality -> length of its vectors."""
    media = {name: found for name, found in dataset.media.items() if name in VECTORS and found}
    return {name: len(next(iter(found.values())).values) for name, found in media.items()}


def random_batches(n: int, *, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield 0..n-1 in random order; a remainder of one joins the batch before (batch statistics need two)."""
    order = rng.permutation(n)
    edges = [*range(0, n, size), n]
    if len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    for start, stop in pairwise(edges):
        yield order[start:stop]


def count_batches(n: int, *, size: int) -> int:
    """Return how many batches `random_batches` yields."""
    return max(1, -(-n // size) - (n > size and n % size == 1))


def training_batches(
    dataset: ClipDataset, clips: pd.DataFrame, sampling: Sampling, *, size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield one epoch in random order, in batches of `random_batches`."""
    clips = clips[["clip", "label", *also_in(clips)]]  # of every other column, too, each batch would be a copy
    for rows in random_batches(len(clips), size=size, rng=rng):
        yield assemble(dataset, clips.iloc[rows], sampling, rng=rng)


def evaluation_batches(dataset: ClipDataset, clips: pd.DataFrame, sampling: Sampling, *, size: int) -> Iterator[Batch]:
    """Yield all clips in their order, whole and without random changes."""
    for start in range(0, len(clips), size):
        yield assemble(dataset, clips.iloc[start : start + size], sampling, rng=None)


def drop_modalities(batches: Iterable[Batch], probability: float, *, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield batches of complete clips, each of which has lost one modality, any of them alike, with `probability`.

    Inputs stay as they are; a lost modality is absent as a missing one is in evaluation. A loss that would leave fewer
    than `LEAST` clips of a batch with the modality is none.

    ModDrop of Neverova, Wolf, Taylor, Nebout (2016), "ModDrop: adaptive multi-modal gesture recognition", and modality
    dropout of Chumachenko, Iosifidis, Gabbouj (2022), "Self-attention fusion for audiovisual emotion recognition with
    incomplete data".
    """
    for batch in batches:
        n_steps = {name: numbers.clone() for name, numbers in batch.n_steps.items()}
        names = list(n_steps)
        losing = rng.uniform(size=len(batch)) < probability
        which = rng.integers(len(names), size=len(batch))
        for clip in np.flatnonzero(losing):
            numbers = n_steps[names[which[clip]]]
            if numbers.count_nonzero() > LEAST:
                numbers[clip] = 0
        yield replace(batch, n_steps=n_steps)


def prefetch(batches: Iterable[T]) -> Iterator[T]:
    """Yield `batches` while a thread assembles the next one; the order and all draws stay the same."""
    source = iter(batches)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(next, source, None)
        while (batch := pending.result()) is not None:
            pending = pool.submit(next, source, None)
            yield batch


def on_device(device: torch.device, batches: Iterable[T]) -> Iterable[T]:
    """Return `batches` on a device; where it is not the processor, the next one is assembled meanwhile."""
    if device.type == "cpu":  # nothing to overlap: the same cores would do both
        return batches
    return (batch.to(device) for batch in prefetch(batches))
