"""Frames, spectrograms and how segments are cut (thesis, figures 1.1, 1.2, 4.18 to 4.20).

Mel spectrograms are for figure 1.2 only: the networks are given linear frequency (thesis 4.5).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mien.audio.spectrogram import cut_segments, segment_s, spectrogram
from mien.augment.slicing import HOPS, Interval, segment_starts
from mien.config.labels import colour_of
from mien.config.schema import SoundConfig, load, section
from mien.io.randomness import rng_for
from mien.io.shards import read_faces
from mien.report.figures.samples import RANGE_DB, Corpus, choose_clips, draw_level, log_spectrogram, read_corpus
from mien.report.style import GREY, add_panels, draw_absent, hide_frame, saved_figure, spread

log = logging.getLogger(__name__)

N_EMOTIONS, N_FRAMES = 4, 8  # of figure 1.1
BANDS = 80
LEVELS = (-2.0, 2.5)  # shown, standard deviations about the clip's mean
MEL_TICKS_HZ = (0, 500, 1000, 2000, 4000, 8000)
_COLOURS = ("#33bbee", "#ee7733", "#009988", "#cc3311", "#0077bb", "#ee3377")  # of segments


def plot_spectrograms(
    *, clips: Path, corpus_info: Path, faces: Path, sound: Path, out: Path, config: str = "params.yaml"
) -> None:
    """Draw frames, spectrograms and segments of recordings at the thesis's resolution.

    Parameters
    ----------
    out
        Folder; 1.1, 1.2, 4.18, 4.19, 4.20 as .png.
    """
    params = load(config)
    settings = replace(section(SoundConfig, params, "sound"), pool=1)
    corpus = read_corpus(clips, corpus_info, faces=faces, sound=sound)
    shown, heard = corpus.clips[corpus.clips.has_video], corpus.clips[corpus.clips.has_audio]
    frames = spread(choose_clips(shown, 1)["clip"] if len(shown) else [], N_EMOTIONS)  # a clip per emotion of a person
    sounds = read_sounds(corpus, choose_clips(heard, 1)) if len(heard) else []
    longest = longest_sound(corpus)
    segments = longest and choose_segments(longest, settings, seed=section(int, params, "seed"))
    drawings = {  # figure -> height in inches, text, whether there is something to draw, what draws it
        "1.1": (
            0.75 + 1.15 * len(frames),
            f"frames of {len(frames)} recordings of one person",
            frames and (draw_frames, corpus, frames),
        ),
        "1.2": (
            0.9 + 1.35 * -(-len(sounds) // 2),
            f"mel spectrograms of {len(sounds)} recordings of one person (the networks use linear frequency)",
            sounds and (draw_mels, sounds, settings),
        ),
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
            longest and (draw_hops, longest, settings),
        ),
    }
    for number, (height, text, drawing) in drawings.items():
        title = f"{corpus.title(f'Figure {number}')}\n{text}"
        with saved_figure(title, 8.4, max(height, 1.5), out / f"{number}.png") as figure:
            if drawing:
                draw, *content = drawing
                draw(figure, *content)
            else:
                reason = "no face was found" if number == "1.1" else "no clip has a sound"
                draw_absent(figure.subplots(), reason=reason)
    log.info("%s: %d figures", out, len(drawings))


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording's samples (N,) -1..1."""

    clip: str
    emotion: str
    wave: np.ndarray


def read_sounds(corpus: Corpus, chosen: pd.DataFrame) -> list[Sound]:
    """Read the sounds of these clips."""
    return [Sound(row.clip, row.label_name, corpus.wave(row.clip)) for row in chosen.itertuples()]


def longest_sound(corpus: Corpus) -> Sound | None:
    """Read the longest audible sound of the labelled clips, the first by name of equals."""
    known = corpus.clips[(corpus.clips.label >= 0) & corpus.clips.has_audio]
    n_samples = known["clip"].map(lambda clip: -corpus.sounds[clip][2])
    first = known.assign(shortest=n_samples).sort_values(["shortest", "clip"])[:1]
    return next(iter(read_sounds(corpus, first)), None)


