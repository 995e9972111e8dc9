"""RaFD (Langner et al. 2010): 67 models, 8 emotions, 3 gazes, 5 camera angles, all in the file name."""

import itertools
import re
from pathlib import Path

from mien.corpora.base import Access, Listing, list_images, parse_names, read_name

CORPUS = "rafd"
CLASSES = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
EXAMPLE = "Rafd090_28_Caucasian_male_angry_frontal.jpg"
ACCESS = Access(
    address="https://rafd.socsci.ru.nl",
    terms="on request, for researchers at accredited universities, scientific use",
    files="the pictures of all five camera angles",
)

PUBLISHED = {"clip": 8040, "actor": 67, "label_name": dict.fromkeys(CLASSES, 1005)}
_NAME = re.compile(
    r"rafd(000|045|090|135|180)_(\d\d)_(caucasian|moroccan|kid)_(male|female)_"
    rf"({'|'.join(CLASSES)})_(frontal|left|right)\.[a-z]+"
)


def find(root: Path) -> Listing:
    """List the pictures, and those of the grid of models, emotions, gazes and angles at hand that are missing."""
    listing = Listing(CORPUS, CLASSES)
    kinds, shot = {}, set()
    for path, (angle, model, group, sex, emotion, gaze) in parse_names(
        listing, list_images(root), read_name(_NAME, str.lower), EXAMPLE
    ):
        kind = f"{group.capitalize()}_{sex}"
        clip = f"Rafd{angle}_{model}_{kind}_{emotion}_{gaze}"
        if (first := kinds.setdefault(model, kind)) != kind:
            detail = f"model {model} is {first} in other names"
            listing.add_defect("identity", clip=clip, path=path, detail=detail, decision="keep: look at the picture")
        shot.add((angle, gaze))
        view = f"{angle} {gaze}"
        listing.add_clip(clip, label=CLASSES.index(emotion), actor=model, sex=sex, view=view, pictures=[path])
    grid = itertools.product(sorted(kinds), CLASSES, sorted(shot))
    wanted = {f"Rafd{angle}_{model}_{kinds[model]}_{emotion}_{gaze}" for model, emotion, (angle, gaze) in grid}
    for clip in sorted(wanted - {row["clip"] for row in listing.clips}):
        detail = "the grid of takes has no such file"
        listing.add_defect("missing", clip=clip, detail=detail, decision="none to use")
    return listing
