"""One seed of a classifier of chapter 4: prepare its samples, train it, write the four files."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from mien.core import tables
from mien.core.config import AugmentConfig, ClassifierConfig, CrossConfig
from mien.core.errors import TableError
from mien.core.files import digest
from mien.core.provenance import code_digest
from mien.core.rng import seed_for
from mien.models.build import n_parameters
from mien.models.classifier import Scaled, Settings, classifier
from mien.samples.read import Samples, has_features, pictures, vectors
from mien.training import resume, run_folder
from mien.training.machine import conditions
from mien.training.progress import Progress
from mien.training.run_folder import outcome
from mien.training.stills import SELECTIONS, Job, Stills, fit

log = logging.getLogger(__name__)

FOLD = 0  # there is one pair of corpora to learn on and to test on; the seed numbers the split of the former
ROLES = ("training", "validation", "test", "aside")
HALF_RANGE = 127.5  # grey levels: pictures are scaled to -1..1


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """What all seeds of one command share: the sections of params.yaml and the name of the row."""

    name: str
    classifier: ClassifierConfig
    cross: CrossConfig
    learning_rate: float
    epochs: int
    batch: int
    augment: AugmentConfig | None  # of pictures
    seed: int

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


def read_inputs(run: Classifier, samples: Samples, results: Path) -> np.ndarray:
    """Return what the classifier looks at, a row per sample: (N, D) float64 or (N, size_px, size_px) uint8.

    Raises
    ------
    TableError : the samples are of other corpora, or a shard is missing.
    """
    if samples.info["corpus"] != run.cross.name:
        raise TableError(f"the samples are of {samples.info['corpus']}, section cross asks for {run.cross.name}")
    if run.of_pictures:
        return pictures(samples.table, results, run.classifier.size_px)
    return vectors(samples.table, run.classifier.features)


def train_seed(run: Classifier, samples: Samples, inputs: np.ndarray, *, seed: int, out: Path) -> None:
    """Train with one seed on the split of the same number and write its folder below `out`.

    Raises
    ------
    TableError : the split does not exist.
    ModelError : the pictures are too small for the network, or the loss is no longer a number.
    """
    roles = samples.roles(seed).to_numpy()
    present = has_features(samples.table, run.classifier.features)
    rows = {role: np.flatnonzero((roles == role) & present) for role in ROLES}
    settings = _settings(run, samples, seed)
    scope = ("classifier", run.cross.name, seed)  # without the name: a row and its unscaled twin start alike
    first = seed_for(run.seed, *scope, "weights")
    network = classifier(settings.model, classes=len(settings.classes), size_px=settings.size_px, seed=first)
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
    folder = Path(out) / resume.run_name(FOLD, seed)
    if reason := _obstacle(run, rows, _absent(samples, rows["training"])):
        log.info("%s %s seed %d: not applicable: %s", run.cross.name, run.name, seed, reason)
        record |= outcome(None, reason)
        nothing = tables.empty(tables.PREDICTIONS)
        run_folder.write(folder, record, predictions=nothing, history=[], weights={}, settings=settings)
        return
    job = _job(run, samples, inputs, network, rows=rows, scope=scope, record=record)
    progress = fit(job)
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=pd.concat([_predictions(samples, job.data, progress, selection) for selection in SELECTIONS]),
        history=progress.history,
        weights=progress.choices["honest"].weights,
        settings=settings,
    )
    log.info("%s %s seed %d: %s", run.cross.name, run.name, seed, outcome(progress, "")["metrics"])


def _settings(run: Classifier, samples: Samples, seed: int) -> Settings:
    return Settings(
        corpus=run.cross.name,
        variant=run.name,
        fold=FOLD,
        seed=seed,
        model=run.classifier.model,
        features=run.classifier.features,
        size_px=run.classifier.size_px,
        classes=tuple(samples.info["classes"]),
    )


def _job(
    run: Classifier,
    samples: Samples,
    inputs: np.ndarray,
    network: nn.Module,
    *,
    rows: dict[str, np.ndarray],
    scope: tuple[object, ...],
    record: dict[str, Any],
) -> Job:
    label = samples.table.label.to_numpy(np.int64)
    return Job(
        model=scaled(run, network, inputs[rows["training"]]),
        data=Stills(inputs=inputs, label=label, rows={role: chosen for role, chosen in rows.items() if len(chosen)}),
        learning_rate=run.learning_rate,
        epochs=run.epochs,
        batch=run.batch,
        augment=run.augment,
        seed=run.seed,
        scope=scope,
        checkpoint=resume.folder_of(run.cross.name, run.name, fold=FOLD, seed=record["seed"]),
        key=digest([record, code_digest("training.train_classifier"), *conditions()]),
    )


def scaled(run: Classifier, network: nn.Module, training: np.ndarray) -> Scaled:
    """Put the scaling of its inputs before a network; what is fitted is fitted to the training samples alone."""
    mean, deviation = np.zeros(()), np.ones(())
    if run.of_pictures:
        mean, deviation = mean + HALF_RANGE, deviation * HALF_RANGE
    elif run.classifier.standardise:
        mean, deviation = training.mean(axis=0), training.std(axis=0)
        # A number that never changes says nothing, and its deviation is zero up to rounding.
        deviation = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    return Scaled(network, mean=torch.tensor(mean).float(), deviation=torch.tensor(deviation).float())


def _absent(samples: Samples, rows: np.ndarray) -> list[str]:
    """Return the classes of which there is no sample among `rows`."""
    there = set(samples.table.label.to_numpy()[rows])
    return [name for k, name in enumerate(samples.info["classes"]) if k not in there]


def _obstacle(run: Classifier, rows: dict[str, np.ndarray], absent: list[str]) -> str:
    """Say why the classifier cannot be trained on these samples; empty if it can."""
    features = "a face" if run.of_pictures else run.classifier.features
    if not any(map(len, rows.values())):
        return f"no sample of {run.cross.name} has {features}"
    if (n_training := len(rows["training"])) < 2:
        return f"the training people have {'only one' if n_training else 'no'} sample with {features}, two are needed"
    if absent:
        return f"no training sample of {', '.join(absent)} has {features}"
    for role in ("validation", "test"):
        if not len(rows[role]):
            return f"the {role} people have no sample with {features}"
    return ""


def _predictions(samples: Samples, data: Stills, progress: Progress, selection: str) -> pd.DataFrame:
    """Return rows of PREDICTIONS of one selection, of every sample that was judged."""
    parts = []
    for role, rows in data.rows.items():
        part = samples.table.iloc[rows]
        logits = list(progress.choices[selection].logits[role]["fused"].numpy())
        columns = {"selection": selection, "role": role, "actor": part.person, "head": "fused", "logits": logits}
        parts.append(part.assign(**columns)[tables.PREDICTIONS.columns.names])
    return pd.concat(parts)
