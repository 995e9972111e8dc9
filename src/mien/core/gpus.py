"""A GPU for every training: which there are, and how a process takes one that no other training holds.

A GPU is held by a lock of the operating system on a file, which is free again when the process ends, however it ends.
Processes that are given one GPU, or told which (CUDA_VISIBLE_DEVICES, as SLURM sets it), keep to that.
"""

import fcntl
import itertools
import logging
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
_held: list[TextIO] = []  # locks of this process; closing one gives its GPU back


def visible_gpus(devices: Path = Path("/dev")) -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them; the order is that of CUDA.

    Nothing of CUDA is loaded: what a process may see has to be settled before.
    """
    told = os.environ.get(VISIBLE)
    if told is not None:
        names = (name.strip() for name in told.split(",") if name.strip())
        return list(itertools.takewhile(lambda name: not name.startswith("-"), names))  # CUDA's rule: -1 ends the list
    nodes = [path for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(k) for k in range(len(nodes))]


def take_gpu(*, poll_s: float = 2.0) -> None:
    """Let this process see one GPU that no other training holds; wait while all are held.

    To be called before anything asks CUDA. Where there is no choice nothing happens: without a GPU, with one, and in
    the processes of torchrun, which share out the GPUs of a machine by themselves.
    """
    names = visible_gpus()
    if len(names) < 2 or "LOCAL_RANK" in os.environ:
        return
    waiting = False
    while (name := _take_free(names)) is None:
        if not waiting:
            all_of = ", ".join(names)
            log.info("GPUs %s are held by other trainings; waiting (%s=N takes one all the same)", all_of, VISIBLE)
        waiting = True
        time.sleep(poll_s)
    os.environ[VISIBLE] = name
    log.info("GPU %s of %d", name, len(names))


def _take_free(names: Sequence[str]) -> str | None:
    """Lock the first of `names` that nobody holds until this process ends, and return it."""
    folder = Path(tempfile.gettempdir()) / f"mien-gpus-{os.getuid()}"  # one for all checkouts of a person
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        lock = (folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        return name
    return None
