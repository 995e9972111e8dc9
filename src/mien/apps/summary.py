"""What a film, a sound or a picture showed from beginning to end, as JSON has it."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.apps.outputs import name_verdict, tile
from mien.candide.mesh import AU_NAMES

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    from mien.apps.engine import Moment
    from mien.apps.recording import RecordingPrediction

USUAL_S = 0.04  # that a picture is shown for, where there is only one


def describe_moment(moment: "Moment", classes: tuple[str, ...]) -> dict[str, Any]:
    """Return a moment without its picture and its time."""
    main = moment.faces[0] if moment.faces else None
    probabilities = moment.probabilities
    return {
        "faces": sum(face.found for face in moment.faces),
        "heard": bool(moment.heard),
        "basis": list(moment.basis),
        "label": name_best(probabilities, classes),
        "face": name_best(main.probabilities if main is not None else None, classes),
        "voice": name_best(moment.voice, classes),
        "probabilities": None if probabilities is None else [round(float(p), 4) for p in probabilities],
    }


def name_best(probabilities: np.ndarray | None, classes: tuple[str, ...]) -> str | None:
    """Return the most probable class; None without probabilities."""
    return None if probabilities is None else classes[int(np.argmax(probabilities))]


class FilmSummary:
    """Collects the moments of a film, which has at least one."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._times: list[float] = []
        self._facts: list[dict[str, Any]] = []
        self._units: list[np.ndarray | None] = []  # of the main face
        self._people: set[int] = set()

    def add(self, moment: "Moment") -> None:
        """Take the next moment."""
        self._times.append(moment.time_s)
        self._facts.append(describe_moment(moment, self.classes))
        self._units.append(moment.faces[0].units if moment.faces else None)
        self._people |= {face.person for face in moment.faces}

    def make_answer(self, name: str, *, has_sound: bool, verdict: np.ndarray) -> dict[str, Any]:
        """Return everything: verdict, what is missing and why, and stretches of moments that say the same.

        verdict : (C,) what the engine says of the whole, NaN where nothing could be judged.
        """
        n, last_s = len(self._times), self._times[-1]
        ends = [*self._times[1:], last_s + (last_s / (n - 1) if n > 1 else USUAL_S)]
        stretches = []
        for facts, group in groupby(range(n), key=self._facts.__getitem__):
            numbers = list(group)
            first, last = numbers[0], numbers[-1]
            fitted = [self._units[k] for k in numbers if self._units[k] is not None]
            mean = zip(AU_NAMES, np.mean(fitted, axis=0), strict=True) if fitted else ()
            units = {unit: round(float(value), 3) for unit, value in mean} or None
            times = {"start_s": round(self._times[first], 3), "end_s": round(ends[last], 3)}
            stretches.append({**times, **facts, "units": units})
        reasons = {}
        if not any(facts["faces"] for facts in self._facts):
            reasons["face"] = f"there is none in {n} picture{'s' * (n != 1)}"
        if not has_sound:
            reasons["voice"] = "the clip has no sound"
        elif not any(facts["heard"] for facts in self._facts):
            reasons["voice"] = "the sound is silent" if ends[-1] >= 1.0 else "the sound is shorter than a second"
        facts = {"clip": name, "kind": "film", "duration_s": round(ends[-1], 3), "people": len(self._people)}
        return facts | {"sound": has_sound} | _conclude(self.classes, verdict, reasons, stretches, len(self._people))


def answer_of(found: "RecordingPrediction", name: str, *, kind: str) -> dict[str, Any]:
    """Return, as `FilmSummary.make_answer` does, what was said of a sound or a picture (its `kind`)."""
    columns, stretches = [f"p_{label}" for label in found.classes], []
    for row in tile(found.table).to_dict("records"):
        used = row["used"].split("+") if row["used"] else []
        label = row["label"] or None
        times = {"start_s": round(row["start_s"], 3), "end_s": round(row["end_s"], 3)}
        alone = {part: label if used == [part] else None for part in ("face", "voice")}
        probabilities = [round(row[one], 4) for one in columns] if label else None
        facts = {"faces": int(row["face_share"] > 0), "heard": row["voice_share"] > 0, "basis": used, "label": label}
        stretches.append(times | facts | alone | {"probabilities": probabilities, "units": None})
    facts = {"clip": name, "kind": kind, "duration_s": round(found.duration_s, 3), "people": found.n_people}
    parts = found.classes, found.probabilities, found.absent, stretches, found.n_people
    return facts | {"sound": kind == "sound"} | _conclude(*parts)


def _conclude(
    classes: tuple[str, ...],
    verdict: np.ndarray,
    reasons: dict[str, str],
    stretches: list[dict[str, Any]],
    n_people: int,
) -> dict[str, Any]:
    """Return the verdict, how long each emotion was shown, what is missing and why, and the stretches."""
    seconds = dict.fromkeys(classes, 0.0)
    for one in stretches:
        if one["label"] is not None:
            seconds[one["label"]] += one["end_s"] - one["start_s"]
    told = name_verdict(verdict, classes) | {
        "seconds": {label: round(length_s, 3) for label, length_s in seconds.items()},
        "judged_s": round(sum(seconds.values()), 3),
        "last": stretches[-1]["label"] if stretches else None,
    }
    used = [part for part in ("face", "voice") if any(part in one["basis"] for one in stretches)]
    return {
        "classes": list(classes),
        "missing": sorted(reasons),
        "reasons": reasons,
        "verdict": told,
        "sentence": _phrase(told, reasons, used, n_people=n_people),
        "timeline": stretches,
    }


def _phrase(verdict: dict[str, Any], reasons: dict[str, str], used: list[str], *, n_people: int) -> str:
    lacking = " and ".join(f"no {name} ({reason})" for name, reason in reasons.items())
    if verdict["label"] is None:
        return f"There is nothing to judge: {lacking}." if lacking else "It is too short to be judged."
    share = verdict["seconds"][verdict["label"]] / (verdict["judged_s"] or 1.0)
    text = f"{verdict['label'].capitalize()}, {verdict['probabilities'][verdict['label']]:.0%} over the whole"
    text += "; the most probable all the time" if share > 0.995 else f"; the most probable for {share:.0%} of the time"
    if verdict["last"] not in (verdict["label"], None):
        text += f", {verdict['last']} at the end"
    text += f". Judged by {' and '.join(f'the {part}' for part in used)}{' alone' * (len(used) == 1)}"
    text += f": {lacking}." if lacking else "."
    if n_people > 1:
        text += f" {n_people} people were seen; this is about the one in front."
    return text
