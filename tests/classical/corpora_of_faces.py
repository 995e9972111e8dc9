"""Two tiny corpora of faces with shards and fits, as the stages before select_samples leave them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from mien.classical import samples
from mien.classical.samples import LABELS
from mien.io import tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.io.shards import FaceShard, write_faces

CROSS = {"train": ["ckplus"], "test": "rafd", "angles": [45, 90], "splits": 6, "validation": 0.2}
NAMES = {
    "ckplus": ("neutral", "happy", "surprise", "anger", "fear"),
    "rafd": ("neutral", "happy", "surprised", "angry", "sad"),
    "fer2013": ("neutral", "happy", "surprise", "angry", "sad"),
}
VIEWS = ("045 left", "090 frontal", "180 frontal")
FRAMES = 2  # of a clip; the first shows no face in clips of the camera at 45 degrees


def clips_of(corpus: str, people: int) -> pd.DataFrame:
    """Return CLIPS: every person shows every emotion, in the test corpus before three cameras."""
    rows = [
        {
            "corpus": corpus,
            "clip": f"{corpus}-{person}-{name}-{view[:3]}",
            "part": f"p{person}",
            "group": f"p{person}",
            "actor": f"p{person}",
            "label_name": name,
            "label": NAMES[corpus].index(name),
            "view": view,
            "item": -1,
            "cropped": False,
            "has_video": True,
            "has_audio": False,
            "apart": False,
            "sha256": f"{corpus}-{person}-{name}-{view}",
        }
        for person in range(people)
        for name in NAMES[corpus]
        for view in (VIEWS if corpus == "rafd" else ("",))
    ]
    return pd.DataFrame(rows).reindex(columns=tables.CLIPS.columns.names, fill_value="")


def write_corpus(results: Path, corpus: str, clips: pd.DataFrame) -> None:
    """Write the results of three stages; nobody has a face at 180 degrees, nobody is fitted while surprised."""
    folder = results / "corpora" / corpus
    tables.write(folder / "clips.parquet", clips, tables.CLIPS)
    write_json(folder / "corpus.json", {"corpus": corpus, "source": "synthetic", "classes": NAMES[corpus]})
    for part, rows in clips.groupby("part"):
        rng = rng_for(0, corpus, part)
        clip = np.repeat(rows["clip"].to_numpy(), FRAMES)
        frame = np.tile(np.arange(FRAMES), len(rows))
        view, name = np.repeat(rows["view"].to_numpy(str), FRAMES), np.repeat(rows.label_name.to_numpy(str), FRAMES)
        found = (view != "180 frontal") & ~((view == "045 left") & (frame == 0))
        index = pd.DataFrame({"clip": clip, "frame": frame, "time_s": 0.1 * frame, "found": found})
        index[["x", "y", "side", "score"]] = 1.0
        labels = np.array([LABELS.get(word) or 0 for word in name])
        grey = np.clip(60 * labels[:, None, None, None] + rng.integers(0, 40, (len(index), 16, 16, 1)), 0, 255)
        landmarks = rng_for(0, "face").normal(100, 30, (68, 2)) + rng.normal(0, 3, (len(index), 68, 2))
        landmarks[:, :17, 1] += 20 * labels[:, None]  # the jaw
        landmarks[~found] = np.nan
        frames = np.repeat(grey, 3, axis=3).astype(np.uint8)
        write_faces(results / "faces" / corpus / part, FaceShard(frames, landmarks, index[tables.FRAMES.columns.names]))
        _write_fits(results / "candide" / corpus / part, part, index, labels, rng)
    write_json(
        results / "faces" / corpus / "manifest.json", {"corpus": corpus, "parts": dict.fromkeys(clips.part, "x")}
    )


def _write_fits(folder: Path, actor: str, index: pd.DataFrame, labels: np.ndarray, rng: np.random.Generator) -> None:
    fitted = index.found.to_numpy() & (labels != 2)
    units = np.where(fitted[:, None], labels[:, None] * np.eye(8)[0] + rng.normal(0, 0.1, (len(index), 8)), np.nan)
    fits = index[["clip", "frame", "time_s"]].assign(
        verdict=np.select([~index.found, labels == 2], ["no face", "degenerate"], "fitted"),
        scale=1.0,
        rotation=[np.zeros(3)] * len(index),
        origin=[np.zeros(2)] * len(index),
        units=list(units),
        residual=0.1,
        iterations=3,
    )
    tables.write(folder / "index.parquet", fits, tables.FITS)
    neutral = [clip for clip in dict.fromkeys(index["clip"]) if "neutral-" in clip and not clip.endswith("045")]
    person = {"actor": [actor], "shape": [np.zeros(7)], "source": ["neutral"], "clips": [neutral]}
    tables.write(folder / "people.parquet", pd.DataFrame(person), tables.PEOPLE)


def select(results: Path, **changes) -> Path:
    """Run select_samples on the two corpora; `changes` are of the section cross. Return the folder it wrote."""
    out = results / "samples" / "ckplus_rafd"
    config = json.dumps({"seed": 0, "cross": CROSS | changes})
    folders = {stage: results / stage for stage in ("corpora", "faces", "candide")}
    samples.select_samples(**folders, out=out, config=config)
    return out
