"""Exported networks as MLflow asks them: `mlflow models serve` answers what emotion recordings show.

A model of MLflow names this module, which loads its data, a file of `export_model`; so mien must be installed where it
is served. A request has a column clip with whole files (in JSON as base64) and may have the parameter cropped; the
answer is a row per file: label and p_<class> of the whole recording, null where there was nothing to judge.
"""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from mien.apps.models import load_models
from mien.apps.python import Models
from mien.config import schema


class Served:
    """Networks behind the interface of MLflow's pyfunc flavour."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def predict(self, asked: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Judge every file of column clip, bytes; cropped: every picture is a face and nothing else."""
        rows = []
        for clip in asked["clip"]:
            with tempfile.NamedTemporaryFile() as file:
                file.write(clip)
                file.flush()
                judged = self.models.predict(file.name, cropped=bool((params or {}).get("cropped")))
            verdict = judged.attrs["verdict"]
            shares = verdict["probabilities"] or dict.fromkeys(self.models.classes)
            rows.append({"label": verdict["label"], **{f"p_{name}": share for name, share in shares.items()}})
        columns = ["label", *(f"p_{name}" for name in self.models.classes)]
        return pd.DataFrame(rows, columns=columns, dtype=object)  # else null would be NaN, which is no JSON


def _load_pyfunc(path: str) -> Served:
    """Load the networks of a file; MLflow calls this function by its name."""
    settings = schema.section(schema.PredictConfig, schema.load(schema.DEFAULTS), "predict")
    return Served(Models(load_models([Path(path)]), settings.window_s, settings.hop_s))
