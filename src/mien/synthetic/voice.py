"""A voice by source and filter: glottal pulses and noise through moving formants, computed pulse by pulse.

Every glottal pulse (Klatt & Klatt 1990, KLGLOTT88) is shaped in the frequency domain by the vocal tract at its instant
and added at its place, which needs no time-varying filter; noise is shaped frame by frame in the same way. It speaks
the sentences of RAVDESS and CREMA-D: symbols are ARPABET without stress, vowel formants are those of men in Peterson &
Barney (1952), consonants follow the tables of Klatt (1980), simplified.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import resample_poly

from mien.errors import CorpusError
from mien.synthetic.people import Voice

SENTENCES = {
    "kids": "K IH D Z AA R T AO K IH NG B AY DH AH D AO R",
    "dogs": "D AO G Z AA R S IH T IH NG B AY DH AH D AO R",
    "IEO": "IH T S IH L EH V AH N AH K L AA K",
    "TIE": "DH AE T IH Z IH G Z AE K T L IY W AH T HH AE P AH N D",
    "IOM": "AY M AA N M AY W EY T UW DH AH M IY T IH NG",
    "IWW": "AY W AH N D ER W AH T DH IH S IH Z AH B AW T",
    "TAI": "DH IY EH R P L EY N IH Z AO L M OW S T F UH L",
    "MTI": "M EY B IY T AH M AA R OW IH T W IH L B IY K OW L D",
    "IWL": "AY W UH D L AY K AH N UW AH L AA R M K L AA K",
    "ITH": "AY TH IH NG K AY HH AE V AH D AA K T ER Z AH P OY N T M AH N T",
    "DFA": "D OW N T F ER G EH T AH JH AE K AH T",
    "ITS": "AY TH IH NG K AY V S IY N DH IH S B IH F AO R",
    "TSI": "DH AH S ER F AH S IH Z S L IH K",
    "WSI": "W IY L S T AA P IH N AH K AH P AH L AH V M IH N AH T S",
}

RATE_HZ = 16000  # at which everything is made
_STEP = 64  # samples between two points of a track, 4 ms
_LEVEL_DBFS = -27.0  # of a neutral voice, RMS while speaking
_ROOM_DBFS = -72.0  # of the room
_RANGE_ST = 2.2  # of a neutral voice: height of an accent, semitones
_UPPER_FORMANTS = ((3500.0, 180.0), (4500.0, 260.0), (5500.0, 350.0), (6500.0, 450.0))  # Hz: frequency, bandwidth
_BANDWIDTHS = (70.0, 90.0, 130.0)  # Hz of F1 to F3
_SPEECH_S = (0.80, 1.50)  # shortest and longest speech, without the silence around it


@dataclass(frozen=True)
class Phone:
    """One sound.

    duration_s at an unhurried rate; formants (F1, F2, F3) Hz at its start and end, for a tract of 17.5 cm;
    voicing, frication and aspiration relative to a vowel's voicing; noise (centre, width) Hz of the frication;
    closed_s of silence before a stop's burst.
    """

    duration_s: float
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    voicing: float = 1.0
    frication: float = 0.0
    aspiration: float = 0.0
    noise: tuple[float, float] = (3000.0, 1500.0)
    closed_s: float = 0.0

    @property
    def is_vowel(self) -> bool:
        """Say whether the syllable's pitch accent can sit here."""
        return self.voicing == 1.0


def _steady(duration_s: float, f1: float, f2: float, f3: float, **more: object) -> Phone:
    return Phone(duration_s, (f1, f2, f3), (f1, f2, f3), **more)


def _plosive(duration_s: float, f1: float, f2: float, f3: float, **more: object) -> Phone:
    return _steady(duration_s, f1, f2, f3, voicing=0.0, **more)


