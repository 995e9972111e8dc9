"""Several processes train one network: on the GPUs of a machine, over machines, or on the cores of a CPU.

    torchrun --nproc_per_node 8 -m mien pretrain ...
    torchrun --nnodes 2 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 -m mien pretrain ...

Every process runs the same command and takes its share of every global batch. What N processes compute is what one
process computes with the same global batches, up to the rounding of sums: gradients are summed over the samples of the
global batch, batch norm uses its statistics, and random numbers are drawn for the whole batch before it is cut. In
float64 the gradients agree to 14 digits; in float32 rounding grows from step to step where a sum decides on which side
of zero a unit lies. The first process writes and speaks; the others are silent.

torch's SyncBatchNorm needs GPUs, so on a CPU `GlobalBatchNorm2d` takes its place: the same statistics and gradients
from plain sums over the processes (Ioffe & Szegedy 2015, arXiv 1502.03167, with the global batch as the batch).
"""

import atexit
import contextlib
import io
import logging
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mien.core.errors import ConfigError, ModelError
from mien.training import machine, progress, resume

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # that torchrun sets


@dataclass(frozen=True)
class Team:
    """The processes that train together; `rank` 0..size-1 is this one."""

    rank: int
    size: int

    @cached_property
    def device(self) -> torch.device:
        """Return where this process computes."""
        return machine.device()  # `join` has made its own GPU the current one

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's consecutive share of `rows`; shares differ by one at most and may be empty."""
        return np.array_split(rows, self.size)[self.rank]

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def gather(self, part: Tensor, n: int) -> Tensor:
        """Return (n, ...) on every process: what each made of its `share` of n rows, in their order."""
        if self.size == 1:
            return part
        sizes = [len(rows) for rows in np.array_split(np.arange(n), self.size)]
        padded = part.new_zeros(max(sizes), *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def send(self, data: bytes) -> bytes:
        """Return the first process's `data` on every process."""
        if self.size == 1:
            return data
        length = torch.tensor([len(data)], device=self.device)
        distributed.broadcast(length, 0)
        values = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        if self.is_first:
            values.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else values)
        distributed.broadcast(values, 0)
        return values.cpu().numpy().tobytes()

    def agree(self, key: str, what: str) -> None:
        """Return when every process has come here with the same `key`, a digest of all that `what` depends on.

        Raises
        ------
        ModelError : keys differ; raised in all processes, as each would wait for the others for ever.
        """
        if self.size == 1:
            return
        differs = torch.zeros(self.size, device=self.device)
        differs[self.rank] = self.send(key.encode()) != key.encode()
        others = self.total(differs).nonzero().flatten().tolist()
        if others:
            raise ModelError(
                f"{what}: other data, parameters, code, device or number of threads than in process 0 in:"
                f" {', '.join(map(str, others))}; give every machine the same results/, params.yaml and version"
            )

    def wait(self) -> None:
        """Return when every process has come here."""
        self.total(torch.zeros(1, device=self.device)).cpu()


def join() -> Team:
    """Meet the other processes that torchrun started, if any; may be called again.

    Raises
    ------
    ConfigError : torchrun was asked for more processes than there are GPUs.
    """
    rank, size, local = (int(os.environ.get(name, default)) for name, default in zip(VARIABLES, (0, 1, 0), strict=True))
    if size > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            if local >= torch.cuda.device_count():
                raise ConfigError(
                    f"torchrun started process {local} on a machine with {torch.cuda.device_count()} GPUs;"
                    " start as many as there are GPUs (--nproc_per_node)"
                )
            torch.cuda.set_device(local)
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
    if rank > 0:
        logging.getLogger("mien").setLevel(logging.WARNING)
    return Team(rank, size)


def spread(model: nn.Module, team: Team) -> nn.Module:
    """Return the network that trains in step with its copies in the other processes.

    Its batch norms have been exchanged within `model`, under the same names; the loss of a process is to be divided by
    the size of the global batch and multiplied by the number of processes, over which gradients are averaged.
    """
    if team.size == 1:
        return model
    on_gpu = team.device.type == "cuda"
    with_global_statistics(model, nn.SyncBatchNorm if on_gpu else GlobalBatchNorm2d)
    # statistics are equal everywhere already: buffers need not be sent before every step
    return DistributedDataParallel(model, device_ids=[team.device] if on_gpu else None, broadcast_buffers=False)


class _Sum(torch.autograd.Function):
    """Sum over the processes; every process's loss depends on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(_, value: Tensor) -> Tensor:
        value = value.clone()
        distributed.all_reduce(value)
        return value

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        return _Sum.forward(None, gradient.contiguous())


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with the statistics of the global batch, (N, channels, H, W) of this process, N may be 0."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        count = _Sum.apply(x.new_tensor([x.numel() / self.num_features]))
        mean = _Sum.apply(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[:, None, None]  # two passes: the difference of large sums would lose digits
        variance = _Sum.apply(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]


def with_global_statistics(model: nn.Module, kind: type[nn.Module]) -> None:
    """Exchange the BatchNorm2d below `model` for `kind`, with the same parameters, buffers and names."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            twin = kind(child.num_features, eps=child.eps, momentum=child.momentum)
            for part, value in (*child.named_parameters(recurse=False), *child.named_buffers(recurse=False)):
                setattr(twin, part, value)
            setattr(model, name, twin)
        else:
            with_global_statistics(child, kind)


def run_epochs(
    run_epoch: Callable[[int, progress.Progress], None],
    parts: Mapping[str, Any],
    *,
    team: Team,
    epochs: int,
    checkpoint: Path,
    key: str,
    every_s: float = 0.0,
) -> progress.Progress:
    """Do what `progress.run_epochs` does, in step with the other processes.

    The first process keeps the checkpoints. Copies of those that it finds are handed to the others before they start,
    byte for byte, so all go on from the same state whether or not the machines share a disk. `run_epoch` sets
    `Progress.finished` in the first process alone: the others keep nothing.

    Raises
    ------
    ModelError : the processes have different keys, so some would pass over a checkpoint that others go on from.
    """
    options = {"epochs": epochs, "key": key}
    if team.size == 1:
        return progress.run_epochs(run_epoch, parts, checkpoint=checkpoint, every_s=every_s, **options)
    team.agree(key, checkpoint.as_posix())
    kept = sorted(checkpoint.glob(f"{resume.PREFIX}*.pt")) if team.is_first else []
    names = team.send("\n".join(path.name for path in kept).encode()).decode().splitlines()
    copies = {name: team.send((checkpoint / name).read_bytes() if team.is_first else b"") for name in names}
    if team.is_first:
        return progress.run_epochs(run_epoch, parts, checkpoint=checkpoint, every_s=every_s, **options)
    mine = checkpoint / f"process-{team.rank}"
    for name, data in copies.items():
        mine.mkdir(parents=True, exist_ok=True)
        (mine / name).write_bytes(data)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # one bar is enough; log lines keep their stream
            return progress.run_epochs(run_epoch, parts, checkpoint=mine, every_s=math.inf, **options)
    finally:
        shutil.rmtree(mine, ignore_errors=True)
