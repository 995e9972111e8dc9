"""Adam and AdamW of torch, less their import of its compiler.

torch marks methods of its optimisers as not to be compiled, and the mark imports torch._dynamo and sympy: over a second
of every job. Nothing is compiled here, so the same methods are taken without the mark.

Checkpoints between epochs: a killed run goes on from its last whole epoch to the same bits.

All random numbers of an epoch come from streams that are named by seed, fold and epoch, so there are no generator
states to keep.


Where a training stands: what is said of every epoch, which epochs are chosen, and how a killed run goes on.

Honest: the epoch with the lowest loss of the validation people; the test people are only reported. Optimistic: of the
same run, the epoch that was best on the test people, as the thesis chose it.


Arguments that the commands share which train folds of a corpus.

Where the random changes of an epoch come from: named scopes, so that a resumed run draws what a whole one does.

The machine that trains: reproducible settings of torch, the device, and what other bits come from.
"""

import ctypes
import inspect
import logging
import math
import os
import pickle
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mien.config.labels import nearest_level
from mien.io import tables
from mien.io.files import atomic_file
from mien.io.randomness import seed_for

log = logging.getLogger(__name__)

ROOT = Path(".checkpoints") / "training"
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)
PREFIX = "epoch-"  # of the file of an epoch


def folder_of(corpus: str, variant: str, *, fold: int, seed: int) -> Path:
    """Return the folder in which a run keeps its checkpoint, below the working directory."""
    return ROOT / corpus / variant / run_name(fold, seed)


def run_name(fold: int, seed: int) -> str:
    """Return the name of the folder of one fold and seed."""
    return f"fold{fold}-seed{seed}"


def remove(corpus: str, variant: str, *, fold: int, seed: int) -> None:
    """Delete the checkpoint of a run, if there is one; to be called when all that its command makes is written."""
    shutil.rmtree(folder_of(corpus, variant, fold=fold, seed=seed), ignore_errors=True)


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
    title = checkpoint.relative_to(ROOT).as_posix()
    saved_s = time.monotonic()
    for epoch in tqdm(range(first, epochs + 1), desc=title, initial=first - 1, total=epochs, disable=None):
        if progress.finished:
            break
        run_epoch(epoch, progress)
        if progress.finished or time.monotonic() - saved_s >= every_s:
            state = {name: part.state_dict() for name, part in parts.items()}
            save(checkpoint, state | {"progress": _pack(progress)}, epoch=epoch, key=key)
            saved_s = time.monotonic()
    return progress


def _restore(parts: Mapping[str, Any], checkpoint: Path, key: str) -> Progress:
    """Load the checkpoint into `parts` and return its progress; a fresh one where there is none."""
    state = load(checkpoint, key=key)
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


def add_fold_arguments(parser, *, init: str, out: str) -> None:
    """Declare which folds and seeds are trained, on what data and from which first weights.

    init : key of params.yaml that names the first weights.   out : an example of the folder that is written.
    """
    parser.add_argument("--folds", type=int, nargs="+", required=True, metavar="K", help="folds to test on, from 0")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="S", help="repetitions")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with corpora/, faces/ and sound/")
    parser.add_argument("--out", type=Path, required=True, help=out)
    parser.add_argument(
        "--init", nargs="+", default=[], metavar="MODALITY=FILE", help=f"model files of the rows in {init}"
    )


@contextmanager
def draws_of(epoch: int, *, seed: int, scope: tuple[object, ...], device: torch.device) -> Iterator[torch.Generator]:
    """Yield the generator of the augmentation of an epoch; within, dropout draws what belongs to the epoch too."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for(seed, *scope, "dropout", epoch))  # nn.Dropout takes no generator
        yield torch.Generator(device).manual_seed(seed_for(seed, *scope, "augment", epoch))


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT = 2**30  # bytes


def prepare(n_threads: int) -> None:
    """Make torch reproducible, with `n_threads` threads.

    To be called before any computation. Equal bits need an equal number of threads and an equal kind of device.
    """
    _keep_freed_memory()
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


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next batch; a C library without this call is left as it is.

    It would map arrays of more than 32 MB anew each time, and the system clears their pages: with the feature maps of
    CNN-3, 45 MB of a batch, a quarter of all time.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def conditions() -> list[Any]:
    """Return what other bits come from beside code and data: a checkpoint is not gone on with under another."""
    gpu = [torch.cuda.get_device_name(), torch.backends.cudnn.version()] if torch.cuda.is_available() else []
    return [torch.__version__, device().type, torch.get_num_threads(), *gpu]


class _Uncompiled(torch.optim.Optimizer):
    """The methods under the marks; a version of torch that does not mark one gives it as it is."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class Adam(_Uncompiled, torch.optim.Adam):
    """torch.optim.Adam (Kingma and Ba 2015, arXiv 1412.6980) of the `weights` that learn, one call for all of them."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))

    def __init__(self, weights: Iterable[nn.Parameter], *, learning_rate: float) -> None:
        super().__init__([weight for weight in weights if weight.requires_grad], lr=learning_rate, fused=True)


class AdamW(_Uncompiled, torch.optim.AdamW):
    """torch.optim.AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) of the `weights` that learn, likewise."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))

    def __init__(self, weights: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float) -> None:
        learning = [weight for weight in weights if weight.requires_grad]
        super().__init__(learning, lr=learning_rate, weight_decay=weight_decay, fused=True)
