"""MUG (Aifanti et al. 2010): takes that go from a neutral face to an expression and back, as numbered images."""

import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, list_files
from mien.corpora.folds import deal_people, list_people
from mien.io.media import IMAGE_SUFFIXES

CORPUS = "mug"
CLASSES = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
EXAMPLE = "subjects3/001/anger/take000/img_0000.jpg"
ACCESS = Access(
    address="https://mug.ee.auth.gr/fed",
    terms="signed licence, internal research use",
    files="the folder subjects3",
)
N_APEX = 3  # frames in the middle of a take that show its emotion

_UNLABELLED = "mixed"  # takes of several expressions in a row
_PATH = re.compile(rf"(?:.*/)?(\d{{3}})/({'|'.join(CLASSES)}|{_UNLABELLED})/(take\d{{3}})/img_(\d{{4}})\.jpg")


def find(root: Path) -> Listing:
    """List every frame: the first of a take is neutral, the middle three show its emotion.

    The other frames have no label; they are listed so that a whole take can be tracked.
    """
    listing = Listing(CORPUS, CLASSES)
    takes: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # subject, emotion, take -> number -> path
    for path in list_files(root):
        match = _PATH.fullmatch(path)
        if match is None:
            if Path(path).suffix.lower() in IMAGE_SUFFIXES:
                listing.misname(path, EXAMPLE)
            continue
        *take, number = match.groups()
        kept = takes[tuple(take)].setdefault(number, path)
        if kept != path:
            listing.copies.append((kept, path))
    for (subject, emotion, take), frames in sorted(takes.items()):
        _add_take(listing, subject, emotion, take, [path for _, path in sorted(frames.items())])
    return listing


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Deal the subjects to folds S1 to Sn."""
    return deal_people(list_people(listing.clips), n_folds, corpus=CORPUS)


def _add_take(listing: Listing, subject: str, emotion: str, take: str, paths: list[str]) -> None:
    sequence = f"{subject}/{emotion}/{take}"
    first_apex = max(1, (len(paths) - N_APEX) // 2)
    if emotion == _UNLABELLED:
        detail = f"take {sequence} mixes expressions"
        listing.add_defect("unlabelled", path=str(Path(paths[0]).parent), detail=detail, decision="keep: unlabelled")
    for k, path in enumerate(paths):
        label = -1
        if emotion != _UNLABELLED:
            at_apex = first_apex <= k < first_apex + N_APEX
            label = 0 if k == 0 else CLASSES.index(emotion) if at_apex else -1
        listing.add_clip(
            f"{subject}_{emotion}_{take}_{Path(path).stem.removeprefix('img_')}",
            label=label,
            part=subject,
            group=subject,
            actor=subject,
            item=k,
            sequence=sequence,
            pictures=[path],
        )
