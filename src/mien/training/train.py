"""Command `train`: one variant on folds of a corpus.

Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

predictions.parquet  table PREDICTIONS: logits of every head, for both selections, of validation and test clips
history.csv          a row per epoch; losses are the fused head's mean cross-entropy per clip
model.safetensors    weights of the honest epoch (of the optimistic one under the protocol of the thesis)
run.json             settings, sizes, chosen epochs and their metrics

The learning rate and the end follow the validation people. Under the protocol of the thesis, validation people are
trained on too, everything follows the test people, and there is no honest epoch.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.augment.aug_a import MODES, augment
from mien.augment.slicing import SEGMENTS
from mien.config import schema
from mien.config.schema import AugmentConfig, FacesConfig, SoundConfig, TrainConfig, VariantConfig
from mien.errors import ModelError
from mien.io.files import digest, read_json, sha256
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.models import checkpoint
from mien.models.mrpn import Network, first_mismatch
from mien.training import clips, engine, run_folder
from mien.training.clips import Batch, Change, ClipDataset, Sampling, network_inputs
from mien.training.engine import EvalResult, Pass, TrainSpec
from mien.training.run_folder import check_clips, check_init

log = logging.getLogger(__name__)

FLOOR = 0.1  # G-Blend: least overfitting, in units of the loss
LEAST = 0.01  # G-Blend: least share of a head in the sum of all weights


def train(
    *,
    corpus: str,
    variant: str,
    folds: list[int],
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    init: list[str] | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a variant on folds of a corpus; a run that was killed goes on from its checkpoints.

    Parameters
    ----------
    corpus : str
        Name of the corpus.
    variant : str
        Row of variants in params.yaml.
    folds : list of int
        Folds to test on, from 0.
    seeds : list of int
        Repetitions.
    out : Path
        results/training/CORPUS/VARIANT.
    data : Path
        Folder with corpora/, faces/ and sound/.
    init : list of str
        MODALITY=FILE, model files of the rows in variants.VARIANT.init.
    config : str
        params.yaml, or its sections as JSON text.
    jobs : int
        Threads.

    Raises
    ------
    ConfigError
        Pretrained weights are given that are not asked for, or the other way round.
    """
    engine.prepare(jobs)
    run = Run.of(corpus, variant, schema.load(config), init=init or [])
    dataset = clips.read(data, corpus, run.variant.modalities, faces=run.faces, sound=run.sound)
    for fold in folds:
        for seed in seeds:
            train_fold(run, dataset, fold=fold, seed=seed, out=out)
    engine.remove_checkpoints(corpus, variant, folds, seeds)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What all folds and seeds of one command share: the sections of params.yaml and the names."""

    corpus: str
    name: str  # of the variant
    variant: VariantConfig
    train: TrainConfig
    augment: AugmentConfig
    sound: SoundConfig
    faces: FacesConfig
    seed: int
    init: Mapping[str, Path]  # modality -> file with the pretrained weights of its trunk; random where absent

    @classmethod
    def of(
        cls, corpus: str, name: str, params: Mapping[str, Any], *, init: Iterable[str] | Mapping[str, Path]
    ) -> "Run":
        """Take the sections of a row of variants out of the parameters; `init`: files, or texts MODALITY=FILE."""
        variant = schema.section(VariantConfig, params, "variants", name)
        named = isinstance(init, Mapping)
        return cls(
            corpus=corpus,
            name=name,
            variant=variant,
            init=init if named else run_folder.find_init(f"variants.{name}", variant.init, init),
            train=schema.section(TrainConfig, params, "train"),
            augment=schema.section(AugmentConfig, params, "augment"),
            sound=schema.section(SoundConfig, params, "sound"),
            faces=schema.section(FacesConfig, params, "faces"),
            seed=schema.section(int, params, "seed"),
        )

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json; which seeds others train does not matter to a run."""
        sections = {name: asdict(getattr(self, name)) for name in ("variant", "train", "augment", "sound", "faces")}
        return sections | {"seed": self.seed}


