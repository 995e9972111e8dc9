"""Running networks whose judgements are known to the last one, as the files that training leaves behind."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

import planted
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.report import style

ROWS = {
    "V_frame": {"modalities": ["video"], "fusion": "dense", "aggregator": "none", "init": {}},
    "V_stream": {"modalities": ["video"], "fusion": "dense", "aggregator": "lstm", "init": {}},
    "A_stream": {"modalities": ["audio"], "fusion": "dense", "aggregator": "lstm", "init": {}},
    "AV_stream": {"modalities": ["video", "audio"], "fusion": "mrpn", "aggregator": "lstm", "init": {}},
}
STREAMING = {
    "corpus": "ravdess",
    "rate_fps": 10,
    "hop_s": 0.1,
    "window_s": 2.0,
    "loss": "every",
    "learning_rate": 1e-3,
    "epochs": 2,
    "batch": 2,
}
WATCH = {"joint": "AV_stream", "video": "V_stream", "audio": "A_stream"}
LENGTHS_S = {"forget_s": 1.0, "timeline_s": 10.0}
STEADY, FLICKERING, WRONG = (0, 0, 0), (0, 1, 0), (1, 1, 1)  # what is said, relative to the label
TIMES_S = (0.0, 0.1, 0.2)  # of the frames of planted.write_shards


def config(**changes) -> str:
    """Return the JSON that a rule passes."""
    sections = {"seed": 0, "scale": "mini", "evaluate": planted.EVALUATE | {"resamples": 100}, "sound": planted.SOUND}
    sections |= {"streams": ROWS, "streaming": STREAMING, "watch": WATCH | LENGTHS_S}
    return json.dumps(sections | changes)


def draw_small(monkeypatch) -> None:
    """Let commands write their figures with few pixels: most of the time goes into them, and nobody looks at them."""
    monkeypatch.setattr(style, "DPI", 40)


def write_run(root: Path, row: str, fold: int, *, actors, said=STEADY, times_s=TIMES_S, seed: int = 0, **more) -> Path:
    """Write a run that says `said` (relative to the label, modulo the classes) of every clip of `actors`."""
    path = planted.write_run(root, row, fold, actors=actors, fold_name=f"fold {fold}", seed=seed, **more)
    run = read_json(path)
    write_json(path, run | {"config": run["config"] | {"stream": ROWS[row]}})
    n, rows = len(planted.CLASSES), []
    for actor in actors if run["status"] == "trained" else ():
        for clip, label in planted.clip_names(actor):
            for time_s, step in zip(times_s, said, strict=True):
                for head, shift in (("fused", 0), ("video", 1)):
                    logits = np.eye(n, dtype=np.float32)[(label + step + shift) % n]
                    rows.append(("test", clip, f"{actor:02d}", label, time_s, head, logits))
    stream = pd.DataFrame(rows, columns=tables.STREAM.columns.names) if rows else tables.empty(tables.STREAM)
    tables.write(path.parent / "stream.parquet", stream, tables.STREAM)
    return path


def write_runs(root: Path, said: dict[str, tuple[int, ...]], *, n_folds: int = 1, **more) -> list[Path]:
    """Write runs of all rows; `said` by row, else steady; two actors are tested per fold."""
    return [
        write_run(root, row, fold, actors=(2 * fold + 1, 2 * fold + 2), said=said.get(row, STEADY), **more)
        for row in ROWS
        for fold in range(n_folds)
    ]
