"""Any sound to the rate and the single channel that every later stage expects."""

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
import torchaudio.transforms

from mien.errors import MediaError
from mien.io.media import Mixer
from mien.io.shards import FULL_SCALE

REACH = 8  # samples of the lower rate to each side that torchaudio's filter may use: 6 zeros at 0.99 of that rate
MAX_RATIO = 1000  # terms of the ratio of rates: the filter bank grows with them; pitch changes by 1e-6 at most


def to_mono(samples: np.ndarray, rate_hz: int, target_hz: int) -> np.ndarray:
    """Return samples (channels, N) as one channel (`Mixer`) at `target_hz`, (M,) float32; the level is kept.

    Band-limited interpolation (torchaudio's windowed sinc; Smith, Digital Audio Resampling).

    Raises
    ------
    MediaError : no samples, an impossible rate, or samples that are not numbers.
    """
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.size == 0 or rate_hz <= 0 or not _ratio(rate_hz, target_hz):
        raise MediaError(f"a sound needs samples and a rate, got {samples.shape[1]} samples at {rate_hz} Hz")
    if not np.isfinite(samples).all():
        raise MediaError("the sound holds samples that are not finite numbers")
    return _at_other_rate(Mixer().mix(samples), _ratio(rate_hz, target_hz))


class Resampler:
    """Brings a mono sound that comes in pieces to `target_hz`: put together, its pieces are what `to_mono` returns."""

    def __init__(self, rate_hz: int, target_hz: int) -> None:
        self._ratio = _ratio(rate_hz, target_hz)
        old, new = self._ratio.as_integer_ratio()  # so many samples become so many
        self._reach = old * math.ceil(REACH / min(old, new))  # of the filter to each side; a multiple of `old`
        self._held = np.zeros(0, dtype=np.float32)
        self._n_done = 0  # of the held samples, those that are there for the filter alone

    def take(self, samples: np.ndarray) -> np.ndarray:
        """Give the next samples (N,) float32; return those (M,) at the new rate that no later sample changes."""
        old, new = self._ratio.as_integer_ratio()
        self._held = np.concatenate([self._held, samples])
        stop = (len(self._held) - self._reach) // old * old
        if stop <= self._n_done:
            return np.zeros(0, dtype=np.float32)
        ready = _at_other_rate(self._held, self._ratio)[self._n_done // old * new : stop // old * new]
        spent = max(stop - self._reach, 0)
        self._held, self._n_done = self._held[spent:], stop - spent
        return ready

    def finish(self) -> np.ndarray:
        """Return the samples (M,) that are left, and begin anew."""
        old, new = self._ratio.as_integer_ratio()
        rest = _at_other_rate(self._held, self._ratio)[self._n_done // old * new :] if len(self._held) else self._held
        self._held, self._n_done = np.zeros(0, dtype=np.float32), 0
        return rest


def _ratio(rate_hz: int, target_hz: int) -> Fraction:
    return Fraction(rate_hz, target_hz).limit_denominator(MAX_RATIO)


def _at_other_rate(mono: np.ndarray, ratio: Fraction) -> np.ndarray:
    return _filter(ratio)(torch.from_numpy(mono)).numpy()


@lru_cache(maxsize=8)
def _filter(ratio: Fraction) -> torchaudio.transforms.Resample:
    """Return a resampler, whose bank of filters takes longer to make than to use on a block of sound."""
    return torchaudio.transforms.Resample(ratio.numerator, ratio.denominator, dtype=torch.float32)


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
