"""CK+ (Lucey et al. 2010): 593 sequences from a neutral face to the apex, 327 of them labelled."""

import re
from collections import defaultdict
from pathlib import Path

from mien.corpora.base import Access, Listing, list_files, list_gaps, parse_names, plain_name, read_lines
from mien.errors import CorpusError

CORPUS = "ckplus"
CLASSES = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
EXAMPLE = "cohn-kanade-images/S005/001/S005_001_00000011.png"
ACCESS = Access(
    address="https://www.jeffcohn.net/resources/",
    terms="signed agreement",
    files="cohn-kanade-images.zip, Emotion_labels.zip, FACS_labels.zip and Landmarks.zip",
)
PUBLISHED = {
    "sequence": 593,
    "actor": 123,
    "label_name": dict(zip(CLASSES, (327, 135, 54, 177, 75, 207, 84, 249), strict=True)),
}
N_APEX = 3  # last frames that show the labelled emotion (thesis-spec 1.1)

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.PNG")
_LABEL = re.compile(r"(S\d{3})_(\d{3})_(\d{8})_EMOTION\.TXT")
_FIRST = "00000001"


def find(root: Path) -> Listing:
    """List every frame: the first of a labelled sequence is neutral, the last three show its emotion.

    The other frames have no label; they are listed so that a whole sequence can be tracked.
    """
    listing = Listing(CORPUS, CLASSES)
    files = list_files(root)
    emotions, peaks = _read_emotions(listing, root, files)
    sequences: dict[str, dict[str, str]] = defaultdict(dict)  # sequence -> number -> path
    pictures = [path for path in files if path.lower().endswith(".png")]  # others are labels and landmarks
    for path, (subject, sequence, number) in parse_names(listing, pictures, _parse, EXAMPLE):
        sequences[f"{subject}/{sequence}"][number] = path
    for sequence, frames in sorted(sequences.items()):
        folder = str(Path(next(iter(frames.values()))).parent)
        if sequence not in emotions:
            detail = f"sequence {sequence} has no Emotion file"
            listing.add_defect("unlabelled", path=folder, detail=detail, decision="keep: unlabelled")
        peak = peaks.get(sequence, max(frames))
        if gone := list_gaps(frames, _FIRST, max(peak, max(frames))):
            detail = f"sequence {sequence} lacks {len(gone)} frames, the first is {gone[0]}"
            decision = "keep: without a neutral frame" if gone[0] == int(_FIRST) else "keep"
            listing.add_defect("missing", path=folder, detail=detail, decision=decision)
        listing.add_sequence(
            sequence,
            [(f"{sequence.replace('/', '_')}_{number}", path) for number, path in sorted(frames.items())],
            actor=sequence.split("/")[0],
            label=emotions.get(sequence, -1),
            apex=[k for k, number in enumerate(sorted(frames)) if int(number) > int(peak) - N_APEX],
            starts=_FIRST in frames,
        )
    for sequence in sorted(emotions.keys() - sequences.keys()):
        listing.add_defect("missing", detail=f"no frames of the labelled sequence {sequence}", decision="none to use")
    return listing


def _parse(path: str) -> tuple[str, ...] | None:
    match = _FRAME.fullmatch(plain_name(path).upper())
    return match.groups() if match and tuple(path.upper().split("/")[-3:-1]) == match.groups()[:2] else None


def _read_emotions(listing: Listing, root: Path, files: list[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the class and the number of the last frame of every labelled sequence.

    A label file that cannot be used is put on record.
    """
    emotions: dict[str, int] = {}
    peaks: dict[str, str] = {}
    torn = set()
    for path in files:
        name = plain_name(path).upper()
        if not name.endswith("_EMOTION.TXT"):
            continue
        match = _LABEL.fullmatch(name)
        if match is None:
            listing.misname(path, "Emotion/S005/001/S005_001_00000011_emotion.txt")
            continue
        sequence, decision = f"{match[1]}/{match[2]}", "keep: unlabelled"
        try:
            text = " ".join(read_lines(Path(root) / path)).strip()
            value = float(text)  # written as 3.0000000e+00
        except CorpusError:
            text, value = "that is no text", -1.0
        except ValueError:
            value = -1.0
        if value not in range(len(CLASSES)):
            detail = f"emotion {text[:20]!r}, known: 0..{len(CLASSES) - 1}"
            listing.add_defect("label", path=path, detail=detail, decision=decision)
        elif emotions.setdefault(sequence, int(value)) != int(value):
            detail = f"emotion {int(value)}, in another file of sequence {sequence} {emotions[sequence]}"
            listing.add_defect("label", path=path, detail=detail, decision=decision)
            torn.add(sequence)
        else:
            peaks[sequence] = max(match[3], peaks.get(sequence, match[3]))
    return {sequence: emotion for sequence, emotion in emotions.items() if sequence not in torn}, peaks
