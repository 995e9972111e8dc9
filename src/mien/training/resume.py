"""Checkpoints between epochs: a killed run goes on from its last whole epoch to the same bits.

All random numbers of an epoch come from streams that are named by seed, fold and epoch, so there are no generator
states to keep.
"""

import logging
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch

from mien.core.files import atomic_file

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
