"""Command `train_classifier`: a network of chapter 4 on one pair of corpora, with several seeds.

Below the output folder, every seed gets a folder fold0-seed<s>; it is trained on split s and has

predictions.parquet  table PREDICTIONS: logits for both selections of all samples with the features that it needs
history.csv          a row per epoch; losses are mean cross-entropies per sample
model.safetensors    weights and scaling of the honest epoch
run.json             settings, sizes, how many samples lack the features, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A classifier whose features nobody has is recorded as "not
applicable", with the reason, and is no error.

Train a network on labelled vectors or still pictures at a fixed rate, and choose its epochs (see `progress`).

The loop knows the roles training, validation and test; what else is to be judged (other cameras, the training samples
themselves) is judged once, by the chosen weights, and has no part in the choice.


One seed of a classifier of chapter 4: prepare its samples, train it, write the four files.
"""

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.augment.aug_a import augment
from mien.classical.samples import Samples, has_features, pictures, vectors
from mien.config.schema import AugmentConfig, ClassifierConfig, CrossConfig
from mien.errors import ModelError, TableError
from mien.io import tables
from mien.io.files import digest
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.models.checkpoint import ClassifierSettings, Scaled, classifier
from mien.models.layout import to_device
from mien.models.mrpn import n_parameters
from mien.training import engine, run_folder
from mien.training.clips import random_batches
from mien.training.engine import Adam, Progress, Verdict, conditions, draws_of, run_epochs
from mien.training.run_folder import outcome

FOLLOWED = ("validation", "test")  # roles that are judged after every epoch
SELECTIONS = ("honest", "optimistic")
EVALUATED = 4  # batches at once where no gradients are kept
CACHED = 2**17  # input numbers at once on a CPU: with more, the first feature maps leave its cache (half the speed)
CHECKPOINT_S = 5.0  # an epoch of vectors takes milliseconds: a file for each would cost more


@dataclass(frozen=True, kw_only=True, eq=False)
class Stills:
    """N labelled samples, in memory or mapped.

    inputs : (N, D) float vectors, or uint8 pictures, (N, H, W) grey or (N, H, W, 3) RGB.
    label : (N,) int64.
    rows : role -> numbers of its samples, of which there are some; training, validation, test and any others. Every
        one of them is judged.
    """

    inputs: np.ndarray
    label: np.ndarray
    rows: dict[str, np.ndarray]

    @property
    def shown(self) -> np.ndarray:
        """Return the numbers of the samples that an epoch trains on."""
        return self.rows["training"]

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return float32 inputs, (B, D) or (B, channels, H, W) in grey levels 0..255, and labels (B,)."""
        inputs = torch.from_numpy(self.inputs[rows]).to(device)
        if inputs.dim() == 3:
            inputs = inputs.unsqueeze(1)
        elif inputs.dim() == 4:
            inputs = inputs.permute(0, 3, 1, 2)
        return inputs.float(), torch.from_numpy(self.label[rows]).to(device)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train; `scope` names its draws under `seed`."""

    model: nn.Module  # inputs as `Stills.batch` returns them -> (B, C) logits
    data: Stills
    learning_rate: float
    epochs: int
    batch: int
    augment: AugmentConfig | None  # changes of training pictures, new in every epoch; None: none
    seed: int
    scope: tuple[object, ...]
    checkpoint: Path
    key: str  # digest of all that the result depends on
    checkpoint_s: float | None = None  # least time between two checkpoints; None: CHECKPOINT_S
    bfloat16: bool = False  # compute in it on a GPU; weights stay float32
    follow_training: bool = False  # enter the accuracy of the training pass into the history


class Pass(NamedTuple):
    """Of one pass over the training samples, as the network saw them: changed, with dropout, before each step."""

    loss: float  # mean cross-entropy per sample
    accuracy: float


def fit(job: Job) -> Progress:
    """Train to the last epoch, going on from a checkpoint if there is one, and judge every role by both choices.

    Returns choices with logits of all roles, the weights, and the additional metric train_accuracy: of the chosen
    epoch, on the unchanged training samples.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    model = to_device(job.model, engine.device())
    optimizer = Adam(model.parameters(), learning_rate=job.learning_rate)
    progress = run_epochs(
        lambda epoch, progress: _run_epoch(job, epoch, progress, model, optimizer),
        {"model": model, "optimizer": optimizer},
        epochs=job.epochs,
        checkpoint=job.checkpoint,
        key=job.key,
        every_s=CHECKPOINT_S if job.checkpoint_s is None else job.checkpoint_s,
    )
    for choice in progress.choices.values():
        model.load_state_dict(choice.weights)
        verdicts = {role: evaluate(model, job, role) for role in job.data.rows if role not in choice.logits}
        choice.logits |= {role: verdict.logits for role, verdict in verdicts.items()}
        choice.metrics = choice.metrics | {"train_accuracy": verdicts["training"].accuracy}
    return progress


def _run_epoch(job: Job, epoch: int, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Train and judge once, and enter the outcome into `progress`."""
    train = train_epoch(model, job, epoch, optimizer)
    if not math.isfinite(train.loss):
        raise ModelError(f"{job.checkpoint}: the loss is {train.loss} in epoch {epoch}; lower the learning rate")
    verdicts = {role: evaluate(model, job, role) for role in FOLLOWED}
    progress.enter(
        epoch,
        verdicts,
        rate=job.learning_rate,
        train_loss=train.loss,
        train_accuracy=train.accuracy if job.follow_training else None,
        weights=model.state_dict(),
        keep=SELECTIONS,
    )
    progress.finished = epoch == job.epochs


