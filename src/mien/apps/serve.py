"""Command `serve`: a page on this machine where a clip or a camera is judged, in any browser.

It is reached on the loopback interface only. Uploads and films lie in a temporary folder until they are fetched, for
some minutes at most; nothing is kept.
"""

import asyncio
import contextlib
import csv
import io
import logging
import math
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from mien.apps import Jobs, Models
from mien.apps.outputs import describe_model, model_facts
from mien.apps.page import address_of, listen, make_app, make_server
from mien.apps.predict import row_cells, row_columns
from mien.apps.summary import FilmSummary, answer_of, describe_moment, name_best
from mien.apps.watch import write_film
from mien.candide.mesh import AU_NAMES
from mien.config import schema
from mien.config.labels import colour_of
from mien.errors import MediaError, MienError

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    from mien.apps.engine import Engine, Moment
    from mien.apps.models import Model
    from mien.apps.reference import PersonReference

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
PREFIX = "mien-serve-"  # of the temporary folder; then the number of the process
SWEEP_S = 5.0  # between two looks for what is not needed any more
MIB = 2**20
_FILES = {"film.mp4": "video/mp4", "timeline.csv": "text/csv; charset=utf-8"}
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",  # a newer version is seen at once
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
    " frame-ancestors 'none'",
}

# Clips.
MOST_PIXELS = 4096 * 2304  # of a picture; a larger one would take memory for seconds of work
KEPT_S = 300.0  # that a clip stays for which nobody asks any more
LIMIT_FACTOR = 1.02  # by which a film may be longer than its head says, and than is allowed

# Cameras of browsers: each sends pictures with the sound between them, and gets an answer to each.
MOST_CAMERAS = 2
IDLE_S = 20.0  # without a picture, after which a camera is forgotten
PICTURES_PER_S = 10.0  # that are asked for
MOST_JPEG = 2**20  # bytes of a picture
MOST_CAMERA_PIXELS = 1920 * 1080
MOST_SOUND_S = 5.0  # that comes with one picture
MOST_HZ = 192000
SLACK_S = 0.5  # by which sound may be early or late before it is moved: microphones start late and pause
SAMPLE = np.dtype("<i2")


def serve(
    *,
    port: int | None = None,
    reference: Path | None = None,
    checkpoint: list[Path] | None = None,
    results: Models = None,
    config: str = "",
    jobs: Jobs = 1,
) -> None:
    """Serve a page where you drop a clip, or use your camera, and see the emotion.

    The page is at 127.0.0.1 and reached from this machine only. Nothing is kept. Ctrl-C ends it.

    Examples:

        mien serve
        mien serve --port 0 --jobs 4
        mien serve --reference earlier/

    Parameters
    ----------
    port
        Port on 127.0.0.1, by default that of section `serve`; 0: any free one.
    reference
        Folder with other recordings of the person whom all clips and cameras show: see mien predict.
    checkpoint
        Model files (model.safetensors) to use instead of the best trained ones.
    results
        Folder with models: of `mien export_model`, or results of the workflow; by default $MIEN_MODELS, or of results
        here, those beside mien and what came with it the first that was trained on people.
    config
        File with the parameters; by default params.yaml here, or the one that came with mien.
    jobs
        Number of threads.
    """
    import torch

    from mien.apps.engine import warm_up
    from mien.apps.models import find_trained, load_models
    from mien.apps.reference import read_reference

    params = schema.load(config)
    predict = schema.section(schema.PredictConfig, params, "predict")
    settings = schema.section(schema.ServeConfig, params, "serve")
    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide")
    torch.set_num_threads(jobs)
    files = checkpoint or find_trained(results, predict.corpus, predict)
    with listen(settings.port if port is None else port) as door:
        models = load_models(files, reference=reference is not None)
        own = read_reference([reference], models) if reference is not None else None
        warm_up(models, window_s=predict.window_s, hop_s=predict.hop_s)
        remove_leftovers()
        sections = {"predict": predict, "watch": watch, "candide": candide, "settings": settings}
        server = make_server(build_app(models, **sections, reference=own))
        print(f"open {address_of(door)} in a browser on this machine; Ctrl-C ends", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[door])


