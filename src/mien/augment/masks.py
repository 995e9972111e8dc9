"""Changes of a mel spectrogram in training: warped, stretched and coloured, with bands and stretches of time masked.

SpecAugment without its warping of time: Park et al. (2019), "SpecAugment: A simple data augmentation method for
automatic speech recognition". The warp stands for the length of a vocal tract: Jaitly, Hinton (2013), "Vocal tract
length perturbation (VTLP) improves speech recognition"; the stretch for how quickly somebody speaks: Ko, Peddinti,
Povey, Khudanpur (2015), "Audio augmentation for speech recognition"; the colour for microphones and timbres.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mien.config.schema import MasksConfig

KNOTS = 6  # of the line that colours a voice, evenly over its bands


def mask_spectra(spectra: Tensor, config: MasksConfig, *, generator: Generator) -> Tensor:
    """Change every clip as `config` says, and mask up to `bands` rows and `columns` columns of it by 0, its mean.

    Parameters
    ----------
    spectra : (B, S, 1, F, W) float; the segments of a clip are changed alike.
    generator : on the device of `spectra`.

    Returns
    -------
    (B, S, 1, F, W) float.
    """
    n_clips, (n_rows, n_columns) = len(spectra), spectra.shape[-2:]
    if config.warp:  # what is beyond the edge is that of the edge
        spectra = _sample(n_rows, _factors(n_clips, config.warp, generator), around=False) @ spectra
    if config.stretch:  # at the end it goes on from the beginning, as a voice that is repeated does
        spectra = spectra @ _sample(n_columns, _factors(n_clips, config.stretch, generator), around=True).mT
    if config.colour:
        knots = config.colour * torch.randn(n_clips, 1, KNOTS, generator=generator, device=generator.device)
        line = functional.interpolate(knots, size=n_rows, mode="linear", align_corners=True)
        spectra = spectra + line.view(n_clips, 1, 1, n_rows, 1)
    masked = _stretches(n_clips, n_rows, config.bands, generator).view(n_clips, 1, 1, n_rows, 1)
    masked = masked | _stretches(n_clips, n_columns, config.columns, generator).view(n_clips, 1, 1, 1, n_columns)
    return spectra.masked_fill(masked, 0.0)


def _stretches(n_clips: int, size: int, most: int, generator: Generator) -> Tensor:
    """Return (B, size) bool: one stretch of 0 to `most` places of each clip, at any place where it fits."""
    length = torch.randint(min(most, size) + 1, (n_clips, 1), generator=generator, device=generator.device)
    room = torch.rand(n_clips, 1, generator=generator, device=generator.device) * (size - length + 1)
    start = room.floor().long()
    place = torch.arange(size, device=generator.device)
    return (place >= start) & (place < start + length)


def _factors(n_clips: int, most: float, generator: Generator) -> Tensor:
    """Return (B, 1) factors from 1 / (1 + most) to 1 + most, as likely to be above 1 as below."""
    exponent = 2 * torch.rand(n_clips, 1, generator=generator, device=generator.device) - 1
    return (1 + most) ** exponent


def _sample(size: int, factor: Tensor, *, around: bool) -> Tensor:
    """Return (B, 1, 1, size, size): by how much each place counts at each new one, which was at `factor` times it."""
    place = torch.arange(size, device=factor.device)
    at = place * factor  # (B, size)
    at = at.remainder(size - 1) if around else at.clamp(max=size - 1)
    return (1 - (at.unsqueeze(2) - place).abs()).clamp(min=0)[:, None, None]
