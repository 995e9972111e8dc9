"""Versions of one take differ in what they should: the draws of one modality do not shift those of anything else."""

import numpy as np
import pytest

from mien.config.fuzziness import CLEAR, VERSIONS, made_as
from mien.config.schema import SyntheticConfig
from mien.synthetic.performance import Actor, Scene


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
    (frames, wave, truth), (clear, voice, told) = films[version], films[CLEAR]
    np.testing.assert_array_equal(wave, voice)
    np.testing.assert_array_equal(truth.pose, told.pose)
    np.testing.assert_array_equal(truth.time_s, told.time_s)
    assert truth.voice == told.voice
    assert np.abs(truth.units - told.units).max() > 0.2
    np.testing.assert_array_equal(frames[:, :10, :10], clear[:, :10, :10])  # the wall and its grain


@pytest.mark.parametrize("version", ["missing_audio", "blended_audio"])
def test_another_voice_has_the_same_expression_at_its_own_pace(films, version):
    (_, wave, truth), (_, voice, told) = films[version], films[CLEAR]
    assert truth.audio.kind == version.removesuffix("_audio")
    assert truth.video.kind == "clear"
    shared = slice(None, min(len(wave), len(voice)))
    assert np.abs(wave[shared] - voice[shared]).max() > 0.01
    ours, theirs = (one.units.mean(axis=0) for one in (truth, told))
    assert np.abs(ours - theirs).max() < 0.15 < np.abs(films["missing_video"][2].units.mean(axis=0) - theirs).max()
