"""What a film showed from beginning to end: stretches with one answer each, and the answer to it in a sentence."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from mien.candide.correspondence import AU_NAMES
from mien.core.files import atomic_file
from mien.predict.live import Moment
from mien.predict.watch import rows_of

USUAL_S = 0.04  # that a picture is shown for, where there is only one


class Trace:
    """Collects the moments of a film without their pictures."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.n_pictures = self.n_faces = self.n_heard = 0
        self.people: set[int] = set()
        self.last_s = 0.0
        self._rows: list[list] = []
        self._stretches: list[dict[str, Any]] = []
        self._key: tuple | None = None
        self._units: list[np.ndarray] = []

    def add(self, moment: Moment) -> None:
        """Take the next moment."""
        self.n_pictures += 1
        self.n_faces += any(face.found for face in moment.faces)
        self.n_heard += moment.heard
        self.people |= {face.person for face in moment.faces}
        self.last_s = moment.time_s
        self._rows += rows_of(moment, self.classes)
        told = _told(moment, self.classes)
        key = tuple(map(str, told.values()))
        if key != self._key:
            self._finish(moment.time_s)
            self._stretches.append({"start_s": moment.time_s, "end_s": moment.time_s, **told})
            self._key = key
        if moment.faces and moment.faces[0].units is not None:
            self._units.append(moment.faces[0].units)

    def write_csv(self, path: Path) -> None:
        """Write the verdicts of every picture, as `mien watch --timeline` does."""
        with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["time_s", "person", "basis", "label", *self.classes])
            rows.writerows(self._rows)

    def answer(self, name: str, *, has_sound: bool) -> dict[str, Any]:
        """Return everything as JSON has it: verdict, what is missing and why, stretches.

        The verdict is the emotion that was the verdict for most of the time; of equals the one that was there first.
        """
        end_s = self.last_s + (self.last_s / (self.n_pictures - 1) if self.n_pictures > 1 else USUAL_S)
        self._finish(end_s)
        seconds = dict.fromkeys(self.classes, 0.0)
        for stretch in self._stretches:
            if stretch["label"] is not None:
                seconds[stretch["label"]] += stretch["end_s"] - stretch["start_s"]
        judged_s = sum(seconds.values())
        first = {stretch["label"]: -k for k, stretch in reversed(list(enumerate(self._stretches)))}
        label = max(seconds, key=lambda name: (round(seconds[name], 6), first.get(name, -len(first) - 1e9)))
        verdict = {
            "label": label if judged_s > 0 else None,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "judged_s": round(judged_s, 3),
            "last": self._stretches[-1]["label"] if self._stretches else None,
        }
        reasons = self._reasons(end_s, has_sound=has_sound)
        return {
            "clip": name,
            "duration_s": round(end_s, 3),
            "classes": list(self.classes),
            "people": len(self.people),
            "sound": has_sound,
            "missing": sorted(reasons),
            "reasons": reasons,
            "verdict": verdict,
            "sentence": self._sentence(verdict, reasons),
            "timeline": [_rounded(stretch) for stretch in self._stretches],
        }

    def _finish(self, end_s: float) -> None:
        """End the newest stretch."""
        if self._stretches:
            mean = np.mean(self._units, axis=0) if self._units else None
            units = {name: round(float(u), 3) for name, u in zip(AU_NAMES, mean, strict=True)} if self._units else None
            self._stretches[-1] |= {"end_s": end_s, "units": units}
        self._units = []

    def _reasons(self, end_s: float, *, has_sound: bool) -> dict[str, str]:
        reasons = {}
        if self.n_faces == 0:
            reasons["face"] = f"there is none in {self.n_pictures} picture{'s' * (self.n_pictures != 1)}"
        if not has_sound:
            reasons["voice"] = "the clip has no sound"
        elif self.n_heard == 0:
            reasons["voice"] = "the sound is silent" if end_s >= 1.0 else "the sound is shorter than a second"
        return reasons

    def _sentence(self, verdict: dict[str, Any], reasons: dict[str, str]) -> str:
        lacking = " and ".join(f"no {name} ({reason})" for name, reason in reasons.items())
        if verdict["label"] is None:
            return f"There is nothing to judge: {lacking}." if lacking else "It is too short to be judged."
        label, judged_s = verdict["label"], verdict["judged_s"]
        share = verdict["seconds"][label] / judged_s
        how = "all the time" if share > 0.995 else f"{share:.0%} of the time"
        text = f"{label.capitalize()} for {how}" if share <= 0.995 else f"{label.capitalize()} {how}"
        if verdict["last"] not in (label, None):
            text += f", {verdict['last']} at the end"
        used = [part for part in ("face", "voice") if any(part in one["basis"] for one in self._stretches)]
        text += f". Judged by {' and '.join(f'the {part}' for part in used)}{' alone' * (len(used) == 1)}"
        text += f": {lacking}." if lacking else "."
        if len(self.people) > 1:
            text += f" {len(self.people)} people were seen; this is about the one in front."
        return text


def moment_facts(moment: Moment, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return a moment as JSON has it, with the regions of all faces in px of its picture."""
    faces = [
        {
            "person": face.person,
            "region": [round(float(value), 1) for value in face.region],
            "found": face.found,
            "label": _label(face.probabilities, classes),
            "units": None if face.units is None else [round(float(value), 3) for value in face.units],
        }
        for face in moment.faces
    ]
    height, width = moment.picture.shape[:2]
    return {"time_s": round(moment.time_s, 3), "size": [width, height], "people": faces, **_told(moment, classes)}


def _told(moment: Moment, classes: tuple[str, ...]) -> dict[str, Any]:
    main = moment.faces[0] if moment.faces else None
    probabilities = moment.probabilities
    return {
        "faces": sum(face.found for face in moment.faces),
        "heard": bool(moment.heard),
        "basis": list(moment.basis),
        "label": _label(probabilities, classes),
        "face": _label(main.probabilities if main is not None else None, classes),
        "voice": _label(moment.voice, classes),
        "probabilities": None if probabilities is None else [round(float(p), 4) for p in probabilities],
    }


def _label(probabilities: np.ndarray | None, classes: tuple[str, ...]) -> str | None:
    return None if probabilities is None else classes[int(np.argmax(probabilities))]


def _rounded(stretch: dict[str, Any]) -> dict[str, Any]:
    return stretch | {"start_s": round(stretch["start_s"], 3), "end_s": round(stretch["end_s"], 3)}
