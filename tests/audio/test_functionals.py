"""Statistics of a voice: known pitches and levels, sounds that are too short."""

import sys

import numpy as np
import pytest
import torch

from mien.audio.functionals import COEFFICIENTS, _egemaps, egemaps_functionals, find_pitch, voice_functionals
from mien.errors import ConfigError
from mien.io.randomness import rng_for

RATE_HZ = 16_000
PITCH, PERIODICITY, ENERGY = COEFFICIENTS, COEFFICIENTS + 1, COEFFICIENTS + 2  # places among the descriptors
N = 2 * (COEFFICIENTS + 3)  # descriptors and their slopes


def _sine(hz: float, *, level: float = 0.5, seconds: float = 1.0) -> torch.Tensor:
    return level * torch.sin(2 * torch.pi * hz * torch.arange(round(seconds * RATE_HZ)) / RATE_HZ)


@pytest.mark.parametrize("hz", [80.0, 200.0, 500.0])
def test_the_pitch_of_a_tone_is_its_frequency(hz):
    tone = _sine(hz) + 0.5 * _sine(2 * hz)
    pitch, periodicity = find_pitch(tone, RATE_HZ)
    np.testing.assert_allclose(pitch, hz, rtol=0.02)  # a lag is a whole number of samples
    assert periodicity.min() > 0.7
    noise = torch.from_numpy(rng_for(0, "noise").normal(0, 0.1, RATE_HZ)).float()
    assert find_pitch(noise, RATE_HZ)[1].max() < 0.4


def test_a_steady_tone_has_its_level_no_spread_and_no_slope():
    mean, sd, *quantiles = voice_functionals(_sine(200.0, level=0.1), RATE_HZ).reshape(5, N)
    assert mean[ENERGY] == pytest.approx(10 * np.log10(0.1**2 / 2), abs=0.05)
    assert mean[PITCH] == pytest.approx(np.log2(200.0), abs=0.02)
    np.testing.assert_allclose([mean[N // 2 + PITCH], mean[N // 2 + ENERGY]], 0.0, atol=0.02)
    assert sd[[PITCH, PERIODICITY, ENERGY]].max() < 0.05
    np.testing.assert_allclose([row[ENERGY] for row in quantiles], mean[ENERGY], atol=0.05)


def test_louder_is_higher_and_a_rising_tone_has_a_slope():
    quiet, loud = (voice_functionals(_sine(200.0, level=level), RATE_HZ).reshape(5, N)[0] for level in (0.05, 0.5))
    assert loud[ENERGY] - quiet[ENERGY] == pytest.approx(20.0, abs=0.05)
    assert loud[PITCH] == quiet[PITCH]
    hz = torch.linspace(100, 400, RATE_HZ)
    rising = 0.5 * torch.sin(2 * torch.pi * torch.cumsum(hz, 0) / RATE_HZ)
    mean = voice_functionals(rising, RATE_HZ).reshape(5, N)[0]
    assert mean[N // 2 + PITCH] == pytest.approx(2.0 / 100, rel=0.15)  # two octaves in a hundred frames


@pytest.mark.parametrize("n", [1, 100, 700])
def test_a_sound_shorter_than_a_frame_has_numbers(n):
    found = voice_functionals(torch.full((n,), 0.1), RATE_HZ)
    assert found.shape == (5 * N,)
    assert np.isfinite(found).all()


def test_egemaps_are_those_of_its_authors():
    pytest.importorskip("opensmile")
    found = egemaps_functionals(_sine(200.0), RATE_HZ)
    semitones = 12 * np.log2(200.0 / 27.5)  # the first functional is the mean pitch
    assert found.shape == (88,)
    assert found[0] == pytest.approx(semitones, abs=0.05)
    assert np.isfinite(egemaps_functionals(torch.full((1,), 0.1), RATE_HZ)).all()


def test_egemaps_without_their_library_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    _egemaps.cache_clear()
    with pytest.raises(ConfigError, match=r"needs opensmile, which is not installed: pip install 'mien\[egemaps\]'"):
        egemaps_functionals(_sine(200.0), RATE_HZ)
