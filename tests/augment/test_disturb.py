"""Disturbed pictures: what is planted is measured again, and grey levels stay grey levels."""

import numpy as np
import pytest

from mien.augment.corrupt import add_noise, blur, darken
from mien.io.randomness import rng_for


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


def test_what_is_even_stays_even():
    even = np.full((1, 9, 9, 3), 77, np.uint8)
    assert (blur(even, sigma_px=2.0) == 77).all()


def test_light_is_a_factor_and_levels_stay_within_their_range():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 1, 3))[None]
    assert darken(ramp, factor=0.5).astype(int) == pytest.approx(ramp / 2, abs=0.51)
    noisy = add_noise(ramp, deviation=200.0, rng=rng_for(0, "much"))
    assert noisy.dtype == np.uint8
    assert {int(noisy.min()), int(noisy.max())} == {0, 255}