@dataclass(frozen=True, kw_only=True)
class ClipTask:
    """A variant is trained on clips; `scope` names its draws.

    roles : role -> its clips, of which training ones are complete.   loss_weights : of heads; 1 where absent.
    """

    run: Run
    dataset: ClipDataset
    roles: Mapping[str, pd.DataFrame]
    scope: tuple[object, ...]
    loss_weights: Mapping[str, float]

    @property
    def sampling(self) -> Sampling:
        """Return how clips are looked at."""
        run = self.run
        return Sampling.of(run.variant.augmentation, frames=run.train.frames, share=run.augment.slice, sound=run.sound)

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Train one epoch; the loss is that of the fused head."""
        run, device = self.run, engine.device()
        order = rng_for(run.seed, *self.scope, "order", epoch)
        batches = clips.training_batches(
            self.dataset, self.roles["training"], self.sampling, size=run.train.batch, rng=order
        )
        dropping = rng_for(run.seed, *self.scope, "modalities", epoch)
        batches = clips.drop_modalities(batches, run.variant.modality_dropout, rng=dropping)
        mode = MODES[run.variant.augmentation]
        with engine.seeded_epoch(epoch, seed=run.seed, scope=self.scope, device=device) as generator:
            loss = train_epoch(
                model,
                clips.on_device(device, batches),
                optimizer,
                augment=lambda frames: augment(frames, run.augment, mode=mode, generator=generator),
                precision=run.train.precision,
                target=run.variant.target,
                weights=self.loss_weights,
            )
        return Pass(loss)

    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Evaluate the clips of a role."""
        size = engine.EVALUATED * self.run.train.batch
        batches = clips.evaluation_batches(self.dataset, self.roles[role], self.sampling, size=size)
        logits, label = predict(model, clips.on_device(engine.device(), batches), precision=self.run.train.precision)
        if self.run.variant.target == "intensity":
            return EvalResult.of_levels(logits, label, n_levels=len(self.dataset.classes))
        return EvalResult.of(logits, label)


def train_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    augment: Change,
    precision: str = "float32",
    target: str = "label",
    weights: Mapping[str, float] | None = None,
) -> float:
    """Run one pass over `batches` of complete clips, minimising the sum of all heads' losses (eq. 28).

    A side head's loss is the mean over the clips that have its modality: all, unless modalities are dropped.

    weights : head -> factor of its loss; 1 where absent.

    Returns the mean loss per clip of the fused head, which is comparable between networks.
    """
    model.train()
    total, n_clips = 0.0, 0
    for batch in batches:
        inputs = network_inputs(batch, augment=augment)
        with engine.autocast(batch.label.device, precision):
            scores = model(inputs, batch.present)
        losses = {
            head: _mean(LOSSES[target](score.float(), batch.label), batch.present.get(head))
            for head, score in scores.items()
        }
        optimizer.zero_grad(set_to_none=True)
        sum((weights or {}).get(head, 1.0) * loss for head, loss in losses.items()).backward()
        optimizer.step()
        total += losses["fused"].detach() * len(batch)
        n_clips += len(batch)
    return float(total) / n_clips


def cross_entropies(score: Tensor, label: Tensor) -> Tensor:
    """Return the cross-entropy of every clip, (B, C) and (B,) -> (B,)."""
    return functional.cross_entropy(score, label, reduction="none")


def squared_distances(score: Tensor, level: Tensor) -> Tensor:
    """Return the squared distance of the one output from the level of every clip, (B, 1) and (B,) -> (B,)."""
    return (score.squeeze(1) - level).square()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"label": cross_entropies, "intensity": squared_distances}


def _mean(losses: Tensor, present: Tensor | None) -> Tensor:
    return losses.mean() if present is None or bool(present.all()) else losses[present].mean()


@torch.no_grad()
def predict(
    model: nn.Module, batches: Iterable[Batch], *, precision: str = "float32"
) -> tuple[dict[str, Tensor], Tensor]:
    """Return head -> logits (N, C) and the labels (N,), on the CPU, of a network in evaluation mode.

    batches : of which each clip has at least one modality.
    """
    model.eval()
    scores, labels = [], []
    for batch in batches:
        with engine.autocast(batch.label.device, precision):
            out = model(network_inputs(batch), batch.present)
        scores.append({head: score.float().cpu() for head, score in out.items()})
        labels.append(batch.label.cpu())
    return {head: torch.cat([score[head] for score in scores]) for head in scores[0]}, torch.cat(labels)


