"""From an emotion to action units and to the settings of a voice, by the person's own manner.

Faces follow FACS (Ekman & Friesen 1978) as far as Candide-3 goes: it has no AU1 (inner brow raiser; a negative brow
lowerer comes near), no AU6 and no AU12 (a smile is a negative lip corner depressor), and contempt cannot be one-sided.
Voices follow the reviews of Scherer (2003) and Juslin & Laukka (2003): pitch, its range, rate, energy and tilt.
"""

from dataclasses import dataclass

import numpy as np

from mien.candide import mesh as candide
from mien.core.errors import CorpusError
from mien.synthetic.people import EMOTIONS, VOICE_AXES, Person

_FACES = {  # action units at full intensity
    "neutral": {},
    "calm": {candide.STRETCH: 0.35, candide.CORNER: -0.45, candide.EYES_CLOSED: 0.25, candide.BROW_LOWER: -0.15},
    "happy": {
        candide.STRETCH: 1.00,
        candide.CORNER: -1.15,
        candide.LID_TIGHT: 0.40,
        candide.UPPER_LIP: 0.60,
        candide.JAW: 0.20,
    },
    "sad": {candide.CORNER: 1.05, candide.BROW_LOWER: -0.75, candide.BROW_OUTER: -0.60, candide.EYES_CLOSED: 0.40},
    "angry": {
        candide.BROW_LOWER: 1.20,
        candide.LID_TIGHT: 0.30,
        candide.PRESS: 1.00,
        candide.LID_RAISE: 0.45,
        candide.NOSE: 0.15,
        candide.CORNER: 0.25,
    },
    "fearful": {
        candide.BROW_LOWER: -0.60,
        candide.BROW_OUTER: -0.10,
        candide.LID_RAISE: 1.20,
        candide.STRETCH: 0.95,
        candide.JAW: 0.30,
        candide.CORNER: 0.35,
    },
    "disgust": {
        candide.NOSE: 1.20,
        candide.UPPER_LIP: 1.15,
        candide.BROW_LOWER: 0.45,
        candide.LID_TIGHT: 0.45,
        candide.CORNER: 0.40,
    },
    "surprised": {candide.BROW_OUTER: 0.45, candide.BROW_LOWER: -0.75, candide.LID_RAISE: 1.10, candide.JAW: 0.90},
    "contempt": {
        candide.CORNER: -0.35,
        candide.STRETCH: 0.10,
        candide.UPPER_LIP: 0.30,
        candide.PRESS: 0.35,
        candide.EYES_CLOSED: 0.25,
        candide.BROW_OUTER: 0.20,
    },
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
    noise = rng.normal(0.0, _FACE_NOISE, candide.N_ACTIONS)
    units = _mixed(lambda name: _pure_face(person, name, intensity), emotion, fuzziness)
    return np.clip(units + noise, _LOWEST, _HIGHEST)


def voice_settings(
    person: Person, *, emotion: str, intensity: float, fuzziness: Fuzziness, rng: np.random.Generator
) -> dict[str, float]:
    """Return the settings of VOICE_AXES as differences from the person's neutral voice; rate as a logarithm."""
    noise = rng.normal(0.0, _VOICE_NOISE, len(VOICE_AXES)) * _VOICE_SPAN
    axes = _mixed(lambda name: _pure_voice(person, name, intensity), emotion, fuzziness) + noise
    return dict(zip(VOICE_AXES, axes.tolist(), strict=True))


def check_emotion(emotion: str) -> None:
    """Refuse an emotion that nobody here can show."""
    if emotion not in EMOTIONS:
        raise CorpusError(f"synthetic: there is no emotion {emotion!r}; known: {', '.join(EMOTIONS)}")


def _mixed(pure, emotion: str, fuzziness: Fuzziness) -> np.ndarray:
    """Return what `pure` gives for the emotion, for neutral, or for the convex mix of two emotions."""
    check_emotion(emotion)
    if fuzziness.kind == "missing":
        return pure("neutral")
    if fuzziness.kind == "blended":
        check_emotion(fuzziness.other)
        return (1.0 - fuzziness.weight) * pure(emotion) + fuzziness.weight * pure(fuzziness.other)
    return pure(emotion)


def _pure_face(person: Person, emotion: str, intensity: float) -> np.ndarray:
    mix, gain = np.array(person.style.mix), np.array(person.style.gain)
    rest = _HABIT * mix[0]
    if emotion == "neutral":
        return rest
    full = np.zeros(candide.N_ACTIONS)
    full[list(_FACES[emotion])] = list(_FACES[emotion].values())
    return (1.0 - _shown(intensity)) * rest + _shown(intensity) * (gain * full + mix[EMOTIONS.index(emotion)])


def _pure_voice(person: Person, emotion: str, intensity: float) -> np.ndarray:
    mix, gain = np.array(person.style.voice_mix) * _VOICE_SPAN, np.array(person.style.voice_gain)
    rest = _HABIT * mix[0]
    if emotion == "neutral":
        return rest
    full = gain * np.array(_VOICES[emotion]) + mix[EMOTIONS.index(emotion)]
    return (1.0 - _shown(intensity)) * rest + _shown(intensity) * full


def _shown(intensity: float) -> float:
    """Return the share of the full expression; a moderate intensity (0.6) already shows three quarters of it."""
    return float(np.clip(intensity, 0.0, 1.2)) ** 0.6
