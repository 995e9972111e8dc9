"""Command `serve`: a page on this machine where a clip or a camera is judged, in any browser.

It is reached on the loopback interface only. Uploads and films lie in a temporary folder until they are fetched, for
some minutes at most; nothing is kept.
"""

import asyncio
import contextlib
import io
import logging
import math
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from mien.apps.watch import write_film
from mien.candide.mesh import AU_NAMES
from mien.config import schema
from mien.config.labels import colour_of
from mien.errors import ConfigError, MediaError, MienError

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    from mien.apps.models import StreamingModels
    from mien.apps.streaming import EmotionStream, Moment

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
END_S = 3  # for answers under way when it ends


def serve(
    *,
    port: int | None = None,
    checkpoint: list[Path] | None = None,
    results: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Serve a page where you drop a clip, or use your camera, and see the emotion.

    The page is at 127.0.0.1 and reached from this machine only. Nothing is kept. Ctrl-C ends it.

    Examples:

        mien serve
        mien serve --port 0 --jobs 4

    Parameters
    ----------
    port
        Port on 127.0.0.1, by default that of section `serve`; 0: any free one.
    checkpoint
        Model files (model.safetensors) of streaming networks to use instead of the best trained ones.
    results
        Folder with the trained models.
    config
        File with the parameters.
    jobs
        Number of threads.
    """
    import torch

    from mien.apps.models import find_streaming, load_streaming
    from mien.apps.streaming import warm_up

    params = schema.load(config)
    settings = schema.section(schema.ServeConfig, params, "serve")
    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide")
    torch.set_num_threads(max(1, jobs))
    files = checkpoint or find_streaming(results, params)
    with listen(settings.port if port is None else port) as door:
        models = load_streaming(files)
        warm_up(models)
        remove_leftovers()
        server = make_server(make_engine(models, watch=watch, candide=candide), settings)
        print(f"open http://{HOST}:{door.getsockname()[1]}/ in a browser on this machine; Ctrl-C ends", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[door])


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


def make_server(engine: "Engine", settings: schema.ServeConfig):
    """Return the uvicorn server of the page."""
    import uvicorn

    options = {"log_config": None, "log_level": "warning", "access_log": False, "timeout_graceful_shutdown": END_S}
    return uvicorn.Server(uvicorn.Config(build_app(engine, settings), **options))


STATIC = Path(__file__).parent / "static"
SWEEP_S = 5.0  # between two looks for what is not needed any more
PREFIX = "mien-serve-"  # of the temporary folder; then the number of the process
_FILES = {"film.mp4": "video/mp4", "timeline.csv": "text/csv; charset=utf-8"}
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",  # a newer version is seen at once
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
    " frame-ancestors 'none'",
}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What judges: the page knows nothing else of the networks.

    Attributes
    ----------
    judge : (clip, folder, name, has_sound, units, tell) -> answer. Writes film.mp4 and timeline.csv into the folder
        and calls `tell` with the time of every picture; an exception that this raises ends the work.
    stream : makes an `EmotionStream` for a camera, with action units or without.
    """

    classes: tuple[str, ...]
    rate_hz: int  # of the sound that the networks hear
    judge: Callable[..., dict[str, Any]]
    stream: Callable[[bool], "EmotionStream"]


def make_engine(models: "StreamingModels", *, watch: schema.WatchConfig, candide: schema.CandideConfig) -> Engine:
    """Return what judges clips and cameras with these networks, which must be warm."""
    from mien.apps.streaming import EmotionStream

    def judge(
        clip: Path, folder: Path, *, name: str, has_sound: bool, units: bool, tell: Callable[[float], None]
    ) -> dict[str, Any]:
        summary = FilmSummary(models.classes)

        def note(moment: "Moment") -> None:
            summary.add(moment)
            tell(moment.time_s)

        options = {"watch": watch, "candide": candide if units else None, "on_moment": note}
        write_film(clip, folder / "film.mp4", models, timeline=folder / "timeline.csv", **options)
        return summary.make_answer(name, has_sound=has_sound)

    def stream(units: bool) -> EmotionStream:
        return EmotionStream(models, watch=watch, candide=candide if units else None)

    return Engine(classes=models.classes, rate_hz=models.sound.rate_hz, judge=judge, stream=stream)


def build_app(engine: Engine, settings: schema.ServeConfig) -> FastAPI:
    """Return the page. Its files are in a temporary folder that exists while it runs."""

    @contextlib.asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
            app.state.jobs = Jobs(Path(folder), engine.judge, waiting=settings.waiting, longest_s=settings.upload_s)
            app.state.cameras = Cameras(engine.stream, rate_hz=engine.rate_hz)
            sweeping = asyncio.create_task(_sweep(app))
            try:
                yield
            finally:
                sweeping.cancel()
                await app.state.jobs.close()

    # A site elsewhere can make its own name lead to 127.0.0.1 (DNS rebinding): then the header Host is its name. It can
    # also send requests from its own page: then the browser says so in the header Origin.
    app = FastAPI(openapi_url=None, lifespan=run, dependencies=[Depends(_refuse_other_sites)])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    page = {
        "classes": [{"name": name, "colour": colour_of(name)} for name in engine.classes],
        "units": list(AU_NAMES),
        "upload_mib": settings.upload_mib,
        "upload_s": settings.upload_s,
        "pictures_per_s": PICTURES_PER_S,
        "sound_s": MOST_SOUND_S,
    }
    app.get("/api/settings")(lambda: page)
    app.get("/", include_in_schema=False)(lambda: FileResponse(STATIC / "index.html", headers=_PAGE_HEADERS))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_clips(app, settings)
    _add_cameras(app)
    return app


def _refuse_other_sites(request: Request) -> None:
    if request.headers.get("origin") not in (None, f"http://{request.headers.get('host')}"):
        raise HTTPException(403, "another site may not use this page")


async def _sweep(app: FastAPI) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        app.state.jobs.sweep()
        app.state.cameras.sweep()


def remove_leftovers() -> None:
    """Remove the folders of servers that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


async def _read_body(request: Request, write: Callable[[bytes], Any], *, most_bytes: int, remedy: str) -> None:
    """Hand the body of a request to `write`, up to a limit.

    What is beyond is read too, and thrown away: a browser shows the answer only after it could send everything.
    """
    n_bytes = 0
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes <= most_bytes:
                write(chunk)
    except ClientDisconnect:
        raise HTTPException(400, "the upload broke off") from None
    if n_bytes > most_bytes:
        raise HTTPException(
            413, f"it has {n_bytes / MIB:.0f} MiB, and at most {most_bytes / MIB:g} are taken; {remedy}"
        )


# ---- clips ----------------------------------------------------------------------------------------------------------

MIB = 2**20
MOST_PIXELS = 4096 * 2304  # of a picture; a larger one would take memory for seconds of work
KEPT_S = 300.0  # that a clip stays for which nobody asks any more
LIMIT_FACTOR = 1.02  # by which a film may be longer than its head says, and than is allowed
# FFmpeg also knows play lists, which would make it read other files and addresses.
_ONLY_FILMS = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,avi,flv,mpeg,mpegvideo,asf,ogg,mpegts"}


def _add_clips(app: FastAPI, settings: schema.ServeConfig) -> None:
    @app.post("/api/clips", status_code=202)
    async def upload(request: Request, name: str = "clip", units: bool = False) -> dict[str, Any]:
        """Take a clip, the body of the request, and let it wait for its turn."""
        jobs: Jobs = app.state.jobs
        limit = {"most_bytes": settings.upload_mib * MIB, "remedy": "cut the clip"}
        try:
            job = jobs.admit(base_name(name), units=units)
        except HTTPException:
            await _read_body(request, len, **limit)
            raise
        try:
            with job.upload.open("wb") as file:
                await _read_body(request, file.write, **limit)
            job.duration_s, job.has_sound = await asyncio.to_thread(
                examine, job.upload, job.name, longest_s=settings.upload_s
            )
        except BaseException:
            jobs.drop(job)
            raise
        jobs.start(job)
        return jobs.describe(job)

    @app.get("/api/clips/{job_id}")
    async def describe(job_id: str) -> dict[str, Any]:
        return app.state.jobs.describe(app.state.jobs.get(job_id))

    @app.delete("/api/clips/{job_id}", status_code=204)
    async def drop(job_id: str) -> None:
        app.state.jobs.drop(app.state.jobs.get(job_id))

    @app.get("/api/clips/{job_id}/{file}")
    async def fetch(job_id: str, file: str) -> FileResponse:
        """Return the film or the table of a clip that is done."""
        job: Job = app.state.jobs.get(job_id)
        if file not in _FILES:
            raise HTTPException(404, f"a clip has {' and '.join(_FILES)}")
        if job.state != "done":
            raise HTTPException(409, job.error or f"{job.name}: is not judged yet")
        what = {"media_type": _FILES[file], "filename": f"{Path(job.name).stem}.{file}"}
        return FileResponse(job.folder / file, headers={"Cache-Control": "no-store"}, **what)


def base_name(text: str) -> str:
    """Return a file name to show: no folders of any system, nothing invisible, never empty."""
    name = "".join(sign for sign in PureWindowsPath(text).name if sign.isprintable()).strip(" .")
    return name[-120:] or "clip"


def examine(path: Path, name: str, *, longest_s: float) -> tuple[float, bool]:
    """Return the length in s (NaN where not declared) of what was uploaded as `name`, and whether it has sound.

    Raises
    ------
    HTTPException : 415 it is no film, whatever its name says, or is damaged; 422 it is too long or too large.
    """
    import av

    try:
        with av.open(str(path), options=_ONLY_FILMS) as container:
            is_cover = av.stream.Disposition.attached_pic
            sizes = [(one.width, one.height) for one in container.streams.video if not one.disposition & is_cover]
            duration_s = container.duration / av.time_base if container.duration else math.nan
            has_sound = bool(container.streams.audio)
    except av.error.FFmpegError as error:
        kinds = "choose a whole MP4, MOV, MKV, WebM, AVI or FLV"
        raise HTTPException(415, f"{name}: cannot be read as a film ({error.strerror}); {kinds}") from error
    if not sizes:
        raise HTTPException(415, f"{name}: has no moving picture; a sound alone is judged by: mien predict")
    width, height = sizes[0]
    if not 0 < width * height <= MOST_PIXELS:
        raise HTTPException(
            422, f"{name}: its pictures are {width}x{height}; up to {MOST_PIXELS / 1e6:.1f} Mpx are taken"
        )
    if duration_s > longest_s:
        raise HTTPException(422, _too_long(name, duration_s, longest_s))
    return duration_s, has_sound


def _too_long(name: str, duration_s: float, longest_s: float) -> str:
    return f"{name}: is {duration_s:.0f} s long, and at most {longest_s:g} s are taken; cut the clip"


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
    duration_s: float = math.nan  # as declared
    has_sound: bool = False
    time_s: float = 0.0  # up to which it is judged
    error: str = ""
    answer: dict[str, Any] | None = None
    dropped: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task | None = None

    @property
    def upload(self) -> Path:
        return self.folder / "upload"  # a name of ours: the visitor's never becomes a path


class Jobs:
    """All clips of the page; one is judged at a time, in a thread.

    Used by the event loop alone; the thread only writes `time_s` and reads `dropped`.

    Parameters
    ----------
    folder
        Where files are for as long as they are needed.
    waiting
        Clips that may wait while one is judged.
    longest_s
        That a film may be.
    """

    def __init__(
        self,
        folder: Path,
        judge: Callable,
        *,
        waiting: int,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._judge = folder, judge
        self._waiting, self._longest_s, self._clock = waiting, longest_s, clock
        self._jobs: dict[str, Job] = {}
        self._turn = asyncio.Lock()

    def admit(self, name: str, *, units: bool) -> Job:
        """Give a place to a clip before its first byte is read.

        Raises
        ------
        HTTPException : 503, all places are taken.
        """
        busy = [job for job in self._jobs.values() if job.state in ("uploading", "waiting", "judging")]
        if len(busy) > self._waiting:
            raise HTTPException(503, f"{len(busy)} clips are being judged or wait; try again in a moment")
        job = Job(name, units, self._folder / secrets.token_hex(8), self._clock())
        job.folder.mkdir(mode=0o700)
        self._jobs[job.id] = job
        return job

    def start(self, job: Job) -> None:
        """Let an uploaded clip wait for its turn."""
        job.state, job.asked_at = "waiting", self._clock()
        job.task = asyncio.create_task(self._run(job))

    def get(self, job_id: str) -> Job:
        """Return a clip that its visitor asks for; it stays for `KEPT_S` from now on.

        Raises
        ------
        HTTPException : 404, it is not there any more.
        """
        if (job := self._jobs.get(job_id)) is None:
            raise HTTPException(404, "this clip is not here any more; nothing is kept for long, so choose it again")
        job.asked_at = self._clock()
        return job

    def describe(self, job: Job) -> dict[str, Any]:
        """Say how far it is: state, clips ahead of it, share that is judged (None: unknown), and answer or error."""
        waiting = [other for other in self._jobs.values() if other.state == "waiting"]
        return {
            "id": job.id,
            "name": job.name,
            "state": job.state,
            "ahead": waiting.index(job) + self._turn.locked() if job in waiting else 0,
            "time_s": round(job.time_s, 2),
            "share": min(1.0, job.time_s / job.duration_s) if job.duration_s > 0 else None,
            "error": job.error or None,
            "answer": job.answer,
        }

    def drop(self, job: Job) -> None:
        """Forget a clip with all its files; one that is judged is left off at its next picture."""
        job.dropped.set()
        if job.state != "judging":  # its thread still writes there
            self._forget(job)

    def sweep(self) -> None:
        """Drop what nobody asked for in a while."""
        for job in list(self._jobs.values()):
            if self._clock() - job.asked_at > KEPT_S and job.state != "uploading":
                self.drop(job)

    async def close(self) -> None:
        """Leave off everything; returns when the thread has ended."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for job in list(self._jobs.values()):
            self.drop(job)
        await asyncio.gather(*tasks)

    async def _run(self, job: Job) -> None:
        async with self._turn:
            if not job.dropped.is_set():
                job.state = "judging"
                await asyncio.to_thread(self._judge_one, job)
                job.state = "failed" if job.error else "done"
                job.asked_at = self._clock()
                job.upload.unlink(missing_ok=True)  # not needed any more
        if job.dropped.is_set():
            self._forget(job)

    def _judge_one(self, job: Job) -> None:
        """Judge a clip, in the thread; its answer or error is noted in it."""

        def tell(time_s: float) -> None:
            job.time_s = time_s
            if job.dropped.is_set():
                raise _Dropped
            if time_s > LIMIT_FACTOR * self._longest_s:  # its head did not say how long it is, or lied
                raise MediaError(_too_long(job.name, time_s, self._longest_s))

        facts = {"name": job.name, "has_sound": job.has_sound, "units": job.units}
        try:
            job.answer = self._judge(job.upload, job.folder, tell=tell, **facts)
        except _Dropped:
            pass
        except MienError as error:
            job.error = str(error).replace(str(job.upload), job.name)
        except Exception:  # a fault of ours: the page goes on, the log has it
            log.exception("a clip could not be judged")
            job.error = f"{job.name}: could not be judged for a fault of the program; its log says more"

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)


