"""Frames, spectrograms and how segments are cut (thesis, figures 1.1, 1.2, 4.18 to 4.20).

Mel spectrograms are for figure 1.2 only: the networks are given linear frequency (thesis 4.5).
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import signal

from mien.audio.spectrogram import cut_segments, segment_s, spectrogram
from mien.augment.slicing import SEGMENTS, Interval, segment_starts
from mien.config.labels import colour_of
from mien.config.schema import SoundConfig, load, section
from mien.io import tables
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.io.shards import read_faces, read_sound
from mien.report.figures.images import RANGE_DB, choose_clips, draw_level, level_db, only_stored, wave_of
from mien.report.style import GREY, add_panels, corpus_title, draw_absent, hide_frame, saved_figure, spread

log = logging.getLogger(__name__)

N_EMOTIONS, N_FRAMES = 4, 8  # of figure 1.1


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
            rows = np.array(spread(rows, n))
            pictures = np.stack([shard.frames[k] for k in rows])
            found.append(Frames(row.clip, row.label_name, pictures, shard.index.time_s.to_numpy()[rows]))
    return found


BANDS = 80


def mel_of(hz: np.ndarray | float) -> np.ndarray | float:
    """Return the mel scale's value of a frequency (O'Shaughnessy: 2595 log10(1 + f / 700))."""
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


def hz_of(mel: np.ndarray | float) -> np.ndarray | float:
    """Return the frequency of a value of the mel scale."""
    return 700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0)


def mel_bands(rate_hz: int, n_rows: int, *, n_bands: int = BANDS) -> np.ndarray:
    """Return (n_bands, n_rows) weights: triangles with equal steps in mel from 0 to half the rate, peaks of 1.

    n_rows : of a linear spectrogram from 0 Hz to half the rate.
    """
    edges = hz_of(np.linspace(0.0, mel_of(rate_hz / 2), n_bands + 2))
    hz = np.linspace(0.0, rate_hz / 2, n_rows)[None]
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0.0, None)


def mel_spectrogram(wave: np.ndarray, config: SoundConfig) -> np.ndarray:
    """Return (BANDS, K) level in dB re its maximum, with the networks' window and hop, of samples (N,).

    The transform is four times as long as the window, so that the narrow low bands do not fall between its rows.
    """
    wave = np.pad(wave, (0, max(0, config.window - len(wave))))
    *_, power = signal.spectrogram(
        wave,
        config.rate_hz,
        window="hann",
        nperseg=config.window,
        noverlap=config.window - config.hop,
        nfft=4 * config.window,
    )
    return level_db(mel_bands(config.rate_hz, len(power)) @ power, tiny=np.finfo(np.float32).tiny)


LEVELS = (-2.0, 2.5)  # shown, standard deviations about the clip's mean
MEL_TICKS_HZ = (0, 500, 1000, 2000, 4000, 8000)
_COLOURS = ("#33bbee", "#ee7733", "#009988", "#cc3311", "#0077bb", "#ee3377")  # of segments


def draw_frames(figure: Figure, rows: Sequence[Frames]) -> None:
    """Draw a row of frames per recording, its emotion at the left and the times above (figure 1.1)."""
    n_columns = max(len(row.pictures) for row in rows)
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        for k, ax in enumerate(line):
            hide_frame(ax)
            if k < len(row.pictures):
                ax.imshow(row.pictures[k], interpolation="bilinear")
                ax.set_title(f"{row.time_s[k]:.1f} s", fontsize=7, fontweight="normal", pad=2)
            else:
                ax.set_box_aspect(1)
        line[0].set_ylabel(row.emotion, fontsize=9, fontweight="bold", color=colour_of(row.emotion))


def draw_mels(figure: Figure, sounds: Sequence[Sound], config: SoundConfig) -> None:
    """Draw the mel spectrogram of every sound on the same time axis, in dB below its loudest cell (figure 1.2)."""
    n_columns = min(2, len(sounds))
    axes = add_panels(figure, len(sounds), n_columns=n_columns, sharex=True, sharey=True)
    longest_s = max(len(sound.wave) for sound in sounds) / config.rate_hz
    ticks_hz = [hz for hz in MEL_TICKS_HZ if hz <= config.rate_hz / 2]
    for number, (ax, sound) in enumerate(zip(axes, sounds, strict=True)):
        length_s = len(sound.wave) / config.rate_hz
        extent = (0, length_s, 0, float(mel_of(config.rate_hz / 2)))
        image = draw_level(ax, mel_spectrogram(sound.wave, config), extent, limits=(-RANGE_DB, 0))
        ax.set_title(f"{sound.emotion}, {length_s:.2f} s", loc="left")
        ax.set_xlim(0, longest_s)
        ax.set_yticks([float(mel_of(hz)) for hz in ticks_hz], map(str, ticks_hz))
        if number % n_columns == 0:
            ax.set_ylabel("frequency, Hz\n(mel scale)")
    for ax in figure.axes[-n_columns:]:
        ax.set_xlabel("time, s")
    figure.colorbar(image, ax=figure.axes, label="dB re loudest cell", shrink=0.5, pad=0.01)


def draw_segments(figure: Figure, sound: Sound, starts_s: np.ndarray, config: SoundConfig) -> None:
    """Draw a sound's spectrogram with its segments marked below, and the segments side by side (figures 4.18, 4.20).

    starts_s : (n,) of the segments; `config` without pooling: a segment is 257 x 250 at the thesis's settings.
    """
    spectrum, length_s = _spectrum(sound, config), segment_s(config)
    overlap = len(starts_s) > 1 and np.diff(starts_s).min() < length_s - 1e-6
    n_levels = len(starts_s) if overlap else 1  # rows of marks, so that none lies on another
    segments = cut_segments(torch.from_numpy(spectrum), starts_s, config)[:, 0].numpy()
    rows = figure.add_gridspec(3, len(starts_s), height_ratios=[1.0, 0.05 + 0.09 * n_levels, 1.0])
    whole = figure.add_subplot(rows[0, :])
    top_hz = config.rate_hz / 2
    extent = (0.0, spectrum.shape[1] * config.hop / config.rate_hz, 0, top_hz)
    image = draw_level(whole, spectrum, extent, limits=LEVELS)
    size = f"{len(sound.wave) / config.rate_hz:.2f} s, {spectrum.shape[0]} x {spectrum.shape[1]}"
    whole.set_title(f"{sound.clip}, {sound.emotion}: {size}", loc="left")
    whole.set_ylabel("frequency, Hz")
    marks = figure.add_subplot(rows[1, :], sharex=whole)
    _draw_marks(marks, starts_s, length_s, levels=n_levels)
    marks.set_xlabel("time, s")
    whole.tick_params(labelbottom=False)
    for k, (segment, start_s) in enumerate(zip(segments, starts_s, strict=True)):
        ax = figure.add_subplot(rows[2, k])
        draw_level(ax, segment, (start_s, start_s + length_s, 0, top_hz), limits=LEVELS)
        colour = _COLOURS[k % len(_COLOURS)]
        ax.spines[:].set(visible=True, color=colour, linewidth=2)
        ax.set_title(f"{k + 1}: {segment.shape[0]} x {segment.shape[1]}", color=colour)
        ax.set_xlabel("time, s")
        ticks = length_s * np.array([0, 0.5, 1])
        ax.set_xticks(start_s + ticks, [f"{start_s + t:.2f}" for t in ticks])
        if k:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel("frequency, Hz")
    figure.colorbar(image, ax=[whole], label="log magnitude, sd", pad=0.01)


def draw_hops(figure: Figure, sound: Sound, hops: Sequence[int], config: SoundConfig) -> None:
    """Draw the middle second of a sound with several hops, every column equally wide in all of them (figure 4.19)."""
    length_s = segment_s(config)
    start_s = max(0.0, (len(sound.wave) / config.rate_hz - length_s) / 2)
    widest = round(length_s * config.rate_hz / min(hops))
    axes = figure.subplots(len(hops), 1)
    for ax, hop in zip(np.atleast_1d(axes), hops, strict=True):
        this = replace(config, hop=hop)
        n_columns = round(length_s * config.rate_hz / hop)
        first = round(start_s * config.rate_hz / hop)
        part = _spectrum(sound, this)[:, first : first + n_columns]
        extent = (0, part.shape[1], 0, config.rate_hz / 2)
        image = draw_level(ax, part, extent, limits=LEVELS, interpolation="nearest")
        ax.set_xlim(0, widest)
        ticks = np.linspace(0, 1, 5) * length_s
        ax.set_xticks(ticks * config.rate_hz / hop, [f"{start_s + t:.2f}" for t in ticks])
        ax.axvline(config.segment, color="white" if n_columns > config.segment else GREY, linewidth=1.2, linestyle="--")
        ax.set_title(
            f"hop {hop}: {n_columns / length_s:.0f} columns per second; {config.segment} columns are "
            f"{config.segment * hop / config.rate_hz:.2g} s",
            loc="left",
        )
        ax.set_ylabel("frequency, Hz")
    np.atleast_1d(axes)[-1].set_xlabel("time, s")
    figure.colorbar(image, ax=axes, label="log magnitude, sd", shrink=0.4, pad=0.01)


def _spectrum(sound: Sound, config: SoundConfig) -> np.ndarray:
    """Return (F, K) as networks are given it."""
    return spectrogram(torch.from_numpy(sound.wave.astype(np.float32)), config).numpy()


def _draw_marks(ax: Axes, starts_s: np.ndarray, length_s: float, *, levels: int) -> None:
    for k, start_s in enumerate(starts_s):
        y, colour = k % levels, _COLOURS[k % len(_COLOURS)]
        ax.add_patch(Rectangle((start_s, y + 0.1), length_s, 0.8, color=colour, lw=0))
        look = {"ha": "center", "va": "center", "color": "white", "fontsize": 7, "fontweight": "bold"}
        ax.text(start_s + length_s / 2, y + 0.5, str(k + 1), **look)
    ax.set_ylim(levels, 0)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def plot_spectrograms(
    *, clips: Path, corpus_info: Path, faces: Path, sound: Path, out: Path, config: str = "params.yaml"
) -> None:
    """Draw frames, spectrograms and segments of recordings at the thesis's resolution.

    Parameters
    ----------
    clips
        Table CLIPS of the corpus.
    corpus_info
        corpus.json of the corpus.
    faces
        Folder of the corpus's face shards.
    sound
        Folder of the corpus's sound shards.
    out
        Folder; 1.1, 1.2, 4.18, 4.19, 4.20 as .png.
    config
        params.yaml, or its sections as JSON text.
    """
    params, info = load(config), read_json(corpus_info)
    settings = replace(section(SoundConfig, params, "sound"), pool=1)
    stored = only_stored(tables.read(clips, tables.CLIPS), faces, sound)
    shown, heard = stored[stored.has_video], stored[stored.has_audio]  # a clip per emotion of one person:
    frames = spread(read_frames(choose_clips(shown, 1), faces, n=N_FRAMES) if len(shown) else [], N_EMOTIONS)
    sounds = read_sounds(choose_clips(heard, 1), sound) if len(heard) else []
    longest = longest_sound(stored, sound)
    segments = longest and choose_segments(longest, settings, seed=section(int, params, "seed"))
    hops = (settings.hop, 2 * settings.hop, max(1, settings.hop // 2))
    text = "mel spectrograms of {} recordings of one person (the networks use linear frequency)"
    drawings = {  # figure -> height in inches, text, whether there is something to draw, what draws it
        "1.1": (
            0.75 + 1.15 * len(frames),
            f"frames of {len(frames)} recordings of one person",
            frames and (draw_frames, frames),
        ),
        "1.2": (0.9 + 1.35 * -(-len(sounds) // 2), text.format(len(sounds)), sounds and (draw_mels, sounds, settings)),
        "4.18": (
            4.9,
            "segments of one second at fixed positions, as many as cover the sound",
            longest and (draw_segments, longest, segments[0], settings),
        ),
        "4.20": (
            5.4,
            "overlapping segments, drawn as in training with VA+AO, before its random slicing",
            longest and (draw_segments, longest, segments[1], settings),
        ),
        "4.19": (
            6.2,
            f"one second, window of {settings.window}, three hops; all columns equally wide, dashed: a segment ends",
            longest and (draw_hops, longest, hops, settings),
        ),
    }
    for number, (height, text, drawing) in drawings.items():
        title = f"{corpus_title(f'Figure {number}', info)}\n{text}"
        with saved_figure(title, 8.4, max(height, 1.5), out / f"{number}.png") as figure:
            if drawing:
                draw, *content = drawing
                draw(figure, *content)
            else:
                reason = "no face was found" if number == "1.1" else "no clip has a sound"
                draw_absent(figure.subplots(), reason=reason)
    log.info("%s: %d figures", out, len(drawings))


def choose_segments(sound: Sound, config: SoundConfig, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return when segments start, s: as many as cover the sound at fixed positions, and the overlapping of training."""
    duration_s, length_s = len(sound.wave) / config.rate_hz, segment_s(config)
    whole = Interval(0.0, duration_s)
    fixed = segment_starts(whole, max(1, math.ceil(duration_s / length_s)), length_s=length_s, apart_s=length_s)
    rng = rng_for(seed, "report", "overlapping", sound.clip)
    return fixed, segment_starts(whole, SEGMENTS["VA+AO"], length_s=length_s, rng=rng)
