"""Write a synthetic RAVDESS (speech): Actor_XX/ with audio-video mp4, video-only mp4 and wav of every take."""

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
    """Write the takes of one actor: 15 kinds of expression, two statements, one or two repetitions."""
    folder = root / f"Actor_{actor.name}"
    folder.mkdir()
    for emotion, intensity in _kinds():
        for statement in _SENTENCES:
            for repetition in range(1, scene.config.takes + 1):
                take = f"01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor.name}"
                frames, wave, truth = scene.film(
                    actor,
                    take,
                    emotion=EMOTIONS[emotion - 1],
                    intensity=_INTENSITIES[intensity],
                    sentence=_SENTENCES[statement],
                    rate_hz=RATE_HZ,
                )
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
    planted = [_make_stereo(root, take, rng) for take in (stereo, other_stereo)]
    planted += _make_duplicate(root, first, scene.config.takes)
    planted += _make_silent(root, silent)
    path = _path(root, "01", cut)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    planted.append(_plant(root, path, cut, "unreadable"))
    path = _path(root, "01", pointer)
    write_pointer(path, sha256(path), path.stat().st_size)
    planted.append(_plant(root, path, pointer, "pointer"))
    for modality in ("01", "02", "03"):
        _path(root, modality, missing).unlink()
    return [*planted, Planted(missing, "", "missing")]


def _kinds() -> list[tuple[int, int]]:
    """Return the pairs of emotion and intensity; neutral has no strong version."""
    return [(emotion, intensity) for emotion in range(1, 9) for intensity in (1, 2) if (emotion, intensity) != (1, 2)]


def _make_stereo(root: Path, take: str, rng: np.random.Generator) -> Planted:
    path = _path(root, "03", take)
    samples, rate_hz = read_sound(path)
    noise = 1e-4 * rng.standard_normal(samples.shape[1])
    write_filled_wav(path, np.stack([samples[0], samples[0] + noise]), rate_hz)
    return _plant(root, path, take, "stereo")


def _make_duplicate(root: Path, first: str, takes: int) -> list[Planted]:
    """Store a take a second time under another repetition (or statement, where there is one repetition)."""
    fields = first.split("-")
    fields[4 if takes > 1 else 3] = "02"
    second = "-".join(fields)
    for modality in ("01", "02", "03"):
        _path(root, modality, second).write_bytes(_path(root, modality, first).read_bytes())
    return [_plant(root, _path(root, "01", second), second, "twin")]


def _make_silent(root: Path, take: str) -> list[Planted]:
    both, wav = _path(root, "01", take), _path(root, "03", take)
    wave = np.zeros(read_sound(wav)[0].shape[1], np.float32)
    copy_video(_path(root, "02", take), both, wave=wave, rate_hz=RATE_HZ)
    write_filled_wav(wav, wave, RATE_HZ)
    return [_plant(root, path, take, "silent") for path in (both, wav)]


def _path(root: Path, modality: str, take: str) -> Path:
    suffix = ".wav" if modality == "03" else ".mp4"
    return root / f"Actor_{take[-2:]}" / f"{modality}-{take}{suffix}"


def _plant(root: Path, path: Path, take: str, defect: str) -> Planted:
    return Planted(take, path.relative_to(root).as_posix(), defect)
