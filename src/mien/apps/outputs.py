"""What people take away from judged recordings: one long table, and files of other programs beside each recording.

It writes what the engine gives: `rows`, a row per person and window; `frames`, a row per person and picture; `model`,
who judged. The columns of every table are described here, once; docs/outputs.md is made from that.

Windows overlap, and tiers, subtitles and events must not: there, a moment belongs to the window whose middle is
nearest, and neighbours with the same label are one stretch (`cut_stretches`).
"""

import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from mien.candide.fit import FITTED
from mien.candide.mesh import AU_NAMES
from mien.errors import ConfigError
from mien.faces.detect import N_LANDMARKS
from mien.io import isolated
from mien.io.files import atomic_file, printable, write_json

if TYPE_CHECKING:
    from mien.apps.models import Model
    from mien.apps.units import FittedUnits
    from mien.faces.track import Track

FORMATS = ("openface", "srt", "vtt", "elan", "praat", "bids")
TABLE_SUFFIXES = (".csv", ".parquet")
MIME_TYPES = {".wav": "audio/x-wav", ".mp4": "video/mp4", ".mov": "video/quicktime"}  # that ELAN has names for


@dataclass(frozen=True)
class Column:
    """A column of a table, or several that are numbered alike: its name, its unit or values, and what it says."""

    name: str
    unit: str
    meaning: str


ROW_COLUMNS = (
    Column("file", "text", "the recording, as it was named; bytes that are no UTF-8 are written as `\\xNN`"),
    Column("person", "0, 1, 2, ...", "who: people are numbered as they appear; 0 is a voice while no face is seen"),
    Column("start_s", "s", "first moment of the window, on the clock of the pictures"),
    Column("end_s", "s", "end of the window; windows overlap, so lengths cannot be added up (but see `--fps`)"),
    Column("label", "text", "the most probable emotion; empty where there was nothing to judge"),
    Column("p_CLASS", "0..1", "probability of each emotion; they add up to 1; empty where there was nothing to judge"),
    Column("face_share", "0..1", "share of the looked-at pictures of the window in which this face was found"),
    Column("voice_share", "0..1", "share of the window in which the sound is not silent"),
    Column("confidence", "0..1", "the largest of the probabilities"),
    Column("used", "face, voice, face+voice", "what the probabilities rest on; empty where there was nothing to judge"),
)
MODEL_COLUMNS = (  # from `model`; what is not known is empty
    Column("model", "text", "who judged: the row of `params.yaml` that was trained"),
    Column("corpus", "text", "corpus that it was trained on"),
    Column(
        "networks",
        "1, 2, ...",
        "how many networks judged together: those of the folds, or one of the face and one of the voice",
    ),
    Column("synthetic", "True, False", "whether the people of that corpus are synthetic"),
    Column("people", "text", "whom it was trained on, such as 16 people, or pictures"),
    Column(
        "accuracy",
        "0..1",
        "share right of clips, or pictures, that it was not trained on; empty of two models together",
    ),
    Column("accuracy_low", "0..1", "lower end of the 95% interval of that accuracy"),
    Column("accuracy_high", "0..1", "upper end"),
    Column("model_file", "text", "file of the networks, or folder of their row"),
    Column("model_sha256", "hexadecimal", "SHA-256 of it, or of those of its files"),
)
_MODEL_KEYS = {"model": "row", "model_file": "file", "model_sha256": "sha256"}  # others are named as their column

