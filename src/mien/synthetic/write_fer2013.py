"""Write a synthetic FER2013: fer2013.csv with grey faces of 48 x 48 px, people apart in the three usages.

Emotions are as unevenly shared as in the real training set: somebody is happy three times, disgusted one person in
five. So class balancing has something to do.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mien.synthetic.performance import Actor, Planted, Scene, Truth

SIZES = {  # emotion -> pictures of the real training set (28 709), in the order of the codes 0 to 6
    "angry": 3995,
    "disgust": 436,
    "fearful": 4097,
    "happy": 7215,
    "sad": 4830,
    "surprised": 3171,
    "neutral": 4965,
}
NAMES = [f"{k:04d}" for k in range(100_000)]  # the real corpus names nobody
USAGES = ("Training", "PublicTest", "PrivateTest")
SIDE = 48  # px
TABLE = "fer2013.csv"

_PICTURE = (160, 160)  # px, before the face is cut out
_PER_TAKE = 14  # pictures of a person, on average, per configured take
_INTENSITY = (0.6, 1.0)
_YAW_DEG = 20.0  # largest
_DUPLICATES = 0.07  # share of a test that shows a training picture again: 499 of 7178 in the real corpus


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the faces of one person to a scratch file that `finish` puts into the table."""
    faces, codes = [], []
    for code, (emotion, n_pictures) in enumerate(deal_pictures(scene, actor).items()):
        for take in range(n_pictures):
            clip = f"{actor.name}-{code}-{take}"
            rng = scene.rng(clip, "shot")
            picture, vertices, truth = scene.picture(
                actor,
                clip,
                emotion=emotion,
                size=_PICTURE,
                intensity=rng.uniform(*_INTENSITY),
                yaw_deg=rng.uniform(-_YAW_DEG, _YAW_DEG),
            )
            faces.append(cut_face(picture, vertices))
            codes.append(code)
            yield truth
    np.savez(_scratch(root, actor), faces=np.stack(faces), codes=np.array(codes))


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Write the table, person by person, with duplicates, a contradiction and a blank image among its rows."""
    shown = []  # of each person: codes, faces
    for actor in actors:
        with np.load(_scratch(root, actor)) as file:
            shown.append((file["codes"].tolist(), file["faces"]))
        _scratch(root, actor).unlink()
    usages = deal_usages([set(codes) for codes, _ in shown])
    rows = [  # emotion, pixels (48, 48), usage
        (code, face, usage)
        for (codes, faces), usage in zip(shown, usages, strict=True)
        for code, face in zip(codes, faces, strict=True)
    ]
    planted = _plant(rows, scene.rng("planted"))
    with (root / TABLE).open("w", newline="", encoding="ascii") as file:
        table = csv.writer(file)
        table.writerow(("emotion", "pixels", "Usage"))
        table.writerows((emotion, " ".join(map(str, face.ravel())), usage) for emotion, face, usage in rows)
    return planted


def deal_pictures(scene: Scene, actor: Actor) -> dict[str, int]:
    """Return how many pictures there are of each emotion of a person, in the order of `SIZES`.

    The pictures of an emotion are dealt evenly: those of the first n people are within one of n times its mean, so a
    rare emotion is missing for most people and for no large group of them.
    """
    number, total = int(actor.name), sum(SIZES.values())
    found = {}
    for emotion, size in SIZES.items():
        mean = _PER_TAKE * scene.config.takes * size / total
        first = scene.rng("deal", emotion).random()  # or all emotions would turn up together
        found[emotion] = math.floor((number + 1) * mean + first) - math.floor(number * mean + first)
    return found


def deal_usages(shown: list[set[int]]) -> list[str]:
    """Return the usage of each person: about four fifths train, the rest is halved; nobody is in two.

    A test gets, one after the other, those who show most of the emotions that it lacks, so that a rare one is in both
    tests of a small corpus; among equals the last person.

    shown : codes of the emotions of every person.
    """
    usages = ["Training"] * len(shown)
    n_tested = max(1, round(0.1 * len(shown)))
    left = list(range(len(shown)))
    for usage in USAGES[: max(0, 3 - len(shown)) : -1]:  # of two people, one tests
        lacking = set(range(len(SIZES)))
        for _ in range(n_tested):
            chosen = max(left, key=lambda person: (len(shown[person] & lacking), person))
            left.remove(chosen)
            lacking -= shown[chosen]
            usages[chosen] = usage
    return usages


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
    """Put the pixels of training images into test images of the same label and one of another, and 0 into a third.

    Labels stay where they are, so no class loses a picture.
    """
    order = rng.permutation(len(rows)).tolist()
    training = [k for k in order if rows[k][2] == "Training"]
    planted = []

    def show(target: int, face: np.ndarray, defect: str) -> None:
        emotion, _, usage = rows[target]
        rows[target] = (emotion, face, usage)
        planted.append(Planted(f"{target:05d}", TABLE, defect))

    source = training.pop()
    target = next(k for k in training if rows[k][0] != rows[source][0])
    training.remove(target)
    show(source, rows[source][1], "twin")
    show(target, rows[source][1], "twin")
    show(training.pop(), np.zeros((SIDE, SIDE), np.uint8), "blank")
    for usage in USAGES[1:]:
        tested = [k for k in order if rows[k][2] == usage]
        for source, target in _pair(rows, training, tested)[: math.ceil(_DUPLICATES * len(tested))]:
            show(target, rows[source][1], "twin")
            training.remove(source)
    return planted


def _pair(rows: list[tuple[int, np.ndarray, str]], sources: list[int], targets: list[int]) -> list[tuple[int, int]]:
    """Pair targets with sources of the same emotion, each at most once."""
    left, pairs = list(sources), []
    for target in targets:
        source = next((k for k in left if rows[k][0] == rows[target][0]), None)
        if source is not None:
            left.remove(source)
            pairs.append((source, target))
    return pairs


def _scratch(root: Path, actor: Actor) -> Path:
    return root / f"{actor.name}.npz"
