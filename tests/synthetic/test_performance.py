"""Performances show what was acted, and the draws of one modality do not shift those of anything else."""

import numpy as np
import pytest

from mien.candide import mesh as candide
from mien.config.fuzziness import VERSIONS, made_as
from mien.config.schema import SyntheticConfig
from mien.io.randomness import rng_for
from mien.synthetic.people import (
    CLEAR,
    EMOTIONS,
    VOICE_AXES,
    Fuzziness,
    Person,
    Voice,
    draw_fuzziness,
    face_units,
    person_for,
)
from mien.synthetic.performance import Actor, Performance, Scene, perform, speak
from mien.synthetic.voice import RATE_HZ, synthesise

MISSING = Fuzziness("missing", "", 0.0)
PERSON = person_for(0, "test", "01", "male")


def take(emotion: str, *, person=PERSON, video=CLEAR, audio=CLEAR, scope="take", rate_fps=10) -> Performance:
    return perform(
        person,
        emotion=emotion,
        intensity=1.0,
        sentence="kids",
        size_px=128,
        rate_fps=rate_fps,
        rate_hz=16000,
        video=video,
        audio=audio,
        rng=rng_for(0, scope),
    )


def test_a_take_without_information_does_not_depend_on_the_emotion():
    sad, angry = (take(emotion, video=MISSING, audio=MISSING) for emotion in ("sad", "angry"))
    np.testing.assert_array_equal(sad.frames, angry.frames)
    np.testing.assert_array_equal(sad.wave, angry.wave)


def test_a_missing_face_has_the_scale_of_a_neutral_one():
    def units(emotion, fuzziness, scope):
        return face_units(PERSON, emotion=emotion, intensity=1.0, fuzziness=fuzziness, rng=rng_for(0, scope))

    for emotion in EMOTIONS[1:]:
        missing, neutral = units(emotion, MISSING, 1), units("neutral", CLEAR, 1)
        np.testing.assert_array_equal(missing, neutral)
        assert np.abs(missing).max() < 0.6 < 2 * np.abs(units(emotion, CLEAR, 1)).max()


def test_the_jaw_follows_the_voice():
    correlations = []
    for actor in range(6):
        person = person_for(0, "test", str(actor), "")
        played = take(EMOTIONS[actor], person=person, scope=actor, rate_fps=25)
        power = np.convolve(played.wave**2, np.ones(640) / 640, mode="same")
        loudness = np.sqrt(np.interp(played.time_s, np.arange(len(power)) / 16000, power))
        correlations.append(np.corrcoef(loudness, played.units[:, candide.JAW])[0, 1])
    assert min(correlations) > 0.6


def test_fuzziness_has_the_shares_asked_for():
    rng = rng_for(0, "fuzziness")
    drawn = [draw_fuzziness(0.1, 0.25, "happy", rng) for _ in range(4000)]
    kinds = [one.kind for one in drawn]
    assert kinds.count("missing") / 4000 == pytest.approx(0.1, abs=0.02)
    assert kinds.count("blended") / 4000 == pytest.approx(0.25, abs=0.03)
    assert all(one == CLEAR for one in drawn if one.kind == "clear")
    mixed = [one for one in drawn if one.kind == "blended"]
    assert {one.other for one in mixed} == set(EMOTIONS) - {"happy", "contempt"}
    assert all(0.25 <= one.weight <= 0.5 for one in mixed)


@pytest.fixture(scope="module")
def films():
    """Return version -> (frames, wave, truth) of one take."""
    found = {}
    for version in VERSIONS:
        config = SyntheticConfig(size_px=128, rate_fps=5, takes=1, **made_as(version))
        scene = Scene("ravdess", 3, config)
        found[version] = scene.film(
            Actor("02", "female"), "take", emotion="angry", intensity=1.0, sentence="kids", rate_hz=16000
        )
    return found


@pytest.mark.parametrize("version", ["missing_video", "blended_video"])
def test_another_face_has_the_same_voice_head_and_timing(films, version):
    (frames, wave, truth), (clear, voice, told) = films[version], films["clear"]
    np.testing.assert_array_equal(wave, voice)
    np.testing.assert_array_equal(truth.pose, told.pose)
    np.testing.assert_array_equal(truth.time_s, told.time_s)
    assert truth.voice == told.voice
    assert np.abs(truth.units - told.units).max() > 0.2
    np.testing.assert_array_equal(frames[:, :10, :10], clear[:, :10, :10])  # the wall and its grain


@pytest.mark.parametrize("version", ["missing_audio", "blended_audio"])
def test_another_voice_has_the_same_expression_at_its_own_pace(films, version):
    (_, wave, truth), (_, voice, told) = films[version], films["clear"]
    assert truth.audio.kind == version.removesuffix("_audio")
    assert truth.video.kind == "clear"
    shared = slice(None, min(len(wave), len(voice)))
    assert np.abs(wave[shared] - voice[shared]).max() > 0.01
    ours, theirs = (one.units.mean(axis=0) for one in (truth, told))
    assert np.abs(ours - theirs).max() < 0.15 < np.abs(films["missing_video"][2].units.mean(axis=0) - theirs).max()


CALM = dict.fromkeys(VOICE_AXES, 0.0)


def say(person: Person, emotion: str, take: int) -> np.ndarray:
    how = {"emotion": emotion, "intensity": 1.0, "sentence": "kids", "rate_hz": RATE_HZ, "fuzziness": CLEAR}
    return speak(person, **how, rng=rng_for(0, emotion, take))[0]


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


@pytest.mark.parametrize("f0_hz", [90.0, 130.0, 200.0, 260.0])
def test_pitch_is_the_one_set(f0_hz):
    voice = Voice(f0_hz=f0_hz, tract=1.0, energy_db=0.0, tilt_db=0.0, breath=0.02, jitter=0.005, rate=1.0)
    wave, _, made = synthesise(voice, CALM, sentence="IOM", rate_hz=RATE_HZ, rng=rng_for(0, "pitch"))
    assert pitch_of(wave) == pytest.approx(made["f0_hz"], rel=0.06)
    assert made["f0_hz"] == pytest.approx(f0_hz, rel=0.12)


@pytest.mark.parametrize("actor", range(6))
def test_anger_is_louder_and_higher_than_sadness(actor):
    person = person_for(0, "voices", str(actor), ("male", "female")[actor % 2])
    waves = {emotion: [say(person, emotion, take) for take in range(3)] for emotion in ("angry", "sad")}
    loud = {emotion: np.mean([wave.std() for wave in takes]) for emotion, takes in waves.items()}
    high = {emotion: np.mean([pitch_of(wave) for wave in takes]) for emotion, takes in waves.items()}
    assert loud["angry"] > 1.5 * loud["sad"]
    assert high["angry"] > 1.1 * high["sad"]
