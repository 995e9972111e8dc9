"""What networks make of a running film: pictures and sound come as they happen, a verdict may be had with each picture.

Faces are looked at `rate_fps` times a second, in the frames that `models.time_axes.looks` chooses, the sound is heard
in the segments of `sound.spectrogram.segment_ends`. So what is watched is what is evaluated. A frame that is not due
exactly is looked at when the next picture shows that it was the newest.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.candide.correspondence import SHAPES
from mien.candide.fit import FITTED, fit_frames
from mien.core.config import CandideConfig, WatchConfig
from mien.faces.detector import Box
from mien.faces.live import Face, Faces
from mien.faces.track import cut_region, points_of
from mien.models.branch import normalise_pixels
from mien.models.fusion import Network
from mien.models.running import Along
from mien.models.time_axes import TOLERANCE_S
from mien.predict.live_models import Models
from mien.predict.units import FEWEST_FRAMES, MOST_FRAMES, median_shape
from mien.sound.resample import is_silent, level_of
from mien.sound.spectrogram import segment_alone, segment_s


@dataclass(frozen=True, eq=False)
class Seen:
    """A person in a picture; px of the picture."""

    person: int  # the same number while the face is followed
    box: np.ndarray  # (3,) left, top, side
    region: np.ndarray  # (3,) left, top, side: what the network looks at
    landmarks: np.ndarray  # (68, 2), NaN where not found
    found: bool  # in this very picture
    probabilities: np.ndarray | None  # (C,) by the face alone; None before its first look
    units: np.ndarray | None  # (8,) in the order of AU8; None where not fitted


@dataclass(frozen=True, eq=False)
class Moment:
    """A picture and what was made of it and of the sound until then."""

    time_s: float
    picture: np.ndarray  # (H, W, 3) uint8 RGB
    faces: tuple[Seen, ...]  # main face first
    heard: bool  # the newest second of sound is not silent
    voice: np.ndarray | None  # (C,) by the voice alone
    probabilities: np.ndarray | None  # (C,) the verdict on the main face with the voice, or on the one that is there
    basis: tuple[str, ...]  # of that verdict: "face", "voice"


class Live:
    """Follows one film. The voice belongs to the main face; the others are judged by their picture alone.

    A face counts until it is forgotten, a voice for as long after its last segment that was not silent. Somebody else
    in the place of the main face starts with an empty memory, while the voice's goes on.

    candide : how the mesh is fitted; None: no action units.
    """

    def __init__(self, models: Models, *, watch: WatchConfig, candide: CandideConfig | None = None) -> None:
        self.models = models
        self.classes = models.classes
        self._watch = watch
        self._candide = candide
        self._faces = Faces(models.faces, region_s=watch.region_s, forget_s=watch.forget_s)
        self._people: dict[int, _Person] = {}
        self._ears = _Ears(models)
        self._verdict: tuple[object, np.ndarray] | None = None  # (what it rests on, (C,))

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def listen(self, samples: np.ndarray) -> None:
        """Take the next samples (N,) float32, mono at models.sound.rate_hz, the first at time 0.

        All sound up to a picture's time is given before the picture; more is kept until its time has come.
        """
        self._ears.take(samples)

    def look(self, time_s: float, picture: np.ndarray) -> Moment:
        """Take the next picture (H, W, 3) uint8 RGB, at a time in s from the first; times ascend."""
        self._ears.hear(time_s)
        faces = self._faces.look(time_s, picture)
        self._people = {face.person: self._people.get(face.person) or self._newcomer() for face in faces}
        for k, face in enumerate(faces):
            person = self._people[face.person]
            person.be_main(self.models.joint if k == 0 else None)
            person.look(time_s, face, picture)
        heard_s = max(self._watch.forget_s, self.models.hop_s)
        voice = self._ears.probabilities if time_s - self._ears.heard_at_s < heard_s else None
        probabilities, basis = self._judge(self._people[faces[0].person] if faces else None, voice)
        seen = tuple(self._seen(face) for face in faces)
        heard = self._ears.heard and time_s - self._ears.segment_at_s < 2 * self.models.hop_s
        return Moment(time_s, picture, seen, heard, voice, probabilities, basis)

    def _newcomer(self) -> "_Person":
        return _Person(self.models, self._candide)

    def _seen(self, face: Face) -> Seen:
        person = self._people[face.person]
        units = person.units if face.found else None
        parts = (face.person, face.box, face.region, face.landmarks, face.found)
        return Seen(*parts, person.probabilities, units)

    def _judge(self, main: "_Person | None", voice: np.ndarray | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
        eyes = main.eyes if main is not None else None
        if eyes is not None and eyes.features and voice is not None:
            return self._jointly(eyes), ("face", "voice")
        if main is not None and main.probabilities is not None:
            return main.probabilities, ("face",)
        return voice, ("voice",) if voice is not None else ()

    def _jointly(self, eyes: Along) -> np.ndarray:
        """Judge what the joint network saw of the main face and heard; only anew if there was a step since."""
        newest = (eyes.features["video"], self._ears.joint.features["audio"])
        if self._verdict is None or any(a is not b for a, b in zip(self._verdict[0], newest, strict=True)):
            both = self._ears.joint.copy()
            both.features |= eyes.features
            self._verdict = newest, _probabilities(both)
        return self._verdict[1]


def warm_up(models: Models) -> None:
    """Do once what takes longer the first time, before a clock runs: libraries, landmarks, networks."""
    blank = np.zeros((64, 64, 3), np.uint8)
    box = np.array([8.0, 8.0, 48.0])
    points = points_of(blank[..., 0], Box(*box, score=0.0))
    person, ears = _Person(models, None), _Ears(models)
    person.be_main(models.joint)
    person.look(0.0, Face(1, box, box, points, found=True), blank)
    ears.take(np.sin(np.arange(models.sound.rate_hz, dtype=np.float32)))
    ears.hear(1.0)


class _Person:
    """The memories of the networks that look at one face."""

    def __init__(self, models: Models, candide: CandideConfig | None) -> None:
        self.models = models
        self.alone = Along(models.of_face) if _has(models.of_face, "video") else None
        self.eyes: Along | None = None  # of the joint network, for the main face
        self.probabilities: np.ndarray | None = None
        self._units = _Units(candide) if candide is not None else None
        self._waiting: tuple[int, Tensor] | None = None  # (number of its look, frame) that no look has taken yet

    @property
    def units(self) -> np.ndarray | None:
        return self._units.newest if self._units is not None else None

    def be_main(self, joint: Network | None) -> None:
        """Be looked at by the joint network from now on, or, with None, no longer."""
        if joint is None:
            self.eyes = None
        elif self.eyes is None:
            self.eyes = Along(joint)

    def look(self, time_s: float, face: Face, picture: np.ndarray) -> None:
        """Look at the face if that is due; the rule of `time_axes.looks`, one picture after the other."""
        rate_fps = self.models.rate_fps
        number = math.ceil((time_s - TOLERANCE_S) * rate_fps)
        if self._waiting is not None and self._waiting[0] < number:
            self._step()
        if not face.found:
            return
        pixels = cut_region(picture, face.region, size_px=self.models.faces.size_px)
        self._waiting = number, torch.from_numpy(pixels)
        if number <= (time_s + TOLERANCE_S) * rate_fps:
            self._step()
        if self._units is not None:
            self._units.fit(face.landmarks)

    def _step(self) -> None:
        frame = normalise_pixels(self._waiting[1].permute(2, 0, 1).float())[None, None]  # (1, 1, 3, S, S)
        self._waiting = None
        if self.eyes is not None:
            self.eyes.step("video", frame.to(_device(self.eyes.network)))
        if self.alone is not None:
            self.alone.step("video", frame.to(_device(self.alone.network)))
            self.probabilities = _probabilities(self.alone)


class _Ears:
    """The sound until now, cut into segments, and the memories of the networks that hear them."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.alone = Along(models.of_voice) if _has(models.of_voice, "audio") else None
        self.joint = Along(models.joint) if models.joint is not None else None
        self.probabilities: np.ndarray | None = None
        self.heard = False  # the newest segment is not silent
        self.segment_at_s = self.heard_at_s = -math.inf  # ends of the newest segment, and of the newest with a voice
        self._samples = np.zeros(0, dtype=np.float32)
        self._start = 0  # number of the first of them
        self._n_segments = 0

    def take(self, samples: np.ndarray) -> None:
        self._samples = np.concatenate([self._samples, np.asarray(samples, dtype=np.float32)])

    def hear(self, until_s: float) -> None:
        """Listen to the segments that end by then and are there as a whole."""
        sound, length_s = self.models.sound, segment_s(self.models.sound)
        while (end_s := length_s + self.models.hop_s * self._n_segments) <= until_s + TOLERANCE_S:
            stop = round(end_s * sound.rate_hz) - self._start
            if stop > len(self._samples):
                return
            segment = self._samples[max(0, stop - sound.segment * sound.hop) : stop]
            self._n_segments += 1
            self._hear(segment, end_s)
            spent = max(0, stop - sound.segment * sound.hop)  # segments do not overlap more than that
            self._samples, self._start = self._samples[spent:], self._start + spent

    def _hear(self, segment: np.ndarray, end_s: float) -> None:
        self.segment_at_s = end_s
        self.heard = not is_silent(level_of(segment)[0], self.models.sound.silence_dbfs)
        if not self.heard:
            return
        self.heard_at_s = end_s
        cells = segment_alone(torch.from_numpy(segment), self.models.sound)[None, None]  # (1, 1, 1, F, W)
        if self.joint is not None:
            self.joint.step("audio", cells.to(_device(self.joint.network)))
        if self.alone is not None:
            self.alone.step("audio", cells.to(_device(self.alone.network)))
            self.probabilities = _probabilities(self.alone)


