"""Where a training stands: what is said of every epoch, which epochs are chosen, and how a killed run goes on.

Honest: the epoch with the lowest loss of the validation people; the test people are only reported. Optimistic: of the
same run, the epoch that was best on the test people, as the thesis chose it.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from mien.core import tables
from mien.core.levels import nearest_level
from mien.training import resume

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """Of N clips: logits head -> (N, C) float32, the mean loss and the accuracy of the fused head."""

    logits: dict[str, Tensor]
    loss: float
    accuracy: float

    @classmethod
    def of(cls, logits: dict[str, Tensor], label: Tensor) -> "Verdict":
        """Hold logits on the CPU against `label` (N,)."""
        loss = float(functional.cross_entropy(logits["fused"].double(), label))
        return cls(logits, loss, float(np.mean(logits["fused"].argmax(1).numpy() == label.numpy())))

    @classmethod
    def of_levels(cls, outputs: dict[str, Tensor], level: Tensor, *, n_levels: int) -> "Verdict":
        """Hold numbers (N, 1) against levels (N,): mean squared distance, and how often the right one is nearest."""
        said = outputs["fused"].double().squeeze(1)
        loss = float((said - level).square().mean())
        return cls(outputs, loss, float(np.mean(nearest_level(said.numpy(), n_levels) == level.numpy())))


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

    def enter(
        self,
        epoch: int,
        verdicts: Mapping[str, Verdict],
        *,
        rate: float,
        train_loss: float,
        weights: Mapping[str, Tensor],
        keep: tuple[str, ...],
        train_accuracy: float | None = None,
    ) -> None:
        """Enter an epoch into the history and make it every selection's choice by whose rule it is the best so far.

        verdicts : of the roles test and, unless nobody validates, validation.
        keep : selections whose weights are kept.
        train_accuracy : of the training pass; None: the history has no such column.
        """
        metrics = {f"{role}_loss": verdict.loss for role, verdict in verdicts.items()}
        metrics |= {f"{role}_accuracy": verdict.accuracy for role, verdict in verdicts.items()}
        self.history.append({"epoch": epoch, "learning_rate": rate, "train_loss": train_loss} | metrics)
        if train_accuracy is not None:
            self.history[-1][tables.TRAIN_ACCURACY] = train_accuracy
        ranks = {"optimistic": [-verdicts["test"].accuracy, verdicts["test"].loss]}
        if "validation" in verdicts:
            ranks["honest"] = [verdicts["validation"].loss]
        for selection, rank in ranks.items():
            best = self.choices.get(selection)
            if best is None or rank < best.rank:  # of equals, the earlier is chosen
                logits = {role: verdict.logits for role, verdict in verdicts.items()}
                kept = {name: value.detach().cpu().clone() for name, value in weights.items() if selection in keep}
                self.choices[selection] = Choice(epoch, rank, metrics, logits, kept)


def run_epochs(
    run_epoch: Callable[[int, Progress], None],
    parts: Mapping[str, Any],
    *,
    epochs: int,
    checkpoint: Path,
    key: str,
    every_s: float = 0.0,
) -> Progress:
    """Run epochs until the last one or until one finishes the progress, going on from a checkpoint if there is one.

    Parameters
    ----------
    run_epoch : changes `parts` and enters one epoch, counted from 1; its random numbers are named by the epoch.
    parts : name -> what has a state_dict and is changed by an epoch.
    checkpoint, key : see `resume`.
    every_s : least time between two checkpoints; the last epoch always has one.
    """
    progress = _restore(parts, checkpoint, key)
    first = len(progress.history) + 1
    title = checkpoint.relative_to(resume.ROOT).as_posix()
    saved_s = time.monotonic()
    for epoch in tqdm(range(first, epochs + 1), desc=title, initial=first - 1, total=epochs, disable=None):
        if progress.finished:
            break
        run_epoch(epoch, progress)
        if progress.finished or time.monotonic() - saved_s >= every_s:
            state = {name: part.state_dict() for name, part in parts.items()}
            resume.save(checkpoint, state | {"progress": _pack(progress)}, epoch=epoch, key=key)
            saved_s = time.monotonic()
    return progress


def _restore(parts: Mapping[str, Any], checkpoint: Path, key: str) -> Progress:
    """Load the checkpoint into `parts` and return its progress; a fresh one where there is none."""
    state = resume.load(checkpoint, key=key)
    if state is None:
        return Progress()
    for name, part in parts.items():
        part.load_state_dict(state[name])
    progress = _unpack(state["progress"])
    log.info("%s: going on after epoch %d", checkpoint, len(progress.history))
    return progress


def _pack(progress: Progress) -> dict[str, Any]:
    choices = {selection: dict(vars(choice)) for selection, choice in progress.choices.items()}
    return dict(vars(progress)) | {"choices": choices}


def _unpack(state: dict[str, Any]) -> Progress:
    choices = {selection: Choice(**choice) for selection, choice in state["choices"].items()}
    return Progress(**(state | {"choices": choices}))
