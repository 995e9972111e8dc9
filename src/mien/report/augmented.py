"""Pictures under AUG-A: each operation alone (figure 4.7), and all of them together (figure 4.8)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from mien.augment import aug_a
from mien.core.config import AugmentConfig
from mien.core.rng import seed_for

TRIES = 100  # draws of the mirror row, until it has a flipped picture and a kept one


def single_operations(picture: np.ndarray, config: AugmentConfig, *, n_draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return what each operation of AUG-A makes of a picture (S, S) uint8: text -> (n_draws, S, S) uint8.

    Mirroring is drawn again until a picture is flipped and another kept, where it can be; the text says which.
    """
    (low, high), (small, large) = config.contrast, config.scale
    operations = {
        f"crop\nup to {config.crop:.0%} of a side": aug_a.crop,
        f"blur\n{config.blur:.0%}, up to {config.blur_sigma:g} px": aug_a.blur,
        f"contrast\ntimes {low:g} to {high:g}": aug_a.contrast,
        f"noise\nsd {config.noise:g} grey levels": aug_a.noise,
        f"scale {small:g} to {large:g},\nshift up to {config.translate:.0%},\n"
        f"turn {config.rotate:g}°, shear {config.shear:g}°": aug_a.warp,
    }
    frames = _as_frames(picture, n_draws)[:, 0]

    def factors(operation: Callable) -> aug_a.Factors:
        generator = _generator(seed, operation.__name__)
        return aug_a.Factors(n_draws, 1, mode="frame", generator=generator)

    found = _mirrored(frames, config, factors(aug_a.mirror))
    for name, operation in operations.items():
        found[name] = _as_grey(operation(frames, config, factors(operation)))
    return found


def all_operations(picture: np.ndarray, config: AugmentConfig, *, n_draws: int, seed: int, clip: str) -> np.ndarray:
    """Return `n_draws` versions (n_draws, S, S) uint8 of a picture (S, S) uint8 under AUG-A, each in its own order."""
    generator = _generator(seed, clip)
    frames = _as_frames(picture, n_draws)  # the order of the operations is drawn once per batch: a batch per version
    versions = [aug_a.augment(frames[k : k + 1], config, mode="frame", generator=generator)[0] for k in range(n_draws)]
    return np.concatenate([_as_grey(version) for version in versions])


def _mirrored(frames: Tensor, config: AugmentConfig, factors: aug_a.Factors) -> dict[str, np.ndarray]:
    for _ in range(TRIES):
        mirrored = aug_a.mirror(frames, config, factors)
        flipped = (mirrored != frames).flatten(1).any(dim=1)
        if flipped.any() and not flipped.all():
            break
    which = ", ".join(str(k + 1) for k in flipped.nonzero().flatten().tolist()) or "none"
    return {f"mirror\n{config.mirror:.0%} of pictures,\nhere {which}": _as_grey(mirrored)}


def _generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(seed_for(seed, "plot_pictures", name))


def _as_frames(picture: np.ndarray, n: int) -> Tensor:
    """Return (n, 1, 1, S, S) float: the picture as AUG-A takes it."""
    return torch.from_numpy(picture).float().expand(n, 1, 1, *picture.shape).clone()


def _as_grey(pictures: Tensor) -> np.ndarray:
    """Return (N, S, S) uint8 of pictures (N, 1, S, S) float."""
    return pictures[:, 0].round().clamp(0, 255).byte().numpy()
