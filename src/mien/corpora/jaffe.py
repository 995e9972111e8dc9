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
PUBLISHED = {
    "clip": 213,
    "actor": 10,
    "label_name": dict(zip(CLASSES, (30, 29, 32, 31, 30, 31, 30), strict=True)),
}
_NAME = re.compile(rf"(([A-Z]{{2}})\.({'|'.join(_CODES)})\d\.\d+)\.[A-Z]+")  # TIFF, or what it was converted to


def find(root: Path) -> Listing:
    """List the pictures; every model is a woman."""
    listing = Listing(CORPUS, CLASSES)
    for path, (clip, model, emotion) in parse_names(listing, list_images(root), read_name(_NAME, str.upper), EXAMPLE):
        listing.add_clip(clip, label=_CODES[emotion], actor=model, sex="female", pictures=[path])
    return listing
