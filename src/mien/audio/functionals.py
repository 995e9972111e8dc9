"""The voice of a clip as one vector: statistics over the clip of descriptors of short frames.

As in sets such as eGeMAPS (Eyben et al. 2016, "The Geneva minimalistic acoustic parameter set"), of which it has the
parts that need no model of the voice: 20 mel-frequency cepstral coefficients, pitch, how periodic the frame is, and
energy, each with its course over time. `egemaps_functionals` are that set itself, by its authors' library.
"""

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
import torchaudio
from torch import Tensor
from torch.nn import functional

from mien.errors import ConfigError

HOP_S, FRAME_S, PITCH_S = 0.010, 0.032, 0.050  # between frames, and their lengths
COEFFICIENTS, BANDS = 20, 40
PITCH_HZ = (60.0, 600.0)
SHARES = (0.2, 0.5, 0.8)  # quantiles, as in eGeMAPS
FLOOR = 1e-10  # power; -100 dB of full scale
EGEMAPS_S = 0.1  # of sound that opensmile needs for a frame of every descriptor


def voice_functionals(wave: Tensor, rate_hz: int) -> np.ndarray:
    """Return mean, standard deviation and quantiles over a clip of every descriptor and its slope, float64 (D,).

    wave : (N,) float, full scale 1.
    """
    wave = functional.pad(wave, (0, max(0, round(PITCH_S * rate_hz) - len(wave))))
    cepstrum = _mfcc(rate_hz)(wave)  # (20, T)
    pitch, periodicity = find_pitch(wave, rate_hz)  # (T')
    power = wave.unfold(0, *_lengths(FRAME_S, rate_hz)).square().mean(dim=1)
    energy = 10 * power.clamp_min(FLOOR).log10()
    frames = min(len(pitch), len(energy), cepstrum.shape[1])
    courses = torch.cat(
        [cepstrum[:, :frames], torch.stack([one[:frames] for one in (pitch.log2(), periodicity, energy)])]
    )
    values = torch.cat([courses, torchaudio.functional.compute_deltas(courses)]).numpy().astype(np.float64)  # (46, T)
    return np.concatenate([values.mean(axis=1), values.std(axis=1), *np.quantile(values, SHARES, axis=1)])


def egemaps_functionals(wave: Tensor, rate_hz: int) -> np.ndarray:
    """Return the 88 functionals of eGeMAPS (v02) of a clip, float64; 0 where one is not defined.

    wave : (N,) float, full scale 1.

    Raises
    ------
    ConfigError : opensmile is not installed.
    """
    wave = functional.pad(wave, (0, max(0, round(EGEMAPS_S * rate_hz) - len(wave))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is short
        values = _egemaps().process_signal(wave.numpy(), rate_hz)
    return np.nan_to_num(values.to_numpy(np.float64)[0])


def find_pitch(wave: Tensor, rate_hz: int) -> tuple[Tensor, Tensor]:
    """Return the pitch in Hz, and how periodic it is, -1..1, of every frame (T,).

    It is the lag of the largest autocorrelation, relative to that of lag 0, within `PITCH_HZ`. A longer lag has fewer
    products in the sum, so that of a period and its multiples the period is taken (Boersma 1993 corrects for that, and
    needs a cost for low octaves instead).

    wave : (N,) with N of `PITCH_S` at least.
    """
    length, hop = _lengths(PITCH_S, rate_hz)
    frames = wave.unfold(0, length, hop)
    frames = frames - frames.mean(dim=1, keepdim=True)
    spectrum = torch.fft.rfft(frames, n=2 * length)
    correlation = torch.fft.irfft(spectrum.abs().square())  # (T, 2 * length)
    shortest, longest = (round(rate_hz / hz) for hz in reversed(PITCH_HZ))
    found = correlation[:, shortest : longest + 1] / correlation[:, :1].clamp_min(length * FLOOR)
    periodicity, lag = found.max(dim=1)
    return rate_hz / (lag + shortest), periodicity


def _lengths(frame_s: float, rate_hz: int) -> tuple[int, int]:
    return round(frame_s * rate_hz), round(HOP_S * rate_hz)


@cache
def _egemaps() -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise ConfigError(
            f"baselines.*.descriptors: egemaps needs {error.name}, which is not installed: pip install 'mien[egemaps]'"
            " (the library's licence is for research); or write mfcc"
        ) from error
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


@cache
def _mfcc(rate_hz: int) -> torchaudio.transforms.MFCC:
    length, hop = _lengths(FRAME_S, rate_hz)
    options = {"n_fft": length, "hop_length": hop, "n_mels": BANDS}
    return torchaudio.transforms.MFCC(rate_hz, n_mfcc=COEFFICIENTS, melkwargs=options)
