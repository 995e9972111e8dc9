"""Write a synthetic MUG: takes of numbered images that go from neutral to an expression and back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mien.synthetic.performance import Actor, Planted, Scene, Truth

EMOTIONS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}

NAMES = [f"{k:03d}" for k in range(1, 87)]
_INTENSITIES = (0.0, 0.5, 0.9, 1.0, 0.95, 0.45, 0.02)  # onset, apex, offset
_RATE_FPS = 19.0


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the takes of one subject: subjects3/001/anger/take000/img_0000.jpg and so on."""
    side = 896 if scene.config.size_px >= 256 else 256
    for word, emotion in EMOTIONS.items():
        for number in range(scene.config.takes):
            take = f"{actor.name}_{word}_take{number:03d}"
            folder = root / "subjects3" / actor.name / word / f"take{number:03d}"
            folder.mkdir(parents=True)
            for frame, intensity in enumerate(_INTENSITIES):
                how = {"emotion": emotion, "size": (side, side), "intensity": intensity, "time_s": frame / _RATE_FPS}
                picture, _, truth = scene.picture(actor, f"{take}_{frame:04d}", take=take, **how)
                Image.fromarray(picture).save(folder / f"img_{frame:04d}.jpg", quality=92)
                yield truth


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Blank one frame, and put a note with an image's suffix among the others."""
    images = sorted((root / "subjects3").rglob("*.jpg"))
    blank = images[int(scene.rng("planted").integers(len(images)))]
    size = Image.open(blank).size
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(blank, quality=92)
    stray = root / "subjects3" / actors[0].name / "overview.jpg"
    stray.write_bytes(images[0].read_bytes())
    clip = "_".join((*blank.relative_to(root / "subjects3").parts[:3], blank.stem.removeprefix("img_")))
    return [
        Planted(clip, blank.relative_to(root).as_posix(), "blank"),
        Planted("", stray.relative_to(root).as_posix(), "misnamed"),
    ]
