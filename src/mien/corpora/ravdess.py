"""RAVDESS, speech (Livingstone & Russo 2018): 24 actors, 8 emotions, modality-channel-...-actor in the file name."""

import itertools
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, first_by_name, list_files
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

_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)\.(mp4|wav)")
_MODALITIES = {"01": "audio-video", "02": "video-only", "03": "audio-only"}
_INTENSITIES = {"01": "normal", "02": "strong"}
_STATEMENTS = {"01": "kids", "02": "dogs"}


def find(root: Path) -> Listing:
    """List the takes below `root`: one clip per take, whatever modalities of it are there.

    The picture is that of the audio-video file, else of the video-only one; the sound likewise, else of the wav.
    """
    listing = Listing(CORPUS, CLASSES)
    takes: dict[str, dict[str, str]] = defaultdict(dict)  # clip -> modality -> path
    named = []
    for path in list_files(root):
        fields = _parse(path)
        if fields is None:
            listing.misname(path, EXAMPLE)
        elif fields["channel"] == "02":
            listing.add_defect("song", path=path, detail="vocal channel 02", decision="drop: song")
        else:
            named.append(path)
    for path in first_by_name(listing, named):
        fields = _parse(path)
        takes[fields["clip"]][fields["modality"]] = path
    for clip, of_modality in sorted(takes.items()):
        _add_take(listing, clip, of_modality)
    _add_gaps(listing, takes)
    return listing


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Fold by consecutive pairs of a man and a woman: A1,2 to A23,24 for 12 folds (thesis L1306)."""
    return cut_blocks(list_people(listing.clips), n_folds, corpus=CORPUS)


def _parse(path: str) -> dict[str, str] | None:
    match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    if match is None:
        return None
    modality, channel, emotion, intensity, _, _, actor, suffix = match.groups()
    if not 1 <= int(actor) <= 24 or (suffix == "wav") != (modality == "03"):
        return None
    if emotion == "01" and intensity == "02":  # neutral has no strong version
        return None
    return {"modality": modality, "channel": channel, "clip": match.string[3:-4]}


def _add_take(listing: Listing, clip: str, files: dict[str, str]) -> None:
    channel, emotion, intensity, statement, _, actor = clip.split("-")
    assert channel == "01"
    listing.add_clip(
        clip,
        label=int(emotion) - 1,
        part=actor,
        group=actor,
        actor=actor,
        sex="male" if int(actor) % 2 else "female",
        intensity=_INTENSITIES[intensity],
        statement=_STATEMENTS[statement],
        pictures=[files[m] for m in ("01", "02") if m in files],
        sounds=[files[m] for m in ("01", "03") if m in files],
    )


def _add_gaps(listing: Listing, takes: dict[str, dict[str, str]]) -> None:
    """Compare with the full grid of the actors, statements, repetitions and modalities that this copy has."""
    fields = [clip.split("-") for clip in takes]
    actors, statements, repetitions = (sorted({field[k] for field in fields}) for k in (5, 3, 4))
    modalities = sorted({modality for files in takes.values() for modality in files})
    kinds = [(e, i) for e in range(1, 9) for i in (1, 2) if (e, i) != (1, 2)]
    for (emotion, intensity), st, rep, actor in itertools.product(kinds, statements, repetitions, actors):
        clip = f"01-{emotion:02d}-{intensity:02d}-{st}-{rep}-{actor}"
        gone = [modality for modality in modalities if modality not in takes.get(clip, {})]
        if gone:
            detail = f"no {', '.join(_MODALITIES[modality] for modality in gone)} file"
            decision = "use the files that are there" if clip in takes else "none to use"
            listing.add_defect("missing", clip=clip, detail=detail, decision=decision)
