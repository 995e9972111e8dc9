"""Fetch files with their checksums: in segments, resumed after a break, with a progress bar (pypdl)."""

import hashlib
import json
import logging
import re
import shutil
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import CorpusError
from mien.core.files import atomic_file

log = logging.getLogger(__name__)

SEGMENTED = 64 << 20  # bytes; smaller files come in one piece, several at a time
_SEGMENTS = 4
_AT_ONCE = 6
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Remote:
    """A file to fetch: address, place below the target folder, checksum as the publisher states it."""

    url: str
    path: str
    algorithm: str  # md5 or sha256
    checksum: str  # hexadecimal
    size: int  # bytes


def fetch_json(url: str) -> dict:
    """Return the JSON answer of a web service.

    Raises
    ------
    CorpusError : no answer, an error status, or no JSON.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)
    except (OSError, json.JSONDecodeError) as error:
        raise CorpusError(f"{url}: no usable answer ({error}); check the network and try again") from error


def fetch_unchecked(url: str, path: Path) -> Path:
    """Bring a file whose checksum nobody states to `path`, anew each time; return `path`.

    Raises
    ------
    CorpusError : no answer or an error status.
    """
    with atomic_file(path) as scratch:
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, scratch.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except OSError as error:
            raise CorpusError(f"{url}: cannot be fetched ({error}); check the network and try again") from error
    return path


def fetch(remotes: Sequence[Remote], folder: Path, *, display: bool | None = None, retries: int = 2) -> list[Path]:
    """Bring every file of `remotes` into `folder`; return their paths.

    A file that is there with the right checksum is kept, a broken download is resumed where the server allows it. The
    progress bar is shown on a terminal, or as `display` says.

    Raises
    ------
    CorpusError : a file cannot be fetched (what came so far stays for the next try), or its checksum is wrong (the
        file is removed).
    """
    folder = Path(folder)
    for remote in remotes:
        if re.search(r"(^|/)\.\.(/|$)|^/|\\", remote.path):
            raise CorpusError(f"{remote.url}: the publisher names it {remote.path!r}, outside {folder}; not fetched")
        (folder / remote.path).parent.mkdir(parents=True, exist_ok=True)
    wanted = [remote for remote in remotes if not _is_good(folder / remote.path, remote)]
    log.info("%d of %d files to fetch, %.2f GB", len(wanted), len(remotes), sum(r.size for r in wanted) / 1e9)
    display = sys.stdout.isatty() if display is None else display
    large = [remote for remote in wanted if remote.size >= SEGMENTED]
    small = [remote for remote in wanted if remote.size < SEGMENTED]
    for some, segments in ((small, 1), (large, _SEGMENTS)):
        _fetch_some(some, folder, segments, display, retries)
    for remote in wanted:
        _verify(folder / remote.path, remote)
    return [folder / remote.path for remote in remotes]


def _fetch_some(remotes: Sequence[Remote], folder: Path, segments: int, display: bool, retries: int) -> None:
    if not remotes:
        return
    from pypdl import Pypdl

    causes = _Causes()
    logger = logging.Logger("pypdl")  # its own, so that tracebacks of single attempts are not shown
    logger.addHandler(causes)
    tasks = [{"url": remote.url, "file_path": str(folder / remote.path)} for remote in remotes]
    client = Pypdl(allow_reuse=True, logger=logger, max_concurrent=_AT_ONCE if segments == 1 else 1)
    try:
        # Not every server sends an ETag; broken segments are resumed all the same and the checksum decides.
        client.start(tasks=tasks, segments=segments, retries=retries, etag_validation=False, display=display)
        failed = list(client.failed)
    finally:
        client.shutdown()
    if failed:
        raise CorpusError(
            f"{len(failed)} of {len(remotes)} files could not be fetched, the first is {failed[0]} ({causes.last});"
            f" check the network and run the command again: what came so far is kept in {folder}"
        )


class _Causes(logging.Handler):
    """Keep the cause of the last failed attempt for the message to the user."""

    last: str = "no cause given"

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.last = str(record.exc_info[1]) or type(record.exc_info[1]).__name__


def _verify(path: Path, remote: Remote) -> None:
    if not path.is_file():
        raise CorpusError(f"{remote.url}: was not fetched; run the command again")
    if not _is_good(path, remote):
        found = path.stat().st_size
        path.unlink()
        raise CorpusError(
            f"{remote.url}: {remote.algorithm} differs from the publisher's ({found} of {remote.size} bytes came);"
            " the file was removed: run the command again"
        )


def _is_good(path: Path, remote: Remote) -> bool:
    if not path.is_file() or path.stat().st_size != remote.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, remote.algorithm).hexdigest() == remote.checksum.lower()
