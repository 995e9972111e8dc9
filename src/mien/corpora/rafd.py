"""RaFD (Langner et al. 2010): 67 models, 8 emotions, 3 gazes, 5 camera angles, all in the file name."""

import itertools
import re
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, named_pictures
from mien.corpora.folds import deal_people, list_people

CORPUS = "rafd"
CLASSES = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
EXAMPLE = "Rafd090_28_Caucasian_male_angry_frontal.jpg"
ACCESS = Access(
    address="https://rafd.socsci.ru.nl",
    terms="on request, for researchers at accredited universities, scientific use",
    files="the pictures of all five camera angles",
)

_NAME = re.compile(
    r"Rafd(000|045|090|135|180)_(\d\d)_(Caucasian|Moroccan|Kid)_(male|female)_"
    rf"({'|'.join(CLASSES)})_(frontal|left|right)\.jpg"
)


def find(root: Path) -> Listing:
    """List the pictures; `view` is camera angle and gaze, 090 is frontal."""
    listing = Listing(CORPUS, CLASSES)
    models: dict[str, tuple[str, str]] = {}  # number -> ethnicity, sex
    for path in named_pictures(listing, root, _NAME, EXAMPLE):
        angle, model, ethnicity, sex, emotion, gaze = _NAME.fullmatch(path.rsplit("/", 1)[-1]).groups()
        models[model] = (ethnicity, sex)
        listing.add_clip(
            Path(path).stem,
            label=CLASSES.index(emotion),
            part=model,
            group=model,
            actor=model,
            sex=sex,
            view=f"{angle} {gaze}",
            pictures=[path],
        )
    views = sorted({tuple(row["view"].split()) for row in listing.clips})
    grid = itertools.product(sorted(models), CLASSES, views)
    wanted = [f"Rafd{angle}_{m}_{'_'.join(models[m])}_{emotion}_{gaze}" for m, emotion, (angle, gaze) in grid]
    listing.add_missing(wanted, [row["clip"] for row in listing.clips])
    return listing


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Deal the models to folds S1 to Sn, men and women evenly."""
    return deal_people(list_people(listing.clips), n_folds, corpus=CORPUS)
