"""Write a synthetic JAFFE: grey TIFF pictures of women, some in palette mode."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mien.synthetic.performance import Actor, Planted, Scene, Truth

EMOTIONS = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fearful",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprised",
}
NAMES = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
SEXES = ("female",)
SIDE = 256  # px

_TAKES = 3  # pictures of a model and expression
_PALETTE_EVERY = 9  # every ninth picture, as in the real corpus


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the pictures of one model; the running number goes over all models."""
    number = NAMES.index(actor.name) * len(EMOTIONS) * _TAKES
    for word, emotion in EMOTIONS.items():
        for take in range(1, _TAKES + 1):
            number += 1
            clip = f"{actor.name}.{word}{take}.{number}"
            intensity = 0.5 + 0.25 * (take - 1)
            picture, _, truth = scene.picture(actor, clip, emotion=emotion, size=(SIDE, SIDE), intensity=intensity)
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
            save_grey(root / f"{clip}.tiff", grey, palette=number % _PALETTE_EVERY == 0)
            yield truth


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Name the pictures in palette mode; add one whose name lacks the take."""
    stray = root / f"{actors[0].name}.AN.999.tiff"
    save_grey(stray, np.full((SIDE, SIDE), 100, np.uint8), palette=False)
    names = sorted(path.stem for path in root.glob("*.tiff") if path != stray)
    indexed = [name for name in names if int(name.rsplit(".", 1)[1]) % _PALETTE_EVERY == 0]
    return [Planted("", stray.name, "misnamed"), *(Planted(name, f"{name}.tiff", "palette") for name in indexed)]


def save_grey(path: Path, grey: np.ndarray, *, palette: bool) -> None:
    """Save (H, W) uint8 as grey TIFF, or as indices into a table whose order is reversed, so that it matters."""
    if not palette:
        Image.fromarray(grey).save(path)
        return
    image = Image.fromarray(255 - grey).convert("L")
    image.putpalette([255 - level for level in range(256) for _ in range(3)])
    image.save(path)
