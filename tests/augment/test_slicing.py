"""Slices keep all modalities on one stretch of time; evaluation sees the whole clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.augment.slicing import MOST, Interval, frame_times, random_slice, segment_starts
from mien.io.randomness import rng_for


@given(st.floats(0.1, 20.0), st.floats(0.05, 1.0), st.integers(0, 1000))
def test_a_slice_lies_in_the_clip_and_has_its_length(duration_s, share, seed):
    cut = random_slice(duration_s, rng_for(seed), share=share, least_s=1.0)
    assert 0.0 <= cut.start_s <= cut.stop_s <= duration_s + 1e-9
    assert cut.stop_s - cut.start_s == pytest.approx(min(duration_s, max(share * duration_s, 1.0)))


@given(st.floats(0.0, 5.0), st.floats(0.2, 8.0), st.integers(1, 30), st.integers(0, 1000))
def test_frames_stay_in_the_slice_in_order(start_s, length_s, n, seed):
    cut = Interval(start_s, start_s + length_s)
    for rng in (None, rng_for(seed)):
        times = frame_times(cut, n, rng=rng)
        assert len(times) == n
        assert (np.diff(times) >= 0).all()
        assert times.min() >= cut.start_s
        assert times.max() <= cut.stop_s


@pytest.mark.parametrize("hop_s", [0.5, 1.0])
@given(start_s=st.floats(0.0, 5.0), length_s=st.floats(0.0, 20.0), seed=st.integers(0, 1000))
def test_a_slice_has_as_many_segments_as_it_holds(hop_s, start_s, length_s, seed):
    cut = Interval(start_s, start_s + length_s)
    for rng in (None, rng_for(seed)):
        starts = segment_starts(cut, length_s=1.0, hop_s=hop_s, rng=rng)
        assert 1 <= len(starts) <= MOST
        assert starts[0] >= cut.start_s
        assert starts[-1] <= max(cut.start_s, cut.stop_s - 1.0) + 1e-6
        steps = np.diff(starts)
        if len(starts) < MOST:
            np.testing.assert_allclose(steps, hop_s)
            assert length_s < 1.0 + len(starts) * hop_s  # no room for another
        else:
            assert (steps >= hop_s - 1e-6).all()
            assert np.ptp(steps) < 1e-9


def test_the_numbers_of_segments_of_clips_of_the_corpora():
    """Mean clips of the embedded RAVDESS, of CREMA-D and of RAVDESS: 1.56, 2.54 and 3.70 s."""
    for seconds, apart, overlapping in ((1.56, 1, 2), (2.54, 2, 4), (3.70, 3, 6)):
        whole = Interval(0.0, seconds)
        assert len(segment_starts(whole, length_s=1.0, hop_s=1.0)) == apart
        assert len(segment_starts(whole, length_s=1.0, hop_s=0.5)) == overlapping
    np.testing.assert_allclose(segment_starts(Interval(2.0, 4.4), length_s=1.0, hop_s=1.0), [2.2, 3.2])
