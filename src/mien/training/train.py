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
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.augment.aug_a import MODES, augment
from mien.augment.slicing import SEGMENTS
from mien.config import schema
from mien.errors import ModelError
from mien.io.files import read_json, sha256
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network, first_mismatch
from mien.training import clips, engine, run_folder
from mien.training.clips import Batch, Change, ClipDataset, Sampling, network_inputs
from mien.training.engine import Draws, EvalResult, Pass
from mien.training.run_folder import RunSpec

log = logging.getLogger(__name__)

SECTIONS = ("train", "augment", "sound", "faces", "seed")  # that a variant depends on, its own row aside
FLOOR = 0.1  # G-Blend: least overfitting, in units of the loss
LEAST = 0.01  # G-Blend: least share of a head in the sum of all weights
LOSSES = {  # target -> the loss of every clip, (B, C) and (B,) -> (B,)
    "label": lambda score, label: functional.cross_entropy(score, label, reduction="none"),
    "intensity": lambda score, level: (score.squeeze(1) - level).square(),
}


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
    variant : str
        Row of variants in params.yaml.
    out : Path
        results/training/CORPUS/VARIANT.
    init : list of str
        MODALITY=FILE, model files of the rows in variants.VARIANT.init.

    Raises
    ------
    ConfigError : pretrained weights are given that are not asked for, or the other way round.
    """
    engine.prepare(jobs)
    where = f"variants.{variant}"
    params = schema.load(config)
    settings = run_folder.read_settings(params, *SECTIONS, variant=where)
    if "units" in settings.variant.modalities:
        settings.candide = schema.section(schema.CandideConfig, params, "candide")
    files = run_folder.find_init(where, settings.variant.init, init or [])
    run = RunSpec(corpus=corpus, name=variant, settings=settings, out=out, init=files)
    dataset = clips.read(data, corpus, settings.variant.modalities, faces=settings.faces, sound=settings.sound)
    run_folder.train_runs(run, lambda one: train_fold(one, dataset), folds=folds, seeds=seeds)


def train_fold(run: RunSpec, dataset: ClipDataset) -> None:
    """Train one fold with one seed and write its folder.

    Raises
    ------
    ModelError : a frozen branch, pretrained weights or a history are missing or do not fit.
    TableError : the fold does not exist.
    """
    row, how = run.settings.variant, run.settings.train
    dataset = clips.select_target(dataset, row.target)
    roles = clips.split(dataset, run.fold)
    if how.protocol == "thesis":
        both = pd.concat([roles["training"], roles["validation"]]).sort_values("clip")
        roles = {"training": both, "test": roles["test"]}
    roles["training"] = clips.complete(dataset, roles["training"])
    draws = run.draws("training", run.corpus, run.fold, run.seed)
    card = make_card(run, dataset.classes)
    model = checkpoint.network(card, seed=draws.number("weights"))
    record = run_folder.describe_clips(run, dataset, roles, model)
    if row.target == "intensity":
        record |= clips.describe_levels(dataset, roles["training"])
    histories = {head: run.beside(other) for head, other in row.blend.items()}
    if reason := run_folder.find_reason(
        run_folder.check_clips(dataset, roles), run_folder.check_init(row.init, run.init), _check_blend(run, histories)
    ):
        run_folder.write(run, record, card, reason=reason)
        return
    given = run_folder.load_init(model, run.init) | _load_frozen(run, model)
    model.freeze(*row.frozen, trunks=row.init if row.extractors == "frozen" else ())
    weights = {}
    if histories:
        courses = {head: LearningStats.of(pd.read_csv(path / "history.csv")) for head, path in histories.items()}
        weights = weigh_losses(courses)
        record |= {"loss_weights": weights, "blend": {head: asdict(course) for head, course in courses.items()}}
    task = ClipTask(settings=run.settings, dataset=dataset, roles=roles, draws=draws, loss_weights=weights)
    kept = "optimistic" if how.protocol == "thesis" else "honest"
    spec = run.spec(
        *(record, given),
        code="training.train:train",
        learning_rate=how.learning_rate,
        weight_decay=how.weight_decay,
        epochs=how.epochs,
        schedule="plateau",
        patience=how.patience,
        stop=how.stop,
        roles=tuple(role for role in ("validation", "test") if role in roles),
        keep=(kept,),
    )
    progress = engine.fit(model, task, spec)
    samples = {role: roles[role] for role in spec.roles}
    run_folder.write(run, record, card, progress=progress, samples=samples, media=dataset.media, kept=kept)


def make_card(run: RunSpec, classes: tuple[str, ...]) -> ModelCard:
    """Return what rebuilds the network of a run."""
    row, how = run.settings.variant, run.settings.train
    shared = ("modalities", "fusion", "aggregator", "trunk", "side_head", "residual", "target", "augmentation")
    return run.card(
        "variant",
        **{name: getattr(row, name) for name in shared},
        classes=classes,
        width=how.width,
        dropout=how.dropout,
        frames=how.frames,
        segments=SEGMENTS[row.augmentation],
        sound=run.settings.sound,
        faces=run.settings.faces,
        candide=vars(run.settings).get("candide", {}),  # of rows with action units
    )


def _load_frozen(run: RunSpec, model: Network) -> dict[str, str]:
    """Load the branches of other variants that stay as they are; return modality -> digest of the file."""
    digests = {}
    for modality, variant in sorted(run.settings.variant.frozen.items()):
        path = run.beside(variant) / "model.safetensors"
        trained, card = checkpoint.load(path)
        if (card.corpus, card.fold, card.seed) != (run.corpus, run.fold, run.seed):
            raise ModelError(f"{path}: is of {card.corpus} fold {card.fold} seed {card.seed}; train {variant} again")
        branch = model.branches[modality]
        state = trained.branches[modality].state_dict()
        if mismatch := first_mismatch(branch.state_dict(), state):
            raise ModelError(f"{path}: its branch does not fit {run.name}: {mismatch}; train {variant} again")
        branch.load_state_dict(state)
        digests[modality] = sha256(path)
    return digests


@dataclass(frozen=True, kw_only=True)
class ClipTask:
    """A variant is trained on clips.

    settings : with variant, train, augment and sound.
    roles : role -> its clips, of which training ones are complete.
    loss_weights : of heads; 1 where absent.
    """

    settings: SimpleNamespace
    dataset: ClipDataset
    roles: Mapping[str, pd.DataFrame]
    draws: Draws
    loss_weights: Mapping[str, float]

    @property
    def sampling(self) -> Sampling:
        """Return how clips are looked at."""
        of = self.settings
        return Sampling.of(of.variant.augmentation, frames=of.train.frames, share=of.augment.slice, sound=of.sound)

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Train one epoch; the loss is that of the fused head."""
        row, how = self.settings.variant, self.settings.train
        order = self.draws.rng("order", epoch)
        batches = clips.training_batches(self.dataset, self.roles["training"], self.sampling, size=how.batch, rng=order)
        batches = clips.drop_modalities(batches, row.modality_dropout, rng=self.draws.rng("modalities", epoch))
        change = partial(augment, config=self.settings.augment, mode=MODES[row.augmentation])
        with self.draws.epoch(epoch) as generator:
            loss = train_epoch(
                model,
                clips.on_device(engine.device(), batches),
                optimizer,
                augment=partial(change, generator=generator),
                precision=how.precision,
                target=row.target,
                weights=self.loss_weights,
            )
        return Pass(loss)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Evaluate the clips of a role, each of which has at least one modality."""
        model.eval()
        how, scores, device = self.settings.train, [], engine.device()
        batches = clips.evaluation_batches(
            self.dataset, self.roles[role], self.sampling, size=engine.EVALUATED * how.batch
        )
        for batch in clips.on_device(device, batches):
            with engine.autocast(device, how.precision):
                out = model(network_inputs(batch), batch.present)
            scores.append({head: score.float().cpu() for head, score in out.items()})
        logits = {head: torch.cat([score[head] for score in scores]) for head in scores[0]}
        label = torch.tensor(self.roles[role].label.to_numpy())
        if self.settings.variant.target == "intensity":
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
        engine.step(optimizer, sum((weights or {}).get(head, 1.0) * loss for head, loss in losses.items()))
        total += losses["fused"].detach() * len(batch)
        n_clips += len(batch)
    return float(total) / n_clips


def _mean(losses: Tensor, present: Tensor | None) -> Tensor:
    return losses.mean() if present is None or bool(present.all()) else losses[present].mean()


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
    total = sum(raw.values())
    if total == 0:
        log.warning("G-Blend: no head gained anything after the first epoch: all count alike")
        return dict.fromkeys(courses, 1.0)
    shares = {head: max(weight / total, LEAST) for head, weight in raw.items()}
    return {head: len(shares) * share / sum(shares.values()) for head, share in shares.items()}


def _check_blend(run: RunSpec, folders: Mapping[str, Path]) -> Iterable[tuple[bool, str]]:
    """Yield why heads cannot be weighed by the histories of the runs `folders`, head -> folder.

    Raises
    ------
    ModelError : one is missing, or is of another corpus, fold or seed, whose validation people may be tested here.
    """
    yield (
        bool(folders) and run.settings.train.protocol == "thesis",
        "G-Blend weighs heads by the loss of validation people, and the protocol of the thesis has none",
    )
    for head, folder in folders.items():
        path, name = folder / "run.json", folder.parent.name
        if not path.is_file():
            raise ModelError(f"{path}: is missing, and its history weighs a loss; train that variant first")
        other = read_json(path)
        if (other["corpus"], other["fold"], other["seed"]) != (run.corpus, run.fold, run.seed):
            raise ModelError(
                f"{path}: is of {other['corpus']} fold {other['fold']} seed {other['seed']}; train {name} again"
            )
        yield other["status"] != "trained", f"{name}, whose history weighs the loss of {head}, was not trained"