def choose_segments(sound: Sound, config: SoundConfig, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return when segments start, s: one after the other at fixed positions, and the overlapping ones of training."""
    duration_s, length_s = len(sound.wave) / config.rate_hz, segment_s(config)
    whole = Interval(0.0, duration_s)
    fixed = segment_starts(whole, length_s=length_s, hop_s=HOPS["NT"] * length_s)
    rng = rng_for(seed, "report", "overlapping", sound.clip)
    return fixed, segment_starts(whole, length_s=length_s, hop_s=HOPS["VA+AO"] * length_s, rng=rng)


def draw_frames(figure: Figure, corpus: Corpus, clips: Sequence[str]) -> None:
    """Draw frames of a clip in a row, from its beginning to its end, with their times above (figure 1.1)."""
    places = [corpus.faces[clip] for clip in clips]
    rows = [spread(numbers, N_FRAMES) for _, numbers in places]
    emotions = corpus.clips.set_index("clip").label_name
    axes = figure.subplots(len(clips), max(map(len, rows)), squeeze=False)
    for line, clip, (folder, _), numbers in zip(axes, clips, places, rows, strict=True):
        shard = read_faces(folder)
        for k, ax in enumerate(line):
            hide_frame(ax)
            ax.set_box_aspect(1)
            if k < len(numbers):
                ax.imshow(shard.frames[numbers[k]], interpolation="bilinear")
                ax.set_title(f"{shard.index.time_s[numbers[k]]:.1f} s", fontsize=7, fontweight="normal", pad=2)
        line[0].set_ylabel(emotions[clip], fontsize=9, fontweight="bold", color=colour_of(emotions[clip]))


def mel_of(hz: np.ndarray | float) -> np.ndarray | float:
    """Return the mel scale's value of a frequency (O'Shaughnessy: 2595 log10(1 + f / 700))."""
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


def mel_spectrogram(wave: np.ndarray, config: SoundConfig) -> np.ndarray:
    """Return (BANDS, K) level in dB re its maximum, with the networks' window and hop, of samples (N,).

    Bands are triangles with equal steps in mel from 0 to half the rate, peaks of 1. The transform is four times as long
    as the window, so that the narrow low bands do not fall between its rows.
    """
    edges = 700.0 * (10.0 ** (np.linspace(0.0, mel_of(config.rate_hz / 2), BANDS + 2) / 2595.0) - 1.0)  # Hz
    hz = np.linspace(0.0, config.rate_hz / 2, 2 * config.window + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bands = np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0.0, None)
    return log_spectrogram(wave, config, bands=bands, longer=4)


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
    spectrum, length_s, top_hz = _spectrum(sound, config), segment_s(config), config.rate_hz / 2
    overlap = len(starts_s) > 1 and np.diff(starts_s).min() < length_s - 1e-6
    n_levels = len(starts_s) if overlap else 1  # rows of marks, so that none lies on another
    segments = cut_segments(torch.from_numpy(spectrum), starts_s, config)[:, 0].numpy()
    rows = figure.add_gridspec(3, len(starts_s), height_ratios=[1.0, 0.05 + 0.09 * n_levels, 1.0])
    whole = figure.add_subplot(rows[0, :])
    extent = (0.0, spectrum.shape[1] * config.hop / config.rate_hz, 0, top_hz)
    image = draw_level(whole, spectrum, extent, limits=LEVELS)
    size = f"{len(sound.wave) / config.rate_hz:.2f} s, {spectrum.shape[0]} x {spectrum.shape[1]}"
    whole.set_title(f"{sound.clip}, {sound.emotion}: {size}", loc="left")
    whole.set_ylabel("frequency, Hz")
    whole.tick_params(labelbottom=False)
    marks = figure.add_subplot(rows[1, :], sharex=whole)
    marks.set(ylim=(n_levels, 0), yticks=[], xlabel="time, s")
    marks.spines[:].set_visible(False)
    for k, (segment, start_s) in enumerate(zip(segments, starts_s, strict=True)):
        y, colour = k % n_levels, _COLOURS[k % len(_COLOURS)]
        marks.add_patch(Rectangle((start_s, y + 0.1), length_s, 0.8, color=colour, lw=0))
        look = {"ha": "center", "va": "center", "color": "white", "fontsize": 7, "fontweight": "bold"}
        marks.text(start_s + length_s / 2, y + 0.5, str(k + 1), **look)
        ax = figure.add_subplot(rows[2, k])
        draw_level(ax, segment, (start_s, start_s + length_s, 0, top_hz), limits=LEVELS)
        ax.spines[:].set(visible=True, color=colour, linewidth=2)
        ax.set_title(f"{k + 1}: {segment.shape[0]} x {segment.shape[1]}", color=colour)
        ticks_s = start_s + length_s * np.array([0, 0.5, 1])
        ax.set_xticks(ticks_s, [f"{tick_s:.2f}" for tick_s in ticks_s])
        ax.tick_params(labelleft=k == 0)
        ax.set(xlabel="time, s", ylabel="" if k else "frequency, Hz")
    figure.colorbar(image, ax=[whole], label="log magnitude, sd", pad=0.01)


def draw_hops(figure: Figure, sound: Sound, config: SoundConfig) -> None:
    """Draw the middle second of a sound with three hops, every column equally wide in all of them (figure 4.19)."""
    hops = (config.hop, 2 * config.hop, max(1, config.hop // 2))
    length_s = segment_s(config)
    start_s = max(0.0, (len(sound.wave) / config.rate_hz - length_s) / 2)
    axes = figure.subplots(len(hops))
    for ax, hop in zip(axes, hops, strict=True):
        n_columns, first = (round(time_s * config.rate_hz / hop) for time_s in (length_s, start_s))
        part = _spectrum(sound, replace(config, hop=hop))[:, first : first + n_columns]
        extent = (0, part.shape[1], 0, config.rate_hz / 2)
        image = draw_level(ax, part, extent, limits=LEVELS, interpolation="nearest")
        ax.set_xlim(0, round(length_s * config.rate_hz / min(hops)))
        ticks_s = np.linspace(0, 1, 5) * length_s
        ax.set_xticks(ticks_s * config.rate_hz / hop, [f"{start_s + tick_s:.2f}" for tick_s in ticks_s])
        ax.axvline(config.segment, color="white" if n_columns > config.segment else GREY, linewidth=1.2, linestyle="--")
        text = f"hop {hop}: {n_columns / length_s:.0f} columns per second; {config.segment} columns are "
        ax.set_title(text + f"{config.segment * hop / config.rate_hz:.2g} s", loc="left")
        ax.set_ylabel("frequency, Hz")
    axes[-1].set_xlabel("time, s")
    figure.colorbar(image, ax=axes, label="log magnitude, sd", shrink=0.4, pad=0.01)


def _spectrum(sound: Sound, config: SoundConfig) -> np.ndarray:
    """Return (F, K) as networks are given it."""
    return spectrogram(torch.from_numpy(sound.wave.astype(np.float32)), config).numpy()
