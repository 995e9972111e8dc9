"""Clips that wait, the one that is judged, and answers that wait for their visitor; nothing stays."""

import asyncio
import contextlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mien.core.errors import MienError
from mien.predict.web.refusal import Refusal
from mien.predict.web.uploads import Clip, told, too_long

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
