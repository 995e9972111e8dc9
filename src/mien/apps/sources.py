"""A film as it runs, from a file, a camera or a pipe: its pictures and its sound in the order of time.

    source   what it is
    a path   a film or a picture; where it is asked for, also a sound alone
    camera   the first camera; camera:N the N-th, from 0 (V4L2). Its microphone is not recorded: pictures only.
    -        a film on standard input, in a format that can be read from beginning to end: Matroska, MPEG-TS, FLV, AVI,
             or MP4 in fragments

Time 0 is the first picture; sound before it is left out, and silence stands where sound is missing. All is decoded in a
process of its own (`mien.io.isolated`).
"""

import logging
import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.audio.resample import Resampler
from mien.errors import MediaError
from mien.io import isolated, media
from mien.io.film import LEAD_S, PICTURES_WAIT, AudioBlock, Facts, VideoFrame

log = logging.getLogger(__name__)

SLACK_S = 0.05  # by which the times of blocks of sound may differ from the count of samples
STEP_S = 0.1  # of time, where there is sound and no picture
_NO_SOUND = np.zeros(0, dtype=np.float32)
_CAMERA = re.compile(r"camera(?::(\d+))?")


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a viewer sees it."""

    time_s: float  # from the first picture; ascending
    pixels: np.ndarray | None  # (H, W, 3) uint8 RGB; None: sound after the last picture, or without any
    sound: np.ndarray  # (N,) float32 in -1..1, mono: what was heard since the picture before it
    cut: bool = False  # a shot has begun since then


class Source:
    """A film that is open; iterate over it once.

    Parameters
    ----------
    name
        For messages.
    events
        What `film.play` yields.
    path
        Of the file, None of other sources.
    live
        The clock runs, whoever looks.
    sound_alone
        Take a sound without pictures too: its time 0 is its first sample.

    Attributes
    ----------
    has_pictures, has_sound, rate_fps, duration_s : as declared; a length in s that is not is NaN.
    problem : after the iteration, why it is not the whole; else empty.
    """

    def __init__(
        self,
        name: str,
        events: Iterator,
        rate_hz: int,
        *,
        path: Path | None = None,
        live: bool = False,
        sound_alone: bool = False,
    ) -> None:
        self.name, self.path, self.live = name, path, live
        self.problem = ""
        self._events = events
        facts: Facts = next(events)
        if not facts.has_pictures and not sound_alone:
            events.close()
            raise MediaError(f"{name}: has no moving picture to watch; a sound alone is judged by: mien predict")
        self.has_pictures, self.has_sound, self.rate_fps = facts.has_pictures, facts.has_sound, facts.rate_fps
        self.duration_s = facts.duration_s
        self._audio = _AudioTrack(rate_hz) if self.has_sound else None

    def close(self) -> None:
        """Close the film; nothing can be read any more."""
        self._events.close()

    def __iter__(self) -> Iterator[Picture]:
        last_s, n_steps, alone = None, 1, False
        for event in self._events:
            if isinstance(event, VideoFrame):
                last_s = event.time_s
                sound = self._audio.until(last_s) if self._audio else _NO_SOUND
                yield Picture(last_s, event.pixels, sound, event.cut)
                n_steps = int(last_s / STEP_S + 1e-6) + 1
            elif isinstance(event, AudioBlock):
                self._audio.add(event)
            elif event.what == "pictures":
                alone = self._audio is not None
            elif event.what == "sound":
                self._audio.ended = True
            else:
                self.problem = event.problem
                if event.remark:
                    log.warning("%s", event.remark)
            while alone and self._audio.newest_s > n_steps * STEP_S + LEAD_S:
                yield Picture(n_steps * STEP_S, None, self._audio.until(n_steps * STEP_S))
                n_steps += 1
        while alone and len(sound := self._audio.until(n_steps * STEP_S)):
            yield Picture(self._audio.n_given / self._audio.rate_hz, None, sound)
            n_steps += 1
        if last_s is None and not (alone and self._audio.n_given):
            raise MediaError(self.problem or f"{self.name}: has no picture and no sound that can be decoded")


def open_source(text: str, *, rate_hz: int, rate_fps: float | None = None, sound_alone: bool = False) -> Source:
    """Open a film: a path, `camera`, `camera:N` or `-` for standard input; its sound will be at `rate_hz`.

    Parameters
    ----------
    rate_fps
        Leave out the pictures that nobody sees who looks so often; None: none.
    sound_alone
        Whether it may have no picture.

    Raises
    ------
    MediaError : there is no such file or camera, it is not a film, or it shows no picture.
    """
    path = Path(text)
    camera = None if path.exists() else _CAMERA.fullmatch(text)
    how = {"sound_alone": sound_alone}
    if text == "-":
        file, name = _standard_input(), "standard input"
        events = isolated.play(name, rate_fps, PICTURES_WAIT, "", file=file, patience_s=None)
    elif camera:
        device, name, how["live"] = _find_camera(int(camera[1] or 0)), text, True
        events = isolated.play(name, rate_fps, PICTURES_WAIT, str(device), patience_s=None)
    else:
        events, name, how["path"] = isolated.play(text, rate_fps), text, path
    return Source(name, events, rate_hz, **how)


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # None: so Python has it where the shell closed it
        raise MediaError("standard input: is closed; pipe a film into it, or name a file") from None


def _find_camera(number: int) -> Path:
    device = Path(f"/dev/video{number}")
    if not device.exists():
        others = ", ".join(f"camera:{path.name[5:]}" for path in sorted(Path("/dev").glob("video[0-9]*")))
        raise MediaError(f"camera:{number}: there is no camera {device}; connect one, or choose of: {others or 'none'}")
    return device


class _AudioTrack:
    """The sound of a film at one rate, on the clock of its pictures."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.ended = False  # no block will come
        self.n_given = 0  # samples since time 0 that were handed out
        self.newest_s = 0.0  # end of the newest block
        self._blocks: deque[AudioBlock] = deque()
        self._taken: list[np.ndarray] = []  # of blocks, for the resampler
        self._resampler, self._heard_hz = None, 0
        self._next_s: float | None = None  # when the next block should begin, by the count of samples
        self._ready = _NO_SOUND
        self._n_before = 0  # resampled samples that are still to be left out: before time 0, or heard already

    def add(self, block: AudioBlock) -> None:
        """Take the next block."""
        begins_s = self.newest_s if block.time_s is None else min(block.time_s, self.newest_s + media.MOST_GAP_S)
        self.newest_s = max(self.newest_s, begins_s + len(block.samples) / block.rate_hz)
        self._blocks.append(block)

    def until(self, time_s: float) -> np.ndarray:
        """Return the samples (N,) since the last call up to a time; fewer where the sound has ended or comes late."""
        stop = round(time_s * self.rate_hz)
        while self._blocks and self._place(self._blocks[0], stop):
            self._taken.append(self._blocks.popleft().samples)
        self._resample()
        if not self._blocks and self.ended and self._n_known < stop:
            self._drain()
        samples = self._ready[: max(0, stop - self.n_given)]
        self._ready = self._ready[len(samples) :]
        self.n_given += len(samples)
        return samples

    @property
    def _n_known(self) -> int:
        return self.n_given + len(self._ready)

    def _place(self, block: AudioBlock, stop: int) -> bool:
        """Make ready for a block: silence where the sound pauses. False if there is silence up to sample `stop`."""
        known_s = self._next_s if self._next_s is not None else self._n_known / self.rate_hz
        time_s = known_s if block.time_s is None else min(block.time_s, known_s + media.MOST_GAP_S)
        if block.rate_hz != self._heard_hz or self._next_s is None or abs(time_s - self._next_s) > SLACK_S:
            self._drain()
            begins = round(time_s * self.rate_hz)
            self._ready = np.append(self._ready, np.zeros(max(0, min(begins, stop) - self._n_known), np.float32))
            if begins > stop:
                self._next_s = None
                return False
            self._n_before = self._n_known - begins
            self._resampler = Resampler(block.rate_hz, self.rate_hz)
            self._heard_hz, self._next_s = block.rate_hz, time_s
        self._next_s += len(block.samples) / block.rate_hz
        return True

    def _resample(self) -> None:
        """Resample the blocks that were taken, at once: a call costs more than its samples."""
        if self._taken:
            self._add(self._resampler.take(np.concatenate(self._taken)))
            self._taken = []

    def _drain(self) -> None:
        """Take what the resampler still holds."""
        self._resample()
        if self._resampler is not None:
            self._add(self._resampler.finish())
            self._resampler = None

    def _add(self, samples: np.ndarray) -> None:
        left_out = min(self._n_before, len(samples))
        self._n_before -= left_out
        self._ready = np.append(self._ready, samples[left_out:])