def train_epoch(model: nn.Module, job: Job, epoch: int, optimizer: torch.optim.Optimizer) -> Pass:
    """Run one pass over the training samples."""
    model.train()
    device = next(model.parameters()).device
    rows = job.data.shown
    order = rng_for(job.seed, *job.scope, "order", epoch)
    total = torch.zeros((), dtype=torch.float64, device=device)
    n_hits = torch.zeros((), dtype=torch.int64, device=device)
    with draws_of(epoch, seed=job.seed, scope=job.scope, device=device) as generator:
        for chosen in random_batches(len(rows), size=job.batch, rng=order):
            inputs, label = job.data.batch(rows[chosen], device)
            if job.augment is not None:  # a picture is a clip of one frame
                inputs = augment(inputs.unsqueeze(1), job.augment, mode="frame", generator=generator).squeeze(1)
            logits = _logits(model, inputs, job)
            loss = functional.cross_entropy(logits, label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(label)
            n_hits += (logits.detach().argmax(1) == label).sum()
    return Pass(float(total) / len(rows), float(n_hits) / len(rows))


@torch.no_grad()
def evaluate(model: nn.Module, job: Job, role: str) -> Verdict:
    """Let the network in evaluation mode judge the samples of a role, in their order."""
    model.eval()
    device = next(model.parameters()).device
    rows, size = job.data.rows[role], EVALUATED * job.batch
    if device.type == "cpu":
        size = min(size, max(1, CACHED // job.data.inputs[0].size))
    parts = (job.data.batch(rows[start : start + size], device)[0] for start in range(0, len(rows), size))
    logits = torch.cat([_logits(model, inputs, job).cpu() for inputs in parts])
    return Verdict.of({"fused": logits}, torch.from_numpy(job.data.label[rows]))


def _logits(model: nn.Module, inputs: Tensor, job: Job) -> Tensor:
    enabled = job.bfloat16 and inputs.device.type == "cuda"
    with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=enabled):
        return model(inputs).float()


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
    folder = Path(out) / engine.run_name(FOLD, seed)
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


def _settings(run: Classifier, samples: Samples, seed: int) -> ClassifierSettings:
    return ClassifierSettings(
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
        checkpoint=engine.folder_of(run.cross.name, run.name, fold=FOLD, seed=record["seed"]),
        key=digest([record, code_digest("training.classify:run"), *conditions()]),
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


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--classifier", required=True, help="row of classifiers in params.yaml, a network")
    parser.add_argument("--samples", type=Path, required=True, help="results/samples/PAIR")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with faces/")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="S", help="trainings, on split S each")
    parser.add_argument("--out", type=Path, required=True, help="results/training/PAIR/CLASSIFIER")


def run(args) -> None:
    """Train every seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : the row of classifiers is no network.
    """
    from mien.classical.samples import read_samples
    from mien.config import schema
    from mien.errors import ConfigError
    from mien.training import engine

    engine.prepare(args.jobs)
    params = schema.load(args.config)
    classifier = schema.section(schema.ClassifierConfig, params, "classifiers", args.classifier)
    kind = "image" if classifier.features == "image" else "vector"  # only what is used: the rest reruns nothing
    setup = Classifier(
        name=args.classifier,
        classifier=classifier,
        cross=schema.section(schema.CrossConfig, params, "cross"),
        learning_rate=schema.section(float, params, "classify", "learning_rate"),
        epochs=schema.section(int, params, "classify", f"epochs_{kind}"),
        batch=schema.section(int, params, "classify", f"batch_{kind}"),
        augment=schema.section(schema.AugmentConfig, params, "augment") if kind == "image" else None,
        seed=schema.section(int, params, "seed"),
    )
    if setup.classifier.model not in schema.NETWORKS:
        raise ConfigError(
            f"params.yaml: classifiers.{args.classifier}: {setup.classifier.model} has no epochs; use fit_classical"
        )
    samples = read_samples(args.samples)
    inputs = read_inputs(setup, samples, args.data)
    log.info("device: %s, %d threads", engine.device(), args.jobs)
    for seed in args.seeds:
        train_seed(setup, samples, inputs, seed=seed, out=args.out)
    for seed in args.seeds:
        engine.remove(setup.cross.name, setup.name, fold=FOLD, seed=seed)
