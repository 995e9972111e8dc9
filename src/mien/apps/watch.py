"""Command `watch`: the emotion of a film, a camera or a pipe as it runs; and the one loop from a source to its outputs.

One thread reads ahead and one writes behind the thread that works; FFmpeg, dlib and torch let them run.
"""

import contextlib
import csv
import logging
import math
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mien.apps import Jobs, Models
from mien.apps.predict import row_cells, row_columns
from mien.config import schema
from mien.errors import ConfigError, MediaError
from mien.io import media
from mien.io.files import atomic_file

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    from mien.apps.engine import Engine, Moment, Row
    from mien.apps.models import Model
    from mien.apps.page import MjpegPage
    from mien.apps.reference import PersonReference
    from mien.apps.sources import Source

log = logging.getLogger(__name__)

LATE_S = 0.1  # behind the clock, from which a picture is dropped
LEAST_S = 0.5  # after which one is looked at however late it is, or a slow decoder would leave nothing to see
AHEAD = 8  # pictures of the source that wait
BEHIND = 4  # moments that wait to be shown
POLL_S = 0.1  # between two looks at whether to stop
PATIENCE_S = 2.0  # for a reader that should end, before it is left to itself
_END = object()


def watch(
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    out: Path | None = None,
    timeline: Path | None = None,
    units: bool = False,
    realtime: bool = False,
    cropped: bool = False,
    reference: Path | None = None,
    checkpoint: list[Path] | None = None,
    results: Models = None,
    config: str = "",
    jobs: Jobs = 1,
) -> None:
    """Show the emotion in a film, a camera or a pipe while it runs: every half a second, of the last two seconds.

    Predictions are those of `mien predict` for the same windows; during the first two seconds a window is shorter.

    Without --out and --timeline the annotated picture is shown on a page at 127.0.0.1, whose address is printed; a film
    waits for the first viewer. Every picture of a film is processed, however long that takes. With a camera or
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
        Write a CSV with a row per person and window, as `mien predict` does.
    units
        Show the eight action units of the main face.
    realtime
        Let the clock run for a film too.
    cropped
        Every picture is a face and nothing else, cut out already: none is looked for.
    reference
        Folder with other recordings of the person, whose voice and face are then judged beside what is usual for them;
        for models that were trained with normalise: subject.
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

    from mien.apps.engine import LIVE_HOLD_S, Engine, warm_up
    from mien.apps.models import find_trained, load_models
    from mien.apps.reference import read_reference
    from mien.apps.sources import open_source

    params = schema.load(config)
    predict = schema.section(schema.PredictConfig, params, "predict")
    windows = {"window_s": predict.window_s, "hop_s": predict.hop_s}
    settings = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide") if units else None
    torch.set_num_threads(jobs)
    _check_places(source, out, timeline)
    names = checkpoint or find_trained(results, predict.corpus, predict)
    models = load_models(names, reference=reference is not None)
    own = read_reference([reference], models) if reference is not None else None
    warm_up(models, **windows)
    film = open_source(source, rate_hz=models[0].sound.rate_hz)
    hold_s = LIVE_HOLD_S if film.live else math.inf
    use = {"forget_s": settings.forget_s, "hold_s": hold_s, "candide": candide, "cropped": cropped, "reference": own}
    engine = Engine(models, **windows, **use)
    with _stop_on_interrupt() as stop, contextlib.ExitStack() as stack:
        page = None
        if not out and not timeline:
            from mien.apps.page import MjpegPage

            page = stack.enter_context(MjpegPage())
        outputs = Outputs(film, engine.classes, watch=settings, units=units, out=out, timeline=timeline, page=page)
        stack.enter_context(outputs)
        if page:
            print(f"open {page.address} in a browser on this machine; Ctrl-C ends", flush=True)
            while not film.live and not stop.is_set() and not page.watched.wait(LATE_S):
                pass
        clock = Clock(drops=film.live or realtime, paces=realtime or page is not None, stop=stop)
        count = run_stream(film, engine, outputs, clock=clock)
        problem = "" if stop.is_set() else film.problem or outputs.problem
        if film.problem or stop.is_set():
            outputs.end_sound()
    interrupted = ["interrupted"] if stop.is_set() else []
    written = [f"{name}: {path}" for name, path in (("film", out), ("timeline", timeline)) if path is not None]
    referred = [f"reference of the person: {engine.reference}"] if engine.reference != "none" else []
    print(f"{source}: {'; '.join([*count.describe(), *referred, *interrupted, *written])}", flush=True)
    if problem:
        raise MediaError(problem)


def write_film(
    path: Path,
    out: Path,
    models: "list[Model]",
    *,
    predict: schema.PredictConfig,
    watch: schema.WatchConfig,
    candide: schema.CandideConfig | None = None,
    timeline: Path | None = None,
    on_moment: Callable[["Moment"], None] | None = None,
    cropped: bool = False,
    reference: "PersonReference | None" = None,
) -> "Engine":
    """Write the annotated film of `path` to `out`: every picture at its own time, with the sound.

    Returns the engine, which knows the verdict then.

    Parameters
    ----------
    candide
        How the mesh is fitted; None: no action units.
    timeline
        Where the CSV of `mien watch` is written, if it is wanted.
    on_moment
        Is told every moment; what it raises ends the film.
    cropped, reference
        See `Engine`.

    Raises
    ------
    MediaError : `path` cannot be decoded to its end, shows no picture, or `out` cannot be written; then there is no
        file `out`, or still the one that was there before.
    """
    from mien.apps.engine import Engine
    from mien.apps.sources import open_source

    windows = {"window_s": predict.window_s, "hop_s": predict.hop_s}
    use = {"candide": candide, "cropped": cropped, "reference": reference}
    engine = Engine(models, **windows, forget_s=watch.forget_s, **use)
    source, units = open_source(str(path), rate_hz=engine.sound.rate_hz), candide is not None
    with (
        contextlib.closing(source),
        Outputs(
            source, engine.classes, watch=watch, units=units, out=out, timeline=timeline, on_moment=on_moment
        ) as outputs,
    ):
        clock = Clock(drops=False, paces=False, stop=threading.Event())
        run_stream(source, engine, outputs, clock=clock)
        if problem := source.problem or outputs.problem:
            raise MediaError(problem)
    return engine


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


def run_stream(source: "Source", engine: "Engine", outputs: "Outputs", *, clock: "Clock") -> FrameCount:
    """Look at a source until its end or until the clock stops; `outputs` get every moment, and the rows that end.

    One thread decodes and one shows, beside this one; the source is closed at the end.

    Raises
    ------
    MediaError : the source ends before its first picture, or what was made of it cannot be written.
    """
    count = FrameCount()
    items = Prefetcher(source, stop=clock.stop, drops=source.live)
    try:
        with ThreadPoolExecutor(1, "show") as writer:
            shown: deque[Future] = deque()
            cut = False  # before the next picture that is looked at
            for item in items:
                cut |= item.cut
                if item.pixels is None:  # sound after the last picture
                    shown.append(writer.submit(outputs.write, engine.add(item.time_s, None, item.sound)))
                    continue
                late = clock.is_late(item.time_s)
                count.n_dropped += late
                count.n_frames += 1
                count.end_s = item.time_s
                if late:
                    engine.add_sound(item.sound)
                    continue
                rows, cut = engine.add(item.time_s, item.pixels, item.sound, cut), False
                moment = engine.moment(item.time_s, item.pixels)
                count.n_faces += any(face.found for face in moment.faces)
                count.n_heard += moment.heard
                now = FrameCount(count.n_frames + items.n_dropped, count.n_dropped + items.n_dropped)
                shown.append(writer.submit(outputs.write, rows))
                shown.append(writer.submit(outputs.show, moment, now.describe_drops()))
                while len(shown) > 2 * BEHIND:
                    shown.popleft().result()  # waits while too many do; an error there is raised here
            shown.append(writer.submit(outputs.write, engine.finish()))
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

    While `AHEAD` items wait, the reader does too; or, with `drops`, drops the next ones, which `n_dropped` counts.
    """

    def __init__(self, items: Iterable, *, stop: threading.Event, drops: bool = False) -> None:
        self.n_dropped = 0
        self._stop, self._done, self._drops = stop, threading.Event(), drops
        self._queue: queue.Queue = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(items,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if item is not _END:
                yield item
            elif self._error is not None:
                raise self._error
            else:
                return

    def close(self) -> bool:
        """End the reader. False if it hangs, waiting for a pipe or a camera: what it reads must then stay open."""
        self._done.set()
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()

    def _read(self, items: Iterable) -> None:
        try:
            for item in items:
                if self._drops and self._queue.full():
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


class Outputs:
    """Where moments and rows of a film go while used by `with`: the film `out`, a table, a page, who is told.

    Attributes
    ----------
    problem : why the written film has not all of its sound; else empty.
    """

    def __init__(
        self,
        source: "Source",
        classes: tuple[str, ...],
        *,
        watch: schema.WatchConfig,
        units: bool,
        out: Path | None = None,
        timeline: Path | None = None,
        page: "MjpegPage | None" = None,
        on_moment: Callable[["Moment"], None] | None = None,
    ) -> None:
        self.problem = ""
        self._on_moment = on_moment
        self._source, self._classes, self._out, self._timeline, self._page = source, classes, out, timeline, page
        self._drawing = {"timeline_s": watch.timeline_s, "units": units}
        self._film = self._rows = self._annotator = None

    def __enter__(self) -> "Outputs":
        source = self._source
        with contextlib.ExitStack() as stack:
            if self._out is not None:
                if source.has_sound and source.path is None:
                    log.info("the sound of %s is heard, but a film can keep that of a file only", source.name)
                elif source.live:
                    log.info("%s: pictures only, its microphone is not recorded", source.name)
                sound_of = source.path if source.has_sound else None
                film = media.FilmWriter(self._out, rate_fps=source.rate_fps, sound_of=sound_of)
                self._film = stack.enter_context(film)
            if self._timeline is not None:
                scratch = stack.enter_context(atomic_file(self._timeline))
                file = stack.enter_context(scratch.open("w", newline="", encoding="utf-8"))
                self._rows = csv.writer(file, lineterminator="\n")
                self._rows.writerow(row_columns(self._classes))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> bool | None:
        return self._stack.__exit__(*error)

    def show(self, moment: "Moment", remark: str) -> None:
        """Put a moment into everything that is open."""
        if self._on_moment is not None:
            self._on_moment(moment)
        if self._film is None and self._page is None:
            return
        if self._annotator is None:
            from mien.apps.annotate import Annotator

            self._annotator = Annotator(self._classes, size=moment.picture.shape[1::-1], **self._drawing)
        annotated = self._annotator.draw(moment, remark=remark)
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

    def write(self, rows: "list[Row]") -> None:
        """Write the rows of the windows that ended."""
        if self._rows is not None:
            self._rows.writerows(row_cells(row, self._classes) for row in rows)

    def end_sound(self) -> None:
        """Leave out the rest of the sound: that of the file goes on, the pictures do not."""
        if self._film is not None:
            self._film.end_sound()


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
