"""Files written whole or not at all, their digests, and work on many of them in several processes.

A writer works beside its target and renames at the end. Processes never outlive the command that started them.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from mien.errors import MienError, TableError


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a scratch path that becomes `path` when the block ends without an error.

    The scratch name keeps the suffix, because writers choose a format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder that replaces the folder `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.partial"):  # of a writer that was killed
        process = left.name.split(".")[-2]
        if process.isdigit() and not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
        scratch.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find_scratch(root: Path) -> list[Path]:
    """Return scratch files and folders below `root` that writers left when they were killed."""
    found = sorted(Path(root).rglob(".*.partial*"))
    writers = [path.name.partition(".partial")[0].rpartition(".")[2] for path in found]
    return [path for path, one in zip(found, writers, strict=True) if one.isdigit() and not _is_alive(int(one))]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but alive
    return True


def printable(name: Any) -> str:
    """Return a name that any text can hold: names of files may have bytes that are no UTF-8, which become ``\\xNN``."""
    return os.fsencode(str(name)).decode("utf-8", "backslashreplace")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Return a short digest of a JSON-able value; key order does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys."""
    with atomic_file(path) as scratch:
        scratch.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours; a missing or damaged one is a `TableError` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run the stage that writes it (snakemake {path})") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TableError(f"{path} is not JSON ({error}); delete it and run the stage again") from error


def map_in_processes(function: Callable, *columns: Iterable, n_jobs: int, chunk: int = 1) -> Iterator[Any]:
    """Yield function(*row) for every row of `columns`, in order; with `n_jobs` 1 in this very process.

    Processes are spawned, because FFmpeg's and OpenCV's threads do not survive a fork. When the caller stops early, or
    an error or an interrupt ends it, work that has not begun is dropped.

    Raises
    ------
    MienError : a process died.
    """
    if n_jobs <= 1:
        yield from map(function, *columns)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield from pool.map(function, *columns, chunksize=chunk)
        except BrokenProcessPool:
            raise MienError(
                f"a process was killed, most likely for lack of memory; run again with fewer --jobs than {n_jobs}:"
                " what is finished is kept"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """End this process when its parent is killed: it would go on writing beside the run that comes next."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
