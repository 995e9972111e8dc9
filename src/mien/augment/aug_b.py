"""AUG-B, the class balancing of the thesis (section 4.3): changed copies of pictures of rare classes, made once.

A copy is the number of its source and the random numbers of its change, which are drawn once and stay the same in all
epochs. Its pixels are made on the device whenever it is looked at: stored, the 22 000 copies that FER2013 needs would
be as large as the corpus.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mien.augment.aug_a import Factors, mirror, warp
from mien.config.schema import AugmentConfig

BALANCING = AugmentConfig(  # thesis L978-991, as printed; unlike AUG-A it is not weakened at mini scale
    mirror=0.5,
    crop=0.0,
    blur=0.0,
    blur_sigma=0.0,
    contrast=(1.0, 1.0),
    noise=0.0,
    scale=(0.9, 1.1),
    translate=0.1,
    rotate=25.0,
    shear=8.0,
    slice=1.0,
)
DIFFER = 0.05  # share of the largest class by which classes may differ (thesis L976)
DRAWS = 6  # random numbers of a copy: mirror, scale, rotation, shear, two translations


@dataclass(frozen=True, eq=False)
class OversamplingPlan:
    """M copies; source (M,) int64 numbers of the rows that are copied, draws (M, DRAWS) float32 in 0..1."""

    source: np.ndarray
    draws: np.ndarray

    def __len__(self) -> int:
        return len(self.source)


class _Kept(Factors):
    """Factors from random numbers (N, DRAWS) that were drawn before; every call uses up a column."""

    def __init__(self, draws: Tensor) -> None:
        self.columns = iter(draws.unbind(1))

    def uniform(self, low: float, high: float) -> Tensor:
        return next(self.columns) * (high - low) + low


def balance(label: np.ndarray, rows: np.ndarray, *, rng: np.random.Generator) -> OversamplingPlan:
    """Choose copies of the samples `rows` that bring their classes to one size.

    A class of less than 95 % of the largest is filled up to the largest; others stay. Within a class no sample is
    copied twice more often than another. A class without samples stays empty.

    Parameters
    ----------
    label : (N,) classes of all samples.
    rows : numbers of the samples that may be copied, those of training.
    """
    classes, sizes = np.unique(label[rows], return_counts=True)
    sources = [np.empty(0, np.int64)]
    for name, size in zip(classes, sizes, strict=True):
        if size < (1 - DIFFER) * sizes.max():
            sources.append(_in_turn(rows[label[rows] == name], sizes.max() - size, rng))
    source = np.concatenate(sources)
    return OversamplingPlan(source, rng.random((len(source), DRAWS), dtype=np.float32))


def no_copies() -> OversamplingPlan:
    """Return no copies: every picture once, as it is."""
    return OversamplingPlan(np.empty(0, np.int64), np.empty((0, DRAWS), np.float32))


def change(pictures: Tensor, draws: Tensor) -> Tensor:
    """Make copies: mirror, then scale, translate, rotate and shear pictures (N, channels, H, W) by draws (N, DRAWS)."""
    factors = _Kept(draws)
    return warp(mirror(pictures, BALANCING, factors), BALANCING, factors)


def _in_turn(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return `n` of `rows`: all of them in random order, again and again."""
    n_turns = -(-n // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(n_turns)])[:n].astype(np.int64)
