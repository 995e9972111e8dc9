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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.classical.samples import Samples, has_features, pictures, read_samples, vectors
from mien.config import schema
from mien.config.schema import AugmentConfig, ClassifierConfig, CrossConfig
from mien.errors import ConfigError, TableError
from mien.io.files import digest
from mien.io.provenance import code_digest
from mien.io.randomness import seed_for
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard, Scaled
from mien.models.mrpn import n_parameters
from mien.training import engine, run_folder
from mien.training.engine import TrainSpec
from mien.training.images import FOLD, ImageDataset, ImageTask

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
    samples : Path
        results/samples/PAIR.
    seeds : list of int
        Trainings, on split S each.
    out : Path
        results/training/PAIR/CLASSIFIER.
    data : Path
        Folder with faces/.
    config : str
        params.yaml, or its sections as JSON text.
    jobs : int
        Threads.

    Raises
    ------
    ConfigError
        The row of classifiers is no network.
    """
    engine.prepare(jobs)
    run = ClassifierRun.of(classifier, schema.load(config))
    table = read_samples(samples)
    inputs = read_inputs(run, table, data)
    for seed in seeds:
        train_seed(run, table, inputs, seed=seed, out=out)
    engine.remove_checkpoints(run.cross.name, run.name, [FOLD], seeds)


@dataclass(frozen=True, kw_only=True)
class ClassifierRun:
    """What all seeds of one command share: the sections of params.yaml and the name of the row."""

    name: str
    classifier: ClassifierConfig
    cross: CrossConfig
    learning_rate: float
    epochs: int
    batch: int
    augment: AugmentConfig | None  # of pictures
    seed: int

    @classmethod
    def of(cls, name: str, params: dict[str, Any]) -> "ClassifierRun":
        """Take the sections of a row out of the parameters, only what is used: the rest reruns nothing."""
        row = schema.section(ClassifierConfig, params, "classifiers", name)
        if row.model not in schema.NETWORKS:
            raise ConfigError(f"params.yaml: classifiers.{name}: {row.model} has no epochs; use fit_classical")
        kind = "image" if row.features == "image" else "vector"
        return cls(
            name=name,
            classifier=row,
            cross=schema.section(CrossConfig, params, "cross"),
            learning_rate=schema.section(float, params, "classify", "learning_rate"),
            epochs=schema.section(int, params, "classify", f"epochs_{kind}"),
            batch=schema.section(int, params, "classify", f"batch_{kind}"),
            augment=schema.section(AugmentConfig, params, "augment") if kind == "image" else None,
            seed=schema.section(int, params, "seed"),
        )

    @property
    def of_pictures(self) -> bool:
        """Whether the inputs are pictures and not vectors."""
        return self.augment is not None

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json; which seeds others train does not matter to a run."""
        names = ("classifier", "cross", *(["augment"] if self.of_pictures else []))
        sections = {name: asdict(getattr(self, name)) for name in names}
        numbers = {name: getattr(self, name) for name in ("learning_rate", "epochs", "batch")}
        return sections | {"classify": numbers, "seed": self.seed}


def read_inputs(run: ClassifierRun, samples: Samples, results: Path) -> np.ndarray:
    """Return what the classifier looks at, a row per sample: (N, D) float64 or (N, size_px, size_px) uint8.

    Raises
    ------
    TableError
        The samples are of other corpora, or a shard is missing.
    """
    if samples.info["corpus"] != run.cross.name:
        raise TableError(f"the samples are of {samples.info['corpus']}, section cross asks for {run.cross.name}")
    if run.of_pictures:
        return pictures(samples.table, results, run.classifier.size_px)
    return vectors(samples.table, run.classifier.features)


