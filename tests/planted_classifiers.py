"""Classifiers that are right where a test says so, as files: what tables 4.1 and 4.2 and the hypotheses read."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from mien.io import tables
from mien.io.files import write_json

FACE4 = ("neutral", "smile", "surprise", "anger")
PAIR = "ckplus_rafd"
EVALUATE = {"confidence": 0.95, "resamples": 200}
LEARNERS = ("a", "b", "c", "d")  # people of the training corpus; the last validates in every split


def vector(features: str, model: str, *, standardise: bool = True) -> dict:
    """Return a row of classifiers about vectors."""
    return {"features": features, "model": model, "size_px": 0, "standardise": standardise}


def image(model: str, size_px: int = 50) -> dict:
    """Return a row of classifiers about pictures."""
    return {"features": "image", "model": model, "size_px": size_px, "standardise": False}


ROWS = {
    "CNN": image("cnn1"),
    "AU_SSVM": vector("AU8", "ssvm"),
    "AU_DNN": vector("AU8", "dnn_au"),
}


def config(rows: dict[str, dict] = ROWS, *, splits: int = 3, seeds: int = 2) -> str:
    """Return the JSON that a rule passes."""
    cross = {"train": ["ckplus"], "test": "rafd", "angles": [90, 135], "splits": splits, "validation": 0.25}
    classify = {"seeds": seeds, "learning_rate": 1.0e-3, "epochs_vector": 5, "epochs_image": 5}
    classify |= {"batch_vector": 4, "batch_image": 4}
    names = {"classifiers": rows, "cross": cross, "classify": classify, "evaluate": EVALUATE}
    return json.dumps(names | {"seed": 0, "scale": "mini"})


def write_samples(
    root: Path, *, n_people: int = 5, gazes: Iterable[str] = ("frontal",), source: str = "synthetic", unfitted=()
) -> tuple[Path, pd.DataFrame]:
    """Write results/samples/<pair>; return it and SAMPLES. Test people are seen by cameras 0 (aside), 90 and 135."""
    rows = [
        _row("ckplus", person, label, 90, "", shaped=label == 0) for person in LEARNERS for label in range(len(FACE4))
    ]
    rows += [
        _row("rafd", f"{person:02d}", label, angle, gaze, shaped=label == 0 and angle == 90)
        for person in range(n_people)
        for label in range(len(FACE4))
        for angle in (0, 90, 135)
        for gaze in gazes
    ]
    table = pd.DataFrame(rows, columns=tables.SAMPLES.columns.names)
    table["verdict"] = table.verdict.mask(table["clip"].isin(unfitted), "not converged")
    folder = root / "results" / "samples" / PAIR
    tables.write(folder / "samples.parquet", table, tables.SAMPLES)
    splits = [(k, f"split {k + 1}", f"ckplus/{p}", _role(p)) for k in range(3) for p in LEARNERS]
    tables.write(folder / "splits.parquet", pd.DataFrame(splits, columns=tables.FOLDS.columns.names), tables.FOLDS)
    info = {"corpus": PAIR, "source": source, "classes": list(FACE4), "n_clips": len(table), "n_actors": n_people}
    write_json(folder / "corpus.json", info)
    return folder, table


def _role(person: str) -> str:
    return "validation" if person == LEARNERS[-1] else "training"


def _row(corpus: str, person: str, label: int, angle: int, gaze: str, *, shaped: bool) -> dict:
    role = "training" if corpus == "ckplus" else "aside" if angle == 0 else "test"
    return {
        "corpus": corpus,
        "clip": f"{corpus}-{person}-{label}-{angle}{gaze}",
        "person": f"{corpus}/{person}",
        "sex": "",
        "role": role,
        "label": label,
        "label_name": FACE4[label],
        "angle": angle,
        "gaze": gaze,
        "part": "p",
        "row": 0,
        "verdict": "fitted",
        "shaped": shaped,
        "units": [0.0] * 8,
        "points": [0.0] * 136,
    }


def write_run(
    root: Path,
    table: pd.DataFrame,
    name: str,
    seed: int,
    right: Callable[[SimpleNamespace], bool],
    *,
    selections: tuple[str, ...] = ("honest",),
    missing=(),
    reason: str = "",
) -> Path:
    """Write a run that names the true class where `right(row)` is true, else the next one; return its run.json.

    right : of a row of SAMPLES, with the additional entries seed, selection and role (that of the run).
    """
    rows, pictures = [], table[~table["clip"].isin(missing)].drop(columns=["units", "points"]).to_dict("records")
    for selection in selections if not reason else ():
        for row in pictures:
            role = _role(row["person"][-1]) if row["role"] == "training" else row["role"]
            hit = right(SimpleNamespace(**row | {"seed": seed, "selection": selection, "role": role}))
            logits = np.eye(len(FACE4), dtype=np.float32)[row["label"] if hit else (row["label"] + 1) % len(FACE4)]
            rows.append((selection, role, row["clip"], row["person"], row["label"], "fused", logits))
    columns = tables.PREDICTIONS.columns.names
    folder = root / "results" / "training" / PAIR / name / f"fold0-seed{seed}"
    frame = pd.DataFrame(rows, columns=columns) if rows else tables.empty(tables.PREDICTIONS)
    tables.write(folder / "predictions.parquet", frame, tables.PREDICTIONS)
    record = {"corpus": PAIR, "variant": name, "fold": 0, "fold_name": "ckplus to rafd", "seed": seed}
    record |= {"status": "not applicable" if reason else "trained", "reason": reason, "classes": list(FACE4)}
    write_json(folder / "run.json", record)
    return folder / "run.json"


def write_runs(
    root: Path, table: pd.DataFrame, right: dict[str, Callable], *, rows: dict[str, dict] = ROWS, **options
) -> list[Path]:
    """Write three splits of every model without epochs and two seeds of every network; return the run.json files.

    options : of `write_run`, each as classifier -> value.
    """
    paths = []
    for name, chosen in right.items():
        network = rows[name]["model"] in ("dnn_au", "dnn_fp", "cnn1", "cnn2", "cnn3")
        more = {key: values[name] for key, values in options.items() if name in values}
        selections = ("honest", "optimistic") if network else ("honest",)
        paths += [
            write_run(root, table, name, seed, chosen, selections=selections, **more)
            for seed in range(2 if network else 3)
        ]
    return paths
