"""The one training loop: epochs, learning rate, evaluation, chosen epochs, checkpoints, and reproducible settings.

What differs between trainers is a `Task`: how one epoch is trained and how the samples of a role are evaluated.

Two epochs are chosen. Honest (validation-selected): the lowest loss on validation people; test people are only
reported. Optimistic (test-selected), of the same run: the best on the test people, as the thesis chose it.

A killed run goes on from its last checkpoint to the same bits: all random numbers of an epoch come from streams that
are named by seed, fold and epoch, so there are no generator states to keep.
"""

import copy
import importlib
import logging
import math
import os
import pickle
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mien import kernels
from mien.config.labels import nearest_level
from mien.config.schema import RecipeConfig
from mien.errors import ConfigError, ModelError
from mien.io import tables
from mien.io.files import atomic_file
from mien.io.randomness import rng_for, seed_for
from mien.models.layout import to_device
from mien.training.distributed import ALONE, Group

log = logging.getLogger(__name__)

ROOT = Path(".checkpoints") / "training"
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)
PREFIX = "epoch-"  # of the file of an epoch
MOMENTUM = 0.9  # of Nesterov's method
RISE = 0.15  # share of the steps in which the rate of one_cycle rises, from 1/25 of its peak
CHECKPOINT_S = 5.0  # least time between two checkpoints; the last epoch always has one
EVALUATED = 4  # training batches at once where no gradients are kept: fewer and larger calls


@dataclass(frozen=True)
class Draws:
    """The random numbers of a training: named by seed, scope and what they are for, and so the same after a kill."""

    seed: int  # of params.yaml
    scope: tuple[object, ...]

    def number(self, *names: object) -> int:
        """Return a seed for what `names` say."""
        return seed_for(self.seed, *self.scope, *names)

    def rng(self, *names: object) -> np.random.Generator:
        """Return a generator for what `names` say."""
        return rng_for(self.seed, *self.scope, *names)

    @contextmanager
    def epoch(self, epoch: int) -> Iterator[torch.Generator]:
        """Yield the generator of the augmentation of an epoch; within, dropout draws what belongs to the epoch too."""
        with torch.random.fork_rng(devices=[device()] if device().type == "cuda" else []):
            torch.manual_seed(self.number("dropout", epoch))  # nn.Dropout takes no generator
            yield torch.Generator(device()).manual_seed(self.number("augment", epoch))


class Pass(NamedTuple):
    """Of one pass over the training samples, as the network saw them: changed, with dropout, before each step."""

    loss: float  # mean per sample
    accuracy: float | None = None  # None: history.csv has no such column


@dataclass(frozen=True)
class EvalResult:
    """Of N samples: logits head -> (N, C) float32, the mean loss and the accuracy of the fused head."""

    logits: dict[str, Tensor]
    loss: float
    accuracy: float

    @classmethod
    def of(cls, logits: dict[str, Tensor], label: Tensor) -> "EvalResult":
        """Compare logits on the CPU with classes (N,): cross-entropy in float64."""
        loss = float(functional.cross_entropy(logits["fused"].double(), label))
        return cls(logits, loss, float(np.mean(logits["fused"].argmax(1).numpy() == label.numpy())))

    @classmethod
    def of_levels(cls, outputs: dict[str, Tensor], level: Tensor, *, n_levels: int) -> "EvalResult":
        """Compare numbers (N, 1) with levels (N,): mean squared distance, and how often the right one is nearest."""
        predicted = outputs["fused"].double().squeeze(1)
        loss = float((predicted - level).square().mean())
        return cls(outputs, loss, float(np.mean(nearest_level(predicted.numpy(), n_levels) == level.numpy())))