def remove_leftovers() -> None:
    """Remove the folders of servers that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def build_app(
    models: "list[Model]",
    *,
    predict: schema.PredictConfig,
    watch: schema.WatchConfig,
    candide: schema.CandideConfig,
    settings: schema.ServeConfig,
    reference: "PersonReference | None" = None,
) -> FastAPI:
    """Return the page, whose networks must be warm. Its files are in a temporary folder that exists while it runs."""

    @contextlib.asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        state = app.state
        state.models, state.predict, state.watch, state.candide = models, predict, watch, candide
        state.settings, state.reference = settings, reference
        state.clips = SessionStore(
            KEPT_S, "this clip is not here any more; nothing is kept for long, so choose it again"
        )
        state.cameras = SessionStore(IDLE_S, "this session has ended; start the camera again")
        state.pool = ThreadPoolExecutor(1, "judge")  # one clip is judged at a time
        sweeping = asyncio.create_task(_sweep(state.clips, state.cameras))
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
            state.folder = Path(folder)
            yield
            sweeping.cancel()
            for clip_id in list(state.clips):
                state.clips.drop(clip_id)
            await asyncio.to_thread(state.pool.shutdown)

    app = make_app(lifespan=run, dependencies=[Depends(_refuse_other_sites)])
    page = {
        "classes": [{"name": name, "colour": colour_of(name)} for name in models[0].settings.classes],
        "units": list(AU_NAMES),
        "judged_by": "; reference of the person: ".join(
            [describe_model(model_facts(models[0])), *([reference.describe()] if reference else [])]
        ),
        "upload_mib": settings.upload_mib,
        "upload_s": settings.upload_s,
        "pictures_per_s": PICTURES_PER_S,
        "sound_s": MOST_SOUND_S,
    }
    app.get("/api/settings")(lambda: page)
    app.get("/")(lambda: FileResponse(STATIC / "index.html", headers=_PAGE_HEADERS))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(api)
    return app


def _refuse_other_sites(request: Request) -> None:
    """Refuse requests that another site sends from its own page: the browser says so in the header Origin."""
    if request.headers.get("origin") not in (None, f"http://{request.headers.get('host')}"):
        raise HTTPException(403, "another site may not use this page")


async def _sweep(*visits: "SessionStore") -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        for one in visits:
            one.sweep()


@dataclass(eq=False, kw_only=True)
class Session:
    """Something that a visitor began, which is dropped if nobody asks for it in a while unless it `is_busy`."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    asked_at: float = field(default_factory=time.monotonic)  # when the visitor last asked
    is_busy = False

    def close(self) -> None:
        """Free what it holds."""


class SessionStore(dict[str, Any]):
    """Id -> clip or camera; used by the event loop alone."""

    def __init__(self, kept_s: float, gone: str) -> None:
        super().__init__()
        self.kept_s, self.gone = kept_s, gone

    def ask(self, visit_id: str) -> Any:
        """Return what a visitor asks for; it stays for `kept_s` from now on.

        Raises
        ------
        HTTPException : 404, it is not there any more.
        """
        if (visit := self.get(visit_id)) is None:
            raise HTTPException(404, self.gone)
        visit.asked_at = time.monotonic()
        return visit

    def drop(self, visit_id: str) -> None:
        if (visit := self.pop(visit_id, None)) is not None:
            visit.close()

    def sweep(self) -> None:
        """Drop what nobody asked for in a while."""
        for visit in list(self.values()):
            if time.monotonic() - visit.asked_at > self.kept_s and not visit.is_busy:
                self.drop(visit.id)


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


class _DroppedError(Exception):
    """Nobody wants the answer any more."""


