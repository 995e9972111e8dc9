"""Rate and channels change, pitch and level do not; noise and telephone are as loud and as wide as asked for."""

import numpy as np
import pytest

from mien.audio.corrupt import add_white_noise, through_telephone
from mien.audio.resample import Resampler, to_mono
from mien.errors import MediaError
from mien.io.randomness import rng_for


def tone(rate_hz: int, *, channels: int = 1, pitch_hz: float = 440.0, seconds: float = 1.0) -> np.ndarray:
    """Return (channels, N) float32 of a sine with amplitude 0.5."""
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    return np.tile(0.5 * np.sin(2 * np.pi * pitch_hz * time_s), (channels, 1)).astype(np.float32)


def pitch_of(wave: np.ndarray, rate_hz: int) -> float:
    """Return the frequency of the strongest line of the spectrum, interpolated."""
    spectrum = np.log(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) + 1e-9)
    k = int(spectrum.argmax())
    left, peak, right = spectrum[k - 1 : k + 2]
    return (k + 0.5 * (left - right) / (left - 2 * peak + right)) * rate_hz / len(wave)


@pytest.mark.parametrize("rate_hz", [8000, 11127, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_pitch_level_and_length_stay(rate_hz, channels):
    wave = to_mono(tone(rate_hz, channels=channels), rate_hz, 16000)
    assert wave.dtype == np.float32
    assert len(wave) == pytest.approx(16000, abs=2)
    assert pitch_of(wave, 16000) == pytest.approx(440.0, rel=1e-3)
    assert np.abs(wave[1000:-1000]).max() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("rate_hz", [8000, 11127, 16000, 44100, 48000])
def test_a_sound_in_pieces_becomes_what_it_becomes_as_a_whole(rate_hz):
    rng = rng_for(0, "pieces", rate_hz)
    wave = rng.normal(0, 0.2, rate_hz // 2).astype(np.float32)
    resampler = Resampler(rate_hz, 16000)
    for pieces in (rng.integers(1, 3000, 40), [10], [len(wave)]):  # it can be used again
        parts = [part for part in np.split(wave, np.cumsum(pieces)) if len(part)]
        done = [resampler.take(part) for part in parts]
        assert sum(map(len, done)) > 0.75 * 8000
        whole = np.concatenate([*done, resampler.finish()])
        np.testing.assert_allclose(whole, to_mono(wave, rate_hz, 16000), atol=1e-6)
    assert len(resampler.finish()) == 0


def test_what_is_above_the_new_band_does_not_fold_back():
    wave = to_mono(tone(48000, pitch_hz=11000.0), 48000, 16000)
    assert np.abs(wave[500:-500]).max() < 0.01


@pytest.mark.parametrize("samples", [np.empty((1, 0)), np.array([[0.0, np.nan]]), np.array([[np.inf]])])
def test_what_is_no_sound_is_refused(samples):
    with pytest.raises(MediaError):
        to_mono(samples, 16000, 16000)


def power(wave: np.ndarray) -> float:
    return float(np.mean(np.asarray(wave, float) ** 2))


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -6.0])
def test_noise_is_as_loud_as_it_is_asked_for_at_any_level_of_the_voice(snr_db):
    for level in (1.0, 0.01):
        wave = level * tone(16000)[0]
        noise = add_white_noise(wave, snr_db=snr_db, rng=rng_for(0, "noise")) - wave
        assert 10 * np.log10(power(wave) / power(noise)) == pytest.approx(snr_db, abs=0.01)


@pytest.mark.parametrize(("hz", "passes"), [(100, False), (600, True), (1000, True), (2800, True), (3900, False)])
def test_a_telephone_passes_its_band(hz, passes):
    wave = tone(16000, pitch_hz=hz)[0]
    heard = through_telephone(wave, 16000)[4000:]  # after the filter has settled
    loss_db = 10 * np.log10(power(wave) / power(heard))
    assert loss_db < 1 if passes else loss_db > 20