# ---- what a film showed from beginning to end -----------------------------------------------------------------------

USUAL_S = 0.04  # that a picture is shown for, where there is only one


class FilmSummary:
    """Collects the moments of a film as stretches with one answer each."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.n_pictures = self.n_faces = self.n_heard = 0
        self.people: set[int] = set()
        self.last_s = 0.0
        self._stretches: list[dict[str, Any]] = []
        self._key = ""
        self._units: list[np.ndarray] = []

    def add(self, moment: "Moment") -> None:
        """Take the next moment."""
        self.n_pictures += 1
        self.n_faces += any(face.found for face in moment.faces)
        self.n_heard += moment.heard
        self.people |= {face.person for face in moment.faces}
        self.last_s = moment.time_s
        facts = _describe(moment, self.classes)
        if str(facts) != self._key:
            self._key = str(facts)
            self._finish(moment.time_s)
            self._stretches.append({"start_s": moment.time_s, "end_s": moment.time_s, **facts})
        if moment.faces and moment.faces[0].units is not None:
            self._units.append(moment.faces[0].units)

    def make_answer(self, name: str, *, has_sound: bool) -> dict[str, Any]:
        """Return everything as JSON has it: verdict, what is missing and why, stretches.

        The verdict is the emotion that was shown for most of the time; of equals the one that was there first.
        """
        end_s = self.last_s + (self.last_s / (self.n_pictures - 1) if self.n_pictures > 1 else USUAL_S)
        self._finish(end_s)
        seconds = dict.fromkeys(self.classes, 0.0)
        seen = [stretch for stretch in self._stretches if stretch["label"] is not None]
        for stretch in seen:
            seconds[stretch["label"]] += stretch["end_s"] - stretch["start_s"]
        in_order = dict.fromkeys(stretch["label"] for stretch in seen)
        verdict = {
            "label": max(in_order, key=lambda label: round(seconds[label], 6), default=None),
            "seconds": {label: round(value, 3) for label, value in seconds.items()},
            "judged_s": round(sum(seconds.values()), 3),
            "last": self._stretches[-1]["label"] if self._stretches else None,
        }
        reasons = {}
        if self.n_faces == 0:
            reasons["face"] = f"there is none in {self.n_pictures} picture{'s' * (self.n_pictures != 1)}"
        if not has_sound:
            reasons["voice"] = "the clip has no sound"
        elif self.n_heard == 0:
            reasons["voice"] = "the sound is silent" if end_s >= 1.0 else "the sound is shorter than a second"
        rounded = [
            {**one, "start_s": round(one["start_s"], 3), "end_s": round(one["end_s"], 3)} for one in self._stretches
        ]
        return {
            "clip": name,
            "duration_s": round(end_s, 3),
            "classes": list(self.classes),
            "people": len(self.people),
            "sound": has_sound,
            "missing": sorted(reasons),
            "reasons": reasons,
            "verdict": verdict,
            "sentence": self._phrase(verdict, reasons),
            "timeline": rounded,
        }

    def _finish(self, end_s: float) -> None:
        """End the newest stretch."""
        if self._stretches:
            mean = np.mean(self._units, axis=0) if self._units else None
            units = {name: round(float(u), 3) for name, u in zip(AU_NAMES, mean, strict=True)} if self._units else None
            self._stretches[-1] |= {"end_s": end_s, "units": units}
        self._units = []

    def _phrase(self, verdict: dict[str, Any], reasons: dict[str, str]) -> str:
        lacking = " and ".join(f"no {name} ({reason})" for name, reason in reasons.items())
        if verdict["label"] is None:
            return f"There is nothing to judge: {lacking}." if lacking else "It is too short to be judged."
        share = verdict["seconds"][verdict["label"]] / verdict["judged_s"]
        text = verdict["label"].capitalize() + (" all the time" if share > 0.995 else f" for {share:.0%} of the time")
        if verdict["last"] not in (verdict["label"], None):
            text += f", {verdict['last']} at the end"
        used = [part for part in ("face", "voice") if any(part in one["basis"] for one in self._stretches)]
        text += f". Judged by {' and '.join(f'the {part}' for part in used)}{' alone' * (len(used) == 1)}"
        text += f": {lacking}." if lacking else "."
        if len(self.people) > 1:
            text += f" {len(self.people)} people were seen; this is about the one in front."
        return text


def _describe(moment: "Moment", classes: tuple[str, ...]) -> dict[str, Any]:
    """Return a moment without its picture and its time, as JSON has it."""
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


# ---- cameras of browsers: each sends pictures with the sound between them, and gets an answer to each ---------------

MOST_SESSIONS = 2
IDLE_S = 20.0  # without a picture, after which a session ends
PICTURES_PER_S = 10.0  # that are asked for
MOST_JPEG = 2**20  # bytes of a picture
MOST_CAMERA_PIXELS = 1920 * 1080
MOST_SOUND_S = 5.0  # that comes with one picture
MOST_HZ = 192000
SLACK_S = 0.5  # by which sound may be early or late before it is moved: microphones start late and pause
SAMPLE = np.dtype("<i2")


def _add_cameras(app: FastAPI) -> None:
    @app.post("/api/cameras", status_code=201)
    async def begin(units: bool = False) -> dict[str, Any]:
        """Begin to watch a camera of a browser."""
        return {"id": app.state.cameras.open(units=units).id}

    @app.post("/api/cameras/{camera_id}/moments")
    async def look(
        request: Request,
        camera_id: str,
        time_s: Annotated[float, Query(ge=0, allow_inf_nan=False)],
        sound_bytes: Annotated[int, Query(ge=0, multiple_of=SAMPLE.itemsize)] = 0,
        sound_hz: Annotated[int, Query(ge=8000, le=MOST_HZ)] = 48000,
    ) -> dict[str, Any]:
        """Look at a picture: the body is the sound since the last one (16 bit, mono), and then a JPEG."""
        most, body = MOST_JPEG + int(MOST_SOUND_S * MOST_HZ) * SAMPLE.itemsize, bytearray()
        await _read_body(request, body.extend, most_bytes=most, remedy="send a smaller picture")
        if sound_bytes > min(len(body), MOST_SOUND_S * sound_hz * SAMPLE.itemsize):
            raise HTTPException(422, f"with a picture comes at most {MOST_SOUND_S:g} s of sound")
        camera: Camera = app.state.cameras.get(camera_id)
        async with camera.lock:
            work = (bytes(body[sound_bytes:]), bytes(body[:sound_bytes]), sound_hz)
            return await asyncio.to_thread(camera.look, time_s, *work)

    @app.delete("/api/cameras/{camera_id}", status_code=204)
    async def end(camera_id: str) -> None:
        app.state.cameras.end(camera_id)


class Camera:
    """One session: an `EmotionStream` that is fed from a browser; its calls may not overlap."""

    def __init__(self, stream: "EmotionStream", *, rate_hz: int, now: float) -> None:
        self.id = secrets.token_urlsafe(16)
        self.last_at = now
        self.lock = asyncio.Lock()
        self._stream, self._rate_hz = stream, rate_hz
        self._resampler = None
        self._heard_hz = 0
        self._n_samples = 0  # handed to the stream
        self._time_s = -math.inf

    def look(self, time_s: float, jpeg: bytes, sound: bytes, sound_hz: int) -> dict[str, Any]:
        """Take a picture and the sound since the last one, and return what is seen and heard, in px of the picture.

        Raises
        ------
        HTTPException : 422, it is no JPEG, too large, or not later than the one before it.
        """
        picture = _read_jpeg(jpeg)
        if not time_s > self._time_s:
            raise HTTPException(422, f"the picture at {time_s:.3f} s came after the one at {self._time_s:.3f} s")
        self._time_s = time_s
        if sound:
            self._add_sound(time_s, np.frombuffer(sound, SAMPLE), sound_hz)
        moment, classes = self._stream.add_picture(time_s, picture), self._stream.classes
        people = [
            {
                "person": face.person,
                "region": [round(float(value), 1) for value in face.region],
                "found": face.found,
                "label": _label(face.probabilities, classes),
                "units": None if face.units is None else [round(float(value), 3) for value in face.units],
            }
            for face in moment.faces
        ]
        size = list(picture.shape[1::-1])
        return {"time_s": round(time_s, 3), "size": size, "people": people, **_describe(moment, classes)}

    def _add_sound(self, time_s: float, samples: np.ndarray, sound_hz: int) -> None:
        """Hand sound over that ends about now; silence stands where some is missing."""
        from mien.audio.resample import Resampler

        if sound_hz != self._heard_hz:
            self._resampler, self._heard_hz = Resampler(sound_hz, self._rate_hz), sound_hz
        wave = self._resampler.take(samples.astype(np.float32) / 32768.0)
        late = round(time_s * self._rate_hz) - self._n_samples - len(wave)
        if late > SLACK_S * self._rate_hz:
            wave = np.concatenate([np.zeros(late, np.float32), wave])
        elif late < -SLACK_S * self._rate_hz:
            wave = wave[-late:]
        self._n_samples += len(wave)
        self._stream.add_sound(wave)


def _read_jpeg(jpeg: bytes) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            if image.width * image.height > MOST_CAMERA_PIXELS:
                raise HTTPException(422, f"the picture is {image.width}x{image.height}; send a smaller one")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise HTTPException(422, "the picture is not a JPEG that can be read") from error


class Cameras:
    """All sessions; used by the event loop alone."""

    def __init__(
        self, stream: Callable[[bool], "EmotionStream"], *, rate_hz: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._rate_hz, self._clock = stream, rate_hz, clock
        self._cameras: dict[str, Camera] = {}

    def open(self, *, units: bool) -> Camera:
        """Begin a session.

        Raises
        ------
        HTTPException : 503, as many as may are open.
        """
        self.sweep()
        if len(self._cameras) >= MOST_SESSIONS:
            raise HTTPException(503, f"{MOST_SESSIONS} cameras are watched already; stop one")
        camera = Camera(self._stream(units), rate_hz=self._rate_hz, now=self._clock())
        self._cameras[camera.id] = camera
        return camera

    def get(self, camera_id: str) -> Camera:
        """Return the session that sends a picture now.

        Raises
        ------
        HTTPException : 404, it has ended.
        """
        self.sweep()
        if (camera := self._cameras.get(camera_id)) is None:
            raise HTTPException(404, "this session has ended; start the camera again")
        camera.last_at = self._clock()
        return camera

    def end(self, camera_id: str) -> None:
        """End a session."""
        self._cameras.pop(camera_id, None)

    def sweep(self) -> None:
        """End the sessions that are silent."""
        for camera in list(self._cameras.values()):
            if self._clock() - camera.last_at > IDLE_S and not camera.lock.locked():
                self.end(camera.id)
