"""Several processes train one network: on the GPUs of a machine, over machines, or on the cores of a CPU.

    torchrun --nproc_per_node 8 -m mien pretrain ...
    torchrun --nnodes 2 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 -m mien pretrain ...

Every process runs the same command and takes its share of every global batch. What N processes compute is what one
process computes with the same global batches, up to the rounding of sums: gradients are summed over the samples of the
global batch (DistributedDataParallel), batch norm uses its statistics, and random numbers are drawn for the whole batch
before it is cut. The first process writes and speaks.
"""

import atexit
import logging
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce  # unlike distributed's, it has a gradient
from torch.nn.parallel import DistributedDataParallel

from mien.errors import ConfigError, ModelError


@dataclass(frozen=True)
class Group:
    """The processes that train together; `rank` 0..size-1 is this one, and 0 writes and speaks."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def shard(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's consecutive share of `rows`; shares differ by one at most and may be empty."""
        return np.array_split(rows, self.size)[self.rank]

    def collect(self, value: Any) -> list[Any]:
        """Return what every process gives, in their order."""
        values = [value] * self.size
        if self.size > 1:
            distributed.all_gather_object(values, value)
        return values

    def gather(self, part: Tensor) -> Tensor:
        """Return (n, ...) on every process: what each made of its `shard` of n rows, in their order."""
        return part if self.size == 1 else torch.cat(self.collect(part.cpu())).to(part.device)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        return value if self.size == 1 else all_reduce(value)

    def require_equal(self, key: str, what: str) -> None:
        """Return when every process has come here with the same `key`, a digest of all that `what` depends on.

        Raises
        ------
        ModelError : keys differ; in all processes, as each would wait for the others for ever.
        """
        keys = self.collect(key)
        if others := [str(rank) for rank, one in enumerate(keys) if one != keys[0]]:
            raise ModelError(
                f"{what}: other data, parameters, code, device or number of threads than in process 0 in:"
                f" {', '.join(others)}; give every machine the same results/, params.yaml and version"
            )

    def spread(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return the network that trains in step with its copies in the other processes; `model` is changed.

        The loss of a process is to be divided by the size of the global batch and multiplied by the number of
        processes, over which gradients are averaged.
        """
        if self.size == 1:
            return model
        on_gpu = device.type == "cuda"
        if on_gpu:
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        for part in model.modules():
            if type(part) is nn.BatchNorm2d:
                part.__class__ = GlobalBatchNorm2d  # keeps its weights, statistics and name
        # statistics are equal everywhere already: buffers need not be sent before every step
        return DistributedDataParallel(model, device_ids=[device] if on_gpu else None, broadcast_buffers=False)


ALONE = Group(0, 1)


def join_group() -> Group:
    """Meet the other processes that torchrun started, if any; may be called again.

    Raises
    ------
    ConfigError : torchrun was asked for more processes than there are GPUs.
    """
    rank, size, local = (int(os.environ.get(name, 0)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
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
    return Group(rank, max(size, 1))


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with the statistics of the global batch (Ioffe and Szegedy 2015, arXiv 1502.03167) on a CPU.

    torch's SyncBatchNorm needs GPUs. (N, channels, H, W) of this process; N may be 0.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        count = all_reduce(x.new_tensor([x.numel() / self.num_features]))
        mean = all_reduce(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[:, None, None]  # two passes: the difference of large sums would lose digits
        variance = all_reduce(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]
