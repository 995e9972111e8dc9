"""RAVDESS, speech, as numbers: a table of the official names, and a vector of face and voice of every clip."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mien.corpora import base, ravdess
from mien.corpora.base import Access, Facts, Listing, list_files
from mien.corpora.vectors import find_table, read_table

CORPUS = "ravdess_au"
CLASSES = ravdess.CLASSES
EXAMPLE = "au_mfcc.npz"
NAME = "01-01-03-02-01-02-01"
ACCESS = Access(
    address=ravdess.ACCESS.address,
    terms=ravdess.ACCESS.terms,
    files="the audio-video files, and write a row of numbers for each into one .npz (see mien.corpora.vectors)",
)
PUBLISHED = ravdess.PUBLISHED
arrange = ravdess.arrange


def find(root: Path) -> Listing:
    """List the clips that the table below `root` names; a row is a file of its own, under the name of its clip."""
    listing = Listing(CORPUS, CLASSES)
    if (table := find_table(root, list_files(root))) is None:
        return listing
    rows: dict[str, int] = {}
    for item, name in enumerate(read_table(root / table)[0]):
        modality, clip = ravdess.parse(f"{name}.mp4") or ("", "")
        if modality != "01":
            listing.misname(name, NAME)
        elif clip in rows:
            listing.add_defect("rival copy", clip=clip, path=table, detail=f"{name} has two rows", decision="drop")
        else:
            rows[clip] = item
    ravdess.list_takes(listing, {clip: {"01": clip} for clip in rows})
    for row in listing.clips:
        row["item"] = rows[row["clip"]]
    return listing


def examine(root: Path, listing: Listing, *, n_jobs: int = 1) -> dict[str, Facts]:
    """Return clip -> digest of its numbers; those that are not finite are found when vectors are made of them."""
    if not listing.clips:
        return {}
    _, numbers = read_table(root / find_table(root, list_files(root)))
    return {
        row["clip"]: Facts(sha256=hashlib.sha256(numbers[row["item"]].tobytes()).hexdigest()) for row in listing.clips
    }


def decide(listing: Listing, facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Return CLIPS; of clips with equal numbers and labels the first is used."""
    return base.settle_duplicates(listing, base.settle(listing, facts), facts)
