"""From a file to what the engine says of it: decoded once, in the order of time."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien.apps.engine import FORGET_S, Engine, Row, table
from mien.apps.models import Model
from mien.apps.reference import PersonReference
from mien.apps.sources import open_source
from mien.apps.units import Shape
from mien.errors import MediaError
from mien.faces.track import Track
from mien.io.files import printable

BATCH = 16  # windows that are judged at once


@dataclass(frozen=True, eq=False)
class RecordingPrediction:
    """What is said of a file.

    Attributes
    ----------
    rows : a row per person and window, in the order of time.
    probabilities : (C,) of the whole, NaN where there was nothing to judge.
    model, used : who judged the whole, by which of its modalities; None and empty where nothing was judged.
    absent : why something is missing: "face" or "voice" -> a few words.
    tracks : person -> where it was in every picture, the one who was seen most often first; where it was asked for.
    n_people : who were seen; who was lost, or seen again after a cut, counts anew.
    reference : which reference of the person was used: none, running, or folder, N recordings.
    """

    file: Path
    classes: tuple[str, ...]
    rows: list[Row]
    duration_s: float
    probabilities: np.ndarray
    model: Model | None
    used: tuple[str, ...]
    absent: dict[str, str]
    tracks: dict[int, Track]
    n_people: int
    reference: str = "none"

    @property
    def table(self) -> pd.DataFrame:
        """Return the rows as `engine.table` has them."""
        return table(self.rows, self.classes, file=printable(self.file))


def judge_file(
    path: Path,
    models: Sequence[Model],
    *,
    window_s: float,
    hop_s: float,
    forget_s: float = FORGET_S,
    tracks: bool = False,
    shape: Shape | None = None,
    cropped: bool = False,
    reference: PersonReference | None = None,
    on_time: Callable[[float, float], None] = lambda time_s, length_s: None,
) -> RecordingPrediction:
    """Judge a video, a sound file or a picture.

    Parameters
    ----------
    cropped, reference
        See `Engine`.
    on_time
        Is told up to when it is judged, and the declared length, NaN where there is none; in s.

    Raises
    ------
    MediaError : the file cannot be decoded to its end, or has neither a picture nor a sound.
    """
    settings = {"window_s": window_s, "hop_s": hop_s, "forget_s": forget_s, "shape": shape, "tracks": tracks}
    settings |= {"cropped": cropped, "reference": reference}
    engine, rows = Engine(models, batch=BATCH, **settings), []
    rates = {"rate_hz": engine.sound.rate_hz, "rate_fps": engine.faces.rate_fps}
    with closing(open_source(str(path), **rates, sound_alone=True)) as source:
        for item in source:
            rows += engine.add(item.time_s, item.pixels, item.sound, item.cut)
            on_time(item.time_s, source.duration_s)
        if source.problem:
            raise MediaError(source.problem)
    rows += engine.finish()
    people = engine.people if tracks else []
    return RecordingPrediction(
        file=path,
        classes=engine.classes,
        rows=rows,
        duration_s=engine.duration_s,
        probabilities=engine.verdict,
        model=engine.verdict_model,
        used=engine.verdict_used,
        absent=describe_absent(engine, has_pictures=source.has_pictures, has_sound=source.has_sound),
        tracks={person: engine.track_of(person) for person in people},
        n_people=engine.n_people,
        reference=engine.reference,
    )


def describe_absent(engine: Engine, *, has_pictures: bool, has_sound: bool) -> dict[str, str]:
    """Say what a film lacked: "face" or "voice" -> a few words."""
    absent = {}
    if not has_pictures:
        absent["face"] = "there is no picture"
    elif not engine.n_found:
        absent["face"] = f"none in {engine.n_looks} frame{'s' * (engine.n_looks != 1)}"
    if not has_sound:
        absent["voice"] = "there is no sound"
    elif engine.is_silent:
        absent["voice"] = "the sound is silent"
    return absent
