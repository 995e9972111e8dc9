"""JAFFE (Lyons et al. 1998): 213 pictures of 10 women, seven expressions; <model>.<expression><take>.<number>.tiff."""

import re
from pathlib import Path

import pandas as pd

from mien.core.media import IMAGE_SUFFIXES
from mien.corpora.access import Access
from mien.corpora.folds import dealt, people_of
from mien.corpora.listing import Listing, first_by_name, list_files

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
    pictures = [path for path in list_files(root) if Path(path).suffix.lower() in IMAGE_SUFFIXES]
    named = []
    for path in pictures:
        if _NAME.fullmatch(path.rsplit("/", 1)[-1]):
            named.append(path)
        else:
            listing.misname(path, EXAMPLE)
    for path in first_by_name(listing, named):
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
    return dealt(people_of(listing.clips), n_folds, corpus=CORPUS)
