"""Train one variant on one fold with one seed, and choose its epochs.

Honest or optimistic, see `progress`: the learning rate and the end follow the validation people. Under the protocol of
the thesis, validation people are trained on too, everything follows the test people, and there is no honest epoch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mien.augment.aug_a import MODES, augment
from mien.core.config import AugmentConfig, SoundConfig, TrainConfig
from mien.core.errors import ModelError
from mien.core.rng import rng_for
from mien.models.fusion import Network
from mien.models.layout import to_device
from mien.training import machine
from mien.training.dataset import Sampling, evaluation_batches, on_device, training_batches
from mien.training.draws import draws_of
from mien.training.loop import evaluate, train_epoch
from mien.training.modality_dropout import lose_modalities
from mien.training.optimizers import AdamW
from mien.training.progress import Progress, Verdict, run_epochs
from mien.training.recordings import Recordings
from mien.training.targets import judge_of, losses_of

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
    model = to_device(job.model, machine.device())
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
