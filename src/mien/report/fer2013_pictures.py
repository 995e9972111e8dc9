"""Pictures of a corpus for the figures 4.9 to 4.13: which there are, which are chosen, and their pixels in grey."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mien.core import shards, tables
from mien.core.errors import TableError
from mien.core.files import read_json

FOLD = 0  # the official division
APART = "apart"  # role of clips with an identical twin on another side of the division
ALIASES = {"anger": "angry", "sadness": "sad"}  # words of other corpora for emotions of FER2013


@dataclass(frozen=True, eq=False)
class Gallery:
    """The clips of a corpus that have a face.

    clips : rows of CLIPS in the order of their names, with the columns row, of the middle one of the frames with a
        face in the shard `part`, and role (training, validation, test, apart or empty).
    classes : names in the order of labels.   synthetic : the people are none.
    """

    corpus: str
    clips: pd.DataFrame
    classes: tuple[str, ...]
    synthetic: bool
    faces: Path

    def grey(self, clips: list[str]) -> np.ndarray:
        """Return (N, S, S) uint8, the stored regions of `clips` in grey as networks get them."""
        rows = self.clips.set_index("clip").loc[clips, ["part", "row"]].reset_index(drop=True)
        found: dict[int, np.ndarray] = {}
        for part, mine in rows.groupby("part"):
            frames = shards.read_faces(self.faces / part).frames
            for place, row in mine["row"].items():
                found[place] = cv2.cvtColor(np.ascontiguousarray(frames[row]), cv2.COLOR_RGB2GRAY)
        return np.stack([found[place] for place in range(len(clips))])


def read_gallery(results: Path, corpus: str) -> Gallery:
    """Read what the earlier stages left of a corpus below `results`.

    Raises
    ------
    TableError : a stage has not run, its files are damaged, or no clip has a face.
    """
    folder, faces = Path(results) / "corpora" / corpus, Path(results) / "faces" / corpus
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    folds = tables.read(folder / "folds.parquet", tables.FOLDS)
    info = read_json(folder / "corpus.json")
    middle: dict[str, int] = {}
    for part in sorted(read_json(faces / "manifest.json")["parts"]):
        index = shards.read_faces(faces / part).index
        found = pd.Series(np.flatnonzero(index.found)).groupby(index["clip"][index.found].to_numpy())
        middle |= found.agg(lambda rows: rows.iloc[len(rows) // 2]).to_dict()
    clips = clips[clips.has_video & clips["clip"].isin(middle)].sort_values("clip", ignore_index=True)
    if clips.empty:
        raise TableError(f"{faces}: no clip of {corpus} has a face; there is nothing to show")
    folds = folds[folds.fold == FOLD]
    role = clips.group.map(dict(zip(folds.group, folds.role, strict=True))).fillna("").mask(clips.apart, APART)
    clips = clips.assign(row=clips["clip"].map(middle).astype(int), role=role)
    return Gallery(corpus, clips, tuple(info["classes"]), info["source"] == "synthetic", faces)


def choose_people(gallery: Gallery, *, n_people: int, n_pictures: int) -> pd.DataFrame:
    """Return clips of up to `n_people` people, spread over their names, each with up to `n_pictures` spread as well."""
    clips = gallery.clips[gallery.clips.actor != ""]
    if clips.empty:
        raise TableError(f"{gallery.corpus}: the corpus names nobody; choose another one for the row of identities")
    people = _spread(sorted(set(clips.actor)), n_people)
    return pd.concat([_evenly(clips[clips.actor == name], n_pictures) for name in people])


def choose_emotions(gallery: Gallery, emotions: tuple[str, ...], *, n: int) -> pd.DataFrame:
    """Return up to `n` clips per emotion, of different people where they are named, with a column emotion.

    Of a person the last clip by name is taken (the apex of a sequence), of the neutral ones the first. Blank pictures
    and those with a twin are left to figure 4.11.
    """
    clips = gallery.clips[(gallery.clips.label >= 0) & (gallery.clips.defect.map(_is_harmless))]
    clips = clips.assign(emotion=clips.label_name.replace(ALIASES))
    chosen = []
    for k, emotion in enumerate(emotions):
        mine = clips[clips.emotion == emotion]
        named = mine.actor.where(mine.actor != "", mine["clip"])
        mine = mine[~named.duplicated(keep="first" if emotion == "neutral" else "last")]
        chosen.append(_evenly(mine, n, offset=k / max(1, len(emotions))))
    return pd.concat(chosen)


def _is_harmless(defect: str) -> bool:
    return not {"twin", "blank"} & set(defect.split(";"))


def _evenly(rows: pd.DataFrame, n: int, *, offset: float = 0.5) -> pd.DataFrame:
    """Return up to `n` of `rows`, from the middle of equal parts; `offset` 0..1 moves them within these."""
    n = min(n, len(rows))
    return rows.iloc[[int((k + min(offset, 0.999)) * len(rows) / n) for k in range(n)]]


def _spread(values: list[str], n: int) -> list[str]:
    return [values[k] for k in np.linspace(0, len(values) - 1, min(n, len(values))).round().astype(int)]
