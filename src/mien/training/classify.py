"""Command `train_classifier`: a network of chapter 4 on one pair of corpora, with several seeds.

Below the output folder, every seed gets a folder fold0-seed<s>; it is trained on split s and has

predictions.parquet  table PREDICTIONS: logits for both selections of all samples with the features that it needs
history.csv          a row per epoch; losses are mean cross-entropies per sample
model.safetensors    weights and scaling of the honest epoch
run.json             settings, sizes, how many samples lack the features, chosen epochs and their metrics

The rate is fixed. Off-angle cameras (role aside) and the training samples themselves are evaluated once, by the chosen
weights, and have no part in the choice.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien.classical.samples import Samples, has_features, pictures, read_samples, vectors
from mien.config import schema
from mien.errors import ConfigError, TableError
from mien.models import checkpoint
from mien.models.checkpoint import Scaled
from mien.models.mrpn import n_parameters
from mien.training import engine, run_folder
from mien.training.images import FOLD, ImageDataset, ImageTask
from mien.training.run_folder import RunSpec

ROLES = ("training", "validation", "test", "aside")
HALF_RANGE = 127.5  # grey levels: pictures are scaled to -1..1


def train_classifier(
    *,
    classifier: str,
    samples: Path,
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a small network on pictures or geometry; a run that was killed goes on from its checkpoints.

    Parameters
    ----------
    classifier : str
        Row of classifiers in params.yaml, a network.
    seeds : list of int
        Trainings, on split S each.
    out : Path
        results/training/PAIR/CLASSIFIER.
    data : Path
        Folder with faces/.

    Raises
    ------
    ConfigError : the row of classifiers is no network.
    """
    engine.prepare(jobs)
    params = schema.load(config)
    row = schema.section(schema.ClassifierConfig, params, "classifiers", classifier)
    if row.model not in schema.NETWORKS:
        raise ConfigError(f"params.yaml: classifiers.{classifier}: {row.model} has no epochs; use fit_classical")
    kind = "image" if row.features == "image" else "vector"
    renamed = {  # as run.json names them
        "classifier": f"classifiers.{classifier}",
        "classify.epochs": f"classify.epochs_{kind}",
        "classify.batch": f"classify.batch_{kind}",
    }
    changes = ["augment"] if kind == "image" else []
    settings = run_folder.read_settings(params, "cross", "classify.learning_rate", "seed", *changes, **renamed)
    run = RunSpec(corpus=settings.cross.name, name=classifier, settings=settings, out=out, init={})
    table = read_samples(samples)
    if table.info["corpus"] != run.corpus:
        raise TableError(f"the samples are of {table.info['corpus']}, section cross asks for {run.corpus}")
    inputs = pictures(table.table, data, row.size_px) if kind == "image" else vectors(table.table, row.features)
    run_folder.train_runs(run, lambda one: train_seed(one, table, inputs), folds=[FOLD], seeds=seeds)


def train_seed(run: RunSpec, samples: Samples, inputs: np.ndarray) -> None:
    """Train with one seed on the split of the same number and write its folder.

    inputs : a row per sample, (N, D) float64 or (N, size_px, size_px) uint8.

    Raises
    ------
    TableError : the split does not exist.
    ModelError : the pictures are too small for the network, or the loss is no longer a number.
    """
    row, how = run.settings.classifier, run.settings.classify
    roles = samples.roles(run.seed).to_numpy()
    present = has_features(samples.table, row.features)
    rows = {role: np.flatnonzero((roles == role) & present) for role in ROLES}
    card = run.card(
        "classifier",
        model=row.model,
        features=row.features,
        size_px=row.size_px,
        classes=tuple(samples.info["classes"]),
    )
    draws = run.draws("classifier", run.corpus, run.seed)  # without the name: a row and its unscaled copy start alike
    network = checkpoint.network(card, seed=draws.number("weights"))
    record = run.record(
        samples.title,
        card.classes,
        n_parameters=n_parameters(network),
        n_clips={role: len(rows[role]) for role in ROLES},
        n_missing={role: int(((roles == role) & ~present).sum()) for role in ROLES},
        data_digest=samples.digest,
    )
    if reason := run_folder.find_reason(_check(run, samples, rows)):
        run_folder.write(run, record, card, reason=reason)
        return
    data = ImageDataset(
        inputs=inputs,
        label=samples.table.label.to_numpy(np.int64),
        rows={role: chosen for role, chosen in rows.items() if len(chosen)},
    )
    task = ImageTask(data=data, batch=how.batch, augment=getattr(run.settings, "augment", None), draws=draws)
    spec = run.spec(
        record, code="training.classify:train_classifier", learning_rate=how.learning_rate, epochs=how.epochs
    )
    model = scaled(run, network, inputs[rows["training"]])
    progress = engine.fit(model, task, spec)
    task.evaluate_choices(model, progress)
    table = samples.table.assign(actor=samples.table.person)
    listed = {role: table.iloc[own] for role, own in data.rows.items()}
    run_folder.write(run, record, card, progress=progress, samples=listed)


def scaled(run: RunSpec, network: nn.Module, training: np.ndarray) -> Scaled:
    """Put the scaling of its inputs before a network; what is fitted is fitted to the training samples alone."""
    mean, deviation = np.zeros(()), np.ones(())
    if run.settings.classifier.features == "image":
        mean, deviation = mean + HALF_RANGE, deviation * HALF_RANGE
    elif run.settings.classifier.standardise:
        mean, deviation = training.mean(axis=0), training.std(axis=0)
        # A number that never changes says nothing, and its deviation is zero up to rounding.
        deviation = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    return Scaled(network, mean=torch.tensor(mean).float(), deviation=torch.tensor(deviation).float())


def _check(run: RunSpec, samples: Samples, rows: dict[str, np.ndarray]) -> Iterable[tuple[bool, str]]:
    """Yield what keeps the classifier from being trained on these samples."""
    features = run.settings.classifier.features.replace("image", "a face")
    yield not any(map(len, rows.values())), f"no sample of {run.corpus} has {features}"
    n_training = len(rows["training"])
    found = "only one" if n_training else "no"
    yield n_training < 2, f"the training people have {found} sample with {features}, two are needed"
    there = set(samples.table.label.to_numpy()[rows["training"]])
    absent = [name for k, name in enumerate(samples.info["classes"]) if k not in there]
    yield bool(absent), f"no training sample of {', '.join(absent)} has {features}"
    for role in ("validation", "test"):
        yield not len(rows[role]), f"the {role} people have no sample with {features}"
