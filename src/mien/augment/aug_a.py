"""AUG-A, the spatial augmentation of the thesis (section 4.2), on batches of clips and on their device.

Six operations run in random order: mirror, crop and resize, Gaussian blur, contrast, Gaussian noise, affine warp. The
order is drawn once per batch (drawing it per clip would split the batch); factors are drawn per frame or per clip.
A square may be covered last (random erasing, Zhong et al. 2020, arXiv 1708.04896), which the thesis does not do.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mien.config.schema import AugmentConfig

WHITE = 255.0
GREY = 128.0
MODES = {"NT": "frame", "VA+WO": "clip", "VA+AO": "clip"}  # augmentation of a variant -> mode (IA, VA in table 5.4)


class Factors:
    """Random factors of one batch: one per frame, or one per clip that its frames share."""

    def __init__(self, n_clips: int, n_frames: int, *, mode: str, generator: Generator) -> None:
        self.n_clips, self.n_frames = n_clips, n_frames
        self.n_draws = {"frame": n_frames, "clip": 1}[mode]
        self.generator = generator

    def uniform(self, low: float, high: float) -> Tensor:
        """Return (B * T,) factors in low..high."""
        shape = (self.n_clips, self.n_draws)
        draws = torch.rand(shape, generator=self.generator, device=self.generator.device) * (high - low) + low
        return draws.expand(self.n_clips, self.n_frames).reshape(-1)


def augment(frames: Tensor, config: AugmentConfig, *, mode: str, generator: Generator) -> Tensor:
    """Change frames at random; grey levels stay in 0..255.

    Parameters
    ----------
    frames : (B, T, 3, H, W) float, grey levels.
    mode : frame (new factors for every frame) or clip (one set for all frames of a clip; only noise is new per frame).
    generator : on the device of `frames`.

    Returns
    -------
    (B, T, 3, H, W) float.
    """
    factors = Factors(*frames.shape[:2], mode=mode, generator=generator)
    pictures = frames.flatten(0, 1)  # (N, 3, H, W)
    steps = (mirror, crop, blur, contrast, noise, warp)
    for index in torch.randperm(len(steps), generator=generator, device=generator.device).tolist():
        pictures = steps[index](pictures, config, factors)
    if config.erase:
        pictures = erase(pictures, config, factors)
    return pictures.view_as(frames)


def mirror(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Swap left and right with probability `mirror`."""
    chosen = factors.uniform(0.0, 1.0) < config.mirror
    return torch.where(chosen.view(-1, 1, 1, 1), pictures.flip(-1), pictures)


def crop(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Cut up to `crop` of the rows and of the columns away, at any edge, and resize to the old size."""
    theta = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    for axis in range(2):
        cut = factors.uniform(0.0, config.crop)
        theta[:, axis, axis] = 1.0 - cut
        theta[:, axis, 2] = cut * factors.uniform(-1.0, 1.0)
    return _sample(pictures, theta)


def blur(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Blur with probability `blur` by a Gaussian of up to `blur_sigma` px."""
    chosen = factors.uniform(0.0, 1.0) < config.blur
    sigma = factors.uniform(0.0, config.blur_sigma).clamp(min=1e-3)
    radius = max(1, math.ceil(4 * config.blur_sigma) - 1)  # what is cut off weighs less than exp(-8)
    distance = torch.arange(radius + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (distance / sigma.unsqueeze(1)) ** 2)  # (N, radius + 1), one half of it
    kernel = torch.where(chosen.unsqueeze(1), kernel, (distance == 0).float())
    kernel = kernel / (2 * kernel.sum(1, keepdim=True) - 1)  # kernel[:, 0] is 1 and counts once
    return _convolve(_convolve(pictures, kernel, dim=2), kernel, dim=3)


def contrast(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Stretch grey levels about mid-grey by a factor in `contrast`, alike in all channels, and clip."""
    factor = factors.uniform(*config.contrast).view(-1, 1, 1, 1)
    return ((pictures - GREY) * factor + GREY).clamp(0.0, WHITE)


def noise(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Add Gaussian noise of deviation `noise`, alike in all channels and new in every frame, and clip."""
    shape = (len(pictures), 1, *pictures.shape[2:])
    grain = torch.randn(shape, generator=factors.generator, device=factors.generator.device)
    return (pictures + config.noise * grain).clamp(0.0, WHITE)


def warp(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Scale, translate, rotate and shear about the centre; the edge is continued outwards."""
    zoom = 1.0 / factors.uniform(*config.scale)
    angle = torch.deg2rad(factors.uniform(-config.rotate, config.rotate))
    shear = torch.tan(torch.deg2rad(factors.uniform(-config.shear, config.shear)))
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    # normalised coordinates: the side is 2 long, so a shift by a share of the side counts twice
    shift = [2 * factors.uniform(-config.translate, config.translate) for _ in range(2)]
    rows = [cos, cos * shear - sin, shift[0], sin, sin * shear + cos, shift[1]]
    return _sample(pictures, torch.stack(rows, dim=1).view(-1, 2, 3))


def erase(pictures: Tensor, config: AugmentConfig, factors: Factors) -> Tensor:
    """Cover a square of up to `erase` of the side, around any point, with the mean grey level of the picture."""
    half = factors.uniform(0.0, config.erase) / 2
    inside = []
    for size in pictures.shape[2:]:
        centres = (torch.arange(size, device=pictures.device) + 0.5) / size
        inside.append((centres - factors.uniform(0.0, 1.0).unsqueeze(1)).abs() < half.unsqueeze(1))  # (N, size)
    covered = (inside[0].unsqueeze(2) & inside[1].unsqueeze(1)).unsqueeze(1)
    return torch.where(covered, pictures.mean(dim=(1, 2, 3), keepdim=True), pictures)


def _sample(pictures: Tensor, theta: Tensor) -> Tensor:
    """Read the output at position p from the picture at theta p (normalised coordinates)."""
    size = pictures.shape[2:]
    grid = (theta @ _centres(*size, theta.device)).unflatten(2, size).movedim(1, -1)  # (N, H, W, 2)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(height: int, width: int, device: torch.device) -> Tensor:
    """Return (3, H * W): x, y and 1 of the centre of every pixel, row by row, in normalised coordinates.

    A product with these is `functional.affine_grid` in a fifth of its time: the picture at hand is small.
    """
    steps = ((2 * torch.arange(size, device=device) + 1) / size - 1 for size in (height, width))
    y, x = torch.meshgrid(*steps, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)


def _convolve(pictures: Tensor, kernel: Tensor, *, dim: int) -> Tensor:
    """Convolve (N, 3, H, W) along `dim` with symmetric kernels, of which (N, radius + 1) is one half."""
    radius, size = kernel.shape[1] - 1, pictures.shape[dim]
    margin = (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0)
    padded = functional.pad(pictures, margin, mode="replicate")
    weight = kernel.view(len(kernel), 1, 1, 1, -1)
    out = pictures * weight[..., 0]
    for step in range(1, radius + 1):
        sides = padded.narrow(dim, radius - step, size) + padded.narrow(dim, radius + step, size)
        out.addcmul_(sides, weight[..., step])
    return out
