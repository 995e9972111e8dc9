"""What the bytes of a corpus's files say: digest, whether they decode, channels, peak, blank pictures."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.core import media
from mien.core.errors import MediaError
from mien.core.files import sha256
from mien.core.processes import map_in_processes

SILENCE_DBFS = -60.0  # a sound whose peak stays below has no voice; the quietest take of RAVDESS peaks at -44

FEW = 32  # files that one process examines before others have started


@dataclass(frozen=True)
class Facts:
    """What was found in one file.

    `flaw` concerns the whole file, `picture_flaw` and `sound_flaw` one stream; all empty where nothing is wrong or
    where the stream was not asked for. `detail` words the flaw.
    """

    sha256: str = ""
    flaw: str = ""  # empty, pointer, unreadable
    picture_flaw: str = ""  # unreadable, blank
    sound_flaw: str = ""  # mute, silent, unreadable
    detail: str = ""
    voiced: bool = False  # has a sound stream
    channels: int = 0
    palette: bool = False  # an image of indices into a colour table


def examine(path: Path, wants: frozenset[str]) -> Facts:
    """Open one file; `wants` holds "picture" and "sound": which streams must decode.

    A sound is decoded as a whole; of a video, the headers and the first frame.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(len(media.LFS_POINTER))
    if not head:
        return Facts(flaw="empty", detail="0 bytes")
    found = Facts(sha256=sha256(path))
    if head == media.LFS_POINTER:
        return _with(found, flaw="pointer", detail="a git-lfs pointer: run 'git lfs pull' in the clone")
    if not wants:
        return found
    if path.suffix.lower() in media.IMAGE_SUFFIXES:
        return _examine_image(path, found)
    try:
        headers = media.probe(path)
    except MediaError as error:
        return _with(found, flaw="unreadable", detail=_cause(error, path))
    found = _with(found, voiced=headers.has_audio, channels=headers.channels)
    if "picture" in wants:
        found = _examine_first_frame(path, found)
    if "sound" in wants:
        found = _examine_sound(path, found)
    return found


def examine_all(root: Path, wants: Mapping[str, frozenset[str]], *, n_jobs: int = 1) -> dict[str, Facts]:
    """Examine every file (path relative to `root` -> wanted streams), in `n_jobs` processes."""
    paths = [Path(root) / path for path in wants]
    n_jobs = n_jobs if len(paths) >= FEW else 1
    chunk = max(1, min(64, len(paths) // (4 * max(1, n_jobs))))
    return dict(zip(wants, map_in_processes(examine, paths, wants.values(), n_jobs=n_jobs, chunk=chunk), strict=True))


def is_blank(picture: np.ndarray) -> bool:
    """Tell whether all pixels of `picture` (H, W) or (H, W, 3) are equal."""
    return bool((picture == picture[:1, :1]).all())


def _examine_image(path: Path, found: Facts) -> Facts:
    from PIL import Image

    try:
        picture = media.read_image(path)
    except MediaError as error:
        return _with(found, flaw="unreadable", detail=_cause(error, path))
    with Image.open(path) as image:
        found = _with(found, palette=image.mode == "P")
    if is_blank(picture):
        return _with(found, picture_flaw="blank", detail=f"every pixel is {picture[0, 0].tolist()}")
    return found


def _examine_first_frame(path: Path, found: Facts) -> Facts:
    frames = media.read_frames(path)
    try:
        next(itertools.islice(frames, 1), None)
    except MediaError as error:
        return _with(found, picture_flaw="unreadable", detail=_cause(error, path))
    finally:
        frames.close()
    return found


def _examine_sound(path: Path, found: Facts) -> Facts:
    if not found.voiced:
        return _with(found, sound_flaw="mute", detail="no sound stream")
    try:
        samples, _ = media.read_sound(path)
    except MediaError as error:
        return _with(found, sound_flaw="unreadable", detail=_cause(error, path))
    peak = float(np.abs(samples).max())
    if peak < 10 ** (SILENCE_DBFS / 20):
        return _with(found, sound_flaw="silent", detail=f"peak {peak:.2g} of full scale")
    return found


def _cause(error: MediaError, path: Path) -> str:
    """Return the message without the path, which has its own column."""
    return str(error).removeprefix(f"{path}: ")


def _with(found: Facts, **changes: object) -> Facts:
    details = [found.detail, changes.pop("detail", "")]
    return replace(found, detail="; ".join(detail for detail in details if detail), **changes)
