"""Shards, few large arrays with an index, and the parts of a corpus that are built side by side.

A face shard is a folder with frames.npy (N, S, S, 3) uint8 RGB, landmarks.npy (N, 68, 2) float32 px of the source
picture (NaN where no face was found) and index.parquet (FRAMES); where there are films it has along.npy too: the same
frames for networks that run along, each cut by what was known by then. A sound shard is a folder with wave.npy (N,)
int16 and index.parquet (SOUNDS). A clip's rows are consecutive. Readers map the arrays into memory.

A part is a folder, as a rule a shard; beside it lies <part>.json with the key of everything it was made from, the
digest of its bytes and what its builder reported. The folder counts as finished only while both agree, so finished
parts survive a kill and are not built again. Order matters when writing: the old report goes first, the new one comes
last.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.errors import TableError
from mien.io import tables
from mien.io.files import atomic_folder, digest, map_in_processes, read_json, sha256, write_json

log = logging.getLogger(__name__)

FULL_SCALE = 32767.0  # int16 value of a sample of 1.0

INDEX = "index.parquet"  # what every shard has: how a folder of ours is told from somebody else's


@dataclass(frozen=True)
class FaceShard:
    """frames (N, S, S, 3) uint8, landmarks (N, 68, 2) float32 px, index FRAMES with N rows.

    along : (N, S, S, 3) uint8, the same frames as networks that run along see them, zeros where no face was found;
        None where no clip is a film: to a picture that stands alone nothing is later.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    index: pd.DataFrame
    along: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.frames) == len(self.landmarks) == len(self.index):
            raise TableError(
                f"face shard: {len(self.frames)} frames, {len(self.landmarks)} landmark sets, {len(self.index)} rows"
            )
        if self.along is not None and self.along.shape != self.frames.shape:
            raise TableError(f"face shard: frames are {self.frames.shape}, and along is {self.along.shape}")

    @property
    def seen_along(self) -> np.ndarray:
        """Return what networks that run along see, (N, S, S, 3)."""
        return self.frames if self.along is None else self.along


@dataclass(frozen=True)
class SoundShard:
    """wave (N,) int16 at the rate of the sound section, index SOUNDS."""

    wave: np.ndarray
    index: pd.DataFrame

    def __post_init__(self) -> None:
        if int(self.index.n_samples.sum()) != len(self.wave):
            raise TableError(f"sound shard: {len(self.wave)} samples, index names {self.index.n_samples.sum()}")


def write_faces(folder: Path, shard: FaceShard) -> None:
    """Write a face shard, whole or not at all."""
    with atomic_folder(folder) as scratch:
        np.save(scratch / "frames.npy", shard.frames)
        if shard.along is not None:
            np.save(scratch / "along.npy", shard.along)
        np.save(scratch / "landmarks.npy", shard.landmarks.astype(np.float32))
        tables.write(scratch / "index.parquet", shard.index, tables.FRAMES)


def read_faces(folder: Path) -> FaceShard:
    """Map a face shard into memory, once its bytes are found to be those that its report names."""
    check_part(Path(folder))
    along = Path(folder) / "along.npy"
    return FaceShard(
        _load(Path(folder) / "frames.npy"),
        _load(Path(folder) / "landmarks.npy"),
        tables.read(Path(folder) / "index.parquet", tables.FRAMES),
        _load(along) if along.exists() else None,
    )


def write_sound(folder: Path, shard: SoundShard) -> None:
    """Write a sound shard, whole or not at all."""
    with atomic_folder(folder) as scratch:
        np.save(scratch / "wave.npy", shard.wave)
        tables.write(scratch / "index.parquet", shard.index, tables.SOUNDS)


def read_sound(folder: Path) -> SoundShard:
    """Map a sound shard into memory, once its bytes are found to be those that its report names."""
    check_part(Path(folder))
    return SoundShard(_load(Path(folder) / "wave.npy"), tables.read(Path(folder) / "index.parquet", tables.SOUNDS))


def read_fits(folder: Path) -> pd.DataFrame:
    """Read FITS of a part, once its bytes are found to be those that its report names."""
    check_part(Path(folder))
    return tables.read(Path(folder) / INDEX, tables.FITS)


def read_vectors(folder: Path) -> pd.DataFrame:
    """Read VECTORS of a part, once its bytes are found to be those that its report names."""
    check_part(Path(folder))
    return tables.read(Path(folder) / INDEX, tables.VECTORS)


def write_vectors(folder: Path, rows: Sequence[tuple[str, str, np.ndarray]]) -> None:
    """Write VECTORS of a part, whole or not at all; `rows`: clip, modality and values (D,)."""
    found = pd.DataFrame(rows, columns=tables.VECTORS.columns.names) if rows else tables.empty(tables.VECTORS)
    with atomic_folder(folder) as scratch:
        tables.write(scratch / INDEX, found, tables.VECTORS)


@cache
def check_part(folder: Path) -> None:
    """Refuse a part whose bytes are not those that the report beside it names; a process reads them once.

    A part without a report is not of `build_parts`.

    Raises
    ------
    TableError : they are others.
    """
    report = _report_path(folder)
    if folder.is_dir() and report.is_file() and read_json(report).get("digest") != folder_digest(folder):
        raise TableError(
            f"{folder}: its files are not those that its stage wrote ({report} has another digest); run snakemake,"
            " which makes them again"
        )


