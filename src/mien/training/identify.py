"""Learn to tell speakers apart from random one-second crops, and judge whole utterances (thesis section 5.3.2).

An epoch looks at every training utterance `crops` times, each time at another second of it. A held-out utterance is cut
into seconds that touch: its feature is the mean of their features, and so, the classifier being linear, its logits are
the mean of their logits.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.core.errors import ModelError
from mien.core.rng import rng_for
from mien.models.extractor import ResNetClassifier
from mien.models.layout import to_device
from mien.models.resnet import ResNet18
from mien.training import distributed
from mien.training.batches import random_batches
from mien.training.distributed import Team
from mien.training.optimizers import Adam
from mien.training.progress import Progress, Verdict
from mien.training.voices import Voices, in_advance, levels, read_crops, transform, whole_segments

log = logging.getLogger(__name__)

FOLLOWED = ("validation", "test")  # roles that are judged after every epoch
SELECTIONS = ("honest", "optimistic")
CHECKPOINT_S = 5.0  # least time between two checkpoints: at mini scale an epoch takes half a second
SECONDS = 64  # segments at once where no gradients are kept


class Pass(NamedTuple):
    """Of one pass over the training crops, as the network saw them before each step."""

    loss: float  # mean cross-entropy per crop
    accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One network to train; `scope` names its draws under `seed`."""

    model: ResNetClassifier
    voices: Voices
    label: np.ndarray  # (U,) int64, speaker of every utterance of `voices`
    rows: dict[str, np.ndarray]  # role -> its utterances, some; training, validation, test
    crops: int  # of an utterance in an epoch
    learning_rate: float
    epochs: int
    batch: int  # crops of all processes together
    seed: int
    scope: tuple[object, ...]
    checkpoint: Path
    key: str  # digest of all that the result depends on
    team: Team
    bfloat16: bool = False  # compute in it on a GPU; weights stay float32


def fit(job: Job) -> Progress:
    """Train to the last epoch, going on from a checkpoint if there is one; called by all processes of a team.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    team = job.team
    to_device(job.model, team.device)
    model = distributed.spread(job.model, team)
    optimizer = Adam(job.model.parameters(), learning_rate=job.learning_rate)
    rows = job.rows["training"]
    level = team.gather(levels(job.voices, team.share(rows), device=team.device), len(rows))

    def run_epoch(epoch: int, progress: Progress) -> None:
        train = train_epoch(model, job, epoch, level=level, optimizer=optimizer)
        if not math.isfinite(train.loss):
            raise ModelError(f"{job.checkpoint}: the loss is {train.loss} in epoch {epoch}; lower the learning rate")
        progress.enter(
            epoch,
            {role: evaluate(job, role) for role in FOLLOWED},
            rate=job.learning_rate,
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            weights=job.model.state_dict(),
            keep=SELECTIONS,
        )
        progress.finished = team.is_first and epoch == job.epochs

    parts = {"model": job.model, "optimizer": optimizer}
    options = {"epochs": job.epochs, "checkpoint": job.checkpoint, "key": job.key, "every_s": CHECKPOINT_S}
    return distributed.run_epochs(run_epoch, parts, team=team, **options)


def train_epoch(model: nn.Module, job: Job, epoch: int, *, level: Tensor, optimizer: torch.optim.Optimizer) -> Pass:
    """Run one pass over the crops of the training utterances.

    model : `Job.model`, or what spreads it over the processes.   level : of the training utterances, on the device.
    """
    model.train()
    team, voices, rows = job.team, job.voices, job.rows["training"]
    item = np.tile(np.arange(len(rows)), job.crops)
    place = rng_for(job.seed, *job.scope, "crops", epoch).random(len(item))
    start = (place * voices.n_starts(rows)[item]).astype(np.int64)
    order = rng_for(job.seed, *job.scope, "order", epoch)
    batches = list(random_batches(len(item), size=job.batch, rng=order))  # the same in every process
    shares = [team.share(batch) for batch in batches]
    sums = torch.zeros(2, dtype=torch.float64, device=level.device)  # of losses and of hits
    crops = in_advance(lambda share: read_crops(voices, rows[item[share]], start[share]), shares)
    for batch, share, crop in zip(batches, shares, crops, strict=True):
        segments = transform(crop, level[torch.from_numpy(item[share])], voices.config)
        label = torch.from_numpy(job.label[rows[item[share]]]).to(level.device)
        enabled = job.bfloat16 and level.device.type == "cuda"
        with torch.autocast(level.device.type, dtype=torch.bfloat16, enabled=enabled):
            logits = model(segments).float()
        loss = functional.cross_entropy(logits, label, reduction="sum")
        optimizer.zero_grad(set_to_none=True)
        (loss * (team.size / len(batch))).backward()  # gradients are averaged over the processes
        optimizer.step()
        sums += torch.stack([loss.detach(), (logits.detach().argmax(1) == label).sum()])
    return Pass(*(team.total(sums) / len(item)).tolist())


def evaluate(job: Job, role: str) -> Verdict:
    """Let the network in evaluation mode judge the utterances of a role, in their order."""
    features = embed(job.model, job.voices, job.rows[role], team=job.team)
    with torch.no_grad():
        logits = job.model.fc(features.to(job.team.device)).float().cpu()
    return Verdict.of({"fused": logits}, torch.from_numpy(job.label[job.rows[role]]))


@torch.no_grad()
def embed(model: ResNetClassifier, voices: Voices, rows: np.ndarray, *, team: Team) -> Tensor:
    """Return the mean feature of every utterance, (len(rows), D) float32 on the CPU, the same in every process."""
    model.eval()
    device = team.device
    waves = in_advance(lambda row: np.array(voices.wave(row)), team.share(rows))
    means, waiting = [torch.zeros(0, model.dim, device=device)], []
    for wave in waves:
        waiting.append(whole_segments(wave, voices.config, device=device))
        if sum(map(len, waiting)) >= SECONDS:
            means.append(_mean_features(model, waiting))
            waiting = []
    if waiting:
        means.append(_mean_features(model, waiting))
    return team.gather(torch.cat(means), len(rows)).cpu()


def _mean_features(model: ResNetClassifier, utterances: list[Tensor]) -> Tensor:
    """Return (N, D) of N utterances of (S, 1, F, W) segments each."""
    segments = torch.cat(utterances)
    features = torch.cat([ResNet18.forward(model, part) for part in segments.split(SECONDS)]).float()
    return torch.stack([part.mean(dim=0) for part in features.split([len(part) for part in utterances])])
