"""Write a synthetic RaFD: every model, emotion, gaze and camera angle, named in the file name."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from mien.synthetic.performance import Actor, Planted, Scene, Truth

EMOTIONS = {
    "angry": "angry",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "fearful": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprised": "surprised",
}
NAMES, SEXES = [f"{k:02d}" for k in range(1, 68)], ("female", "male")
ANGLES = (0, 45, 90, 135, 180)  # degrees; 90 is frontal
GAZES = ("frontal", "left", "right")


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the pictures of one model; with one take, the gaze is frontal only."""
    height = 1024 if scene.config.size_px >= 256 else 384
    size = (height, round(height * 681 / 1024))
    for angle, word, gaze in itertools.product(ANGLES, EMOTIONS, GAZES if scene.config.takes > 1 else GAZES[:1]):
        clip = f"Rafd{angle:03d}_{actor.name}_Caucasian_{actor.sex}_{word}_{gaze}"
        picture, _, truth = scene.picture(
            actor,
            clip,
            emotion=EMOTIONS[word],
            size=size,
            yaw_deg=float(angle - 90),
            gaze=gaze,
            take=f"{actor.name}_{word}_{gaze}",  # five cameras saw one moment
        )
        Image.fromarray(picture).save(root / f"{clip}.jpg", quality=92)
        yield truth


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Remove a picture, and cut another off in the middle of its data."""
    names = sorted(path.stem for path in root.glob("*.jpg"))
    missing, cut = scene.rng("planted", len(actors)).choice(names, 2, replace=False)
    (root / f"{missing}.jpg").unlink()
    path = root / f"{cut}.jpg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return [Planted(missing, "", "missing"), Planted(cut, path.name, "unreadable")]