class Task(Protocol):
    """What a network is trained on."""

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Train one epoch, counted from 1, whose number names its random draws."""

    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Evaluate the samples of a role, in their order."""


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How a network is trained.

    optimizer, weight_decay : adam is Adam (Kingma and Ba 2015, arXiv 1412.6980), with a decay AdamW (Loshchilov and
        Hutter 2019, arXiv 1711.05101); sgd has Nesterov's momentum (Sutskever et al. 2013), and its decay is a part of
        the gradient.
    schedule : the learning rate stays; or is halved after `patience` epochs without a lower loss on the validation
        people (on the test people if nobody validates); or falls to zero along half a cosine (Loshchilov, Hutter 2017);
        or changes with every one of `steps` an epoch, up and down once (Smith, Topin 2018, arXiv 1708.07120).
    average : decay of an exponential moving average of all weights and statistics over the steps (Polyak, Juditsky
        1992), which is evaluated and kept in the place of the last ones; 0: none.
    stop : epochs without a lower loss after which training ends early.
    roles : evaluated after an epoch: test, and validation unless nobody validates; none: no epoch is chosen.
    evaluate_every : number of epochs between two that are evaluated; the last one always is.
    keep : selections whose weights are kept.
    checkpoint, key : folder of the checkpoints, and a digest of all that the result depends on.
    """

    learning_rate: float
    epochs: int
    checkpoint: Path
    key: str
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float | None = None
    schedule: Literal["constant", "plateau", "cosine", "one_cycle"] = "constant"
    patience: int = 0
    steps: int = 0
    average: float = 0.0
    stop: int | None = None
    evaluate_every: int = 1
    roles: tuple[str, ...] = ("validation", "test")
    keep: tuple[str, ...] = ("honest", "optimistic")


def recipe(row: RecipeConfig, *, schedule: str, weight_decay: float | None) -> dict[str, Any]:
    """Return the fields of `TrainSpec` that a row decides; `schedule` and `weight_decay` are of rows that do not."""
    return {
        "optimizer": row.optimizer,
        "schedule": row.schedule or schedule,
        "weight_decay": weight_decay if row.weight_decay is None else row.weight_decay,
        "average": row.average,
    }


def make_loss(row: RecipeConfig, label: np.ndarray, n_classes: int) -> Callable[..., Tensor]:
    """Return the loss of logits (B, C) and classes (B,): cross-entropy as the keys of a row change it.

    label : classes (N,) of the training samples, over which the weights of the classes have the mean 1.

    Label smoothing: Szegedy et al. 2016, arXiv 1512.00567.
    """
    changes: dict[str, Any] = {"label_smoothing": row.label_smoothing} if row.label_smoothing else {}
    if row.class_weights != "none":
        number = np.bincount(label, minlength=n_classes)
        weight = np.maximum(number, 1) ** (-0.5 if row.class_weights == "sqrt" else -1.0)
        changes["weight"] = torch.tensor(weight * len(label) / (weight @ number), dtype=torch.float32, device=device())
    return partial(functional.cross_entropy, **changes)


@dataclass
class Choice:
    """The best epoch so far by one rule: its rank, its numbers, its logits of each role, its weights."""

    epoch: int = 0
    rank: list[float] = field(default_factory=list)  # smaller is better
    metrics: dict[str, float] = field(default_factory=dict)
    logits: dict[str, dict[str, Tensor]] = field(default_factory=dict)  # role -> head -> (N, C)
    weights: dict[str, Tensor] = field(default_factory=dict)  # empty where they are not needed


@dataclass
class Progress:
    """Where a training stands after an epoch."""

    history: list[dict[str, float]] = field(default_factory=list)
    choices: dict[str, Choice] = field(default_factory=dict)  # selection -> choice
    lowest_loss: float = math.inf  # on the people that the schedule follows
    stale: int = 0  # epochs since
    finished: bool = False

    def enter(
        self,
        passed: Pass,
        results: Mapping[str, EvalResult],
        *,
        rate: float,
        weights: Mapping[str, Tensor],
        keep: tuple[str, ...],
    ) -> None:
        """Enter an epoch into the history and make it every selection's choice by whose rule it is the best so far."""
        epoch = len(self.history) + 1
        metrics = {f"{role}_loss": result.loss for role, result in results.items()}
        metrics |= {f"{role}_accuracy": result.accuracy for role, result in results.items()}
        self.history.append({"epoch": epoch, "learning_rate": rate, "train_loss": passed.loss} | metrics)
        if passed.accuracy is not None:
            self.history[-1][tables.TRAIN_ACCURACY] = passed.accuracy
        ranks = {}
        if "test" in results:
            ranks["optimistic"] = [-results["test"].accuracy, results["test"].loss]
        if "validation" in results:
            ranks["honest"] = [results["validation"].loss]
        for selection, rank in ranks.items():
            best = self.choices.get(selection)
            if best is None or rank < best.rank:  # of equals, the earlier is chosen
                logits = {role: result.logits for role, result in results.items()}
                kept = {name: value.detach().cpu().clone() for name, value in weights.items() if selection in keep}
                self.choices[selection] = Choice(epoch, rank, metrics, logits, kept)

    def follow(self, loss: float) -> None:
        """Count the epochs since the lowest loss."""
        self.stale = 0 if loss < self.lowest_loss else self.stale + 1
        self.lowest_loss = min(loss, self.lowest_loss)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        choices = {selection: dict(vars(choice)) for selection, choice in self.choices.items()}
        return dict(vars(self)) | {"choices": choices}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Progress":
        """Return the progress that a checkpoint kept."""
        choices = {selection: Choice(**choice) for selection, choice in state["choices"].items()}
        return cls(**(dict(state) | {"choices": choices}))


