"""Disturbed voices: the ratio of noise and the band of a telephone are measured again."""

import numpy as np
import pytest

from mien.audio.corrupt import add_white_noise, through_telephone
from mien.io.randomness import rng_for

RATE_HZ = 16000


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def power(wave: np.ndarray) -> float:
    return float(np.mean(np.asarray(wave, float) ** 2))


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -6.0])
def test_noise_is_as_loud_as_it_is_asked_for_at_any_level_of_the_voice(snr_db):
    for level in (1.0, 0.01):
        wave = level * tone(440.0)
        noise = add_white_noise(wave, snr_db=snr_db, rng=rng_for(0, "noise")) - wave
        assert 10 * np.log10(power(wave) / power(noise)) == pytest.approx(snr_db, abs=0.01)


def test_noise_is_white():
    noise = add_white_noise(tone(440.0), snr_db=0.0, rng=rng_for(0, "noise")) - tone(440.0)
    bands = np.abs(np.fft.rfft(noise)[1:8001].reshape(8, 1000)) ** 2
    assert bands.mean(axis=1) / bands.mean() == pytest.approx(np.ones(8), abs=0.15)


@pytest.mark.parametrize(("hz", "passes"), [(100, False), (600, True), (1000, True), (2800, True), (3900, False)])
def test_a_telephone_passes_its_band(hz, passes):
    heard = through_telephone(tone(hz), RATE_HZ)[RATE_HZ // 4 :]  # after the filter has settled
    loss_db = 10 * np.log10(power(tone(hz)) / power(heard))
    assert loss_db < 1 if passes else loss_db > 20


def test_nothing_above_the_line_comes_back_and_the_length_stays():
    wave = rng_for(0, "wide").normal(0, 0.1, 12345).astype(np.float32)
    heard = through_telephone(wave, RATE_HZ)
    assert heard.shape == wave.shape
    spectrum = np.abs(np.fft.rfft(heard)) ** 2
    above = np.fft.rfftfreq(len(heard), 1 / RATE_HZ) > 4200
    assert spectrum[above].sum() < 1e-3 * spectrum.sum()
