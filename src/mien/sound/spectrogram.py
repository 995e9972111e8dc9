"""Spectrogram of a clip and its segments (thesis section 4.5): Hann window 512, hop 64 at 16 kHz, linear frequency.

The spectrogram is computed once for the whole clip; a segment is a run of its columns, 250 of them for one second, so
segments start at multiples of the hop (of `pool` hops where squares are averaged).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.core.config import SoundConfig

FLOOR = 1e-6  # added to the magnitude before the logarithm


def segment_shape(config: SoundConfig) -> tuple[int, int]:
    """Return rows (frequency) and columns (time) of a segment; a remainder of an averaged square is left out."""
    return (config.window // 2 + 1) // config.pool, config.segment // config.pool


def segment_s(config: SoundConfig) -> float:
    """Return the length of a segment in s."""
    return config.segment * config.hop / config.rate_hz


def spectrogram(wave: Tensor, config: SoundConfig) -> Tensor:
    """Return the z-scored (log) magnitude spectrogram of a clip.

    Parameters
    ----------
    wave : (N,) float at `config.rate_hz`, any level: it is brought to mean 0 and deviation 1 first.

    Returns
    -------
    (F, K) float, F = rows of `segment_shape`, K = N // (hop * pool) columns, at least 1; column k is centred on
    the sample k * hop * pool plus half the averaged square. Mean 0, deviation 1 over the clip; 0 where constant.
    """
    wave = _standardise(wave.float())
    short = config.hop * config.pool - len(wave)
    if short > 0:
        wave = functional.pad(wave, (0, short))
    magnitude = torch.stft(
        wave,
        n_fft=config.window,
        hop_length=config.hop,
        window=torch.hann_window(config.window, device=wave.device),
        pad_mode="constant",  # reflection needs a clip longer than half a window
        return_complex=True,
    ).abs()  # (window // 2 + 1, N // hop + 1)
    magnitude = magnitude[:, : len(wave) // config.hop]
    if config.pool > 1:
        magnitude = functional.avg_pool2d(magnitude.unsqueeze(0), config.pool).squeeze(0)
    return _standardise(torch.log(magnitude + FLOOR) if config.log else magnitude)


def cut_segments(spectrum: Tensor, starts_s: np.ndarray, config: SoundConfig) -> Tensor:
    """Cut segments out of a spectrogram; a clip that ends earlier is continued by its minimum.

    Parameters
    ----------
    spectrum : (F, K), from `spectrogram`.
    starts_s : (S,) start times in s.

    Returns
    -------
    (S, 1, F, W), W = columns of `segment_shape`.
    """
    width = segment_shape(config)[1]
    if (short := width - spectrum.shape[1]) > 0:
        spectrum = functional.pad(spectrum, (0, short), value=float(spectrum.min()))
    columns = np.rint(np.asarray(starts_s) * config.rate_hz / (config.hop * config.pool)).astype(int)
    columns = columns.clip(0, spectrum.shape[1] - width)
    return torch.stack([spectrum[:, start : start + width] for start in columns.tolist()]).unsqueeze(1)


def _standardise(values: Tensor) -> Tensor:
    centred = values - values.mean()
    return centred / centred.square().mean().sqrt().clamp(min=1e-8)
