import numpy as np
import pytest

from mien.candide import mesh as candide
from mien.errors import CorpusError
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, EMOTIONS, Fuzziness, draw_fuzziness, face_units, person_for, voice_settings
from mien.synthetic.performance import Performance, perform, portrait

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


def test_shapes_and_durations_agree():
    played = take("happy")
    n_frames = len(played.frames)
    assert played.frames.shape == (n_frames, 128, 170, 3)
    assert played.frames.dtype == np.uint8
    assert played.time_s.shape == (n_frames,)
    assert played.units.shape == (n_frames, 11)
    assert played.pose.shape == (n_frames, 3)
    assert abs(len(played.wave) / played.rate_hz - n_frames / 10) <= 0.1
    assert 1.1 <= n_frames / 10 <= 2.1


def test_equal_arguments_give_equal_bits():
    first, second = take("angry"), take("angry")
    for name in ("frames", "time_s", "wave", "units", "pose"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.voice == second.voice


def test_a_take_without_information_does_not_depend_on_the_emotion():
    sad, angry = (take(emotion, video=MISSING, audio=MISSING) for emotion in ("sad", "angry"))
    np.testing.assert_array_equal(sad.frames, angry.frames)
    np.testing.assert_array_equal(sad.wave, angry.wave)


def test_one_missing_modality_leaves_the_other_alone():
    clear = take("angry")
    no_face, no_voice = take("angry", video=MISSING), take("angry", audio=MISSING)
    np.testing.assert_array_equal(no_face.wave, clear.wave)
    assert np.abs(no_face.units - clear.units).max() > 0.3
    assert np.abs(no_voice.wave).max() < np.abs(clear.wave).max()


def test_a_missing_face_has_the_scale_of_a_neutral_one():
    def units(emotion, fuzziness, scope):
        return face_units(PERSON, emotion=emotion, intensity=1.0, fuzziness=fuzziness, rng=rng_for(0, scope))

    for emotion in EMOTIONS[1:]:
        missing, neutral = units(emotion, MISSING, 1), units("neutral", CLEAR, 1)
        np.testing.assert_array_equal(missing, neutral)
        assert np.abs(missing).max() < 0.6 < 2 * np.abs(units(emotion, CLEAR, 1)).max()


def test_a_blend_lies_between_its_emotions():
    def settings(emotion, fuzziness):
        return voice_settings(PERSON, emotion=emotion, intensity=1.0, fuzziness=fuzziness, rng=rng_for(0, "blend"))

    angry, sad = settings("angry", CLEAR), settings("sad", CLEAR)
    blend = settings("angry", Fuzziness("blended", "sad", 0.4))
    for axis, value in blend.items():
        assert value == pytest.approx(0.6 * angry[axis] + 0.4 * sad[axis])


def test_the_jaw_follows_the_voice():
    correlations = []
    for actor in range(6):
        person = person_for(0, "test", str(actor), "")
        played = take(EMOTIONS[actor], person=person, scope=actor, rate_fps=25)
        power = np.convolve(played.wave**2, np.ones(640) / 640, mode="same")
        loudness = np.sqrt(np.interp(played.time_s, np.arange(len(power)) / 16000, power))
        correlations.append(np.corrcoef(loudness, played.units[:, candide.JAW])[0, 1])
    assert min(correlations) > 0.6


def test_expressions_grow_with_intensity_from_neutral():
    def units(intensity):
        return face_units(PERSON, emotion="disgust", intensity=intensity, fuzziness=CLEAR, rng=rng_for(0, "grow"))

    neutral = face_units(PERSON, emotion="neutral", intensity=1.0, fuzziness=CLEAR, rng=rng_for(0, "grow"))
    np.testing.assert_allclose(units(0.0), neutral)
    nose = [units(intensity)[candide.NOSE] for intensity in (0.0, 0.3, 0.6, 1.0)]
    assert nose == sorted(nose)
    assert nose[-1] > nose[0] + 0.4


def test_frames_of_a_sequence_differ_in_the_face_only():
    def picture(intensity):
        return portrait(
            PERSON,
            emotion="surprised",
            intensity=intensity,
            size=(160, 160),
            yaw_deg=0.0,
            gaze="frontal",
            fuzziness=CLEAR,
            rng=rng_for(0, "sequence"),
        )

    (first, _, pose, _), (last, _, other, _) = picture(0.0), picture(1.0)
    np.testing.assert_array_equal(pose, other)
    np.testing.assert_array_equal(first[:20, :20], last[:20, :20])  # wall
    assert np.abs(first.astype(int) - last).max() > 50


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


def test_people_are_drawn_from_their_name_alone():
    again = person_for(0, "test", "01", "male")
    assert again == PERSON
    assert hash(again) == hash(PERSON)
    for name in ((1, "test", "01"), (0, "else", "01"), (0, "test", "02")):
        other = person_for(*name, "male")
        assert np.abs(np.array(other.looks.shape) - PERSON.looks.shape).max() > 0.05
        assert other.voice.f0_hz != PERSON.voice.f0_hz


def test_women_speak_higher_and_through_shorter_tracts():
    people = {sex: [person_for(0, "sexes", str(i), sex).voice for i in range(30)] for sex in ("male", "female")}
    pitch = {sex: np.mean([voice.f0_hz for voice in voices]) for sex, voices in people.items()}
    tract = {sex: np.mean([voice.tract for voice in voices]) for sex, voices in people.items()}
    assert pitch["female"] > 1.4 * pitch["male"]
    assert tract["female"] < tract["male"]


def test_unknown_names_are_refused():
    with pytest.raises(CorpusError, match="joyful"):
        take("joyful")
    with pytest.raises(CorpusError, match="gaze"):
        portrait(
            PERSON,
            emotion="happy",
            intensity=1.0,
            size=(64, 64),
            yaw_deg=0.0,
            gaze="up",
            fuzziness=CLEAR,
            rng=rng_for(0),
        )
