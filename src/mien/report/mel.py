"""Mel spectrograms, for figure 1.2 only: the networks are given linear frequency (thesis 4.5)."""

import numpy as np
from scipy import signal

from mien.core.config import SoundConfig

BANDS = 80
RANGE_DB = 70.0  # shown below the loudest cell


def mel_of(hz: np.ndarray | float) -> np.ndarray | float:
    """Return the mel scale's value of a frequency (O'Shaughnessy: 2595 log10(1 + f / 700))."""
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


def hz_of(mel: np.ndarray | float) -> np.ndarray | float:
    """Return the frequency of a value of the mel scale."""
    return 700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0)


def mel_bands(rate_hz: int, n_rows: int, *, n_bands: int = BANDS) -> np.ndarray:
    """Return (n_bands, n_rows) weights: triangles with equal steps in mel from 0 to half the rate, peaks of 1.

    n_rows : of a linear spectrogram from 0 Hz to half the rate.
    """
    edges = hz_of(np.linspace(0.0, mel_of(rate_hz / 2), n_bands + 2))
    hz = np.linspace(0.0, rate_hz / 2, n_rows)[None]
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0.0, None)


def mel_spectrogram(wave: np.ndarray, config: SoundConfig) -> np.ndarray:
    """Return (BANDS, K) level in dB re its maximum, with the networks' window and hop, of samples (N,).

    The transform is four times as long as the window, so that the narrow low bands do not fall between its rows.
    """
    wave = np.pad(wave, (0, max(0, config.window - len(wave))))
    *_, power = signal.spectrogram(
        wave,
        config.rate_hz,
        window="hann",
        nperseg=config.window,
        noverlap=config.window - config.hop,
        nfft=4 * config.window,
    )
    power = mel_bands(config.rate_hz, len(power)) @ power
    power = np.maximum(power, np.finfo(np.float32).tiny)
    return np.maximum(10 * np.log10(power / power.max()), -RANGE_DB)
