"""When a network looks at a clip: slices of time, and frames and segments within them (thesis section 5.3.3).

In training, a clip is cut to a random slice, the same for every modality, and frames and segments move within what
their steps leave over. In evaluation, and in training without slicing, the whole clip is looked at in fixed steps.

A segment of the sound is moved along by a fixed hop, the whole segment in NT and VA+WO, half of it in VA+AO, and there
are as many as the slice holds: no network is given sound that is not there, and a clip shorter than a segment is one
segment.
"""

from dataclasses import dataclass

import numpy as np

SLICED = {"NT": False, "VA+WO": True, "VA+AO": True}  # augmentation -> whether training cuts clips to random slices
HOPS = {"NT": 1.0, "VA+WO": 1.0, "VA+AO": 0.5}  # from a segment to the next, in lengths of a segment
MOST = 8  # segments of a clip; of a longer one they lie further apart
TOLERANCE_S = 1e-6


@dataclass(frozen=True)
class Interval:
    """A stretch of a clip, s from its beginning."""

    start_s: float
    stop_s: float


def random_slice(duration_s: float, rng: np.random.Generator, *, share: float, least_s: float) -> Interval:
    """Draw a stretch of `share` of the clip; not shorter than `least_s` unless the clip is.

    A slice below the length of a segment would fill the segment with padding that evaluation never shows.
    """
    length_s = min(duration_s, max(share * duration_s, least_s))
    start_s = rng.uniform(0.0, duration_s - length_s)
    return Interval(start_s, start_s + length_s)


def frame_times(interval: Interval, n: int, *, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return `n` times in s: the centres of equal parts of `interval`, or with `rng` a random time in each part."""
    place = 0.5 if rng is None else rng.uniform(size=n)
    return interval.start_s + (np.arange(n) + place) * (interval.stop_s - interval.start_s) / n


def segment_starts(
    interval: Interval, *, length_s: float, hop_s: float, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return start times (S,) in s of as many segments of `length_s` as `interval` holds; at least 1, at most `MOST`.

    They are `hop_s` apart, further where there would be more than `MOST`. What is left over lies half before and half
    after them; with `rng`, any share of it before. An interval shorter than a segment has one, at its beginning.
    """
    room_s = max(interval.stop_s - interval.start_s - length_s, 0.0)
    n = int((room_s + TOLERANCE_S) / hop_s) + 1
    if n > MOST:
        n, hop_s = MOST, room_s / (MOST - 1)
    spare_s = max(room_s - (n - 1) * hop_s, 0.0)
    return interval.start_s + (0.5 if rng is None else rng.uniform()) * spare_s + hop_s * np.arange(n)


def nearest_frames(time_s: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Return for each wanted time the index of the nearest of the ascending times `time_s` (the earlier one of two)."""
    right = np.searchsorted(time_s, wanted_s).clip(1, max(len(time_s) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(time_s) - 1)
    return np.where(wanted_s - time_s[left] <= time_s[right] - wanted_s, left, right)