PHONES = {
    "IY": _steady(0.090, 270, 2290, 3010),
    "IH": _steady(0.070, 390, 1990, 2550),
    "EH": _steady(0.085, 530, 1840, 2480),
    "AE": _steady(0.105, 660, 1720, 2410),
    "AA": _steady(0.110, 730, 1090, 2440),
    "AO": _steady(0.110, 570, 840, 2410),
    "UH": _steady(0.070, 440, 1020, 2240),
    "UW": _steady(0.090, 300, 870, 2240),
    "AH": _steady(0.060, 640, 1190, 2390),
    "ER": _steady(0.090, 490, 1350, 1690),
    "EY": Phone(0.110, (480, 1900, 2500), (330, 2200, 2700)),
    "AY": Phone(0.130, (710, 1180, 2450), (390, 2000, 2550)),
    "AW": Phone(0.130, (710, 1250, 2450), (430, 950, 2350)),
    "OW": Phone(0.110, (540, 950, 2400), (380, 820, 2250)),
    "OY": Phone(0.130, (540, 850, 2400), (380, 1950, 2500)),
    "L": _steady(0.050, 360, 1100, 2700, voicing=0.5),
    "R": _steady(0.055, 330, 1150, 1550, voicing=0.5),
    "W": _steady(0.055, 300, 640, 2200, voicing=0.45),
    "Y": _steady(0.045, 270, 2200, 3000, voicing=0.5),
    "M": _steady(0.060, 250, 1050, 2200, voicing=0.28),
    "N": _steady(0.055, 250, 1500, 2500, voicing=0.28),
    "NG": _steady(0.060, 250, 1900, 2600, voicing=0.28),
    "B": _steady(0.060, 220, 900, 2200, voicing=0.06, frication=0.10, noise=(900, 700), closed_s=0.045),
    "D": _steady(0.055, 220, 1700, 2600, voicing=0.06, frication=0.16, noise=(4000, 1300), closed_s=0.040),
    "G": _steady(0.060, 220, 1900, 2400, voicing=0.06, frication=0.14, noise=(2200, 800), closed_s=0.042),
    "P": _plosive(0.080, 300, 900, 2200, frication=0.16, aspiration=0.10, noise=(1000, 900), closed_s=0.050),
    "T": _plosive(0.075, 300, 1700, 2600, frication=0.28, aspiration=0.08, noise=(4300, 1400), closed_s=0.045),
    "K": _plosive(0.080, 300, 1900, 2400, frication=0.22, aspiration=0.10, noise=(2300, 900), closed_s=0.048),
    "S": _steady(0.085, 320, 1500, 2600, voicing=0.0, frication=0.22, noise=(6300, 1200)),
    "Z": _steady(0.065, 280, 1500, 2600, voicing=0.22, frication=0.12, noise=(6300, 1200)),
    "SH": _steady(0.085, 320, 1700, 2500, voicing=0.0, frication=0.24, noise=(3600, 1100)),
    "JH": _steady(0.075, 280, 1700, 2500, voicing=0.12, frication=0.18, noise=(3500, 1100), closed_s=0.035),
    "F": _steady(0.075, 320, 1000, 2300, voicing=0.0, frication=0.05, noise=(5000, 3500)),
    "V": _steady(0.050, 260, 1000, 2300, voicing=0.30, frication=0.03, noise=(5000, 3500)),
    "TH": _steady(0.070, 320, 1300, 2600, voicing=0.0, frication=0.04, noise=(6000, 2500)),
    "DH": _steady(0.040, 270, 1300, 2600, voicing=0.32, frication=0.02, noise=(6000, 2500)),
    "HH": _steady(0.050, 500, 1500, 2500, voicing=0.0, aspiration=0.18),
}


@dataclass(frozen=True, eq=False)
class Tracks:
    """What the vocal organs do, every 4 ms: formants (T, 3) Hz, noise (T, 2) Hz, the rest (T,)."""

    f0_hz: np.ndarray
    voicing: np.ndarray
    frication: np.ndarray
    aspiration: np.ndarray
    formants: np.ndarray
    noise: np.ndarray


