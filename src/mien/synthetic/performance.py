"""A performance: a person says a sentence with an emotion, as pictures, sound and the truth behind both.

A `Scene` makes the takes, pictures and utterances of one synthetic corpus, each together with its `Truth`.
"""

from dataclasses import dataclass, field

import numpy as np

from mien.candide import mesh as candide
from mien.config.schema import SyntheticConfig
from mien.errors import CorpusError
from mien.io.randomness import rng_for
from mien.synthetic.face import GRAIN_PX, FaceRenderer, draw_setting
from mien.synthetic.people import (
    CLEAR,
    Fuzziness,
    Person,
    draw_fuzziness,
    face_units,
    person_for,
    voice_settings,
)
from mien.synthetic.voice import synthesise

_VIDEO_ZOOM = 1 / 2.6  # px per model unit relative to the height of a frame
_SPEECH_JAW = 0.40  # jaw drop at the loudest moment
_GAZES = {"frontal": (0.0, 0.0), "left": (0.75, 0.0), "right": (-0.75, 0.0)}  # as the subject sees it


@dataclass(frozen=True, eq=False)
class Performance:
    """One take.

    frames (T, H, W, 3) uint8 RGB; time_s (T,); wave (N,) float32 mono; units (T, 11) action units in Candide file
    order; pose (T, 3) rotation vector, rad; voice: what `speak` realised.
    """

    frames: np.ndarray
    time_s: np.ndarray
    wave: np.ndarray
    units: np.ndarray
    pose: np.ndarray
    voice: dict[str, float]


def perform(
    person: Person,
    *,
    emotion: str,
    intensity: float,
    sentence: str,
    size_px: int,
    rate_fps: int,
    rate_hz: int,
    video: Fuzziness,
    audio: Fuzziness,
    rng: np.random.Generator,
) -> Performance:
    """Let `person` say `sentence` with `emotion` in front of a camera.

    Parameters
    ----------
    intensity : 0 to 1; RAVDESS normal is about 0.6, strong 1.
    sentence : key of SENTENCES.
    size_px : height of the frames; they are 4/3 as wide, rounded to even.
    video, audio : how clear face and voice are; see `Fuzziness`.

    Returns
    -------
    Performance of 1.2 to 2 s; the sound is as long as the pictures to within a frame.

    Raises
    ------
    CorpusError : an unknown emotion or sentence.
    """
    sound_rng, face_rng, place_rng = rng.spawn(3)  # what one modality draws leaves the other alone
    shown = {"emotion": emotion, "intensity": intensity}
    wave, envelope, made = speak(person, **shown, sentence=sentence, rate_hz=rate_hz, fuzziness=audio, rng=sound_rng)
    n_frames = max(round(len(wave) / rate_hz * rate_fps), 2)
    time_s = np.arange(n_frames) / rate_fps
    apex = face_units(person, **shown, fuzziness=video, rng=face_rng)
    rest = face_units(person, emotion="neutral", intensity=0.0, fuzziness=CLEAR, rng=face_rng)
    loudness = np.interp(time_s, np.arange(len(envelope)) / rate_hz, envelope)
    units = _course(time_s, rest, apex, loudness, face_rng)
    pose = _head_motion(time_s, loudness, place_rng)
    size = (size_px, 2 * round(size_px * 2 / 3))
    setting = draw_setting(person, size, scale=_VIDEO_ZOOM * size_px, rng=place_rng)
    renderer = FaceRenderer(person, setting)
    drift = place_rng.normal(0.0, 0.008 * size_px, 2)
    drift = drift * np.sin(2 * np.pi * place_rng.uniform(0.15, 0.5) * time_s)[:, None]
    look = place_rng.normal(0.0, 0.12, 2)
    starts = place_rng.integers(0, GRAIN_PX, (n_frames, 2)).tolist()
    frames = np.empty((n_frames, *size, 3), np.uint8)
    for i, start in enumerate(starts):
        frames[i], _ = renderer.render(units[i], pose[i], gaze=look, shift=drift[i], grain=start)
    return Performance(frames, time_s, wave, units, pose, made)


