"""What a training leaves behind: run.json, predictions.parquet, history.csv, model.safetensors, and further tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from mien.core import tables
from mien.core.files import atomic_folder, write_json
from mien.core.tables import Schema
from mien.models import checkpoint
from mien.models.build import n_parameters
from mien.training.progress import Progress
from mien.training.recordings import Recordings


def record_of(
    recordings: Recordings,
    roles: Mapping[str, pd.DataFrame],
    *,
    variant: str,
    fold: int,
    seed: int,
    model: nn.Module,
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what run.json says about a fold of a corpus before it is trained.

    roles : role -> its clips.   config : the sections of params.yaml.
    """
    names = recordings.folds.name[recordings.folds.fold == fold]
    return {
        "corpus": recordings.corpus,
        "variant": variant,
        "fold": fold,
        "fold_name": names.iloc[0],
        "seed": seed,
        "classes": list(recordings.classes),
        "n_parameters": n_parameters(model),
        "n_clips": {role: len(clips) for role, clips in roles.items()},
        "data_digest": recordings.digest,
        "config": dict(config),
    }


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


def predictions_of(progress: Progress, judged: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return PREDICTIONS of all selections by a network with one head.

    judged : role -> clip, actor and label of its samples, in the order of their logits.
    """
    rows = [
        samples.assign(selection=selection, role=role, head="fused", logits=list(choice.logits[role]["fused"].numpy()))
        for selection, choice in sorted(progress.choices.items())
        for role, samples in judged.items()
    ]
    return pd.concat(rows)[tables.PREDICTIONS.columns.names]


def write(
    folder: Path,
    record: Mapping[str, Any],
    *,
    predictions: pd.DataFrame,
    history: list[dict[str, float]],
    weights: Mapping[str, Tensor],
    settings: Any,
    further: Mapping[str, tuple[pd.DataFrame, Schema]] | None = None,
) -> None:
    """Write a run folder, whole or not at all.

    settings : the dataclass of the model's header.   further : file name -> another table and its columns.
    """
    with atomic_folder(folder) as scratch:
        tables.write(scratch / "predictions.parquet", predictions, tables.PREDICTIONS)
        for name, (rows, schema) in (further or {}).items():
            tables.write(scratch / name, rows, schema)
        followed = any(tables.TRAIN_ACCURACY in row for row in history)
        columns = [*tables.HISTORY, *([tables.TRAIN_ACCURACY] if followed else [])]
        pd.DataFrame(history, columns=columns).to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        checkpoint.save_state(scratch / "model.safetensors", weights, settings)
        write_json(scratch / "run.json", dict(record))


def write_not_applicable(
    folder: Path, record: Mapping[str, Any], *, reason: str, settings: Any, further: Mapping[str, Schema] | None = None
) -> None:
    """Write the folder of a run that there is nothing to train on for: tables without rows, a model without weights.

    further : file name -> the columns of another table.
    """
    write(
        folder,
        dict(record) | outcome(None, reason),
        predictions=tables.empty(tables.PREDICTIONS),
        history=[],
        weights={},
        settings=settings,
        further={name: (tables.empty(schema), schema) for name, schema in (further or {}).items()},
    )
