"""The application: which address does what. All work is done by `Jobs` and `Cameras`."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mien.candide.correspondence import AU_NAMES
from mien.core.config import ServeConfig
from mien.core.palette import colour_of
from mien.predict.live import Live
from mien.predict.web import cameras
from mien.predict.web.cameras import Cameras
from mien.predict.web.guard import Guard
from mien.predict.web.jobs import Job, Jobs, Judge
from mien.predict.web.refusal import Refusal
from mien.predict.web.uploads import MIB, base_name, examine, receive, refuse_huge

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
        "pictures_per_s": cameras.MOST_RATE,
        "sound_s": cameras.MOST_SOUND_S,
        "camera_s": cameras.LONGEST_S,
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
        most = cameras.MOST_JPEG + int(cameras.MOST_SOUND_S * cameras.RATES_HZ[1]) * cameras.SAMPLE.itemsize
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
