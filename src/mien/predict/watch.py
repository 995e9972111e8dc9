"""Command ``watch``: emotion of a film, a camera or a pipe as it runs.

SOURCE is a file, `camera` or `camera:N` (pictures only, its microphone is not recorded), or `-` for a film on standard
input. With --out the annotated film is written, with the sound of a file. With --timeline a row per verdict is written
as CSV: time_s, person (empty for a voice without a face), basis (face, voice or face+voice; empty without a verdict),
label, and the probability of every class: for each picture the verdict on the main face with the voice, and what the
other faces show. With neither, the annotated picture is shown on a page at 127.0.0.1, whose address is printed; a film
waits for the first viewer.

Every picture of a film is looked at, however long that takes. With a camera or --realtime the clock runs: pictures for
which there is no time are dropped, and counted. Ctrl-C ends the film there; what was written until then is whole.
"""

import contextlib
import csv
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.core import config, media
from mien.core.errors import ConfigError, MediaError
from mien.core.files import atomic_file

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

    from mien.predict.live import Live, warm_up
    from mien.predict.live_models import load_live, trained_live
    from mien.predict.sources import open_source

    params = config.load(args.config)
    watch = config.section(config.WatchConfig, params, "watch")
    candide = config.section(config.CandideConfig, params, "candide") if args.units else None
    torch.set_num_threads(max(1, args.jobs))
    _check_places(args)
    files = args.checkpoint
    if not files:
        files = trained_live(
            args.results, watch, corpus=config.section(config.StreamingConfig, params, "streaming").corpus
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
    from mien.predict.relay import Ahead, Behind
    from mien.predict.sources import Picture, Sound

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

    def __init__(self, source, classes: tuple[str, ...], *, watch: config.WatchConfig, units: bool) -> None:
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
        from mien.predict.page import Page

        with Page() as self._page:
            yield self._page

    def end(self, problem: str, *, interrupted: bool) -> str:
        """Prepare for the end; return what is to be reported: that the source is not whole."""
        if self._film is not None and (interrupted or problem):
            self._film.end_sound()  # that of the file goes on, the pictures do not
        return "" if interrupted else problem or self._problem

    def _paint(self, moment, remark: str):
        if self._painter is None:
            from mien.predict.annotate import Painter

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
