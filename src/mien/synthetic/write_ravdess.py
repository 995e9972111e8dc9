"""Write a synthetic RAVDESS (speech): Actor_XX/ with audio-video mp4, video-only mp4 and wav of every take."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.io.files import sha256
from mien.io.media import read_sound, write_video
from mien.synthetic.containers import copy_video, write_filled_wav, write_pointer
from mien.synthetic.performance import Actor, Planted, Scene, Truth

NAMES = [f"{k:02d}" for k in range(1, 25)]  # odd ones are men
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")  # codes 01 to 08
RATE_HZ = 48000

_INTENSITIES = {1: 0.6, 2: 1.0}
_SENTENCES = {1: "kids", 2: "dogs"}
_CODEC = {"preset": "ultrafast", "crf": "20"}


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the takes of one actor: 15 kinds of expression, one or two statements, one or two repetitions."""
    folder = root / f"Actor_{actor.name}"
    folder.mkdir()
    repetitions = range(1, scene.config.takes + 1)
    statements = list(_SENTENCES)[: scene.config.statements]
    for (emotion, intensity), statement, repetition in itertools.product(_kinds(), statements, repetitions):
        take = f"01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor.name}"
        how = {"emotion": EMOTIONS[emotion - 1], "intensity": _INTENSITIES[intensity]}
        frames, wave, truth = scene.film(actor, take, **how, sentence=_SENTENCES[statement], rate_hz=RATE_HZ)
        both = folder / f"01-{take}.mp4"
        write_video(both, frames, rate_fps=scene.config.rate_fps, wave=wave, rate_hz=RATE_HZ, options=_CODEC)
        copy_video(both, folder / f"02-{take}.mp4")
        write_filled_wav(folder / f"03-{take}.wav", wave, RATE_HZ)
        yield truth


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Plant what the real corpus has, and what damaged copies of it have."""
    rng = scene.rng("planted")
    takes = [f"01-{e:02d}-{i:02d}-01-01-{actor.name}" for actor in actors for e, i in _kinds()]
    stereo, other_stereo, first, silent, cut, pointer, missing = rng.choice(takes, 7, replace=False)

    def files_of(take: str) -> tuple[Path, Path, Path]:
        names = (f"01-{take}.mp4", f"02-{take}.mp4", f"03-{take}.wav")
        return tuple(root / f"Actor_{take[-2:]}" / name for name in names)

    def plant(take: str, path: Path, defect: str) -> Planted:
        return Planted(take, path.relative_to(root).as_posix(), defect)

    planted = []
    for take in (stereo, other_stereo):
        _, _, wav = files_of(take)
        samples, rate_hz = read_sound(wav)
        noise = 1e-4 * rng.standard_normal(samples.shape[1])
        write_filled_wav(wav, np.stack([samples[0], samples[0] + noise]), rate_hz)
        planted.append(plant(take, wav, "stereo"))
    fields = first.split("-")  # stored a second time under another repetition, or statement where there is one
    fields[4 if scene.config.takes > 1 else 3] = "02"
    second = "-".join(fields)
    for source, target in zip(files_of(first), files_of(second), strict=True):
        target.write_bytes(source.read_bytes())
    planted.append(plant(second, files_of(second)[0], "twin"))
    both, mute, wav = files_of(silent)
    wave = np.zeros(read_sound(wav)[0].shape[1], np.float32)
    copy_video(mute, both, wave=wave, rate_hz=RATE_HZ)
    write_filled_wav(wav, wave, RATE_HZ)
    planted += [plant(silent, path, "silent") for path in (both, wav)]
    both, _, _ = files_of(cut)
    both.write_bytes(both.read_bytes()[: int(0.6 * both.stat().st_size)])
    planted.append(plant(cut, both, "unreadable"))
    both, _, _ = files_of(pointer)
    write_pointer(both, sha256(both), both.stat().st_size)
    planted.append(plant(pointer, both, "pointer"))
    for path in files_of(missing):
        path.unlink()
    return [*planted, Planted(missing, "", "missing")]


def _kinds() -> list[tuple[int, int]]:
    """Return the pairs of emotion and intensity; neutral has no strong version."""
    return [(emotion, intensity) for emotion in range(1, 9) for intensity in (1, 2) if (emotion, intensity) != (1, 2)]
