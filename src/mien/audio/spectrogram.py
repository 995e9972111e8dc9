"""Spectrogram of a clip and its segments (thesis section 4.5): Hann window 512, hop 64 at 16 kHz, linear frequency.

The spectrogram is computed once for the whole clip; a segment is a run of its columns, 250 of them for one second, so
segments start at multiples of the hop (of `pool` hops where squares are averaged).

Networks that run along with a sound cannot wait for its end: they are given segments that are transformed and
standardised each on its own (`segment_alone`), so that what is heard later changes nothing.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.config.schema import SoundConfig

FLOOR = 1e-6  # added to the magnitude before the logarithm
TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal


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
    bins = torch.stft(
        wave,
        n_fft=config.window,
        hop_length=config.hop,
        window=torch.hann_window(config.window, device=wave.device),
        pad_mode="constant",  # reflection needs a clip longer than half a window
        return_complex=True,
    )  # (window // 2 + 1, N // hop + 1)
    return _standardise(cells(bins[None, :, : len(wave) // config.hop], config).squeeze(0))


def cells(bins: Tensor, config: SoundConfig) -> Tensor:
    """Return (log) magnitudes of transforms, averaged over squares; (B, window // 2 + 1, K) complex -> (B, F, W)."""
    # abs() guards against overflow, of which the transform of a sound is far, and takes twice as long.
    magnitude = torch.addcmul(bins.real.square(), bins.imag, bins.imag).sqrt()
    if config.pool > 1:  # of the transposed, which is how a transform lies in memory
        magnitude = functional.avg_pool2d(magnitude.mT, config.pool).mT
    return torch.log(magnitude + FLOOR) if config.log else magnitude


def cut_segments(spectrum: Tensor, starts_s: np.ndarray, config: SoundConfig, *, stop_s: float | None = None) -> Tensor:
    """Cut segments out of a spectrogram; where it ends it is continued by its minimum.

    Parameters
    ----------
    spectrum : (F, K), from `spectrogram`.
    starts_s : (S,) start times in s.
    stop_s : the time in s at which the spectrogram is taken to end, if not at its own end.

    Returns
    -------
    (S, 1, F, W), W = columns of `segment_shape`.
    """
    width = segment_shape(config)[1]
    rate = config.rate_hz / (config.hop * config.pool)  # columns per second
    # Rounding down: a segment that ends with the clip, or where another begins, does not reach beyond by a column.
    columns = np.floor(np.asarray(starts_s) * rate + TOLERANCE_S).astype(int).clip(0)
    n_columns = spectrum.shape[1] if stop_s is None else min(int(stop_s * rate + TOLERANCE_S), spectrum.shape[1])
    if (short := int(columns.max()) + width - n_columns) > 0:
        spectrum = functional.pad(spectrum[:, :n_columns], (0, short), value=float(spectrum.min()))
    return torch.stack([spectrum[:, start : start + width] for start in columns.tolist()]).unsqueeze(1)


def segment_alone(wave: Tensor, config: SoundConfig) -> Tensor:
    """Return the segment of one stretch of sound on its own: nothing beyond it enters, not even its mean level.

    Parameters
    ----------
    wave : (N,) float at `config.rate_hz`, any level, at least as long as a segment: the newest part is taken.

    Returns
    -------
    (1, F, W), rows and columns of `segment_shape`; mean 0, deviation 1; one and the same number where silent.
    """
    newest = wave[-config.segment * config.hop :]
    return spectrogram(newest, config)[:, : segment_shape(config)[1]].unsqueeze(0)


def is_heard(wave: Tensor, config: SoundConfig) -> bool:
    """Tell whether the peak of a stretch (N,), shares of full scale, reaches `silence_dbfs`: else it is no step."""
    return len(wave) > 0 and float(wave.abs().max()) >= 10.0 ** (config.silence_dbfs / 20.0)


def segment_ends(duration_s: float, config: SoundConfig, *, hop_s: float) -> np.ndarray:
    """Return the ends (K,) in s of the segments that run along with a sound: every `hop_s` from the first whole one on.

    A sound that is shorter than a segment has none: while it runs, nobody knows that it will be short.
    """
    length_s = segment_s(config)
    if duration_s < length_s - TOLERANCE_S:
        return np.empty(0)
    return length_s + hop_s * np.arange(int((duration_s - length_s + TOLERANCE_S) / hop_s) + 1)


def _standardise(values: Tensor) -> Tensor:
    centred = values - values.mean()
    return centred / centred.square().mean().sqrt().clamp(min=1e-8)
