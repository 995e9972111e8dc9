"""Train one variant on one fold with one seed, and choose its epochs.

Honest or optimistic, see `progress`: the learning rate and the end follow the validation people. Under the protocol of
the thesis, validation people are trained on too, everything follows the test people, and there is no honest epoch.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mien.augment.aug_a import MODES, augment
from mien.core.config import AugmentConfig, SoundConfig, TrainConfig
from mien.core.errors import ModelError
from mien.core.rng import rng_for, seed_for
from mien.models.branch import channels_last
from mien.models.fusion import Network
from mien.training import machine
from mien.training.dataset import Sampling, evaluation_batches, read_ahead, training_batches
from mien.training.loop import evaluate, train_epoch
from mien.training.progress import Progress, Verdict, run_epochs
from mien.training.recordings import Recordings

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


def fit(job: Job) -> Progress:
    """Train until the last epoch or an early stop, going on from a checkpoint if there is one.

    The weights to keep are those of the choice "honest", or of "optimistic" under the protocol of the thesis.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    model = channels_last(job.model.to(machine.device()))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=job.train.learning_rate, weight_decay=job.train.weight_decay, fused=True)
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
    )


def _run_epoch(job: Job, epoch: int, progress: Progress, *, model: Network, optimizer: Any, scheduler: Any) -> None:
    """Train and judge once, and enter the outcome into `progress`."""
    rate = optimizer.param_groups[0]["lr"]
    train_loss = _train(job, epoch, model, optimizer)
    if not math.isfinite(train_loss):
        raise ModelError(f"{job.checkpoint}: the loss is {train_loss} in epoch {epoch}; lower train.learning_rate")
    verdicts = {role: _judge(job, model, role) for role in ("validation", "test") if role in job.roles}
    keep = ("honest",) if "validation" in verdicts else ("optimistic",)
    progress.enter(epoch, verdicts, rate=rate, train_loss=train_loss, weights=model.state_dict(), keep=keep)
    loss = verdicts.get("validation", verdicts["test"]).loss  # of the people whom schedule and end follow
    scheduler.step(loss)
    progress.stale = 0 if loss < progress.lowest_loss else progress.stale + 1
    progress.lowest_loss = min(loss, progress.lowest_loss)
    progress.finished = progress.stale >= job.train.stop or epoch == job.train.epochs


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
