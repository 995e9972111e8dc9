"""Choose clips of a corpus and draw their faces and spectrograms as a contact sheet."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import signal

from mien.core.config import SoundConfig
from mien.core.errors import TableError
from mien.core.shards import FULL_SCALE, FaceShard, SoundShard, read_faces, read_sound

N_ROWS = 10  # classes shown
ORDINARY = ("", "normal", "LO", "XX")  # words of the corpora for weak, usual or unstated intensity
RANGE_DB = 70.0  # shown below the loudest cell of a spectrogram
ROW_IN, COLUMN_IN = 1.5, 1.15  # of the sheet, inches


@dataclass(frozen=True)
class Sample:
    """A cell of the sheet: face (S, S, 3) uint8 or None; level (F, K) dB re its maximum or None, `length_s` wide."""

    label_name: str
    column: str
    face: np.ndarray | None
    level: np.ndarray | None
    length_s: float


def choose_clips(clips: pd.DataFrame, n_columns: int) -> pd.DataFrame:
    """Return the clips of the sheet with an additional column `column`: a row per class, a column per person.

    People and, where there are more than `N_ROWS`, classes are spread evenly over the corpus. Of several clips the one
    with most modalities comes first, then one that is not of ordinary intensity, then the first by name. People whom
    the corpus does not name are stood for by the part. Where the class is the person (speakers), a column is a take.
    """
    clips = clips[(clips.label >= 0) & (clips.has_video | clips.has_audio)]
    if clips.empty:
        raise TableError("no labelled clip with a picture or a sound: there is nothing to show")
    order = clips.assign(
        column=clips.actor.where(clips.actor != "", clips.part),
        modalities=-(clips.has_video.astype(int) + clips.has_audio),
        ordinary=clips.intensity.isin(ORDINARY),
    )
    order = order[order.label.isin(_spread(order.label, N_ROWS))]
    order = order.sort_values(["label", "column", "modalities", "ordinary", "clip"])
    if order.label.nunique() > 1 and order.groupby("column").label.nunique().max() == 1:
        order["column"] = "take " + (order.groupby("label").cumcount() + 1).astype(str).str.zfill(2)
    order = order[order.column.isin(_spread(order.column, n_columns))]
    return order.drop_duplicates(["label", "column"]).reset_index(drop=True)


def only_stored(clips: pd.DataFrame, faces: Path | None, sound: Path | None) -> pd.DataFrame:
    """Return `clips` with has_video and has_audio only where a shard holds a found face or an audible sound."""
    shown, heard = set(), set()
    for part in sorted(set(clips.part)):
        if faces is not None and (faces / part).is_dir():
            index = read_faces(faces / part).index
            shown |= set(index["clip"][index.found])
        if sound is not None and (sound / part).is_dir():
            index = read_sound(sound / part).index
            heard |= set(index["clip"][~index.silent])
    return clips.assign(has_video=clips["clip"].isin(shown), has_audio=clips["clip"].isin(heard))


def read_samples(chosen: pd.DataFrame, faces: Path | None, sound: Path | None, config: SoundConfig) -> list[Sample]:
    """Read the middle face and the sound of the chosen clips from the shards, as far as they have them."""
    samples = []
    for part, rows in chosen.groupby("part", sort=True):
        face_shard = read_faces(faces / part) if faces is not None and (faces / part).is_dir() else None
        sound_shard = read_sound(sound / part) if sound is not None and (sound / part).is_dir() else None
        for row in rows.itertuples():
            face = None if face_shard is None else middle_face(face_shard, row.clip)
            wave = None if sound_shard is None else wave_of(sound_shard, row.clip)
            level = None if wave is None else log_spectrogram(wave, config)
            length_s = 0.0 if wave is None else len(wave) / config.rate_hz
            samples.append(Sample(row.label_name, row.column, face, level, length_s))
    return samples


def middle_face(shard: FaceShard, clip: str) -> np.ndarray | None:
    """Return the region (S, S, 3) uint8 in the middle of the frames in which a face was found, or None."""
    rows = np.flatnonzero((shard.index["clip"] == clip) & shard.index.found)
    return np.array(shard.frames[rows[len(rows) // 2]]) if len(rows) else None


def wave_of(shard: SoundShard, clip: str) -> np.ndarray | None:
    """Return the samples (N,) -1..1 of a clip, or None where it has none or is silent."""
    rows = shard.index[shard.index["clip"] == clip]
    if rows.empty or rows.silent.iloc[0] or rows.n_samples.iloc[0] == 0:
        return None
    start = int(rows.start.iloc[0])
    return shard.wave[start : start + int(rows.n_samples.iloc[0])] / FULL_SCALE


def log_spectrogram(wave: np.ndarray, config: SoundConfig) -> np.ndarray:
    """Return (F, K) level in dB re its maximum, rows from 0 Hz to half the rate, with the networks' window and hop."""
    if len(wave) < config.window:
        wave = np.pad(wave, (0, config.window - len(wave)))
    *_, power = signal.spectrogram(
        wave, config.rate_hz, window="hann", nperseg=config.window, noverlap=config.window - config.hop
    )
    power = np.maximum(power, np.finfo(power.dtype).tiny)
    return np.maximum(10 * np.log10(power / power.max()), -RANGE_DB)


