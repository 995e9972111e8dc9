"""Command plot_spectrograms: frames, spectrograms and their segments (thesis, figures 1.1, 1.2, 4.18 to 4.20; X20).

Which recordings the figures 1.1, 1.2 and 4.18 to 4.20 show, read from the shards.

Mel spectrograms, for figure 1.2 only: the networks are given linear frequency (thesis 4.5).

Frames and spectrograms of the thesis: figures 1.1, 1.2 and 4.18 to 4.20.
"""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from scipy import signal

from mien.audio.spectrogram import cut_segments, segment_s, spectrogram
from mien.config.labels import colour_of
from mien.config.schema import SoundConfig, load, section
from mien.io.shards import read_faces, read_sound
from mien.report.figures.images import choose_clips, wave_of
from mien.report.style import GREY

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


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


BANDS = 80
RANGE_DB = 70.0  # shown below the loudest cell


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
    power = mel_bands(config.rate_hz, len(power)) @ power
    power = np.maximum(power, np.finfo(np.float32).tiny)
    return np.maximum(10 * np.log10(power / power.max()), -RANGE_DB)


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


log = logging.getLogger(__name__)

N_EMOTIONS, N_FRAMES = 4, 8  # of figure 1.1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--faces", type=Path, required=True, help="folder of the corpus's face shards")
    parser.add_argument("--sound", type=Path, required=True, help="folder of the corpus's sound shards")
    parser.add_argument("--out", type=Path, required=True, help="folder; 1.1, 1.2, 4.18, 4.19, 4.20 as .png")


def run(args: Namespace) -> None:
    """Choose recordings, draw five figures at the thesis's resolution."""
    from mien.io import tables
    from mien.io.files import read_json
    from mien.report.figures.images import only_stored
    from mien.report.style import title_line

    params = load(args.config)
    config = replace(section(SoundConfig, params, "sound"), pool=1)
    seed = section(int, params, "seed")
    info = read_json(args.corpus_info)
    clips = only_stored(tables.read(args.clips, tables.CLIPS), args.faces, args.sound)

    def title(number: str, text: str) -> str:
        return title_line(f"Figure {number}", info["corpus"], synthetic=info["source"] == "synthetic") + "\n" + text

    shown = clips[clips.has_video]
    frames = read_frames(one_person(shown), args.faces, n=N_FRAMES) if len(shown) else []
    heard = clips[clips.has_audio]
    sounds = read_sounds(one_person(heard), args.sound) if len(heard) else []
    _first(args.out, title, frames=frames, sounds=sounds, config=config)
    _segments(args.out, title, longest_sound(clips, args.sound), config, seed=seed)
    log.info("%s: 5 figures", args.out)


def _first(out: Path, title: Callable[[str, str], str], *, frames: list, sounds: list, config: SoundConfig) -> None:
    """Draw figures 1.1 and 1.2."""

    frames = evenly(frames, N_EMOTIONS)
    text = f"frames of {len(frames)} recordings of one person"
    draw = (lambda figure: draw_frames(figure, frames)) if frames else None
    _figure(out / "1.1", title("1.1", text), draw, size=(8.4, 0.75 + 1.15 * len(frames)), absent="no face was found")
    text = f"mel spectrograms of {len(sounds)} recordings of one person (the networks use linear frequency)"
    draw = (lambda figure: draw_mels(figure, sounds, config)) if sounds else None
    size = (8.4, 0.9 + 1.35 * -(-len(sounds) // 2))
    _figure(out / "1.2", title("1.2", text), draw, size=size, absent="no clip has a sound")


def _segments(
    out: Path, title: Callable[[str, str], str], sound: "Sound | None", config: SoundConfig, *, seed: int
) -> None:
    """Draw figures 4.18 to 4.20 of one sound."""

    fixed, overlapping = ([], []) if sound is None else _starts(sound, config, seed=seed)
    kinds = {
        "4.18": ("segments of one second at fixed positions, as many as cover the sound", fixed, 4.9),
        "4.20": ("overlapping segments, drawn as in training with VA+AO, before its random slicing", overlapping, 5.4),
    }
    for number, (text, starts_s, height) in kinds.items():
        draw = None if sound is None else (lambda figure, s=starts_s: draw_segments(figure, sound, s, config))
        _figure(out / number, title(number, text), draw, size=(8.4, height), absent="no clip has a sound")
    hops = (config.hop, 2 * config.hop, max(1, config.hop // 2))
    text = f"one second, window of {config.window}, three hops; all columns equally wide, dashed: a segment ends"
    draw = None if sound is None else (lambda figure: draw_hops(figure, sound, hops, config))
    _figure(out / "4.19", title("4.19", text), draw, size=(8.4, 6.2), absent="no clip has a sound")


def _starts(sound: "Sound", config: SoundConfig, *, seed: int) -> tuple["np.ndarray", "np.ndarray"]:
    """Return when segments start, s: as many as cover the sound at fixed positions, and the overlapping of training."""
    import math

    from mien.audio.spectrogram import segment_s
    from mien.augment.slicing import SEGMENTS, Interval, segment_starts
    from mien.io.randomness import rng_for

    duration_s, length_s = len(sound.wave) / config.rate_hz, segment_s(config)
    whole = Interval(0.0, duration_s)
    fixed = segment_starts(whole, max(1, math.ceil(duration_s / length_s)), length_s=length_s, apart_s=length_s)
    rng = rng_for(seed, "report", "overlapping", sound.clip)
    return fixed, segment_starts(whole, SEGMENTS["VA+AO"], length_s=length_s, rng=rng)


def _figure(
    path: Path, title: str, draw: "Callable[[Figure], None] | None", *, size: tuple[float, float], absent: str
) -> None:
    """Draw a figure, or say why there is none, and write it; the dot of 4.18 begins no suffix."""
    from mien.report.figures.confusion import draw_absent
    from mien.report.style import new_figure, save_figure

    with new_figure(size[0], max(size[1], 1.5)) as figure:
        if draw is None:
            draw_absent(figure.subplots(), title="", reason=absent)
        else:
            draw(figure)
        figure.suptitle(title, fontsize=10)
        save_figure(figure, path.with_name(f"{path.name}.png"))
