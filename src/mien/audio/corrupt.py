"""What happens to a voice on its way to a network: noise, and the band of a telephone."""

import numpy as np
from scipy.signal import butter, sosfilt

from mien.audio.resample import level_of, to_mono

TELEPHONE_HZ = 8000  # rate of a telephone line (ITU-T G.711)
BAND_HZ = (300.0, 3400.0)  # what it lets through (ITU-T G.712)
ORDER = 5  # of the Butterworth filter, at either end of the band


def add_white_noise(wave: np.ndarray, *, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Return a wave (N,) with Gaussian white noise whose power is `snr_db` below that of the whole wave; float32.

    Nothing is clipped: spectrograms are of waves of any level.
    """
    noise = rng.standard_normal(len(wave))
    wanted = level_of(wave)[1] * 10.0 ** (-snr_db / 20.0)
    return (wave + noise * (wanted / level_of(noise)[1])).astype(np.float32)


def through_telephone(wave: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return a wave (N,) as a telephone line passes it on: at 8 kHz, 300 to 3400 Hz, and back at its rate; float32."""
    narrow = to_mono(wave, rate_hz, TELEPHONE_HZ)
    band = butter(ORDER, BAND_HZ, "bandpass", fs=TELEPHONE_HZ, output="sos")
    back = to_mono(sosfilt(band, narrow), TELEPHONE_HZ, rate_hz)
    return np.pad(back[: len(wave)], (0, max(0, len(wave) - len(back))))
