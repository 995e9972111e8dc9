"""MUG (Aifanti et al. 2010): takes that go from a neutral face to an expression and back, as numbered images."""

import re
from collections import defaultdict
from pathlib import Path

from mien.corpora.base import Access, Listing, list_gaps, list_images, parse_names, plain_name

CORPUS = "mug"
CLASSES = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
EXAMPLE = "subjects3/001/anger/take000/img_0000.jpg"
ACCESS = Access(
    address="https://mug.ee.auth.gr/fed", terms="signed licence, internal research use", files="the folder subjects3"
)
N_APEX = 3  # frames in the middle of a take that show its emotion

_UNLABELLED = "mixed"  # takes of several expressions in a row
_PATH = re.compile(rf"(?:.*/)?(\d{{3}})/({'|'.join(CLASSES)}|{_UNLABELLED})/(take\d{{3}})/img_(\d{{4}})\.[a-z]+")


def find(root: Path) -> Listing:
    """List every frame: the first of a take is neutral, the middle three show its emotion.

    The other frames have no label; they are listed so that a whole take can be tracked.
    """
    listing = Listing(CORPUS, CLASSES)
    takes: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # subject, emotion, take -> number -> path
    for path, (*take, number) in parse_names(listing, list_images(root), _parse, EXAMPLE):
        takes[tuple(take)][number] = path
    first_number = min((number for frames in takes.values() for number in frames), default="")
    for (subject, emotion, take), frames in sorted(takes.items()):
        sequence = f"{subject}/{emotion}/{take}"
        folder = str(Path(next(iter(frames.values()))).parent)
        if emotion == _UNLABELLED:
            detail = f"take {sequence} mixes expressions"
            listing.add_defect("unlabelled", path=folder, detail=detail, decision="keep: unlabelled")
        if gone := list_gaps(frames, first_number, max(frames)):
            detail = f"take {sequence} lacks {len(gone)} frames, the first is {gone[0]}"
            decision = "keep: without a neutral frame" if gone[0] == int(first_number) else "keep"
            listing.add_defect("missing", path=folder, detail=detail, decision=decision)
        first = max(1, (len(frames) - N_APEX) // 2)
        listing.add_sequence(
            sequence,
            [(f"{subject}_{emotion}_{take}_{number}", path) for number, path in sorted(frames.items())],
            actor=subject,
            label=-1 if emotion == _UNLABELLED else CLASSES.index(emotion),
            apex=range(first, first + N_APEX),
            starts=first_number in frames,
        )
    return listing


def _parse(path: str) -> tuple[str, ...] | None:
    match = _PATH.fullmatch(f"{Path(path).parent}/{plain_name(path)}".lower())
    return match and match.groups()