class ExponentialMovingAverage:
    """The exponential moving average of the weights and statistics of a model over its steps.

    The decay grows to `decay` over the first steps, so that the random first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.n_steps = copy.deepcopy(model), decay, 0

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Take a step of `model` in."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"n_steps": self.n_steps, "weights": self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.n_steps = state["n_steps"]
        self.model.load_state_dict(state["weights"])


def fit(model: nn.Module, task: Task, spec: TrainSpec, *, group: Group = ALONE) -> Progress:
    """Train until the last epoch or an early stop, going on from a checkpoint if there is one.

    model : is moved to the device and changed; of a moving average it has the weights where no epoch is chosen.
    group : the processes that train together; all of them call this, and the first one keeps checkpoints.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    to_device(model, device())
    network = group.spread(model, device())
    optimizer = _make_optimizer([weight for weight in model.parameters() if weight.requires_grad], spec)
    scheduler = _make_scheduler(optimizer, spec)
    parts = {"model": model, "optimizer": optimizer} | ({} if scheduler is None else {"scheduler": scheduler})
    judged = model
    if spec.average:
        average = parts["average"] = ExponentialMovingAverage(model, spec.average)
        judged = average.model
        optimizer.register_step_post_hook(lambda *_: average.follow(model))
    if spec.schedule == "one_cycle":
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
    progress = Progress()
    kept = load(spec.checkpoint, key=spec.key) if group.is_first else None
    if state := group.collect(kept)[0]:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        progress = Progress.of(state["progress"])
        log.info("%s: going on after epoch %d", spec.checkpoint, len(progress.history))
    start, title = len(progress.history), spec.checkpoint.relative_to(ROOT).as_posix()
    epochs, saved_s = range(start + 1, spec.epochs + 1), time.monotonic()
    quiet = None if group.is_first else True  # None: silent unless a terminal looks on
    for epoch in tqdm(epochs, desc=title, initial=start, total=spec.epochs, disable=quiet):
        if progress.finished:
            break
        rate, began_s = optimizer.param_groups[0]["lr"], time.monotonic()
        passed = task.train_epoch(network, optimizer, epoch)
        if not math.isfinite(passed.loss):
            raise ModelError(f"{spec.checkpoint}: the loss is {passed.loss} in epoch {epoch}; lower the learning rate")
        roles = spec.roles if (spec.epochs - epoch) % spec.evaluate_every == 0 else ()
        results = {role: task.evaluate(judged, role) for role in roles}
        progress.enter(passed, results, rate=rate, weights=judged.state_dict(), keep=spec.keep)
        if group.is_first:
            seen = ", ".join(f"{role} {one.loss:.4f} ({one.accuracy:.1%})" for role, one in results.items())
            log.info(
                "%s: epoch %d of %d: rate %.3g, loss: training %.4f%s%s; %.1f s",
                *(title, epoch, spec.epochs, rate, passed.loss),
                f" ({passed.accuracy:.1%})" if passed.accuracy is not None else "",
                *(f", {seen}" if seen else "", time.monotonic() - began_s),
            )
        if followed := results.get("validation", results.get("test")):
            progress.follow(followed.loss)
        if scheduler is not None and spec.schedule != "one_cycle":  # which has followed every step
            scheduler.step(*([followed.loss] if spec.schedule == "plateau" else []))
        progress.finished = epoch == spec.epochs or (spec.stop is not None and progress.stale >= spec.stop)
        if group.is_first and (progress.finished or time.monotonic() - saved_s >= CHECKPOINT_S):
            state = {name: part.state_dict() for name, part in parts.items()} | {"progress": progress.state_dict()}
            save(spec.checkpoint, state, epoch=epoch, key=spec.key)
            saved_s = time.monotonic()
    if judged is not model and not spec.roles:  # no epoch is chosen: the model is what was trained
        model.load_state_dict(judged.state_dict())
    return progress


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Change the weights once."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _make_optimizer(learning: list[nn.Parameter], spec: TrainSpec) -> torch.optim.Optimizer:
    options = {"lr": spec.learning_rate, "fused": True}  # fused: one call for all weights
    if spec.optimizer == "sgd":
        decay = spec.weight_decay or 0.0
        return torch.optim.SGD(learning, momentum=MOMENTUM, nesterov=True, weight_decay=decay, **options)
    if spec.weight_decay is None:
        return torch.optim.Adam(learning, **options)
    return torch.optim.AdamW(learning, weight_decay=spec.weight_decay, **options)