def sheet_size(samples: list[Sample]) -> tuple[float, float]:
    """Return width and height of the sheet in inches."""
    n_rows, n_columns = len({s.label_name for s in samples}), len({s.column for s in samples})
    both = _has(samples, "face") and _has(samples, "level")
    return 0.9 + COLUMN_IN * n_columns, 0.9 + (ROW_IN if both else 0.75 * ROW_IN) * n_rows


def draw_samples(figure: Figure, samples: list[Sample], classes: list[str], *, title: str, rate_hz: int) -> None:
    """Draw a row per class and a column per person or take: the face, and below it the spectrogram of the same clip.

    A modality that no sample has takes no room; an empty cell is a clip without a face or without a voice.
    """
    columns = sorted({sample.column for sample in samples})
    kinds = [kind for kind in ("face", "level") if _has(samples, kind)]
    longest_s = max(sample.length_s for sample in samples)
    cells = {(sample.label_name, sample.column): sample for sample in samples}
    heights = [{"face": 2.0, "level": 1.0}[kind] for kind in kinds] * len(classes)
    axes = figure.subplots(len(heights), len(columns), squeeze=False, height_ratios=heights)
    for row, column in np.ndindex(axes.shape):
        ax, kind = axes[row, column], kinds[row % len(kinds)]
        sample = cells.get((classes[row // len(kinds)], columns[column]))
        _draw_cell(ax, sample, kind, longest_s)
        if row == 0:
            ax.set_title(columns[column], fontsize=8)
        if column == 0 and row % len(kinds) == 0:
            ax.set_ylabel(classes[row // len(kinds)], fontsize=9, fontweight="bold")
    if "level" in kinds:
        axes[-1, 0].set_xlabel(f"{longest_s:.1f} s wide, 0 to {rate_hz / 2000:g} kHz", fontsize=7)
    figure.suptitle(title, fontsize=10)


def _draw_cell(ax, sample: Sample | None, kind: str, longest_s: float) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    content = getattr(sample, kind, None)
    if content is None:
        ax.set_facecolor("#f2f2f2")
        if kind == "face":
            ax.set_box_aspect(1)
    elif kind == "face":
        ax.imshow(content, interpolation="nearest")
    else:
        extent = (0, sample.length_s, 0, 1)
        ax.imshow(content, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-RANGE_DB, vmax=0)
        ax.set_xlim(0, longest_s)


def _spread(values: pd.Series, n: int) -> list:
    """Return up to `n` of the distinct values, evenly spaced in their order."""
    known = sorted(values.unique())
    return [known[i] for i in np.linspace(0, len(known) - 1, min(n, len(known))).round().astype(int)]


def _has(samples: list[Sample], kind: str) -> bool:
    return any(getattr(sample, kind) is not None for sample in samples)