def train_fold(run: Run, dataset: ClipDataset, *, fold: int, seed: int, out: Path) -> None:
    """Train one fold with one seed and write its folder below `out`.

    Raises
    ------
    ModelError
        A frozen branch, pretrained weights or a history are missing or do not fit.
    TableError
        The fold does not exist.
    """
    dataset = clips.select_target(dataset, run.variant.target)
    roles = _divide(run, dataset, fold)
    settings = make_settings(run, dataset, fold, seed)
    scope = ("training", run.corpus, fold, seed)
    model = checkpoint.network(settings, seed=seed_for(run.seed, *scope, "weights"))
    record = run_folder.describe_fold(
        dataset, roles, variant=run.name, fold=fold, seed=seed, model=model, config=run.config()
    )
    if run.variant.target == "intensity":
        record |= clips.describe_levels(dataset, roles["training"])
    name = engine.name_run(fold, seed)
    folder = Path(out) / name
    histories = {head: Path(out).parent / other / name for head, other in run.variant.blend.items()}
    checks = (check_clips(dataset, roles), check_init(run.variant.init, run.init), _check_blend(run, histories))
    if reason := run_folder.find_reason(check for group in checks for check in group):
        run_folder.write(folder, record, settings, reason=reason)
        return
    given = _load_weights(run, model, fold=fold, seed=seed, out=out)
    courses = read_learning_stats(histories, corpus=run.corpus, fold=fold, seed=seed)
    weights = weigh_losses(courses) if courses else {}
    if courses:
        record |= {"loss_weights": weights, "blend": {head: asdict(course) for head, course in courses.items()}}
    task = ClipTask(run=run, dataset=dataset, roles=roles, scope=scope, loss_weights=weights)
    kept = "optimistic" if run.train.protocol == "thesis" else "honest"
    spec = TrainSpec(
        learning_rate=run.train.learning_rate,
        weight_decay=run.train.weight_decay,
        epochs=run.train.epochs,
        schedule="plateau",
        patience=run.train.patience,
        stop=run.train.stop,
        roles=tuple(role for role in ("validation", "test") if role in roles),
        keep=(kept,),
        checkpoint=engine.checkpoint_folder(run.corpus, run.name, fold=fold, seed=seed),
        key=digest([record, given, code_digest("training.train:train"), *engine.environment()]),
    )
    progress = engine.fit(model, task, spec)
    run_folder.write(
        folder,
        record,
        settings,
        progress=progress,
        predictions=run_folder.list_predictions(progress, {role: roles[role] for role in spec.roles}, dataset.media),
        weights=progress.choices[kept].weights,
    )


def _divide(run: Run, dataset: ClipDataset, fold: int) -> dict[str, pd.DataFrame]:
    """Return the clips of the roles that the protocol knows; training clips have every modality."""
    roles = clips.split(dataset, fold)
    if run.train.protocol == "thesis":
        both = pd.concat([roles["training"], roles["validation"]]).sort_values("clip")
        roles = {"training": both, "test": roles["test"]}
    return roles | {"training": clips.complete(dataset, roles["training"])}


def make_settings(run: Run, dataset: ClipDataset, fold: int, seed: int) -> checkpoint.ModelCard:
    """Return what rebuilds the network of a run."""
    row = run.variant
    shared = ("modalities", "fusion", "aggregator", "trunk", "side_head", "residual", "target", "augmentation")
    return checkpoint.ModelCard(
        kind="variant",
        **{name: getattr(row, name) for name in shared},
        corpus=run.corpus,
        variant=run.name,
        fold=fold,
        seed=seed,
        classes=dataset.classes,
        width=run.train.width,
        dropout=run.train.dropout,
        frames=run.train.frames,
        segments=SEGMENTS[row.augmentation],
        sound=asdict(run.sound),
        faces=asdict(run.faces),
    )


def _load_weights(run: Run, model: Network, *, fold: int, seed: int, out: Path) -> dict[str, str]:
    """Load pretrained trunks and frozen branches into `model`; return the digests of the files they came from."""
    digests = run_folder.load_init(model, run.init)
    for modality, variant in sorted(run.variant.frozen.items()):
        path = Path(out).parent / variant / engine.name_run(fold, seed) / "model.safetensors"
        trained, settings = checkpoint.load(path)
        if (settings.corpus, settings.fold, settings.seed) != (run.corpus, fold, seed):
            raise ModelError(
                f"{path}: is of {settings.corpus} fold {settings.fold} seed {settings.seed}; train {variant} again"
            )
        branch = model.branches[modality]
        state = trained.branches[modality].state_dict()
        if mismatch := first_mismatch(branch.state_dict(), state):
            raise ModelError(f"{path}: its branch does not fit {run.name}: {mismatch}; train {variant} again")
        branch.load_state_dict(state)
        digests[modality] = sha256(path)
    model.freeze(*run.variant.frozen, trunks=run.variant.init if run.variant.extractors == "frozen" else ())
    return digests


