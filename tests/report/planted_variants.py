"""Networks of chapter 5 with planted shares of right clips, in memory and as the files that training leaves behind."""

from pathlib import Path

import numpy as np
import pandas as pd

import planted
from mien.config.schema import EvaluateConfig
from mien.evaluation.metrics import SCORES
from mien.evaluation.runs import Run
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.report.claims import Trained
from mien.report.thesis import read_published
from planted_scores import scores

TRAIN = {"width": 2, "frames": 2, "dropout": 0.0}
FACES = {"size_px": 32}
AUGMENTATION = {"AM_NT": "NT", "VM_NT": "NT", "N0_NT": "NT", "N0_WO": "VA+WO"}
FUSION = {"AM": "single", "VM": "single", "N1": "n1", "N2": "mrpn"}
MODALITIES = {"AM": ["audio"], "VM": ["video"]}


def trained(resource: Path, right: dict[str, list[list[float]]], *, corpus: str = "ravdess", **options) -> Trained:
    """Return what was trained on a corpus; `right` and `options` as of `planted_scores.scores`."""
    return Trained(
        corpus=corpus,
        scores=scores(right, **options) if right else pd.DataFrame(columns=SCORES),
        runs=[
            run(name, corpus, fold, n_clips=10 + (fold if name in AUGMENTATION else 0))
            for name, folds in right.items()
            for fold in range(len(folds))
        ],
        thesis=read_published(resource),
        evaluate=EvaluateConfig(**planted.EVALUATE),
        synthetic=True,
        seed=0,
    )


def run(name: str, corpus: str = "ravdess", fold: int = 0, *, epoch: int = 4, n_clips: int = 10) -> Run:
    """Return a trained run without a folder."""
    n_steps = {"video": 2.0, "audio": 2.0 if name in AUGMENTATION else 2.5}
    record = {"config": config(name), "n_clips": {"training": n_clips}, "best_epoch": {"honest": epoch}}
    record["n_steps"] = {modality: n_steps[modality] for modality in record["config"]["variant"]["modalities"]}
    return Run(Path(name), corpus, name, fold, f"A{fold}", 0, True, "", planted.CLASSES, record)


def config(name: str) -> dict:
    """Return the part `config` of the run.json of a variant."""
    kind = name.split("_")[0]
    variant = {
        "modalities": MODALITIES.get(kind, ["video", "audio"]),
        "fusion": FUSION.get(kind, "n0"),
        "aggregator": "lstm",
        "augmentation": AUGMENTATION.get(name, "VA+AO"),
        "side_head": "dense",
        "init": {},
        "frozen": {},
    }
    return {"train": TRAIN, "faces": FACES, "sound": planted.SOUND | {"pool": 8}, "variant": variant}


def write_run(
    root: Path, name: str, fold: int, shares: dict[int, float], *, corpus: str, n_parameters: int = 1
) -> Path:
    """Write a run that is right in a share of the clips of every actor (actor -> share); return its run.json."""
    path = planted.write_run(root, name, fold, actors=tuple(shares), fold_name=f"F{fold}", corpus=corpus)
    rows = tables.read(path.with_name("predictions.parquet"), tables.PREDICTIONS)
    test = (rows.role == "test").to_numpy()
    place = rows.groupby(["selection", "role", "actor"]).cumcount()
    n_clips = len(planted.clip_names(1))
    least = [round(shares.get(int(actor), 1.0) * n_clips) for actor in rows.actor]
    hit = ~test | (place < least).to_numpy()
    said = np.where(hit, rows.label, (rows.label + 1) % len(planted.CLASSES))
    rows["logits"] = list(np.eye(len(planted.CLASSES), dtype=np.float32)[said])
    tables.write(path.with_name("predictions.parquet"), rows, tables.PREDICTIONS)
    write_json(path, read_json(path) | {"config": config(name), "n_parameters": n_parameters})
    return path