class _Units:
    """The action units of a face, with the shape of the person as far as it is known by now (see `median_shape`)."""

    def __init__(self, config: CandideConfig) -> None:
        self.config = config
        self.newest: np.ndarray | None = None  # (8,)
        self._shape = np.zeros(len(SHAPES))
        self._landmarks: list[np.ndarray] = []  # of the first frames
        self._next = FEWEST_FRAMES  # number of frames at which the shape is fitted anew

    def fit(self, landmarks: np.ndarray) -> None:
        """Fit the units to (68, 2) px."""
        if len(self._landmarks) < MOST_FRAMES:
            self._landmarks.append(landmarks)
            if len(self._landmarks) == self._next:
                self._shape = median_shape(np.stack(self._landmarks), self.config).coefficients
                self._next = min(2 * self._next, MOST_FRAMES)
        frames = fit_frames(
            landmarks[None], found=np.ones(1, bool), recordings=[np.arange(1)], shape=self._shape, config=self.config
        )
        self.newest = frames.units[0] if frames.verdict[0] == FITTED else None


def _probabilities(along: Along) -> np.ndarray:
    return along.judge()["fused"][0].float().softmax(dim=0).double().cpu().numpy()


def _has(network: Network | None, modality: str) -> bool:
    return network is not None and modality in network.branches


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device
