"""Who somebody is: looks, voice and manner, drawn once from a seed and a name."""

from dataclasses import dataclass

import numpy as np

from mien.candide.mesh import N_ACTIONS
from mien.core.rng import rng_for

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "contempt")
VOICE_AXES = ("pitch_st", "range_st", "rate", "energy_db", "tilt_db", "breath", "jitter", "rise_st")

Colour = tuple[float, float, float]  # RGB, 0..255

# Spread of the 14 shape units between people (Candide-3 file order), in units of their coefficients.
_SHAPE_SPREAD = (0.16, 0.30, 0.16, 0.18, 0.10, 0.14, 0.40, 0.45, 0.22, 0.30, 0.25, 0.30, 0.06, 0.30)
_SKINS = ((236, 196, 172), (222, 176, 148), (205, 156, 124), (176, 125, 92), (146, 100, 74), (116, 80, 60))
_HAIRS = ((34, 27, 25), (52, 36, 28), (86, 58, 38), (122, 84, 50), (168, 128, 76), (120, 118, 116), (128, 62, 36))
_IRISES = ((62, 40, 26), (84, 56, 34), (92, 110, 70), (84, 116, 146), (112, 128, 136))


@dataclass(frozen=True)
class Looks:
    """What a face looks like at rest."""

    shape: tuple[float, ...]  # (14,) shape unit coefficients
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    shirt: Colour
    brow: float  # half thickness of the brows, model units
    hairline: float  # height of the hairline above the origin, model units
    temples: float  # how fast the hairline falls to the sides, 1 / model unit
    volume: float  # hair above the skull, model units
    length: float  # lowest point of the hair, model units (y up)
    beard: float  # shadow of a beard, 0..1
    blush: float  # redness of cheeks and nose, 0..1
    noise: float  # amplitude of the skin's texture, grey levels
    texture: int  # seed of the painted texture


@dataclass(frozen=True)
class Voice:
    """What a voice sounds like at rest."""

    f0_hz: float
    tract: float  # vocal-tract length relative to a man's of 17.5 cm; formants are divided by it
    energy_db: float
    tilt_db: float  # dB per octave above 1 kHz, positive is brighter
    breath: float  # aspiration relative to voicing, linear
    jitter: float  # relative standard deviation of the period
    rate: float  # relative speaking rate


@dataclass(frozen=True)
class Style:
    """How somebody shows what they feel: a gain and an offset per unit, so that no two people smile alike."""

    gain: tuple[float, ...]  # (11,) factors of the action units
    mix: tuple[tuple[float, ...], ...]  # (9, 11) offsets per emotion of EMOTIONS
    voice_gain: tuple[float, ...]  # (8,) factors of VOICE_AXES
    voice_mix: tuple[tuple[float, ...], ...]  # (9, 8) offsets per emotion, relative to the spread of each axis


@dataclass(frozen=True)
class Person:
    """An actor of an embedded corpus."""

    corpus: str
    actor: str
    sex: str  # male or female
    looks: Looks
    voice: Voice
    style: Style


def person_for(seed: int, corpus: str, actor: str, sex: str) -> Person:
    """Draw the person that `actor` of `corpus` is under `seed`; `sex` is male, female, or empty to draw it too."""
    rng = rng_for(seed, "person", corpus, actor)
    drawn = ("male", "female")[int(rng.integers(2))]
    sex = sex or drawn
    return Person(corpus, actor, sex, _draw_looks(sex, rng), _draw_voice(sex, rng), _draw_style(rng))


def _draw_looks(sex: str, rng: np.random.Generator) -> Looks:
    male = sex == "male"
    spread = np.array(_SHAPE_SPREAD)
    shape = np.clip(rng.normal(size=14), -2.0, 2.0) * spread
    shape[13] += 0.12 if male else -0.20  # chin width
    shape[0] += 0.10 if male else -0.05  # head height
    tone = rng.uniform(0, len(_SKINS) - 1)
    skin = _between(_SKINS, tone) + rng.normal(0.0, 3.0, 3)
    dark = tone > 2.5
    hair = np.array(_HAIRS[int(rng.integers(3 if dark else len(_HAIRS)))]) * rng.uniform(0.8, 1.2)
    iris = np.array(_IRISES[int(rng.integers(2 if dark else len(_IRISES)))]) + rng.normal(0.0, 6.0, 3)
    redness = rng.uniform(0.25, 0.55) if male else rng.uniform(0.35, 0.85)
    lips = (1 - redness) * skin * [0.86, 0.68, 0.66] + redness * np.array([176.0, 66.0, 72.0]) * (0.7 if dark else 1.0)
    return Looks(
        shape=_floats(shape),
        skin=_floats(np.clip(skin, 40, 245)),
        hair=_floats(np.clip(hair, 12, 220)),
        iris=_floats(np.clip(iris, 15, 200)),
        lips=_floats(np.clip(lips, 30, 230)),
        shirt=_floats(np.clip(rng.uniform(15, 150) + rng.normal(0, 25, 3), 5, 235)),
        brow=float(rng.uniform(0.034, 0.05) if male else rng.uniform(0.024, 0.038)),
        hairline=float(rng.uniform(0.62, 0.82)),
        temples=float(rng.uniform(0.35, 0.9)),
        volume=float(rng.uniform(0.03, 0.12) if male else rng.uniform(0.08, 0.2)),
        length=float(rng.uniform(0.05, 0.3) if male else rng.uniform(-1.6, 0.0)),
        beard=float(rng.choice([0.0, 0.12, 0.3, 0.55], p=[0.4, 0.3, 0.2, 0.1]) if male else 0.0),
        blush=float(rng.uniform(0.2, 0.9)),
        noise=float(rng.uniform(1.5, 5.0)),
        texture=int(rng.integers(2**31)),
    )


def _draw_voice(sex: str, rng: np.random.Generator) -> Voice:
    male = sex == "male"
    return Voice(
        f0_hz=float(np.exp(rng.normal(np.log(112.0 if male else 200.0), 0.11))),
        tract=float(rng.normal(1.0 if male else 0.87, 0.035)),
        energy_db=float(rng.normal(0.0, 1.5)),
        tilt_db=float(rng.normal(0.0, 0.6)),
        breath=float(rng.uniform(0.01, 0.05)),
        jitter=float(rng.uniform(0.004, 0.012)),
        rate=float(np.exp(rng.normal(0.0, 0.06))),
    )


def _draw_style(rng: np.random.Generator) -> Style:
    n_axes = len(VOICE_AXES)
    return Style(
        gain=_floats(np.exp(rng.normal(0.0, 0.20, N_ACTIONS))),
        mix=tuple(_floats(row) for row in rng.normal(0.0, 0.11, (len(EMOTIONS), N_ACTIONS))),
        voice_gain=_floats(np.exp(rng.normal(0.0, 0.18, n_axes))),
        voice_mix=tuple(_floats(row) for row in rng.normal(0.0, 0.16, (len(EMOTIONS), n_axes))),
    )


def _between(colours: tuple[Colour, ...], place: float) -> np.ndarray:
    low = min(int(place), len(colours) - 2)
    return (1 - (place - low)) * np.array(colours[low]) + (place - low) * np.array(colours[low + 1])


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
