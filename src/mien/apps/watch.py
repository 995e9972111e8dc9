"""Command `watch`: the emotion of a film, a camera or a pipe as it runs; and the one loop from a source to its outputs.

One thread reads ahead and one writes behind the thread that works; FFmpeg, dlib and torch let them run.
"""

import contextlib
import csv
import logging
import queue
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.config import schema
from mien.errors import ConfigError, MediaError
from mien.io import media
from mien.io.files import atomic_file

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    import numpy as np

    from mien.apps.models import StreamingModels
    from mien.apps.sources import Source
    from mien.apps.streaming import EmotionStream, Moment

log = logging.getLogger(__name__)

LATE_S = 0.1  # behind the clock, from which a picture is dropped
LEAST_S = 0.5  # after which one is looked at however late it is, or a slow decoder would leave nothing to see
AHEAD = 8  # items of the source that wait
BEHIND = 4  # moments that wait to be shown
POLL_S = 0.1  # between two looks at whether to stop
PATIENCE_S = 2.0  # for a reader that should end, before it is left to itself
_END = object()


def watch(
    source: str,
    /,
    *,
    out: Path | None = None,
    timeline: Path | None = None,
    units: bool = False,
    realtime: bool = False,
    checkpoint: list[Path] | None = None,
    results: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Show the emotion in a film, a camera or a pipe while it runs.

    Without --out and --timeline the annotated picture is shown on a page at 127.0.0.1, whose address is printed; a film
    waits for the first viewer. Every picture of a film is looked at, however long that takes. With a camera or
    --realtime the clock runs: pictures for which there is no time are dropped, and counted. Ctrl-C ends the film there;
    what was written until then is whole.

    Examples:

        mien watch camera
        mien watch clip.mp4 --out annotated.mp4 --timeline emotions.csv
        ffmpeg -i rtsp://door -f matroska - | mien watch -

    Parameters
    ----------
    source
        A film; `camera` or `camera:N` (its microphone is not recorded); or `-` for a film on standard input.
    out
        Write the annotated film (.mp4, .m4v, .mov, .mkv), with the sound of a file.
    timeline
        Write a CSV with a row per picture and face: time_s, person (empty for a voice without a face), basis (face,
        voice or face+voice), label, and the probability of every class.
    units
        Show the eight action units of the main face.
    realtime
        Let the clock run for a film too.
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
    from mien.apps.sources import open_source
    from mien.apps.streaming import EmotionStream, warm_up

    params = schema.load(config)
    settings = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide") if units else None
    torch.set_num_threads(max(1, jobs))
    _check_places(source, out, timeline)
    models = load_streaming(checkpoint or find_streaming(results, params))
    warm_up(models)
    film = open_source(source, rate_hz=models.sound.rate_hz)
    with _stop_on_interrupt() as stop, contextlib.ExitStack() as stack:
        sinks = Sinks(film, models.classes, watch=settings, units=units)
        clock = Clock(drops=film.live or realtime, paces=realtime, stop=stop)
        if out:
            stack.enter_context(sinks.open_film(out))
        if timeline:
            stack.enter_context(sinks.open_timeline(timeline))
        if not out and not timeline:
            page = stack.enter_context(sinks.open_page())
            print(f"open {page.address} in a browser on this machine; Ctrl-C ends", flush=True)
            clock.paces = True
            while not film.live and not stop.is_set() and not page.watched.wait(LATE_S):
                pass
        stream = EmotionStream(models, watch=settings, candide=candide)
        count = run_stream(film, stream, sinks.show, clock=clock)
        problem = "" if stop.is_set() else film.problem or sinks.problem
        if film.problem or stop.is_set():
            sinks.end_sound()
    interrupted = ["interrupted"] if stop.is_set() else []
    written = [f"{name}: {path}" for name, path in (("film", out), ("timeline", timeline)) if path is not None]
    print(f"{source}: {'; '.join([*count.describe(), *interrupted, *written])}", flush=True)
    if problem:
        raise MediaError(problem)


def write_film(
    path: Path,
    out: Path,
    models: "StreamingModels",
    *,
    watch: schema.WatchConfig,
    candide: schema.CandideConfig | None = None,
    timeline: Path | None = None,
    on_moment: Callable[["Moment"], None] | None = None,
) -> int:
    """Write the annotated film of `path` to `out`: every picture at its own time, with the sound; return their number.

    Parameters
    ----------
    candide
        How the mesh is fitted; None: no action units.
    timeline
        Where the CSV of `mien watch` is written, if it is wanted.
    on_moment
        Is told every moment; what it raises ends the film.

    Raises
    ------
    MediaError : `path` cannot be decoded to its end, shows no picture, or `out` cannot be written; then there is no
        file `out`, or still the one that was there before.
    """
    from mien.apps.sources import open_source
    from mien.apps.streaming import EmotionStream

    with contextlib.closing(open_source(str(path), rate_hz=models.sound.rate_hz)) as source:
        sinks = Sinks(source, models.classes, watch=watch, units=candide is not None)

        def show(moment: "Moment", remark: str) -> None:
            sinks.show(moment, remark)
            if on_moment is not None:
                on_moment(moment)

        with sinks.open_film(out), sinks.open_timeline(timeline) if timeline else contextlib.nullcontext():
            clock = Clock(drops=False, paces=False, stop=threading.Event())
            count = run_stream(source, EmotionStream(models, watch=watch, candide=candide), show, clock=clock)
            if problem := source.problem or sinks.problem:
                raise MediaError(problem)
    return count.n_frames


@dataclass
class FrameCount:
    """What became of the pictures of a film."""

    n_frames: int = 0
    n_dropped: int = 0
    n_faces: int = 0  # pictures with a face
    n_heard: int = 0  # pictures after a second of sound that is not silent
    end_s: float = 0.0  # time of the newest

    def describe_drops(self) -> str:
        """Say how many were dropped; empty for none."""
        return f"dropped {self.n_dropped} of {self.n_frames} frames" if self.n_dropped else ""

    def describe(self) -> list[str]:
        """Say how long the film was, and what it lacked or lost."""
        parts = [f"{self.n_frames} frames, {self.end_s:.1f} s"]
        parts += [name for name, n in (("no face", self.n_faces), ("no voice", self.n_heard)) if n == 0]
        return [*parts, self.describe_drops()] if self.n_dropped else parts


def run_stream(
    source: "Source", stream: "EmotionStream", show: Callable[["Moment", str], None], *, clock: "Clock"
) -> FrameCount:
    """Look at a source until its end or until the clock stops; `show` gets every moment and the remark on it.

    One thread decodes and one shows, beside this one; the source is closed at the end.

    Raises
    ------
    MediaError : the source ends before its first picture, or what was made of it cannot be written.
    """
    from mien.apps.sources import Picture, Sound

    count = FrameCount()
    may_drop = (lambda item: isinstance(item, Picture)) if source.live else None
    items = Prefetcher(source, stop=clock.stop, may_drop=may_drop)
    try:
        with ThreadPoolExecutor(1, "show") as writer:
            shown: deque[Future] = deque()
            for item in items:
                if isinstance(item, Sound):
                    stream.add_sound(item.samples)
                    continue
                late = clock.is_late(item.time_s)
                count.n_dropped += late
                count.n_frames += 1
                count.end_s = item.time_s
                if late:
                    continue
                moment = stream.add_picture(item.time_s, item.pixels)
                count.n_faces += any(face.found for face in moment.faces)
                count.n_heard += moment.heard
                now = FrameCount(count.n_frames + items.n_dropped, count.n_dropped + items.n_dropped)
                shown.append(writer.submit(show, moment, now.describe_drops()))
                while len(shown) > BEHIND:
                    shown.popleft().result()  # waits while too many do; an error there is raised here
            for future in shown:
                future.result()
    finally:
        if items.close():
            source.close()
    count.n_frames += items.n_dropped
    count.n_dropped += items.n_dropped
    return count


class Clock:
    """The time that runs while a film does.

    Parameters
    ----------
    drops
        Pictures that come too late are dropped.
    paces
        A picture that comes too early waits.
    stop
        An event that ends the film.
    """

    def __init__(self, *, drops: bool, paces: bool, stop: threading.Event) -> None:
        self.drops, self.paces, self.stop = drops, paces, stop
        self._start: float | None = None  # on the clock of this machine, when the film began
        self._looked = 0.0

    def is_late(self, time_s: float) -> bool:
        """Wait until the time of a picture has come; say whether there is no time for it any more."""
        now = time.monotonic()
        if self._start is None:
            self._start = self._looked = now - time_s
        lead_s = self._start + time_s - now
        if self.paces and lead_s > 0:
            self.stop.wait(lead_s)
        elif self.paces and not self.drops:
            self._start -= lead_s  # nothing is dropped: the film goes on later than it should
        late = self.drops and lead_s < -LATE_S and now - self._looked < LEAST_S
        self._looked = self._looked if late else time.monotonic()
        return late


class Prefetcher:
    """Iterates over `items` in a thread of its own, as long as `stop` is not set; an error there is raised here.

    If `may_drop` is given, the reader never waits: while too many items do, those that may be dropped are, and
    `n_dropped` counts them. Otherwise it waits.
    """

    def __init__(
        self, items: Iterable, *, stop: threading.Event, may_drop: Callable[[Any], bool] | None = None
    ) -> None:
        self.n_dropped = 0
        self._stop, self._done, self._may_drop = stop, threading.Event(), may_drop
        self._queue: queue.Queue = queue.Queue(0 if may_drop else AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(items,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if item is _END:
                if self._error is not None:
                    raise self._error
                return
            yield item

    def close(self) -> bool:
        """End the reader. False if it hangs, waiting for a pipe or a camera: what it reads must then stay open."""
        self._done.set()
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()

    def _read(self, items: Iterable) -> None:
        try:
            for item in items:
                if self._may_drop is not None and self._queue.qsize() >= AHEAD and self._may_drop(item):
                    self.n_dropped += 1
                else:
                    self._put(item)
                if self._done.is_set():
                    return
        except BaseException as error:
            self._error = error
        self._put(_END)

    def _put(self, item: Any) -> None:
        while not self._done.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=POLL_S)
                return


class Sinks:
    """Where the moments of a film go: a film, a table, a page.

    Attributes
    ----------
    problem : why the written film has not all of its sound; else empty.
    """

    def __init__(self, source: "Source", classes: tuple[str, ...], *, watch: schema.WatchConfig, units: bool) -> None:
        self.problem = ""
        self._source, self._classes, self._watch, self._units = source, classes, watch, units
        self._film = self._rows = self._page = self._annotator = None

    def show(self, moment: "Moment", remark: str) -> None:
        """Put a moment into everything that is open."""
        if self._rows is not None:
            self._rows.writerows(timeline_rows(moment, self._classes))
        if self._film is None and self._page is None:
            return
        annotated = self._annotate(moment, remark)
        if self._page is not None:
            self._page.show(annotated)
        if self._film is not None:
            try:
                self._film.write(moment.time_s, annotated)
            except MediaError as error:
                if self.problem:
                    raise  # not for its sound, then
                self.problem = str(error)
                self._film.end_sound()

    @contextlib.contextmanager
    def open_film(self, path: Path) -> Iterator[None]:
        """Write the annotated film with the sound of a file."""
        source = self._source
        if source.has_sound and source.path is None:
            log.info("the sound of %s is heard, but a film can keep that of a file only", source.name)
        elif source.live:
            log.info("%s: pictures only, its microphone is not recorded", source.name)
        sound_of = source.path if source.has_sound else None
        with media.FilmWriter(path, rate_fps=source.rate_fps, sound_of=sound_of) as self._film:
            yield

    @contextlib.contextmanager
    def open_timeline(self, path: Path) -> Iterator[None]:
        """Write the emotions as CSV."""
        with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
            self._rows = csv.writer(file, lineterminator="\n")
            self._rows.writerow(["time_s", "person", "basis", "label", *self._classes])
            yield

    @contextlib.contextmanager
    def open_page(self) -> Iterator["MjpegPage"]:
        """Show the annotated picture in a browser."""
        with MjpegPage() as self._page:
            yield self._page

    def end_sound(self) -> None:
        """Leave out the rest of the sound: that of the file goes on, the pictures do not."""
        if self._film is not None:
            self._film.end_sound()

    def _annotate(self, moment: "Moment", remark: str) -> "np.ndarray":
        if self._annotator is None:
            from mien.apps.annotate import Annotator

            size = moment.picture.shape[1::-1]
            options = {"timeline_s": self._watch.timeline_s, "units": self._units}
            self._annotator = Annotator(self._classes, size=size, **options)
        return self._annotator.draw(moment, remark=remark)


def timeline_rows(moment: "Moment", classes: tuple[str, ...]) -> list[list]:
    """Return the rows of the timeline: the main face with the voice, and what the other faces show by themselves."""
    main = moment.faces[0].person if "face" in moment.basis else ""
    told = [(main, "+".join(moment.basis), moment.probabilities)]
    told += [(face.person, "face", face.probabilities) for face in moment.faces[1:] if face.probabilities is not None]
    rows = []
    for person, basis, probabilities in told:
        label = classes[int(probabilities.argmax())] if probabilities is not None else ""
        shares = [f"{share:.4f}" for share in probabilities] if probabilities is not None else [""] * len(classes)
        rows.append([f"{moment.time_s:.3f}", person, basis, label, *shares])
    return rows


def _check_places(source: str, out: Path | None, timeline: Path | None) -> None:
    """Refuse places that cannot be written before anything is computed."""
    if out is not None:
        media.FilmWriter(out)  # says so if it is not the name of a film
    for place in (out, timeline):
        if place is not None and Path(source).exists() and place.resolve() == Path(source).resolve():
            raise ConfigError(f"{place}: is the source; name another file to write to")
    if out is not None and timeline is not None and out.resolve() == timeline.resolve():
        raise ConfigError(f"{out}: --out and --timeline name the same file; give each its own")
    if timeline is not None and timeline.is_dir():
        raise ConfigError(f"{timeline}: is a folder; name a file for the timeline")


@contextlib.contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets; pressed again, it interrupts as ever."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def interrupt(number, frame) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


HOST = "127.0.0.1"
QUALITY = 85  # of the JPEGs
_END_S = 2.0  # for viewers to get the last picture
_WAIT_S = 1.0  # for a picture, until it is looked whether the viewer is still there: each one holds a thread
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>mien watch</title>
<style>body{margin:0;background:#14171c;display:grid;place-items:center;min-height:100vh}
img{max-width:100vw;max-height:100vh}</style><img src="film" alt="the film as it is judged"></html>"""
_BOUNDARY = "picture"


class MjpegPage:
    """Serves the newest picture on a free port of the loopback interface (motion JPEG), while used by `with`.

    Attributes
    ----------
    address : of the page, to open in a browser.
    watched : an event that the first viewer sets.
    """

    def __init__(self) -> None:
        self.watched = threading.Event()
        self._socket = socket.create_server((HOST, 0))
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        self._jpeg, self._number, self._ended = b"", 0, False
        self._changed = threading.Condition()

    def __enter__(self) -> "MjpegPage":
        import uvicorn
        from fastapi import FastAPI
        from fastapi.responses import HTMLResponse, StreamingResponse
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        app = FastAPI(openapi_url=None)
        # A page elsewhere whose name was made to lead here (DNS rebinding) does not get the pictures.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        app.get("/", response_class=HTMLResponse)(lambda: _PAGE)
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        app.get("/film")(lambda: StreamingResponse(self._stream(), media_type=kind))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=int(_END_S)))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.should_exit = True
        self._thread.join(2 * _END_S)
        self._socket.close()

    def show(self, picture: "np.ndarray") -> None:
        """Show a picture (H, W, 3) uint8 RGB to all viewers from now on."""
        import cv2

        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def _stream(self) -> Iterator[bytes]:
        """Yield the newest picture whenever there is a newer one; a slow viewer misses some."""
        self.watched.set()
        number, boundary = 0, f"--{_BOUNDARY}\r\n"
        yield boundary.encode()
        while True:
            with self._changed:
                if self._number == number and not self._ended:
                    self._changed.wait(_WAIT_S)
                if is_new := self._number != number:
                    jpeg, number = self._jpeg, self._number
                elif self._ended:
                    return
            if not is_new:
                yield b""  # to a viewer who has gone, the server does not come back for more
                continue
            # The boundary behind the picture tells the browser at once that it is whole.
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + f"\r\n{boundary}".encode()
