"""AUG-A changes a clip as a whole; disturbances have the size asked for; grey levels stay grey levels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.augment.aug_a import Factors, augment, erase, warp
from mien.augment.corrupt import add_noise, blur, darken
from mien.config.schema import AugmentConfig
from mien.io.randomness import rng_for

CONFIG = AugmentConfig(
    mirror=0.5,
    crop=0.1,
    blur=0.5,
    blur_sigma=0.5,
    contrast=(0.75, 1.5),
    noise=25.0,
    scale=(0.9, 1.1),
    translate=0.1,
    rotate=25.0,
    shear=8.0,
    slice=0.8,
)
STILL = replace(
    CONFIG,
    mirror=0.0,
    crop=0.0,
    blur=0.0,
    contrast=(1.0, 1.0),
    noise=0.0,
    scale=(1.0, 1.0),
    translate=0.0,
    rotate=0.0,
    shear=0.0,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def faces(n_clips=3, n_frames=4, size=24):
    """Smooth pictures, the same in every frame of a clip."""
    noise = torch.rand(n_clips, 1, 3, 6, 6, generator=generator(9))
    still = torch.nn.functional.interpolate(noise.flatten(0, 1), size=(size, size), mode="bicubic").clamp(0, 1) * 255
    return still.unsqueeze(1).expand(-1, n_frames, -1, -1, -1).contiguous()


def factors(n=6, seed=0):
    return Factors(n, 1, mode="clip", generator=generator(seed))


def test_a_clip_is_changed_alike_in_all_frames_apart_from_noise():
    out = augment(faces(), replace(CONFIG, noise=0.0), mode="clip", generator=generator())
    torch.testing.assert_close(out, out[:, :1].expand_as(out))
    assert not torch.allclose(out, faces(), atol=5)
    assert not torch.allclose(out[0] - faces()[0], out[1] - faces()[1], atol=5)


def test_noise_is_new_in_every_frame_and_equal_in_channels():
    grey = torch.full((2, 4, 3, 32, 32), 128.0)
    out = augment(grey, replace(STILL, noise=25.0), mode="clip", generator=generator())
    assert out.std().item() == pytest.approx(25.0, rel=0.05)
    assert torch.equal(out[:, :, 0], out[:, :, 1])
    assert not torch.equal(out[:, 0], out[:, 1])


def test_without_factors_nothing_changes():
    torch.testing.assert_close(augment(faces(), STILL, mode="clip", generator=generator()), faces(), rtol=0, atol=1e-2)


@pytest.mark.parametrize("mode", ["frame", "clip"])
def test_values_stay_grey_levels_and_a_seed_repeats(mode):
    first = augment(faces(), CONFIG, mode=mode, generator=generator(4))
    assert first.shape == faces().shape
    assert first.min() >= 0
    assert first.max() <= 255
    assert torch.equal(first, augment(faces(), CONFIG, mode=mode, generator=generator(4)))
    assert not torch.equal(first, augment(faces(), CONFIG, mode=mode, generator=generator(5)))


def test_warp_moves_by_its_share_at_most():
    rows = torch.arange(50.0)
    dot = torch.zeros(6, 3, 50, 50)
    dot[..., 22:28, 22:28] = 255.0
    moved = warp(dot, replace(STILL, translate=0.1), factors(seed=3))
    centre = (moved.sum(-1) * rows).sum(-1) / moved.sum((-1, -2))
    assert ((centre - 24.5).abs() <= 5.0 + 1e-2).all()
    assert (centre - 24.5).abs().max() > 1.0


def test_noise_has_its_deviation_and_is_new_in_every_channel_and_frame():
    grey = np.full((2, 64, 64, 3), 128, np.uint8)
    noise = add_noise(grey, deviation=10.0, rng=rng_for(0, "noise")).astype(float) - 128
    assert noise.std() == pytest.approx(10.0, rel=0.03)
    assert abs(noise.mean()) < 0.3
    parts = np.moveaxis(noise, -1, 1).reshape(6, -1)  # frames x channels
    assert np.abs(np.corrcoef(parts) - np.eye(6)).max() < 0.06


def test_blur_spreads_a_dot_by_its_deviation_within_its_frame_and_channel():
    dot = np.zeros((2, 31, 31, 3), np.uint8)
    dot[0, 15, 15, 1] = 255
    wide = blur(dot, sigma_px=1.5).astype(float)
    assert wide[1].sum() == wide[0, ..., 0].sum() == 0
    weights = wide[0, ..., 1].sum(axis=0)
    distance = np.arange(31) - 15
    assert np.sqrt((weights * distance**2).sum() / weights.sum()) == pytest.approx(1.5, rel=0.05)


def test_light_is_a_factor_and_levels_stay_within_their_range():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 1, 3))[None]
    assert darken(ramp, factor=0.5).astype(int) == pytest.approx(ramp / 2, abs=0.51)
    noisy = add_noise(ramp, deviation=200.0, rng=rng_for(0, "much"))
    assert noisy.dtype == np.uint8
    assert {int(noisy.min()), int(noisy.max())} == {0, 255}


def test_a_square_is_covered_with_the_mean_of_its_picture():
    pictures = 100 * torch.rand(400, 1, 20, 20, generator=generator())
    out = erase(pictures, replace(STILL, erase=0.5), factors(400))
    changed = out != pictures
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True).expand_as(out)
    assert torch.equal(out[changed], mean[changed])
    sides = torch.stack([changed.any(3).sum(2).max(1).values, changed.any(2).sum(2).max(1).values])
    assert sides.max() == 10
    assert (changed.sum(dim=(1, 2, 3)) == sides.prod(0)).all()  # a rectangle: a square that the border may cut
    covered = changed.float().mean().item()
    assert 0.04 < covered < 0.5**2 / 3  # of squares that the border does not cut: the mean of a uniform side, squared


def test_what_comes_before_the_square_does_not_depend_on_it():
    configs = CONFIG, replace(CONFIG, erase=0.3)
    one, two = (augment(faces(), config, mode="clip", generator=generator()) for config in configs)
    assert (one == two).float().mean() > 0.8
    assert not torch.equal(one, two)
