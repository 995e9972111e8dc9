"""Who somebody is, and how they show an emotion.

Looks, voice and manner are drawn once from a seed and a name. By the person's own manner an emotion becomes action
units and settings of a voice. Faces follow FACS (Ekman & Friesen 1978) as far as Candide-3 goes: it has no AU1 (inner
brow raiser; a negative brow lowerer comes near), no AU6 and no AU12 (a smile is a negative lip corner depressor), and
contempt cannot be one-sided. Voices follow the reviews of Scherer (2003) and Juslin & Laukka (2003): pitch, its range,
rate, energy and tilt.
"""

from dataclasses import dataclass

import numpy as np

from mien.candide.mesh import (
    BROW_LOWER,
    BROW_OUTER,
    CORNER,
    EYES_CLOSED,
    JAW,
    LID_RAISE,
    LID_TIGHT,
    N_ACTIONS,
    NOSE,
    PRESS,
    STRETCH,
    UPPER_LIP,
)
from mien.errors import CorpusError
from mien.io.randomness import rng_for

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "contempt")
VOICE_AXES = ("pitch_st", "range_st", "rate", "energy_db", "tilt_db", "breath", "jitter", "rise_st")

Colour = tuple[float, float, float]  # RGB, 0..255

# Spread of the 14 shape units between people (Candide-3 file order), in units of their coefficients.
_SHAPE_SPREAD = (0.16, 0.30, 0.16, 0.18, 0.10, 0.14, 0.40, 0.45, 0.22, 0.30, 0.25, 0.30, 0.06, 0.30)
_SKINS = ((236, 196, 172), (222, 176, 148), (205, 156, 124), (176, 125, 92), (146, 100, 74), (116, 80, 60))
_HAIRS = ((34, 27, 25), (52, 36, 28), (86, 58, 38), (122, 84, 50), (168, 128, 76), (120, 118, 116), (128, 62, 36))
_IRISES = ((62, 40, 26), (84, 56, 34), (92, 110, 70), (84, 116, 146), (112, 128, 136))

_FACES = {  # action units at full intensity
    "neutral": {},
    "calm": {STRETCH: 0.35, CORNER: -0.45, EYES_CLOSED: 0.25, BROW_LOWER: -0.15},
    "happy": {STRETCH: 1.00, CORNER: -1.15, LID_TIGHT: 0.40, UPPER_LIP: 0.60, JAW: 0.20},
    "sad": {CORNER: 1.05, BROW_LOWER: -0.75, BROW_OUTER: -0.60, EYES_CLOSED: 0.40},
    "angry": {BROW_LOWER: 1.20, LID_TIGHT: 0.30, PRESS: 1.00, LID_RAISE: 0.45, NOSE: 0.15, CORNER: 0.25},
    "fearful": {BROW_LOWER: -0.60, BROW_OUTER: -0.10, LID_RAISE: 1.20, STRETCH: 0.95, JAW: 0.30, CORNER: 0.35},
    "disgust": {NOSE: 1.20, UPPER_LIP: 1.15, BROW_LOWER: 0.45, LID_TIGHT: 0.45, CORNER: 0.40},
    "surprised": {BROW_OUTER: 0.45, BROW_LOWER: -0.75, LID_RAISE: 1.10, JAW: 0.90},
    "contempt": {CORNER: -0.35, STRETCH: 0.10, UPPER_LIP: 0.30, PRESS: 0.35, EYES_CLOSED: 0.25, BROW_OUTER: 0.20},
}
_HABIT = 0.5  # of a neutral face, relative to the offsets of the expressions
_FACE_NOISE = 0.06  # from clip to clip, all units
_LOWEST = np.array([-0.3, 0.0, -0.5, -1.4, -1.5, -1.0, -0.2, -0.3, -0.2, -0.4, -0.5])
_HIGHEST = np.array([1.4, 1.2, 1.4, 1.4, 1.4, 1.2, 0.7, 0.7, 1.4, 1.4, 1.5])
_VOICES = {  # in the order of VOICE_AXES, as differences from a neutral voice at full intensity; rate as a logarithm
    "neutral": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "calm": (-1.0, -0.5, -0.10, -3.0, -1.0, 0.02, 0.000, 0.0),
    "happy": (4.5, 3.0, 0.06, 4.0, 1.2, 0.00, 0.000, 1.0),
    "sad": (-1.5, -0.8, -0.18, -6.0, -2.2, 0.05, 0.004, -0.5),
    "angry": (5.5, 2.2, 0.10, 8.0, 3.2, 0.00, 0.006, -0.5),
    "fearful": (7.0, 0.4, 0.18, 0.5, 0.0, 0.06, 0.014, 0.5),
    "disgust": (-1.8, 0.8, -0.14, 1.0, 1.0, 0.02, 0.010, -1.5),
    "surprised": (7.0, 4.5, 0.00, 3.5, 0.8, 0.01, 0.000, 5.0),
    "contempt": (-1.0, 0.4, -0.06, -1.5, 0.3, 0.01, 0.002, -1.5),
}
_VOICE_SPAN = np.array([7.0, 4.0, 0.18, 7.0, 3.0, 0.05, 0.010, 4.0])  # what one unit of offset or noise means
_VOICE_NOISE = 0.12  # from clip to clip


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


