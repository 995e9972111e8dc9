"""FER2013 with twins apart, and trainings on it that are right where a test says so: what table 4.3 and C2 read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mien.io import tables
from mien.io.files import write_json
from mien.report.thesis import read_published

CLASSES = ("angry", "happy")
SIZE, N_TWINS = 40, 10  # pictures of either test without twins, and twins
ROLES = {"PublicTest": "validation", "PrivateTest": "test"}
EVALUATE = {"confidence": 0.95, "resamples": 200}
NETWORK = {"forward": 1000, "dense": 100, "n_shown": 10}  # multiply-adds of a pass, trained weights of dense layers
CURVE = (0.4, 0.6, 0.77, 0.8)  # validation accuracy by epoch, the last chosen: 95 % of it is reached in epoch 3
Right = Callable[[int, str, str], bool]  # of number, usage and selection; twins have the numbers from SIZE


def row(init: str, *, rate: float = 1.0e-4, trained: str = "all", corpus: str = "fer2013") -> dict:
    """Return a row of ``pretrain``; on another corpus than FER2013 it learns who somebody is."""
    target = "label" if corpus == "fer2013" else "actor"
    names = {"corpus": corpus, "modality": "video", "target": target, "network": "vgg16", "init": init}
    names |= {"trained": trained, "balance": False, "learning_rate": rate, "epochs": 4, "batch": 2}
    return names


ROWS = {
    "People": row("random", corpus="ravdess"),
    "whole": row("People"),
    "objects": row("none"),
    "dense": row("People", trained="dense"),
    "blind": row("random"),
    "fast": row("People", rate=1.0e-3),
}


def params(rows: dict[str, dict] = ROWS) -> dict:
    """Return the sections that a rule passes."""
    table = [name for name in ("whole", "objects", "dense", "blind") if name in rows]
    transfer = {"rates": ["fast", "whole"], "frozen": ["dense", "whole"], "table": table}
    return {
        "transfer": transfer,
        "pretrain": rows,
        "evaluate": EVALUATE,
        "seed": 0,
        "scale": "mini",
    }


def write_thesis(path: Path, resource: Path) -> Path:
    """Write table 4.3 of the thesis's numbers alone, which is read in less time than all of them."""
    ours = {"ours_vggface_transfer": "whole", "imagenet_transfer": "objects"}
    table = read_published(resource)["4.3"] | {"ours": ours}
    path.write_text(json.dumps({"tables": {"4.3": table}}), encoding="utf-8")  # in order
    return path


def clip(number: int, usage: str) -> str:
    """Return the name of a test picture."""
    return f"{usage}-{number:02d}"


def write_fer2013(results: Path, *, source: str = "synthetic", starts: str = "/data/faces") -> Path:
    """Write corpora/fer2013, and what the corpora of its starts come from; return its folder."""
    names = [(usage, k) for usage in ROLES for k in range(SIZE + N_TWINS)]
    rows = pd.DataFrame({"clip": [clip(k, usage) for usage, k in names], "split": [usage for usage, _ in names]})
    rows["apart"] = [k >= SIZE for _, k in names]
    rows = rows.assign(corpus="fer2013", item=-1, label=0, cropped=True, has_video=True, has_audio=False)
    folder = results / "corpora" / "fer2013"
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows.reindex(columns=tables.CLIPS.columns.names, fill_value="")
    tables.write(folder / "clips.parquet", rows, tables.CLIPS)
    write_json(folder / "corpus.json", {"corpus": "fer2013", "source": source, "classes": list(CLASSES)})
    for people in {row["corpus"] for row in ROWS.values()} - {"fer2013"}:
        write_json(folder.parent / people / "corpus.json", {"corpus": people, "source": starts, "classes": []})
    return folder


def write_run(
    results: Path, name: str, right: Right | None, *, rows=ROWS, curve=CURVE, loss=None, reason: str = "", seed: int = 0
) -> Path:
    """Write a training; return its run.json.

    right : of a test picture; None for a network of another corpus.   loss : of validation, falling if not given.
    """
    config = rows[name]
    corpus = "fer2013" if config["target"] == "label" else f"{config['corpus']}_actor"
    folder = results / "training" / corpus / name / f"fold0-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    loss = np.linspace(2.0, 1.0, len(curve)) if loss is None else np.asarray(loss, float)
    frame = _judged(right) if right and not reason else tables.empty(tables.PREDICTIONS)
    tables.write(folder / "predictions.parquet", frame, tables.PREDICTIONS)
    history = pd.DataFrame(0.5, index=range(len(curve)), columns=list(tables.HISTORY))
    history = history.assign(epoch=np.arange(1, len(curve) + 1), validation_accuracy=curve, validation_loss=loss)
    history[: 0 if reason else None].to_csv(folder / "history.csv", index=False)
    record = {"corpus": corpus, "variant": name, "fold": 0, "fold_name": "official", "seed": seed, "reason": reason}
    record |= {"status": "not applicable" if reason else "trained", "classes": list(CLASSES)}
    record |= {"best_epoch": {} if reason else {"honest": int(loss.argmin()) + 1}, "n_shown": NETWORK["n_shown"]}
    record |= {"multiply_adds": NETWORK["forward"], "config": {"pretrain": config}}
    write_json(folder / "run.json", record | {"n_trained": 100 if config["trained"] == "dense" else 500})
    return folder / "run.json"


def write_runs(results: Path, right: dict[str, Right], *, rows=ROWS, reasons=None, **options) -> list[Path]:
    """Write a training of every row in their order; return the run.json files.

    right : row -> see `write_run`.   options : curve and loss, each as row -> value.
    """
    reasons = {"objects": "nobody has the weights"} if reasons is None else reasons
    return [
        write_run(
            results,
            name,
            right.get(name),
            rows=rows,
            reason=reasons.get(name, ""),
            **{key: values[name] for key, values in options.items() if name in values},
        )
        for name in rows
    ]


def config(rows: dict[str, dict] = ROWS) -> str:
    """Return the JSON that a rule passes."""
    return json.dumps(params(rows))


def _judged(right: Right) -> pd.DataFrame:
    """Return PREDICTIONS; pictures are of both classes in turn."""
    found = [
        (selection, "apart" if k >= SIZE else role, clip(k, usage), k % 2, right(k, usage, selection))
        for selection in ("honest", "optimistic")
        for usage, role in ROLES.items()
        for k in range(SIZE + N_TWINS)
    ]
    frame = pd.DataFrame(found, columns=["selection", "role", "clip", "label", "hit"])
    scores = np.eye(len(CLASSES), dtype=np.float32)[np.where(frame.hit, frame.label, 1 - frame.label)]
    frame = frame.assign(actor="", head="fused", logits=list(scores))
    return frame[tables.PREDICTIONS.columns.names]
