"""Command `train`: one variant on folds of a corpus.

Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

predictions.parquet  table PREDICTIONS: logits of every head, for both selections, of validation and test clips
history.csv          a row per epoch; losses are the fused head's mean cross-entropy per clip
model.safetensors    weights of the honest epoch (of the optimistic one under the protocol of the thesis)
run.json             settings, sizes, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A variant whose modalities a fold does not have is recorded
as "not applicable", with the reason, and is no error.

How much each head's loss counts: G-Blend of Wang, Tran, Feiszli (2020), "What makes training multi-modal
classification networks hard?", reference [97] of the thesis, estimated once and before ("offline").

The weight of a head is proportional to G / O^2 of a network that learnt by that head alone: G is by how much the loss
of the validation people fell, O by how much more than it the loss of the training people did, between the first epoch
and the one with the lowest validation loss. Both come from history.csv, whose training loss is that of the pass itself,
with its distortions and dropout; what they add is about the same at both epochs. Test people have no part in it.

Where the paper's estimate breaks down:

- O near or below 0 says that nothing was overfitted, and its square means nothing. Below `FLOOR`, about what the mean
  loss of a hundred clips is uncertain by, O counts as that.
- G = 0 (no epoch was better than the first) would silence a head, and the answer is one of them. Each head keeps at
  least the share `LEAST`. If no head gained anything, all count alike.


One epoch of training and one pass of evaluation.

Train one variant on one fold with one seed, and choose its epochs.

Honest or optimistic, see `progress`: the learning rate and the end follow the validation people. Under the protocol of
the thesis, validation people are trained on too, everything follows the test people, and there is no honest epoch.


One fold and seed of a variant: prepare the network, train it, write the four files.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mien.augment.aug_a import MODES, augment
from mien.augment.slicing import SEGMENTS
from mien.config.schema import AugmentConfig, FacesConfig, SoundConfig, TrainConfig, VariantConfig
from mien.errors import ModelError
from mien.io.files import digest, read_json, sha256
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.models import checkpoint
from mien.models.layout import to_device
from mien.models.mrpn import Network, first_mismatch, normalise_pixels
from mien.training import engine, run_folder
from mien.training.clips import (
    Batch,
    Judge,
    Losses,
    Recordings,
    Sampling,
    aim,
    complete,
    cross_entropies,
    evaluation_batches,
    facts_of,
    judge_of,
    lose_modalities,
    losses_of,
    obstacle,
    on_device,
    split,
    training_batches,
)
from mien.training.engine import AdamW, Progress, Verdict, add_fold_arguments, conditions, draws_of, run_epochs
from mien.training.run_folder import load_first, no_start, outcome, prediction_rows, record_of

log = logging.getLogger(__name__)

FLOOR = 0.1  # least overfitting, in units of the loss
LEAST = 0.01  # least share of a head in the sum of all weights


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a network learnt between two epochs, and how much of it by heart."""

    first_epoch: int
    best_epoch: int
    gain: float  # G: fall of the validation loss
    overfitting: float  # O: growth of the distance from training to validation loss


def course_of(history: pd.DataFrame) -> Course:
    """Return what history.csv says; its column validation_loss has numbers."""
    first, best = history.iloc[0], history.loc[history.validation_loss.idxmin()]
    gaps = [row.validation_loss - row.train_loss for row in (first, best)]
    return Course(
        first_epoch=int(first.epoch),
        best_epoch=int(best.epoch),
        gain=float(first.validation_loss - best.validation_loss),
        overfitting=float(gaps[1] - gaps[0]),
    )


def loss_weights(courses: Mapping[str, Course]) -> dict[str, float]:
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


def no_blend(folders: Mapping[str, Path], protocol: str) -> str:
    """Say why heads cannot be weighed by the runs `folders`, head -> folder; empty if they can or none shall be."""
    if folders and protocol == "thesis":
        return "G-Blend weighs heads by the loss of validation people, and the protocol of the thesis has none"
    for head, folder in folders.items():
        if _read(folder)["status"] != "trained":
            return f"{folder.parent.name}, whose history weighs the loss of {head}, was not trained"
    return ""


def read_courses(folders: Mapping[str, Path], *, corpus: str, fold: int, seed: int) -> dict[str, Course]:
    """Return head -> course of the runs `folders`, head -> folder.

    Raises
    ------
    ModelError : a run is missing, or is of another corpus, fold or seed, whose validation people may be tested here.
    """
    courses = {}
    for head, folder in folders.items():
        run = _read(folder)
        if (run["corpus"], run["fold"], run["seed"]) != (corpus, fold, seed):
            raise ModelError(
                f"{folder / 'run.json'}: is of {run['corpus']} fold {run['fold']} seed {run['seed']}; train"
                f" {folder.parent.name} again"
            )
        courses[head] = course_of(pd.read_csv(folder / "history.csv"))
    return courses