def speak(
    person: Person,
    *,
    emotion: str,
    intensity: float,
    sentence: str,
    rate_hz: int,
    fuzziness: Fuzziness,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Return wave (N,) float32, loudness envelope (N,) float32 in 0..1, and the settings realised.

    The settings are named in `mien.synthetic.voice.synthesise`.
    """
    settings = voice_settings(person, emotion=emotion, intensity=intensity, fuzziness=fuzziness, rng=rng)
    return synthesise(person.voice, settings, sentence=sentence, rate_hz=rate_hz, rng=rng)


def portrait(
    person: Person,
    *,
    emotion: str,
    intensity: float,
    size: tuple[int, int],
    yaw_deg: float,
    gaze: str,
    fuzziness: Fuzziness,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take a still picture.

    Parameters
    ----------
    intensity : 0 (neutral) to 1; calls that differ in it alone are frames of one recording.
    size : (H, W) px.
    yaw_deg : positive turns the head to the subject's left, which is the right of the picture.
    gaze : frontal, left or right, as the subject sees it.

    Returns
    -------
    (H, W, 3) uint8 RGB; (11,) action units; (3,) rotation vector, rad; (113, 2) px of the vertices.

    Raises
    ------
    CorpusError : an unknown emotion or gaze.
    """
    if gaze not in _GAZES:
        raise CorpusError(f"synthetic: there is no gaze {gaze!r}; known: {', '.join(_GAZES)}")
    units = face_units(person, emotion=emotion, intensity=intensity, fuzziness=fuzziness, rng=rng)
    pose = np.array([0.0, np.deg2rad(yaw_deg), 0.0]) + rng.normal(0.0, [0.04, 0.03, 0.025])
    setting = draw_setting(person, size, scale=min(size[0] / 2.75, size[1] / 2.05), rng=rng)
    row, column = rng.integers(0, GRAIN_PX, 2).tolist()
    renderer = FaceRenderer(person, setting)
    look = np.array(_GAZES[gaze]) + rng.normal(0.0, 0.05, 2)
    picture, places = renderer.render(units, pose, gaze=look, shift=np.zeros(2), grain=(row, column))
    return picture, units, pose, places


def _course(
    time_s: np.ndarray, rest: np.ndarray, apex: np.ndarray, loudness: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return (T, 11) units: onset, apex and offset of the expression, speech on the jaw, blinks on the lids."""
    end = time_s[-1]
    onset, offset = rng.uniform(0.0, 0.12), end - rng.uniform(0.0, 0.12)
    rise = _smooth_step((time_s - onset) / rng.uniform(0.2, 0.35))
    fall = _smooth_step((offset - time_s) / rng.uniform(0.2, 0.35))
    shown = 0.4 + 0.6 * np.minimum(rise, fall)
    flutter = 1.0 + 0.08 * np.sin(2 * np.pi * rng.uniform(0.5, 1.2) * time_s + rng.uniform(0, 6.28))
    units = rest + (shown * flutter)[:, None] * (apex - rest)
    units[:, candide.JAW] = 0.5 * units[:, candide.JAW] * (1.0 + loudness) + _SPEECH_JAW * loudness
    units[:, candide.STRETCH] -= 0.12 * loudness * np.sin(2 * np.pi * 3.0 * time_s + rng.uniform(0, 6.28))
    for blink in np.flatnonzero(rng.uniform(size=3) < 0.2):
        middle = end * (blink + rng.uniform()) / 3
        closed = np.clip(1.3 - np.abs(time_s - middle) / 0.09, 0.0, 1.0)
        units[:, candide.EYES_CLOSED] = np.maximum(units[:, candide.EYES_CLOSED], closed)
    return units


def _head_motion(time_s: np.ndarray, loudness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (T, 3) rad: how the head is held, slow sway, and nods with the voice."""
    held = rng.normal(0.0, [0.04, 0.08, 0.03])
    sway = np.zeros((len(time_s), 3))
    for hz in rng.uniform(0.2, 1.0, 3):
        sway += rng.normal(0.0, [0.012, 0.022, 0.010]) * np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6.28))[:, None]
    nods = np.outer(loudness, [rng.normal(0.025, 0.012), 0.0, 0.0])
    return held + sway + nods


def _smooth_step(place: np.ndarray) -> np.ndarray:
    place = np.clip(place, 0.0, 1.0)
    return place * place * (3.0 - 2.0 * place)


