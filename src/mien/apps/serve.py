"""Command ``serve``: a page on this machine where a clip or a camera is judged, in any browser.

It is reached at 127.0.0.1 only. Uploads and films lie in a temporary folder until they are fetched, for some minutes
at most; nothing is kept. Ctrl-C ends it.

What a film showed from beginning to end: stretches with one answer each, and the answer to it in a sentence.

What the page answers where it does not do what it was asked for: a status and one sentence.

Cameras of browsers: a session per camera takes pictures and sound as they come, and answers each picture.

Who may talk to the page: browsers of this machine that show this page, and nobody who keeps it waiting.

A clip that comes from a browser: its bytes within limits, its name without a path, its kind by its content.

Clips that wait, the one that is judged, and answers that wait for their visitor; nothing stays.

The application: which address does what. All work is done by `Jobs` and `Cameras`.

The networks behind the page.
"""

import asyncio
import contextlib
import csv
import io
import logging
import math
import os
import re
import secrets
import shutil
import socket
import tempfile
import threading
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import av
import h11
import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image, UnidentifiedImageError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.apps.models import Models
from mien.apps.streaming import Live, Moment
from mien.apps.watch import rows_of, write_film
from mien.candide.mesh import AU_NAMES
from mien.config import schema
from mien.config.labels import colour_of
from mien.config.schema import CandideConfig, ServeConfig, WatchConfig
from mien.errors import ConfigError, MediaError, MienError
from mien.io import media
from mien.io.files import atomic_file

USUAL_S = 0.04  # that a picture is shown for, where there is only one


