"""Changes of a spectrogram in training: shifted in frequency, with bands and stretches of time masked.

SpecAugment without its warping of time: Park et al. (2019), "SpecAugment: A simple data augmentation method for
automatic speech recognition". The shift stands for the length of a vocal tract: Jaitly, Hinton (2013), "Vocal tract
length perturbation (VTLP) improves speech recognition".
"""

import torch
from torch import Generator, Tensor

from mien.config.schema import MasksConfig


def mask_spectra(spectra: Tensor, config: MasksConfig, *, generator: Generator) -> Tensor:
    """Shift every clip by up to `shift` bands, then mask up to `bands` rows and `columns` columns of it by 0, its mean.

    Parameters
    ----------
    spectra : (B, S, 1, F, W) float; the segments of a clip are changed alike.
    generator : on the device of `spectra`.

    Returns
    -------
    (B, S, 1, F, W) float.
    """
    n_clips, (n_rows, n_columns) = len(spectra), spectra.shape[-2:]
    place = torch.arange(n_rows, device=spectra.device)
    shift = _draw(n_clips, 2 * config.shift + 1, generator) - config.shift
    rows = (place + shift.unsqueeze(1)).clamp(0, n_rows - 1)  # (B, F): at the edge a band is repeated
    spectra = spectra.gather(-2, rows.view(n_clips, 1, 1, n_rows, 1).expand_as(spectra))
    masked = _stretches(n_clips, n_rows, config.bands, generator).view(n_clips, 1, 1, n_rows, 1)
    masked = masked | _stretches(n_clips, n_columns, config.columns, generator).view(n_clips, 1, 1, 1, n_columns)
    return spectra.masked_fill(masked, 0.0)


def _stretches(n_clips: int, size: int, most: int, generator: Generator) -> Tensor:
    """Return (B, size) bool: one stretch of 0 to `most` places of each clip, at any place where it fits."""
    length = _draw(n_clips, min(most, size) + 1, generator).unsqueeze(1)
    room = torch.rand(n_clips, 1, generator=generator, device=generator.device) * (size - length + 1)
    start = room.floor().long()
    place = torch.arange(size, device=generator.device)
    return (place >= start) & (place < start + length)


def _draw(n: int, below: int, generator: Generator) -> Tensor:
    return torch.randint(below, (n,), generator=generator, device=generator.device)
