"""A tiny results folder with samples of two corpora, in which every feature shows the class."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mien.io import shards, tables
from mien.io.files import write_json
from mien.io.randomness import rng_for

CLASSES = ("neutral", "smile", "surprise", "anger")
PAIR = "ckplus_rafd"
SIDE = 16  # of a picture, px
PARAMS = yaml.safe_load("""
seed: 0
augment: {mirror: 0.0, crop: 0.05, blur: 0.5, blur_sigma: 0.5, contrast: [0.9, 1.1], noise: 5.0, scale: [0.95, 1.05],
  translate: 0.02, rotate: 3.0, shear: 3.0, slice: 0.8}
cross: {train: [ckplus], test: rafd, angles: [90], splits: 2, validation: 0.25}
classify: {seeds: 2, learning_rate: 1.0e-2, epochs_vector: 40, epochs_image: 4, batch_vector: 8, batch_image: 8}
classifiers:
  AU_DNN: {features: AU8, model: dnn_au, size_px: 0, standardise: true}
  AU_DNN_raw: {features: AU8, model: dnn_au, size_px: 0, standardise: false}
  FP_DNN: {features: FP68, model: dnn_fp, size_px: 0, standardise: true}
  CNN1_16: {features: image, model: cnn1, size_px: 16, standardise: false}
  CNN2_16: {features: image, model: cnn2, size_px: 16, standardise: false}
  CNN3_46: {features: image, model: cnn3, size_px: 46, standardise: false}
  AU_SSVM: {features: AU8, model: ssvm, size_px: 0, standardise: true}
""")


@dataclass(frozen=True)
class TinySamples:
    """A results folder with one pair of corpora."""

    results: Path
    params: dict

    @property
    def folder(self) -> Path:
        """Return what select_samples would have written."""
        return self.results / "samples" / PAIR

    def config(self, **changes) -> str:
        """Return the parameters as JSON, with `changes` of the section classify."""
        return json.dumps(self.params | {"classify": self.params["classify"] | changes})


def write_samples(results: Path, *, faces: bool = True, fitted: bool = True) -> TinySamples:
    """Write samples, splits and face shards: eight people train, four test, a picture of every class and person.

    The last two people of split 0 validate, the two before them of split 1. Test people are seen by camera 90 (role
    test) and 0 (role aside). The first picture of every corpus shows no face.
    """
    rows = [
        *_corpus(results, "ckplus", 8, cameras=(90,), faces=faces, fitted=fitted),
        *_corpus(results, "rafd", 4, cameras=(90, 0), faces=faces, fitted=fitted),
    ]
    tiny = TinySamples(results, PARAMS)
    tables.write(tiny.folder / "samples.parquet", pd.DataFrame(rows), tables.SAMPLES)
    people = [f"ckplus/p{k}" for k in range(8)]
    splits = [
        (split, f"split {split + 1}", person, "validation" if person in held else "training")
        for split, held in enumerate((people[-2:], people[-4:-2]))
        for person in people
    ]
    columns = tables.FOLDS.columns.names
    tables.write(tiny.folder / "splits.parquet", pd.DataFrame(splits, columns=columns), tables.FOLDS)
    info = {"corpus": PAIR, "source": "synthetic", "classes": list(CLASSES), "digest": "x"}
    write_json(tiny.folder / "corpus.json", info)
    return tiny


def _corpus(results, corpus, n_people, *, cameras, faces, fitted) -> list[dict]:
    rng = rng_for(0, "tiny samples", corpus)
    rows, frames = [], []
    for person in range(n_people):
        for label in range(len(CLASSES)):
            for angle in cameras:
                seen = faces and len(rows) > 0
                if seen:
                    frames.append(_picture(label, rng))
                rows.append(_row(corpus, person, label, angle, len(frames) - 1 if seen else -1, seen and fitted, rng))
    if frames:
        index = pd.DataFrame({"clip": [row["clip"] for row in rows if row["row"] >= 0]})
        index = index.assign(frame=0, time_s=0.0, x=0.0, y=0.0, side=float(SIDE), score=1.0, found=True)
        landmarks = np.zeros((len(frames), 68, 2), np.float32)
        shards.write_faces(results / "faces" / corpus / "all", shards.FaceShard(np.stack(frames), landmarks, index))
    return rows


def _picture(label: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise with one bright quarter."""
    picture = rng.integers(0, 80, size=(SIDE, SIDE, 1))
    top, left = (half * SIDE // 2 for half in divmod(label, 2))
    picture[top : top + SIDE // 2, left : left + SIDE // 2] += 150
    return np.repeat(picture, 3, axis=2).astype(np.uint8)


def _row(corpus, person, label, angle, row, fitted, rng) -> dict:
    units, points = rng.normal(0.3, 0.02, 8), rng.normal(0.0, 0.1, 136)
    units[label] += 0.2
    points[10 * label : 10 * label + 10] += 0.5
    return {
        "corpus": corpus,
        "clip": f"{corpus}-{person}-{label}-{angle}",
        "person": f"{corpus}/p{person}",
        "sex": "female",
        "role": "training" if corpus == "ckplus" else "test" if angle == 90 else "aside",
        "label": label,
        "label_name": CLASSES[label],
        "angle": angle,
        "gaze": "",
        "part": "all",
        "row": row,
        "verdict": "fitted" if fitted else "no face" if row < 0 else "not converged",
        "shaped": False,
        "units": units if fitted else np.empty(0),
        "points": points if row >= 0 else np.empty(0),
    }
