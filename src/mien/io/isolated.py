"""Decode in a process of its own: whatever FFmpeg or Pillow does with a file, it ends in a result or in a sentence.

A decoder that crashes, hangs or takes all memory ends its process, and the caller gets a `MediaError`. The process
imports no torch and lives on for the next file. What a generator of `_SERVICES` yields there comes out here; arrays go
through shared memory, and the process works ahead by `AHEAD` items.
"""

import atexit
import contextlib
import fcntl
import gc
import mmap
import multiprocessing.connection
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import MediaError, MienError

PATIENCE_S = 60.0  # without a sign of life from the decoder
SIGN_S = 1.0  # between two signs of life
MEMORY_GIB = 3.0  # that the decoder may have; a picture of the largest size takes less than 1
AHEAD = 4  # items that are decoded before they are asked for
KEPT_BYTES = 2**28  # of shared memory, which a process may keep for the next file
_PAGE = mmap.PAGESIZE
_GO, _STOP = b"g", b"s"
_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28)}  # pictures reuse memory
_idle: list["_Decoder"] = []
_lock = threading.Lock()


def probe(path: Path):
    """Return what `media.probe` does."""
    return _one("probe", path)


def is_still(path: Path) -> bool:
    """Return what `media.is_still` does."""
    return _one("is_still", path)


def read_image(path: Path) -> np.ndarray:
    """Return what `media.read_image` does."""
    return _one("read_image", path)


