"""Checkpoints between epochs: a killed run goes on from its last whole epoch to the same bits.

All random numbers of an epoch come from streams that are named by seed, fold and epoch, so there are no generator
states to keep.
"""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from mien.core.files import atomic_file

log = logging.getLogger(__name__)

ROOT = Path(".checkpoints") / "training"
NAME = "epoch.pt"


def folder_of(corpus: str, variant: str, *, fold: int, seed: int) -> Path:
    """Return the folder in which a run keeps its checkpoint, below the working directory."""
    return ROOT / corpus / variant / run_name(fold, seed)


def run_name(fold: int, seed: int) -> str:
    """Return the name of the folder of one fold and seed."""
    return f"fold{fold}-seed{seed}"


def save(folder: Path, state: dict[str, Any], *, key: str) -> None:
    """Keep `state` (tensors, numbers, texts, lists and dicts of them); `key` names what it depends on."""
    with atomic_file(folder / NAME) as scratch:
        torch.save({"key": key, "state": state}, scratch)


def load(folder: Path, *, key: str) -> dict[str, Any] | None:
    """Return the state that was kept under the same `key`, or None; a damaged or stale one is passed over."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read (%s): starting again", path, error)
        return None
    if not isinstance(kept, dict) or kept.get("key") != key:
        log.info("%s is of other settings, data or code: starting again", path)
        return None
    return kept["state"]
