"""CK+ (Lucey et al. 2010): 593 sequences from a neutral face to the apex, 327 of them labelled."""

import re
from collections import defaultdict
from pathlib import Path

from mien.corpora.base import Access, Listing, list_files, parse_names, read_lines

CORPUS = "ckplus"
CLASSES = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
EXAMPLE = "cohn-kanade-images/S005/001/S005_001_00000011.png"
ACCESS = Access(
    address="https://www.jeffcohn.net/resources/",
    terms="signed agreement",
    files="cohn-kanade-images.zip, Emotion_labels.zip, FACS_labels.zip and Landmarks.zip",
)
N_APEX = 3  # last frames that show the labelled emotion (thesis-spec 1.1)

_FRAME = re.compile(r"(S\d{3})_(\d{3})_\d{8}\.png")
_LABEL = re.compile(r"(S\d{3})_(\d{3})_\d{8}_emotion\.txt")


def find(root: Path) -> Listing:
    """List every frame: the first of a labelled sequence is neutral, the last three show its emotion.

    The other frames have no label; they are listed so that a whole sequence can be tracked.
    """
    listing = Listing(CORPUS, CLASSES)
    files = list_files(root)
    emotions = _read_emotions(listing, root, files)
    sequences: dict[str, list[str]] = defaultdict(list)
    pictures = [path for path in files if path.endswith(".png")]  # others are labels and landmarks
    for path, (subject, number) in parse_names(listing, pictures, _parse, EXAMPLE):
        sequences[f"{subject}/{number}"].append(path)
    for sequence, paths in sorted(sequences.items()):
        if sequence not in emotions:
            detail, folder = f"sequence {sequence} has no Emotion file", str(Path(paths[0]).parent)
            listing.add_defect("unlabelled", path=folder, detail=detail, decision="keep: unlabelled")
        listing.add_sequence(
            sequence,
            [(Path(path).stem, path) for path in sorted(paths)],
            actor=sequence.split("/")[0],
            label=emotions.get(sequence, -1),
            apex=range(len(paths) - N_APEX, len(paths)),
        )
    for sequence in sorted(emotions.keys() - sequences.keys()):
        listing.add_defect("missing", detail=f"no frames of the labelled sequence {sequence}", decision="none to use")
    return listing


def _parse(path: str) -> tuple[str, ...] | None:
    match = _FRAME.fullmatch(Path(path).name)
    return match.groups() if match and tuple(path.split("/")[-3:-1]) == match.groups() else None


def _read_emotions(listing: Listing, root: Path, files: list[str]) -> dict[str, int]:
    """Return the class of every labelled sequence; a label file that cannot be used is put on record."""
    emotions = {}
    for path in files:
        name = path.rsplit("/", 1)[-1]
        if not name.endswith("_emotion.txt"):
            continue
        match = _LABEL.fullmatch(name)
        if match is None:
            listing.misname(path, "Emotion/S005/001/S005_001_00000011_emotion.txt")
            continue
        text = " ".join(read_lines(Path(root) / path)).strip()
        try:
            value = float(text)  # written as 3.0000000e+00
        except ValueError:
            value = -1.0
        if value not in range(len(CLASSES)):
            detail = f"emotion {text[:20]!r}, known: 0..{len(CLASSES) - 1}"
            listing.add_defect("label", path=path, detail=detail, decision="keep: unlabelled")
            continue
        emotions[f"{match[1]}/{match[2]}"] = int(value)
    return emotions
