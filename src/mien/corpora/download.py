"""How a corpus comes into its folder: synthesised, downloaded, unpacked, or found where the user has it.

Downloads are checked against published checksums, fetched in segments and resumed after a break (pypdl). Archives are
unpacked whole or not at all, and nothing outside the target folder.
"""

import gzip
import hashlib
import importlib
import json
import logging
import lzma
import os
import re
import shutil
import stat
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.config.labels import AS_VECTORS
from mien.config.schema import CorpusConfig, SyntheticConfig, load, section
from mien.corpora.base import Access, list_files
from mien.corpora.index import adapter_for
from mien.corpora.vectors import SUFFIX as VECTORS_SUFFIX
from mien.errors import CorpusError
from mien.io.files import atomic_file, atomic_folder, digest, sha256, write_json
from mien.io.media import LFS_POINTER

log = logging.getLogger(__name__)

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
NESTED = 3  # archives within archives that are unpacked
_DAMAGED = (
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)

SEGMENTED = 64 << 20  # bytes; smaller files come in one piece, several at a time
_SEGMENTS = 4
_AT_ONCE = 6
_TIMEOUT_S = 60
ZENODO_RECORD = "https://zenodo.org/api/records/1188976"
RAVDESS_FILES = re.compile(r"Video_Speech_Actor_\d\d\.zip|Audio_Speech_Actors_01-24\.zip")
CREMAD_STUBS = "https://codeload.github.com/CheyneyComputerScience/CREMA-D/zip/refs/heads/master"
CREMAD_MEDIA = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master"
CREMAD_FOLDERS = ("AudioWAV", "VideoFlash")  # AudioMP3 has silent files where the wav is good


def is_archive(path: str | Path) -> bool:
    """Tell whether `unpack` takes a file, by its name."""
    return str(path).lower().endswith(SUFFIXES)


def unpack(archives: Sequence[Path], folder: Path, *, root: Path | None = None, keep_files: Sequence[str] = ()) -> None:
    """Unpack all `archives`, and what archives are in them, into `folder`, which is replaced when every one was good.

    root : folder of the archives; each is unpacked to where it lies below `root` (without: to the top of `folder`).
    keep_files : paths below `root` of plain files to copy to the same place.

    Raises
    ------
    CorpusError : an archive is damaged or encrypted, has an entry that would leave the folder, or an archive disagrees
        with another one, or with a file to keep, about a file; or the disk is too small.
    """
    with atomic_folder(folder) as scratch:
        for k, archive in enumerate(archives):
            log.info("unpacking %s (%d of %d)", archive, k + 1, len(archives))
            part = scratch / ".unpacking"
            _unpack_nested(archive, part, str(archive), folder)
            _move(part, scratch / archive.parent.relative_to(root) if root else scratch, str(archive))
        for name in keep_files:
            try:
                if (scratch / name).is_file() and sha256(scratch / name) != sha256(root / name):
                    raise CorpusError(
                        f"{root / name}: differs from the same file of an archive beside it, as when unpacking broke"
                        " off; delete one of them"
                    )
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, scratch / name)
            except OSError as error:
                raise CorpusError(f"{root / name}: cannot be copied to {folder} ({error.strerror or error})") from error


def _unpack_nested(archive: Path, place: Path, shown: str, folder: Path, depth: int = 0) -> None:
    """Unpack an archive to the new folder `place`, and archives in it to where they lie; messages call it `shown`."""
    place.mkdir()
    try:
        _unpack_one(archive, place, shown)
    except _DAMAGED as error:
        raise CorpusError(f"{shown}: damaged or encrypted archive ({error}); fetch it again") from error
    except FileNotFoundError:
        raise CorpusError(f"{shown}: no such file; set the source of the corpus in params.yaml") from None
    except OSError as error:
        raise CorpusError(f"{shown}: cannot be unpacked into {folder} ({error})") from error
    for inner in sorted(path for path in place.rglob("*") if is_archive(path) and path.is_file()):
        if inner.name.startswith("."):  # what macOS leaves
            continue
        if depth == NESTED:
            raise CorpusError(f"{shown}: holds archives in archives, deeper than {NESTED}; unpack it yourself")
        part, name = inner.with_name(f".{inner.name}.unpacking"), f"{shown}: {inner.relative_to(place)}"
        _unpack_nested(inner, part, name, folder, depth + 1)
        inner.unlink()
        _move(part, inner.parent, name)


def _move(part: Path, target: Path, shown: str) -> None:
    """Move the files below `part`, which came from the archive `shown`, to `target`; equal ones may be there."""
    for path in sorted(path for path in part.rglob("*") if not path.is_dir()):
        there = target / path.relative_to(part)
        if there.is_file() and sha256(there) != sha256(path):
            raise CorpusError(f"{shown}: {path.relative_to(part)} differs from the same file of another archive")
        there.parent.mkdir(parents=True, exist_ok=True)
        path.replace(there)
    shutil.rmtree(part)