@dataclass(frozen=True)
class Fuzziness:
    """How clear one modality of a clip is (thesis 5.1).

    kind: clear, missing (the modality stays neutral) or blended; other: the emotion mixed in, else empty;
    weight: its share, else 0.
    """

    kind: str
    other: str
    weight: float


CLEAR = Fuzziness("clear", "", 0.0)


def draw_fuzziness(missing: float, blended: float, emotion: str, rng: np.random.Generator) -> Fuzziness:
    """Draw what happens to one modality of a clip; `missing` and `blended` are probabilities that add up to <= 1."""
    check_emotion(emotion)
    chance, weight = rng.uniform(), rng.uniform(0.25, 0.5)
    others = [other for other in EMOTIONS if other not in (emotion, "contempt")]
    other = others[int(rng.integers(len(others)))]
    if chance < missing:
        return Fuzziness("missing", "", 0.0)
    if chance < missing + blended:
        return Fuzziness("blended", other, float(weight))
    return CLEAR


def face_units(
    person: Person, *, emotion: str, intensity: float, fuzziness: Fuzziness, rng: np.random.Generator
) -> np.ndarray:
    """Return (11,) action units at the apex of an expression, in Candide file order."""
    noise = rng.normal(0.0, _FACE_NOISE, N_ACTIONS)
    full = np.zeros((len(EMOTIONS), N_ACTIONS))
    for row, name in zip(full, EMOTIONS, strict=True):
        row[list(_FACES[name])] = list(_FACES[name].values())
    units = _express(full, person.style.gain, np.array(person.style.mix), emotion, intensity, fuzziness)
    return np.clip(units + noise, _LOWEST, _HIGHEST)


def voice_settings(
    person: Person, *, emotion: str, intensity: float, fuzziness: Fuzziness, rng: np.random.Generator
) -> dict[str, float]:
    """Return the settings of VOICE_AXES as differences from the person's neutral voice; rate as a logarithm."""
    noise = rng.normal(0.0, _VOICE_NOISE, len(VOICE_AXES)) * _VOICE_SPAN
    full, mix = np.array([_VOICES[name] for name in EMOTIONS]), np.array(person.style.voice_mix) * _VOICE_SPAN
    axes = _express(full, person.style.voice_gain, mix, emotion, intensity, fuzziness) + noise
    return dict(zip(VOICE_AXES, axes.tolist(), strict=True))


def check_emotion(emotion: str) -> None:
    """Refuse an emotion that nobody here can show."""
    if emotion not in EMOTIONS:
        raise CorpusError(f"synthetic: there is no emotion {emotion!r}; known: {', '.join(EMOTIONS)}")


def _express(
    full: np.ndarray, gain: tuple[float, ...], mix: np.ndarray, emotion: str, intensity: float, fuzziness: Fuzziness
) -> np.ndarray:
    """Return what somebody shows of an emotion, of neutral, or of the convex mix of two emotions.

    full, mix : (9, K) of EMOTIONS: what all people show, and what this one does besides.   gain : (K,) of this one.
    """
    rest = _HABIT * mix[0]
    shown = float(np.clip(intensity, 0.0, 1.2)) ** 0.6  # a moderate intensity (0.6) shows three quarters already

    def pure(name: str) -> np.ndarray:
        check_emotion(name)
        k = EMOTIONS.index(name)
        return rest if k == 0 else (1.0 - shown) * rest + shown * (np.array(gain) * full[k] + mix[k])

    of_emotion = pure(emotion)
    if fuzziness.kind == "missing":
        return pure("neutral")
    if fuzziness.kind == "blended":
        return (1.0 - fuzziness.weight) * of_emotion + fuzziness.weight * pure(fuzziness.other)
    return of_emotion