def _make_scheduler(optimizer: torch.optim.Optimizer, spec: TrainSpec) -> Any:
    if spec.schedule == "plateau":  # torch waits one epoch longer than `patience`
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=spec.patience - 1, threshold=0.0, eps=0.0
        )
    if spec.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=spec.epochs)
    if spec.schedule == "one_cycle":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_one_cycle, n_steps=spec.steps * spec.epochs))
    return None


def _one_cycle(step: int, *, n_steps: int) -> float:
    """Return the share of the peak that the rate of a step has; counted from 0."""
    done = step / n_steps
    if done < RISE:
        return 0.04 + 0.96 * done / RISE
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - RISE) / (1 - RISE))))


def save(folder: Path, state: dict[str, Any], *, epoch: int, key: str) -> None:
    """Keep `state` (tensors, numbers, texts, lists and dicts of them) after an epoch; `key` names what it depends on.

    Each epoch has a file of its own and the older ones go: a rename onto an existing file waits for the disk.
    """
    path = folder / f"{PREFIX}{epoch:04d}.pt"
    with atomic_file(path) as scratch:
        torch.save({"key": key, "state": state}, scratch)
    for older in folder.glob(f"{PREFIX}*.pt"):
        if older != path:
            older.unlink()


def load(folder: Path, *, key: str) -> dict[str, Any] | None:
    """Return the latest state that was kept under `key`, or None; damaged and stale ones are passed over."""
    for path in sorted(folder.glob(f"{PREFIX}*.pt"), reverse=True):
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
        except DAMAGE as error:
            log.warning("%s cannot be read (%s): passed over", path, error)
            continue
        if isinstance(kept, dict) and kept.get("key") == key:
            return kept["state"]
        log.info("%s is of other settings, data or code: passed over", path)
    return None


def prepare(n_threads: int) -> None:
    """Make torch reproducible, with `n_threads` threads; to be called before any computation.

    Equal bits need an equal number of threads and an equal kind of device.
    """
    if n_threads < 1:
        raise ConfigError(f"--jobs should be at least 1, got {n_threads}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(n_threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # precision: float32 means it
    torch.backends.cuda.enable_flash_sdp(False)  # the gradients of fused attention add up in any order
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # we read none
    # As use_deterministic_algorithms, which imports torch's compiler too. Pooling on a GPU may have no other algorithm.
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    sys.modules.setdefault(_Uncompiled.NAME, _Uncompiled(_Uncompiled.NAME))
    log.info("device: %s, %d threads", device(), n_threads)
    kernels.warn()


class _Uncompiled(ModuleType):
    """Stands for torch's compiler, of which optimizers only ask to be left alone: to import it takes 2 CPU seconds.

    Whoever asks for more gets the compiler itself.
    """

    NAME = "torch._dynamo"

    def disable(self, function: Any, *_: Any, **__: Any) -> Any:
        """Return the function, which nobody compiles."""
        return function

    def graph_break(self) -> None:
        """Do nothing: there is no graph."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.NAME) is self:
            del sys.modules[self.NAME]
        return getattr(importlib.import_module(self.NAME), name)


def device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(kind: torch.device, precision: str) -> torch.autocast:
    """Return the context in which networks compute: bfloat16 on a GPU if asked for; weights stay float32."""
    return torch.autocast(kind.type, dtype=torch.bfloat16, enabled=kind.type == "cuda" and precision == "bfloat16")


def environment() -> list[Any]:
    """Return what other bits come from beside code and data: a checkpoint is not gone on with under another."""
    gpu = [torch.cuda.get_device_name(), torch.backends.cudnn.version()] if torch.cuda.is_available() else []
    return [torch.__version__, device().type, torch.get_num_threads(), *gpu]
