"""Frames and spectrograms of the thesis: figures 1.1, 1.2 and 4.18 to 4.20."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from mien.core.config import SoundConfig
from mien.core.palette import colour_of
from mien.report.chosen_sounds import Frames, Sound
from mien.report.figures import GREY
from mien.report.mel import RANGE_DB, mel_of, mel_spectrogram
from mien.sound.spectrogram import cut_segments, segment_s, spectrogram

LEVELS = (-2.0, 2.5)  # shown, standard deviations about the clip's mean
MEL_TICKS_HZ = (0, 500, 1000, 2000, 4000, 8000)
_COLOURS = ("#33bbee", "#ee7733", "#009988", "#cc3311", "#0077bb", "#ee3377")  # of segments


def draw_frames(figure: Figure, rows: Sequence[Frames]) -> None:
    """Draw a row of frames per recording, its emotion at the left and the times above (figure 1.1)."""
    n_columns = max(len(row.pictures) for row in rows)
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        for k, ax in enumerate(line):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if k < len(row.pictures):
                ax.imshow(row.pictures[k], interpolation="bilinear")
                ax.set_title(f"{row.time_s[k]:.1f} s", fontsize=7, fontweight="normal", pad=2)
            else:
                ax.set_box_aspect(1)
        line[0].set_ylabel(row.emotion, fontsize=9, fontweight="bold", color=colour_of(row.emotion))


def draw_mels(figure: Figure, sounds: Sequence[Sound], config: SoundConfig) -> None:
    """Draw the mel spectrogram of every sound on the same time axis, in dB below its loudest cell (figure 1.2)."""
    n_columns = min(2, len(sounds))
    axes = figure.subplots(-(-len(sounds) // n_columns), n_columns, squeeze=False, sharex=True, sharey=True)
    longest_s = max(len(sound.wave) for sound in sounds) / config.rate_hz
    top = float(mel_of(config.rate_hz / 2))
    for ax, sound in zip(axes.ravel(), sounds, strict=False):
        length_s = len(sound.wave) / config.rate_hz
        level = mel_spectrogram(sound.wave, config)
        image = ax.imshow(
            level, origin="lower", aspect="auto", extent=(0, length_s, 0, top), cmap="magma", vmin=-RANGE_DB, vmax=0
        )
        ax.set_title(f"{sound.emotion}, {length_s:.2f} s", loc="left")
        ax.set_xlim(0, longest_s)
        ax.set_yticks(
            [float(mel_of(hz)) for hz in MEL_TICKS_HZ if hz <= config.rate_hz / 2], _names(MEL_TICKS_HZ, config)
        )
    for ax in axes.ravel()[len(sounds) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("frequency, Hz\n(mel scale)")
    for ax in axes[-1]:
        ax.set_xlabel("time, s")
    figure.colorbar(image, ax=axes, label="dB re loudest cell", shrink=0.5, pad=0.01)


def draw_segments(figure: Figure, sound: Sound, starts_s: np.ndarray, config: SoundConfig) -> None:
    """Draw a sound's spectrogram with its segments marked below, and the segments side by side (figures 4.18, 4.20).

    starts_s : (n,) of the segments; `config` without pooling: a segment is 257 x 250 at the thesis's settings.
    """
    spectrum = _spectrum(sound, config)
    segments = cut_segments(torch.from_numpy(spectrum), starts_s, config)[:, 0].numpy()
    rows = figure.add_gridspec(3, len(starts_s), height_ratios=[1.0, 0.05 + 0.09 * _levels(starts_s, config), 1.0])
    whole = figure.add_subplot(rows[0, :])
    length_s = len(sound.wave) / config.rate_hz
    image = _draw(whole, spectrum, 0.0, spectrum.shape[1] * config.hop / config.rate_hz, config)
    whole.set_title(
        f"{sound.clip}, {sound.emotion}: {length_s:.2f} s, {spectrum.shape[0]} x {spectrum.shape[1]}", loc="left"
    )
    whole.set_ylabel("frequency, Hz")
    marks = figure.add_subplot(rows[1, :], sharex=whole)
    _draw_marks(marks, starts_s, segment_s(config), levels=_levels(starts_s, config))
    marks.set_xlabel("time, s")
    whole.tick_params(labelbottom=False)
    for k, (segment, start_s) in enumerate(zip(segments, starts_s, strict=True)):
        ax = figure.add_subplot(rows[2, k])
        _draw(ax, segment, start_s, start_s + segment_s(config), config)
        for spine in ax.spines.values():
            spine.set(visible=True, color=_COLOURS[k % len(_COLOURS)], linewidth=2)
        ax.set_title(f"{k + 1}: {segment.shape[0]} x {segment.shape[1]}", color=_COLOURS[k % len(_COLOURS)])
        ax.set_xlabel("time, s")
        ax.set_xticks(
            start_s + segment_s(config) * np.array([0, 0.5, 1]),
            [f"{start_s + t:.2f}" for t in segment_s(config) * np.array([0, 0.5, 1])],
        )
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
        image = ax.imshow(
            part,
            origin="lower",
            aspect="auto",
            extent=extent,
            cmap="magma",
            vmin=LEVELS[0],
            vmax=LEVELS[1],
            interpolation="nearest",
        )
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


def _draw(ax: Axes, spectrum: np.ndarray, start_s: float, stop_s: float, config: SoundConfig) -> AxesImage:
    return ax.imshow(
        spectrum,
        origin="lower",
        aspect="auto",
        extent=(start_s, stop_s, 0, config.rate_hz / 2),
        cmap="magma",
        vmin=LEVELS[0],
        vmax=LEVELS[1],
    )


def _levels(starts_s: np.ndarray, config: SoundConfig) -> int:
    """Return how many rows the marks of the segments need so that none lies on another."""
    return len(starts_s) if len(starts_s) > 1 and np.diff(starts_s).min() < segment_s(config) - 1e-6 else 1


def _draw_marks(ax: Axes, starts_s: np.ndarray, length_s: float, *, levels: int) -> None:
    for k, start_s in enumerate(starts_s):
        y, colour = k % levels, _COLOURS[k % len(_COLOURS)]
        ax.add_patch(Rectangle((start_s, y + 0.1), length_s, 0.8, color=colour, lw=0))
        ax.text(
            start_s + length_s / 2,
            y + 0.5,
            str(k + 1),
            ha="center",
            va="center",
            color="white",
            fontsize=7,
            fontweight="bold",
        )
    ax.set_ylim(levels, 0)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _names(ticks_hz: Sequence[int], config: SoundConfig) -> list[str]:
    return [str(hz) for hz in ticks_hz if hz <= config.rate_hz / 2]
