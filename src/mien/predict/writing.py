"""The files and the line that say what was predicted."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.files import atomic_file, write_json
from mien.predict.judging import Judgement
from mien.predict.recording import Recording
from mien.predict.selection import Model

LACKING = {"video": "face", "audio": "voice"}  # modality -> what a clip without it lacks


def write_prediction(
    folder: Path,
    stem: str,
    recording: Recording,
    judgement: Judgement,
    model: Model,
    *,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write <stem>.csv, the timeline, and <stem>.json, everything and `further`, each whole or not at all."""
    classes = model.settings.classes
    timeline = [_window(window, classes) for window in judgement.windows]
    with atomic_file(folder / f"{stem}.csv") as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["start_s", "end_s", "face", "voice", "label", *classes])
        for window in timeline:
            values = window["probabilities"] or dict.fromkeys(classes, "")
            plain = [window[key] for key in ("start_s", "end_s", "face", "voice")]
            rows.writerow([*plain, window["label"] or "", *values.values()])
    label, probabilities = _named(judgement.verdict, classes)
    summary = {
        "clip": str(recording.path),
        "duration_s": round(recording.duration_s, 3),
        "model": str(model.path),
        "variant": model.settings.variant,
        "corpus": model.settings.corpus,
        "classes": list(classes),
        "missing": sorted(recording.absent),
        "reasons": recording.absent,
        "verdict": {"label": label, "probabilities": probabilities},
        "timeline": timeline,
    }
    write_json(folder / f"{stem}.json", summary | dict(further or {}))


def line_of(recording: Recording, judgement: Judgement, model: Model) -> str:
    """Say in one line: clip, verdict, the three best probabilities, and what the verdict lacks."""
    label, _ = _named(judgement.verdict, model.settings.classes)
    best = np.argsort(-judgement.verdict, kind="stable")[:3]
    shares = ", ".join(f"{model.settings.classes[k]} {judgement.verdict[k]:.0%}" for k in best)
    head = f"{recording.path.name}: " + (f"{label} ({shares})" if label else "no verdict")
    remarks = _remarks(recording, judgement, model)
    return f"{head}; {remarks}" if remarks else head


def _remarks(recording: Recording, judgement: Judgement, model: Model) -> str:
    absent, variant = recording.absent, model.settings.variant
    if len(absent) == len(LACKING):
        return f"neither a face ({absent['face']}) nor a voice ({absent['voice']})"
    remarks = [f"no {name} ({reason})" for name, reason in absent.items()]
    if not judgement.used:
        return f"{'; '.join(remarks)}, and {variant} needs a {LACKING[model.settings.modalities[0]]}"
    remarks += [
        f"{variant} does not use the {LACKING[name]}"
        for name in recording.modalities
        if name not in model.settings.modalities
    ]
    basis = " and ".join(LACKING[name] for name in judgement.used)
    return f"{'; '.join(remarks)}: judged by the {basis} alone" if remarks else ""


def _window(window: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    label, probabilities = _named(window.probabilities, classes)
    return {
        "start_s": round(window.interval.start_s, 3),
        "end_s": round(window.interval.stop_s, 3),
        "face": round(window.face, 3),
        "voice": window.voice,
        "label": label,
        "probabilities": probabilities,
    }


def _named(values: np.ndarray, classes: tuple[str, ...]) -> tuple[str | None, dict[str, float] | None]:
    """Return (label, class -> probability); None where the values are NaN: JSON has no NaN."""
    if math.isnan(values[0]):
        return None, None
    return classes[int(values.argmax())], {name: round(float(p), 4) for name, p in zip(classes, values, strict=True)}
