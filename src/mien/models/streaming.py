"""Networks that run along with a recording: memories go on from step to step, a judgement may be had at any time.

A step is what one encoder is given: a frame, looked at every 1 / rate_fps s, or a segment of the sound (`segment_ends`
in `audio.spectrogram`). Ticks are the instants at which a joint network judges. All times are s from the beginning;
what happens at a time depends on nothing later.

`StreamState` follows recordings as they come, `run_stream` does the same to recordings that are there as a whole, in
one pass and with gradients: with the network in evaluation both give the same logits up to rounding.
"""

import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from mien.errors import ModelError
from mien.models.mrpn import ModalityEncoder, Network

T = TypeVar("T")

TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal


class StreamState:
    """Follows n recordings at once with a network in evaluation; what one of them shows does not reach the others.

    Attributes
    ----------
    features
        Modality -> (n, D) what its encoder says after the newest step; a modality without a step is not in it.
    """

    def __init__(self, network: Network, n: int = 1) -> None:
        network.require_steps()
        self.network = network
        self.n = n
        self.features: dict[str, Tensor] = {}
        self._memory: dict[str, Any] = {}

    @torch.no_grad()
    def step(self, modality: str, x: Tensor) -> Tensor:
        """Give the next T >= 1 steps of every recording, (n, T, channels, H, W); return their features (n, T, D)."""
        encoder = self.network.branches[modality]
        outputs, self._memory[modality] = encoder.aggregator.run(encoder.encode_steps(x), self._memory.get(modality))
        self.features[modality] = outputs[:, -1]
        return outputs

    @torch.no_grad()
    def predict(self) -> dict[str, Tensor]:
        """Return head -> logits (n, C) by the newest features; a modality that had no step yet counts as absent.

        Raises
        ------
        ModelError
            No modality had a step.
        """
        if not self.features:
            raise ModelError("a running network needs a step of some modality before it can predict; give it a step")
        known = next(iter(self.features.values()))
        features, present = {}, {}
        for name, encoder in self.network.branches.items():
            features[name] = self.features.get(name, known.new_zeros(self.n, encoder.dim))
            present[name] = torch.full((self.n,), name in self.features, device=known.device)
        return self.network.classify_features(features, present)

    def copy(self) -> "StreamState":
        """Return one that goes on from here by itself; tensors are shared, they are never changed in place."""
        other = StreamState(self.network, self.n)
        other.features = dict(self.features)
        other._memory = dict(self._memory)
        return other


