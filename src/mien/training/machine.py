"""The machine that trains: reproducible settings of torch, the device, and what other bits come from."""

import os
from typing import Any

import torch


def prepare(n_threads: int) -> None:
    """Make torch reproducible, with `n_threads` threads; call before any computation.

    Equal bits need an equal number of threads and an equal kind of device.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(n_threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # precision: float32 means it
    torch.utils.deterministic.fill_uninitialized_memory = False  # we read none
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())  # pooling on a GPU may have no other


def device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def conditions() -> list[Any]:
    """Return what other bits come from beside code and data: a checkpoint is not gone on with under another."""
    return [torch.__version__, device().type, torch.get_num_threads()]
