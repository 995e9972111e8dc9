"""Slices keep all modalities on one stretch of time; evaluation sees the whole clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.augment.slicing import Interval, frame_times, random_slice, segment_starts
from mien.io.randomness import rng_for


@given(st.floats(0.1, 20.0), st.floats(0.05, 1.0), st.integers(0, 1000))
def test_a_slice_lies_in_the_clip_and_has_its_length(duration_s, share, seed):
    cut = random_slice(duration_s, rng_for(seed), share=share, least_s=1.0)
    assert 0.0 <= cut.start_s <= cut.stop_s <= duration_s + 1e-9
    assert cut.stop_s - cut.start_s == pytest.approx(min(duration_s, max(share * duration_s, 1.0)))


@given(st.floats(0.0, 5.0), st.floats(0.2, 8.0), st.integers(1, 30), st.integers(0, 1000))
def test_frames_and_segments_stay_in_the_slice_in_order(start_s, length_s, n, seed):
    cut = Interval(start_s, start_s + length_s)
    for rng in (None, rng_for(seed)):
        times = frame_times(cut, n, rng=rng)
        starts = segment_starts(cut, n, length_s=1.0, rng=rng)
        assert len(times) == len(starts) == n
        assert (np.diff(times) >= 0).all()
        assert (np.diff(starts) >= 0).all()
        assert times.min() >= cut.start_s
        assert times.max() <= cut.stop_s
        assert starts.min() >= cut.start_s
        assert starts.max() <= max(cut.start_s, cut.stop_s - 1.0)


@given(st.floats(0.0, 5.0), st.floats(0.0, 12.0), st.integers(1, 8), st.integers(0, 1000))
def test_segments_without_overlap_stay_a_segment_apart(start_s, length_s, n, seed):
    """In training and evaluation, in slices of any length; a long one is used to its end, a short one is overrun."""
    cut = Interval(start_s, start_s + length_s)
    for rng in (None, rng_for(seed)):
        starts = segment_starts(cut, n, length_s=1.0, apart_s=1.0, rng=rng)
        assert len(starts) == n
        assert starts[0] >= cut.start_s
        assert (np.diff(starts) >= 1.0 - 1e-9).all()
        assert starts[-1] <= max(cut.stop_s - 1.0, cut.start_s + n - 1.0) + 1e-9
    if length_s <= n:  # no room to move
        np.testing.assert_allclose(starts, cut.start_s + np.arange(n))
