"""Command ``extract_faces``: face regions and landmarks of a corpus.

Writes below --out, per part: frames.npy (N, S, S, 3) uint8, landmarks.npy (N, 68, 2) px, index.parquet (FRAMES), where
there are films also along.npy (N, S, S, 3) uint8, and once manifest.json: digests of the parts, counts, clips without a
face, and files with a problem. In frames.npy all frames of a clip show one region; in along.npy each shows what was
known by then (section faces: region_s), as `mien watch` has it.
"""

import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.core import config, media, parts, provenance, tables
from mien.core.errors import MienError
from mien.core.files import digest, write_json
from mien.core.shards import FaceShard, write_faces

log = logging.getLogger(__name__)

USED = ["clip", "video", "item", "cropped", "sha256"]  # columns of CLIPS that a shard depends on


@dataclasses.dataclass(frozen=True)
class Work:
    """What a process needs to build a part; `rows` holds the columns `USED` of its clips."""

    root: Path
    rows: list[dict[str, Any]]
    config: config.FacesConfig


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parts.add_arguments(parser)


def run(args) -> None:
    """Track the faces of all clips that have a picture."""
    faces = config.section(config.FacesConfig, config.load(args.config), "faces")
    clips = tables.read(args.clips, tables.CLIPS)
    clips = clips[clips.has_video & (clips.video != "")]
    root, _ = parts.source_root(args.manifest, args.corpus)
    code = provenance.code_digest("faces.extract_faces")
    tasks = {}
    for part, rows in clips.groupby("part", sort=True):
        work = Work(root, rows[USED].to_dict("records"), faces)
        key = digest([code, str(root), work.rows, dataclasses.asdict(faces)])
        tasks[str(part)] = parts.Task(key, work)
    reports = parts.build_parts(args.out, tasks, build_part, jobs=args.jobs)
    summary = {
        "corpus": args.corpus,
        "parts": {part: report["digest"] for part, report in reports.items()},
        "n_clips": sum(report["n_clips"] for report in reports.values()),
        "n_frames": sum(report["n_frames"] for report in reports.values()),
        "n_found": sum(report["n_found"] for report in reports.values()),
        "clips_without_face": [clip for report in reports.values() for clip in report["clips_without_face"]],
        "problems": [problem for report in reports.values() for problem in report["problems"]],
    }
    write_json(args.out / "manifest.json", summary)
    log.info(
        "%s: %d clips, %d frames, a face in %d; %d clips without a face, %d with a problem",
        *(args.corpus, summary["n_clips"], summary["n_frames"], summary["n_found"]),
        *(len(summary["clips_without_face"]), len(summary["problems"])),
    )


def build_part(folder: Path, work: Work) -> dict[str, Any]:
    """Write the shard of one part and return its counts and problems.

    Regions go to the disk clip by clip: an actor of RAVDESS at 224 px is 0.8 GB.
    """
    import cv2

    from mien.faces.track import follow

    cv2.setNumThreads(0)  # the processes share the cores already
    indices, landmarks, problems = [], [np.empty((0, 68, 2), np.float32)], []
    names = ["frames", *(["along"] if any(_is_film(row) for row in work.rows) else [])]
    with _raw_files(folder, names) as files:
        for row, pictures in _open_clips(work, problems):
            try:
                track = follow(pictures, work.config, cropped=row["cropped"], along=_is_film(row))
            except MienError as error:
                problems.append(parts.problem_of(work.root, row["clip"], row["video"], error))
                continue
            if damage := _damage(pictures):
                problems.append(parts.problem_of(work.root, row["clip"], row["video"], damage))
            for name, file in files.items():
                squares = track.along if name == "along" and _is_film(row) else track.frames
                file.write(squares.tobytes())
            landmarks.append(track.landmarks)
            indices.append(_index(row["clip"], track))
        index = pd.concat(indices, ignore_index=True) if indices else tables.empty(tables.FRAMES)
        pixels = {name: _mapped(file, len(index), work.config.size_px) for name, file in files.items()}
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


@contextlib.contextmanager
def _raw_files(folder: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield files for pixels beside `folder`, by name; they are gone afterwards."""
    with contextlib.ExitStack() as stack:
        options = {"prefix": f".{folder.name}.", "suffix": ".partial", "dir": folder.parent}
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(**options)))
        yield {name: stack.enter_context((scratch / f"{name}.raw").open("wb")) for name in names}


def _mapped(file: Any, n_frames: int, size_px: int) -> np.ndarray:
    """Return what was written to a raw file, (N, S, S, 3) uint8."""
    file.flush()
    shape = (n_frames, size_px, size_px, 3)
    return np.memmap(file.name, np.uint8, "r", shape=shape) if n_frames else np.empty(shape, np.uint8)


def _open_clips(work: Work, problems: list[dict[str, str]]):
    """Yield (row, pictures) of every clip that can be opened; the others go to `problems`."""
    from mien.faces.pictures import Still, open_pictures, read_pixel_rows

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
            problems.append(parts.problem_of(work.root, row["clip"], row["video"], error))
            continue
        picture = tables_of_pixels[name].get(row["item"])
        if picture is None:
            reason = f"row {row['item']} is missing or not a square picture"
            problems.append(parts.problem_of(work.root, row["clip"], name, reason))
        else:
            yield row, Still(picture)


def _damage(pictures) -> str:
    """Return what is missing at the end of a film whose good frames are kept; empty if nothing is."""
    from mien.faces.pictures import Footage, lacking, shortfall

    if not isinstance(pictures, Footage):
        return ""
    path, end_s = pictures.path, pictures.end_s
    return pictures.problem or shortfall(path, end_s) or lacking(path, end_s)


def _index(clip: str, track) -> pd.DataFrame:
    n_frames = len(track.time_s)
    left, top, side = track.region
    return pd.DataFrame(
        {
            "clip": [clip] * n_frames,
            "frame": np.arange(n_frames),
            "time_s": track.time_s,
            "x": np.full(n_frames, left),
            "y": np.full(n_frames, top),
            "side": np.full(n_frames, side),
            "score": track.score,
            "found": track.found,
        }
    )
