"""Rate and channels change, pitch and level do not."""

import numpy as np
import pytest

from mien.audio.resample import Resampler, is_silent, level_of, to_int16, to_mono
from mien.errors import MediaError
from mien.io import media
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


def test_channels_are_averaged():
    stereo = np.stack([tone(16000)[0], -tone(16000)[0]])
    assert np.abs(to_mono(stereo, 16000, 16000)).max() == 0.0


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "pcm_u8", "pcm_f32le"])
def test_any_sample_format_is_read(tmp_path, codec):
    media.write_sound(tmp_path / "a.wav", tone(44100, channels=2), 44100, codec=codec)
    wave = to_mono(*media.read_sound(tmp_path / "a.wav"), 16000)
    assert pitch_of(wave, 16000) == pytest.approx(440.0, rel=1e-3)
    assert level_of(wave)[1] == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("samples", [np.empty((1, 0)), np.array([[0.0, np.nan]]), np.array([[np.inf]])])
def test_what_is_no_sound_is_refused(samples):
    with pytest.raises(MediaError):
        to_mono(samples, 16000, 16000)


def test_silence_is_a_matter_of_the_peak():
    assert is_silent(0.0, -60.0)
    assert is_silent(0.00099, -60.0)
    assert not is_silent(0.00101, -60.0)


def test_sixteen_bits_keep_the_level_and_clip_at_full_scale():
    wave = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0], dtype=np.float32)
    assert to_int16(wave).tolist() == [0, 16384, -16384, 32767, -32767, 32767, -32767]
