"""Command `extract_faces`: face regions and landmarks of a corpus; and the pictures of a clip, whatever holds them.

A clip is a video, a still picture, or a row of a table of pixels.
"""

import contextlib
import csv
import dataclasses
import logging
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pandas as pd

from mien.config import schema
from mien.errors import CorpusError, MediaError, MienError
from mien.faces.track import follow
from mien.io import media, provenance, shards, tables
from mien.io.files import digest, write_json
from mien.io.media import describe_missing_frames, describe_truncation
from mien.io.shards import FaceShard, write_faces

log = logging.getLogger(__name__)

Timed = tuple[float, np.ndarray]  # time in s, picture (H, W, 3) uint8 RGB


class VideoFrames:
    """The frames of a video at `rate_fps`; iterable again and again.

    A stream that breaks off after its first frame ends there. After an iteration `end_s` is the length that was read,
    and `problem` says why it is not the whole (empty if nothing is wrong).
    """

    def __init__(self, path: Path, rate_fps: float, reader: ModuleType = media) -> None:
        self.path = path
        self._reader = reader
        self.rate_fps = rate_fps
        self.problem = ""
        self.end_s = 0.0

    def __iter__(self) -> Iterator[Timed]:
        n_read = 0
        try:
            for timed in self._reader.read_frames(self.path, self.rate_fps):
                n_read += 1
                yield timed
        except MediaError as error:
            if n_read == 0:
                raise
            self.problem = str(error)
        self.end_s = n_read / self.rate_fps

    def describe_damage(self) -> str:
        """Return what is missing after an iteration; empty if nothing is."""
        return (
            self.problem or describe_truncation(self.path, self.end_s) or describe_missing_frames(self.path, self.end_s)
        )


class StillPicture:
    """One picture, shown at time 0."""

    problem = ""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture

    def __iter__(self) -> Iterator[Timed]:
        yield 0.0, self.picture

    def describe_damage(self) -> str:
        """Return an empty text: a picture that could be opened is whole."""
        return ""


def open_pictures(path: Path, rate_fps: float, reader: ModuleType = media) -> VideoFrames | StillPicture:
    """Return the pictures of a video or of a still, told apart by what the file holds.

    reader : `mien.io.media`, or `mien.io.isolated` for files of anybody.
    """
    if reader.is_still(path):
        return StillPicture(reader.read_image(path))
    return VideoFrames(path, rate_fps, reader)


def read_pixel_rows(path: Path, items: Iterable[int]) -> dict[int, np.ndarray]:
    """Return the pictures (S, S, 3) uint8 in the named rows (0 is the first after the header) of a CSV of pixels.

    The format of FER2013: a column `pixels` with the grey values of a square picture, separated by spaces; other
    columns in any order, header names with or without leading spaces. Rows that are no picture are left out.

    Raises
    ------
    CorpusError : the file is missing or has no column `pixels`.
    """
    wanted = set(items)
    pictures = {}
    csv.field_size_limit(2**24)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel writes a mark first
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            if "pixels" not in header:
                raise CorpusError(f"{path}: has no column 'pixels' but {header[:8]}; is it the FER2013 table?")
            column = header.index("pixels")
            for item, row in enumerate(rows):
                if item in wanted and (picture := _square(row[column] if column < len(row) else "")) is not None:
                    pictures[item] = picture
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file; run get_corpus and index_corpus again") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: not a CSV table ({error})") from error
    return pictures


def _square(text: str) -> np.ndarray | None:
    try:
        values = np.array(text.split(), dtype=np.uint8)
    except (ValueError, OverflowError):
        return None
    side = math.isqrt(values.size)
    if side == 0 or side * side != values.size:
        return None
    return np.repeat(values.reshape(side, side, 1), 3, axis=2)


USED = ["clip", "video", "item", "cropped", "sha256"]  # columns of CLIPS that a shard depends on


@dataclasses.dataclass(frozen=True)
class Work:
    """What a process needs to build a part; `rows` holds the columns `USED` of its clips."""

    root: Path
    rows: list[dict[str, Any]]
    config: schema.FacesConfig


