"""When a network that runs along with a recording looks at it, and when it judges.

Steps are what a network is given: frames, looked at every 1 / rate_fps s, and segments of the sound (`segment_ends` in
`sound.spectrogram`). Ticks are the instants at which a joint network judges. All times are s from the beginning; what
happens at a time depends on nothing later.
"""

import math
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal


def looks(time_s: np.ndarray, duration_s: float, *, rate_fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Choose the frames that are looked at: at every multiple of 1 / rate_fps the newest one since the look before.

    Parameters
    ----------
    time_s : (N,) ascending, of the frames that show a face; a look that finds no new one is no step.
    duration_s : of the recording; what would be looked at after its end is not.

    Returns
    -------
    frames (T,) int64, which of the N; and when they are looked at (T,) in s, up to 1 / rate_fps after the frame.
    """
    look = np.ceil((np.asarray(time_s, dtype=np.float64) - TOLERANCE_S) * rate_fps).astype(np.int64)  # (N,)
    newest = np.flatnonzero(np.append(look[1:] != look[:-1], True)[: len(look)])
    at_s = look[newest] / rate_fps
    within = at_s <= duration_s + TOLERANCE_S
    return newest[within], at_s[within]


class Newest(Generic[T]):
    """The rule of `looks` while a film runs: what is looked at is handed out once it is known to be the newest."""

    def __init__(self, rate_fps: float) -> None:
        self.rate_fps = rate_fps
        self._waiting: tuple[int, T] | None = None  # number of the look, and what is the newest until now

    def put(self, time_s: float, item: T) -> tuple[float, T] | None:
        """Give what comes at a time; return the look before, (its time in s, its item), if there was none yet."""
        number = math.ceil((time_s - TOLERANCE_S) * self.rate_fps)
        before, self._waiting = self._waiting, (number, item)
        return self._look(before) if before is not None and before[0] < number else None

    def due(self, time_s: float) -> tuple[float, T] | None:
        """Return the look whose time has come, if there is one: to be asked when all up to `time_s` was given."""
        if self._waiting is None or self._waiting[0] > (time_s + TOLERANCE_S) * self.rate_fps:
            return None
        now, self._waiting = self._waiting, None
        return self._look(now)

    def _look(self, waiting: tuple[int, T]) -> tuple[float, T]:
        return waiting[0] / self.rate_fps, waiting[1]


def ticks(duration_s: float, *, hop_s: float) -> np.ndarray:
    """Return the times (K,) at which a joint network judges: every `hop_s`, from `hop_s` on, to the recording's end.

    A recording that is shorter than `hop_s` has one tick, at its end.
    """
    if duration_s < hop_s - TOLERANCE_S:
        return np.array([duration_s])
    return hop_s * np.arange(1, int((duration_s + TOLERANCE_S) / hop_s) + 1)


def newest_steps(step_s: np.ndarray, tick_s: np.ndarray) -> np.ndarray:
    """Return for every tick (K,) the number of the newest of the ascending steps (T,) by then, int64; -1: none yet."""
    return np.searchsorted(step_s, np.asarray(tick_s) + TOLERANCE_S, side="right") - 1
