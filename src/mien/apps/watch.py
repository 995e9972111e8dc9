"""Command ``watch``: emotion of a film, a camera or a pipe as it runs.

SOURCE is a file, `camera` or `camera:N` (pictures only, its microphone is not recorded), or `-` for a film on standard
input. With --out the annotated film is written, with the sound of a file. With --timeline a row per verdict is written
as CSV: time_s, person (empty for a voice without a face), basis (face, voice or face+voice; empty without a verdict),
label, and the probability of every class: for each picture the verdict on the main face with the voice, and what the
other faces show. With neither, the annotated picture is shown on a page at 127.0.0.1, whose address is printed; a film
waits for the first viewer.

Every picture of a film is looked at, however long that takes. With a camera or --realtime the clock runs: pictures for
which there is no time are dropped, and counted. Ctrl-C ends the film there; what was written until then is whole.

The annotated film of a recording: what the running networks see and hear in it, as `mien watch` shows it live.

A page on this machine that shows a running film: motion JPEG, which every browser plays in an image.

Two threads beside the one that works: one reads ahead, one writes behind. FFmpeg, dlib and torch let them run.
"""

import contextlib
import csv
import logging
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.apps.annotate import Painter
from mien.apps.models import Models
from mien.apps.sources import Sound, open_source
from mien.apps.streaming import Live, Moment
from mien.config import schema
from mien.config.schema import CandideConfig, WatchConfig
from mien.errors import ConfigError, MediaError
from mien.io import media
from mien.io.files import atomic_file


def write_film(
    path: Path,
    out: Path,
    models: Models,
    *,
    watch: WatchConfig,
    candide: CandideConfig | None = None,
    on_moment: Callable[[Moment], None] | None = None,
) -> int:
    """Write the annotated film of `path` to `out`: every picture at its own time, with the sound; return their number.

    With `candide`, the action units of the main face are shown too. `on_moment` is told every moment; what it raises
    ends the film.

    Raises
    ------
    MediaError : `path` cannot be decoded to its end, shows no picture, or `out` cannot be written; then there is no
        file `out`, or still the one that was there before.
    """
    live, painter, n_pictures = Live(models, watch=watch, candide=candide), None, 0
    with contextlib.closing(open_source(str(path), rate_hz=models.sound.rate_hz)) as source:
        sound_of = path if source.has_sound else None
        with media.FilmWriter(out, rate_fps=source.rate_fps, sound_of=sound_of) as film:
            for item in source:
                if isinstance(item, Sound):
                    live.listen(item.samples)
                    continue
                if painter is None:
                    size = item.pixels.shape[1::-1]
                    painter = Painter(models.classes, size=size, timeline_s=watch.timeline_s, units=candide is not None)
                moment = live.look(item.time_s, item.pixels)
                film.write(item.time_s, painter.paint(moment))
                if on_moment is not None:
                    on_moment(moment)
                n_pictures += 1
            if source.problem:
                raise MediaError(source.problem)
    return n_pictures


def why_no_film(path: Path) -> str:
    """Say why there is no film to write of a clip; empty where there is one."""
    if path.suffix.lower() in media.IMAGE_SUFFIXES:
        return "a still picture has no film"
    if path.suffix.lower() in media.SOUND_SUFFIXES or not media.probe(path).has_video:
        return "a sound without pictures has no film"
    return ""


def film_paths(clips: Sequence[Path], stems: Sequence[str], out: Path, *, alone: bool) -> list[Path]:
    """Return where the film of each clip is written: `out` itself for one clip, else <stem>.mp4 in the folder `out`.

    alone : one file was named, neither several nor a folder.

    Raises
    ------
    ConfigError : a folder is needed and `out` is a file or has the name of a film, or a film would take the place of
        a clip.
    MediaError : the one film has a name that is none of a film.
    """
    if alone and not out.is_dir():
        media.FilmWriter(out)  # refuses what it could not write
        films = [out]
    elif out.is_file() or (not out.is_dir() and out.suffix.lower() in media.FILM_SUFFIXES):
        raise ConfigError(f"{out}: --video should be a folder where there are several clips")
    else:
        films = [out / f"{stem}.mp4" for stem in stems]
    sources = {clip.resolve() for clip in clips}
    if over := next((film for film in films if film.resolve() in sources), None):
        raise ConfigError(f"{over}: --video would write over this clip; name another place")
    return films