class Trace:
    """Collects the moments of a film without their pictures."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.n_pictures = self.n_faces = self.n_heard = 0
        self.people: set[int] = set()
        self.last_s = 0.0
        self._rows: list[list] = []
        self._stretches: list[dict[str, Any]] = []
        self._key: tuple | None = None
        self._units: list[np.ndarray] = []

    def add(self, moment: Moment) -> None:
        """Take the next moment."""
        self.n_pictures += 1
        self.n_faces += any(face.found for face in moment.faces)
        self.n_heard += moment.heard
        self.people |= {face.person for face in moment.faces}
        self.last_s = moment.time_s
        self._rows += rows_of(moment, self.classes)
        told = _told(moment, self.classes)
        key = tuple(map(str, told.values()))
        if key != self._key:
            self._finish(moment.time_s)
            self._stretches.append({"start_s": moment.time_s, "end_s": moment.time_s, **told})
            self._key = key
        if moment.faces and moment.faces[0].units is not None:
            self._units.append(moment.faces[0].units)

    def write_csv(self, path: Path) -> None:
        """Write the verdicts of every picture, as `mien watch --timeline` does."""
        with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["time_s", "person", "basis", "label", *self.classes])
            rows.writerows(self._rows)

    def answer(self, name: str, *, has_sound: bool) -> dict[str, Any]:
        """Return everything as JSON has it: verdict, what is missing and why, stretches.

        The verdict is the emotion that was the verdict for most of the time; of equals the one that was there first.
        """
        end_s = self.last_s + (self.last_s / (self.n_pictures - 1) if self.n_pictures > 1 else USUAL_S)
        self._finish(end_s)
        seconds = dict.fromkeys(self.classes, 0.0)
        for stretch in self._stretches:
            if stretch["label"] is not None:
                seconds[stretch["label"]] += stretch["end_s"] - stretch["start_s"]
        judged_s = sum(seconds.values())
        first = {stretch["label"]: -k for k, stretch in reversed(list(enumerate(self._stretches)))}
        label = max(seconds, key=lambda name: (round(seconds[name], 6), first.get(name, -len(first) - 1e9)))
        verdict = {
            "label": label if judged_s > 0 else None,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "judged_s": round(judged_s, 3),
            "last": self._stretches[-1]["label"] if self._stretches else None,
        }
        reasons = self._reasons(end_s, has_sound=has_sound)
        return {
            "clip": name,
            "duration_s": round(end_s, 3),
            "classes": list(self.classes),
            "people": len(self.people),
            "sound": has_sound,
            "missing": sorted(reasons),
            "reasons": reasons,
            "verdict": verdict,
            "sentence": self._sentence(verdict, reasons),
            "timeline": [_rounded(stretch) for stretch in self._stretches],
        }

    def _finish(self, end_s: float) -> None:
        """End the newest stretch."""
        if self._stretches:
            mean = np.mean(self._units, axis=0) if self._units else None
            units = {name: round(float(u), 3) for name, u in zip(AU_NAMES, mean, strict=True)} if self._units else None
            self._stretches[-1] |= {"end_s": end_s, "units": units}
        self._units = []

    def _reasons(self, end_s: float, *, has_sound: bool) -> dict[str, str]:
        reasons = {}
        if self.n_faces == 0:
            reasons["face"] = f"there is none in {self.n_pictures} picture{'s' * (self.n_pictures != 1)}"
        if not has_sound:
            reasons["voice"] = "the clip has no sound"
        elif self.n_heard == 0:
            reasons["voice"] = "the sound is silent" if end_s >= 1.0 else "the sound is shorter than a second"
        return reasons

    def _sentence(self, verdict: dict[str, Any], reasons: dict[str, str]) -> str:
        lacking = " and ".join(f"no {name} ({reason})" for name, reason in reasons.items())
        if verdict["label"] is None:
            return f"There is nothing to judge: {lacking}." if lacking else "It is too short to be judged."
        label, judged_s = verdict["label"], verdict["judged_s"]
        share = verdict["seconds"][label] / judged_s
        how = "all the time" if share > 0.995 else f"{share:.0%} of the time"
        text = f"{label.capitalize()} for {how}" if share <= 0.995 else f"{label.capitalize()} {how}"
        if verdict["last"] not in (label, None):
            text += f", {verdict['last']} at the end"
        used = [part for part in ("face", "voice") if any(part in one["basis"] for one in self._stretches)]
        text += f". Judged by {' and '.join(f'the {part}' for part in used)}{' alone' * (len(used) == 1)}"
        text += f": {lacking}." if lacking else "."
        if len(self.people) > 1:
            text += f" {len(self.people)} people were seen; this is about the one in front."
        return text


def moment_facts(moment: Moment, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return a moment as JSON has it, with the regions of all faces in px of its picture."""
    faces = [
        {
            "person": face.person,
            "region": [round(float(value), 1) for value in face.region],
            "found": face.found,
            "label": _label(face.probabilities, classes),
            "units": None if face.units is None else [round(float(value), 3) for value in face.units],
        }
        for face in moment.faces
    ]
    height, width = moment.picture.shape[:2]
    return {"time_s": round(moment.time_s, 3), "size": [width, height], "people": faces, **_told(moment, classes)}


def _told(moment: Moment, classes: tuple[str, ...]) -> dict[str, Any]:
    main = moment.faces[0] if moment.faces else None
    probabilities = moment.probabilities
    return {
        "faces": sum(face.found for face in moment.faces),
        "heard": bool(moment.heard),
        "basis": list(moment.basis),
        "label": _label(probabilities, classes),
        "face": _label(main.probabilities if main is not None else None, classes),
        "voice": _label(moment.voice, classes),
        "probabilities": None if probabilities is None else [round(float(p), 4) for p in probabilities],
    }


def _label(probabilities: np.ndarray | None, classes: tuple[str, ...]) -> str | None:
    return None if probabilities is None else classes[int(np.argmax(probabilities))]


def _rounded(stretch: dict[str, Any]) -> dict[str, Any]:
    return stretch | {"start_s": round(stretch["start_s"], 3), "end_s": round(stretch["end_s"], 3)}


LINGER_S = 5.0


