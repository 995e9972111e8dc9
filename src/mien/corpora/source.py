"""A corpus that the user has: a folder, an archive, or a folder of archives; and what a corpus folder holds."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mien.core.errors import CorpusError
from mien.core.files import digest, sha256
from mien.corpora.archives import SUFFIXES, is_archive, unpack
from mien.corpora.listing import list_files


def open_source(corpus: str, source: Path, folder: Path) -> Path:
    """Return the root of the corpus: `source` if it is a folder of files, else `folder` with its archives unpacked.

    Raises
    ------
    CorpusError : `source` is missing, empty, or a file that is no archive; an archive is damaged.
    """
    source = source.expanduser()
    where = f"corpora.{corpus}.source"
    if not source.exists():
        raise CorpusError(
            f"{source}: no such file or folder; in params.yaml, {where} should be synthetic, download,"
            " a folder or an archive"
        )
    if source.is_file():
        if not is_archive(source):
            raise CorpusError(f"{source}: neither a folder nor an archive ({', '.join(SUFFIXES)}); mend {where}")
        unpack([source], folder)
        return folder
    files = list_files(source)
    if not files:
        raise CorpusError(f"{source}: the folder is empty; mend {where} in params.yaml")
    archives = [source / path for path in files if is_archive(Path(path))]
    others = [source / path for path in files if not is_archive(Path(path))]
    if not archives or any("/" in path for path in files):
        return source
    unpack(archives, folder, keep_files=others)
    return folder


def describe_folder(root: Path, *, n_jobs: int = 1) -> dict:
    """Return root, number of files and a digest of all names and bytes; a root below the working folder is relative."""
    files = list_files(root)
    with ThreadPoolExecutor(max(1, n_jobs)) as pool:  # hashing releases the interpreter lock
        digests = list(pool.map(lambda path: sha256(root / path), files))
    return {"root": _store_root(root), "n_files": len(files), "digest": digest(list(zip(files, digests, strict=True)))}


def _store_root(root: Path) -> str:
    """Return `root` relative to the working folder if it lies below it, so that a checkout can be moved."""
    full, here = Path(os.path.normpath(root.absolute())), Path.cwd()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else full.as_posix()
