"""The order in which an epoch looks at its training rows."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np


def random_batches(n: int, *, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield 0..n-1 in random order; a remainder of one joins the batch before (batch statistics need two)."""
    order = rng.permutation(n)
    edges = [*range(0, n, size), n]
    if len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    for start, stop in pairwise(edges):
        yield order[start:stop]