class Refusal(Exception):
    """An answer other than success.

    status : of HTTP.      sentence : says what was found and what to do.
    retry_s : after which it may be tried again; None: not worth trying.
    unread : the body of the request may still be on its way.
    """

    def __init__(self, status: int, sentence: str, *, retry_s: int | None = None, unread: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_s, self.unread = status, sentence, retry_s, unread

    def response(self) -> JSONResponse:
        """Return it as {"error": sentence}."""
        headers = {"Retry-After": str(self.retry_s)} if self.retry_s is not None else {}
        kind = _Lingering if self.unread else JSONResponse
        return kind({"error": self.sentence}, status_code=self.status, headers=headers)


class _Lingering(JSONResponse):
    """An answer at once to a request that is still being sent.

    The rest is thrown away for some seconds before the connection is closed: closed with bytes unread, it would be
    reset, and many clients would never see the answer.
    """

    async def __call__(self, scope, receive, send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        if not any(name == b"expect" for name, _ in scope["headers"]):  # who waits for "100 Continue" sends nothing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    while (message := await receive()).get("more_body"):
                        del message
        await send({"type": "http.response.body", "body": b"", "more_body": False})


MOST_SESSIONS = 2
IDLE_S = 20.0  # without a picture, after which a session ends
LONGEST_S = 900.0  # that a session lasts
MOST_RATE = 10.0  # pictures per second that are asked for
LEAST_S = 0.5 / MOST_RATE  # between two pictures: clocks of browsers jitter
MOST_JPEG = 2**20  # bytes of a picture
MOST_PIXELS = 1920 * 1080
MOST_SOUND_S = 5.0  # that comes with one picture
RATES_HZ = (8000, 192000)
SLACK_S = 0.5  # by which sound may be early or late before it is moved: microphones start late and pause
SAMPLE = np.dtype("<i2")


class Camera:
    """One session: a `Live` that is fed from a browser. Its calls may not overlap."""

    def __init__(self, live: Live, *, rate_hz: int, now: float) -> None:
        self.id = secrets.token_urlsafe(16)
        self.started = self.last_at = now
        self.busy = False
        self._live, self._rate_hz = live, rate_hz
        self._resampler: av.AudioResampler | None = None
        self._heard_hz = 0
        self._n_samples = 0  # handed to live
        self._time_s = -math.inf

    def look(self, time_s: float, jpeg: bytes, sound: bytes, sound_hz: int) -> dict[str, Any]:
        """Take a picture and the sound since the last one, and return what is seen and heard.

        Raises
        ------
        Refusal : the picture is not a JPEG of at most `MOST_PIXELS`, or not later than the one before it.
        """
        picture = _picture(jpeg)
        if not time_s > self._time_s:
            raise Refusal(422, f"the picture at {time_s:.3f} s came after the one at {self._time_s:.3f} s")
        self._time_s = time_s
        if sound:
            self._listen(time_s, np.frombuffer(sound, SAMPLE), sound_hz)
        return moment_facts(self._live.look(time_s, picture), self._live.classes)

    def _listen(self, time_s: float, samples: np.ndarray, sound_hz: int) -> None:
        """Hand sound over that ends about now; silence stands where some is missing."""
        if self._resampler is None or sound_hz != self._heard_hz:
            self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=self._rate_hz)
            self._heard_hz = sound_hz
        block = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        block.rate = sound_hz
        wave = np.concatenate([np.zeros(0, np.float32), *(b.to_ndarray()[0] for b in self._resampler.resample(block))])
        late = round(time_s * self._rate_hz) - self._n_samples - len(wave)
        if late > SLACK_S * self._rate_hz:
            wave = np.concatenate([np.zeros(late, np.float32), wave])
        elif late < -SLACK_S * self._rate_hz:
            wave = wave[-late:]
        self._n_samples += len(wave)
        self._live.listen(wave)


class Cameras:
    """All sessions; used by the event loop alone, which lets threads look."""

    def __init__(
        self, live: Callable[[bool], Live], *, rate_hz: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """live : makes a new follower, with action units or without."""
        self._live, self._rate_hz, self._clock = live, rate_hz, clock
        self._cameras: dict[str, Camera] = {}
        self._threads = ThreadPoolExecutor(MOST_SESSIONS, "camera")

    def open(self, *, units: bool) -> Camera:
        """Begin a session.

        Raises
        ------
        Refusal : 503, as many as may are open.
        """
        self.sweep()
        if len(self._cameras) >= MOST_SESSIONS:
            raise Refusal(503, f"{MOST_SESSIONS} cameras are watched already; stop one", retry_s=int(IDLE_S))
        camera = Camera(self._live(units), rate_hz=self._rate_hz, now=self._clock())
        self._cameras[camera.id] = camera
        return camera

    async def look(self, camera_id: str, time_s: float, body: bytes, n_sound: int, sound_hz: int) -> dict[str, Any]:
        """Look at a body of `n_sound` bytes of sound (16 bit, mono) and a JPEG.

        Raises
        ------
        Refusal : 404 the session has ended; 429 too fast; 422 not what was agreed.
        """
        camera = self._get(camera_id)
        now = self._clock()
        if camera.busy or now - camera.last_at < LEAST_S:
            raise Refusal(429, f"at most {MOST_RATE:g} pictures per second are looked at, one at a time", retry_s=1)
        if not (math.isfinite(time_s) and 0 <= time_s <= 2 * LONGEST_S):
            raise Refusal(422, f"a picture has a time from the beginning of its session, not {time_s} s")
        most = min(len(body), MOST_SOUND_S * sound_hz * SAMPLE.itemsize)
        if not RATES_HZ[0] <= sound_hz <= RATES_HZ[1] or n_sound % SAMPLE.itemsize or not 0 <= n_sound <= most:
            what = f"samples of 16 bit at {RATES_HZ[0]} to {RATES_HZ[1]} Hz, {MOST_SOUND_S:g} s of them at most"
            raise Refusal(422, f"sound comes with a picture as {what}")
        camera.busy, camera.last_at = True, now
        try:
            work = (camera.look, time_s, body[n_sound:], body[:n_sound], sound_hz)
            return await asyncio.get_running_loop().run_in_executor(self._threads, *work)
        finally:
            camera.busy = False

    def end(self, camera_id: str) -> None:
        """End a session."""
        self._cameras.pop(camera_id, None)

    def sweep(self) -> None:
        """End the sessions that are silent or too long."""
        now = self._clock()
        for camera in list(self._cameras.values()):
            if now - camera.started > LONGEST_S or (now - camera.last_at > IDLE_S and not camera.busy):
                self.end(camera.id)

    def close(self) -> None:
        """End all of them."""
        self._cameras.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _get(self, camera_id: str) -> Camera:
        self.sweep()
        if (camera := self._cameras.get(camera_id)) is None:
            raise Refusal(404, "this session has ended; start the camera again")
        return camera


def _picture(jpeg: bytes) -> np.ndarray:
    if len(jpeg) > MOST_JPEG:
        raise Refusal(413, f"a picture of a camera has at most {MOST_JPEG // 2**10} KiB")
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Refusal(422, f"the picture is {image.width}x{image.height}; send a smaller one")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Refusal(422, "the picture is not a JPEG that can be read") from error


GUARD_IDLE_S = 20.0  # without a byte from or to a client, or for the head of a request, before it is hung up on
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


class Guard:
    """ASGI middleware: refuses requests that another site caused, and sends security headers with every answer.

    A site elsewhere can make its own name lead to 127.0.0.1 (DNS rebinding); then the Host header is its name. It can
    also send requests from its own page; then the browser says so in Origin and Sec-Fetch-Site. Clients that are no
    browsers send neither.

    hosts : the values of Host under which the page is reached, with the port.
    """

    def __init__(self, app, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                new = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
                new += [(b"cache-control", b"no-store")] if b"cache-control" not in there else []
                message["headers"] = [*message["headers"], *new]
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        app = refusal.response() if refusal is not None else self._app
        await app(scope, receive, send_safely)

    def _refusal(self, method: str, headers: Headers) -> Refusal | None:
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return Refusal(421, f"this page is at {' or '.join(sorted(self._hosts))} and at no other host")
        origin = headers.get("origin")
        elsewhere = origin is not None and origin.lower() != f"http://{host}"
        elsewhere |= origin is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if method in _CHANGING and elsewhere:
            return Refusal(403, "another site may not use this page")
        return None


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, that hangs up on a client that is silent within a request or does not read.

    uvicorn itself only ends connections that are silent between two requests.
    """

    idle_s = GUARD_IDLE_S

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._reading = self._soon(transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.IDLE and self._reading is not None:
            return  # the head of a request has so long as a whole, not for every byte
        self._reading = _stop(self._reading)
        if state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self._reading = self._soon(self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = _stop(self._writing) or self._soon(self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing = _stop(self._writing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading, self._writing = _stop(self._reading), _stop(self._writing)
        super().connection_lost(exc)

    def _soon(self, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(self.idle_s, call)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


MIB = 2**20
UPLOAD_S = 600.0  # longest time that an upload may take
UPLOADS_MOST_PIXELS = 4096 * 2304  # of a picture; a larger one would take memory for seconds of work
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
    if not 0 < width * height <= UPLOADS_MOST_PIXELS:
        raise Refusal(
            422, f"{name}: its pictures are {width}x{height}; up to {UPLOADS_MOST_PIXELS / 1e6:.1f} Mpx are taken"
        )
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


log = logging.getLogger(__name__)

KEPT_S = 300.0  # that a clip stays for which nobody asks any more
MOST_ANSWERS = 8  # that wait to be fetched; the oldest goes first
RETRY_S = 10  # after which a refused visitor may come again
LIMIT_FACTOR = 1.02  # by which a film may be longer than its head says, and than is allowed


class Judge(Protocol):
    """Judges the film `clip`, writes `folder`/film.mp4 and `folder`/timeline.csv, and returns the answer.

    It calls `tell` with the time of every picture; an exception that this raises ends the work.
    """

    def __call__(
        self, clip: Path, folder: Path, *, name: str, has_sound: bool, units: bool, tell: Callable[[float], None]
    ) -> dict[str, Any]: ...


class _Dropped(Exception):
    """Nobody wants the answer any more."""


@dataclass(eq=False)
class Job:
    """A clip from its upload to its answer. State: uploading, waiting, judging, done or failed."""

    name: str
    units: bool
    folder: Path
    asked_at: float  # when its visitor last asked, on the clock of the jobs
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = "uploading"
    clip: Clip | None = None
    time_s: float = 0.0  # up to which it is judged
    error: str = ""
    answer: dict[str, Any] | None = None
    dropped: threading.Event = field(default_factory=threading.Event)

    @property
    def upload(self) -> Path:
        return self.folder / "upload"  # a name of ours: the visitor's never becomes a path


class Jobs:
    """All clips of the page; one is judged at a time, in a thread.

    Used by the event loop alone; the thread only writes `time_s` and reads `dropped`.

    folder : where files are for as long as they are needed.      longest_s : that a film may be.
    waiting : clips that may wait while one is judged.
    """

    def __init__(
        self,
        folder: Path,
        judge: Judge,
        *,
        waiting: int,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._judge = folder, judge
        self._waiting, self._longest_s, self._clock = waiting, longest_s, clock
        self._jobs: dict[str, Job] = {}
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "judge")

    def admit(self, name: str, *, units: bool) -> Job:
        """Give a place to a clip before its first byte is read.

        Raises
        ------
        Refusal : 503, all places are taken.
        """
        busy = [job for job in self._jobs.values() if job.state in ("uploading", "waiting", "judging")]
        if len(busy) > self._waiting:
            sentence = f"{len(busy)} clips are being judged or wait; try again in a moment"
            raise Refusal(503, sentence, retry_s=RETRY_S, unread=True)
        job = Job(name, units, self._folder / secrets.token_hex(8), self._clock())
        job.folder.mkdir(mode=0o700)
        self._jobs[job.id] = job
        return job

    def submit(self, job: Job, clip: Clip) -> None:
        """Let an uploaded clip wait for its turn."""
        job.clip, job.state, job.asked_at = clip, "waiting", self._clock()
        self._queue.put_nowait(job)

    def get(self, job_id: str) -> Job:
        """Return a clip that its visitor asks for; it stays for `KEPT_S` from now on.

        Raises
        ------
        Refusal : 404, it is not there any more.
        """
        if (job := self._jobs.get(job_id)) is None:
            raise Refusal(404, "this clip is not here any more; nothing is kept for long, so choose it again")
        job.asked_at = self._clock()
        return job

    def status(self, job: Job) -> dict[str, Any]:
        """Say how far it is: state, clips ahead of it, share that is judged (None: unknown), and answer or error."""
        waiting = [other for other in self._jobs.values() if other.state == "waiting"]
        judging = any(other.state == "judging" for other in self._jobs.values())
        known = job.clip is not None and job.clip.duration_s > 0
        return {
            "id": job.id,
            "name": job.name,
            "state": job.state,
            "ahead": waiting.index(job) + judging if job in waiting else 0,
            "time_s": round(job.time_s, 2),
            "share": min(1.0, job.time_s / job.clip.duration_s) if known else None,
            "error": job.error or None,
            "answer": job.answer,
        }

    def drop(self, job: Job) -> None:
        """Forget a clip with all its files; one that is judged is left off at its next picture."""
        job.dropped.set()
        if job.state != "judging":  # its thread still writes there
            self._forget(job)

    def sweep(self) -> None:
        """Drop what nobody asked for in a while, and the oldest answers where there are many."""
        done = [job for job in self._jobs.values() if job.state in ("done", "failed")]
        old = [job for job in self._jobs.values() if self._clock() - job.asked_at > KEPT_S and job.state != "uploading"]
        for job in {*old, *sorted(done, key=lambda job: job.asked_at)[: max(0, len(done) - MOST_ANSWERS)]}:
            self.drop(job)

    async def work(self) -> None:
        """Judge one clip after the other, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            job = await self._queue.get()
            if not job.dropped.is_set():
                job.state = "judging"
                await loop.run_in_executor(self._thread, self._judge_one, job)
                self._settle(job)

    def close(self) -> None:
        """Leave off everything; returns when the thread has ended."""
        for job in list(self._jobs.values()):
            job.dropped.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
        for job in list(self._jobs.values()):
            self._forget(job)

    def _judge_one(self, job: Job) -> None:
        """Judge a clip, in the thread; its answer or error is noted in it."""
        limit_s = LIMIT_FACTOR * self._longest_s

        def tell(time_s: float) -> None:
            job.time_s = time_s
            if job.dropped.is_set():
                raise _Dropped
            if time_s > limit_s:  # its head did not say how long it is, or lied
                raise Refusal(422, too_long(job.name, time_s, self._longest_s))

        facts = {"name": job.name, "has_sound": job.clip.has_sound, "units": job.units}
        try:
            job.answer = self._judge(job.upload, job.folder, tell=tell, **facts)
        except _Dropped:
            pass
        except (MienError, Refusal) as error:
            job.error = told(error, job.upload, job.name)
        except Exception:  # a fault of ours: the page goes on, the log has it
            log.exception("a clip could not be judged")
            job.error = f"{job.name}: could not be judged for a fault of the program; its log says more"

    def _settle(self, job: Job) -> None:
        """Note what became of a clip whose thread has ended; its upload is not needed any more."""
        job.state = "failed" if job.error else "done"
        job.asked_at = self._clock()
        with contextlib.suppress(OSError):
            job.upload.unlink(missing_ok=True)
        if job.dropped.is_set():
            self._forget(job)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)


STATIC = Path(__file__).parent / "static"
SWEEP_S = 5.0  # between two looks for what is not needed any more
PREFIX = "mien-serve-"  # of the temporary folder; then the number of the process
_FILES = {"film.mp4": "video/mp4", "timeline.csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What judges: the page knows nothing else of the networks."""

    classes: tuple[str, ...]
    rate_hz: int  # of the sound that the networks hear
    judge: Judge  # a clip
    live: Callable[[bool], Live]  # makes a follower of a camera, with action units or without


def build_app(engine: Engine, settings: ServeConfig, *, hosts: frozenset[str]) -> FastAPI:
    """Return the page. Its files are in a temporary folder that exists while it runs.

    hosts : under which it is reached, with the port.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
            limits = {"waiting": settings.waiting, "longest_s": settings.upload_s}
            app.state.jobs = Jobs(Path(folder), engine.judge, **limits)
            app.state.cameras = Cameras(engine.live, rate_hz=engine.rate_hz)
            tasks = [asyncio.create_task(app.state.jobs.work()), asyncio.create_task(_sweep(app))]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                app.state.jobs.close()
                app.state.cameras.close()

    app = FastAPI(openapi_url=None, lifespan=lifespan)
    app.add_middleware(Guard, hosts=hosts)
    _add_errors(app)
    _add_clips(app, settings)
    _add_cameras(app)
    page = _settings(engine, settings)
    app.get("/api/settings")(lambda: page)
    app.get("/", include_in_schema=False)(lambda: FileResponse(STATIC / "index.html", headers=_FRESH))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


_FRESH = {"Cache-Control": "no-cache"}  # a newer version is seen at once


def _settings(engine: Engine, settings: ServeConfig) -> dict[str, Any]:
    """Return what the page must know to be drawn."""
    return {
        "classes": [{"name": name, "colour": colour_of(name)} for name in engine.classes],
        "units": list(AU_NAMES),
        "upload_mib": settings.upload_mib,
        "upload_s": settings.upload_s,
        "pictures_per_s": MOST_RATE,
        "sound_s": MOST_SOUND_S,
        "camera_s": LONGEST_S,
    }


def _add_errors(app: FastAPI) -> None:
    """Answer every error with {"error": one sentence}."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        return refusal.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, status_code=422)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, status_code=error.status_code, headers=error.headers)


def _add_clips(app: FastAPI, settings: ServeConfig) -> None:
    def jobs() -> Jobs:
        return app.state.jobs

    @app.post("/api/clips", status_code=202)
    async def upload(request: Request, name: str = "clip", units: bool = False) -> dict[str, Any]:
        """Take a clip, the body of the request, and let it wait for its turn."""
        most_bytes = settings.upload_mib * MIB
        refuse_huge(request, most_bytes=most_bytes)
        job = jobs().admit(base_name(name), units=units)
        try:
            await receive(request, job.upload, most_bytes=most_bytes)
            clip = await asyncio.to_thread(examine, job.upload, job.name, longest_s=settings.upload_s)
        except BaseException:
            jobs().drop(job)
            raise
        jobs().submit(job, clip)
        return jobs().status(job)

    @app.get("/api/clips/{job_id}")
    async def status(job_id: str) -> dict[str, Any]:
        return jobs().status(jobs().get(job_id))

    @app.delete("/api/clips/{job_id}", status_code=204)
    async def forget(job_id: str) -> None:
        jobs().drop(jobs().get(job_id))

    @app.get("/api/clips/{job_id}/{file}")
    async def fetch(job_id: str, file: str) -> Response:
        """Return the film or the table of a clip that is done."""
        job: Job = jobs().get(job_id)
        if file not in _FILES:
            raise Refusal(404, f"a clip has {' and '.join(_FILES)}")
        if job.state != "done":
            raise Refusal(409, job.error or f"{job.name}: is not judged yet")
        return FileResponse(job.folder / file, media_type=_FILES[file], filename=f"{Path(job.name).stem}.{file}")


def _add_cameras(app: FastAPI) -> None:
    def all_cameras() -> Cameras:
        return app.state.cameras

    @app.post("/api/cameras", status_code=201)
    async def begin(units: bool = False) -> dict[str, Any]:
        """Begin to watch a camera of a browser."""
        return {"id": all_cameras().open(units=units).id}

    @app.post("/api/cameras/{camera_id}/moments")
    async def look(
        request: Request, camera_id: str, time_s: float, sound_bytes: int = 0, sound_hz: int = 48000
    ) -> dict[str, Any]:
        """Look at a picture: the body is the sound since the last one (16 bit, mono), and then a JPEG."""
        most = MOST_JPEG + int(MOST_SOUND_S * RATES_HZ[1]) * SAMPLE.itemsize
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise Refusal(413, "this is more than a picture and its sound", unread=True)
        except ClientDisconnect:
            raise Refusal(400, "the picture broke off") from None
        return await all_cameras().look(camera_id, time_s, bytes(body), sound_bytes, sound_hz)

    @app.delete("/api/cameras/{camera_id}", status_code=204)
    async def end(camera_id: str) -> None:
        all_cameras().end(camera_id)


async def _sweep(app: FastAPI) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        app.state.jobs.sweep()
        app.state.cameras.sweep()


def engine_of(models: Models, *, watch: WatchConfig, candide: CandideConfig) -> Engine:
    """Return what judges clips and cameras with these networks, which must be warm."""

    def judge(
        clip: Path, folder: Path, *, name: str, has_sound: bool, units: bool, tell: Callable[[float], None]
    ) -> dict[str, Any]:
        trace = Trace(models.classes)

        def note(moment: Moment) -> None:
            trace.add(moment)
            tell(moment.time_s)

        write_film(clip, folder / "film.mp4", models, watch=watch, candide=candide if units else None, on_moment=note)
        trace.write_csv(folder / "timeline.csv")
        return trace.answer(name, has_sound=has_sound)

    def live(units: bool) -> Live:
        return Live(models, watch=watch, candide=candide if units else None)

    return Engine(classes=models.classes, rate_hz=models.sound.rate_hz, judge=judge, live=live)


HOST = "127.0.0.1"
MOST_CONNECTIONS = 64
END_S = 3  # for answers under way when it ends


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1; 0: any free one")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", default=[], metavar="FILE", help="model.safetensors of running networks"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="where training left its models")


def run(args) -> None:
    """Serve the page until Ctrl-C."""
    import torch

    from mien.apps.models import load_live, trained_live
    from mien.apps.streaming import warm_up

    params = schema.load(args.config)
    settings = schema.section(schema.ServeConfig, params, "serve")
    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide")
    torch.set_num_threads(max(1, args.jobs))
    files = args.checkpoint
    if not files:
        corpus = schema.section(schema.StreamingConfig, params, "streaming").corpus
        files = trained_live(args.results, watch, corpus=corpus)
    with listen(settings.port if args.port is None else args.port) as door:
        models = load_live(files)
        warm_up(models)
        remove_leftovers()
        with contextlib.suppress(KeyboardInterrupt):
            serve(engine_of(models, watch=watch, candide=candide), settings, door)


def listen(port: int) -> socket.socket:
    """Return a socket at 127.0.0.1 that listens.

    Raises
    ------
    ConfigError : the port is none, or taken.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"--port {port}: a port is in 0..65535")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigError(f"{HOST}:{port} cannot be used ({error.strerror}); choose another --port, or 0") from error


def serve(engine, settings: schema.ServeConfig, door: socket.socket) -> None:
    """Answer at a socket until a signal ends it."""
    server, address = make_server(engine, settings, door)
    print(f"open {address} in a browser on this machine; Ctrl-C ends", flush=True)
    server.run(sockets=[door])


def make_server(engine, settings: schema.ServeConfig, door: socket.socket):
    """Return the uvicorn server of the page, and the address of the page."""
    import uvicorn

    port = door.getsockname()[1]
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")} | ({HOST, "localhost"} if port == 80 else set())
    options = uvicorn.Config(
        build_app(engine, settings, hosts=frozenset(hosts)),
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=END_S,
    )
    return uvicorn.Server(options), f"http://{HOST}:{port}/"


def remove_leftovers() -> None:
    """Remove the folders of servers that were killed before they could."""

    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
