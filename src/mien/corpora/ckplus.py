"""CK+ (Lucey et al. 2010): 593 sequences from a neutral face to the apex, 327 of them labelled."""

import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, first_by_name, list_files, read_lines
from mien.corpora.folds import deal_people, list_people

CORPUS = "ckplus"
CLASSES = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
EXAMPLE = "cohn-kanade-images/S005/001/S005_001_00000011.png"
ACCESS = Access(
    address="https://www.jeffcohn.net/resources/",
    terms="signed agreement",
    files="cohn-kanade-images.zip, Emotion_labels.zip, FACS_labels.zip and Landmarks.zip",
)
N_APEX = 3  # last frames that show the labelled emotion (thesis-spec 1.1)

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.png")
_LABEL = re.compile(r"(S\d{3})_(\d{3})_\d{8}_emotion\.txt")


def find(root: Path) -> Listing:
    """List every frame: the first of a labelled sequence is neutral, the last three show its emotion.

    The other frames have no label; they are listed so that a whole sequence can be tracked.
    """
    listing = Listing(CORPUS, CLASSES)
    files = list_files(root)
    emotions = _read_emotions(listing, root, files)
    sequences: dict[str, list[str]] = defaultdict(list)
    named = []
    for path in files:
        if not path.endswith(".png"):
            continue  # labels and landmarks
        match = _FRAME.fullmatch(path.rsplit("/", 1)[-1])
        if match is None or path.split("/")[-3:-1] != [match[1], match[2]]:
            listing.misname(path, EXAMPLE)
        else:
            named.append(path)
    for path in first_by_name(listing, named):
        sequences["/".join(path.split("/")[-3:-1])].append(path)
    for sequence, paths in sorted(sequences.items()):
        if sequence not in emotions:
            detail = f"sequence {sequence} has no Emotion file"
            listing.add_defect(
                "unlabelled", path=str(Path(paths[0]).parent), detail=detail, decision="keep: unlabelled"
            )
        _add_sequence(listing, sequence, sorted(paths), emotions.get(sequence, -1))
    for sequence in sorted(emotions.keys() - sequences.keys()):
        listing.add_defect("missing", detail=f"no frames of the labelled sequence {sequence}", decision="none to use")
    return listing


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Deal the subjects to folds S1 to Sn."""
    return deal_people(list_people(listing.clips), n_folds, corpus=CORPUS)


def _add_sequence(listing: Listing, sequence: str, paths: list[str], emotion: int) -> None:
    subject = sequence.split("/")[0]
    for k, path in enumerate(paths):
        label = -1
        if emotion >= 0:
            label = 0 if k == 0 else emotion if k >= len(paths) - N_APEX else -1
        listing.add_clip(
            Path(path).stem,
            label=label,
            part=subject,
            group=subject,
            actor=subject,
            item=k,
            sequence=sequence,
            pictures=[path],
        )


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