@dataclass(frozen=True)
class Actor:
    """Somebody on the cast list, named as the corpus names its people."""

    name: str
    sex: str


@dataclass(frozen=True)
class Planted:
    """A defect made on purpose: what the adapter is to find."""

    clip: str
    path: str
    defect: str


@dataclass(frozen=True)
class Truth:
    """What a clip shows.

    time_s (T,), units (T, 11) action units in Candide file order, pose (T, 3) rad; T = 0 without a picture.
    """

    clip: str
    actor: str
    emotion: str
    intensity: float
    video: Fuzziness | None
    audio: Fuzziness | None
    voice: dict[str, float] = field(default_factory=dict)
    time_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    units: np.ndarray = field(default_factory=lambda: np.zeros((0, 11)))
    pose: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True)
class Scene:
    """Settings that all takes of a corpus share; every draw depends on seed, corpus and clip name only."""

    corpus: str
    seed: int
    config: SyntheticConfig

    def rng(self, *scope: object) -> np.random.Generator:
        """Return the stream of `scope` within this corpus."""
        return rng_for(self.seed, "scene", self.corpus, *scope)

    def person(self, actor: Actor) -> Person:
        """Return who plays `actor`."""
        return person_for(self.seed, self.corpus, actor.name, actor.sex)

    def fuzziness(self, clip: str, modality: str, emotion: str) -> Fuzziness:
        """Draw whether `modality` ("video" or "audio") of a clip is clear, missing or blended."""
        missing = getattr(self.config, f"missing_{modality}")
        blended = getattr(self.config, f"blended_{modality}")
        return draw_fuzziness(missing, blended, emotion, self.rng(clip, "fuzziness", modality))

    def film(self, actor: Actor, clip: str, *, emotion: str, intensity: float, sentence: str, rate_hz: int):
        """Return (frames (T, H, W, 3) uint8, wave (N,) float32 at `rate_hz`, `Truth`) of a spoken take."""
        video, audio = (self.fuzziness(clip, modality, emotion) for modality in ("video", "audio"))
        how = {"emotion": emotion, "intensity": intensity, "sentence": sentence, "rate_hz": rate_hz}
        how |= {"size_px": self.config.size_px, "rate_fps": self.config.rate_fps}
        played = perform(self.person(actor), **how, video=video, audio=audio, rng=self.rng(clip))
        seen = {"time_s": played.time_s, "units": played.units, "pose": played.pose}
        truth = Truth(clip, actor.name, emotion, intensity, video, audio, voice=played.voice, **seen)
        return played.frames, played.wave, truth

    def picture(
        self,
        actor: Actor,
        clip: str,
        *,
        emotion: str,
        size: tuple[int, int],
        intensity: float = 0.8,
        yaw_deg: float = 0.0,
        gaze: str = "frontal",
        take: str = "",
        time_s: float = 0.0,
    ):
        """Return (picture (H, W, 3) uint8, vertices (113, 2) px, `Truth`).

        Pictures of one `take` share light, background and fuzziness, as frames of one recording do.
        """
        take = take or clip
        fuzziness = self.fuzziness(take, "video", emotion)
        how = {"emotion": emotion, "intensity": intensity, "size": size, "yaw_deg": yaw_deg, "gaze": gaze}
        picture, units, pose, vertices = portrait(self.person(actor), **how, fuzziness=fuzziness, rng=self.rng(take))
        seen = {"time_s": np.array([time_s]), "units": units[None], "pose": pose[None]}
        return picture, vertices, Truth(clip, actor.name, emotion, intensity, fuzziness, None, **seen)

    def say(self, actor: Actor, clip: str, *, emotion: str, intensity: float, sentence: str, rate_hz: int):
        """Return (wave (N,) float32 at `rate_hz`, `Truth`) of an utterance."""
        fuzziness = self.fuzziness(clip, "audio", emotion)
        how = {"emotion": emotion, "intensity": intensity, "sentence": sentence, "rate_hz": rate_hz}
        wave, _, voice = speak(self.person(actor), **how, fuzziness=fuzziness, rng=self.rng(clip))
        return wave, Truth(clip, actor.name, emotion, intensity, None, fuzziness, voice=voice)
