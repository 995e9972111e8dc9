"""Write the embedded twin of FER2013: fer2013.csv with grey faces of 48 x 48 px, people apart in the three usages."""

import csv
from pathlib import Path

import cv2
import numpy as np

from mien.synthetic.scene import Actor, Planted, Scene, Truth, cast

EMOTIONS = ("angry", "disgust", "fearful", "happy", "sad", "surprised", "neutral")  # codes 0 to 6
USAGES = ("Training", "PublicTest", "PrivateTest")
SIDE = 48  # px
TABLE = "fer2013.csv"

_PICTURE = (160, 160)  # px, before the face is cut out
_PER_TAKE = 2  # pictures of a person and emotion, per configured take
_INTENSITIES = (0.7, 1.0, 0.85, 0.6)
_YAWS = (0.0, 12.0, -12.0, 20.0)  # degrees


def enlist(n_actors: int) -> list[Actor]:
    """Return people 0000, 0001, ...; the real corpus names nobody."""
    return cast([f"{k:04d}" for k in range(n_actors)], n_actors)


def write_actor(scene: Scene, root: Path, actor: Actor) -> list[Truth]:
    """Write the faces of one person to a scratch array that `finish` puts into the table."""
    faces, truths = [], []
    for code, emotion in enumerate(EMOTIONS):
        for take in range(_PER_TAKE * scene.config.takes):
            picture, vertices, truth = scene.picture(
                actor,
                f"{actor.name}-{code}-{take}",
                emotion=emotion,
                size=_PICTURE,
                intensity=_INTENSITIES[take],
                yaw_deg=_YAWS[take],
            )
            faces.append(cut_face(picture, vertices))
            truths.append(truth)
    np.save(_scratch(root, actor), np.stack(faces))
    return truths


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Write the table, usage by usage, with twins, a contradiction and a blank image among its rows."""
    rows = []  # emotion, pixels (48, 48), usage
    per_emotion = _PER_TAKE * scene.config.takes
    for actor, usage in zip(actors, deal_usages(len(actors)), strict=True):
        scratch = _scratch(root, actor)
        rows += [(k // per_emotion, face, usage) for k, face in enumerate(np.load(scratch))]
        scratch.unlink()
    planted = _plant(rows, scene.rng("planted"))
    with (root / TABLE).open("w", newline="", encoding="ascii") as file:
        table = csv.writer(file)
        table.writerow(("emotion", "pixels", "Usage"))
        table.writerows((emotion, " ".join(map(str, face.ravel())), usage) for emotion, face, usage in rows)
    return planted


def deal_usages(n_actors: int) -> list[str]:
    """Return the usage of each person: about four fifths train, the rest is halved; nobody is in two."""
    n_tested = max(1, round(0.1 * n_actors))
    if n_actors < 3:
        return ["Training", "PrivateTest"][:n_actors]
    return ["Training"] * (n_actors - 2 * n_tested) + ["PublicTest"] * n_tested + ["PrivateTest"] * n_tested


def cut_face(picture: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Cut the square around the face, grey, (48, 48) uint8; `vertices` (V, 2) px."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    side = float((high - low).max())
    corner = (low + high) / 2 - side / 2
    to_square = np.array([[SIDE / side, 0.0, -corner[0] * SIDE / side], [0.0, SIDE / side, -corner[1] * SIDE / side]])
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    grey = cv2.GaussianBlur(grey, (0, 0), max(0.3, 0.4 * side / SIDE))  # no aliasing when it shrinks
    return cv2.warpAffine(grey, to_square, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


def _plant(rows: list[tuple[int, np.ndarray, str]], rng: np.random.Generator) -> list[Planted]:
    """Replace rows: a test image by a twin of a training one, a training image under another label, a blank one."""
    of_usage = {usage: [k for k, row in enumerate(rows) if row[2] == usage] for usage in USAGES}
    planted = []
    training = iter(rng.permutation(of_usage["Training"]).tolist())
    for usage in USAGES[1:]:
        if of_usage[usage]:
            source, target = next(training), int(rng.choice(of_usage[usage]))
            rows[target] = (rows[source][0], rows[source][1], usage)
            planted.append(_found(target, "twin"))
    source = next(training)
    target = next(k for k in training if rows[k][0] != rows[source][0])
    rows[target] = (rows[target][0], rows[source][1], "Training")
    planted += [_found(source, "twin"), _found(target, "twin")]
    blank = next(training)
    rows[blank] = (rows[blank][0], np.zeros((SIDE, SIDE), np.uint8), "Training")
    return [*planted, _found(blank, "blank")]


def _found(row: int, defect: str) -> Planted:
    return Planted(f"{row:05d}", TABLE, defect)


def _scratch(root: Path, actor: Actor) -> Path:
    return root / f"{actor.name}.npy"
