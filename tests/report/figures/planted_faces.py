"""Samples of four emotions with fits and face shards whose geometry is known, as files."""

from pathlib import Path

import numpy as np
import pandas as pd

from mien.candide.fit import person_vertices, place_mesh
from mien.candide.mesh import LANDMARKS, VERTICES
from mien.classical.samples import FACE4, fp68
from mien.io import tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.io.shards import FaceShard, write_faces

PAIR = "learnt_tested"
CAMERAS = {"learnt": (90,), "tested": (45, 90, 180)}
SIZE_PX = 24
REGION = {"x": 30.0, "y": 10.0, "side": 48.0}  # of the source picture: two of its px are one of the region
SCALE, ORIGIN = 20.0, (53.5, 33.5)  # px of the source picture


def shape_of(person: int) -> np.ndarray:
    """Return (7,) the shape units of a planted person."""
    return rng_for(person, "shape").normal(0.0, 0.3, 7)


def units_of(label: int) -> np.ndarray:
    """Return (8,) the action units of an emotion: one of them at 0.5."""
    return 0.5 * np.eye(8)[label]


def rotation_of(angle: int) -> np.ndarray:
    """Return (3,) the rotation vector of a face before a camera; 90 degrees is frontal."""
    return np.array([0.0, np.deg2rad(90.0 - angle), 0.0])


def write_world(root: Path, *, n_people: int = 3) -> Path:
    """Write faces, candide, samples and predictions of two corpora below `root`/results; return that folder."""
    results = root / "results"
    table = pd.concat([_write_corpus(results, corpus, n_people) for corpus in CAMERAS], ignore_index=True)
    folder, people = results / "samples" / PAIR, sorted(table.person[table.role == "training"].unique())
    splits = [{"fold": 0, "name": "split 1", "group": name, "role": "training"} for name in people]
    tables.write(folder / "samples.parquet", table, tables.SAMPLES)
    tables.write(folder / "splits.parquet", pd.DataFrame(splits), tables.FOLDS)
    write_json(folder / "corpus.json", {"corpus": PAIR, "source": "synthetic", "classes": list(FACE4)})
    seen = table[table["row"] >= 0]
    said = seen.label.where(seen.label != FACE4.index("anger"), 0)
    rows = {"clip": seen["clip"], "actor": seen.person, "role": seen.role, "label": seen.label, "head": "fused"}
    rows |= {"selection": "honest", "logits": list(np.eye(4, dtype=np.float32)[said])}
    tables.write(predictions(results), pd.DataFrame(rows)[tables.PREDICTIONS.columns.names], tables.PREDICTIONS)
    write_json(predictions(results).with_name("run.json"), {"variant": "AU_SSVM", "seed": 0})
    return results


def predictions(results: Path) -> Path:
    """Return the path of the planted predictions: right but for anger, which is taken for a neutral face."""
    return results / "training" / PAIR / "AU_SSVM" / "fold0-seed0" / "predictions.parquet"


def samples(results: Path) -> pd.DataFrame:
    """Return the planted SAMPLES."""
    return tables.read(results / "samples" / PAIR / "samples.parquet", tables.SAMPLES)


def _write_corpus(results: Path, corpus: str, n_people: int) -> pd.DataFrame:
    rows = []
    for person in range(n_people):
        found = [(label, angle) for angle in CAMERAS[corpus] for label in range(len(FACE4))]
        part, first = f"p{person}", len(rows)
        rows += [_sample(corpus, person, part, k, *key) for k, key in enumerate(found)]
        mine = rows[first:]
        clips = [row["clip"] for row in mine]
        index = pd.DataFrame({"clip": clips, "frame": 0, "time_s": 0.0, **REGION, "score": 1.0, "found": True})
        frames = np.stack([_picture(person, row["label"]) for row in mine])
        landmarks = np.zeros((len(mine), 68, 2), np.float32)
        write_faces(results / "faces" / corpus / part, FaceShard(frames, landmarks, index))
        fits = {
            "clip": clips,
            "frame": 0,
            "time_s": 0.0,
            "verdict": "fitted",
            "scale": SCALE,
            "rotation": [rotation_of(row["angle"]) for row in mine],
            "origin": [np.array(ORIGIN)] * len(mine),
            "units": [units_of(row["label"]) for row in mine],
            "residual": 0.01,
            "iterations": 3,
        }
        folder = results / "candide" / corpus / part
        people = {"actor": part, "shape": [shape_of(person)], "source": "neutral", "clips": [[clips[0]]]}
        tables.write(folder / "index.parquet", pd.DataFrame(fits), tables.FITS)
        tables.write(folder / "people.parquet", pd.DataFrame(people), tables.PEOPLE)
    return pd.DataFrame(rows)


def _sample(corpus: str, person: int, part: str, row: int, label: int, angle: int) -> dict:
    seen = angle != 180  # the detector finds no face from the side
    return {
        "corpus": corpus,
        "clip": f"{corpus}-{part}-{angle:03d}-{label}",
        "person": f"{corpus}/{part}",
        "sex": "",
        "role": "training" if corpus == "learnt" else "test" if seen else "aside",
        "label": label,
        "label_name": FACE4[label],
        "angle": angle,
        "gaze": "frontal",
        "part": part,
        "row": row if seen else -1,
        "verdict": "fitted" if seen else "no face",
        "shaped": label == 0,
        "units": units_of(label) if seen else np.empty(0),
        "points": _landmarks(person) if seen else np.empty(0),
    }


def _landmarks(person: int) -> np.ndarray:
    """Return (136,) FP68 of a frontal face: fitted landmarks on their vertices, the others on an ellipse."""
    turn = np.arange(68) * 2 * np.pi / 68
    points = np.stack([60 * np.cos(turn), 80 * np.sin(turn)], axis=1)
    points[list(LANDMARKS)] = person_vertices(shape_of(person))[list(VERTICES["printed"]), :2] * [100.0, -100.0]
    return fp68(points[None])[0]


def _picture(person: int, label: int) -> np.ndarray:
    picture = rng_for(person, "picture", label).integers(0, 60, (SIZE_PX, SIZE_PX, 1)) + 40 * label
    return np.repeat(picture, 3, axis=2).astype(np.uint8)


def planted_mesh(person: int, label: int, angle: int) -> np.ndarray:
    """Return (113, 2) px of the source picture: where the planted fit puts the mesh."""
    return place_mesh(
        shape_of(person),
        units=units_of(label),
        rotation=rotation_of(angle),
        scale=np.float64(SCALE),
        origin=np.array(ORIGIN),
    )
