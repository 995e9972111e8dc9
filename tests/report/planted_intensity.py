"""Training runs of intensity with planted numbers, as files."""

from pathlib import Path

import numpy as np
import pandas as pd

import planted
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.io.randomness import rng_for

LEVELS = ("normal", "strong")


def write_run(root: Path, fold: int, *, noise: float, variant: str = "Strength", reason: str = "") -> Path:
    """Write a run whose fused head says the level with some noise, and whose side head says 0.5; return run.json."""
    actors = (2 * fold + 1, 2 * fold + 2)
    path = planted.write_run(root, variant, fold, actors=actors, fold_name=f"A{actors[0]},{actors[1]}", reason=reason)
    record = read_json(path)
    record["config"]["variant"]["target"] = "intensity"
    facts = {"classes": list(LEVELS), "training_mean": None if reason else 0.4, "n_without_level": 3}
    write_json(path, record | facts)
    if not reason:
        rng, rows = rng_for(fold, "intensity"), []
        for selection in ("honest", "optimistic"):
            for actor in actors:
                for number, (clip, _) in enumerate(planted.clip_names(actor)):
                    level = number % 2
                    for head, value in (("fused", level + rng.normal(0, noise)), ("video", 0.5)):
                        logits = np.array([value], np.float32)
                        rows.append((selection, "test", clip, f"{actor:02d}", level, head, logits))
        predictions = pd.DataFrame(rows, columns=tables.PREDICTIONS.columns.names)
        tables.write(path.parent / "predictions.parquet", predictions, tables.PREDICTIONS)
    return path