def _load(path: Path) -> np.ndarray:
    try:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError:  # an array without elements cannot be mapped; a damaged one fails again below
            return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run the stage that writes it") from None
    except (ValueError, EOFError) as error:
        raise TableError(f"{path} is damaged ({error}); delete its folder and run the stage again") from error


@dataclass(frozen=True)
class Task:
    """`key` identifies everything that part depends on; `work` is what the builder needs (picklable)."""

    key: str
    work: Any


def problem_of(root: Path, clip: str, path: str, reason: object) -> dict[str, str]:
    """Return one line of a manifest; the path has its own field, so the reason does not repeat it."""
    return {"clip": clip, "path": path, "reason": str(reason).removeprefix(f"{root / path}: ")}


def build_parts(
    out: Path,
    tasks: Mapping[str, Task],
    build: Callable[[Path, Any], dict[str, Any]],
    *,
    jobs: int,
    in_threads: bool = False,
) -> dict[str, dict[str, Any]]:
    """Return the report of every part in sorted order, building those that are not finished.

    Parameters
    ----------
    build : callable
        Module-level function; build(out / part, work) writes the folder and returns a JSON-able report.
    jobs : int
        Parts that are built at once, each in a process, or in a thread if `in_threads`.

    Raises
    ------
    MienError
        A process died, most likely for lack of memory; finished parts are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    _remove_stale(out, tasks)
    reports = {part: report for part, task in tasks.items() if (report := _finished(out / part, task.key))}
    todo = [part for part in sorted(tasks) if part not in reports]
    if reports:
        log.info("%d of %d parts are finished already", len(reports), len(tasks))
    columns = ([build] * len(todo), [out / part for part in todo], [tasks[part] for part in todo])
    n_jobs = min(jobs, len(todo))
    with ThreadPoolExecutor(max(n_jobs, 1)) as threads:
        built = (
            threads.map(_build_one, *columns) if in_threads else map_in_processes(_build_one, *columns, n_jobs=n_jobs)
        )
        for n_done, (part, report) in enumerate(zip(todo, built, strict=True), start=1):
            reports[part] = report
            log.info("part %s written, %d of %d", part, n_done, len(todo))
    return {part: reports[part] for part in sorted(reports)}


def build_vectors(
    out: Path,
    parts: Path,
    build: Callable[[Path, Path], dict[str, Any]],
    made_with: Sequence[str],
    *,
    corpus: str,
    jobs: int,
) -> int:
    """Build the vectors of every shard below `parts` in threads, write manifest.json, and return how many there are.

    Parameters
    ----------
    build : callable
        build(folder, shard) writes the vectors of a shard and returns their number as n_vectors.
    made_with : sequence of str
        What vectors depend on beside the shard.
    """
    manifest = read_json(parts / "manifest.json")["parts"]
    tasks = {part: Task(digest([*made_with, content]), parts / part) for part, content in manifest.items()}
    reports = build_parts(out, tasks, build, jobs=jobs, in_threads=True)
    summary = {"corpus": corpus, "parts": {part: report["digest"] for part, report in reports.items()}}
    n_vectors = sum(report["n_vectors"] for report in reports.values())
    write_json(out / "manifest.json", summary | {"n_vectors": n_vectors})
    return n_vectors


def folder_digest(folder: Path) -> str:
    """Return a digest of the names and bytes of the files in `folder`."""
    lines = [f"{path.name} {sha256(path)}" for path in sorted(folder.iterdir())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def source_root(manifest: Path, corpus: str) -> tuple[Path, str]:
    """Return the corpus folder and the content digest that the manifest of `get_corpus` names."""
    facts = read_json(manifest)
    if not isinstance(facts, dict) or not {"corpus", "root", "digest"} <= facts.keys():
        raise TableError(f"{manifest}: not a manifest of get_corpus: corpus, root or digest is missing; make it again")
    if facts["corpus"] != corpus:
        raise TableError(f"{manifest}: describes {facts['corpus']}, not {corpus}")
    return Path(facts["root"]), str(facts["digest"])


def _build_one(build: Callable, folder: Path, task: Task) -> dict[str, Any]:
    _report_path(folder).unlink(missing_ok=True)
    report = {**build(folder, task.work), "key": task.key, "digest": folder_digest(folder)}
    write_json(_report_path(folder), report)
    return report


def _finished(folder: Path, key: str) -> dict[str, Any] | None:
    try:
        report = read_json(_report_path(folder))
    except TableError:
        return None
    same = isinstance(report, dict) and report.get("key") == key
    return report if same and folder.is_dir() and folder_digest(folder) == report.get("digest") else None


def _report_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _remove_stale(out: Path, tasks: Mapping[str, Task]) -> None:
    """Remove parts that the corpus no longer has and what killed processes left; nothing that is not ours."""
    for path in sorted(out.iterdir()):
        if path.is_dir() and path.name.startswith(".") and path.name.endswith(".partial"):
            shutil.rmtree(path)
        elif path.is_dir() and path.name not in tasks and (path / INDEX).is_file():
            _report_path(path).unlink(missing_ok=True)
            shutil.rmtree(path)
