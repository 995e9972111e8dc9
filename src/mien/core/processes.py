"""Work on many files, people or parts in several processes that never outlive the command."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mien.core.errors import MienError


def map_in_processes(function: Callable, *columns: Iterable, n_jobs: int, chunk: int = 1) -> Iterator[Any]:
    """Yield function(*row) for every row of `columns`, in order; with `n_jobs` 1 in this very process.

    Processes are spawned, because FFmpeg's and OpenCV's threads do not survive a fork. When the caller stops early, or
    an error or an interrupt ends it, work that has not begun is dropped.

    Raises
    ------
    MienError : a process died.
    """
    if n_jobs <= 1:
        yield from map(function, *columns)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield from pool.map(function, *columns, chunksize=chunk)
        except BrokenProcessPool:
            raise MienError(
                f"a process died, most likely for want of memory; run again with fewer --jobs than {n_jobs}:"
                " what is finished is kept"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """End this process when its parent is killed: it would go on writing beside the run that comes next."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
