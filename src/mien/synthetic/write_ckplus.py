"""Write a synthetic CK+: sequences from neutral to apex, with Emotion, FACS and Landmarks files."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mien.candide.mesh import LANDMARKS, VERTICES
from mien.synthetic.performance import Actor, Planted, Scene, Truth

# code -> (emotion, action units that the FACS file lists)
EMOTIONS = {
    1: ("angry", (4, 7, 23)),
    2: ("contempt", (14,)),
    3: ("disgust", (9, 10)),
    4: ("fearful", (1, 2, 4, 5, 20, 26)),
    5: ("happy", (6, 12)),
    6: ("sad", (1, 4, 15)),
    7: ("surprised", (1, 2, 5, 27)),
}
FIRST_SUBJECT = 5  # S005 is the first of the real corpus

NAMES = [f"S{k:03d}" for k in range(FIRST_SUBJECT, FIRST_SUBJECT + 123)]
_ASPECT = 490 / 640  # rows per column
_SEQUENCES = 5  # of a subject, the last one unlabelled
_INTENSITIES = (0.0, 0.15, 0.4, 0.7, 0.85, 1.0)

# landmarks that are no vertices are put between their neighbours
# fmt: off
_BETWEEN = {
    18: (17, 19), 20: (19, 21), 23: (22, 24), 25: (24, 26),
    27: (39, 42), 29: (28, 30), 32: (31, 33), 34: (33, 35),
    50: (49, 51), 52: (51, 53), 56: (55, 57), 58: (57, 59),
    61: (60, 62), 63: (62, 64), 65: (64, 66), 67: (66, 60),
}
# fmt: on
_N_JAW = 17


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the sequences of one subject; the emotions are dealt so that all appear."""
    height = 490 if scene.config.size_px >= 256 else 245
    size = (height, round(height / _ASPECT))
    start = (int(actor.name[1:]) - FIRST_SUBJECT) * (_SEQUENCES - 1)
    for k in range(_SEQUENCES):
        code = (start + k) % len(EMOTIONS) + 1
        emotion, units = EMOTIONS[code]
        sequence = f"{k + 1:03d}"
        images, landmarks, facs, labels = (
            root / kind / actor.name / sequence for kind in ("cohn-kanade-images", "Landmarks", "FACS", "Emotion")
        )
        for folder in (images, landmarks, facs):
            folder.mkdir(parents=True)
        for frame, intensity in enumerate(_INTENSITIES):
            take, time_s = f"{actor.name}_{sequence}", frame / scene.config.rate_fps
            clip = f"{take}_{frame + 1:08d}"
            how = {"emotion": emotion, "size": size, "intensity": intensity, "take": take, "time_s": time_s}
            picture, vertices, truth = scene.picture(actor, clip, **how)
            Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).save(images / f"{clip}.png")
            lines = "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in place_landmarks(vertices))
            (landmarks / f"{clip}_landmarks.txt").write_text(lines, encoding="ascii")
            yield truth
        lines = "".join(f"   {unit:.7e}   {3:.7e}\n" for unit in units)
        (facs / f"{clip}_facs.txt").write_text(lines, encoding="ascii")
        if k < _SEQUENCES - 1:
            labels.mkdir(parents=True)
            (labels / f"{clip}_emotion.txt").write_text(f"   {code:.7e}\n", encoding="ascii")


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Name the unlabelled sequences; break one label."""
    last = f"{_SEQUENCES:03d}"
    planted = [Planted("", f"cohn-kanade-images/{actor.name}/{last}", "unlabelled") for actor in actors]
    broken = str(scene.rng("planted").choice([actor.name for actor in actors]))
    label = next((root / "Emotion" / broken / "001").iterdir())
    label.write_text("   9.0000000e+00\n", encoding="ascii")
    return [
        *planted,
        Planted("", label.relative_to(root).as_posix(), "label"),
        Planted("", f"cohn-kanade-images/{broken}/001", "unlabelled"),
    ]


def place_landmarks(vertices: np.ndarray) -> np.ndarray:
    """Return 68 landmarks (68, 2) px of projected Candide vertices (113, 2) px.

    35 are vertices, 16 lie between two of those, and the 17 of the jaw divide the lower part of the outline evenly.
    """
    points = np.full((68, 2), np.nan)
    points[list(LANDMARKS)] = vertices[list(VERTICES["printed"])]
    for landmark, (one, other) in _BETWEEN.items():
        points[landmark] = (points[one] + points[other]) / 2
    outline = cv2.convexHull(vertices.astype(np.float32))[:, 0]
    eyes = points[36:48, 1].mean()
    lower = outline[outline[:, 1] > eyes]
    middle = vertices[:, 0].mean()
    lower = lower[np.argsort(np.arctan2(lower[:, 0] - middle, lower[:, 1] - eyes))]  # left to right in the image
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(lower, axis=0), axis=1))])
    places = np.linspace(0.0, along[-1], _N_JAW)
    points[:_N_JAW] = np.stack([np.interp(places, along, lower[:, axis]) for axis in (0, 1)], axis=1)
    return points
