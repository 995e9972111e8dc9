"""How strongly an emotion is acted: the levels of a corpus, as numbers, and the level that is nearest to a number."""

import numpy as np

LEVELS = {  # corpus -> its words for the intensity of a clip, in ascending order: 0, 1, ...
    "ravdess": ("normal", "strong"),
    "cremad": ("LO", "MD", "HI"),
}


def nearest_level(value: np.ndarray, n_levels: int) -> np.ndarray:
    """Return for every number (N,) the nearest of 0..n_levels - 1, int64 (N,); the lower one of two."""
    return np.ceil(np.asarray(value, dtype=np.float64) - 0.5).clip(0, n_levels - 1).astype(np.int64)
