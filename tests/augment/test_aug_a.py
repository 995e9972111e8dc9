"""AUG-A: what each operation must do, and that a clip is changed as a whole."""

from dataclasses import replace

import pytest
import torch

from mien.augment.aug_a import Factors, augment, blur, contrast, crop, mirror, noise, warp
from mien.config.schema import AugmentConfig

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


def test_frames_are_changed_independently_in_frame_mode():
    out = augment(faces(), replace(CONFIG, noise=0.0), mode="frame", generator=generator())
    assert not torch.allclose(out[:, 0], out[:, 1], atol=5)


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


def test_mirroring_twice_is_nothing():
    pictures, sure = faces(6, 1).flatten(0, 1), replace(CONFIG, mirror=1.0)
    once = mirror(pictures, sure, factors())
    assert torch.equal(once, pictures.flip(-1))
    assert torch.equal(mirror(once, sure, factors()), pictures)


def test_crop_takes_a_part_and_warp_turns_about_the_centre():
    ramp = torch.linspace(0, 255, 40).expand(6, 3, 40, 40)
    cut = crop(ramp, CONFIG, factors())
    slope = (cut[..., 30] - cut[..., 10]) / (ramp[..., 30] - ramp[..., 10])
    assert slope.min() >= 0.9 - 1e-3
    assert slope.max() <= 1.0 + 1e-3
    dot = torch.zeros(6, 3, 41, 41)
    dot[..., 18:23, 18:23] = 255.0
    turned = warp(dot, replace(CONFIG, translate=0.0), factors())
    assert (turned[..., 20, 20] > 200).all()
    assert not torch.allclose(turned, dot, atol=1)


def test_warp_moves_by_its_share_at_most():
    rows = torch.arange(50.0)
    dot = torch.zeros(6, 3, 50, 50)
    dot[..., 22:28, 22:28] = 255.0
    moved = warp(dot, replace(STILL, translate=0.1), factors(seed=3))
    centre = (moved.sum(-1) * rows).sum(-1) / moved.sum((-1, -2))
    assert ((centre - 24.5).abs() <= 5.0 + 1e-2).all()
    assert (centre - 24.5).abs().max() > 1.0


def test_blur_keeps_the_mean_and_smooths():
    sharp = torch.rand(6, 3, 30, 30, generator=generator()) * 255
    soft = blur(sharp, replace(CONFIG, blur=1.0), factors())
    inner = (..., slice(3, -3), slice(3, -3))
    assert (soft[inner].std((-1, -2)) <= sharp[inner].std((-1, -2)) + 1e-3).all()
    torch.testing.assert_close(soft.mean((-1, -2)), sharp.mean((-1, -2)), rtol=0.02, atol=0.0)


def test_contrast_keeps_mid_grey():
    grey = torch.full((6, 3, 4, 4), 128.0)
    assert torch.equal(contrast(grey, CONFIG, factors()), grey)
    bright = contrast(grey + 20, CONFIG, factors()) - 128
    assert bright.min() >= 15 - 1e-3
    assert bright.max() <= 30 + 1e-3
    assert noise(grey, replace(CONFIG, noise=0.0), factors()).equal(grey)
