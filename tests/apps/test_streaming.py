"""What is watched is what is evaluated: the running verdict is the batch's, on the same frames and segments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from apps.streaming_models import ROWS, WATCH, streaming_network, write_streaming
from apps.tiny_models import FACES, SOUND
from mien.apps.models import combine, load_streaming
from mien.apps.streaming import EmotionStream
from mien.errors import ModelError
from mien.faces.track import Face

RATE = SOUND.rate_hz


@pytest.fixture(scope="module")
def models():
    """Return a network for each role."""
    return combine({Path(row): streaming_network(row) for row in ROWS})


def _scripted(models, people, monkeypatch, *, sound=None):
    """Return the moments of a film at 4 fps in which the people of each picture are given."""
    live = EmotionStream(replace(models, faces=replace(FACES, rate_fps=4)), watch=WATCH)
    box = np.array([10.0, 10.0, 40.0])
    points = np.zeros((68, 2), np.float32)
    script = iter([[Face(number, box, box, points, score=1.0, found=True) for number in numbers] for numbers in people])
    monkeypatch.setattr(live._faces, "update", lambda time_s, picture: next(script))
    pictures = np.random.default_rng(0).integers(0, 255, (len(people), 64, 64, 3), dtype=np.uint8)
    if sound is not None:
        live.add_sound(sound)
    return [live.add_picture(k / 4, picture) for k, picture in enumerate(pictures)]


def test_somebody_new_in_front_starts_with_an_empty_memory(models, monkeypatch):
    sound = np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32)
    one = _scripted(models, [[1]] * 6, monkeypatch, sound=sound)[-1]
    changed = _scripted(models, [[2], [2], [2], [2], [2], [1]], monkeypatch, sound=sound)[-1]
    alone = _scripted(models, [[], [], [], [], [], [1]], monkeypatch, sound=sound)[-1]
    assert one.basis == changed.basis == alone.basis == ("face", "voice")
    np.testing.assert_allclose(changed.probabilities, alone.probabilities, atol=1e-6)
    assert np.abs(one.probabilities - alone.probabilities).max() > 1e-5


def test_others_are_judged_by_their_picture(models, monkeypatch):
    sound = np.random.default_rng(1).normal(0, 0.1, 2 * RATE).astype(np.float32)
    moment = _scripted(models, [[1, 2]] * 8, monkeypatch, sound=sound)[-1]
    assert [face.person for face in moment.faces] == [1, 2]
    np.testing.assert_allclose(moment.faces[0].probabilities, moment.faces[1].probabilities, atol=1e-6)
    silent = _scripted(models, [[1, 2]] * 8, monkeypatch)[-1]
    np.testing.assert_array_equal(moment.faces[1].probabilities, silent.faces[1].probabilities)
    assert np.abs(moment.probabilities - silent.probabilities).max() > 1e-5  # the voice belongs to the main face


def test_a_pause_of_the_voice_changes_nothing_while_a_face_is_there(models, monkeypatch):
    """As in the evaluation: a voice that was heard is not forgotten within a recording."""
    sound = np.zeros(5 * RATE, np.float32)
    sound[:RATE] = np.random.default_rng(1).normal(0, 0.1, RATE)
    spoken, silent = (_scripted(models, [[1]] * 20, monkeypatch, sound=wave) for wave in (sound, 0 * sound))
    assert [moment.basis for moment in spoken] == [("face",)] * 4 + [("face", "voice")] * 16
    assert {moment.basis for moment in silent} == {("face",)}
    assert spoken[-1].voice is None  # by itself it is not shown any more
    assert not spoken[-1].heard
    for before, after in zip(spoken[:4], silent[:4], strict=True):
        np.testing.assert_array_equal(before.probabilities, after.probabilities)
    assert all(
        np.abs(before.probabilities - after.probabilities).max() > 1e-5
        for before, after in zip(spoken[4:], silent[4:], strict=True)
    )


def test_a_voice_fades(models, monkeypatch):
    sound = np.zeros(5 * RATE, np.float32)
    sound[: RATE + RATE // 2] = 0.1 * np.sin(np.arange(RATE + RATE // 2))
    moments = _scripted(models, [[]] * 20, monkeypatch, sound=sound)
    bases = [moment.basis for moment in moments]
    assert bases[3] == ()  # not a whole second yet
    assert bases[4] == bases[8] == ("voice",)
    assert moments[8].heard  # 1 to 2 s holds the end of it
    assert np.abs(moments[8].probabilities - moments[8].voice).max() > 1e-5  # the joint network, without a face
    assert bases[-1] == ()
    assert moments[-1].voice is None
    assert not moments[-1].heard


def test_any_network_alone_will_do(monkeypatch):
    sound = np.random.default_rng(1).normal(0, 0.1, 2 * RATE).astype(np.float32)
    expected = {"AV": ("face", "voice"), "V": ("face",), "A": ("voice",)}
    for row, basis in expected.items():
        models = combine({Path(row): streaming_network(row)})
        moment = _scripted(models, [[1]] * 6, monkeypatch, sound=sound)[-1]
        assert moment.basis == basis
        assert moment.probabilities.sum() == pytest.approx(1.0)


def test_networks_that_do_not_go_combine_are_refused(tmp_path):
    files = [write_streaming(tmp_path / f"{row}.safetensors", row) for row in ("V", "A")]
    assert load_streaming(files).joint is None
    twin = write_streaming(tmp_path / "twin.safetensors", "V")
    with pytest.raises(ModelError, match=r"twin.*uses video, as .*V\.safetensors does"):
        load_streaming([*files, twin])
    other = write_streaming(tmp_path / "other.safetensors", "AV", rate_fps=25)
    with pytest.raises(ModelError, match="rate_fps 25"):
        load_streaming([*files, other])
