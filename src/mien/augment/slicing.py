"""When a network looks at a clip: slices of time, and frames and segments within them (thesis section 5.3.3).

In training, a clip is cut to a random slice, the same for every modality, and frames and segments move by up to half
a step. In evaluation, and in training without slicing, the whole clip is looked at in fixed steps.

Segments of NT and VA+WO do not overlap: four of them are longer than most clips, so the last ones hold no sound. Those
of VA+AO are spread over the slice, each by half a segment after the one before where it lasts 3.5 s; they lie closer
together in a shorter one.
"""

from dataclasses import dataclass

import numpy as np

SEGMENTS = {"NT": 4, "VA+WO": 4, "VA+AO": 6}  # augmentation -> segments of a clip (our choice; the thesis gives none)
SLICED = {"NT": False, "VA+WO": True, "VA+AO": True}
OVERLAPPING = {"NT": False, "VA+WO": False, "VA+AO": True}


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
    interval: Interval, n: int, *, length_s: float, apart_s: float = 0.0, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return `n` start times in s of segments of `length_s`, from the beginning to the end of `interval`.

    Two starts are at least `apart_s` apart, with `length_s` without overlap: where the interval is too short for that,
    the last segments reach beyond its end or lie there. With `rng`, each moves by up to half of what the step between
    two leaves over. Without `apart_s`, an interval shorter than a segment has all starts at its beginning.
    """
    first_s = interval.start_s
    last_s = max(interval.stop_s - length_s, first_s + (n - 1) * apart_s)
    starts = np.linspace(first_s, last_s, n)
    if rng is not None and n > 1:
        spare_s = (last_s - first_s) / (n - 1) - apart_s
        starts = (starts + rng.uniform(-0.5, 0.5, size=n) * spare_s).clip(first_s, last_s)
    return starts


def apart_s(augmentation: str, length_s: float) -> float:
    """Return the least time in s between the starts of two segments of `length_s` that an augmentation allows."""
    return 0.0 if OVERLAPPING[augmentation] else length_s


def nearest_frames(time_s: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Return for each wanted time the index of the nearest of the ascending times `time_s` (the earlier one of two)."""
    right = np.searchsorted(time_s, wanted_s).clip(1, max(len(time_s) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(time_s) - 1)
    return np.where(wanted_s - time_s[left] <= time_s[right] - wanted_s, left, right)
