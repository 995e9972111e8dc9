"""A corpus as its shards hold it, and a contact sheet of it: faces and spectrograms as networks see and hear them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from scipy import signal

from mien.config.schema import SoundConfig, load, section
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.shards import FULL_SCALE, read_faces, read_sound
from mien.report.style import ABSENT_LEVEL, WHITE, corpus_title, draw_grid, saved_figure, spread

log = logging.getLogger(__name__)

N_ROWS = 10  # classes shown
ORDINARY = ("", "normal", "LO", "XX")  # words of the corpora for weak, usual or unstated intensity
RANGE_DB = 70.0  # shown below the loudest cell of a spectrogram
COLUMN_IN = 1.15  # of the sheet, inches
SIDE_PX = 160  # of a face; a spectrogram is half as high
MAGMA = colormaps["magma"]
_TINY = np.finfo(np.float32).tiny  # stands for no power


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus and where its shards hold its clips.

    info : corpus.json.   clips : CLIPS, has_video and has_audio only with a found face and an audible sound.
    faces : clip -> folder of its shard and its rows (n,) with a face.
    sounds : clip -> folder of its shard, first sample and number of samples.
    """

    info: dict[str, Any]
    clips: pd.DataFrame
    faces: dict[str, tuple[Path, np.ndarray]]
    sounds: dict[str, tuple[Path, int, int]]

    def title(self, name: str) -> str:
        """Return the headline of a figure of this corpus."""
        return corpus_title(name, self.info)

    def regions(self, clips: Iterable[str]) -> list[np.ndarray]:
        """Return the region (S, S, 3) uint8 in the middle of the frames of every clip in which a face was found."""
        places = [self.faces[clip] for clip in clips]
        frames = {folder: read_faces(folder).frames for folder in {folder for folder, _ in places}}
        return [np.array(frames[folder][rows[len(rows) // 2]]) for folder, rows in places]

    def grey(self, clips: Iterable[str]) -> np.ndarray:
        """Return (N, S, S) uint8, the faces of clips in grey as networks get them."""
        return np.stack([cv2.cvtColor(region, cv2.COLOR_RGB2GRAY) for region in self.regions(clips)])

    def wave(self, clip: str) -> np.ndarray:
        """Return the samples (N,) -1..1 of a clip."""
        folder, start, n_samples = self.sounds[clip]
        return read_sound(folder).wave[start : start + n_samples] / FULL_SCALE


def read_corpus(clips: Path, corpus_info: Path, *, faces: Path | None, sound: Path | None) -> Corpus:
    """Read the tables of a corpus, and which of its clips have a face and a sound in the shards of their stages."""
    table, info = tables.read(clips, tables.CLIPS), read_json(corpus_info)
    seen: dict[str, tuple[Path, np.ndarray]] = {}
    heard: dict[str, tuple[Path, int, int]] = {}
    for folder in _shards(faces):
        index = read_faces(folder).index
        groups = index[index.found].groupby("clip").groups
        seen |= {clip: (folder, rows.to_numpy()) for clip, rows in groups.items()}
    for folder in _shards(sound):
        index = read_sound(folder).index
        index = index[~index.silent & (index.n_samples > 0)]
        heard |= {row.clip: (folder, row.start, row.n_samples) for row in index.itertuples()}
    stored = table.assign(has_video=table["clip"].isin(seen.keys()), has_audio=table["clip"].isin(heard.keys()))
    return Corpus(info, stored, seen, heard)


def _shards(stage: Path | None) -> list[Path]:
    """List the shards that the manifest of a stage names; none where the corpus has nothing for it."""
    if stage is None or not stage.is_dir():
        return []
    return [stage / part for part in sorted(read_json(stage / "manifest.json")["parts"])]


def apexes(rows: pd.DataFrame, person: str) -> pd.DataFrame:
    """Return a row per emotion and person: the last clip by name, a sequence's apex, and of neutral ones the first."""
    rows = rows.sort_values("clip")
    first, last = (rows.duplicated(["label_name", person], keep=keep) for keep in ("first", "last"))
    return rows[~first.where(rows.label_name == "neutral", last)]


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
    order = order[order.label.isin(spread(sorted(order.label.unique()), N_ROWS))]
    order = order.sort_values(["label", "column", "modalities", "ordinary", "clip"])
    if order.label.nunique() > 1 and order.groupby("column").label.nunique().max() == 1:
        order["column"] = "take " + (order.groupby("label").cumcount() + 1).astype(str).str.zfill(2)
    order = order[order.column.isin(spread(sorted(order.column.unique()), n_columns))]
    return order.drop_duplicates(["label", "column"]).reset_index(drop=True)


def log_spectrogram(
    wave: np.ndarray, config: SoundConfig, *, bands: np.ndarray | None = None, longer: int = 1
) -> np.ndarray:
    """Return (F, K) level in dB re its maximum, not below -RANGE_DB, with the networks' window and hop.

    bands : (F, n) weights of the powers from 0 Hz to half the rate; None: these themselves.
    longer : times the window, length of the transform.
    """
    wave = np.pad(wave, (0, max(0, config.window - len(wave))))
    *_, power = signal.spectrogram(
        wave,
        config.rate_hz,
        window="hann",
        nperseg=config.window,
        noverlap=config.window - config.hop,
        nfft=longer * config.window,
    )
    power = np.maximum(power if bands is None else bands @ power, _TINY)
    return np.maximum(10 * np.log10(power / power.max()), -RANGE_DB)


def draw_level(
    ax: Axes, level: np.ndarray, extent: tuple[float, float, float, float], *, limits: tuple[float, float], **more: str
) -> AxesImage:
    """Draw a spectrogram (F, K) from `extent` (left, right, bottom, top), dark at the lower of the `limits`."""
    low, high = limits
    return ax.imshow(level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=low, vmax=high, **more)


def draw_samples(ax: Axes, corpus: Corpus, chosen: pd.DataFrame, config: SoundConfig) -> None:
    """Draw a row per class and a column per person or take: the face, and below it the spectrogram of the same clip.

    chosen : of `choose_clips`. A modality that none of them has takes no room; a grey part is a clip without it, or no
        clip. All is one picture: hundreds of small axes take matplotlib longer than most stages of a small corpus.
    """
    classes = [name for name in corpus.info["classes"] if name in set(chosen.label_name)]
    columns = sorted(set(chosen.column))
    with_face, with_sound = (chosen["clip"][chosen[kind]].tolist() for kind in ("has_video", "has_audio"))
    faces = dict(zip(with_face, corpus.regions(with_face), strict=True))
    longest_s = max((corpus.sounds[clip][2] / config.rate_hz for clip in with_sound), default=0.0)
    cells = {}
    for row in chosen.itertuples():
        parts = []
        if with_face:
            face = faces.get(row.clip, np.full((1, 1, 3), ABSENT_LEVEL, np.uint8))
            parts.append(cv2.resize(face, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_NEAREST))
        if with_sound:
            strip = np.full((SIDE_PX // 2, SIDE_PX, 3), ABSENT_LEVEL if not row.has_audio else WHITE, np.uint8)
            if row.has_audio:
                level = log_spectrogram(corpus.wave(row.clip), config)[::-1]
                width = max(1, round(SIDE_PX * corpus.sounds[row.clip][2] / config.rate_hz / longest_s))
                level = cv2.resize(level, (width, len(strip)), interpolation=cv2.INTER_AREA)
                strip[:, :width] = MAGMA(1 + level / RANGE_DB, bytes=True)[..., :3]
            parts.append(strip)
        cells[classes.index(row.label_name), columns.index(row.column)] = np.concatenate(parts)
    blank = np.full_like(next(iter(cells.values())), ABSENT_LEVEL)
    places = np.ndindex(len(classes), len(columns))
    draw_grid(ax, {place: cells.get(place, blank) for place in places}, rows=classes, columns=columns)
    if with_sound:
        ax.set_xlabel(f"spectrograms: {longest_s:.1f} s wide, 0 to {config.rate_hz / 2000:g} kHz", fontsize=7)


def plot_samples(
    *,
    clips: Path,
    corpus_info: Path,
    out_png: Path,
    faces: Path | None = None,
    sound: Path | None = None,
    columns: int = 6,
    config: str = "params.yaml",
) -> None:
    """Draw a contact sheet of a corpus, as the networks see and hear it.

    Parameters
    ----------
    out_png
        The sheet.
    columns
        Columns of the sheet.
    """
    settings = section(SoundConfig, load(config), "sound")
    corpus = read_corpus(clips, corpus_info, faces=faces, sound=sound)
    if not (corpus.clips.has_video | corpus.clips.has_audio).any():
        raise TableError(f"{clips}: no shard holds a face or a sound of these clips; name --faces or --sound")
    chosen = choose_clips(corpus.clips, columns)
    row_in = COLUMN_IN * (chosen.has_video.any() + chosen.has_audio.any() / 2)
    size = (0.9 + COLUMN_IN * chosen.column.nunique(), 0.9 + row_in * chosen.label_name.nunique())
    with saved_figure(corpus.title("Samples"), *size, out_png) as figure:
        draw_samples(figure.subplots(), corpus, chosen, settings)
    log.info("%s: %d clips", out_png, len(chosen))
