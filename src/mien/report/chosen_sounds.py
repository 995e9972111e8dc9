"""Which recordings the figures 1.1, 1.2 and 4.18 to 4.20 show, read from the shards."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien.core.shards import read_faces, read_sound
from mien.report.samples import choose_clips, wave_of


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording's samples (N,) -1..1."""

    clip: str
    emotion: str
    wave: np.ndarray


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames (n, S, S, 3) uint8 of a recording, at equal distances from its beginning to its end, and when they are."""

    clip: str
    emotion: str
    pictures: np.ndarray
    time_s: np.ndarray


def one_person(clips: pd.DataFrame) -> pd.DataFrame:
    """Return a clip per emotion of one person: of the first by name, see `choose_clips`."""
    return choose_clips(clips, 1)


def evenly(values: list, n: int) -> list:
    """Return up to `n` of the values, at equal distances from the first to the last."""
    return [values[place] for place in np.linspace(0, len(values) - 1, min(n, len(values))).round().astype(int)]


def read_sounds(chosen: pd.DataFrame, sound: Path) -> list[Sound]:
    """Read the sounds of these clips, as far as they have one that is not silent."""
    waves = [(row, wave_of(read_sound(sound / row.part), row.clip)) for row in chosen.itertuples()]
    return [Sound(row.clip, row.label_name, wave) for row, wave in waves if wave is not None]


def longest_sound(clips: pd.DataFrame, sound: Path) -> Sound | None:
    """Read the longest sound that is not silent of the labelled clips, the first by name of equals."""
    known = clips[clips.label >= 0].set_index("clip")
    best: tuple[int, str] | None = None
    for part in sorted(set(known.part)):
        if not (sound / part).is_dir():
            continue
        index = read_sound(sound / part).index
        for row in index[~index.silent & index["clip"].isin(known.index) & (index.n_samples > 0)].itertuples():
            best = min(filter(None, (best, (-row.n_samples, row.clip))))
    return None if best is None else read_sounds(known.loc[[best[1]]].reset_index(), sound)[0]


def read_frames(chosen: pd.DataFrame, faces: Path, *, n: int) -> list[Frames]:
    """Read up to `n` frames with a face of each of these clips."""
    found = []
    for row in chosen.itertuples():
        shard = read_faces(faces / row.part)
        rows = np.flatnonzero((shard.index["clip"] == row.clip) & shard.index.found)
        if len(rows):
            rows = np.array(evenly(list(rows), n))
            pictures = np.stack([shard.frames[k] for k in rows])
            found.append(Frames(row.clip, row.label_name, pictures, shard.index.time_s.to_numpy()[rows]))
    return found
