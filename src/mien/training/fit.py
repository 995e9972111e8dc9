"""Train one variant on one fold with one seed, and choose its epochs.

Honest: the learning rate, the end and the epoch follow the validation people, and the test people are only reported.
Optimistic: of the same run, the epoch that was best on the test people, as the thesis chose it. Under the protocol of
the thesis, validation people are trained on too, everything follows the test people, and only the latter exists.
"""

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mien.augment.aug_a import MODES, augment
from mien.core.config import AugmentConfig, SoundConfig, TrainConfig
from mien.core.errors import ModelError
from mien.core.rng import rng_for, seed_for
from mien.models.fusion import Network
from mien.training import resume
from mien.training.dataset import Sampling, evaluation_batches, read_ahead, training_batches
from mien.training.loop import Verdict, evaluate, train_epoch
from mien.training.recordings import Recordings

log = logging.getLogger(__name__)

EVALUATED = 4  # batches at once where no gradients are kept: fewer and larger calls


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to train: `roles` are clips by role, of which training ones are complete; `scope` names its draws."""

    model: Network
    recordings: Recordings
    roles: dict[str, pd.DataFrame]
    augmentation: str
    train: TrainConfig
    augment: AugmentConfig
    sound: SoundConfig
    seed: int
    scope: tuple[object, ...]
    checkpoint: Path
    key: str  # digest of all that the result depends on


@dataclass
class Choice:
    """The best epoch so far by one rule: its rank, its numbers, what it said about each role, its weights."""

    epoch: int = 0
    rank: list[float] = field(default_factory=list)  # smaller is better
    metrics: dict[str, float] = field(default_factory=dict)
    logits: dict[str, dict[str, Tensor]] = field(default_factory=dict)  # role -> head -> (N, C)
    weights: dict[str, Tensor] = field(default_factory=dict)  # empty where they are not needed


@dataclass
class Progress:
    """Where a run stands after an epoch."""

    history: list[dict[str, float]] = field(default_factory=list)
    choices: dict[str, Choice] = field(default_factory=dict)  # selection -> choice
    lowest_loss: float = math.inf  # on the people that the schedule follows
    stale: int = 0  # epochs since
    finished: bool = False


def fit(job: Job) -> Progress:
    """Train until the last epoch or an early stop, going on from a checkpoint if there is one.

    The weights to keep are those of the choice "honest", or of "optimistic" under the protocol of the thesis.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = job.model.to(device, memory_format=torch.channels_last)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=job.train.learning_rate, weight_decay=job.train.weight_decay, fused=True)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(  # torch waits one epoch longer than `patience`
        optimizer, factor=0.5, patience=job.train.patience - 1, threshold=0.0, eps=0.0
    )
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    progress = _restore(job, parts)
    first = len(progress.history) + 1
    epochs = range(first, job.train.epochs + 1)
    title = job.checkpoint.relative_to(resume.ROOT).as_posix()
    for epoch in tqdm(epochs, desc=title, initial=first - 1, total=job.train.epochs, disable=None):
        if progress.finished:
            break
        _run_epoch(job, epoch, progress, **parts)
        state = {name: part.state_dict() for name, part in parts.items()}
        resume.save(job.checkpoint, state | {"progress": _pack(progress)}, epoch=epoch, key=job.key)
    return progress


def _run_epoch(job: Job, epoch: int, progress: Progress, *, model: Network, optimizer: Any, scheduler: Any) -> None:
    """Train and judge once, and enter the outcome into `progress`."""
    rate = optimizer.param_groups[0]["lr"]
    train_loss = _train(job, epoch, model, optimizer)
    if not math.isfinite(train_loss):
        raise ModelError(f"{job.checkpoint}: the loss is {train_loss} in epoch {epoch}; lower train.learning_rate")
    verdicts = {role: _judge(job, model, role) for role in ("validation", "test") if role in job.roles}
    metrics = {f"{role}_loss": verdict.loss for role, verdict in verdicts.items()}
    metrics |= {f"{role}_accuracy": verdict.accuracy for role, verdict in verdicts.items()}
    progress.history.append({"epoch": epoch, "learning_rate": rate, "train_loss": train_loss} | metrics)
    _choose(progress, epoch, verdicts, metrics=metrics, weights=model.state_dict())
    loss = verdicts.get("validation", verdicts["test"]).loss  # of the people whom schedule and end follow
    scheduler.step(loss)
    progress.stale = 0 if loss < progress.lowest_loss else progress.stale + 1
    progress.lowest_loss = min(loss, progress.lowest_loss)
    progress.finished = progress.stale >= job.train.stop or epoch == job.train.epochs