def read_frames(path: Path, rate_fps: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """Yield what `media.read_frames` does."""
    return stream("read_frames", path, rate_fps)


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Return what `media.read_sound` does."""
    return _one("read_sound", path)


def copy_sound(path: Path, target: Path, suffix: str) -> str:
    """Do what `media.copy_sound` does."""
    return _one("copy_sound", path, target, suffix)


def play(source: Path | str, *args: Any, **options: Any) -> Iterator[Any]:
    """Yield what `film.play` does; options as of `stream`."""
    for parcel in stream("film", source, *args, **options):
        yield from parcel


def _one(service: str, path: Path, *args: Any) -> Any:
    (result,) = stream(service, path, *args)
    return result


def stream(
    service: str, source: Path | str, *args: Any, file: int | None = None, patience_s: float | None = PATIENCE_S
) -> Iterator[Any]:
    """Yield what a service yields for `source`, which names it in messages.

    Parameters
    ----------
    file
        A descriptor that the service reads, as its last argument. Its process ends afterwards.
    patience_s
        For a sign of life from the process; None: for ever, where it waits for a camera or a pipe.

    Raises
    ------
    MediaError : the service says so, or its process crashed, made no progress, or had not enough memory.
    """
    if file is not None:
        file = fcntl.fcntl(file, fcntl.F_DUPFD, 3)  # in that process 0, 1 and 2 are others
    decoder = _Decoder(file) if file is not None else _take()
    try:
        request = (service, source, *args, *([file] if file is not None else []))
        yield from decoder.run(request, source, patience_s)
    except BaseException:
        decoder.finish()
        raise
    finally:
        if file is not None:
            os.close(file)
        if decoder.is_free and file is None and decoder.is_small:
            with _lock:
                _idle.append(decoder)
        else:
            decoder.end()


def _take() -> "_Decoder":
    with _lock:
        while _idle:
            decoder = _idle.pop()
            if decoder.is_alive:
                return decoder
            decoder.end()
    return _Decoder()


@atexit.register
def end_all() -> None:
    """End the processes that wait for a next file."""
    with _lock:
        while _idle:
            _idle.pop().end()


class _Decoder:
    """A process that decodes, seen from this one."""

    def __init__(self, file: int | None = None) -> None:
        self.is_free = True
        here, there = multiprocessing.connection.Pipe()
        self._pipe, self._poller = here, _poller(here)
        self._memory = _shared_memory()
        self._view: mmap.mmap | None = None
        self._slot_bytes = 0
        fds = (there.fileno(), self._memory, *(() if file is None else (file,)))
        root = Path(__file__).parents[2]
        code = f"import sys; sys.path.insert(0, {str(root)!r}); from mien.io import isolated; isolated.serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(there.fileno()), str(self._memory)],
            stdin=subprocess.PIPE,  # which ends with this process
            env=os.environ | _ALLOCATION,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if not os.environ.get("MIEN_DECODER_ERRORS") else None,
            pass_fds=fds,
        )
        there.close()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def is_small(self) -> bool:
        """Tell whether it holds little memory for what comes next."""
        return self._slot_bytes * AHEAD <= KEPT_BYTES

    def run(self, request: tuple, source: Path | str, patience_s: float | None) -> Iterator[Any]:
        self.is_free = False
        try:
            self._pipe.send((_folder(), *request))
            while True:
                kind, content = self._receive(source, patience_s)
                if kind == "item":
                    yield content
                elif kind == "end":
                    self.is_free = True
                    return
                elif kind == "error":
                    self.is_free = True
                    raise MediaError(content)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise MediaError(f"{source}: {self._describe_exit()}") from None

    def finish(self) -> None:
        """Stop what is running, so that the process can take the next file; where it does not, end it."""
        try:
            if not self.is_free:
                self._pipe.send_bytes(_STOP)
                stop = time.monotonic() + 2.0
                while not self.is_free and self._poller.poll(max(0.0, stop - time.monotonic()) * 1000):
                    kind, _ = self._receive("", 2.0)
                    self.is_free = kind in {"end", "error"}
        except (MienError, OSError, EOFError, ValueError):
            pass

    def end(self) -> None:
        self.is_free = False
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._pipe.close()
        if self._view is not None:
            self._view.close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def _receive(self, source: Path | str, patience_s: float | None) -> tuple[str, Any]:
        if not self._poller.poll(None if patience_s is None else patience_s * 1000):
            raise MediaError(
                f"{source}: its decoder made no progress for {patience_s:.0f} s and was ended; the file is damaged"
            )
        kind, content, slot, slot_bytes, sizes = pickle.loads(self._pipe.recv_bytes())
        if kind != "item":
            return kind, content
        if slot_bytes != self._slot_bytes:
            if self._view is not None:
                self._view.close()
            self._view, self._slot_bytes = mmap.mmap(self._memory, slot_bytes * AHEAD), slot_bytes
        buffers, place = [], slot * slot_bytes
        for size in sizes:
            copy = np.empty(size, np.uint8)  # writable, and ours: the slot is used again
            if size:
                copy[:] = np.frombuffer(self._view, np.uint8, size, place)
            buffers.append(copy)
            place += _aligned(size)
        self._pipe.send_bytes(_GO)
        return kind, pickle.loads(content, buffers=buffers)

    def _describe_exit(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else str(-code)
            how = f"crashed ({name})"
        else:
            how = f"ended (exit status {code})"
        return f"its decoder {how}; the file is damaged or of a kind that cannot be read, convert it"


def _folder() -> str | None:
    """Return the folder from which relative paths count; None where it was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _poller(pipe) -> select.poll:
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    return poller


def _aligned(size: int) -> int:
    return -(-size // 64) * 64


def _shared_memory() -> int:
    """Return a descriptor of memory that two processes share; not in /dev/shm, which containers keep small."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mien")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


# ---- in the process that decodes ------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests until the other side is gone."""
    pipe = multiprocessing.connection.Connection(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    _limit_memory()
    server = _Server(pipe, int(sys.argv[2]))
    while server.answer():
        pass


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        # What the process has of its own: threads reserve addresses that they never use.
        most = int(MEMORY_GIB * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _StoppedError(Exception):
    """The other side wants no more."""


class _Server:
    def __init__(self, pipe, memory: int) -> None:
        self._pipe, self._poller, self._memory = pipe, _poller(pipe), memory
        self._view: mmap.mmap | None = None
        self._slot_bytes = 0
        self._n_sent = self._n_free = 0
        self._signed_s = 0.0
        threading.Thread(target=self._end_with_parent, daemon=True).start()

    def _end_with_parent(self) -> None:
        """End this process when the other is gone, whatever the decoder is doing."""
        while os.read(0, 1):
            pass
        os._exit(0)

    def _await(self, n_free: int) -> None:
        """Take what the other side says; wait until so many slots are free."""
        while self._n_free < n_free or self._poller.poll(0):
            if self._receive() == _STOP:
                raise _StoppedError
            self._n_free += 1

    def _receive(self) -> bytes:
        try:
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            os._exit(0)

    def answer(self) -> bool:
        while (word := self._receive()) in (_GO, _STOP):  # of what came before
            pass
        folder, service, *args = pickle.loads(word)
        self._n_sent, self._n_free = 0, AHEAD
        last, items = ("end", None), None
        try:
            if folder is not None:
                os.chdir(folder)
            items = _services()[service](self, *args)
            try:
                for item in items:
                    self._send(item)
            finally:
                items.close()
        except _StoppedError:
            pass
        except MienError as error:
            last = ("error", str(error))
        except MemoryError:
            last = ("error", f"{args[0]}: its decoder needs more than {MEMORY_GIB:g} GiB of memory; make it smaller")
        except Exception as error:  # PyAV raises more kinds of errors than it documents
            last = ("error", f"{args[0]}: cannot be decoded ({type(error).__name__}: {error})".replace("\n", " "))
        del items
        gc.collect()  # decoders and their threads, which hold each other
        self._put(*last)
        return True

    def sign(self) -> None:
        """Show that work goes on."""
        if time.monotonic() - self._signed_s > SIGN_S:
            self._await(0)
            self._put("sign", None)

    def _send(self, item: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        content = pickle.dumps(item, protocol=5, buffer_callback=buffers.append)
        raws = [buffer.raw() for buffer in buffers]
        needed = sum(_aligned(raw.nbytes) for raw in raws)
        self._await(1 if needed <= self._slot_bytes else AHEAD)  # until all is fetched, where the slots move
        self._n_free -= 1
        if needed > self._slot_bytes:
            self._slot_bytes = -(-needed * 9 // 8 // _PAGE) * _PAGE
            os.ftruncate(self._memory, self._slot_bytes * AHEAD)
            if self._view is not None:
                self._view.close()
            self._view = mmap.mmap(self._memory, self._slot_bytes * AHEAD)
        slot = self._n_sent % AHEAD
        place = slot * self._slot_bytes
        for raw in (raw for raw in raws if raw.nbytes):
            np.frombuffer(self._view, np.uint8, raw.nbytes, place)[:] = np.frombuffer(raw, np.uint8)
            place += _aligned(raw.nbytes)
        self._n_sent += 1
        self._put("item", content, slot, self._slot_bytes, [raw.nbytes for raw in raws])

    def _put(self, kind: str, content: Any, slot: int = 0, slot_bytes: int = 0, sizes: list[int] | None = None) -> None:
        self._signed_s = time.monotonic()
        try:
            self._pipe.send_bytes(pickle.dumps((kind, content, slot, slot_bytes, sizes or [])))
        except OSError:
            os._exit(0)


def _services() -> dict[str, Any]:
    """Return what can be asked for: functions of (server, *args) that return generators."""
    from mien.io import film, media

    def once(function):
        def service(server: _Server, *args):
            yield function(*args)

        return service

    def frames(server: _Server, *args):
        yield from media.read_frames(*args)

    return {
        "probe": once(media.probe),
        "is_still": once(media.is_still),
        "read_image": once(media.read_image),
        "read_sound": once(media.read_sound),
        "read_frames": frames,
        "copy_sound": lambda server, *args: once(media.copy_sound)(server, *args, server.sign),
        "film": lambda server, *args: _in_parcels(film.play(*args, sign=server.sign)),
        **_FAILURES,
    }


def _in_parcels(events: Iterator) -> Iterator[list]:
    """Yield the events of a film in lists that end with a picture or a second of sound: an item costs its transport."""
    from mien.io.film import AudioBlock

    parcel: list = []
    with contextlib.closing(events):
        for event in events:
            parcel.append(event)
            if not isinstance(event, AudioBlock) or len(parcel) > 50:
                yield parcel
                parcel = []


def _crash(server: _Server, source: str, how: str):
    """Fail as a decoder may; the tests have it."""
    yield 0
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "hang":
        time.sleep(1e6)
    elif how == "memory":
        yield [np.ones(2**27) for _ in range(64)]
    raise KeyError(how)


_FAILURES = {"crash": _crash}