def _read(folder: Path) -> dict:
    if not (folder / "run.json").is_file():
        raise ModelError(f"{folder / 'run.json'}: is missing, and its history weighs a loss; train that variant first")
    return read_json(folder / "run.json")


Change = Callable[[Tensor], Tensor]  # frames (B, T, 3, H, W), grey levels -> the same shape


def train_epoch(
    model: Network,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    augment: Change,
    bfloat16: bool,
    losses_of_clips: Losses = cross_entropies,
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
        with torch.autocast(batch.label.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            scores = model(inputs, batch.present)
        losses = {
            head: _mean(losses_of_clips(score.float(), batch.label), batch.present.get(head))
            for head, score in scores.items()
        }
        optimizer.zero_grad(set_to_none=True)
        sum((weights or {}).get(head, 1.0) * loss for head, loss in losses.items()).backward()
        optimizer.step()
        total += losses["fused"].detach() * len(batch)
        n_clips += len(batch)
    return float(total) / n_clips


@torch.no_grad()
def evaluate(model: Network, batches: Iterable[Batch], *, bfloat16: bool, judge: Judge = Verdict.of) -> Verdict:
    """Let the network in evaluation mode judge `batches`, of which each clip has at least one modality."""
    model.eval()
    scores, labels = [], []
    for batch in batches:
        with torch.autocast(batch.label.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            out = model(network_inputs(batch), batch.present)
        scores.append({head: score.float().cpu() for head, score in out.items()})
        labels.append(batch.label.cpu())
    logits = {head: torch.cat([score[head] for score in scores]) for head in scores[0]}
    return judge(logits, torch.cat(labels))


def _mean(losses: Tensor, present: Tensor | None) -> Tensor:
    return losses.mean() if present is None or bool(present.all()) else losses[present].mean()


def network_inputs(batch: Batch, *, augment: Change | None = None) -> dict[str, Tensor]:
    """Turn stored frames (B, T, S, S, 3) uint8 into what a trunk expects, (B, T, 3, S, S) float, if there are any."""
    inputs = dict(batch.inputs)
    if "video" in inputs:
        frames = inputs["video"].permute(0, 1, 4, 2, 3).contiguous().float()
        inputs["video"] = normalise_pixels(frames if augment is None else augment(frames))
    return inputs


CHECKPOINT_S = 5.0  # least time between two checkpoints: at mini scale an epoch takes about a second
EVALUATED = 4  # batches at once where no gradients are kept: fewer and larger calls


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train: `roles` are clips by role, of which training ones are complete; `scope` names its draws."""

    model: Network
    recordings: Recordings
    roles: dict[str, pd.DataFrame]
    augmentation: str
    target: str  # label or intensity
    modality_dropout: float  # probability that a training clip loses a modality
    loss_weights: Mapping[str, float]  # of heads; 1 where absent
    train: TrainConfig
    augment: AugmentConfig
    sound: SoundConfig
    seed: int
    scope: tuple[object, ...]
    checkpoint: Path
    key: str  # digest of all that the result depends on


def fit(job: Job) -> Progress:
    """Train until the last epoch or an early stop, going on from a checkpoint if there is one.

    The weights to keep are those of the choice "honest", or of "optimistic" under the protocol of the thesis.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    model = to_device(job.model, engine.device())
    optimizer = optimizer_of(job, model)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(  # torch waits one epoch longer than `patience`
        optimizer, factor=0.5, patience=job.train.patience - 1, threshold=0.0, eps=0.0
    )
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    return run_epochs(
        lambda epoch, progress: _run_epoch(job, epoch, progress, **parts),
        parts,
        epochs=job.train.epochs,
        checkpoint=job.checkpoint,
        key=job.key,
        every_s=CHECKPOINT_S,
    )


def _run_epoch(job: Job, epoch: int, progress: Progress, *, model: Network, optimizer: Any, scheduler: Any) -> None:
    """Train and judge once, and enter the outcome into `progress`."""
    rate = optimizer.param_groups[0]["lr"]
    train_loss = train_once(job, epoch, model, optimizer)
    verdicts = {role: judge(job, model, role) for role in ("validation", "test") if role in job.roles}
    keep = ("honest",) if "validation" in verdicts else ("optimistic",)
    progress.enter(epoch, verdicts, rate=rate, train_loss=train_loss, weights=model.state_dict(), keep=keep)
    loss = verdicts.get("validation", verdicts["test"]).loss  # of the people whom schedule and end follow
    scheduler.step(loss)
    progress.stale = 0 if loss < progress.lowest_loss else progress.stale + 1
    progress.lowest_loss = min(loss, progress.lowest_loss)
    progress.finished = progress.stale >= job.train.stop or epoch == job.train.epochs


def optimizer_of(job: Job, model: Network) -> torch.optim.Optimizer:
    """Return what changes the weights of `model` that learn."""
    return AdamW(model.parameters(), learning_rate=job.train.learning_rate, weight_decay=job.train.weight_decay)


def train_once(job: Job, epoch: int, model: Network, optimizer: torch.optim.Optimizer) -> float:
    """Run one epoch over the training clips; return the mean loss of the fused head.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    device = next(model.parameters()).device
    batches = training_batches(
        job.recordings,
        job.roles["training"],
        _sampling(job),
        size=job.train.batch,
        rng=rng_for(job.seed, *job.scope, "order", epoch),
    )
    dropping = rng_for(job.seed, *job.scope, "modalities", epoch)
    batches = lose_modalities(batches, job.modality_dropout, rng=dropping)
    with draws_of(epoch, seed=job.seed, scope=job.scope, device=device) as generator:
        loss = train_epoch(
            model,
            on_device(device, batches),
            optimizer,
            augment=lambda frames: augment(frames, job.augment, mode=MODES[job.augmentation], generator=generator),
            bfloat16=_bfloat16(job, device),
            losses_of_clips=losses_of(job.target),
            weights=job.loss_weights,
        )
    if not math.isfinite(loss):
        raise ModelError(f"{job.checkpoint}: the loss is {loss} in epoch {epoch}; lower train.learning_rate")
    return loss


def judge(job: Job, model: Network, role: str) -> Verdict:
    """Return what the network says of the clips of a role."""
    device = next(model.parameters()).device
    size = EVALUATED * job.train.batch
    batches = evaluation_batches(job.recordings, job.roles[role], _sampling(job), size=size)
    sum_up = judge_of(job.target, n_classes=len(job.recordings.classes))
    return evaluate(model, on_device(device, batches), bfloat16=_bfloat16(job, device), judge=sum_up)


def _sampling(job: Job) -> Sampling:
    return Sampling.of(job.augmentation, frames=job.train.frames, share=job.augment.slice, sound=job.sound)


def _bfloat16(job: Job, device: torch.device) -> bool:
    return device.type == "cuda" and job.train.precision == "bfloat16"


SELECTIONS = {"honest": ("honest", "optimistic"), "thesis": ("optimistic",)}  # protocol -> selections, model's first


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
    first: Mapping[str, Path]  # modality -> file with the first weights of its trunk; random where absent

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json; which seeds others train does not matter to a run."""
        sections = {name: asdict(getattr(self, name)) for name in ("variant", "train", "augment", "sound", "faces")}
        return sections | {"seed": self.seed}


def train_fold(run: Run, recordings: Recordings, *, fold: int, seed: int, out: Path) -> None:
    """Train one fold with one seed and write its folder below `out`.

    Raises
    ------
    ModelError : a frozen branch, first weights or a history are missing or do not fit.
    TableError : the fold does not exist.
    """
    recordings = aim(recordings, run.variant.target)
    roles = _roles(run, recordings, fold)
    settings = settings_of(run, recordings, fold, seed)
    scope = ("training", run.corpus, fold, seed)
    model = checkpoint.network(settings, seed=seed_for(run.seed, *scope, "weights"))
    record = record_of(recordings, roles, variant=run.name, fold=fold, seed=seed, model=model, config=run.config())
    if run.variant.target == "intensity":
        record |= facts_of(recordings, roles)
    run_name = engine.run_name(fold, seed)
    folder = Path(out) / run_name
    histories = {head: Path(out).parent / other / run_name for head, other in run.variant.blend.items()}
    reason = obstacle(recordings, roles) or no_start(run.variant.init, run.first)
    if reason := reason or no_blend(histories, run.train.protocol):
        log.info("%s %s fold %d: not applicable: %s", run.corpus, run.name, fold, reason)
        run_folder.write_not_applicable(folder, record, reason=reason, settings=settings)
        return
    given = _given_weights(run, model, fold=fold, seed=seed, out=out)
    courses = read_courses(histories, corpus=run.corpus, fold=fold, seed=seed)
    weights = loss_weights(courses) if courses else {}
    if courses:
        record |= {"loss_weights": weights, "blend": {head: asdict(course) for head, course in courses.items()}}
    job = job_of(
        run,
        model=model,
        recordings=recordings,
        roles=roles,
        loss_weights=weights,
        scope=scope,
        checkpoint=engine.folder_of(run.corpus, run.name, fold=fold, seed=seed),
        key=digest([record, given, code_digest("training.train:run"), *conditions()]),
    )
    progress = fit(job)
    selections = SELECTIONS[run.train.protocol]
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=pd.concat([prediction_rows(recordings, roles, progress, selection) for selection in selections]),
        history=progress.history,
        weights=progress.choices[selections[0]].weights,
        settings=settings,
    )
    log.info("%s %s fold %d seed %d: %s", run.corpus, run.name, fold, seed, outcome(progress, "")["metrics"])


def remove_checkpoints(run: Run, folds: list[int], seeds: list[int]) -> None:
    """Delete the checkpoints of a command; to be called when all its folders are written."""
    for fold in folds:
        for seed in seeds:
            engine.remove(run.corpus, run.name, fold=fold, seed=seed)


def _roles(run: Run, recordings: Recordings, fold: int) -> dict[str, pd.DataFrame]:
    """Return the clips of the roles that the protocol knows; training clips have every modality."""
    roles = split(recordings, fold)
    if run.train.protocol == "thesis":
        both = pd.concat([roles["training"], roles["validation"]]).sort_values("clip")
        roles = {"training": both, "test": roles["test"]}
    return roles | {"training": complete(recordings, roles["training"])}


def job_of(run: Run, **own: Any) -> Job:
    """Return the training that the sections of `run` ask for; `own`: the fields of `Job` that they do not know."""
    return Job(
        augmentation=run.variant.augmentation,
        target=run.variant.target,
        modality_dropout=run.variant.modality_dropout,
        train=run.train,
        augment=run.augment,
        sound=run.sound,
        seed=run.seed,
        **own,
    )


def settings_of(run: Run, recordings: Recordings, fold: int, seed: int) -> checkpoint.Settings:
    """Return what rebuilds the network of a run."""
    return checkpoint.Settings(
        corpus=run.corpus,
        variant=run.name,
        fold=fold,
        seed=seed,
        modalities=run.variant.modalities,
        fusion=run.variant.fusion,
        aggregator=run.variant.aggregator,
        trunk=run.variant.trunk,
        side_head=run.variant.side_head,
        residual=run.variant.residual,
        target=run.variant.target,
        augmentation=run.variant.augmentation,
        classes=recordings.classes,
        width=run.train.width,
        dropout=run.train.dropout,
        frames=run.train.frames,
        segments=SEGMENTS[run.variant.augmentation],
        sound=asdict(run.sound),
        faces=asdict(run.faces),
    )


def _given_weights(run: Run, model: Network, *, fold: int, seed: int, out: Path) -> dict[str, str]:
    """Load first weights of trunks and frozen branches into `model`; return the digests of the files they came from."""
    digests = load_first(model, run.first)
    for modality, variant in sorted(run.variant.frozen.items()):
        path = Path(out).parent / variant / engine.run_name(fold, seed) / "model.safetensors"
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


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--variant", required=True, help="row of variants in params.yaml")
    add_fold_arguments(parser, init="variants.VARIANT.init", out="results/training/CORPUS/VARIANT")


def run(args) -> None:
    """Train every fold and seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : first weights are given that are not asked for, or the other way round.
    """
    import torch

    from mien.config import schema
    from mien.training import clips
    from mien.training.engine import prepare
    from mien.training.run_folder import files_of

    prepare(args.jobs)
    params = schema.load(args.config)
    variant = schema.section(schema.VariantConfig, params, "variants", args.variant)
    setup = Run(
        corpus=args.corpus,
        name=args.variant,
        variant=variant,
        first=files_of(f"variants.{args.variant}", variant.init, args.init),
        train=schema.section(schema.TrainConfig, params, "train"),
        augment=schema.section(schema.AugmentConfig, params, "augment"),
        sound=schema.section(schema.SoundConfig, params, "sound"),
        faces=schema.section(schema.FacesConfig, params, "faces"),
        seed=schema.section(int, params, "seed"),
    )
    data = clips.read(args.data, args.corpus, setup.variant.modalities, faces=setup.faces, sound=setup.sound)
    log.info("device: %s", "cuda" if torch.cuda.is_available() else f"cpu, {args.jobs} threads")
    for fold in args.folds:
        for seed in args.seeds:
            train_fold(setup, data, fold=fold, seed=seed, out=args.out)
    remove_checkpoints(setup, args.folds, args.seeds)