# FACS number in the name of OpenFace's column -> (column of `frames`, what it says); in the order of AU_NAMES.
_FACS = {
    26: "jaw drop; the mesh moves the jaw as AU26 and AU27 do",
    4: "brow lowerer",
    15: "lip corner depressor; the mesh has AU13 and AU15 as one, and below 0 the corners are pulled up, as by AU12",
    10: "upper lip raiser",
    20: "lip stretcher",
    7: "lid tightener",
    9: "nose wrinkler",
    45: "eyes closed: AU42 to AU45, by degree",
}
_UNITS = {f"AU{number:02}_r": name.replace(" ", "_") for number, name in zip(_FACS, AU_NAMES, strict=True)}
_AXES = "camera at the origin, x to the right of the picture, y down, z away; R = Rx Ry Rz"
FRAME_COLUMNS = (
    Column("frame", "1, 2, ...", "number of the picture among those that were looked at"),
    Column("face_id", "1, 2, ...", "the person, numbered as in the long table (OpenFace begins at 0)"),
    Column("timestamp", "s", "on the clock of the pictures"),
    Column("confidence", "score", "of the face detector, without an upper end; empty where the face was followed only"),
    Column("success", "0, 1", "1 where the face was found in this picture"),
    Column("pose_Tx, pose_Ty, pose_Tz", "mm", "always empty: the mesh is fitted without a camera, so has no distance"),
    Column("pose_Rx", "rad", f"pitch, positive where the head nods down ({_AXES})"),
    Column("pose_Ry", "rad", "yaw, positive where the nose turns to the left of the picture, the subject's right"),
    Column("pose_Rz", "rad", "roll, positive where the head tilts to the right of the picture, the subject's left"),
    Column("x_0 ... x_67", "px", "landmarks from the left of the picture, numbered from 0 as in iBUG 300-W"),
    Column("y_0 ... y_67", "px", "landmarks from its top"),
    *(Column(f"AU{number:02}_r", "coefficient", _FACS[number]) for number in sorted(_FACS)),
    Column("box_x, box_y", "px", "left and top of the face's box; not in OpenFace"),
    Column("box_width, box_height", "px", "its size; not in OpenFace"),
)
EVENT_COLUMNS = (
    Column("onset", "s", "first moment of the stretch, on the clock of the pictures"),
    Column("duration", "s", "its length"),
    Column("trial_type", "text", "the emotion that was recognised"),
    Column("person", "0, 1, 2, ...", "who: people are numbered as they appear; 0 is a voice while no face is seen"),
    Column("confidence", "0..1", "probability of the emotion, the mean over the stretch"),
    Column("used", "face, voice, face+voice", "what the emotion was recognised by"),
)


def write_outputs(
    rows: pd.DataFrame,
    frames: pd.DataFrame | None,
    model: Mapping[str, Any],
    out: Path,
    *,
    formats: Iterable[str],
    clip: Path | None = None,
) -> list[Path]:
    """Write one recording in the formats of other programs, each file whole or not at all.

    Parameters
    ----------
    rows
        The engine's rows of one recording; its file is named as by `io.files.printable`, as tables hold text only.
    frames
        Its frames, in pictures' px and in s; needed by ``openface`` alone, which writes no row where it is None.
    model
        Who judged, see `model_facts`; any of it may be absent.
    out
        Folder and first part of the names: ``verdicts/clip`` gives ``verdicts/clip.srt``.
    formats
        Which of `FORMATS`.
    clip
        The recording, to which ``elan`` points.

    Returns
    -------
    list of Path
        The files, in the order of the formats.
    """
    writers: dict[str, tuple[str, Callable[[Path], None]]] = {
        "openface": (".openface.csv", lambda path: _write_csv(path, to_openface(frames), sep=",")),
        "srt": (".srt", lambda path: _write_text(path, format_srt(rows, model))),
        "vtt": (".vtt", lambda path: _write_text(path, format_vtt(rows, model))),
        "elan": (".eaf", partial(_write_eaf, rows, model, clip)),
        "praat": (".TextGrid", lambda path: _write_text(path, format_textgrid(rows, model))),
        "bids": ("_events.tsv", partial(_write_events, rows, model)),
    }
    written = []
    for name in dict.fromkeys(formats):
        suffix, write = writers[name]
        path = out.with_name(out.name + suffix)
        write(path)
        written.append(path)
    return written


