"""Command plot_spectrograms: frames, spectrograms and their segments (thesis, figures 1.1, 1.2, 4.18 to 4.20; X20)."""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.config import SoundConfig, load, section

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from mien.report.chosen_sounds import Sound

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
    from mien.core import tables
    from mien.core.files import read_json
    from mien.report.chosen_sounds import longest_sound, one_person, read_frames, read_sounds
    from mien.report.figures import title_line
    from mien.report.samples import only_stored

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
    from mien.report.chosen_sounds import evenly
    from mien.report.spectrogram_figures import draw_frames, draw_mels

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
    from mien.report.spectrogram_figures import draw_hops, draw_segments

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

    from mien.augment.slicing import SEGMENTS, Interval, segment_starts
    from mien.core.rng import rng_for
    from mien.sound.spectrogram import segment_s

    duration_s, length_s = len(sound.wave) / config.rate_hz, segment_s(config)
    whole = Interval(0.0, duration_s)
    fixed = segment_starts(whole, max(1, math.ceil(duration_s / length_s)), length_s=length_s, apart_s=length_s)
    rng = rng_for(seed, "report", "overlapping", sound.clip)
    return fixed, segment_starts(whole, SEGMENTS["VA+AO"], length_s=length_s, rng=rng)


def _figure(
    path: Path, title: str, draw: "Callable[[Figure], None] | None", *, size: tuple[float, float], absent: str
) -> None:
    """Draw a figure, or say why there is none, and write it; the dot of 4.18 begins no suffix."""
    from mien.report.confusion import draw_absent
    from mien.report.figures import new_figure, save_figure

    with new_figure(size[0], max(size[1], 1.5)) as figure:
        if draw is None:
            draw_absent(figure.subplots(), title="", reason=absent)
        else:
            draw(figure)
        figure.suptitle(title, fontsize=10)
        save_figure(figure, path.with_name(f"{path.name}.png"))