@dataclass(eq=False, kw_only=True)
class Clip(Session):
    """A clip from its upload to its answer. Its thread writes `time_s`, `error` and `answer` and reads `dropped`."""

    name: str
    folder: Path
    longest_s: float  # that it may be
    duration_s: float = math.nan  # as declared
    has_sound: bool = False
    kind: str = "film"  # or sound, or picture
    time_s: float = 0.0  # up to which it is judged
    error: str = ""
    answer: dict[str, Any] | None = None
    dropped: threading.Event = field(default_factory=threading.Event)
    work: Future | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700)

    @property
    def upload(self) -> Path:
        """A name of ours: the visitor's never becomes a path."""
        return self.folder / "upload"

    @property
    def state(self) -> str:
        """Return uploading, waiting, judging, done or failed."""
        if self.work is None:
            return "uploading"
        if not self.work.done():
            return "judging" if self.work.running() else "waiting"
        return "failed" if self.error else "done"

    @property
    def is_busy(self) -> bool:
        return self.work is None

    def close(self) -> None:
        """Remove all files; a clip that is judged is left off at its next picture, and they go then."""
        self.dropped.set()
        work = self.work or Future()
        work.cancel()
        work.add_done_callback(lambda _: shutil.rmtree(self.folder, ignore_errors=True))

    def examine(self) -> None:
        """Find what it is, its declared length, and whether there is sound.

        Raises
        ------
        HTTPException : 415 it is nothing that can be judged, whatever its name says, or is damaged; 422 it is too long
            or too large.
        """
        from mien.io import isolated

        try:
            if isolated.is_still(self.upload):
                self.kind = "picture"
                self._shrink(isolated.read_image(self.upload))
                return
            facts = isolated.probe(self.upload)
        except MediaError as error:
            found = str(error).removeprefix(f"{self.upload}: ")
            kinds = "choose a whole film, sound file or picture"
            raise HTTPException(415, f"{self.name}: cannot be read ({found}); {kinds}") from error
        if not facts.has_video and not facts.has_audio:
            raise HTTPException(415, f"{self.name}: has neither a picture nor a sound")
        if facts.has_video:
            self._check_size(*facts.size)
        else:
            self.kind = "sound"
        self.duration_s, self.has_sound = facts.duration_s, facts.has_audio
        if self.duration_s > self.longest_s:
            raise HTTPException(422, self._too_long(self.duration_s))

    def _shrink(self, picture: np.ndarray) -> None:
        """Put a smaller copy in the place of a photograph (H, W, 3) of more than `MOST_PIXELS`, as phones take them."""
        from PIL import Image

        height, width, _ = picture.shape
        if (scale := math.sqrt(MOST_PIXELS / (width * height))) < 1:
            size = (max(1, int(width * scale)), max(1, int(height * scale)))
            Image.fromarray(picture).resize(size, Image.Resampling.BOX).save(self.upload, "JPEG", quality=95)

    def _check_size(self, width: int, height: int) -> None:
        if not 0 < width * height <= MOST_PIXELS:
            most = f"up to {MOST_PIXELS / 1e6:.1f} Mpx are taken"
            raise HTTPException(422, f"{self.name}: its pictures are {width}x{height}; {most}")

    def _too_long(self, duration_s: float) -> str:
        return f"{self.name}: is {duration_s:.0f} s long, and at most {self.longest_s:g} s are taken; cut the clip"

    def judge(
        self,
        models: "list[Model]",
        *,
        predict: schema.PredictConfig,
        watch: schema.WatchConfig,
        candide: schema.CandideConfig | None,
        cropped: bool = False,
        reference: "PersonReference | None" = None,
    ) -> None:
        """Write film.mp4 and timeline.csv into the folder, and note the answer or the error; in the thread.

        A sound or a picture has no film.
        """
        from mien.apps.recording import judge_file

        summary = FilmSummary(models[0].settings.classes)

        def note(moment: "Moment") -> None:
            summary.add(moment)
            self.time_s = moment.time_s
            if self.dropped.is_set():
                raise _DroppedError
            if self.time_s > LIMIT_FACTOR * self.longest_s:  # its head did not say how long it is, or lied
                raise MediaError(self._too_long(self.time_s))

        film, timeline = (self.folder / name for name in _FILES)
        try:
            if self.kind == "film":
                how = {"predict": predict, "watch": watch, "candide": candide}
                how |= {"cropped": cropped, "reference": reference}
                engine = write_film(self.upload, film, models, **how, timeline=timeline, on_moment=note)
                self.answer = summary.make_answer(self.name, has_sound=self.has_sound, verdict=engine.verdict)
            else:
                windows = {"window_s": predict.window_s, "hop_s": predict.hop_s, "forget_s": watch.forget_s}
                found = judge_file(self.upload, models, **windows, cropped=cropped, reference=reference)
                rows = [row_columns(found.classes), *(row_cells(row, found.classes) for row in found.rows)]
                with timeline.open("w", encoding="utf-8", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(rows)
                self.answer = answer_of(found, self.name, kind=self.kind)
        except _DroppedError:
            pass
        except MienError as error:
            self.error = str(error).replace(str(self.upload), self.name)
        except Exception:  # a fault of ours: the page goes on, the log has it
            log.exception("a clip could not be judged")
            self.error = f"{self.name}: could not be judged for a fault of the program; its log says more"
        self.asked_at = time.monotonic()
        self.upload.unlink(missing_ok=True)  # not needed any more


api = APIRouter(prefix="/api")


@api.post("/clips", status_code=202)
async def upload_clip(
    request: Request, name: str = "clip", units: bool = False, cropped: bool = False
) -> dict[str, Any]:
    """Take a clip, the body of the request, and let it wait for its turn.

    cropped : its pictures are a face and nothing else.
    """
    state, settings = request.app.state, request.app.state.settings
    limit = {"most_bytes": settings.upload_mib * MIB, "remedy": "cut the clip"}
    n_busy = sum(clip.state in ("uploading", "waiting", "judging") for clip in state.clips.values())
    if n_busy > settings.waiting:
        await _read_body(request, len, **limit)
        raise HTTPException(503, f"{n_busy} clips are being judged or wait; try again in a moment")
    folder = state.folder / secrets.token_hex(8)
    clip = Clip(name=base_name(name), folder=folder, longest_s=settings.upload_s)
    state.clips[clip.id] = clip
    try:
        with clip.upload.open("wb") as file:
            await _read_body(request, file.write, **limit)
        await asyncio.to_thread(clip.examine)
    except BaseException:
        state.clips.drop(clip.id)
        raise
    candide = state.candide if units else None
    how = {"predict": state.predict, "watch": state.watch, "candide": candide}
    how |= {"cropped": cropped, "reference": state.reference}
    clip.work = state.pool.submit(clip.judge, state.models, **how)
    return await describe_clip(request, clip.id)


def base_name(text: str) -> str:
    """Return a file name to show: no folders of any system, nothing invisible, never empty."""
    name = "".join(sign for sign in PureWindowsPath(text).name if sign.isprintable()).strip(" .")
    return name[-120:] or "clip"


@api.get("/clips/{clip_id}")
async def describe_clip(request: Request, clip_id: str) -> dict[str, Any]:
    """Say how far it is: state, clips ahead of it, share that is judged (None: unknown), and answer or error."""
    clips: SessionStore = request.app.state.clips
    clip: Clip = clips.ask(clip_id)
    queued = [other for other in clips.values() if other.state in ("waiting", "judging")]
    return {
        "id": clip.id,
        "name": clip.name,
        "state": clip.state,
        "ahead": queued.index(clip) if clip in queued else 0,
        "time_s": round(clip.time_s, 2),
        "share": min(1.0, clip.time_s / clip.duration_s) if clip.duration_s > 0 else None,
        "error": clip.error or None,
        "answer": clip.answer,
    }


@api.delete("/clips/{clip_id}", status_code=204)
async def drop_clip(request: Request, clip_id: str) -> None:
    clips: SessionStore = request.app.state.clips
    clips.drop(clips.ask(clip_id).id)


@api.get("/clips/{clip_id}/{file}")
async def fetch_file(request: Request, clip_id: str, file: str) -> FileResponse:
    """Return the film or the table of a clip that is done."""
    clip: Clip = request.app.state.clips.ask(clip_id)
    if file not in _FILES:
        raise HTTPException(404, f"a clip has {' and '.join(_FILES)}")
    if clip.state != "done":
        raise HTTPException(409, clip.error or f"{clip.name}: is not judged yet")
    if not (clip.folder / file).is_file():
        raise HTTPException(404, f"{clip.name}: a {clip.kind} has no film")
    what = {"media_type": _FILES[file], "filename": f"{Path(clip.name).stem}.{file}"}
    return FileResponse(clip.folder / file, headers={"Cache-Control": "no-store"}, **what)


# ---- cameras --------------------------------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class Camera(Session):
    """An `Engine` that is fed from a browser; its calls may not overlap."""

    engine: "Engine"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    resampler: Any = None
    heard_hz: int = 0
    n_samples: int = 0  # handed to the engine
    time_s: float = -math.inf

    @property
    def is_busy(self) -> bool:
        return self.lock.locked()

    def look(self, time_s: float, jpeg: bytes, sound: bytes, sound_hz: int) -> dict[str, Any]:
        """Take a picture and the sound since the last one, and return what is seen and heard, in px of the picture.

        Raises
        ------
        HTTPException : 422, it is no JPEG, too large, or not later than the one before it.
        """
        picture = _read_jpeg(jpeg)
        if not time_s > self.time_s:
            raise HTTPException(422, f"the picture at {time_s:.3f} s came after the one at {self.time_s:.3f} s")
        self.time_s = time_s
        if sound:
            self._add_sound(np.frombuffer(sound, SAMPLE), sound_hz)
        self.engine.add_picture(time_s, picture)
        moment, classes = self.engine.moment(time_s, picture), self.engine.classes
        people = [
            {
                "person": face.person,
                "region": [round(float(value), 1) for value in face.region],
                "found": face.found,
                "label": name_best(face.probabilities, classes),
                "units": None if face.units is None else [round(float(value), 3) for value in face.units],
            }
            for face in moment.faces
        ]
        size = list(picture.shape[1::-1])
        return {"time_s": round(time_s, 3), "size": size, "people": people, **describe_moment(moment, classes)}

    def _add_sound(self, samples: np.ndarray, sound_hz: int) -> None:
        """Hand sound over that ends about now; silence stands where some is missing."""
        from mien.audio.resample import Resampler

        rate_hz = self.engine.sound.rate_hz
        if sound_hz != self.heard_hz:
            self.resampler, self.heard_hz = Resampler(sound_hz, rate_hz), sound_hz
        wave = self.resampler.take(samples.astype(np.float32) / 32768.0)
        late = round(self.time_s * rate_hz) - self.n_samples - len(wave)
        if late > SLACK_S * rate_hz:
            wave = np.concatenate([np.zeros(late, np.float32), wave])
        elif late < -SLACK_S * rate_hz:
            wave = wave[-late:]
        self.n_samples += len(wave)
        self.engine.add_sound(wave)


def _read_jpeg(jpeg: bytes) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            if image.width * image.height > MOST_CAMERA_PIXELS:
                raise HTTPException(422, f"the picture is {image.width}x{image.height}; send a smaller one")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise HTTPException(422, "the picture is not a JPEG that can be read") from error


@api.post("/cameras", status_code=201)
async def open_camera(request: Request, units: bool = False) -> dict[str, Any]:
    """Begin to watch a camera of a browser."""
    from mien.apps.engine import LIVE_HOLD_S, Engine

    state = request.app.state
    state.cameras.sweep()
    if len(state.cameras) >= MOST_CAMERAS:
        raise HTTPException(503, f"{MOST_CAMERAS} cameras are watched already; stop one")
    how = {"window_s": state.predict.window_s, "hop_s": state.predict.hop_s, "forget_s": state.watch.forget_s}
    how |= {"hold_s": LIVE_HOLD_S, "candide": state.candide if units else None, "reference": state.reference}
    camera = Camera(engine=Engine(state.models, **how))
    state.cameras[camera.id] = camera
    return {"id": camera.id}


@api.post("/cameras/{camera_id}/moments")
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
    camera: Camera = request.app.state.cameras.ask(camera_id)
    async with camera.lock:
        work = (bytes(body[sound_bytes:]), bytes(body[:sound_bytes]), sound_hz)
        return await asyncio.to_thread(camera.look, time_s, *work)


@api.delete("/cameras/{camera_id}", status_code=204)
async def close_camera(request: Request, camera_id: str) -> None:
    request.app.state.cameras.drop(camera_id)
