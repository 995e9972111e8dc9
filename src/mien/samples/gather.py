"""Rows of SAMPLES from what the stages before found in each picture."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mien.core import shards, tables
from mien.core.errors import CorpusError, TableError
from mien.samples.face4 import FACE4, label_of
from mien.samples.fp68 import fp68

log = logging.getLogger(__name__)

FITTED, NO_FACE = "fitted", "no face"  # verdicts of FITS
FRONTAL = 90  # degrees; the camera of corpora that name none


def gather(corpus: str, *, corpora: Path, faces: Path, candide: Path) -> pd.DataFrame:
    """Return SAMPLES of a corpus, sorted by clip, with the additional column sha256 and an empty role.

    A clip is one picture here: its first frame with a face. Clips that stand apart or have no picture are left out;
    clips without a face stay, with row -1.

    Parameters
    ----------
    corpora, faces, candide : folders with <corpus>/clips.parquet and with the parts of the two stages.

    Raises
    ------
    CorpusError : no clip shows one of the four emotions, or a view names no camera.
    TableError : a stage has not run, or its parts do not fit together.
    """
    clips = tables.read(Path(corpora) / corpus / "clips.parquet", tables.CLIPS)
    labels = clips.label_name.map(label_of)
    usable = labels.notna() & clips.has_video & ~clips.apart
    if not usable.any():
        names = ", ".join(sorted(set(clips.label_name) - {""})) or "none"
        raise CorpusError(f"{corpus}: no usable picture of {', '.join(FACE4)}; its labels: {names}; mend the corpus")
    clips = clips[usable].sort_values("clip")
    parts = [
        _features(rows, Path(faces) / corpus / part, Path(candide) / corpus / part)
        for part, rows in clips.groupby("part", sort=True)
    ]
    views = [_camera(row.corpus, row.clip, row.view) for row in clips.itertuples()]
    rows = clips.assign(
        person=corpus + "/" + clips.actor,
        role="",
        label=clips.label_name.map(label_of).astype(np.int64),
        angle=[angle for angle, _ in views],
        gaze=[gaze for _, gaze in views],
    )
    rows = rows.assign(label_name=rows.label.map(dict(enumerate(FACE4)))).merge(pd.concat(parts), on="clip")
    log.info("%s: %d pictures, a face in %d, %d fitted", corpus, len(rows), *_count(rows))
    return rows[[*tables.SAMPLES.columns.names, "sha256"]].reset_index(drop=True)


def coverage(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return role, and camera of the test corpus such as "45", -> how many pictures, faces and fits."""
    groups = dict(iter(table.groupby("role")))
    tested = table[table.role != "training"]
    groups |= {str(angle): rows for angle, rows in tested.groupby("angle")}
    return {
        str(name): dict(zip(("total", "found", "fitted"), (len(rows), *_count(rows)), strict=True))
        for name, rows in groups.items()
    }


def _count(rows: pd.DataFrame) -> tuple[int, int]:
    return int((rows["row"] >= 0).sum()), int((rows.verdict == FITTED).sum())


def _camera(corpus: str, clip: str, view: str) -> tuple[int, str]:
    """Return (angle in degrees, gaze) of a view such as "090 frontal"."""
    angle, _, gaze = view.partition(" ")
    if view and not angle.isdigit():
        raise CorpusError(f"{corpus}: the view {view!r} of {clip} starts with no angle in degrees; index it again")
    return (int(angle) if view else FRONTAL), gaze


def _features(clips: pd.DataFrame, faces: Path, candide: Path) -> pd.DataFrame:
    """Return clip, row, verdict, shaped, units and points of the clips of one part."""
    shard = shards.read_faces(faces)
    fits = tables.read(candide / "index.parquet", tables.FITS)
    people = tables.read(candide / "people.parquet", tables.PEOPLE)
    same = len(fits) == len(shard.index) and (fits[["clip", "frame"]] == shard.index[["clip", "frame"]]).all(axis=None)
    if not same:
        raise TableError(f"{candide / 'index.parquet'}: other frames than {faces}; run fit_candide again")
    found = shard.index[shard.index.found].reset_index().groupby("clip", sort=False)["index"].first()
    row = clips["clip"].map(found).fillna(-1).astype(np.int64).to_numpy()
    points = _points(shard.landmarks, row)
    fitted = [k >= 0 and fits.verdict[k] == FITTED for k in row]
    shape_givers = {(person.actor, clip) for person in people.itertuples() for clip in person.clips}
    return pd.DataFrame(
        {
            "clip": clips["clip"].to_numpy(),
            "row": row,
            "verdict": [fits.verdict[k] if k >= 0 else NO_FACE for k in row],
            "shaped": [key in shape_givers for key in zip(clips.actor, clips["clip"], strict=True)],
            "units": [fits.units[k] if ok else np.empty(0) for k, ok in zip(row, fitted, strict=True)],
            "points": [values if np.isfinite(values).all() else np.empty(0) for values in points],
        }
    )


def _points(landmarks: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return (N, 136) FP68 of the named rows of `landmarks` (M, 68, 2); NaN where `row` is -1."""
    chosen = np.full((len(row), 68, 2), np.nan)
    chosen[row >= 0] = landmarks[row[row >= 0]]
    return fp68(chosen)


def drop_copies(training: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Return `training` without pictures whose bytes are also tested on, or are somebody else's in training.

    Copies of one person stay: a person is on one side of every split.
    """
    known = training.sha256 != ""
    crossing = known & training.sha256.isin(set(tested.sha256))
    owner = training.groupby("sha256").person.transform("first")
    twins = known & ~crossing & (training.person != owner)
    if crossing.any() or twins.any():
        log.info(
            "dropped from training: %d pictures that are byte for byte in the test corpus too, %d of two people",
            *(int(crossing.sum()), int(twins.sum())),
        )
    return training[~crossing & ~twins]


def require_classes(rows: pd.DataFrame, side: str, corpora: Sequence[str], advice: str) -> None:
    """Refuse a side without pictures of one of the four emotions.

    Raises
    ------
    CorpusError : says how many pictures of each there are.
    """
    counts = [int((rows.label == k).sum()) for k in range(len(FACE4))]
    if min(counts) == 0:
        found = ", ".join(f"{n} {name}" for n, name in zip(counts, FACE4, strict=True))
        raise CorpusError(f"the {side} side ({', '.join(corpora)}) lacks an emotion: found {found}; {advice}")
