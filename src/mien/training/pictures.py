"""Seeds of a row of ``pretrain`` that looks at pictures: prepare the network, train it, write the four files.

VGG-16 sees the pictures and the copies of AUG-B as they are (thesis 4.3); ResNet-18 sees them through AUG-A, new in
every epoch, as it is the start of the branches of chapter 5.
"""

import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError, safe_open
from torch import nn

from mien.augment.aug_b import BALANCING
from mien.core import tables
from mien.core.errors import ConfigError
from mien.core.files import digest, sha256
from mien.core.provenance import code_digest
from mien.core.rng import rng_for, seed_for
from mien.models import checkpoint
from mien.models.build import n_parameters
from mien.models.cost import multiply_adds
from mien.models.extractor import OfGrey, Settings, extractor, load_trunk
from mien.models.vgg import VGG16
from mien.models.weights import load_descriptor
from mien.training import resume, run_folder
from mien.training.album import Album, PictureStills, read_album, stills_of
from mien.training.dataset import ROLES
from mien.training.machine import conditions
from mien.training.pretrain_run import FOLD, FOLD_NAME, PretrainRun
from mien.training.progress import Progress
from mien.training.run_folder import outcome
from mien.training.stills import SELECTIONS, Job, fit

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
    settings = _settings(run, album, seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike and see the same copies
    copies = rng_for(run.seed, *scope, "copies") if run.pretrain.balance else None
    data = stills_of(album, size_px=settings.size_px, rng=copies)
    record = _record(run, album, data, settings)
    folder = Path(out) / resume.run_name(FOLD, seed)
    if reason := _obstacle(run, album, data) or _no_start(run):
        log.info("%s %s seed %d: not applicable: %s", run.corpus, run.name, seed, reason)
        record |= {"init": "", "n_parameters": 0, "n_trained": 0, "multiply_adds": 0} | outcome(None, reason)
        nothing = tables.empty(tables.PREDICTIONS)
        run_folder.write(folder, record, predictions=nothing, history=[], weights={}, settings=settings)
        return
    network = extractor(settings, seed=seed_for(run.seed, *scope, "weights"))
    init = _start(run, network)
    model = OfGrey(network)
    record |= {
        "init": init,
        "n_parameters": n_parameters(network),
        "n_trained": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        "multiply_adds": multiply_adds(model, (1, 1, data.size_px, data.size_px)),
    }
    progress = fit(_job(run, data, model, scope=scope, record=record))
    weights = progress.choices["honest"].weights
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=pd.concat([_predictions(album, data, progress, selection) for selection in SELECTIONS]),
        history=progress.history,
        weights={name.removeprefix("network."): weight for name, weight in weights.items()},
        settings=settings,
    )
    log.info("%s %s seed %d: %s", run.corpus, run.name, seed, outcome(progress, "")["metrics"])


def _settings(run: PretrainRun, album: Album, seed: int) -> Settings:
    of_vgg = run.pretrain.network == "vgg16"
    return Settings(
        corpus=run.corpus,
        base=run.base,
        variant=run.name,
        fold=FOLD,
        seed=seed,
        modality=run.pretrain.modality,
        network=run.pretrain.network,
        width=run.extractor.vgg_width if of_vgg else run.width,
        size_px=run.extractor.vgg_size_px if of_vgg else run.faces.size_px,
        classes=album.classes,
        sound={},
        faces=asdict(run.faces),
    )


def _no_start(run: PretrainRun) -> str:
    """Say that the row which this one starts from was not trained; empty if it was, or if nothing is started from."""
    if run.init is None or run.init.suffix != ".safetensors":
        return ""
    try:
        with safe_open(run.init, framework="pt") as file:
            bare = not file.keys() and checkpoint.HEADER in (file.metadata() or {})
    except (SafetensorError, OSError):
        return ""  # said in full when it is loaded
    return f"{run.pretrain.init}, which it starts from, was not trained" if bare else ""


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


def _record(run: PretrainRun, album: Album, data: PictureStills, settings: Settings) -> dict[str, Any]:
    """Return what run.json says about the row and its pictures."""
    clips = {role: len(data.rows.get(role, ())) for role in (*ROLES, "apart")}
    return {
        "corpus": run.corpus,
        "base": run.base,
        "variant": run.name,
        "fold": FOLD,
        "fold_name": FOLD_NAME,
        "seed": settings.seed,
        "classes": list(album.classes),
        "n_clips": clips,
        "n_shown": len(data.shown),  # pictures of an epoch, copies included
        "n_copies": len(data.copies),
        "data_digest": album.digest,
        "config": run.config() | ({"aug_b": asdict(BALANCING)} if run.pretrain.balance else {}),
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
        augment=run.augment if run.pretrain.network == "resnet18" else None,
        seed=run.seed,
        scope=scope,
        checkpoint=resume.folder_of(run.corpus, run.name, fold=FOLD, seed=record["seed"]),
        key=digest([record, code_digest("training.pretrain"), *conditions()]),
        checkpoint_s=CHECKPOINT_S,
        follow_training=True,
        bfloat16=run.extractor.precision == "bfloat16",
    )


def _predictions(album: Album, data: PictureStills, progress: Progress, selection: str) -> pd.DataFrame:
    """Return rows of PREDICTIONS of one selection, of every clip that was judged."""
    parts = []
    for role, rows in data.rows.items():
        if role == "training" and len(rows) > MOST_LISTED:
            continue
        clips = album.clips.iloc[album.clip[rows]]
        logits = list(progress.choices[selection].logits[role]["fused"].numpy())
        columns = {"selection": selection, "role": role, "label": clips.target, "head": "fused", "logits": logits}
        parts.append(clips.assign(**columns)[tables.PREDICTIONS.columns.names])
    return pd.concat(parts)
