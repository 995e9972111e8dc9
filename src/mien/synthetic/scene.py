"""A take, a picture or an utterance of an embedded corpus together with the truth about it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from mien.core.config import SyntheticConfig
from mien.core.rng import rng_for
from mien.synthetic.performance import Fuzziness, Person, draw_fuzziness, perform, person_for, portrait, speak


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
        played = perform(
            self.person(actor),
            emotion=emotion,
            intensity=intensity,
            sentence=sentence,
            size_px=self.config.size_px,
            rate_fps=self.config.rate_fps,
            rate_hz=rate_hz,
            video=video,
            audio=audio,
            rng=self.rng(clip),
        )
        truth = Truth(
            clip,
            actor.name,
            emotion,
            intensity,
            video,
            audio,
            voice=played.voice,
            time_s=played.time_s,
            units=played.units,
            pose=played.pose,
        )
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
        picture, units, pose, vertices = portrait(
            self.person(actor),
            emotion=emotion,
            intensity=intensity,
            size=size,
            yaw_deg=yaw_deg,
            gaze=gaze,
            fuzziness=fuzziness,
            rng=self.rng(take),
        )
        times = np.array([time_s])
        truth = Truth(
            clip, actor.name, emotion, intensity, fuzziness, None, time_s=times, units=units[None], pose=pose[None]
        )
        return picture, vertices, truth

    def say(self, actor: Actor, clip: str, *, emotion: str, intensity: float, sentence: str, rate_hz: int):
        """Return (wave (N,) float32 at `rate_hz`, `Truth`) of an utterance."""
        fuzziness = self.fuzziness(clip, "audio", emotion)
        wave, _, voice = speak(
            self.person(actor),
            emotion=emotion,
            intensity=intensity,
            sentence=sentence,
            rate_hz=rate_hz,
            fuzziness=fuzziness,
            rng=self.rng(clip),
        )
        return wave, Truth(clip, actor.name, emotion, intensity, None, fuzziness, voice=voice)


def cast(names: Iterable[str], n_actors: int, first: str = "male") -> list[Actor]:
    """Give the first `n_actors` names alternating sexes, beginning with `first`."""
    sexes = ("male", "female") if first == "male" else ("female", "male")
    return [Actor(name, sexes[k % 2]) for k, name in zip(range(n_actors), names, strict=False)]
