"""Shards: few large arrays with an index, memory-mapped by those who read them.

A face shard is a folder with frames.npy (N, S, S, 3) uint8 RGB, landmarks.npy (N, 68, 2) float32 px of the source
picture (NaN where no face was found) and index.parquet (FRAMES); where there are films it has along.npy too: the same
frames for networks that run along, each cut by what was known by then. A sound shard is a folder with wave.npy (N,)
int16 and index.parquet (SOUNDS). A clip's rows are consecutive.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien.core import tables
from mien.core.errors import TableError
from mien.core.files import atomic_folder

FULL_SCALE = 32767.0  # int16 value of a sample of 1.0


@dataclass(frozen=True)
class FaceShard:
    """frames (N, S, S, 3) uint8, landmarks (N, 68, 2) float32 px, index FRAMES with N rows.

    along : (N, S, S, 3) uint8, the same frames as networks that run along see them, zeros where no face was found;
        None where no clip is a film: to a picture that stands alone nothing is later.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    index: pd.DataFrame
    along: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.frames) == len(self.landmarks) == len(self.index):
            raise TableError(
                f"face shard: {len(self.frames)} frames, {len(self.landmarks)} landmark sets, {len(self.index)} rows"
            )
        if self.along is not None and self.along.shape != self.frames.shape:
            raise TableError(f"face shard: frames are {self.frames.shape}, and along is {self.along.shape}")

    @property
    def seen_along(self) -> np.ndarray:
        """Return what networks that run along see, (N, S, S, 3)."""
        return self.frames if self.along is None else self.along


@dataclass(frozen=True)
class SoundShard:
    """wave (N,) int16 at the rate of the sound section, index SOUNDS."""

    wave: np.ndarray
    index: pd.DataFrame

    def __post_init__(self) -> None:
        if int(self.index.n_samples.sum()) != len(self.wave):
            raise TableError(f"sound shard: {len(self.wave)} samples, index names {self.index.n_samples.sum()}")


def write_faces(folder: Path, shard: FaceShard) -> None:
    """Write a face shard, whole or not at all."""
    with atomic_folder(folder) as scratch:
        np.save(scratch / "frames.npy", shard.frames)
        if shard.along is not None:
            np.save(scratch / "along.npy", shard.along)
        np.save(scratch / "landmarks.npy", shard.landmarks.astype(np.float32))
        tables.write(scratch / "index.parquet", shard.index, tables.FRAMES)


def read_faces(folder: Path) -> FaceShard:
    """Map a face shard into memory; pixels are read when they are used."""
    along = Path(folder) / "along.npy"
    return FaceShard(
        _load(Path(folder) / "frames.npy"),
        _load(Path(folder) / "landmarks.npy"),
        tables.read(Path(folder) / "index.parquet", tables.FRAMES),
        _load(along) if along.exists() else None,
    )


def write_sound(folder: Path, shard: SoundShard) -> None:
    """Write a sound shard, whole or not at all."""
    with atomic_folder(folder) as scratch:
        np.save(scratch / "wave.npy", shard.wave)
        tables.write(scratch / "index.parquet", shard.index, tables.SOUNDS)


def read_sound(folder: Path) -> SoundShard:
    """Map a sound shard into memory."""
    return SoundShard(_load(Path(folder) / "wave.npy"), tables.read(Path(folder) / "index.parquet", tables.SOUNDS))


def _load(path: Path) -> np.ndarray:
    try:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError:  # an array without elements cannot be mapped; a damaged one fails again below
            return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run the stage that writes it") from None
    except (ValueError, EOFError) as error:
        raise TableError(f"{path} is damaged ({error}); delete its folder and run the stage again") from error
