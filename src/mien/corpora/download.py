"""Where the open corpora are fetched from, and what to tell the user about the others."""

import logging
import os
import re
import shutil
from pathlib import Path

from mien.core.errors import CorpusError
from mien.core.files import atomic_folder
from mien.core.media import LFS_POINTER
from mien.corpora.access import Access
from mien.corpora.archives import unpack
from mien.corpora.fetch import Remote, fetch, fetch_json, fetch_unchecked
from mien.corpora.listing import list_files

log = logging.getLogger(__name__)

ZENODO_RECORD = "https://zenodo.org/api/records/1188976"
RAVDESS_FILES = re.compile(r"Video_Speech_Actor_\d\d\.zip|Audio_Speech_Actors_01-24\.zip")
CREMAD_STUBS = "https://codeload.github.com/CheyneyComputerScience/CREMA-D/zip/refs/heads/master"
CREMAD_MEDIA = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master"
CREMAD_FOLDERS = ("AudioWAV", "VideoFlash")  # AudioMP3 has silent files where the wav is good


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
            Remote(
                url=entry["links"]["self"],
                path=entry["key"],
                algorithm=entry["checksum"].partition(":")[0],
                checksum=entry["checksum"].partition(":")[2],
                size=int(entry["size"]),
            )
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
    remotes = [_read_pointer(top / path, f"{media}/{path}", path) for path in media_files]
    if not remotes:
        raise CorpusError(f"{stubs}: holds no git-lfs pointers; clone the repository with git lfs instead")
    fetch(remotes, stock / "media")
    with atomic_folder(folder) as scratch:
        for path in files:
            if path.split("/")[0] != "AudioMP3":
                (scratch / path).parent.mkdir(parents=True, exist_ok=True)
                _link(stock / "media" / path if path.split("/")[0] in CREMAD_FOLDERS else top / path, scratch / path)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _read_pointer(path: Path, url: str, name: str) -> Remote:
    content = path.read_bytes()[:1024]
    match = re.search(rb"oid sha256:([0-9a-f]{64})\nsize (\d+)", content)
    if match is None or not content.startswith(LFS_POINTER):
        raise CorpusError(f"{path}: not a git-lfs pointer with sha256 and size; fetch the archive again")
    return Remote(url=url, path=name, algorithm="sha256", checksum=match[1].decode(), size=int(match[2]))


_FETCHERS = {"ravdess": download_ravdess, "cremad": download_cremad}
