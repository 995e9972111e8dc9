"""What a running network is given of a corpus: the steps and ticks of clips or of stretches of them, and batches.

A stretch is treated as a recording of its own, that begins where the stretch does. Single networks judge at each of
their steps, joint ones at the ticks of `models.time_axes`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mien.audio.spectrogram import is_heard, segment_ends, segment_shape, standardised_segment
from mien.augment.slicing import Interval
from mien.config.schema import SoundConfig
from mien.io.shards import FULL_SCALE
from mien.models.streaming import TOLERANCE_S, choose_frames, newest_steps, tick_times
from mien.training.clips import ClipDataset, FrameSequence, ModalityData, Wave, random_batches

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StreamTiming:
    """How often networks look, listen and judge, see section ``streaming``."""

    rate_fps: int
    hop_s: float
    sound: SoundConfig


@dataclass(frozen=True)
class StreamBatch:
    """B recordings that are followed from beginning to end.

    inputs : video (B, T, S, S, 3) uint8, audio (B, T, 1, F, W) float; zeros after the last step.
    at : modality -> (B, K) int64, the number of its newest step at every tick; -1: none yet, or no tick any more.
    label : (B,) int64.   tick_s : per recording its ticks (K_b,) in s.
    """

    inputs: dict[str, Tensor]
    at: dict[str, Tensor]
    label: Tensor
    tick_s: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.label)

    def known(self, head: str) -> Tensor:
        """Return (B, K) bool: the ticks at which a head has something to go by; fused: any modality."""
        if head in self.at:
            return self.at[head] >= 0
        return torch.stack([at >= 0 for at in self.at.values()]).any(0)

    def to(self, device: torch.device) -> "StreamBatch":
        """Return the batch on `device`."""
        return replace(
            self,
            inputs={name: value.to(device) for name, value in self.inputs.items()},
            at={name: value.to(device) for name, value in self.at.items()},
            label=self.label.to(device),
        )


def usable(recordings: ClipDataset, pace: StreamTiming) -> ClipDataset:
    """Leave out media without a single step that a tick sees: a clip that is counted can be judged."""
    media = {
        name: {clip: medium for clip, medium in of_clip.items() if _is_followed(recordings, clip, medium, pace)}
        for name, of_clip in recordings.media.items()
    }
    n_left = {name: len(recordings.media[name]) - len(kept) for name, kept in media.items()}
    if not any(n_left.values()):
        return recordings
    log.info("%s: clips that have something, but nothing to be followed: %s", recordings.corpus, n_left)
    return usable(replace(recordings, media=media), pace)  # a clip may have become shorter, and its ticks fewer


def _is_followed(recordings: ClipDataset, clip: str, medium: ModalityData, pace: StreamTiming) -> bool:
    whole = Interval(0.0, recordings.duration_s(clip))
    _, step_s = _when(medium, whole, pace)
    return len(step_s) > 0 and newest_steps(step_s, _ticks(recordings, step_s, whole, pace))[-1] >= 0


def stretch_batches(
    recordings: ClipDataset,
    clips: pd.DataFrame,
    pace: StreamTiming,
    *,
    window_s: float,
    size: int,
    rng: np.random.Generator,
) -> Iterator[StreamBatch]:
    """Yield one epoch in random order, of each clip a random stretch of `window_s`, or all of a shorter clip."""
    for rows in random_batches(len(clips), size=size, rng=rng):
        chosen = clips.iloc[rows]
        intervals = []
        for clip in chosen["clip"]:
            duration_s = recordings.duration_s(clip)
            start_s = rng.uniform(0.0, max(duration_s - window_s, 0.0))
            intervals.append(Interval(start_s, min(start_s + window_s, duration_s)))
        yield assemble(recordings, chosen, intervals, pace)


def whole_batches(
    recordings: ClipDataset, clips: pd.DataFrame, pace: StreamTiming, *, size: int
) -> Iterator[StreamBatch]:
    """Yield all clips in their order, from beginning to end."""
    for start in range(0, len(clips), size):
        chosen = clips.iloc[start : start + size]
        yield assemble(recordings, chosen, [Interval(0.0, recordings.duration_s(c)) for c in chosen["clip"]], pace)


def assemble(
    recordings: ClipDataset, clips: pd.DataFrame, intervals: list[Interval], pace: StreamTiming
) -> StreamBatch:
    """Put one stretch of each clip side by side; all modalities of a clip share its stretch."""
    steps: dict[str, list[Tensor]] = {name: [] for name in recordings.media}
    at: dict[str, list[Tensor]] = {name: [] for name in recordings.media}
    tick_s = []
    for clip, interval in zip(clips["clip"], intervals, strict=True):
        when = {}
        for name, media in recordings.media.items():
            medium = media.get(clip, next(iter(media.values())))  # any one has the shape of a step
            which, when[name] = _when(medium, interval, pace) if clip in media else (np.empty(0, int), np.empty(0))
            steps[name].append(_take(medium, which, pace))
        tick_s.append(_ticks(recordings, next(iter(when.values())), interval, pace))
        for name, step_s in when.items():
            numbers = newest_steps(step_s, tick_s[-1])
            at[name].append(torch.from_numpy(numbers if len(numbers) else np.array([-1])))
    return StreamBatch(
        {name: pad_sequence(taken, batch_first=True) for name, taken in steps.items()},
        {name: pad_sequence(numbers, batch_first=True, padding_value=-1) for name, numbers in at.items()},
        torch.from_numpy(clips.label.to_numpy(np.int64, copy=True)),
        tuple(tick_s),
    )


def _ticks(recordings: ClipDataset, step_s: np.ndarray, interval: Interval, pace: StreamTiming) -> np.ndarray:
    """Return when the network judges: at the steps (T,) of its only modality, or every `hop_s`."""
    if len(recordings.media) == 1:
        return step_s
    return tick_times(interval.stop_s - interval.start_s, hop_s=pace.hop_s)


def _when(medium: ModalityData, interval: Interval, pace: StreamTiming) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of a stretch: frames, or last samples plus one of segments (T,), and their times in it (T,)."""
    length_s = interval.stop_s - interval.start_s
    if isinstance(medium, FrameSequence):
        time_s = medium.time_s - interval.start_s
        first, stop = np.searchsorted(time_s, [-TOLERANCE_S, length_s - TOLERANCE_S])
        frames, step_s = choose_frames(time_s[first:stop], length_s, rate_fps=pace.rate_fps)
        return first + frames, step_s
    first = round(interval.start_s * pace.sound.rate_hz)
    heard_s = min(length_s, (len(medium.samples) - first) / pace.sound.rate_hz)
    step_s = segment_ends(heard_s, pace.sound, hop_s=pace.hop_s)
    ends = first + np.rint(step_s * pace.sound.rate_hz).astype(int)
    heard = np.array([is_heard(_second(medium, end, pace), pace.sound) for end in ends], dtype=bool)
    return ends[heard], step_s[heard]


def _take(medium: ModalityData, which: np.ndarray, pace: StreamTiming) -> Tensor:
    """Return the steps that `_when` named; at least one row, of zeros where there is none."""
    if isinstance(medium, FrameSequence):
        if len(which) == 0:
            return torch.zeros(1, *medium.pixels.shape[1:], dtype=torch.uint8)
        return torch.from_numpy(medium.pixels[which])  # (T, S, S, 3)
    segments = [standardised_segment(_second(medium, end, pace), pace.sound) for end in which]
    return torch.stack(segments) if segments else torch.zeros(1, 1, *segment_shape(pace.sound))  # (T, 1, F, W)


def _second(wave: Wave, end: int, pace: StreamTiming) -> Tensor:
    """Return the samples of the segment that ends with sample `end`."""
    start = end - pace.sound.segment * pace.sound.hop
    return torch.from_numpy(wave.samples[start:end].astype(np.float32) / FULL_SCALE)
