"""JAFFE (Lyons et al. 1998): 213 pictures of 10 women, seven expressions; <model>.<expression><take>.<number>.tiff."""

import re
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, named_pictures
from mien.corpora.folds import deal_people, list_people

CORPUS = "jaffe"
CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
EXAMPLE = "KA.AN1.39.tiff"
ACCESS = Access(
    address="https://zenodo.org/records/3451524",
    terms="on request, non-commercial research, no redistribution",
    files="the 213 TIFF files",
)

_CODES = {"AN": 0, "DI": 1, "FE": 2, "HA": 3, "NE": 4, "SA": 5, "SU": 6}
_NAME = re.compile(rf"([A-Z]{{2}})\.({'|'.join(_CODES)})(\d)\.(\d+)\.tiff?")


def find(root: Path) -> Listing:
    """List the pictures; every model is a woman."""
    listing = Listing(CORPUS, CLASSES)
    for path in named_pictures(listing, root, _NAME, EXAMPLE):
        name = path.rsplit("/", 1)[-1]
        model, emotion, _, _ = _NAME.fullmatch(name).groups()
        listing.add_clip(
            Path(name).stem,
            label=_CODES[emotion],
            part=model,
            group=model,
            actor=model,
            sex="female",
            pictures=[path],
        )
    return listing


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Deal the models to folds S1 to Sn."""
    return deal_people(list_people(listing.clips), n_folds, corpus=CORPUS)
