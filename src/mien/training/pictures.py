"""Seeds of a row of ``pretrain`` that looks at pictures: prepare the network, train it, write the four files.

VGG-16 sees the pictures and the copies of AUG-B as they are (thesis 4.3); ResNet-18 sees them through AUG-A, new in
every epoch, as it is the start of the branches of chapter 5.
"""

import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from mien.augment.aug_b import BALANCING
from mien.core.errors import ConfigError
from mien.core.files import digest, sha256
from mien.core.provenance import code_digest
from mien.core.rng import rng_for, seed_for
from mien.models.build import n_parameters
from mien.models.cost import multiply_adds
from mien.models.extractor import OfGrey, extractor, load_trunk
from mien.models.vgg import VGG16
from mien.models.weights import load_descriptor
from mien.training import resume, run_folder
from mien.training.album import Album, PictureStills, read_album, stills_of
from mien.training.dataset import ROLES
from mien.training.machine import conditions
from mien.training.pretrain_run import FOLD, UNTRAINED, PretrainRun
from mien.training.run_folder import outcome, predictions_of
from mien.training.stills import Job, fit

log = logging.getLogger(__name__)

CHECKPOINT_S = 60.0  # least time between two checkpoints: one of VGG-16 has 2.7e9 bytes
MOST_LISTED = 50_000  # training pictures whose predictions are written; with more, only their accuracy is


def train_row(run: PretrainRun, *, results: Path, seeds: list[int], out: Path) -> None:
    """Train every seed of a row and write its folder below `out`; a killed seed goes on from its checkpoint.

    results : folder with corpora/ and faces/.

    Raises
    ------
    ModelError : first weights do not fit, pictures are too small, or the loss is no longer a number.
    TableError : a stage has not run, or its files are damaged.
    CorpusError : people are asked for and the corpus does not name them.
    ConfigError : several processes are started by torchrun.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"pretrain.{run.name} looks at pictures: one process trains it; run it without torchrun")
    album = read_album(run, results)
    for seed in seeds:
        train_seed(run, album, seed=seed, out=out)


def train_seed(run: PretrainRun, album: Album, *, seed: int, out: Path) -> None:
    """Train with one seed and write its folder below `out`."""
    settings = run.settings(album.classes, seed=seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike and see the same copies
    copies = rng_for(run.seed, *scope, "copies") if run.pretrain.balance else None
    data = stills_of(album, size_px=settings.size_px, rng=copies)
    record = run.record(album.classes, seed=seed) | _counts(album, data)
    if run.pretrain.balance:
        record["config"]["aug_b"] = asdict(BALANCING)
    folder = Path(out) / resume.run_name(FOLD, seed)
    if reason := _obstacle(run, album, data) or run.no_start():
        log.info("%s %s seed %d: not applicable: %s", run.corpus, run.name, seed, reason)
        run_folder.write_not_applicable(folder, record | UNTRAINED, reason=reason, settings=settings)
        return
    network = extractor(settings, seed=seed_for(run.seed, *scope, "weights"), dropout=run.dropout)
    init = _start(run, network)
    model = OfGrey(network)
    record |= {
        "init": init,
        "n_parameters": n_parameters(network),
        "n_trained": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        "multiply_adds": multiply_adds(model, (1, 1, data.size_px, data.size_px), computed=True),
    }
    progress = fit(_job(run, data, model, scope=scope, record=record))
    weights = progress.choices["honest"].weights
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=predictions_of(progress, _judged(album, data)),
        history=progress.history,
        weights={name.removeprefix("network."): weight for name, weight in weights.items()},
        settings=settings,
    )
    log.info("%s %s seed %d: %s", run.corpus, run.name, seed, outcome(progress, "")["metrics"])


def _start(run: PretrainRun, network: nn.Module) -> str:
    """Load first weights into `network` and freeze what is not trained; return the SHA-256 of the file, or empty.

    The last layer starts anew: equally many classes need not be the same ones.
    """
    found = ""
    if run.init is not None and isinstance(network, VGG16):
        found = load_descriptor(network, run.init, last_layer=False)
    elif run.init is not None:
        load_trunk(network, run.init)
        found = sha256(run.init)
    if run.pretrain.trained == "dense":
        if not isinstance(network, VGG16):
            raise ConfigError(f"params.yaml: pretrain.{run.name}: only vgg16 has dense layers to train alone")
        network.freeze_convolutions()
    return found


def _counts(album: Album, data: PictureStills) -> dict[str, Any]:
    """Return what run.json says about the pictures."""
    return {
        "n_clips": {role: len(data.rows.get(role, ())) for role in (*ROLES, "apart")},
        "n_shown": len(data.shown),  # pictures of an epoch, copies included
        "n_copies": len(data.copies),
        "data_digest": album.digest,
    }


def _obstacle(run: PretrainRun, album: Album, data: PictureStills) -> str:
    """Say why the row cannot be trained on these pictures; empty if it can."""
    if not len(album.clips):
        return f"{run.base} has no usable video"
    if len(data.pictures) < 2:
        return f"{run.base} has {len(data.pictures)} pictures to train on"
    for role in ROLES[1:]:
        if role not in data.rows:
            return f"{run.base} has no picture for the role {role}"
    if len(set(data.label[data.pictures])) < 2:
        return f"the training pictures of {run.base} are of one class"
    return ""


def _job(
    run: PretrainRun, data: PictureStills, model: OfGrey, *, scope: tuple[object, ...], record: dict[str, Any]
) -> Job:
    return Job(
        model=model,
        data=data,
        learning_rate=run.pretrain.learning_rate,
        epochs=run.pretrain.epochs,
        batch=run.pretrain.batch,
        augment=run.augment,
        seed=run.seed,
        scope=scope,
        checkpoint=resume.folder_of(run.corpus, run.name, fold=FOLD, seed=record["seed"]),
        key=digest([record, code_digest("training.pictures"), *conditions()]),
        checkpoint_s=CHECKPOINT_S,
        follow_training=True,
        bfloat16=run.precision == "bfloat16",
    )


def _judged(album: Album, data: PictureStills) -> dict[str, pd.DataFrame]:
    """Return role -> the clips whose predictions are written; of a large training set there are too many."""

    def clips(rows: np.ndarray) -> pd.DataFrame:
        chosen = album.clips.iloc[album.clip[rows]]
        return chosen[["clip", "actor"]].assign(label=chosen.target)

    few = {role: rows for role, rows in data.rows.items() if role != "training" or len(rows) <= MOST_LISTED}
    return {role: clips(rows) for role, rows in few.items()}