def extract_faces(
    *, corpus: str, manifest: Path, clips: Path, out: Path, config: str = "params.yaml", jobs: int = 1
) -> None:
    """Find faces and landmarks in every clip of a corpus, and store square regions.

    Writes below `out`, per part: frames.npy (N, S, S, 3) uint8, landmarks.npy (N, 68, 2) px, index.parquet (FRAMES),
    where there are films also along.npy (N, S, S, 3) uint8, and once manifest.json: digests of the parts, counts, clips
    without a face, and files with a problem. In frames.npy all frames of a clip show one region; in along.npy each
    shows what was known by then (section faces: region_s), as `mien watch` has it.

    Parameters
    ----------
    manifest
        Manifest of its files, of get_corpus.
    clips
        Its clips, of index_corpus.
    out
        Folder for the shards.
    jobs
        Number of processes.
    """
    faces = schema.section(schema.FacesConfig, schema.load(config), "faces")
    table = tables.read(clips, tables.CLIPS)
    table = table[table.has_video & (table.video != "")]
    root, _ = shards.source_root(manifest, corpus)
    code = provenance.code_digest("faces.extract:extract_faces")
    tasks = {}
    for part, rows in table.groupby("part", sort=True):
        work = Work(root, rows[USED].to_dict("records"), faces)
        key = digest([code, str(root), work.rows, dataclasses.asdict(faces)])
        tasks[str(part)] = shards.Task(key, work)
    reports = shards.build_parts(out, tasks, build_part, jobs=jobs)
    summary = {
        "corpus": corpus,
        "parts": {part: report["digest"] for part, report in reports.items()},
        **{name: sum(report[name] for report in reports.values()) for name in ("n_clips", "n_frames", "n_found")},
        "clips_without_face": [clip for report in reports.values() for clip in report["clips_without_face"]],
        "problems": [problem for report in reports.values() for problem in report["problems"]],
    }
    write_json(out / "manifest.json", summary)
    log.info(
        "%s: %d clips, %d frames, a face in %d; %d clips without a face, %d with a problem",
        *(corpus, summary["n_clips"], summary["n_frames"], summary["n_found"]),
        *(len(summary["clips_without_face"]), len(summary["problems"])),
    )


def build_part(folder: Path, work: Work) -> dict[str, Any]:
    """Write the shard of one part and return its counts and problems.

    Regions go to the disk clip by clip: an actor of RAVDESS at 224 px is 0.8 GB.
    """
    cv2.setNumThreads(0)  # the processes share the cores already
    indices, landmarks, problems = [], [np.empty((0, 68, 2), np.float32)], []
    names = ["frames", *(["along"] if any(_is_film(row) for row in work.rows) else [])]
    with contextlib.ExitStack() as stack:
        place = {"prefix": f".{folder.name}.", "suffix": ".partial", "dir": folder.parent}
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(**place)))
        files = {name: stack.enter_context((scratch / f"{name}.raw").open("wb")) for name in names}
        for row, pictures in _open_clips(work, problems):
            try:
                track = follow(pictures, work.config, cropped=row["cropped"], along=_is_film(row))
            except MienError as error:
                problems.append(shards.problem_of(work.root, row["clip"], row["video"], error))
                continue
            if damage := pictures.describe_damage():  # the good frames are kept
                problems.append(shards.problem_of(work.root, row["clip"], row["video"], damage))
            for name, file in files.items():
                squares = track.along if name == "along" and _is_film(row) else track.frames
                file.write(squares.tobytes())
            landmarks.append(track.landmarks)
            region = dict(zip(("x", "y", "side"), track.region, strict=True))
            columns = {"time_s": track.time_s, **region, "score": track.score, "found": track.found}
            indices.append(pd.DataFrame({"clip": row["clip"], "frame": np.arange(len(track.time_s)), **columns}))
        index = pd.concat(indices, ignore_index=True) if indices else tables.empty(tables.FRAMES)
        shape = (len(index), work.config.size_px, work.config.size_px, 3)
        pixels = {}
        for name, file in files.items():
            file.flush()
            pixels[name] = np.memmap(file.name, np.uint8, "r", shape=shape) if len(index) else np.empty(shape, np.uint8)
        write_faces(folder, FaceShard(landmarks=np.concatenate(landmarks), index=index, **pixels))
    per_clip = index.groupby("clip", sort=False).found.any()
    return {
        "n_clips": len(per_clip),
        "n_frames": len(index),
        "n_found": int(index.found.sum()),
        "clips_without_face": sorted(per_clip.index[~per_clip.astype(bool)]),
        "problems": problems,
    }


def _is_film(row: dict[str, Any]) -> bool:
    """Tell whether a clip has frames of which one comes after the other, in regions that a face had to be found for."""
    return not row["cropped"] and Path(row["video"]).suffix.lower() not in media.IMAGE_SUFFIXES | {".csv"}


def _open_clips(work: Work, problems: list[dict[str, str]]):
    """Yield (row, pictures) of every clip that can be opened; the others go to `problems`."""
    tables_of_pixels: dict[str, dict[int, np.ndarray]] = {}
    for row in work.rows:
        name = row["video"]
        try:
            if not name.lower().endswith(".csv"):
                yield row, open_pictures(work.root / name, work.config.rate_fps)
                continue
            if name not in tables_of_pixels:
                items = [other["item"] for other in work.rows if other["video"] == name]
                tables_of_pixels[name] = read_pixel_rows(work.root / name, items)
        except MienError as error:
            problems.append(shards.problem_of(work.root, row["clip"], row["video"], error))
            continue
        picture = tables_of_pixels[name].get(row["item"])
        if picture is None:
            reason = f"row {row['item']} is missing or not a square picture"
            problems.append(shards.problem_of(work.root, row["clip"], name, reason))
        else:
            yield row, StillPicture(picture)