def _choose(
    progress: Progress,
    epoch: int,
    verdicts: dict[str, Verdict],
    *,
    metrics: dict[str, float],
    weights: dict[str, Tensor],
) -> None:
    """Make this epoch the choice of every selection by whose rule it is the best so far; of equals, the earlier is."""
    ranks = {"optimistic": [-verdicts["test"].accuracy, verdicts["test"].loss]}
    if "validation" in verdicts:
        ranks["honest"] = [verdicts["validation"].loss]
    keeper = "honest" if "honest" in ranks else "optimistic"  # whose weights are written
    for selection, rank in ranks.items():
        best = progress.choices.get(selection)
        if best is None or rank < best.rank:
            logits = {role: verdict.logits for role, verdict in verdicts.items()}
            kept = {name: value.detach().cpu().clone() for name, value in weights.items() if selection == keeper}
            progress.choices[selection] = Choice(epoch, rank, metrics, logits, kept)


def _train(job: Job, epoch: int, model: Network, optimizer: torch.optim.Optimizer) -> float:
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed_for(job.seed, *job.scope, "augment", epoch))
    batches = training_batches(
        job.recordings,
        job.roles["training"],
        _sampling(job),
        size=job.train.batch,
        rng=rng_for(job.seed, *job.scope, "order", epoch),
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for(job.seed, *job.scope, "dropout", epoch))  # nn.Dropout takes no generator
        return train_epoch(
            model,
            _on(device, batches),
            optimizer,
            augment=lambda frames: augment(frames, job.augment, mode=MODES[job.augmentation], generator=generator),
            bfloat16=_bfloat16(job, device),
        )


def _judge(job: Job, model: Network, role: str) -> Verdict:
    device = next(model.parameters()).device
    size = EVALUATED * job.train.batch
    batches = evaluation_batches(job.recordings, job.roles[role], _sampling(job), size=size)
    return evaluate(model, _on(device, batches), bfloat16=_bfloat16(job, device))


def _sampling(job: Job) -> Sampling:
    return Sampling.of(job.augmentation, frames=job.train.frames, share=job.augment.slice, sound=job.sound)


def _bfloat16(job: Job, device: torch.device) -> bool:
    return device.type == "cuda" and job.train.precision == "bfloat16"


def _on(device: torch.device, batches: Any) -> Any:
    if device.type == "cpu":  # nothing to overlap: the same cores would do both
        return batches
    return (batch.to(device) for batch in read_ahead(batches))


def _restore(job: Job, parts: dict[str, Any]) -> Progress:
    """Load the checkpoint of the job into `parts` and return its progress; a fresh one where there is none."""
    state = resume.load(job.checkpoint, key=job.key)
    if state is None:
        return Progress()
    for name, part in parts.items():
        part.load_state_dict(state[name])
    progress = _unpack(state["progress"])
    log.info("%s: going on after epoch %d", job.checkpoint, len(progress.history))
    return progress


def _pack(progress: Progress) -> dict[str, Any]:
    choices = {selection: dict(vars(choice)) for selection, choice in progress.choices.items()}
    return dict(vars(progress)) | {"choices": choices}


def _unpack(state: dict[str, Any]) -> Progress:
    choices = {selection: Choice(**choice) for selection, choice in state["choices"].items()}
    return Progress(**(state | {"choices": choices}))
