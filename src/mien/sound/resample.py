"""Any sound to the rate and the single channel that every later stage expects."""

from fractions import Fraction

import numpy as np
import torch
import torchaudio.functional

from mien.core.errors import MediaError
from mien.core.shards import FULL_SCALE

MAX_RATIO = 1000  # terms of the ratio of rates: the filter bank grows with them; pitch changes by 1e-6 at most


def to_mono(samples: np.ndarray, rate_hz: int, target_hz: int) -> np.ndarray:
    """Return the mean of the channels of samples (channels, N) at `target_hz`, (M,) float32; the level is kept.

    Band-limited interpolation (torchaudio's windowed sinc; Smith, Digital Audio Resampling).

    Raises
    ------
    MediaError : no samples, an impossible rate, or samples that are not numbers.
    """
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.size == 0 or rate_hz <= 0:
        raise MediaError(f"a sound needs samples and a rate, got {samples.shape[1]} samples at {rate_hz} Hz")
    if not np.isfinite(samples).all():
        raise MediaError("the sound holds samples that are not finite numbers")
    ratio = Fraction(rate_hz, target_hz).limit_denominator(MAX_RATIO)
    mono = torch.from_numpy(samples.mean(axis=0))  # (N,)
    return torchaudio.functional.resample(mono, ratio.numerator, ratio.denominator).numpy()


def level_of(wave: np.ndarray) -> tuple[float, float]:
    """Return (peak, root mean square) of a wave (N,), shares of full scale."""
    if wave.size == 0:
        return 0.0, 0.0
    wide = wave.astype(np.float64)
    return float(np.abs(wide).max()), float(np.sqrt(np.mean(wide**2)))


def is_silent(peak: float, silence_dbfs: float) -> bool:
    """Tell whether a sound with this peak has no voice: its level stays below `silence_dbfs`."""
    return peak < 10.0 ** (silence_dbfs / 20.0)


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Return a wave (N,) in -1..1 as int16, clipped at full scale."""
    return np.round(wave.astype(np.float64) * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE).astype(np.int16)
