"""Spectrogram of a clip and its segments (thesis section 4.5): Hann window 512, hop 64 at 16 kHz, linear frequency.

The spectrogram is computed once for the whole clip; a segment is a run of its columns, 250 of them for one second, so
segments start at multiples of the hop (of `pool` hops where squares are averaged).

Networks that run along with a sound cannot wait for its end: they are given segments that are transformed and
standardised each on its own (`standardised_segment`), so that what is heard later changes nothing.

Networks that look at a whole voice at once (front end logmel) are given `log_mel`, which is cut by `crop_or_repeat`.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.config.schema import MelConfig, SoundConfig

FLOOR = 1e-6  # added to the magnitude before the logarithm
TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal
LOWEST_HZ = 50.0  # of the mel bands
POWER_FLOOR = 1e-6  # added to the power of a band before the logarithm; full scale is 1
QUIET_S = 0.06  # of what is below the level of silence, kept at both ends of a voice


def segment_shape(config: SoundConfig) -> tuple[int, int]:
    """Return rows (frequency) and columns (time) of a segment; a remainder of an averaged square is left out.

    Of the front end logmel, rows and columns of `crop_or_repeat`.
    """
    if config.front_end == "logmel":
        return config.mel.bands, config.mel.columns
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


def standardised_segment(wave: Tensor, config: SoundConfig) -> Tensor:
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


def trim_silence(wave: Tensor, config: SoundConfig) -> tuple[Tensor, float]:
    """Return a sound without the silence before and after the voice, and when it begins, s.

    Silence is what stays `mel.trim_db` below the loudest stretch of `mel.hop` samples; `QUIET_S` of it are kept.

    Parameters
    ----------
    wave : (N,) float at `config.rate_hz`, full scale 1.

    Returns
    -------
    wave : (K * hop,), K >= 1; zeros are added to a shorter one.
    start_s : its time in the sound.
    """
    how, wave = config.mel, wave.float()
    if (short := how.hop - len(wave)) > 0:
        wave = functional.pad(wave, (0, short))
    level = wave[: len(wave) // how.hop * how.hop].view(-1, how.hop).square().mean(1).sqrt()  # (K',)
    heard = torch.nonzero(level >= level.max() * 10.0 ** (-how.trim_db / 20.0)).flatten()
    margin = round(QUIET_S * config.rate_hz / how.hop)
    first, last = max(int(heard[0]) - margin, 0), min(int(heard[-1]) + margin + 1, len(level))
    return wave[first * how.hop : last * how.hop], first * how.hop / config.rate_hz


def log_mel(wave: Tensor, config: SoundConfig) -> tuple[Tensor, float]:
    """Return the logarithm of the power in mel bands of a voice, see `trim_silence`.

    Parameters
    ----------
    wave : (N,) float at `config.rate_hz`, full scale 1.

    Returns
    -------
    spectrum : (bands, K) float, K >= 1; a column every `hop` samples, centred on its first sample.
    start_s : time of the first column in the wave.
    """
    how = config.mel
    wave, start_s = trim_silence(wave, config)
    bins = torch.stft(
        wave,
        n_fft=how.window,
        hop_length=how.hop,
        window=torch.hann_window(how.window, device=wave.device),
        pad_mode="constant",
        return_complex=True,
    )[:, : len(wave) // how.hop]
    power = mel_filters(config.rate_hz, how).to(wave.device) @ (bins.real.square() + bins.imag.square())
    return torch.log(power + POWER_FLOOR), start_s


@cache
def mel_filters(rate_hz: int, config: MelConfig) -> Tensor:
    """Return what every frequency adds to every band, (bands, window // 2 + 1) float.

    Triangles whose corners are evenly spaced from `LOWEST_HZ` to half the rate on the mel scale, 2595 log10(1 + f/700)
    (O'Shaughnessy 1987), of height 1.
    """
    ends = 2595.0 * np.log10(1.0 + np.array([LOWEST_HZ, rate_hz / 2]) / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(*ends, config.bands + 2) / 2595.0) - 1.0)
    hz = np.arange(config.window // 2 + 1)[:, np.newaxis] * rate_hz / config.window
    rising = (hz - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - hz) / (corners[2:] - corners[1:-1])
    return torch.from_numpy(np.minimum(rising, falling).clip(0.0).T.astype(np.float32))


def crop_or_repeat(spectrum: Tensor, config: SoundConfig, *, place: float | None = None) -> Tensor:
    """Return as many columns of a voice as a network is given; a shorter one is repeated.

    Parameters
    ----------
    spectrum : (bands, K), K >= 1.
    place : share, 0 to 1, of what is left over before the columns, or of a shorter voice, where in it they begin; None:
        two looks, that from the beginning and that to the end, of a shorter voice from its middle on.

    Returns
    -------
    (S, 1, bands, columns), S = 1, or 2 looks.
    """
    n_columns = spectrum.shape[1]
    spare = n_columns - config.mel.columns
    places = ((0.0, 1.0) if spare > 0 else (0.0, 0.5)) if place is None else (place,)
    first = torch.tensor([round(one * (spare if spare > 0 else n_columns - 1)) for one in places])
    columns = (first.unsqueeze(1) + torch.arange(config.mel.columns)) % n_columns  # (S, columns)
    return spectrum[:, columns].movedim(1, 0).unsqueeze(1)


def _standardise(values: Tensor) -> Tensor:
    centred = values - values.mean()
    return centred / centred.square().mean().sqrt().clamp(min=1e-8)
