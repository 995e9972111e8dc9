"""RAVDESS, speech (Livingstone & Russo 2018): 24 actors, 8 emotions, modality-channel-...-actor in the file name."""

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, is_packed, list_files, parse_names, plain_name
from mien.corpora.folds import cut_blocks, list_people

CORPUS = "ravdess"
CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
EXAMPLE = "Actor_01/01-01-03-02-01-02-01.mp4"
ACCESS = Access(
    address="https://zenodo.org/records/1188976",
    terms="CC BY-NC-SA 4.0",
    files="Video_Speech_Actor_01.zip to Video_Speech_Actor_24.zip and Audio_Speech_Actors_01-24.zip",
    open=True,
)

PUBLISHED = {"clip": 1440, "actor": 24, "label_name": dict.fromkeys(CLASSES, 192) | {"neutral": 96}}
_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)\.(mp4|wav)")
_MODALITIES = {"01": "audio-video", "02": "video-only", "03": "audio-only"}
_INTENSITIES = {"01": "normal", "02": "strong"}
_STATEMENTS = {"01": "kids", "02": "dogs"}


def find(root: Path) -> Listing:
    """List the takes below `root`: one clip per take, whatever modalities of it are there.

    The picture is that of the audio-video file, else of the video-only one; the sound likewise, else of the wav.
    """
    listing = Listing(CORPUS, CLASSES)
    files = [path for path in list_files(root) if not is_packed(path)]
    songs = {path for path in files if (fields := parse(path)) and fields[1].startswith("02-")}
    for path in sorted(songs):
        listing.add_defect("song", path=path, detail="vocal channel 02", decision="drop: song")
    takes: dict[str, dict[str, str]] = defaultdict(dict)  # clip -> modality -> path
    for path, (modality, clip) in parse_names(listing, [path for path in files if path not in songs], parse, EXAMPLE):
        takes[clip][modality] = path
    list_takes(listing, takes)
    return listing


def list_takes(listing: Listing, takes: Mapping[str, Mapping[str, str]]) -> None:
    """Add the takes, clip -> code of the modality -> path, and put on record which are missing of the full grid."""
    for clip, of_modality in sorted(takes.items()):
        _, emotion, intensity, statement, _, actor = clip.split("-")
        listing.add_clip(
            clip,
            label=int(emotion) - 1,
            actor=actor,
            sex="male" if int(actor) % 2 else "female",
            intensity=_INTENSITIES[intensity],
            statement=_STATEMENTS[statement],
            pictures=[of_modality[m] for m in ("01", "02") if m in of_modality],
            sounds=[of_modality[m] for m in ("01", "03") if m in of_modality],
        )
    # the full grid of the actors, statements and repetitions that this copy has; neutral has no strong version
    parts = [clip.split("-") for clip in takes]
    actors, statements, repetitions = (sorted({part[k] for part in parts}) for k in (5, 3, 4))
    kinds = [(e, i) for e in range(1, 9) for i in (1, 2) if (e, i) != (1, 2)]
    grid = [
        f"01-{emotion:02d}-{intensity:02d}-{statement}-{repetition}-{actor}"
        for (emotion, intensity), statement, repetition, actor in itertools.product(
            kinds, statements, repetitions, actors
        )
    ]
    listing.add_gaps(grid, takes, words=_MODALITIES, partly="use the files that are there")


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Fold by consecutive pairs of a man and a woman: A1,2 to A23,24 for 12 folds (thesis L1306)."""
    return cut_blocks(list_people(listing.clips), n_folds, corpus=listing.corpus)


def parse(path: str) -> tuple[str, str] | None:
    """Return the modality of a file and its clip, which begins with the vocal channel."""
    match = _NAME.fullmatch(plain_name(path))
    if match is None:
        return None
    modality, _, emotion, intensity, _, _, actor, suffix = match.groups()
    if not 1 <= int(actor) <= 24 or (suffix == "wav") != (modality == "03"):
        return None
    if emotion == "01" and intensity == "02":  # neutral has no strong version
        return None
    return modality, match.string[3:-4]
