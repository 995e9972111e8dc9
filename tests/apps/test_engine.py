"""A film equals its parts: what comes before or after a window, and what holds the film, changes nothing in it."""

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from apps.tiny_models import FACES, PREDICT, SOUND
from mien.apps import engine as engine_module
from mien.apps.engine import ONE_PASS_S, Engine, table
from mien.apps.models import load_models
from mien.apps.recording import judge_file
from mien.errors import ModelError
from mien.faces import track as track_module
from mien.faces.detect import locate
from mien.faces.track import region_around
from mien.io import media
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, person_for
from mien.synthetic.performance import perform

WINDOWS = {name: PREDICT[name] for name in ("window_s", "hop_s")}
RATE = SOUND.rate_hz
FPS = 10
SIZE = (192, 256)  # height and width of pictures


@pytest.fixture(scope="module")
def networks(models):
    """Return networks for faces and voices, faces, voices."""
    return load_models([models[name] for name in ("N2", "VM", "AM")])


@pytest.fixture(scope="module")
def take():
    """Return a function: (number of a person, emotion, seconds) -> pictures at 10 fps and sound at 16 kHz."""
    made = {}

    def call(number, emotion, seconds):
        if (number, emotion) not in made:
            who = person_for(0, "engine", f"{number:02}", "female" if number % 2 else "male")
            made[number, emotion] = perform(
                who,
                emotion=emotion,
                intensity=1.0,
                sentence="kids",
                size_px=SIZE[0],
                rate_fps=FPS,
                rate_hz=RATE,
                video=CLEAR,
                audio=CLEAR,
                rng=rng_for(0, "engine", number),
            )
        one = made[number, emotion]
        frames = list(one.frames) + list(one.frames)[::-1]
        pictures = [frames[k % len(frames)] for k in range(round(seconds * FPS))]
        margin = SIZE[1] - pictures[0].shape[1]
        pictures = [np.pad(p, ((0, 0), (margin // 2, margin - margin // 2), (0, 0)), mode="edge") for p in pictures]
        return pictures, np.resize(one.wave, round(seconds * RATE)).astype(np.float32)

    return call


def play(models, pictures, wave, **options):
    """Return the rows of a film, its sound given as it is heard."""
    engine, rows, given = Engine(models, **WINDOWS, **options), [], 0
    for k, picture in enumerate(pictures):
        stop = round(k / FPS * RATE)
        rows += engine.add(k / FPS, picture, wave[given:stop])
        given = stop
    rows += engine.add(len(pictures) / FPS, None, wave[given:])
    rows += engine.finish()
    return rows, engine


def same(rows, others, *, shift_s=0.0, people=None):
    """Check that rows are others, whatever number a person has."""
    assert [round(row.start_s + shift_s, 6) for row in rows] == [round(row.start_s, 6) for row in others]
    for row, other in zip(rows, others, strict=True):
        np.testing.assert_allclose(row.probabilities, other.probabilities, atol=1e-4)
        assert (row.used, row.main, row.person > 0) == (other.used, other.main, other.person > 0)
        assert row.face_share == pytest.approx(other.face_share)
        assert row.voice_share == pytest.approx(other.voice_share)


def within(rows, start_s, stop_s):
    return [row for row in rows if row.start_s > start_s - 1e-6 and row.end_s < stop_s + 1e-6]


@pytest.mark.parametrize("what", ["silence", "noise", "a person", "an emotion"])
def test_what_follows_changes_nothing(networks, take, what):
    pictures, wave = take(0, "angry", 3.0)
    rest = {
        "silence": ([np.full_like(pictures[0], 90)] * 20, np.zeros(2 * RATE, np.float32)),
        "noise": ([pictures[-1]] * 20, np.random.default_rng(0).normal(0, 0.2, 2 * RATE).astype(np.float32)),
        "a person": take(1, "angry", 2.0),
        "an emotion": take(0, "sad", 2.0),
    }[what]
    alone, _ = play(networks, pictures, wave)
    longer, _ = play(networks, pictures + rest[0], np.concatenate([wave, rest[1]]))
    assert len(alone) == 5
    assert all(row.judged and row.used == ("face", "voice") for row in alone)
    same(alone, within(longer, 0.0, 3.0))
    assert len({tuple(row.probabilities.round(4)) for row in alone}) == 5  # each window has something of its own


def test_a_film_that_is_cut_at_a_window_has_the_same_rows(networks, take):
    """At 4 s, where looks, searches for faces and windows begin alike."""
    pictures, wave = take(0, "happy", 7.0)
    whole, _ = play(networks, pictures, wave)
    first, _ = play(networks, pictures[: 4 * FPS], wave[: 4 * RATE])
    second, _ = play(networks, pictures[4 * FPS :], wave[4 * RATE :])
    same(first, within(whole, 0.0, 4.0))
    same(second, within(whole, 4.0, 7.0), shift_s=4.0)
    assert len(first) + len(second) == len(whole) - 1  # that across the cut


def test_a_cut_starts_everybody_anew_and_each_is_judged_as_alone(networks, take):
    takes = [take(number, "angry", 3.0) for number in range(3)]
    pictures = [picture for one, _ in takes for picture in one]
    rows, engine = play(networks, pictures, np.concatenate([wave for _, wave in takes]))
    assert engine.n_people == 3
    for k, (one, wave) in enumerate(takes):
        own = within(rows, 3.0 * k, 3.0 * (k + 1))
        assert {row.person for row in own} == {k + 1}
        same(play(networks, one, wave)[0], own, shift_s=3.0 * k)


def test_the_region_follows_a_face_that_walks(networks, take, monkeypatch):
    """Every square shows what it shows where the face stands still, up to what a detector is off by."""
    pictures, wave = take(0, "neutral", 4.0)
    wide = [np.pad(picture, ((0, 0), (0, 500), (0, 0)), mode="edge") for picture in pictures]
    walking = [np.roll(picture, 12 * k, axis=1) for k, picture in enumerate(wide)]
    judge, seen = engine_module.judge, []
    monkeypatch.setattr(engine_module, "judge", lambda model, clips: seen.extend(clips) or judge(model, clips))
    _, engine = play(networks, walking, wave)
    assert engine.n_people == 1
    walked, seen = list(seen), []
    play(networks, wide, wave)
    for one, other in zip(walked, seen, strict=True):
        centres = one.track.boxes[:, 0] + one.track.boxes[:, 2] / 2
        middle = one.track.region[0] + one.track.region[2] / 2
        assert np.nanmax(np.abs(centres - middle)) > 0.4 * one.track.region[2]  # one square would lose it
        assert np.abs(one.track.frames.astype(float) - other.track.frames).mean() < 12


def test_the_region_of_a_face_that_stands_still_stays(networks, take, monkeypatch):
    """As in training, one square for all pictures, whatever the boxes of the detector do; here it is off by 5 %."""
    pictures, wave = take(0, "neutral", 2.0)
    judge, seen = engine_module.judge, []
    monkeypatch.setattr(engine_module, "judge", lambda model, clips: seen.extend(clips) or judge(model, clips))
    play(networks, pictures, wave)
    assert len(seen) == 4  # three windows and the whole
    for clip in seen:
        boxes, region = clip.track.boxes, clip.track.region
        assert np.ptp(boxes[:, 0]) > 0.04 * region[2]
        time_s = np.arange(len(boxes)) / FPS
        regions = engine_module._along(boxes, time_s, region)
        np.testing.assert_array_equal(regions, np.tile(region, (len(boxes), 1)))
        walking = boxes + np.outer(np.arange(len(boxes)), [12.0, 0.0, 0.0])
        steps = np.diff(engine_module._along(walking, time_s, region_around(walking, margin=1.2)), axis=0)
        assert np.abs(steps[:, 0] - 12).max() <= 0.05 * region[2]
        assert np.abs(steps[:, 2]).max() == 0


def test_landmarks_are_found_where_somebody_wants_them(networks, take, monkeypatch):
    """They are a large share of the time, and networks that look at pictures need none."""
    pictures, wave = take(0, "angry", 1.0)
    calls = []
    monkeypatch.setattr(track_module, "locate", lambda grey, box: calls.append(box) or locate(grey, box))
    without, _ = play(networks, pictures, wave)
    assert calls == []
    with_them, engine = play(networks, pictures, wave, tracks=True)
    assert len(calls) == FPS
    assert np.isfinite(engine.track_of(1).landmarks).all()
    same(without, with_them)


def test_two_people_are_judged_apart_and_the_voice_is_the_larger_ones(networks, take):
    large, wave = take(0, "angry", 2.0)
    small, _ = take(1, "sad", 2.0)
    large = [cv2.resize(p, None, fx=1.4, fy=1.4, interpolation=cv2.INTER_LINEAR) for p in large]
    both = [
        np.concatenate([a, np.pad(b, ((0, len(a) - len(b)), (0, 0), (0, 0)), mode="edge")], axis=1)
        for a, b in zip(large, small, strict=True)
    ]
    rows, _ = play(networks, both, wave)
    assert [row.person for row in rows] == [1, 2] * 3
    assert [row.used for row in rows] == [("face", "voice"), ("face",)] * 3
    assert [row.main for row in rows] == [True, False] * 3
    told = table(rows, ("a", "b", "c", "d"), file="x.mp4")
    np.testing.assert_allclose(told.filter(regex="^p_").sum(axis=1), 1.0)
    assert told.used.tolist() == ["face+voice", "face"] * 3
    assert list(told.columns[:5]) == ["file", "person", "start_s", "end_s", "label"]


def test_memory_stays_flat(networks, take):
    """Two minutes, of which a window and a hop are kept."""
    picture, engine = np.full((16, 16, 3), 90, np.uint8), Engine(networks, **WINDOWS)
    second = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    n_rows = 0
    for k in range(120):
        n_rows += len(engine.add(float(k), picture, second))
        assert len(engine._looks) <= (ONE_PASS_S + 1) * FACES.rate_fps
        assert len(engine._wave) <= (ONE_PASS_S + 2) * RATE
    assert n_rows == (119 - 1) * 2 + 1


def test_a_voice_without_a_face_and_nothing_at_all(networks):
    blank, voice = [np.full((64, 64, 3), 90, np.uint8)] * 40, np.zeros(4 * RATE, np.float32)
    voice[: 2 * RATE] = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    rows, engine = play(networks, blank, voice)
    assert {row.person for row in rows} == {0}
    assert [row.used for row in rows] == [("voice",)] * 4 + [()] * 3
    assert [round(row.voice_share, 2) for row in rows] == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0]
    assert not rows[-1].judged
    assert table(rows, engine.classes).label.tolist()[-1] == ""


def test_containers_and_channels_agree(networks, take, tmp_path):
    """The same samples: mp4, mkv and wav; one channel, two, and six."""
    _, wave = take(0, "angry", 4.0)
    blank = [np.full((64, 96, 3), 90, np.uint8)] * (4 * FPS)
    still = {"rate_fps": FPS, "wave": wave, "rate_hz": RATE}
    media.write_video(tmp_path / "a.mkv", blank, codecs=("libx264", "pcm_s16le"), **still)
    media.write_video(tmp_path / "a.mp4", blank, codecs=("libx264", "flac"), **still)
    media.write_sound(tmp_path / "a.wav", wave, RATE)
    media.write_sound(tmp_path / "stereo.wav", np.stack([wave, wave]), RATE)
    with av.open(str(tmp_path / "six.wav"), "w") as film:
        stream = film.add_stream("pcm_s16le", rate=RATE, layout="5.1")
        values = np.repeat((wave.clip(-1, 1) * 32767).round().astype(np.int16)[:, None], 6, axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), format="s16", layout="5.1")
        frame.rate = RATE
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    found = {path.name: judge_file(path, networks, **WINDOWS) for path in sorted(tmp_path.iterdir())}
    assert len(found) == 5
    expected = found["a.wav"]
    assert len(expected.rows) == 7
    for name, one in found.items():
        assert len(one.rows) == 7, name
        np.testing.assert_allclose(one.probabilities, expected.probabilities, atol=1e-3, err_msg=name)
        for row, other in zip(one.rows, expected.rows, strict=True):
            np.testing.assert_allclose(row.probabilities, other.probabilities, atol=1e-3, err_msg=name)


def test_an_early_verdict_is_shown_and_not_counted(networks, take):
    pictures, wave = take(0, "angry", 0.9)
    engine, told = Engine(networks, **WINDOWS), []
    for k, picture in enumerate(pictures):
        assert engine.add(k / FPS, picture, wave[round(max(0, k - 1) / FPS * RATE) : round(k / FPS * RATE)]) == []
        told.append(engine.moment(k / FPS, picture))
    assert [moment.probabilities is not None for moment in told] == [False] * 5 + [True] * 4
    assert told[-1].basis == ("face", "voice")
    (row,) = engine.finish()
    np.testing.assert_array_equal(row.probabilities, engine.verdict)  # too short for a window: the whole


def test_networks_of_two_trainings_are_refused(networks):
    with pytest.raises(ModelError, match="with faces"):
        Engine([networks[0], replace(networks[1], faces=replace(FACES, rate_fps=7))], **WINDOWS)


def test_a_picture_that_stays_is_cheap_and_a_camera_that_stops_shows_nobody(networks, take, monkeypatch):
    pictures, _ = take(0, "angry", 1.0)
    for hold_s, share in ((float("inf"), 1.0), (1.0, 0.0)):
        engine = Engine(networks, **WINDOWS, hold_s=hold_s)
        rows = engine.add_picture(0.0, pictures[0])
        rows += engine.add_picture(60.0, pictures[0])
        assert engine.n_looks in (601, 12)
        assert rows[-1].face_share == share
        assert rows[0].judged