# How much each head's loss counts: G-Blend of Wang, Tran, Feiszli (2020), "What makes training multi-modal
# classification networks hard?", reference [97] of the thesis, estimated once and before ("offline").
#
# The weight of a head is proportional to G / O^2 of a network that learnt by that head alone: G is by how much the loss
# of the validation people fell, O by how much more than it the loss of the training people did, between the first epoch
# and the one with the lowest validation loss. Both come from history.csv, whose training loss is that of the pass
# itself, with its distortions and dropout; what they add is about the same at both epochs. Test people have no part.
#
# Where the paper's estimate breaks down:
# - O near or below 0 says that nothing was overfitted, and its square means nothing. Below `FLOOR`, about what the mean
#   loss of a hundred clips is uncertain by, O counts as that.
# - G = 0 (no epoch was better than the first) would silence a head, and the answer is one of them. Each head keeps at
#   least the share `LEAST`. If no head gained anything, all count alike.


@dataclass(frozen=True, kw_only=True)
class LearningStats:
    """What a network learnt between two epochs, and how much of it by heart."""

    first_epoch: int
    best_epoch: int
    gain: float  # G: fall of the validation loss
    overfitting: float  # O: growth of the distance from training to validation loss

    @classmethod
    def of(cls, history: pd.DataFrame) -> "LearningStats":
        """Return what history.csv says; its column validation_loss has numbers."""
        first, best = history.iloc[0], history.loc[history.validation_loss.idxmin()]
        gaps = [row.validation_loss - row.train_loss for row in (first, best)]
        return cls(
            first_epoch=int(first.epoch),
            best_epoch=int(best.epoch),
            gain=float(first.validation_loss - best.validation_loss),
            overfitting=float(gaps[1] - gaps[0]),
        )


def weigh_losses(courses: Mapping[str, LearningStats]) -> dict[str, float]:
    """Return head -> weight; their sum is the number of heads."""
    raw = {head: course.gain / max(course.overfitting, FLOOR) ** 2 for head, course in courses.items()}
    for head, course in courses.items():
        if course.overfitting < FLOOR:
            log.info("G-Blend: overfitting %.3f of %s counts as %.3f", course.overfitting, head, FLOOR)
    total = sum(raw.values())
    if total == 0:
        log.warning("G-Blend: no head gained anything after the first epoch: all count alike")
        return dict.fromkeys(courses, 1.0)
    shares = {head: max(weight / total, LEAST) for head, weight in raw.items()}
    return {head: len(shares) * share / sum(shares.values()) for head, share in shares.items()}


def _check_blend(run: Run, folders: Mapping[str, Path]) -> Iterable[tuple[bool, str]]:
    """Yield why heads cannot be weighed by the runs `folders`, head -> folder."""
    yield (
        bool(folders) and run.train.protocol == "thesis",
        "G-Blend weighs heads by the loss of validation people, and the protocol of the thesis has none",
    )
    for head, folder in folders.items():
        trained = _read_run(folder)["status"] == "trained"
        yield not trained, f"{folder.parent.name}, whose history weighs the loss of {head}, was not trained"


def read_learning_stats(folders: Mapping[str, Path], *, corpus: str, fold: int, seed: int) -> dict[str, LearningStats]:
    """Return head -> what the histories of the runs `folders`, head -> folder, say.

    Raises
    ------
    ModelError
        A run is missing, or is of another corpus, fold or seed, whose validation people may be tested here.
    """
    courses = {}
    for head, folder in folders.items():
        run = _read_run(folder)
        if (run["corpus"], run["fold"], run["seed"]) != (corpus, fold, seed):
            raise ModelError(
                f"{folder / 'run.json'}: is of {run['corpus']} fold {run['fold']} seed {run['seed']}; train"
                f" {folder.parent.name} again"
            )
        courses[head] = LearningStats.of(pd.read_csv(folder / "history.csv"))
    return courses


def _read_run(folder: Path) -> dict:
    if not (folder / "run.json").is_file():
        raise ModelError(f"{folder / 'run.json'}: is missing, and its history weighs a loss; train that variant first")
    return read_json(folder / "run.json")
