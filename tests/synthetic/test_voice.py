import numpy as np
import pytest

from mien.errors import CorpusError
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, EMOTIONS, VOICE_AXES, Person, Voice, person_for
from mien.synthetic.performance import speak
from mien.synthetic.voice import PHONES, RATE_HZ, SENTENCES, synthesise

CALM = dict.fromkeys(VOICE_AXES, 0.0)
SPEAKER = Voice(f0_hz=120.0, tract=1.0, energy_db=0.0, tilt_db=0.0, breath=0.02, jitter=0.005, rate=1.0)


def say(person: Person, emotion: str, *, take: int = 0, rate_hz: int = RATE_HZ, sentence: str = "kids"):
    return speak(
        person,
        emotion=emotion,
        intensity=1.0,
        sentence=sentence,
        rate_hz=rate_hz,
        fuzziness=CLEAR,
        rng=rng_for(0, emotion, take),
    )


def pitch_of(wave: np.ndarray) -> float:
    """Return the median pitch in Hz of the voiced parts, by autocorrelation in windows of 40 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(wave.astype(float), 640)[::160]
    frames = frames[frames.std(axis=1) > 0.3 * frames.std(axis=1).max()]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(640), 2048, axis=1)) ** 2
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(640), 2048)) ** 2)  # its slope would favour short lags
    correlation = np.fft.irfft(spectra, axis=1)[:, : RATE_HZ // 60] / window[: RATE_HZ // 60]
    strength = correlation / correlation[:, :1]
    lags = np.arange(RATE_HZ // 500, RATE_HZ // 60)
    within = strength[:, lags]
    first = np.argmax(within > 0.9 * within.max(axis=1, keepdims=True), axis=1)  # not one of its multiples
    peak = [lags[i] + int(np.argmax(row[i : i + 12])) for i, row in zip(first, within, strict=True)]
    return float(np.median(RATE_HZ / np.array(peak)[within.max(axis=1) > 0.6]))


def centroid_of(wave: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    return float((power * hz).sum() / power.sum())


@pytest.mark.parametrize("f0_hz", [90.0, 130.0, 200.0, 260.0])
def test_pitch_is_the_one_set(f0_hz):
    voice = Voice(f0_hz=f0_hz, tract=1.0, energy_db=0.0, tilt_db=0.0, breath=0.02, jitter=0.005, rate=1.0)
    wave, _, made = synthesise(voice, CALM, sentence="IOM", rate_hz=RATE_HZ, rng=rng_for(0, "pitch"))
    assert pitch_of(wave) == pytest.approx(made["f0_hz"], rel=0.06)
    assert made["f0_hz"] == pytest.approx(f0_hz, rel=0.12)


def test_level_is_the_one_set():
    rng = rng_for(0, "level")
    levels = []
    for energy_db in (-6.0, 0.0, 6.0):
        wave, envelope, made = synthesise(
            SPEAKER, {**CALM, "energy_db": energy_db}, sentence="dogs", rate_hz=RATE_HZ, rng=rng
        )
        levels.append(20 * np.log10(wave[envelope > 0.15].std()))
        assert levels[-1] == pytest.approx(made["energy_dbfs"], abs=1.5)
    assert levels[0] < levels[1] - 3 < levels[2] - 6


def test_tilt_brightens_and_a_short_tract_raises_formants():
    def sound(voice, **settings):
        return synthesise(voice, {**CALM, **settings}, sentence="kids", rate_hz=RATE_HZ, rng=rng_for(0, "timbre"))[0]

    plain = centroid_of(sound(SPEAKER))
    assert centroid_of(sound(SPEAKER, tilt_db=3.0)) > plain > centroid_of(sound(SPEAKER, tilt_db=-3.0))
    short = Voice(f0_hz=120.0, tract=0.8, energy_db=0.0, tilt_db=0.0, breath=0.02, jitter=0.005, rate=1.0)
    assert centroid_of(sound(short)) > plain


@pytest.mark.parametrize("actor", range(6))
def test_anger_is_louder_and_higher_than_sadness(actor):
    person = person_for(0, "voices", str(actor), ("male", "female")[actor % 2])
    waves = {emotion: [say(person, emotion, take=take)[0] for take in range(3)] for emotion in ("angry", "sad")}
    loud = {emotion: np.mean([wave.std() for wave in takes]) for emotion, takes in waves.items()}
    high = {emotion: np.mean([pitch_of(wave) for wave in takes]) for emotion, takes in waves.items()}
    assert loud["angry"] > 1.5 * loud["sad"]
    assert high["angry"] > 1.1 * high["sad"]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_sentence_is_spoken_between_silences(sentence):
    person = person_for(0, "voices", "1", "male")
    wave, envelope, made = say(person, "neutral", sentence=sentence)
    assert set(SENTENCES[sentence].split()) <= PHONES.keys()
    assert 1.15 <= len(wave) / RATE_HZ <= 2.05
    assert made["duration_s"] == pytest.approx(len(wave) / RATE_HZ)
    assert envelope.shape == wave.shape
    assert envelope.max() == pytest.approx(1.0)
    assert np.abs(wave).max() < 1.0
    edge = int(0.1 * RATE_HZ)
    assert max(np.abs(wave[:edge]).max(), np.abs(wave[-edge:]).max()) < 0.1 * np.abs(wave).max()


def test_durations_stay_short_for_every_emotion():
    for actor in range(4):
        person = person_for(0, "voices", str(actor), "")
        for emotion in EMOTIONS:
            for sentence in ("IEO", "ITH"):
                wave, _, _ = say(person, emotion, sentence=sentence)
                assert 1.15 <= len(wave) / RATE_HZ <= 2.05


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
def test_rate_changes_samples_but_not_the_sound(rate_hz):
    person = person_for(0, "voices", "2", "female")
    plain, _, _ = say(person, "happy")
    wave, envelope, _ = say(person, "happy", rate_hz=rate_hz)
    assert wave.dtype == np.float32
    assert len(wave) == len(envelope)
    assert len(wave) / rate_hz == pytest.approx(len(plain) / RATE_HZ, abs=1e-3)
    assert wave.std() == pytest.approx(plain.std(), rel=0.02)


def test_equal_arguments_give_equal_bits():
    person = person_for(0, "voices", "3", "male")
    first, again, other = say(person, "fearful")[0], say(person, "fearful")[0], say(person, "fearful", take=1)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unknown_sentence_is_refused():
    with pytest.raises(CorpusError, match="kittens"):
        synthesise(SPEAKER, CALM, sentence="kittens", rate_hz=RATE_HZ, rng=rng_for(0))