# ---- the long table -------------------------------------------------------------------------------------------------


class Outputs:
    """What `mien predict` writes beside its own files, recording after recording.

    Parameters
    ----------
    table
        File of the table of all recordings, .csv or .parquet; None: none.
    formats
        Which of `FORMATS`, beside each recording.
    fps
        Rows per second of the table: a number, or ``film`` for the rate of each film; None: a row per window.

    Raises
    ------
    ConfigError
        One of them cannot be had; so that it is said before hours of work.
    """

    def __init__(self, table: Path | None = None, formats: Sequence[str] = (), fps: str | None = None) -> None:
        if table is not None and table.suffix.lower() not in TABLE_SUFFIXES:
            raise ConfigError(f"{table}: --table should end in {' or '.join(TABLE_SUFFIXES)}; name it so")
        if table is not None and table.is_dir():
            raise ConfigError(f"{table}: --table should be a file, and this is a folder")
        if unknown := [name for name in formats if name not in FORMATS]:
            raise ConfigError(f"--formats {unknown[0]}: there is no such format; choose from {', '.join(FORMATS)}")
        if fps is not None and table is None:
            raise ConfigError(f"--fps {fps} is for the rows of a table: add --table all.csv")
        self.path, self.formats, self.fps = table, tuple(formats), _parse_rate(fps)
        self._tables: list[pd.DataFrame] = []

    def add(
        self, clip: Path, rows: pd.DataFrame, frames: pd.DataFrame | None, model: Mapping[str, Any], out: Path
    ) -> None:
        """Write the formats of a recording, see `write_outputs`, and keep its rows for the table."""
        write_outputs(rows, frames, model, out, formats=self.formats, clip=clip)
        if self.path is not None:
            self._tables.append(to_table(rows, model, fps=find_rate(clip) if self.fps == "film" else self.fps))

    def finish(self) -> None:
        """Write the table."""
        if self.path is not None:
            write_table(self.path, self._tables)


def _parse_rate(fps: str | None) -> float | Literal["film"] | None:
    """Return rows per second as they were asked for; 1000 would be the clock itself."""
    if fps in (None, "film"):
        return fps
    try:
        rate_fps = float(fps)
    except ValueError:
        rate_fps = math.nan
    if not 0 < rate_fps <= 1000:
        raise ConfigError(f"--fps {fps}: rows per second should be more than 0 and at most 1000, or film")
    return rate_fps


def find_rate(clip: Path) -> float | None:
    """Return the average rate of a film's pictures, fps; None of a sound or a picture.

    Raises
    ------
    MediaError
        The recording cannot be read.
    """
    if isolated.is_still(clip):
        return None
    rate_fps = isolated.probe(clip).rate_fps
    return rate_fps if rate_fps > 0 else None


def to_table(rows: pd.DataFrame, model: Mapping[str, Any], *, fps: float | None = None) -> pd.DataFrame:
    """Return the engine's rows with the columns `ROW_COLUMNS` and `MODEL_COLUMNS`.

    Parameters
    ----------
    fps
        A row per person and 1/fps s instead of one per window, see `resample`.
    """
    table = rows if fps is None else resample(rows, fps)
    classes = _probabilities_of(table)
    names = [name for one in ROW_COLUMNS for name in (classes if one.name == "p_CLASS" else [one.name])]
    table = table[names].copy()
    table["label"], table["used"] = table.label.fillna(""), table.used.fillna("")
    digits = dict.fromkeys([*classes, "start_s", "end_s", "confidence"], 6) | {"face_share": 3, "voice_share": 3}
    who = {one.name: _known(model, _MODEL_KEYS.get(one.name, one.name)) for one in MODEL_COLUMNS}
    return table.round(digits).assign(**who).reset_index(drop=True)


