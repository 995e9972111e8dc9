"""Time axes: every frame is looked at once and never before its time."""

import numpy as np
import pytest

from mien.io.randomness import rng_for
from mien.models.streaming import Newest, looks, newest_steps, ticks


def test_at_the_stored_rate_every_frame_is_a_step():
    time_s = np.arange(30) / 25
    frames, at_s = looks(time_s, 1.2, rate_fps=25)
    np.testing.assert_array_equal(frames, np.arange(30))
    np.testing.assert_allclose(at_s, time_s)


def test_at_half_the_rate_every_other_frame_is_a_step():
    frames, at_s = looks(np.arange(10) / 10, 1.0, rate_fps=5)
    np.testing.assert_array_equal(frames, [0, 2, 4, 6, 8, 9])  # frame 9, at 0.9 s, is the newest one when 1.0 s is over
    np.testing.assert_allclose(at_s, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_lost_face_is_no_step_and_an_older_one_is_not_looked_at_again():
    frames, at_s = looks(np.array([0.0, 0.1, 0.5, 0.6, 0.7]), 1.0, rate_fps=5)
    np.testing.assert_array_equal(frames, [0, 1, 3, 4])
    np.testing.assert_allclose(at_s, [0.0, 0.2, 0.6, 0.8])


@pytest.mark.parametrize("rate_fps", [1, 3, 5, 25])
def test_looks_keep_to_the_grid_and_never_see_the_future(rate_fps):
    time_s = np.sort(rng_for(0, "looks").uniform(0, 4, 60))
    frames, at_s = looks(time_s, 4.0, rate_fps=rate_fps)
    assert (np.diff(frames) > 0).all()
    np.testing.assert_allclose(at_s * rate_fps, np.rint(at_s * rate_fps))
    delay_s = at_s - time_s[frames]
    assert (delay_s > -1e-5).all()
    assert (delay_s < 1 / rate_fps).all()
    for upto in (1, 20, 59):  # what comes later changes no look that is over
        early, early_s = looks(time_s[:upto], 4.0, rate_fps=rate_fps)
        over = early_s < time_s[upto] - 1e-5
        np.testing.assert_array_equal(early[over], frames[: over.sum()])


@pytest.mark.parametrize("rate_fps", [3, 5, 25])
def test_looks_are_the_same_while_a_film_runs(rate_fps):
    time_s = np.unique(np.round(rng_for(0, "running", rate_fps).uniform(0, 4, 80), 2))  # some are exactly due
    newest, given = Newest(rate_fps), []
    for k, at_s in enumerate(time_s):
        for look in (newest.put(at_s, k), newest.due(at_s)):
            if look is not None:
                assert look[0] < at_s + 1e-5  # not before its time
                given.append(look)
    if (look := newest.due(5.0)) is not None:
        given.append(look)
    frames, at_s = looks(time_s, 5.0, rate_fps=rate_fps)
    np.testing.assert_allclose([look[0] for look in given], at_s)
    np.testing.assert_array_equal([look[1] for look in given], frames)


def test_no_face_is_no_step():
    frames, at_s = looks(np.array([]), 1.0, rate_fps=5)
    assert len(frames) == len(at_s) == 0


def test_ticks_go_to_the_end():
    np.testing.assert_allclose(ticks(2.0, hop_s=0.5), [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(ticks(1.99, hop_s=0.5), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(ticks(0.3, hop_s=0.5), [0.3])
    assert len(ticks(3 * 0.1, hop_s=0.1)) == 3


def test_a_tick_sees_steps_by_then():
    np.testing.assert_array_equal(
        newest_steps(np.array([0.2, 0.5, 1.0]), np.array([0.1, 0.5, 0.9, 1.5])), [-1, 1, 1, 2]
    )
    np.testing.assert_array_equal(newest_steps(np.array([]), np.array([0.5])), [-1])
