"""Corpora of stills with planted twins and a blank picture, and runs of ``pretrain`` on them, as files."""

from pathlib import Path

import numpy as np
import pandas as pd

from mien.io import tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.io.shards import FaceShard, write_faces

CLASSES = ("angry", "happy", "neutral")
USAGES = {"Training": "training", "PublicTest": "validation", "PrivateTest": "test"}
SIZES = {"Training": (4, 12, 7), "PublicTest": (2, 2, 3), "PrivateTest": (2, 3, 2)}  # pictures of each class
SIZE_PX, VGG_PX = 16, 32
CONTRADICTION, BLANK, APART = ("00000", "00004"), "00016", "00023"  # clips; 00023 is the first of the public test


def write_fer2013(results: Path) -> list[dict]:
    """Write corpora/fer2013 and faces/fer2013 below `results`; return its clips."""
    labels = [(usage, label) for usage, sizes in SIZES.items() for label, n in enumerate(sizes) for _ in range(n)]
    rows = [
        _clip("fer2013", f"{k:05d}", label, part=f"{usage}-00", group=usage, split=usage, cropped=True)
        for k, (usage, label) in enumerate(labels)
    ]
    for clip in CONTRADICTION:
        rows[int(clip)] |= {"defect": "twin", "duplicate": "aa"}
    rows[int(BLANK)]["defect"] = "blank"
    rows[int(APART)] |= {"defect": "twin", "duplicate": "bb", "apart": True}
    folds = [{"fold": 0, "name": "official", "group": usage, "role": role} for usage, role in USAGES.items()]
    write_corpus(results, "fer2013", rows, folds)
    return rows


def write_people(results: Path, corpus: str, *, n_people: int = 3) -> None:
    """Write a corpus of `n_people` named people with a clip per emotion; it calls the first emotion anger."""
    rows = [
        _clip(corpus, f"{person}-{label}", label, part=f"p{person}", group=f"p{person}", actor=f"p{person}")
        for person in range(n_people)
        for label in range(len(CLASSES))
    ]
    for row in rows:
        row["label_name"] = row["label_name"].replace("angry", "anger")
    folds = [{"fold": 0, "name": "x", "group": f"p{k}", "role": "training"} for k in range(n_people)]
    write_corpus(results, corpus, rows, folds)


def write_corpus(results: Path, corpus: str, rows: list[dict], folds: list[dict]) -> None:
    """Write clips, folds, corpus.json and a face shard per part, a frame per clip."""
    folder, faces = results / "corpora" / corpus, results / "faces" / corpus
    folder.mkdir(parents=True)
    tables.write(folder / "clips.parquet", pd.DataFrame(rows)[tables.CLIPS.columns.names], tables.CLIPS)
    tables.write(folder / "folds.parquet", pd.DataFrame(folds), tables.FOLDS)
    write_json(folder / "corpus.json", {"corpus": corpus, "source": "synthetic", "classes": list(CLASSES)})
    parts = sorted({row["part"] for row in rows})
    for part in parts:
        mine = [row["clip"] for row in rows if row["part"] == part]
        index = pd.DataFrame({"clip": mine, "frame": 0, "time_s": 0.0, "x": 0.0, "y": 0.0, "side": 16.0, "score": 1.0})
        frames = np.stack([np.repeat(picture(corpus, clip)[..., None], 3, axis=2) for clip in mine])
        write_faces(faces / part, FaceShard(frames, np.zeros((len(mine), 68, 2)), index.assign(found=True)))
    write_json(faces / "manifest.json", {"parts": dict.fromkeys(parts, "0123")})


def picture(corpus: str, clip: str) -> np.ndarray:
    """Return (S, S) uint8, the planted picture of a clip."""
    return rng_for(0, corpus, clip).integers(0, 255, (SIZE_PX, SIZE_PX)).astype(np.uint8)


def write_run(
    results: Path,
    name: str,
    *,
    clips: list[dict] = (),
    n_copies: int = 13,
    network: str = "vgg16",
    trained: str = "all",
    learning_rate: float = 1.0e-3,
    n_epochs: int = 3,
    loss: float = 1.0,
    reason: str = "",
) -> Path:
    """Write a run on FER2013 and return its run.json; with `reason` it is not applicable.

    Pictures are judged right with a margin that grows with their number, those of `CONTRADICTION` and `BLANK` wrong.
    loss : of training in the first epoch; it is halved with every epoch.
    """
    folder = results / "training" / "fer2013" / name / "fold0-seed0"
    folder.mkdir(parents=True)
    rows = [] if reason else [_judged(selection, row) for selection in ("honest", "optimistic") for row in clips]
    nothing = tables.empty(tables.PREDICTIONS)
    tables.write(folder / "predictions.parquet", pd.DataFrame(rows) if rows else nothing, tables.PREDICTIONS)
    write_json(
        folder / "run.json",
        {
            "corpus": "fer2013",
            "variant": name,
            "fold": 0,
            "fold_name": "official",
            "seed": 0,
            "status": "not applicable" if reason else "trained",
            "reason": reason,
            "classes": list(CLASSES),
            "n_clips": {"training": sum(SIZES["Training"])},
            "n_copies": n_copies,
            "best_epoch": {} if reason else {"honest": 2, "optimistic": 3},
            "metrics": {} if reason else {"honest": {"validation_loss": loss, "test_accuracy": loss}},
            "config": {
                "seed": 0,
                "pretrain": {
                    "network": network,
                    "trained": trained,
                    "balance": n_copies > 0,
                    "learning_rate": learning_rate,
                },
                "extractor": {"vgg_size_px": VGG_PX},
                "faces": {"size_px": SIZE_PX},
            },
        },
    )
    epoch = np.arange(1, (0 if reason else n_epochs) + 1)
    history = pd.DataFrame(dict.fromkeys(tables.HISTORY, 0.5), index=epoch).assign(
        epoch=epoch, train_loss=loss / 2.0 ** (epoch - 1), validation_loss=loss, train_accuracy=epoch / 10
    )
    history.to_csv(folder / "history.csv", index=False)
    return folder / "run.json"


def _clip(corpus: str, clip: str, label: int, **more) -> dict:
    row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": corpus, "clip": clip, "item": -1, "label": label}
    row |= {"label_name": CLASSES[label], "cropped": False, "has_video": True, "has_audio": False, "apart": False}
    return row | more


def _judged(selection: str, row: dict) -> dict:
    margin = -3.0 if row["clip"] in (*CONTRADICTION, BLANK) else 1.0 + int(row["clip"]) / 10
    return {
        "selection": selection,
        "role": "apart" if row["apart"] else USAGES[row["group"]],
        "clip": row["clip"],
        "actor": "",
        "label": row["label"],
        "head": "fused",
        "logits": (margin * np.eye(len(CLASSES))[row["label"]]).astype(np.float32),
    }