def _unpack_one(archive: Path, folder: Path, shown: str) -> None:
    zipped = archive.suffix.lower() == ".zip"
    if archive.name.lower().endswith("gz"):
        with gzip.open(archive) as opened:  # to its end, where the checksum is; a tar reader stops before
            while opened.read(1 << 20):
                pass
    with zipfile.ZipFile(archive) if zipped else tarfile.open(archive) as opened:
        if zipped:
            entries = [(e.filename, e.file_size, stat.S_ISLNK(e.external_attr >> 16)) for e in opened.infolist()]
        else:
            entries = [(e.name, e.size, not (e.isfile() or e.isdir())) for e in opened.getmembers()]
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4; before, owners and modes are those of the archive
                opened.extraction_filter = tarfile.data_filter
        n_bytes, free = sum(size for _, size, _ in entries), shutil.disk_usage(folder).free
        if n_bytes > free:
            raise CorpusError(
                f"{shown}: needs {n_bytes / 1e9:.1f} GB, the disk of {folder} has {free / 1e9:.1f} GB free"
            )
        for name, _, is_link in entries:
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
                raise CorpusError(
                    f"{shown}: entry {name!r} would be written outside the folder; do not trust this archive"
                )
            if is_link:
                raise CorpusError(f"{shown}: has a link, {name!r}; unpack it yourself if you trust it")
        opened.extractall(folder)  # checks the CRC of every zip entry


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

    def is_good(remote: Remote) -> bool:
        path = folder / remote.path
        if not path.is_file() or path.stat().st_size != remote.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, remote.algorithm).hexdigest() == remote.checksum.lower()

    wanted = [remote for remote in remotes if not is_good(remote)]
    log.info("%d of %d files to fetch, %.2f GB", len(wanted), len(remotes), sum(r.size for r in wanted) / 1e9)
    display = sys.stdout.isatty() if display is None else display
    small = [remote for remote in wanted if remote.size < SEGMENTED]
    large = [remote for remote in wanted if remote.size >= SEGMENTED]
    for some, segments in ((small, 1), (large, _SEGMENTS)):
        if some:
            _fetch_some(some, folder, segments, display=display, retries=retries)
    for remote in wanted:
        path = folder / remote.path
        if not path.is_file():
            raise CorpusError(f"{remote.url}: was not fetched; run the command again")
        if not is_good(remote):
            found = path.stat().st_size
            path.unlink()
            raise CorpusError(
                f"{remote.url}: {remote.algorithm} differs from the publisher's ({found} of {remote.size} bytes came);"
                " the file was removed: run the command again"
            )
    return [folder / remote.path for remote in remotes]


def _fetch_some(remotes: Sequence[Remote], folder: Path, segments: int, *, display: bool, retries: int) -> None:
    from pypdl import Pypdl

    causes = _Causes()
    logger = logging.Logger("pypdl")  # its own, so that tracebacks of single attempts are not shown
    logger.addHandler(causes)
    client = Pypdl(allow_reuse=True, logger=logger, max_concurrent=_AT_ONCE if segments == 1 else 1)
    tasks = [{"url": remote.url, "file_path": str(folder / remote.path)} for remote in remotes]
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


def download(corpus: str, access: Access, folder: Path) -> None:
    """Fetch an open corpus into `folder`, in its own layout; archives stay in `<folder>.download` for the next time.

    Raises
    ------
    CorpusError : the corpus is given out under an agreement only (says where to ask and what to do then), or the
        download failed.
    """
    if corpus not in _FETCHERS:
        raise CorpusError(
            f"{corpus} cannot be downloaded without an agreement or a login ({access.terms})."
            f" Ask at {access.address}, fetch {access.files}, put them into one folder, packed or not,"
            f" and set corpora.{corpus}.source to that folder in params.yaml"
        )
    stock = folder.with_name(f"{folder.name}.download")
    _FETCHERS[corpus](folder, stock)
    log.info("%s is complete; %s may be deleted to save space", folder, stock)


