"""What happens to a picture on its way to a network: noise of the sensor, a lens out of focus, little light.

Pixels are grey levels 0 to 255 and stay whole numbers, as the stored regions are.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

WHITE = 255.0


def add_noise(pixels: np.ndarray, *, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of a `deviation` in grey levels, new in every channel of every frame; (T, S, S, 3) uint8."""
    return _grey_levels(pixels + deviation * rng.standard_normal(pixels.shape))


def blur(pixels: np.ndarray, *, sigma_px: float) -> np.ndarray:
    """Blur every frame of (T, S, S, 3) uint8 by a Gaussian of `sigma_px`; the edge is continued outwards."""
    return _grey_levels(gaussian_filter(pixels.astype(np.float32), (0, sigma_px, sigma_px, 0), mode="nearest"))


def darken(pixels: np.ndarray, *, factor: float) -> np.ndarray:
    """Multiply the grey levels of (T, S, S, 3) uint8 by `factor`."""
    return _grey_levels(factor * pixels.astype(np.float32))


def _grey_levels(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0.0, WHITE).astype(np.uint8)
