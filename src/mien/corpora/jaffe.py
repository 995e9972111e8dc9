"""JAFFE (Lyons et al. 1998): 213 pictures of 10 women, seven expressions; <model>.<expression><take>.<number>.tiff."""

import re
from pathlib import Path

from mien.corpora.base import Access, Listing, list_images, parse_names, read_name

CORPUS = "jaffe"
CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
EXAMPLE = "KA.AN1.39.tiff"
ACCESS = Access(
    address="https://zenodo.org/records/3451524",
    terms="on request, non-commercial research, no redistribution",
    files="the 213 TIFF files",
)

_CODES = {"AN": 0, "DI": 1, "FE": 2, "HA": 3, "NE": 4, "SA": 5, "SU": 6}
_NAME = re.compile(rf"(([A-Z]{{2}})\.({'|'.join(_CODES)})\d\.\d+)\.tiff?")


def find(root: Path) -> Listing:
    """List the pictures; every model is a woman."""
    listing = Listing(CORPUS, CLASSES)
    for path, (clip, model, emotion) in parse_names(listing, list_images(root), read_name(_NAME), EXAMPLE):
        listing.add_clip(clip, label=_CODES[emotion], actor=model, sex="female", pictures=[path])
    return listing
