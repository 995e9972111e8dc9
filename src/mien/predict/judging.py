"""From a recording and a network to probabilities over time and to a verdict on the clip."""

from dataclasses import dataclass

import numpy as np
import torch

from mien.augment.slicing import Interval, apart_s, frame_times, nearest_frames, segment_starts
from mien.core.shards import FULL_SCALE
from mien.models.branch import normalise_pixels
from mien.models.checkpoint import Settings
from mien.models.fusion import Network
from mien.predict.recording import Recording
from mien.sound.resample import is_silent, level_of
from mien.sound.spectrogram import cut_segments, segment_s, segment_shape

WHOLE_S = 6.0  # clips up to this length, those of the corpora, are judged in one pass, as the evaluation does
BATCH = 16  # windows


@dataclass(frozen=True)
class Window:
    """A stretch of the clip and what the network makes of it."""

    interval: Interval
    face: float  # share of the frames with a face
    voice: bool  # the sound is not silent
    probabilities: np.ndarray  # (C,), NaN where the network has nothing to go by


@dataclass(frozen=True)
class Judgement:
    """The timeline of a clip and the verdict on the whole, (C,); NaN where there is nothing to go by."""

    windows: list[Window]
    verdict: np.ndarray
    used: tuple[str, ...]  # modalities that the verdict rests on


def judge(recording: Recording, model: Network, settings: Settings, *, window_s: float, hop_s: float) -> Judgement:
    """Judge windows of `window_s` every `hop_s`, and the clip as a whole.

    The verdict is one pass over the whole clip, sampled as in the evaluation of the training, or for clips beyond 6 s
    the mean of the windows' probabilities: one pass would look at too few frames of a long clip.
    """
    used = tuple(name for name in settings.modalities if name in recording.modalities)
    intervals = windows_of(recording.duration_s, window_s=window_s, hop_s=hop_s)
    windows = _judge_windows(recording, model, settings, used, intervals)
    if recording.duration_s <= WHOLE_S and used:
        whole = Interval(0.0, max(recording.length_s(name) for name in used))
        verdict = _probabilities(recording, model, settings, [(whole, used)])[0]
    else:
        rows = np.array([window.probabilities for window in windows])
        known = ~np.isnan(rows[:, 0])
        verdict = rows[known].mean(axis=0) if known.any() else rows[0]
    return Judgement(windows, verdict, used)


def windows_of(duration_s: float, *, window_s: float, hop_s: float) -> list[Interval]:
    """Return windows every `hop_s` that cover the clip; the last one ends with it. A short clip is one window."""
    room_s = duration_s - window_s
    if room_s <= 0:
        return [Interval(0.0, duration_s)]
    n_hops = int(np.ceil(room_s / hop_s - 1e-6))
    starts = [min(k * hop_s, room_s) for k in range(n_hops + 1)]
    return [Interval(start, start + window_s) for start in starts]


def _judge_windows(
    recording: Recording, model: Network, settings: Settings, used: tuple[str, ...], intervals: list[Interval]
) -> list[Window]:
    faces = [_face_share(recording, interval) for interval in intervals]
    voices = [_has_voice(recording, interval) for interval in intervals]
    at_hand = [
        tuple(name for name in used if (face > 0 if name == "video" else voice))
        for face, voice in zip(faces, voices, strict=True)
    ]
    probabilities = np.full((len(intervals), len(settings.classes)), np.nan)
    judged = [k for k, names in enumerate(at_hand) if names]
    for start in range(0, len(judged), BATCH):
        chosen = judged[start : start + BATCH]
        looks = [(intervals[k], at_hand[k]) for k in chosen]
        probabilities[chosen] = _probabilities(recording, model, settings, looks)
    return [Window(*row) for row in zip(intervals, faces, voices, probabilities, strict=True)]


@torch.no_grad()
def _probabilities(
    recording: Recording, model: Network, settings: Settings, looks: list[tuple[Interval, tuple[str, ...]]]
) -> np.ndarray:
    """Return (B, C) of B looks (interval, modalities that are there)."""
    device = next(model.parameters()).device
    inputs, present = {}, {}
    for name in settings.modalities:
        look = _look_at if name == "video" else _listen_to
        blank = torch.zeros(_shape(settings, recording, name))
        rows = [look(recording, settings, interval) if name in names else blank for interval, names in looks]
        inputs[name] = torch.stack(rows).to(device)
        present[name] = torch.tensor([name in names for _, names in looks], device=device)
    scores = model(inputs, present)["fused"].float()
    return scores.softmax(dim=1).double().cpu().numpy()


def _look_at(recording: Recording, settings: Settings, interval: Interval) -> torch.Tensor:
    """Return frames (T, 3, S, S) with a face, spread evenly over the interval."""
    track = recording.track
    inside = track.found & _inside(track.time_s, interval)
    chosen = nearest_frames(track.time_s[inside], frame_times(interval, settings.frames))
    pixels = torch.from_numpy(track.frames[inside][chosen])  # (T, S, S, 3)
    return normalise_pixels(pixels.permute(0, 3, 1, 2).float())


def _listen_to(recording: Recording, settings: Settings, interval: Interval) -> torch.Tensor:
    """Return segments (S, 1, F, W), spread evenly over the interval."""
    length_s = segment_s(recording.sound)
    apart = apart_s(settings.augmentation, length_s)
    starts = segment_starts(interval, settings.segments, length_s=length_s, apart_s=apart)
    return cut_segments(recording.spectrum, starts, recording.sound, stop_s=interval.stop_s)


def _shape(settings: Settings, recording: Recording, name: str) -> tuple[int, ...]:
    if name == "video":
        return (settings.frames, 3, recording.faces.size_px, recording.faces.size_px)
    return (settings.segments, 1, *segment_shape(recording.sound))


def _inside(time_s: np.ndarray, interval: Interval) -> np.ndarray:
    return (time_s >= interval.start_s - 1e-6) & (time_s < interval.stop_s - 1e-6)


def _face_share(recording: Recording, interval: Interval) -> float:
    if recording.track is None:
        return 0.0
    inside = _inside(recording.track.time_s, interval)
    return float(recording.track.found[inside].mean()) if inside.any() else 0.0


def _has_voice(recording: Recording, interval: Interval) -> bool:
    if recording.spectrum is None:
        return False
    rate = recording.sound.rate_hz
    wave = recording.wave[round(interval.start_s * rate) : round(interval.stop_s * rate)]
    return not is_silent(level_of(wave / FULL_SCALE)[0], recording.sound.silence_dbfs)
