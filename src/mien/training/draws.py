"""Where the random changes of an epoch come from: named scopes, so that a resumed run draws what a whole one does."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mien.core.rng import seed_for


@contextmanager
def draws_of(epoch: int, *, seed: int, scope: tuple[object, ...], device: torch.device) -> Iterator[torch.Generator]:
    """Yield the generator of the augmentation of an epoch; within, dropout draws what belongs to the epoch too."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for(seed, *scope, "dropout", epoch))  # nn.Dropout takes no generator
        yield torch.Generator(device).manual_seed(seed_for(seed, *scope, "augment", epoch))
