"""A tiny results folder with samples of two corpora, in which every feature shows the class."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien.io import shards, tables
from mien.io.files import write_json
from mien.io.randomness import rng_for

CLASSES = ("neutral", "smile", "surprise", "anger")
PAIR = "ckplus_rafd"
AUGMENT = {
    "mirror": 0.0,
    "crop": 0.05,
    "blur": 0.5,
    "blur_sigma": 0.5,
    "contrast": [0.9, 1.1],
    "noise": 5.0,
    "scale": [0.95, 1.05],
    "translate": 0.02,
    "rotate": 3.0,
    "shear": 3.0,
    "slice": 0.8,
}


def row_of(features: str, model: str, *, size_px: int = 0, standardise: bool = True) -> dict:
    """Return a row of classifiers."""
    return {"features": features, "model": model, "size_px": size_px, "standardise": standardise}


PARAMS = {
    "seed": 0,
    "augment": AUGMENT,
    "cross": {"train": ["ckplus"], "test": "rafd", "angles": [90], "splits": 2, "validation": 0.25},
    "classify": {
        "seeds": 2,
        "learning_rate": 1.0e-2,
        "epochs_vector": 40,
        "epochs_image": 4,
        "batch_vector": 8,
        "batch_image": 8,
    },
    "classifiers": {
        "AU_DNN": row_of("AU8", "dnn_au"),
        "AU_DNN_raw": row_of("AU8", "dnn_au", standardise=False),
        "FP_DNN": row_of("FP68", "dnn_fp"),
        "CNN1_16": row_of("image", "cnn1", size_px=16, standardise=False),
        "CNN2_16": row_of("image", "cnn2", size_px=16, standardise=False),
        "CNN3_46": row_of("image", "cnn3", size_px=46, standardise=False),
        "AU_SSVM": row_of("AU8", "ssvm"),
    },
}


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


def write_samples(
    results: Path, *, training: int = 8, test: int = 4, side: int = 16, faces: bool = True, fitted: bool = True
) -> TinySamples:
    """Write samples, splits and face shards: so many people per corpus, a picture of every class and person.

    The last two people of split 0 validate, the two before them of split 1. Test people are seen by camera 90 (role
    test) and 0 (role aside). The first picture of every corpus shows no face.
    """
    rows = [
        *_corpus(results, "ckplus", training, cameras=(90,), side=side, faces=faces, fitted=fitted),
        *_corpus(results, "rafd", test, cameras=(90, 0), side=side, faces=faces, fitted=fitted),
    ]
    tiny = TinySamples(results, PARAMS)
    tables.write(tiny.folder / "samples.parquet", pd.DataFrame(rows), tables.SAMPLES)
    people = [f"ckplus/p{k}" for k in range(training)]
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


def _corpus(results, corpus, n_people, *, cameras, side, faces, fitted) -> list[dict]:
    rng = rng_for(0, "tiny samples", corpus)
    rows, frames = [], []
    for person in range(n_people):
        for label in range(len(CLASSES)):
            for angle in cameras:
                seen = faces and len(rows) > 0
                if seen:
                    frames.append(_picture(label, side, rng))
                rows.append(_row(corpus, person, label, angle, len(frames) - 1 if seen else -1, seen and fitted, rng))
    if frames:
        index = pd.DataFrame({"clip": [row["clip"] for row in rows if row["row"] >= 0]})
        index = index.assign(frame=0, time_s=0.0, x=0.0, y=0.0, side=float(side), score=1.0, found=True)
        landmarks = np.zeros((len(frames), 68, 2), np.float32)
        shards.write_faces(results / "faces" / corpus / "all", shards.FaceShard(np.stack(frames), landmarks, index))
    return rows


def _picture(label: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise with one bright quarter."""
    picture = rng.integers(0, 80, size=(side, side, 1))
    top, left = (half * side // 2 for half in divmod(label, 2))
    picture[top : top + side // 2, left : left + side // 2] += 150
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
