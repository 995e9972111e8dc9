"""The files that a training leaves behind: run.json, predictions.parquet, history.csv, model.safetensors.

A network that runs along with recordings leaves stream.parquet beside them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from mien.core import tables
from mien.core.files import atomic_folder, write_json
from mien.models import checkpoint
from mien.training.progress import Progress


def outcome(progress: Progress | None, reason: str) -> dict[str, Any]:
    """Return what run.json says about the course of a run; without progress it was not applicable, for `reason`."""
    choices = {} if progress is None else progress.choices
    return {
        "status": "not applicable" if progress is None else "trained",
        "reason": reason,
        "epochs": 0 if progress is None else len(progress.history),
        "best_epoch": {selection: choice.epoch for selection, choice in choices.items()},
        "metrics": {selection: choice.metrics for selection, choice in choices.items()},
    }


def write(
    folder: Path,
    record: Mapping[str, Any],
    *,
    predictions: pd.DataFrame,
    history: list[dict[str, float]],
    weights: Mapping[str, Tensor],
    settings: Any,
    stream: pd.DataFrame | None = None,
) -> None:
    """Write a run folder, whole or not at all; `settings` is the dataclass of the model's header, `stream` STREAM."""
    with atomic_folder(folder) as scratch:
        tables.write(scratch / "predictions.parquet", predictions, tables.PREDICTIONS)
        if stream is not None:
            tables.write(scratch / "stream.parquet", stream, tables.STREAM)
        followed = any(tables.TRAIN_ACCURACY in row for row in history)
        columns = [*tables.HISTORY, *([tables.TRAIN_ACCURACY] if followed else [])]
        pd.DataFrame(history, columns=columns).to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        checkpoint.save_state(scratch / "model.safetensors", weights, settings)
        write_json(scratch / "run.json", dict(record))
