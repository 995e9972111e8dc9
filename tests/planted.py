"""Training runs with a planted accuracy, as files: what the report, the metrics and the tracking read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.io import tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.io.shards import FaceShard, SoundShard, write_faces, write_sound

CLASSES = ("neutral", "happy", "sad")
EVALUATE = {"confidence": 0.95, "resamples": 500}
ROWS = ("AM", "VM", "N0", "N1", "N2")
STRENGTH = {
    "AM": 1.0,
    "Voice_SVM": 2.2,
    "VM": 1.5,
    "N0": 2.0,
    "N1": 2.5,
    "N2": 3.0,
}  # of the planted signal, in sd of the logits
SOUND = {
    "rate_hz": 16000,
    "silence_dbfs": -60.0,
    "window": 512,
    "hop": 64,
    "segment": 250,
    "log": True,
    "pool": 4,
}


def config(**changes) -> str:
    """Return the JSON that a rule passes to the commands of the report."""
    table = {"corpus": "ravdess", "rows": ROWS, "single": ["AM", "VM"], "controls": {}, "confusion": "5.6"} | changes
    return json.dumps({"seed": 0, "scale": "mini", "tables": {"5.2": table}, "evaluate": EVALUATE, "sound": SOUND})


def clip_names(actor: int, n_takes: int = 4) -> list[tuple[str, int]]:
    """Return (clip, label) of one actor: `n_takes` of every class."""
    return [(f"clip-{actor:02d}-{label}-{take}", label) for label in range(len(CLASSES)) for take in range(n_takes)]


def run_table(command: Callable[..., None], out: Path, **options: Any) -> tuple[pd.DataFrame, str]:
    """Run a command that writes a table; return its numbers and its page."""
    command(**options, out_csv=out / "table.csv", out_md=out / "table.md")
    return pd.read_csv(out / "table.csv"), (out / "table.md").read_text(encoding="utf-8")


def write_corpus(root: Path, *, n_actors: int, corpus: str = "ravdess", source: str = "synthetic", apart=()) -> Path:
    """Write clips.parquet and corpus.json of a corpus with `n_actors`; return their folder."""
    names = [(actor, *clip) for actor in range(1, n_actors + 1) for clip in clip_names(actor)]
    rows = [
        {
            "corpus": corpus,
            "clip": clip,
            "part": f"actor{actor:02d}",
            "group": f"{actor:02d}",
            "actor": f"{actor:02d}",
            "sex": "male" if actor % 2 else "female",
            "item": -1,
            "label": label,
            "label_name": CLASSES[label],
            "cropped": False,
            "has_video": True,
            "has_audio": True,
            "apart": clip in apart,
        }
        for actor, clip, label in names
    ]
    folder = root / "results" / "corpora" / corpus
    tables.write(
        folder / "clips.parquet",
        pd.DataFrame(rows).reindex(columns=tables.CLIPS.columns.names, fill_value=""),
        tables.CLIPS,
    )
    info = {"corpus": corpus, "source": source, "classes": list(CLASSES), "n_clips": len(rows), "n_actors": n_actors}
    write_json(folder / "corpus.json", info | {"digest": "0123abcd"})
    return folder


def write_run(
    root: Path,
    variant: str,
    fold: int,
    *,
    actors: tuple[int, ...],
    fold_name: str,
    seed: int = 0,
    corpus: str = "ravdess",
    strength: float | None = None,
    reason: str = "",
    selections: tuple[str, ...] = ("honest", "optimistic"),
    drop: tuple[str, ...] = (),
) -> Path:
    """Write one run folder and return its run.json; with `reason` the run is not applicable."""
    folder = root / "results" / "training" / corpus / variant / f"fold{fold}-seed{seed}"
    rng = rng_for(seed, "planted", corpus, variant, fold)
    strength = STRENGTH.get(variant, 2.0) if strength is None else strength
    rows = []
    for selection in selections if not reason else ():
        gain = 0.3 if selection == "optimistic" else 0.0
        for actor in actors:
            for clip, label in clip_names(actor):
                logits = rng.normal(size=len(CLASSES)) + (strength + gain) * np.eye(len(CLASSES))[label]
                if clip not in drop:
                    rows.append((selection, "test", clip, f"{actor:02d}", label, "fused", logits.astype(np.float32)))
        rows.append((selection, "validation", "validation-clip", "99", 0, "fused", np.zeros(len(CLASSES), np.float32)))
    predictions = (
        pd.DataFrame(rows, columns=tables.PREDICTIONS.columns.names) if rows else tables.empty(tables.PREDICTIONS)
    )
    folder.mkdir(parents=True, exist_ok=True)
    tables.write(folder / "predictions.parquet", predictions, tables.PREDICTIONS)
    write_history(folder / "history.csv", n_epochs=0 if reason else 5, seed=seed + fold)
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    metrics = {key: {"test_accuracy": 0.5, "test_loss": 1.0, "validation_accuracy": 0.5} for key in selections}
    write_json(
        folder / "run.json",
        {
            "corpus": corpus,
            "variant": variant,
            "fold": fold,
            "fold_name": fold_name,
            "seed": seed,
            "status": "not applicable" if reason else "trained",
            "reason": reason,
            "classes": list(CLASSES),
            "n_parameters": 0 if reason else 1234,
            "epochs": 0 if reason else 5,
            "best_epoch": {} if reason else dict.fromkeys(selections, 3),
            "metrics": {} if reason else metrics,
            "n_clips": {"training": 90, "validation": 1, "test": len(actors) * 12},
            "data_digest": "feedbeef",
            "config": {"train": {"width": 8, "seeds": [0]}, "variant": {"fusion": "mrpn", "frozen": {}}},
        },
    )
    return folder / "run.json"


def write_history(path: Path, *, n_epochs: int, seed: int) -> None:
    """Write a history whose losses fall."""
    epoch = np.arange(1, n_epochs + 1)
    noise = 0.02 * rng_for(seed, "history").normal(size=n_epochs)
    frame = pd.DataFrame(
        {
            "epoch": epoch,
            "learning_rate": 2.0e-3,
            "train_loss": 1.1 / np.sqrt(epoch),
            "validation_loss": 1.1 / np.sqrt(epoch) + 0.1 + noise,
            "validation_accuracy": 0.3 + 0.05 * epoch,
            "test_loss": 1.1 / np.sqrt(epoch) + 0.1,
            "test_accuracy": 0.3 + 0.05 * epoch,
        }
    )
    frame.to_csv(path, index=False, lineterminator="\n")


def write_runs(root: Path, *, n_folds: int, variants=ROWS, seeds=(0,), names=None, **options) -> list[Path]:
    """Write a run for every variant, fold and seed; fold k tests actors 2k + 1 and 2k + 2."""
    names = names or [f"A{2 * k + 1},{2 * k + 2}" for k in range(n_folds)]
    return [
        write_run(root, variant, k, actors=(2 * k + 1, 2 * k + 2), fold_name=names[k], seed=seed, **options)
        for variant in variants
        for k in range(n_folds)
        for seed in seeds
    ]


def write_shards(root: Path, *, n_actors: int, corpus: str = "ravdess", size: int = 48) -> tuple[Path, Path]:
    """Write face and sound shards of the clips of `write_corpus`; return the folders of both."""
    faces, sound = (root / "results" / stage / corpus for stage in ("faces", "sound"))
    for actor in range(1, n_actors + 1):
        rng = rng_for(actor, "shards")
        clips = clip_names(actor)
        n_frames, n_samples = 3, 16000
        index = pd.DataFrame(
            [(clip, k, k / 10, 0.0, 0.0, 48.0, 1.0, True) for clip, _ in clips for k in range(n_frames)],
            columns=tables.FRAMES.columns.names,
        )
        tint = np.repeat([[60 * label, 10 * actor, 90] for _, label in clips], n_frames, axis=0)  # (N, 3)
        frames = np.clip(tint[:, None, None] + rng.integers(0, 60, (len(index), size, size, 1)), 0, 255).astype(
            np.uint8
        )
        write_faces(faces / f"actor{actor:02d}", FaceShard(frames, np.zeros((len(index), 68, 2)), index))
        time_s = np.arange(n_samples) / SOUND["rate_hz"]
        waves = [np.sin(2 * np.pi * (300 * (label + 1) * time_s + 200 * time_s**2)) for _, label in clips]
        wave = np.concatenate([(8000 * w + rng.normal(0, 50, n_samples)).astype(np.int16) for w in waves])
        rows = [(clip, i * n_samples, n_samples, 0.3, 0.1, False) for i, (clip, _) in enumerate(clips)]
        write_sound(
            sound / f"actor{actor:02d}", SoundShard(wave, pd.DataFrame(rows, columns=tables.SOUNDS.columns.names))
        )
    for folder in (faces, sound):
        write_json(folder / "manifest.json", {"parts": {f"actor{actor:02d}": "" for actor in range(1, n_actors + 1)}})
    return faces, sound
