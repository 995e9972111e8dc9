"""Repetitions of the experiment on missing and fuzzy information whose accuracies are planted, as files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mien.config.fuzziness import Condition, conditions
from mien.io import tables

SHARES = [0.0, 0.5, 1.0]
N_CLIPS = 20  # of a person
N_CLASSES = 4
Planned = Callable[[str, Condition, int], float]  # variant, condition, repetition -> accuracy


def variant(fusion: str, modalities=("video", "audio"), **frozen: str) -> dict:
    """Return a row of variants."""
    return {
        "modalities": list(modalities),
        "fusion": fusion,
        "aggregator": "lstm",
        "augmentation": "VA+AO",
        "side_head": "dense",
        "init": {},
        "frozen": frozen,
    }


VARIANTS = {
    "AM": variant("single", ["audio"]),
    "N0_late": variant("n0", audio="AM"),
    "N0": variant("n0"),
    "N1": variant("n1"),
    "N2": variant("mrpn"),
}


def config(variants=None) -> str:
    """Return the parameters of the report."""
    variants = VARIANTS if variants is None else variants
    fuzziness = {"corpus": "ravdess", "actors": 6, "tested": 2, "shares": SHARES, "seeds": 3, "epochs": 2}
    fuzziness |= {"size_px": 128, "rate_fps": 5, "rows": list(variants)}
    evaluate = {"confidence": 0.95, "resamples": 100}
    return json.dumps({"fuzziness": fuzziness, "variants": variants, "evaluate": evaluate, "scale": "mini"})


def write(root: Path, planned: Planned, *, seeds=(0, 1, 2), variants=None) -> list[Path]:
    """Write a predictions.parquet per repetition, in which the first clips of everybody are right."""
    paths = []
    for seed in seeds:
        rows = []
        for condition in conditions(SHARES):
            for name in VARIANTS if variants is None else variants:
                n_right = round(N_CLIPS * planned(name, condition, seed))
                rows += [
                    (
                        *(seed, condition.kind, condition.modality, condition.share, name),
                        *(f"{actor}-{k:02d}", actor, k % N_CLASSES, k >= N_CLIPS * (1 - condition.share)),
                        np.eye(N_CLASSES, dtype=np.float32)[(k + (k >= n_right)) % N_CLASSES],
                    )
                    for actor in (f"{2 * seed}", f"{2 * seed + 1}")
                    for k in range(N_CLIPS)
                ]
        path = root / f"seed{seed}" / "predictions.parquet"
        tables.write(path, pd.DataFrame(rows, columns=tables.FUZZY.columns.names), tables.FUZZY)
        paths.append(path)
    return paths


def falling(**points_lost: float) -> Planned:
    """Return accuracies from 0.9 on, of which a network loses so much until all clips are affected."""
    return lambda name, condition, seed: 0.9 - 0.05 * seed - condition.share * points_lost.get(name, 0.4)