def run_stream(network: Network, inputs: Mapping[str, Tensor], at: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Follow B whole recordings and judge each at K ticks.

    Parameters
    ----------
    inputs
        Modality -> (B, T, channels, H, W), T of each modality its own.
    at
        Modality -> (B, K) int64, the number of the newest step at every tick, ascending; -1: none yet. Steps after the
        largest number of a recording are padding: no part of the network sees them, batch statistics included.

    Returns
    -------
    dict
        Head -> (B, K, C), NaN at ticks that have no step of any modality, which no part of the network sees either.
    """
    network.require_steps()
    features = {name: _follow(encoder, inputs[name], at[name]) for name, encoder in network.branches.items()}
    known = torch.stack([at[name] >= 0 for name in network.branches]).any(0)  # (B, K)
    rows = {name: feature[known] for name, feature in features.items()}  # (N, D), N ticks of all recordings
    scores = network.classify_features(rows, {name: at[name][known] >= 0 for name in network.branches})
    out = {head: score.new_full((*known.shape, score.shape[1]), torch.nan) for head, score in scores.items()}
    for head, score in scores.items():
        out[head][known] = score
    return out


@torch.no_grad()
def run_bounded(encoder: ModalityEncoder, features: Tensor, step_s: np.ndarray, *, window_s: float) -> Tensor:
    """Return what an encoder in evaluation says after every step of one long recording, from a memory that forgets.

    A memory is started every `window_s`, and the older of the two that run answers: it knows what was since
    `memory_start`, so between one and two windows, or what was since the beginning. A recording that is no longer than
    two windows is followed as `run_stream` follows it. Networks are trained on stretches of one window, and a memory
    that is much older than those is full of what it never saw in training.

    Parameters
    ----------
    features
        (T, D) of `encoder.encode_steps`.
    step_s
        (T,) ascending times of the steps in s.

    Returns
    -------
    Tensor
        (T, D).
    """
    if not len(features):
        return features
    since_s = memory_start(step_s, window_s=window_s)
    parts = []
    for start_s in np.unique(since_s):
        answered = np.flatnonzero(since_s == start_s)
        first = int(np.searchsorted(step_s, start_s - TOLERANCE_S))
        outputs, _ = encoder.aggregator.run(features[None, first : answered[-1] + 1])
        parts.append(outputs[0, answered[0] - first :])
    return torch.cat(parts)


def memory_start(time_s: np.ndarray, *, window_s: float) -> np.ndarray:
    """Return from when on the memory that answers at times (T,) knows, in s, see `run_bounded`."""
    windows = np.floor((np.asarray(time_s, dtype=np.float64) + TOLERANCE_S) / window_s)
    return window_s * np.maximum(windows - 1, 0)


def _follow(encoder: ModalityEncoder, sequence: Tensor, at: Tensor) -> Tensor:
    """Return what an encoder says at every tick, (B, K, D); arbitrary where `at` is -1."""
    n_steps = at.amax(1) + 1  # (B,)
    longest = int(n_steps.max())
    if longest == 0:
        return torch.zeros(*at.shape, encoder.dim, device=at.device)
    outputs = encoder.states(sequence[:, :longest], n_steps)  # (B, T, D); what is padded comes after what is not
    return outputs[torch.arange(len(at), device=at.device)[:, None], at.clamp(min=0)]


def choose_frames(time_s: np.ndarray, duration_s: float, *, rate_fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Choose the frames that are looked at: at every multiple of 1 / rate_fps the newest one since the look before.

    Parameters
    ----------
    time_s
        (N,) ascending, of the frames that show a face; a look that finds no new one is no step.
    duration_s
        Of the recording; what would be looked at after its end is not.

    Returns
    -------
    frames, at_s
        (T,) int64, which of the N; and (T,) when they are looked at in s, up to 1 / rate_fps after the frame.
    """
    newest = NewestFrame(rate_fps)
    looks = [newest.put(at_s, k) for k, at_s in enumerate(np.asarray(time_s, dtype=np.float64))]
    looks.append(newest.due(math.inf))
    within = [look for look in looks if look is not None and look[0] <= duration_s + TOLERANCE_S]
    return np.array([k for _, k in within], dtype=np.int64), np.array([at_s for at_s, _ in within])


class NewestFrame(Generic[T]):
    """The rule of `choose_frames`, for a film that runs: a frame is handed out once it is known to be the newest."""

    def __init__(self, rate_fps: float) -> None:
        self.rate_fps = rate_fps
        self._waiting: tuple[int, T] | None = None  # number of the look, and what is the newest until now

    def put(self, time_s: float, item: T) -> tuple[float, T] | None:
        """Give what comes at a time; return the look before, (its time in s, its item), if there was none yet."""
        number = math.ceil((time_s - TOLERANCE_S) * self.rate_fps)
        before, self._waiting = self._waiting, (number, item)
        return (before[0] / self.rate_fps, before[1]) if before is not None and before[0] < number else None

    def due(self, time_s: float) -> tuple[float, T] | None:
        """Return the look whose time has come, if there is one: to be asked when all up to `time_s` was given."""
        if self._waiting is None or self._waiting[0] > (time_s + TOLERANCE_S) * self.rate_fps:
            return None
        now, self._waiting = self._waiting, None
        return now[0] / self.rate_fps, now[1]


def tick_times(duration_s: float, *, hop_s: float) -> np.ndarray:
    """Return the times (K,) at which a joint network judges: every `hop_s`, from `hop_s` on, to the recording's end.

    A recording that is shorter than `hop_s` has one tick, at its end.
    """
    if duration_s < hop_s - TOLERANCE_S:
        return np.array([duration_s])
    return hop_s * np.arange(1, int((duration_s + TOLERANCE_S) / hop_s) + 1)


def newest_steps(step_s: np.ndarray, tick_s: np.ndarray) -> np.ndarray:
    """Return for every tick (K,) the number of the newest of the ascending steps (T,) by then, int64; -1: none yet."""
    return np.searchsorted(step_s, np.asarray(tick_s) + TOLERANCE_S, side="right") - 1