def download_ravdess(folder: Path, stock: Path, *, record: str = ZENODO_RECORD) -> None:
    """Fetch the speech archives of the Zenodo record, checked by the md5 that its interface states, and unpack them."""
    answer = fetch_json(record)
    try:
        remotes = [
            Remote(entry["links"]["self"], entry["key"], *entry["checksum"].split(":"), int(entry["size"]))
            for entry in sorted(answer["files"], key=lambda entry: entry["key"])
            if RAVDESS_FILES.fullmatch(entry["key"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise CorpusError(f"{record}: the answer has another form than expected ({error!r})") from error
    if not remotes:
        raise CorpusError(f"{record}: names no speech archive; look at the record and set the source to a folder")
    unpack(fetch(remotes, stock), folder)


def download_cremad(folder: Path, stock: Path, *, stubs: str = CREMAD_STUBS, media: str = CREMAD_MEDIA) -> None:
    """Fetch the repository's archive, whose git-lfs pointers state sha256 and size, then every medium they point to.

    No git-lfs is needed. The label files come with the archive.
    """
    unpack([fetch_unchecked(stubs, stock / "stubs.zip")], stock / "stubs")
    top = min((stock / "stubs").iterdir())  # the archive has one folder, named after the branch
    files = list_files(top)
    media_files = [path for path in files if path.split("/")[0] in CREMAD_FOLDERS]
    remotes = []
    for path in media_files:
        content = (top / path).read_bytes()[:1024]
        match = re.search(rb"oid sha256:([0-9a-f]{64})\nsize (\d+)", content)
        if match is None or not content.startswith(LFS_POINTER):
            raise CorpusError(f"{top / path}: not a git-lfs pointer with sha256 and size; fetch the archive again")
        remotes.append(Remote(f"{media}/{path}", path, "sha256", match[1].decode(), int(match[2])))
    if not remotes:
        raise CorpusError(f"{stubs}: holds no git-lfs pointers; clone the repository with git lfs instead")
    fetch(remotes, stock / "media")
    with atomic_folder(folder) as scratch:
        for path in (path for path in files if path.split("/")[0] != "AudioMP3"):
            source = stock / "media" / path if path.split("/")[0] in CREMAD_FOLDERS else top / path
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, scratch / path)
            except OSError:  # a file system without links
                shutil.copyfile(source, scratch / path)


_FETCHERS = {"ravdess": download_ravdess, "cremad": download_cremad}


def open_source(corpus: str, source: Path, folder: Path) -> Path:
    """Return the root of the corpus: `source` if it is a folder without archives, else `folder` with them unpacked.

    Files beside the archives are copied.

    Raises
    ------
    CorpusError : `source` is missing, empty, or a file that is no archive; an archive is damaged, or disagrees with a
        file beside it.
    """
    source = source.expanduser()
    where = f"corpora.{corpus}.source"
    if not source.exists():
        raise CorpusError(
            f"{source}: no such file or folder; in params.yaml, {where} should be synthetic, download,"
            " a folder or an archive"
        )
    if source.is_file():
        if corpus in AS_VECTORS and source.suffix.lower() == VECTORS_SUFFIX:
            with atomic_folder(folder) as scratch:
                shutil.copyfile(source, scratch / source.name)
            return folder
        if not is_archive(source):
            raise CorpusError(f"{source}: neither a folder nor an archive ({', '.join(SUFFIXES)}); mend {where}")
        unpack([source], folder)
        return folder
    files = list_files(source)
    if not files:
        raise CorpusError(f"{source}: the folder is empty; mend {where} in params.yaml")
    archives = [source / path for path in files if is_archive(path)]
    if not archives:
        return source
    others = [path for path in files if not is_archive(path)]
    log.info(
        "%s: %d archives are unpacked, %d files beside them copied, to %s", source, len(archives), len(others), folder
    )
    unpack(archives, folder, root=source, keep_files=others)
    return folder


def describe_folder(root: Path, *, n_jobs: int = 1) -> dict:
    """Return root, number of files and a digest of all names and bytes; a root below the working folder is relative.

    What cannot be opened has no digest: the list of the corpus's clips has a row about it.
    """
    files = list_files(root)
    with ThreadPoolExecutor(max(1, n_jobs)) as pool:  # hashing releases the interpreter lock
        digests = list(pool.map(lambda path: _digest_of(root / path), files))
    full, here = Path(os.path.normpath(root.absolute())), Path.cwd()
    shown = full.relative_to(here) if full.is_relative_to(here) else full  # so that a checkout can be moved
    content = digest(list(zip(files, digests, strict=True)))
    return {"root": shown.as_posix(), "n_files": len(files), "digest": content}


def _digest_of(path: Path) -> str:
    try:
        return sha256(path) if path.is_file() else ""  # a pipe would never end
    except OSError:
        return ""


def get_corpus(*, corpus: str, out: Path, config: str = "params.yaml", jobs: int = 1) -> None:
    """Synthesise, download or unpack a corpus, and describe what is there.

    Parameters
    ----------
    out : Path
        Manifest data/NAME.json; the corpus goes to data/NAME/.
    jobs : int
        Number of processes.

    Raises
    ------
    CorpusError
        The source is missing, empty, damaged or given out under an agreement.
    """
    params = load(config)
    row = section(CorpusConfig, params, "corpora", corpus)
    folder = out.with_suffix("")
    if row.source == "synthetic":
        # by name: the writers depend on the renderer, the adapters must not
        writer = importlib.import_module("mien.synthetic.corpora")
        synthetic, seed = section(SyntheticConfig, params, "synthetic"), section(int, params, "seed")
        writer.write_corpus(corpus, folder, n_actors=row.actors, config=synthetic, seed=seed, n_jobs=jobs)
        root = folder
    elif row.source == "download":
        download(corpus, adapter_for(corpus).ACCESS, folder)
        root = folder
    else:
        root = open_source(corpus, Path(row.source), folder)
    manifest = {"corpus": corpus, "source": row.source, **describe_folder(root, n_jobs=jobs)}
    write_json(out, manifest)
    log.info("%s: %d files in %s", corpus, manifest["n_files"], manifest["root"])
