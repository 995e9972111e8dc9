"""Train a network on labelled vectors or still pictures at a fixed rate, and choose its epochs (see `progress`).

The loop knows the roles training, validation and test; what else is to be judged (other cameras, the training samples
themselves) is judged once, by the chosen weights, and has no part in the choice.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.augment.aug_a import augment
from mien.core.config import AugmentConfig
from mien.core.errors import ModelError
from mien.core.rng import rng_for
from mien.models.layout import to_device
from mien.training import machine
from mien.training.batches import random_batches
from mien.training.draws import draws_of
from mien.training.optimizers import Adam
from mien.training.progress import Progress, Verdict, run_epochs

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
    model = to_device(job.model, machine.device())
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
