"""A clip that comes from a browser: its bytes within limits, its name without a path, its kind by its content."""

import asyncio
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import av
from starlette.requests import ClientDisconnect, Request

from mien.core import media
from mien.core.errors import MediaError
from mien.predict.web.refusal import Refusal

MIB = 2**20
UPLOAD_S = 600.0  # longest time that an upload may take
MOST_PIXELS = 4096 * 2304  # of a picture; a larger one would take memory for seconds of work
_LONGEST_NAME = 120
# Only these are handed to FFmpeg: it also knows play lists, which would make it read other files and addresses.
_MAGIC = (
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"FLV\x01"),
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"\x00\x00\x01\xb3"),  # MPEG video
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF: WMV
    (0, b"OggS"),
    *((4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),  # MP4, QuickTime
)
_PACKETS = ((0, 188), (4, 192))  # MPEG transport streams, without and with the time stamps of cameras
_FORMATS = {"mov", "matroska", "avi", "flv", "mpeg", "mpegvideo", "asf", "ogg", "mpegts"}


@dataclass(frozen=True)
class Clip:
    """What was found in an upload."""

    duration_s: float  # NaN where not declared
    has_sound: bool


def base_name(text: str) -> str:
    """Return a file name to show: no folders of any system, nothing invisible, never empty."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", text))[-1]
    plain = "".join(sign for sign in last if unicodedata.category(sign)[0] != "C").strip(" .")
    plain = re.sub(r"^[A-Za-z]:", "", plain)
    return plain[-_LONGEST_NAME:] or "clip"


def refuse_huge(request: Request, *, most_bytes: int) -> None:
    """Refuse a body that is too large by the head of its request, before any of it is read.

    Raises
    ------
    Refusal : 413.
    """
    n_bytes = int(request.headers.get("content-length", "0"))  # h11 lets only digits pass
    if n_bytes > most_bytes:
        sentence = f"the file has {n_bytes / MIB:.0f} MiB, and at most {most_bytes / MIB:g} are taken; cut the clip"
        raise Refusal(413, sentence, unread=True)


async def receive(request: Request, path: Path, *, most_bytes: int) -> None:
    """Write the body of a request to a file.

    Raises
    ------
    Refusal : it is empty, larger than `most_bytes`, takes more than `UPLOAD_S`, or breaks off.
    """
    n_bytes = 0
    try:
        async with asyncio.timeout(UPLOAD_S):
            with path.open("wb") as file:
                async for chunk in request.stream():
                    n_bytes += len(chunk)
                    if n_bytes > most_bytes:
                        sentence = f"the file is larger than {most_bytes / MIB:g} MiB; cut the clip"
                        raise Refusal(413, sentence, unread=True)
                    file.write(chunk)
    except TimeoutError:
        raise Refusal(408, f"the upload took more than {UPLOAD_S:.0f} s", unread=True) from None
    except ClientDisconnect:
        raise Refusal(400, "the upload broke off") from None
    if n_bytes == 0:
        raise Refusal(400, "the file is empty; choose another one")


def examine(path: Path, name: str, *, longest_s: float) -> Clip:
    """Look at what was uploaded; `name` is for the sentences.

    Raises
    ------
    Refusal : 415 it is no film, whatever its name says; 422 it is damaged, too long or too large.
    """
    with path.open("rb") as file:
        head = file.read(4 * 188 + 1)
    if not _is_film(head):
        raise Refusal(415, f"{name}: is not a film by its content; choose an MP4, MOV, MKV, WebM, AVI or FLV")
    try:
        facts = media.probe(path)
        with av.open(str(path)) as container:
            kinds = set(container.format.name.split(","))
            cover = av.stream.Disposition.attached_pic
            sizes = [(one.width, one.height) for one in container.streams.video if not one.disposition & cover]
    except MediaError as error:
        raise Refusal(422, told(error, path, name)) from error
    except av.error.FFmpegError as error:
        raise Refusal(422, f"{name}: cannot be read ({error.strerror}); export it again") from error
    if not kinds & _FORMATS:
        raise Refusal(415, f"{name}: is not a film by its content but {container.format.long_name}")
    if not sizes:
        raise Refusal(415, f"{name}: has no moving picture; a sound alone is judged by: mien predict")
    width, height = sizes[0]
    if not 0 < width * height <= MOST_PIXELS:
        raise Refusal(422, f"{name}: its pictures are {width}x{height}; up to {MOST_PIXELS / 1e6:.1f} Mpx are taken")
    if facts.duration_s > longest_s:
        raise Refusal(422, too_long(name, facts.duration_s, longest_s))
    return Clip(facts.duration_s if facts.duration_s > 0 else math.nan, facts.has_audio)


def too_long(name: str, duration_s: float, longest_s: float) -> str:
    """Say so."""
    return f"{name}: is {duration_s:.0f} s long, and at most {longest_s:g} s are taken; cut the clip"


def told(error: Exception, path: Path, name: str) -> str:
    """Return the message of an error with the visitor's name of a file in place of ours."""
    return str(error).replace(str(path), name)


def _is_film(head: bytes) -> bool:
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    return any(
        len(head) > at + 2 * step and set(head[at : at + 2 * step + 1 : step]) == {0x47} for at, step in _PACKETS
    )
