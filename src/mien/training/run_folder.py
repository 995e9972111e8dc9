"""What a training leaves behind: run.json, predictions.parquet, history.csv, model.safetensors, and further tables.

No file holds a time: the same seed gives the same bytes. A run for which something is missing is recorded as "not
applicable", with the reason, and is no error.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from mien.errors import ConfigError
from mien.io import tables
from mien.io.files import atomic_folder, sha256, write_json
from mien.io.tables import Schema
from mien.models import checkpoint
from mien.models.mrpn import Network, load_backbone, n_parameters
from mien.training.clips import ClipDataset
from mien.training.engine import Progress

log = logging.getLogger(__name__)


def describe_fold(
    dataset: ClipDataset,
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
    names = dataset.folds.name[dataset.folds.fold == fold]
    return {
        "corpus": dataset.corpus,
        "variant": variant,
        "fold": fold,
        "fold_name": names.iloc[0],
        "seed": seed,
        "classes": list(dataset.classes),
        "n_parameters": n_parameters(model),
        "n_clips": {role: len(clips) for role, clips in roles.items()},
        "data_digest": dataset.digest,
        "config": dict(config),
    }


def find_reason(checks: Iterable[tuple[bool, str]]) -> str:
    """Return the text of the first check that is true, why a run is not applicable; empty if it is."""
    return next((reason for wrong, reason in checks if wrong), "")


def check_clips(dataset: ClipDataset, roles: Mapping[str, pd.DataFrame]) -> Iterable[tuple[bool, str]]:
    """Yield what keeps a network of the modalities of `dataset` from being trained on the clips of `roles`."""
    names = list(dataset.media)
    for modality, media in dataset.media.items():
        yield not media, f"{dataset.corpus} has no usable {modality}"
    n_training = len(roles["training"])
    yield n_training < 2, f"the training people have {n_training} clips with {' and '.join(names)}"
    for role, clips in roles.items():
        yield clips.empty, f"the {role} people have no clip with {' or '.join(names)}"


def check_init(init: Mapping[str, str], files: Mapping[str, Path]) -> Iterable[tuple[bool, str]]:
    """Yield whether a row of pretrain that a branch starts from was not trained."""
    for modality, path in sorted(files.items()):
        yield checkpoint.is_bare(path), f"{init[modality]}, which its {modality} branch starts from, was not trained"


def find_init(where: str, init: Mapping[str, str], given: Iterable[str]) -> dict[str, Path]:
    """Return modality -> file of pretrained weights; a file that params.yaml names itself need not be given.

    Parameters
    ----------
    where : str
        The row of params.yaml that `init` is of, such as variants.N2.
    init : mapping
        modality -> row of pretrain, or file.
    given : iterable of str
        Texts MODALITY=FILE.

    Raises
    ------
    ConfigError
        Weights are given that are not asked for, or the other way round.
    """
    files = {modality: Path(name) for modality, name in init.items()}
    for text in given:
        modality, _, path = text.partition("=")
        if modality not in init or not path:
            raise ConfigError(
                f"--init {text}: {where}.init is {dict(init) or 'random'}; give MODALITY=FILE for these modalities"
            )
        files[modality] = Path(path)
    for modality, path in files.items():
        if not path.is_file():
            raise ConfigError(
                f"{where}.init.{modality}: {path} is no file; train that row of pretrain first and give its"
                f" model with --init {modality}=FILE, or leave {modality} out of init for random weights"
            )
    return files


def load_init(model: Network, files: Mapping[str, Path]) -> dict[str, str]:
    """Load the trunks of `model` that have a file; return modality -> digest of its file.

    Raises
    ------
    ModelError
        A file is missing, damaged or holds another trunk.
    """
    for modality, path in sorted(files.items()):
        load_backbone(model.branches[modality].trunk, path, of=f"{modality} branch", where="variants.*.init")
    return {modality: sha256(path) for modality, path in files.items()}


def list_predictions(
    progress: Progress, samples: Mapping[str, pd.DataFrame], media: Mapping[str, Mapping[str, Any]] | None = None
) -> pd.DataFrame:
    """Return PREDICTIONS of all selections.

    Parameters
    ----------
    progress : Progress
        Whose choices have logits of these roles.
    samples : mapping
        role -> clip, actor and label of its samples, in the order of their logits.
    media : mapping, optional
        Head -> the clips that it can say something about; others have all.
    """
    rows = [
        part.assign(selection=selection, role=role, head=head, logits=list(logits.numpy()))[
            part["clip"].isin(media[head]) if media and head in media else slice(None)
        ]
        for selection, choice in sorted(progress.choices.items())
        for role, part in samples.items()
        for head, logits in choice.logits[role].items()
    ]
    return pd.concat(rows)[tables.PREDICTIONS.columns.names]


def write(
    folder: Path,
    record: Mapping[str, Any],
    settings: Any,
    *,
    reason: str = "",
    progress: Progress | None = None,
    predictions: pd.DataFrame | None = None,
    weights: Mapping[str, Tensor] | None = None,
    further: Mapping[str, tuple[pd.DataFrame | None, Schema]] | None = None,
) -> None:
    """Write a run folder, whole or not at all.

    Parameters
    ----------
    record : mapping
        What run.json says before the course of the training.
    settings : dataclass
        The header of the model file.
    reason : str
        Why the run is not applicable; tables then have no rows, and the model no weights.
    progress, predictions, weights
        Of a run that was trained.
    further : mapping, optional
        File name -> another table (None: without rows) and its columns.
    """
    progress = progress or Progress()
    record = dict(record) | {
        "status": "not applicable" if reason else "trained",
        "reason": reason,
        "epochs": len(progress.history),
        "best_epoch": {selection: choice.epoch for selection, choice in progress.choices.items()},
        "metrics": {selection: choice.metrics for selection, choice in progress.choices.items()},
    }
    written = {"predictions.parquet": (predictions, tables.PREDICTIONS)} | dict(further or {})
    with atomic_folder(folder) as scratch:
        for name, (rows, schema) in written.items():
            tables.write(scratch / name, tables.empty(schema) if rows is None else rows, schema)
        followed = any(tables.TRAIN_ACCURACY in row for row in progress.history)
        columns = [*tables.HISTORY, *([tables.TRAIN_ACCURACY] if followed else [])]
        history = pd.DataFrame(progress.history, columns=columns)
        history.to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        checkpoint.save(scratch / "model.safetensors", weights or {}, settings)
        write_json(scratch / "run.json", record)
    said = f"not applicable: {reason}" if reason else record["metrics"]
    log.info("%s %s fold %d seed %d: %s", *(record[key] for key in ("corpus", "variant", "fold", "seed")), said)