def train_seed(run: ClassifierRun, samples: Samples, inputs: np.ndarray, *, seed: int, out: Path) -> None:
    """Train with one seed on the split of the same number and write its folder below `out`.

    Raises
    ------
    TableError
        The split does not exist.
    ModelError
        The pictures are too small for the network, or the loss is no longer a number.
    """
    roles = samples.roles(seed).to_numpy()
    present = has_features(samples.table, run.classifier.features)
    rows = {role: np.flatnonzero((roles == role) & present) for role in ROLES}
    settings = ModelCard(
        kind="classifier",
        corpus=run.cross.name,
        variant=run.name,
        fold=FOLD,
        seed=seed,
        model=run.classifier.model,
        features=run.classifier.features,
        size_px=run.classifier.size_px,
        classes=tuple(samples.info["classes"]),
    )
    scope = ("classifier", run.cross.name, seed)  # without the name: a row and its unscaled copy start alike
    start = seed_for(run.seed, *scope, "weights")
    network = checkpoint.classifier(settings.model, classes=len(settings.classes), size_px=settings.size_px, seed=start)
    record = {
        "corpus": settings.corpus,
        "variant": settings.variant,
        "fold": FOLD,
        "fold_name": samples.title,
        "seed": seed,
        "classes": list(settings.classes),
        "n_parameters": n_parameters(network),
        "n_clips": {role: len(rows[role]) for role in ROLES},
        "n_missing": {role: int(((roles == role) & ~present).sum()) for role in ROLES},
        "data_digest": samples.digest,
        "config": run.config(),
    }
    folder = Path(out) / engine.name_run(FOLD, seed)
    if reason := run_folder.find_reason(_check(run, samples, rows)):
        run_folder.write(folder, record, settings, reason=reason)
        return
    model = scaled(run, network, inputs[rows["training"]])
    task = ImageTask(
        data=ImageDataset(
            inputs=inputs,
            label=samples.table.label.to_numpy(np.int64),
            rows={role: chosen for role, chosen in rows.items() if len(chosen)},
        ),
        batch=run.batch,
        augment=run.augment,
        seed=run.seed,
        scope=scope,
    )
    spec = TrainSpec(
        learning_rate=run.learning_rate,
        epochs=run.epochs,
        checkpoint=engine.checkpoint_folder(run.cross.name, run.name, fold=FOLD, seed=seed),
        key=digest([record, code_digest("training.classify:train_classifier"), *engine.environment()]),
    )
    progress = engine.fit(model, task, spec)
    task.evaluate_choices(model, progress)
    listed = samples.table.assign(actor=samples.table.person)
    run_folder.write(
        folder,
        record,
        settings,
        progress=progress,
        predictions=run_folder.list_predictions(
            progress, {role: listed.iloc[chosen] for role, chosen in task.data.rows.items()}
        ),
        weights=progress.choices["honest"].weights,
    )


def scaled(run: ClassifierRun, network: nn.Module, training: np.ndarray) -> Scaled:
    """Put the scaling of its inputs before a network; what is fitted is fitted to the training samples alone."""
    mean, deviation = np.zeros(()), np.ones(())
    if run.of_pictures:
        mean, deviation = mean + HALF_RANGE, deviation * HALF_RANGE
    elif run.classifier.standardise:
        mean, deviation = training.mean(axis=0), training.std(axis=0)
        # A number that never changes says nothing, and its deviation is zero up to rounding.
        deviation = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    return Scaled(network, mean=torch.tensor(mean).float(), deviation=torch.tensor(deviation).float())


def _check(run: ClassifierRun, samples: Samples, rows: dict[str, np.ndarray]) -> Iterable[tuple[bool, str]]:
    """Yield what keeps the classifier from being trained on these samples."""
    features = "a face" if run.of_pictures else run.classifier.features
    yield not any(map(len, rows.values())), f"no sample of {run.cross.name} has {features}"
    n_training = len(rows["training"])
    found = "only one" if n_training else "no"
    yield n_training < 2, f"the training people have {found} sample with {features}, two are needed"
    there = set(samples.table.label.to_numpy()[rows["training"]])
    absent = [name for k, name in enumerate(samples.info["classes"]) if k not in there]
    yield bool(absent), f"no training sample of {', '.join(absent)} has {features}"
    for role in ("validation", "test"):
        yield not len(rows[role]), f"the {role} people have no sample with {features}"
