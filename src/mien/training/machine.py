"""The machine that trains: reproducible settings of torch, the device, and what other bits come from."""

import ctypes
import os
from typing import Any

import torch

from mien.core.gpus import take_gpu

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT = 2**30  # bytes


def prepare(n_threads: int) -> None:
    """Take a GPU if there are several, and make torch reproducible, with `n_threads` threads.

    To be called before any computation. Equal bits need an equal number of threads and an equal kind of device.
    """
    take_gpu()
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
