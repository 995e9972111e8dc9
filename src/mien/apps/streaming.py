"""What streaming networks make of a running film: pictures and sound as they happen, an emotion with each picture.

Faces are followed in `faces.rate_fps` pictures a second; the networks look `rate_fps` times a second, in those pictures
of `models.streaming.choose_frames`, at the regions of `faces.track.region_by`; sound is cut into the segments of
`audio.spectrogram.segment_ends`; the joint network judges by what it has seen and heard by then. So what is watched is
what is evaluated. A picture that is not due exactly is looked at when the next one shows that it was the newest.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.apps.models import SHOWN_BY, StreamingModels
from mien.apps.units import StreamingUnits
from mien.audio.spectrogram import is_heard, segment_alone, segment_s
from mien.config.schema import CandideConfig, WatchConfig
from mien.faces.detect import Box, locate
from mien.faces.track import Face, FaceTracker, cut_region
from mien.models.mrpn import Network, normalise_pixels
from mien.models.streaming import TOLERANCE_S, NewestFrame, StreamState


@dataclass(frozen=True, eq=False)
class JudgedFace(Face):
    """A person in the newest picture in which faces were followed; `region` is what the network looks at."""

    probabilities: np.ndarray | None  # (C,) by the face alone; None before its first look
    units: np.ndarray | None  # (8,) in the order of AU_NAMES; None where not fitted


@dataclass(frozen=True, eq=False)
class Moment:
    """A picture and what was made of it and of the sound until then."""

    time_s: float
    picture: np.ndarray  # (H, W, 3) uint8 RGB
    faces: tuple[JudgedFace, ...]  # main face first
    heard: bool  # the newest second of sound is not silent
    voice: np.ndarray | None  # (C,) by the voice alone
    probabilities: np.ndarray | None  # (C,) the verdict
    basis: tuple[str, ...]  # of that verdict: "face", "voice"


class EmotionStream:
    """Follows one film. The voice belongs to the main face; the others are judged by their picture alone.

    The verdict is the joint network's, where there is one. To it a modality is absent until its first step, and then
    there: a pause changes nothing, the memory goes on. A face is there until it is forgotten; somebody else in its
    place starts with an empty memory, while the voice's goes on. Where no face is there, a voice is judged for
    `forget_s` after its last segment that was not silent, and then nothing is.

    Parameters
    ----------
    candide
        How the mesh is fitted; None: no action units.
    """

    def __init__(self, models: StreamingModels, *, watch: WatchConfig, candide: CandideConfig | None = None) -> None:
        self.models = models
        self.classes = models.classes
        self._watch = watch
        self._candide = candide
        self._pictures: NewestFrame[np.ndarray] = NewestFrame(models.faces.rate_fps)
        self._faces = FaceTracker(models.faces, forget_s=watch.forget_s)
        self._here: list[Face] = []  # in the newest picture in which faces were followed, the main face first
        self._people: dict[int, _FaceStream] = {}
        self._audio = _AudioStream(models)
        self._verdict: tuple[list[Tensor | None], np.ndarray] | None = None  # (features that it rests on, (C,))

    def add_sound(self, samples: np.ndarray) -> None:
        """Take the next samples (N,) float32, mono at models.sound.rate_hz, the first at time 0.

        All sound up to a picture's time is given before the picture; more is kept until its time has come.
        """
        self._audio.take(samples)

    def add_picture(self, time_s: float, picture: np.ndarray) -> Moment:
        """Take the next picture (H, W, 3) uint8 RGB, at a time in s from the first; times ascend."""
        self._audio.hear(time_s)
        for look in (self._pictures.put(time_s, picture), self._pictures.due(time_s)):
            if look is not None:
                self._follow(*look)
        for person in self._people.values():
            person.look_by(time_s)
        heard_s = max(self._watch.forget_s, self.models.hop_s)
        voice = self._audio.probabilities if time_s - self._audio.heard_at_s < heard_s else None
        probabilities, basis = self._judge(self._people[self._here[0].person] if self._here else None, voice)
        seen = []
        for face in self._here:
            person = self._people[face.person]
            units = person.units if face.found else None
            seen.append(JudgedFace(**vars(face), probabilities=person.probabilities, units=units))
        heard = self._audio.heard and time_s - self._audio.segment_at_s < 2 * self.models.hop_s
        return Moment(time_s, picture, tuple(seen), heard, voice, probabilities, basis)

    def _follow(self, time_s: float, picture: np.ndarray) -> None:
        self._here = self._faces.update(time_s, picture)
        known, self._people = self._people, {}
        for k, face in enumerate(self._here):
            person = known.get(face.person) or _FaceStream(self.models, self._candide)
            self._people[face.person] = person
            person.set_main(self.models.joint if k == 0 else None)
            person.show(time_s, face, picture)

    def _judge(self, main: "_FaceStream | None", voice: np.ndarray | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """Return the probabilities and their basis; those of the joint network anew only if there was a step since."""
        seen = main.joint.features if main is not None and main.joint is not None else {}
        if self._audio.joint is not None and (seen or voice is not None):
            both = self._audio.joint.copy()
            both.features |= seen
            newest = [both.features.get(name) for name in SHOWN_BY]
            if self._verdict is None or any(a is not b for a, b in zip(self._verdict[0], newest, strict=True)):
                self._verdict = newest, _probabilities(both)
            return self._verdict[1], tuple(word for name, word in SHOWN_BY.items() if name in both.features)
        if main is not None and main.probabilities is not None:
            return main.probabilities, ("face",)
        return voice, ("voice",) if voice is not None else ()


def warm_up(models: StreamingModels) -> None:
    """Do once what takes longer the first time, before a clock runs: libraries, landmarks, networks."""
    blank = np.zeros((64, 64, 3), np.uint8)
    box = np.array([8.0, 8.0, 48.0])
    points = locate(blank[..., 0], Box(*box, score=0.0))
    person, audio = _FaceStream(models, None), _AudioStream(models)
    person.set_main(models.joint)
    person.show(0.0, Face(1, box, box, points, score=0.0, found=True), blank)
    person.look_by(0.0)
    audio.take(np.sin(np.arange(models.sound.rate_hz, dtype=np.float32)))
    audio.hear(1.0)


class _ModalityStream:
    """The memories of the networks that are given one modality: of that which judges it alone, and of the joint one."""

    def __init__(self, modality: str, alone: Network | None) -> None:
        self.modality = modality
        self.alone = StreamState(alone) if alone is not None and modality in alone.branches else None
        self.joint: StreamState | None = None
        self.probabilities: np.ndarray | None = None  # (C,) by this modality alone

    def step(self, x: Tensor) -> None:
        """Give the networks a frame or a segment (1, 1, channels, H, W)."""
        for state in (self.joint, self.alone):
            if state is not None:
                state.step(self.modality, x.to(next(state.network.parameters()).device))
        if self.alone is not None:
            self.probabilities = _probabilities(self.alone)


def _probabilities(state: StreamState) -> np.ndarray:
    return state.judge()["fused"][0].float().softmax(dim=0).double().cpu().numpy()


class _FaceStream(_ModalityStream):
    """One face, to which the joint network looks while it is the main one."""

    def __init__(self, models: StreamingModels, candide: CandideConfig | None) -> None:
        super().__init__("video", models.of_face)
        self.size_px = models.faces.size_px
        self._units = StreamingUnits(candide) if candide is not None else None
        self._frames: NewestFrame[np.ndarray] = NewestFrame(models.rate_fps)

    @property
    def units(self) -> np.ndarray | None:
        return self._units.newest if self._units is not None else None

    def set_main(self, joint: Network | None) -> None:
        """Let the joint network look at this face from now on, or, with None, no longer."""
        self.joint = (self.joint or StreamState(joint)) if joint is not None else None

    def show(self, time_s: float, face: Face, picture: np.ndarray) -> None:
        """Show a picture with the face, or without it, of which it is not known yet whether it is to be looked at."""
        if not face.found:
            return
        self._look(self._frames.put(time_s, cut_region(picture, face.region, size_px=self.size_px)))
        if self._units is not None:
            self._units.fit(face.landmarks)

    def look_by(self, time_s: float) -> None:
        """Look at the newest face that was shown, if that is due by then."""
        self._look(self._frames.due(time_s))

    def _look(self, look: tuple[float, np.ndarray] | None) -> None:
        if look is not None:
            pixels = torch.from_numpy(look[1]).permute(2, 0, 1).float()  # (3, S, S)
            self.step(normalise_pixels(pixels)[None, None])


class _AudioStream(_ModalityStream):
    """The sound until now, cut into segments."""

    def __init__(self, models: StreamingModels) -> None:
        super().__init__("audio", models.of_voice)
        self.joint = StreamState(models.joint) if models.joint is not None else None
        self.sound, self.hop_s = models.sound, models.hop_s
        self.heard = False  # the newest segment is not silent
        self.segment_at_s = self.heard_at_s = -math.inf  # ends of the newest segment, and of the newest with a voice
        self._samples = np.zeros(0, dtype=np.float32)
        self._start = 0  # number of the first of them
        self._n_segments = 0

    def take(self, samples: np.ndarray) -> None:
        self._samples = np.concatenate([self._samples, np.asarray(samples, dtype=np.float32)])

    def hear(self, until_s: float) -> None:
        """Listen to the segments that end by then and are there as a whole."""
        sound, length_s = self.sound, segment_s(self.sound)
        while (end_s := length_s + self.hop_s * self._n_segments) <= until_s + TOLERANCE_S:
            stop = round(end_s * sound.rate_hz) - self._start
            if stop > len(self._samples):
                return
            start = max(0, stop - sound.segment * sound.hop)
            segment = torch.from_numpy(self._samples[start:stop])
            self._samples, self._start = self._samples[start:], self._start + start  # later segments begin later
            self._n_segments += 1
            self.segment_at_s, self.heard = end_s, is_heard(segment, sound)
            if self.heard:
                self.heard_at_s = end_s
                self.step(segment_alone(segment, sound)[None, None])
