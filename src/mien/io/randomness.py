"""Random streams that depend on a seed and a name only."""

import zlib

import numpy as np


def entropy_for(seed: int, *scope: object) -> list[int]:
    """Return the integers that identify the stream of `scope` under `seed`."""
    return [seed, *(zlib.crc32(str(name).encode()) for name in scope)]


def rng_for(seed: int, *scope: object) -> np.random.Generator:
    """Return a generator that depends on the run seed and `scope` only.

    Adding a stage, changing the worker count or reordering a loop changes nobody else's draws.
    """
    return np.random.default_rng(entropy_for(seed, *scope))


def seed_for(seed: int, *scope: object) -> int:
    """Return a 63-bit integer seed of the stream of `scope`, for generators that are not numpy's."""
    return int(np.random.SeedSequence(entropy_for(seed, *scope)).generate_state(1, np.uint64)[0] >> 1)