def write_table(path: Path, tables: Sequence[pd.DataFrame]) -> None:
    """Write the tables of all recordings as one, CSV or Parquet by the suffix; a class that one has not is empty."""
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_plain_names())
    if path.suffix.lower() == ".csv":
        _write_csv(path, table, sep=",")
        return
    with atomic_file(path) as scratch:
        table.to_parquet(scratch, index=False)


def _plain_names() -> list[str]:
    return [one.name for one in (*ROW_COLUMNS, *MODEL_COLUMNS) if one.name != "p_CLASS"]


def _known(model: Mapping[str, Any], key: str) -> Any:
    """Return what is known of a model, as a cell; None where it is not."""
    value = model.get(key)
    return printable(" ".join(map(str, value))) if isinstance(value, list | tuple) else value


def _probabilities_of(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.columns if name.startswith("p_")]


# ---- stretches ------------------------------------------------------------------------------------------------------


def tile(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with their ends moved so that those of a person do not overlap, ordered by person and time.

    Two windows that overlap meet in the middle of what they share; gaps stay.
    """
    parts = []
    for _, part in rows.groupby("person", sort=True):
        part = part.sort_values(["start_s", "end_s"], kind="stable")
        start, end = part.start_s.to_numpy(float), part.end_s.to_numpy(float)
        meet = (start[1:] + end[:-1]) / 2
        shared = start[1:] < end[:-1]
        start = np.concatenate([start[:1], np.where(shared, meet, start[1:])])
        end = np.concatenate([np.where(shared, meet, end[:-1]), end[-1:]])
        parts.append(part.assign(start_s=start, end_s=end))
    return pd.concat(parts, ignore_index=True) if parts else rows.copy()


def resample(rows: pd.DataFrame, fps: float) -> pd.DataFrame:
    """Return a row per person and 1/fps s, each with what the window says whose middle is nearest.

    Row k lasts from k/fps to (k+1)/fps. This adds no knowledge: it makes rows that fit those of a film's pictures.
    """
    tiled = tile(rows)
    first = np.ceil(tiled.start_s.to_numpy(float) * fps - 1e-6).astype(int)
    stop = np.ceil(tiled.end_s.to_numpy(float) * fps - 1e-6).astype(int)
    counts = np.maximum(stop - first, 0)
    ticks = np.concatenate([np.arange(a, b) for a, b in zip(first, stop, strict=True)] or [np.zeros(0, int)])
    table = tiled.loc[np.repeat(tiled.index.to_numpy(), counts)].reset_index(drop=True)
    return table.assign(start_s=ticks / fps, end_s=(ticks + 1) / fps)


def cut_stretches(rows: pd.DataFrame) -> pd.DataFrame:
    """Return stretches of one person with one label: person, start_s, end_s, label, confidence and used.

    Nothing is left of windows in which nothing could be judged. The confidence is the mean probability of the label.
    """
    tiled = tile(rows)
    judged = tiled[(tiled.label.fillna("") != "") & (tiled.end_s > tiled.start_s)]
    if judged.empty:
        return pd.DataFrame(columns=["person", "start_s", "end_s", "label", "confidence", "used"])
    previous = judged.shift()
    goes_on = (judged.person == previous.person) & (judged.label == previous.label)
    goes_on &= (judged.start_s - previous.end_s).abs() < 1e-6
    length_s = judged.end_s - judged.start_s
    parts = judged.assign(_weight=length_s, _weighted=length_s * judged.confidence).groupby((~goes_on).cumsum())
    stretches = parts.agg(
        person=("person", "first"),
        start_s=("start_s", "first"),
        end_s=("end_s", "last"),
        label=("label", "first"),
        confidence=("_weighted", "sum"),
        used=("used", lambda used: "+".join(sorted({one for each in used for one in each.split("+")}))),
    )
    return stretches.assign(confidence=stretches.confidence / parts["_weight"].sum()).reset_index(drop=True)


def _name_tier(person: int) -> str:
    return f"person {person}" if person else "voice"


def model_facts(model: "Model") -> dict[str, Any]:
    """Return who judges: the fields of `models.ModelInfo` as JSON has them, and ``text``, the line that says it."""
    if model.info is None:
        card = model.settings
        text = f"{card.variant} of {card.corpus}; its accuracy is not known"
        return {"row": card.variant, "corpus": card.corpus, "text": text}
    return model.info.to_dict() | {"text": model.info.describe()}


def name_verdict(probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return label and probabilities (class -> 0..1) of a whole recording, None where nothing could be judged."""
    if np.isnan(probabilities).any():
        return {"label": None, "probabilities": None}
    shares = {name: float(value) for name, value in zip(classes, probabilities, strict=True)}
    return {"label": max(shares, key=shares.get), "probabilities": shares}


def describe_model(model: Mapping[str, Any]) -> str:
    """Say in a line who judged, on whom it was trained and how often it is right."""
    return f"Judged by {printable(model.get('text') or model.get('row') or 'a network of which nothing is known')}"


# ---- subtitles ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cue:
    """A subtitle: whole milliseconds, and a line (tier, text) per person."""

    start_ms: int
    end_ms: int
    lines: tuple[tuple[str, str], ...]


def make_cues(rows: pd.DataFrame) -> list[Cue]:
    """Return subtitles that do not overlap: a new one whenever somebody's label changes."""
    spans = []
    for one in cut_stretches(rows).itertuples():
        line = _name_tier(one.person), f"{_one_line(one.label)} {one.confidence:.0%}"
        spans.append((round(one.start_s * 1000), round(one.end_s * 1000), line))
    times = sorted({time_ms for start, end, _ in spans for time_ms in (start, end)})
    cues = []
    for start, end in itertools.pairwise(times):
        lines = tuple(line for first, last, line in spans if first <= start and end <= last)
        if lines:
            cues.append(Cue(start, end, lines))
    return cues


def _one_line(text: str) -> str:
    """Return a text without what ends a subtitle or begins the next."""
    return " ".join(text.replace("-->", " ").split())


def format_srt(rows: pd.DataFrame, model: Mapping[str, Any]) -> str:
    """Return SubRip subtitles. The first one says who judged too: the format has no comments."""
    cues, blocks = make_cues(rows), []
    for number, cue in enumerate(cues, 1):
        lines = [f"{who}: {text}" for who, text in cue.lines]
        lines += [_one_line(describe_model(model))] if number == 1 else []
        blocks.append("\n".join([str(number), f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}", *lines]))
    return "\n\n".join(blocks) + "\n" * bool(blocks)


def format_vtt(rows: pd.DataFrame, model: Mapping[str, Any]) -> str:
    """Return WebVTT subtitles with people as voices; a note says who judged, and so does the first cue."""
    blocks = ["WEBVTT", f"NOTE\n{_escape_vtt(_one_line(describe_model(model)))}"]
    for number, cue in enumerate(make_cues(rows)):
        lines = [f"<v {who}>{who}: {_escape_vtt(text)}</v>" for who, text in cue.lines]
        lines += [_escape_vtt(_one_line(describe_model(model)))] if number == 0 else []
        blocks.append("\n".join([f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}", *lines]))
    return "\n\n".join(blocks) + "\n"


def _escape_vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(time_ms: int, point: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


# ---- tiers of annotation programs -----------------------------------------------------------------------------------


def _tiers(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {_name_tier(person): part for person, part in cut_stretches(rows).groupby("person", sort=True)}


def _write_eaf(rows: pd.DataFrame, model: Mapping[str, Any], clip: Path | None, path: Path) -> None:
    document = make_eaf(rows, model, clip=clip, folder=path.parent)
    with atomic_file(path) as scratch:
        document.write(scratch, encoding="UTF-8", xml_declaration=True)


def make_eaf(
    rows: pd.DataFrame, model: Mapping[str, Any], *, clip: Path | None = None, folder: Path = Path()
) -> ElementTree.ElementTree:
    """Return an ELAN document (EAF 3.0 of the Max Planck Institute for Psycholinguistics), a tier per person.

    Parameters
    ----------
    clip
        The recording, to which the document points where it is a file; its date is that of the recording, so that the
        same recording gives the same bytes.
    folder
        Where the document will be.
    """
    there = clip is not None and clip.is_file()
    when = datetime.fromtimestamp(int(clip.stat().st_mtime) if there else 0, UTC)
    schema = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {"AUTHOR": "mien", "DATE": when.isoformat(), "FORMAT": "3.0", "VERSION": "3.0"}
        | {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:noNamespaceSchemaLocation": schema},
    )
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if there:
        near = quote(os.fsencode(os.path.relpath(clip.resolve(), folder.resolve())))
        near = near if near.startswith("../") else f"./{near}"
        kind = MIME_TYPES.get(clip.suffix.lower(), "unknown")
        media = {"MEDIA_URL": clip.resolve().as_uri(), "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": near}
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", media)
    tiers = _tiers(rows)
    n_annotations = sum(map(len, tiers.values()))
    for name, text in (("judged by", describe_model(model)), ("lastUsedAnnotationId", str(n_annotations))):
        ElementTree.SubElement(header, "PROPERTY", NAME=name).text = _xml_text(text)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    times = sorted({round(1000 * value) for part in tiers.values() for value in (*part.start_s, *part.end_s)})
    slots = {time_ms: f"ts{number}" for number, time_ms in enumerate(times, 1)}
    for time_ms, slot in slots.items():
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time_ms))
    n_annotations = 0
    for name, part in tiers.items():
        tier = ElementTree.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="emotion", PARTICIPANT=name, TIER_ID=name)
        for one in part.itertuples():
            n_annotations += 1
            places = {"ANNOTATION_ID": f"a{n_annotations}"}
            places["TIME_SLOT_REF1"] = slots[round(1000 * one.start_s)]
            places["TIME_SLOT_REF2"] = slots[round(1000 * one.end_s)]
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", places)
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = _xml_text(one.label)
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "emotion", "TIME_ALIGNABLE": "true"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", kind)
    ElementTree.indent(root)
    return ElementTree.ElementTree(root)


def _xml_text(text: str) -> str:
    """Return a text without the characters that XML 1.0 cannot hold, even escaped."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def format_textgrid(rows: pd.DataFrame, model: Mapping[str, Any]) -> str:
    """Return a TextGrid of Praat in its long text form: an interval tier per person, then one that says who judged.

    Intervals of a tier follow each other without gaps; those where nothing was judged are empty.
    """
    end_s = round(float(rows.end_s.max()), 6) if len(rows) else 0.0
    end_s = end_s or 1.0  # Praat has no grid without time
    tiers = {"judged by": [(0.0, end_s, describe_model(model))]}
    for name, part in reversed(_tiers(rows).items()):
        spans, last_s = [], 0.0
        for one in part.itertuples():
            start, stop = round(max(0.0, one.start_s), 6), round(one.end_s, 6)
            spans += [(last_s, start, "")] if start > last_s else []
            spans.append((start, stop, one.label))
            last_s = stop
        spans += [(last_s, end_s, "")] if last_s < end_s else []
        tiers = {name: spans} | tiers
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_number(end_s)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{_double(name)}"']
        lines += ["        xmin = 0", f"        xmax = {_number(end_s)}", f"        intervals: size = {len(spans)}"]
        for k, (start, stop, text) in enumerate(spans, 1):
            lines += [f"        intervals [{k}]:", f"            xmin = {_number(start)}"]
            lines += [f"            xmax = {_number(stop)}", f'            text = "{_double(text)}"']
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _double(text: str) -> str:
    return text.replace('"', '""')


# ---- BIDS, OpenFace -------------------------------------------------------------------------------------------------


def to_events(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the stretches with the columns `EVENT_COLUMNS`, ordered by their onset."""
    stretches = cut_stretches(rows).rename(columns={"start_s": "onset", "label": "trial_type"})
    stretches = stretches.assign(duration=stretches.end_s - stretches.onset).sort_values(["onset", "person"])
    digits = {"onset": 6, "duration": 6, "confidence": 4}
    return stretches[[one.name for one in EVENT_COLUMNS]].round(digits).reset_index(drop=True)


def _write_events(rows: pd.DataFrame, model: Mapping[str, Any], path: Path) -> None:
    """Write *_events.tsv of BIDS and its sidecar *_events.json."""
    _write_csv(path, to_events(rows), sep="\t", empty="n/a")
    sidecar: dict[str, Any] = {}
    for one in EVENT_COLUMNS:
        facts = {"Description": f"{one.meaning[0].upper()}{one.meaning[1:]}"}
        sidecar[one.name] = facts | ({"Units": one.unit} if one.unit == "s" else {})
    sidecar["trial_type"]["Description"] += f". {describe_model(model)}"
    labels = [name.removeprefix("p_") for name in _probabilities_of(rows)]
    sidecar["trial_type"]["Levels"] = {label: f"The face or voice was taken for {label}" for label in labels}
    sidecar["GeneratedBy"] = [{"Name": "mien", "Model": {key: one for key, one in model.items() if one is not None}}]
    write_json(path.with_suffix(".json"), sidecar)


def to_frames(tracks: Mapping[int, "Track"], units: Mapping[int, "FittedUnits"]) -> pd.DataFrame:
    """Return the `frames` of `to_openface`: a row per person and picture, from the first to the last that shows them.

    Parameters
    ----------
    tracks, units
        person -> where the face was in all looked-at pictures, and what was fitted to it; units may lack somebody.
    """
    names = [name.replace(" ", "_") for name in AU_NAMES]
    parts = []
    for person, track in tracks.items():
        known = np.flatnonzero(track.found)
        if not known.size:
            continue
        here = slice(known[0], known[-1] + 1)
        fitted = units.get(person)
        facts = {"frame": np.arange(len(track.found))[here] + 1, "person": person, "time_s": track.time_s[here]}
        facts |= {"success": track.found[here], "confidence": track.score[here]}
        pose = fitted.pose_deg[here] if fitted is not None else np.full((len(facts["frame"]), 3), math.nan)
        facts |= dict(zip(("yaw_deg", "pitch_deg", "roll_deg"), pose.T, strict=True))
        points = track.landmarks[here]
        facts |= {f"{axis}_{k}": points[:, k, n] for n, axis in enumerate("xy") for k in range(N_LANDMARKS)}
        values = np.full((len(pose), len(names)), math.nan)
        if fitted is not None:
            good = fitted.frames.verdict[here] == FITTED
            values[good] = fitted.frames.units[here][good]
        facts |= dict(zip(names, values.T, strict=True))
        boxes = track.boxes[here]
        facts |= {"x": boxes[:, 0], "y": boxes[:, 1], "width": boxes[:, 2], "height": boxes[:, 2]}
        parts.append(pd.DataFrame(facts))
    if not parts:
        return pd.DataFrame(columns=_FRAME_NAMES)
    return pd.concat(parts).sort_values(["frame", "person"]).reset_index(drop=True)


_FRAME_NAMES = ["frame", "person", "time_s", "success", "confidence", "yaw_deg", "pitch_deg", "roll_deg"]
_FRAME_NAMES += [f"{axis}_{k}" for axis in "xy" for k in range(N_LANDMARKS)]
_FRAME_NAMES += [*_UNITS.values(), "x", "y", "width", "height"]


def to_openface(frames: pd.DataFrame | None) -> pd.DataFrame:
    """Return the engine's frames in the columns of OpenFace's CSV, see `FRAME_COLUMNS`.

    Parameters
    ----------
    frames
        frame, person, time_s, success, confidence; yaw_deg, pitch_deg and roll_deg (`units.compute_head_pose`);
        x_0 ... y_67 px; the action units by name (``jaw_drop``); x, y, width and height of the box in px.
    """
    places = [f"{axis}_{k}" for axis in "xy" for k in range(N_LANDMARKS)]
    units = sorted(_UNITS)
    names = ["frame", "face_id", "timestamp", "confidence", "success"]
    names += [f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"] + places + units
    names += ["box_x", "box_y", "box_width", "box_height"]
    if frames is None:
        return pd.DataFrame(columns=names)
    turned = _to_camera_angles(frames[["yaw_deg", "pitch_deg", "roll_deg"]].to_numpy(float))
    renamed = {"person": "face_id", "time_s": "timestamp"} | {ours: name for name, ours in _UNITS.items()}
    renamed |= {side: f"box_{side}" for side in ("x", "y", "width", "height")}
    table = frames.rename(columns=renamed).assign(**{f"pose_T{axis}": math.nan for axis in "xyz"})
    table = table.assign(**{f"pose_R{axis}": turned[:, k] for k, axis in enumerate("xyz")})
    table["success"] = table.success.astype(int)
    digits = dict.fromkeys(["timestamp", "pose_Rx", "pose_Ry", "pose_Rz", *units], 4)
    return table[names].round(digits | dict.fromkeys(places, 1) | {"confidence": 3}).reset_index(drop=True)


def _to_camera_angles(degrees: np.ndarray) -> np.ndarray:
    """Turn (T, 3) yaw, pitch, roll in degrees into OpenFace's Rx, Ry, Rz in rad; NaN stays NaN.

    Ours is R = R_y(yaw) R_x(-pitch) R_z(-roll) with y up and z to the viewer (`units.compute_head_pose`); seen from the
    camera, y down and z away, it is D R D with D = diag(1, -1, -1), which OpenFace writes as Rx Ry Rz.
    """
    known = np.isfinite(degrees).all(axis=1)
    ours = Rotation.from_euler("YXZ", np.where(known[:, None], degrees, 0.0) * [1.0, -1.0, -1.0], degrees=True)
    flip = Rotation.from_rotvec([math.pi, 0.0, 0.0])
    return np.where(known[:, None], (flip * ours * flip).as_euler("XYZ"), math.nan)


# ---- files and their description ------------------------------------------------------------------------------------


def _write_csv(path: Path, table: pd.DataFrame, *, sep: str, empty: str = "") -> None:
    with atomic_file(path) as scratch:
        table.to_csv(scratch, sep=sep, na_rep=empty, index=False, encoding="utf-8", lineterminator="\n")


def _write_text(path: Path, text: str) -> None:
    with atomic_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


DESCRIBED = {"table": (*ROW_COLUMNS, *MODEL_COLUMNS), "openface": FRAME_COLUMNS, "bids": EVENT_COLUMNS}


def describe_columns(text: str) -> str:
    """Return a page with the tables between its marks ``<!-- generated: NAME -->`` made from `DESCRIBED`."""

    def fill(part: re.Match[str]) -> str:
        lines = ["| column | unit or values | what it says |", "|---|---|---|"]
        for one in DESCRIBED[part["name"]]:
            names = re.sub(r"[\w.]+(?: \.\.\. \w+)?", lambda name: f"`{name[0]}`", one.name)
            lines.append(f"| {names} | {one.unit} | {one.meaning} |")
        return "\n".join([part[1] + lines[0], *lines[1:], part[3]])

    return re.sub(r"(<!-- generated: (?P<name>\w+) -->\n).*?(<!-- end: (?P=name) -->)", fill, text, flags=re.DOTALL)