def synthesise(
    voice: Voice, settings: dict[str, float], *, sentence: str, rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Speak a sentence.

    Parameters
    ----------
    voice : the speaker at rest.
    settings : differences from it, by the names of VOICE_AXES; rate as a logarithm.
    sentence : key of SENTENCES.
    rate_hz : samples per second of the result.

    Returns
    -------
    (N,) float32 wave within -1..1; (N,) float32 loudness envelope from 0 to 1; what was realised: f0_hz (mean while
    voiced), f0_range_st (standard deviation), rate (sounds per second), energy_dbfs, tilt_db, breath, jitter, rise_st,
    duration_s.

    Raises
    ------
    CorpusError : an unknown sentence.
    """
    if sentence not in SENTENCES:
        raise CorpusError(f"synthetic: there is no sentence {sentence!r}; known: {', '.join(SENTENCES)}")
    phones = [PHONES[name] for name in SENTENCES[sentence].split()]
    tracks, rate = _plan(voice, settings, phones, rng)
    n_samples = len(tracks.f0_hz) * _STEP
    breath = float(np.clip(voice.breath + settings["breath"], 0.004, 0.2))
    jitter = float(np.clip(voice.jitter + settings["jitter"], 0.002, 0.03))
    tilt = voice.tilt_db + settings["tilt_db"]
    wave = _voiced(voice, tracks, n_samples, tilt, jitter, rng) + _noise(voice, tracks, n_samples, breath, tilt, rng)
    level = _LEVEL_DBFS + voice.energy_db + settings["energy_db"]
    spoken = uniform_filter1d(wave**2, 800)
    loud = spoken > 0.02 * spoken.max()
    wave *= 10 ** (level / 20) / np.sqrt(np.mean(wave[loud] ** 2))
    wave += rng.normal(0.0, 10 ** (_ROOM_DBFS / 20), n_samples)
    loudest = 0.7 + 0.29 * np.tanh((np.abs(wave) - 0.7) / 0.29)  # peaks above 0.7 of full scale are bent
    wave = np.where(np.abs(wave) > 0.7, np.sign(wave) * loudest, wave)
    envelope = np.sqrt(np.maximum(uniform_filter1d(wave**2, 640), 0.0))
    voiced = tracks.voicing > 0.3
    semitones = 12 * np.log2(tracks.f0_hz[voiced] / 100.0)
    made = {
        "f0_hz": float(tracks.f0_hz[voiced].mean()),
        "f0_range_st": float(semitones.std()),
        "rate": rate,
        "energy_dbfs": float(level),
        "tilt_db": float(tilt),
        "breath": breath,
        "jitter": jitter,
        "rise_st": float(settings["rise_st"]),
        "duration_s": n_samples / RATE_HZ,
    }
    envelope = envelope / envelope.max()
    if rate_hz != RATE_HZ:
        ratio = Fraction(rate_hz, RATE_HZ)
        resampled = resample_poly(wave, ratio.numerator, ratio.denominator)
        envelope = np.interp(np.arange(len(resampled)) / rate_hz, np.arange(len(wave)) / RATE_HZ, envelope)
        wave = np.clip(resampled, -1.0, 1.0)
    return wave.astype(np.float32), envelope.astype(np.float32), made


def _plan(
    voice: Voice, settings: dict[str, float], phones: list[Phone], rng: np.random.Generator
) -> tuple[Tracks, float]:
    """Lay the sounds out in time and the pitch over them; also return the sounds per second."""
    natural = np.array([phone.duration_s for phone in phones]) * np.exp(rng.normal(0.0, 0.08, len(phones)))
    wanted = (0.66 + 0.023 * len(phones)) / (voice.rate * np.exp(settings["rate"]))
    spoken_s = float(np.clip(wanted, *_SPEECH_S))
    before_s, after_s = rng.uniform(0.18, 0.24), rng.uniform(0.20, 0.26)
    edges = before_s + np.concatenate([[0.0], np.cumsum(natural) * spoken_s / natural.sum()])
    n_steps = int(np.ceil((edges[-1] + after_s) * RATE_HZ / _STEP))
    time = np.arange(n_steps) * _STEP / RATE_HZ
    index = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, len(phones) - 1)
    into = np.clip((time - edges[index]) / np.diff(edges)[index], 0.0, 1.0)  # place within the sound
    speaking = (time >= edges[0]) & (time < edges[-1])
    columns = _sounds(phones, index, into)
    stress = np.exp(rng.normal(0.0, 0.12, len(phones)))[index] * (1.06 - 0.25 * (time - edges[0]) / spoken_s)
    smooth = {name: gaussian_filter1d(columns[name] * speaking * stress, 1.6) for name in ("voicing", "aspiration")}
    frication = gaussian_filter1d(columns["frication"] * speaking, 1.0)
    tract = voice.tract * (1.0 - 0.01 * settings["rise_st"] / 4.0)
    formants = gaussian_filter1d(columns["formants"], 5.0, axis=0) / tract
    vowels = [i for i, phone in enumerate(phones) if phone.is_vowel]
    middles = (edges[vowels] + edges[np.array(vowels) + 1]) / 2
    f0 = _pitch(voice, settings, time, middles, (edges[0], edges[-1]), rng)
    tracks = Tracks(f0, smooth["voicing"], frication, smooth["aspiration"], formants, columns["noise"])
    return tracks, len(phones) / spoken_s


def _sounds(phones: list[Phone], index: np.ndarray, into: np.ndarray) -> dict[str, np.ndarray]:
    """Return the targets of every step: amplitudes (T,), formants (T, 3) and noise bands (T, 2)."""
    start, end = np.array([phone.start for phone in phones]), np.array([phone.end for phone in phones])
    closed = np.array([phone.closed_s / phone.duration_s for phone in phones])[index]
    open_now = into >= closed
    stop = closed > 0
    voicing = np.array([phone.voicing for phone in phones])[index]
    return {
        "voicing": voicing,
        "frication": np.array([phone.frication for phone in phones])[index] * open_now,
        "aspiration": np.array([phone.aspiration for phone in phones])[index] * (open_now | ~stop),
        "formants": start[index] + into[:, None] * (end - start)[index],
        "noise": np.array([phone.noise for phone in phones])[index],
    }


def _pitch(
    voice: Voice,
    settings: dict[str, float],
    time: np.ndarray,
    vowels: np.ndarray,
    ends: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (T,) Hz: declination, an accent on every other vowel, and the turn at the end."""
    place = (time - ends[0]) / (ends[1] - ends[0])
    height = max(_RANGE_ST + settings["range_st"], 0.3)
    accents = vowels[int(rng.integers(2)) :: 2]
    heights = height * rng.uniform(0.6, 1.3, len(accents))
    bumps = (heights[:, None] * np.exp(-0.5 * ((time - accents[:, None]) / 0.06) ** 2)).sum(axis=0)
    declination = -0.5 * height * (place - 0.5)
    turn = (settings["rise_st"] - 1.0) * np.clip((place - 0.65) / 0.35, 0.0, 1.0) ** 2
    wander = gaussian_filter1d(rng.normal(size=len(time)), 20.0)
    semitones = settings["pitch_st"] + bumps - bumps.mean() + declination + turn + 0.3 * wander / (wander.std() + 1e-9)
    return np.clip(voice.f0_hz * 2 ** (semitones / 12), 55.0, 520.0)


def _voiced(
    voice: Voice, tracks: Tracks, n_samples: int, tilt: float, jitter: float, rng: np.random.Generator
) -> np.ndarray:
    """Return (N,) the sound of the glottal pulses behind the moving tract."""
    n_fft = 512
    places = np.arange(n_samples)
    f0 = np.interp(places, np.arange(len(tracks.f0_hz)) * _STEP, tracks.f0_hz)
    turns = np.cumsum(f0) / RATE_HZ
    counts = np.arange(1, int(turns[-1]))
    at = np.interp(counts, turns, places)
    period = RATE_HZ / np.interp(at, places, f0)
    at = np.clip(at + rng.normal(0.0, jitter, len(at)) * period, 0, n_samples - 1)
    step = np.clip(np.round(at / _STEP).astype(int), 0, len(tracks.f0_hz) - 1)
    strength = tracks.voicing[step] * (1.0 + rng.normal(0.0, 0.03 + 2.0 * jitter, len(at)))
    strong = tracks.voicing[step] > 0.004
    at, period, step, strength = at[strong], period[strong], step[strong], strength[strong]
    first = np.floor(at).astype(int)
    open_s = np.clip(0.62 - 0.03 * tilt, 0.42, 0.78) * period  # a bright voice closes early
    since = (np.arange(n_fft) - (at - first)[:, None]) / open_s[:, None]
    pulse = np.where((since >= 0) & (since < 1), 2.0 * since - 3.0 * since**2, 0.0)  # derivative of the flow
    hz = np.fft.rfftfreq(n_fft, 1 / RATE_HZ)
    octaves = np.log2(np.clip(hz, 250.0, 6000.0) / 1000.0)  # about 1 kHz
    slope = 10 ** ((tilt - 3.0) * octaves / 20) * np.minimum(hz / 80.0, 1.0)  # on top of a natural voice's -3, no hum
    spectrum = np.fft.rfft(pulse, axis=1) * _tract(tracks.formants[step], voice.tract, n_fft) * slope
    shaped = np.fft.irfft(spectrum, axis=1) * (strength * np.sqrt(period / 100.0))[:, None]
    return _overlap(shaped, first, n_samples)


def _noise(
    voice: Voice, tracks: Tracks, n_samples: int, breath: float, tilt: float, rng: np.random.Generator
) -> np.ndarray:
    """Return (N,) frication in its own band, and breath behind the moving tract."""
    n_fft = 256
    white = np.fft.rfft(rng.normal(size=(len(tracks.f0_hz), n_fft)) * np.hanning(n_fft), axis=1)
    hz = np.fft.rfftfreq(n_fft, 1 / RATE_HZ)
    centre, width = tracks.noise[:, :1] / np.sqrt(voice.tract), tracks.noise[:, 1:]
    band = tracks.frication[:, None] * np.exp(-0.5 * ((hz - centre) / width) ** 2) * 10 ** (0.5 * tilt / 20)
    breathing = tracks.aspiration + breath * tracks.voicing
    behind = breathing[:, None] * np.abs(_tract(tracks.formants, voice.tract, n_fft)) * np.minimum(hz / 1500.0, 1.0)
    shaped = np.fft.irfft(white * (0.9 * band + 0.35 * behind), axis=1)
    return _overlap(shaped, np.arange(len(tracks.f0_hz)) * _STEP - n_fft // 2, n_samples)


def _tract(formants: np.ndarray, tract: float, n_fft: int) -> np.ndarray:
    """Return (n, n_fft / 2 + 1) complex response of a cascade of resonators, 1 at 0 Hz; formants (n, 3) Hz."""
    square = 1j * np.fft.rfftfreq(n_fft, 1 / RATE_HZ)[None]
    response = np.ones((len(formants), n_fft // 2 + 1), complex)
    moving = [(formants[:, i : i + 1], width) for i, width in enumerate(_BANDWIDTHS)]
    still = [(np.array([[hz / tract]]), width) for hz, width in _UPPER_FORMANTS]
    for hz, width in moving + still:
        peak = hz**2 + width**2 / 4
        response *= peak / (square**2 + width * square + peak)
    return response


def _overlap(pieces: np.ndarray, first: np.ndarray, n_samples: int) -> np.ndarray:
    """Add pieces (n, L) up, each from its first sample on, into (n_samples,)."""
    places = first[:, None] + np.arange(pieces.shape[1])
    inside = (places >= 0) & (places < n_samples)
    return np.bincount(places[inside], weights=pieces[inside], minlength=n_samples)
