"""Perceived labels: the commonest vote, shared among equals."""

import numpy as np
import pytest

from mien.evaluation.calibration import perceived, raters_of, share_at


def test_the_commonest_vote_is_perceived_and_equals_share_it():
    counts = np.array([[5, 3, 2], [4, 4, 2], [3, 3, 3], [0, 0, 1]])
    shares = perceived(counts)
    np.testing.assert_allclose(shares, [[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3, [0, 0, 1]])
    assert share_at(shares, np.array([0, 1, 2, 0])).tolist() == [1, 0.5, pytest.approx(1 / 3), 0]


def test_a_network_is_held_against_raters_who_met_the_clip_as_it_does():
    assert raters_of(("audio",)) == "voice"
    assert raters_of(("video",)) == raters_of(("units",)) == raters_of(("video", "units")) == "face"
    assert raters_of(("video", "audio")) == raters_of(("video", "audio", "units")) == "multimodal"