HOST = "127.0.0.1"
QUALITY = 85  # of the JPEGs
_END_S = 2.0  # for viewers to get the last picture
_WAIT_S = 1.0  # for a picture, until it is looked whether the viewer is still there: each one holds a thread
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>mien watch</title>
<style>body{margin:0;background:#14171c;display:grid;place-items:center;min-height:100vh}
img{max-width:100vw;max-height:100vh}</style><img src="film" alt="the film as it is judged"></html>"""
_BOUNDARY = "picture"


class Page:
    """Serves the newest picture on a free port of the loopback address, for as long as it is used with `with`.

    address : of the page, to open in a browser.      watched : an event that the first viewer sets.
    """

    def __init__(self) -> None:
        self.watched = threading.Event()
        self._socket = socket.create_server((HOST, 0))
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        self._jpeg, self._number, self._ended = b"", 0, False
        self._changed = threading.Condition()

    def __enter__(self) -> "Page":
        import uvicorn

        config = uvicorn.Config(self._app(), log_level="warning", timeout_graceful_shutdown=int(_END_S))
        self._server = uvicorn.Server(config)
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

    def show(self, picture: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 RGB to all viewers from now on."""
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def _app(self):
        from fastapi import FastAPI
        from fastapi.responses import HTMLResponse, StreamingResponse
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        app = FastAPI(openapi_url=None)
        # A page elsewhere whose name was made to lead here (DNS rebinding) does not get the pictures.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        app.get("/", response_class=HTMLResponse)(lambda: _PAGE)
        film = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        app.get("/film")(lambda: StreamingResponse(self._film(), media_type=film))
        return app

    def _film(self) -> Iterator[bytes]:
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


AHEAD = 8  # items that wait
BEHIND = 4
TURN_S = 0.1  # between two looks at whether to stop
PATIENCE_S = 2.0  # for a reader that should end, before it is left to itself
_END = object()


class Ahead:
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
                item = self._queue.get(timeout=TURN_S)
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
                self._queue.put(item, timeout=TURN_S)
                return


class Behind:
    """Calls `work` on one item after the other in a thread of its own; use it with `with`, which waits for the last.

    An error there is raised here, by the next `put` or at the end.
    """

    def __init__(self, work: Callable[[Any], None]) -> None:
        self._work = work
        self._queue: queue.Queue = queue.Queue(BEHIND)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Behind":
        self._thread.start()
        return self

    def put(self, item: Any) -> None:
        """Hand over an item; waits while too many do."""
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def __exit__(self, kind, error, trace) -> None:
        self._queue.put(_END)
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        while (item := self._queue.get()) is not _END:
            if self._error is None:  # after an error items are taken, so that nobody waits, and left out
                try:
                    self._work(item)
                except BaseException as error:
                    self._error = error


log = logging.getLogger(__name__)

LATE_S = 0.1  # behind the clock, from which a picture is dropped
LEAST_S = 0.5  # after which one is looked at however late it is, or a slow decoder would leave nothing to see


@dataclass
class Count:
    """What became of the pictures of a film."""

    n_frames: int = 0
    n_dropped: int = 0
    n_faces: int = 0  # pictures with a face
    n_heard: int = 0  # pictures after a second of sound that is not silent
    end_s: float = 0.0  # time of the newest

    def dropped(self) -> str:
        """Say how many were dropped; empty for none."""
        return f"dropped {self.n_dropped} of {self.n_frames} frames" if self.n_dropped else ""


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("source", metavar="SOURCE", help="a film, camera, camera:N, or - for a film on standard input")
    kinds = ", ".join(media.FILM_SUFFIXES)
    parser.add_argument("--out", type=Path, metavar="FILM", help=f"write the annotated film ({kinds})")
    parser.add_argument("--timeline", type=Path, metavar="CSV", help="write the verdicts as a table")
    parser.add_argument("--units", action="store_true", help="show the eight action units of the main face")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", default=[], metavar="FILE", help="model.safetensors of running networks"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="where training left its models")
    parser.add_argument("--realtime", action="store_true", help="let the clock run for a film too")


def run(args) -> None:
    """Watch the source to its end, or until Ctrl-C, and say in a line what there was."""
    import torch

    from mien.apps.models import load_live, trained_live
    from mien.apps.sources import open_source
    from mien.apps.streaming import Live, warm_up

    params = schema.load(args.config)
    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide") if args.units else None
    torch.set_num_threads(max(1, args.jobs))
    _check_places(args)
    files = args.checkpoint
    if not files:
        files = trained_live(
            args.results, watch, corpus=schema.section(schema.StreamingConfig, params, "streaming").corpus
        )
    models = load_live(files)
    warm_up(models)
    source = open_source(args.source, rate_hz=models.sound.rate_hz)
    with _ends_on_interrupt() as stop, contextlib.ExitStack() as stack:
        outlets = Outlets(source, models.classes, watch=watch, units=args.units)
        clock = Clock(drops=source.live or args.realtime, paces=bool(args.realtime), stop=stop)
        if args.out:
            stack.enter_context(outlets.film(args.out))
        if args.timeline:
            stack.enter_context(outlets.timeline(args.timeline))
        if not args.out and not args.timeline:
            page = stack.enter_context(outlets.page())
            print(f"open {page.address} in a browser on this machine; Ctrl-C ends", flush=True)
            clock.paces = True
            while not source.live and not stop.is_set() and not page.watched.wait(LATE_S):
                pass
        count = follow(source, Live(models, watch=watch, candide=candide), outlets.show, clock=clock)
        problem = outlets.end(source.problem, interrupted=stop.is_set())
    print(_line(args, count, interrupted=stop.is_set()), flush=True)
    if problem:
        raise MediaError(problem)


def follow(source, live, show: Callable, *, clock: "Clock") -> Count:
    """Look at a source until its end or until the clock stops; `show` gets every moment and the remark on it.

    One thread decodes and one shows, beside this one; the source is closed at the end.

    Raises
    ------
    MediaError : the source ends before its first picture, or what was made of it cannot be written.
    """
    from mien.apps.sources import Picture, Sound

    count = Count()
    may_drop = (lambda item: isinstance(item, Picture)) if source.live else None
    ahead = Ahead(source, stop=clock.stop, may_drop=may_drop)
    try:
        with Behind(lambda shown: show(*shown)) as behind:
            for item in ahead:
                if isinstance(item, Sound):
                    live.listen(item.samples)
                    continue
                late = clock.is_late(item.time_s)
                count.n_dropped += late
                count.n_frames += 1
                count.end_s = item.time_s
                if late:
                    continue
                moment = live.look(item.time_s, item.pixels)
                count.n_faces += any(face.found for face in moment.faces)
                count.n_heard += moment.heard
                now = Count(count.n_frames + ahead.n_dropped, count.n_dropped + ahead.n_dropped)
                behind.put((moment, now.dropped()))
    finally:
        if ahead.close():
            source.close()
    count.n_frames += ahead.n_dropped
    count.n_dropped += ahead.n_dropped
    return count


class Clock:
    """The time that runs while a film does.

    drops : pictures that come too late are dropped.      paces : a picture that comes too early waits.
    stop : an event that ends the film.
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


class Outlets:
    """Where the moments of a film go: a film, a table, a page. The painter is made for the first picture."""

    def __init__(self, source, classes: tuple[str, ...], *, watch: schema.WatchConfig, units: bool) -> None:
        self._source, self._classes, self._watch, self._units = source, classes, watch, units
        self._film = self._rows = self._page = self._painter = None
        self._problem = ""

    def show(self, moment, remark: str) -> None:
        """Put a moment into everything that is open."""
        if self._rows is not None:
            self._rows.writerows(rows_of(moment, self._classes))
        if self._film is None and self._page is None:
            return
        painted = self._paint(moment, remark)
        if self._page is not None:
            self._page.show(painted)
        if self._film is not None:
            self._write(moment.time_s, painted)

    @contextlib.contextmanager
    def film(self, path: Path) -> Iterator[media.FilmWriter]:
        """Write the annotated film with the sound of a file."""
        source = self._source
        if source.has_sound and source.path is None:
            log.info("the sound of %s is heard, but a film can keep that of a file only", source.name)
        elif source.live:
            log.info("%s: pictures only, its microphone is not recorded", source.name)
        sound_of = source.path if source.has_sound else None
        with media.FilmWriter(path, rate_fps=source.rate_fps, sound_of=sound_of) as self._film:
            yield self._film

    @contextlib.contextmanager
    def timeline(self, path: Path) -> Iterator[None]:
        """Write the verdicts as CSV."""
        with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
            self._rows = csv.writer(file, lineterminator="\n")
            self._rows.writerow(["time_s", "person", "basis", "label", *self._classes])
            yield

    @contextlib.contextmanager
    def page(self) -> Iterator:
        """Show the annotated picture in a browser."""

        with Page() as self._page:
            yield self._page

    def end(self, problem: str, *, interrupted: bool) -> str:
        """Prepare for the end; return what is to be reported: that the source is not whole."""
        if self._film is not None and (interrupted or problem):
            self._film.end_sound()  # that of the file goes on, the pictures do not
        return "" if interrupted else problem or self._problem

    def _paint(self, moment, remark: str):
        if self._painter is None:
            from mien.apps.annotate import Painter

            size = moment.picture.shape[1::-1]
            options = {"timeline_s": self._watch.timeline_s, "units": self._units}
            self._painter = Painter(self._classes, size=size, **options)
        return self._painter.paint(moment, remark=remark)

    def _write(self, time_s: float, painted) -> None:
        try:
            self._film.write(time_s, painted)
        except MediaError as error:
            if self._problem:
                raise  # not for its sound, then
            self._problem = str(error)
            self._film.end_sound()


def rows_of(moment, classes: tuple[str, ...]) -> list[list]:
    """Return the rows of the timeline: the verdict, and what the other faces show by themselves."""
    main = moment.faces[0].person if "face" in moment.basis else ""
    told = [(main, "+".join(moment.basis), moment.probabilities)]
    told += [(face.person, "face", face.probabilities) for face in moment.faces[1:] if face.probabilities is not None]
    rows = []
    for person, basis, probabilities in told:
        label = classes[int(probabilities.argmax())] if probabilities is not None else ""
        shares = [f"{share:.4f}" for share in probabilities] if probabilities is not None else [""] * len(classes)
        rows.append([f"{moment.time_s:.3f}", person, basis, label, *shares])
    return rows


def _check_places(args) -> None:
    """Refuse places that cannot be written before anything is computed."""
    if args.out is not None:
        media.FilmWriter(args.out)  # says so if it is not the name of a film
    source = Path(args.source)
    for place in (args.out, args.timeline):
        if place is not None and source.exists() and place.resolve() == source.resolve():
            raise ConfigError(f"{place}: is the source; name another file to write to")
    if args.out is not None and args.timeline is not None and args.out.resolve() == args.timeline.resolve():
        raise ConfigError(f"{args.out}: --out and --timeline name the same file; give each its own")
    if args.timeline is not None and args.timeline.is_dir():
        raise ConfigError(f"{args.timeline}: is a folder; name a file for the timeline")


@contextlib.contextmanager
def _ends_on_interrupt() -> Iterator[threading.Event]:
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


def _line(args, count: Count, *, interrupted: bool) -> str:
    """Say in a line what was watched: how long, what was lacking or dropped, and where it was written."""
    parts = [f"{count.n_frames} frames, {count.end_s:.1f} s"]
    parts += [name for name, n in (("no face", count.n_faces), ("no voice", count.n_heard)) if n == 0]
    parts += [count.dropped()] if count.n_dropped else []
    parts += ["interrupted"] if interrupted else []
    parts += [f"{name}: {path}" for name, path in (("film", args.out), ("timeline", args.timeline)) if path is not None]
    return f"{args.source}: {'; '.join(parts)}"
