"""What a network can look at: the frames, spectrograms and action units of a corpus, read once per command."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mien.core import shards, tables
from mien.core.config import FacesConfig, SoundConfig
from mien.core.errors import TableError
from mien.core.files import digest, read_json, sha256
from mien.sound.spectrogram import spectrogram
from mien.training.units import Motion, read_motions

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
