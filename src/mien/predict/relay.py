"""Two threads beside the one that works: one reads ahead, one writes behind. FFmpeg, dlib and torch let them run."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
