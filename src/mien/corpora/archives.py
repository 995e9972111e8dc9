"""Unpack archives: whole or not at all, and nothing outside the target folder."""

import gzip
import logging
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mien.core.errors import CorpusError
from mien.core.files import atomic_folder, sha256

log = logging.getLogger(__name__)

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_DAMAGED = (
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
)


def is_archive(path: Path) -> bool:
    """Tell by the name whether `path` is an archive we unpack."""
    return Path(path).name.lower().endswith(SUFFIXES)


def unpack(archives: Sequence[Path], folder: Path, *, keep_files: Sequence[Path] = ()) -> None:
    """Unpack all `archives` into `folder`, which is replaced as a whole when every one was good.

    `keep_files` are plain files to copy beside what was unpacked.

    Raises
    ------
    CorpusError : an archive is damaged or encrypted, has an entry that would leave the folder, or two archives
        disagree about a file; or the disk is too small.
    """
    with atomic_folder(folder) as scratch:
        for k, archive in enumerate(archives):
            log.info("unpacking %s (%d of %d)", archive, k + 1, len(archives))
            part = scratch / ".unpacking"
            part.mkdir()
            try:
                _unpack_zip(archive, part) if archive.suffix.lower() == ".zip" else _unpack_tar(archive, part)
            except _DAMAGED as error:
                raise CorpusError(f"{archive}: damaged or encrypted archive ({error}); fetch it again") from error
            except FileNotFoundError:
                raise CorpusError(f"{archive}: no such file; set the source of the corpus in params.yaml") from None
            except OSError as error:
                raise CorpusError(f"{archive}: cannot be unpacked into {folder} ({error})") from error
            _merge(part, scratch, archive)
            shutil.rmtree(part)
        for path in keep_files:
            shutil.copyfile(path, scratch / path.name)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        _refuse_small_disk(archive, folder, sum(entry.file_size for entry in opened.infolist()))
        for entry in opened.infolist():
            _refuse_leaving(archive, entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise CorpusError(f"{archive}: has a link, {entry.filename!r}; unpack it yourself if you trust it")
        opened.extractall(folder)  # checks the CRC of every entry


def _unpack_tar(archive: Path, folder: Path) -> None:
    if archive.name.lower().endswith("gz"):
        _check_gzip(archive)
    with tarfile.open(archive) as opened:
        entries = opened.getmembers()
        _refuse_small_disk(archive, folder, sum(entry.size for entry in entries))
        for entry in entries:
            _refuse_leaving(archive, entry.name)
        try:
            opened.extractall(folder, filter="data")
        except tarfile.FilterError as error:
            raise CorpusError(
                f"{archive}: has an unsafe entry ({error}); unpack it yourself if you trust it"
            ) from error


def _check_gzip(archive: Path) -> None:
    """Read a gzip file to its end, where the checksum is; a tar reader stops before."""
    with gzip.open(archive) as opened:
        while opened.read(1 << 20):
            pass


def _refuse_leaving(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise CorpusError(f"{archive}: entry {name!r} would be written outside the folder; do not trust this archive")


def _refuse_small_disk(archive: Path, folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise CorpusError(
            f"{archive}: needs {n_bytes / 1e9:.1f} GB, {folder.parent.parent} has {free / 1e9:.1f} GB free"
        )


def _merge(part: Path, target: Path, archive: Path) -> None:
    """Move the files of `part` into `target`; the same file from two archives must have the same bytes."""
    for path in sorted(path for path in part.rglob("*") if not path.is_dir()):
        place = target / path.relative_to(part)
        if place.is_file() and sha256(place) != sha256(path):
            raise CorpusError(f"{archive}: {path.relative_to(part)} differs from the same file of another archive")
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
