"""Processes that tests kill or let work together, forked from one that has imported torch already.

A process that has trained cannot be forked (threads of autograd), so a copy of this one is made before the first test
and waits. Starting a Python with all imports instead takes five seconds of CPU, as long as all trainings of a test.
"""

import atexit
import importlib
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path

LIMIT_S = 120.0  # for children, which could wait for each other for ever


class Forks:
    """The waiting copy of this process; to be made before anything is trained."""

    def __init__(self) -> None:
        importlib.import_module("torch._dynamo")  # processes that work together need it, as long as the rest of torch
        orders, self._orders = os.pipe()
        self._ends, ends = os.pipe()
        self._number = os.fork()
        if not self._number:
            os.close(self._orders)
            os.close(self._ends)
            _serve(orders, ends)
        os.close(orders)
        os.close(ends)

    def run(self, children: list[dict]) -> list[int]:
        """Fork all `children` at once and return how each ended: 0, 1 after an error, -n after signal n.

        A child has the keys call, as module:function, arguments, environment, and log, the file of what it says; it
        works in the folder of its log.
        """
        os.write(self._orders, (json.dumps(children) + "\n").encode())
        if not select.select([self._ends], [], [], LIMIT_S)[0]:
            os.killpg(self._number, signal.SIGKILL)
            raise TimeoutError(f"after {LIMIT_S} s these still ran: {children}")
        return json.loads(os.read(self._ends, 1000))

    def close(self) -> None:
        """End the copy."""
        os.close(self._orders)
        os.waitpid(self._number, 0)


def _serve(orders: int, ends: int) -> None:
    """Fork what is ordered until the other side is closed; does not return."""
    os.setsid()
    try:
        with os.fdopen(orders) as lines:
            for line in lines:
                numbers = [_fork(child) for child in json.loads(line)]
                codes = [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in numbers]
                os.write(ends, json.dumps(codes).encode())
    finally:
        os._exit(0)  # nothing of what the parent would do at its end


def _fork(child: dict) -> int:
    """Return the number of a process that makes the call and ends."""
    if number := os.fork():
        return number
    code = 1
    try:
        atexit._clear()  # what the parent would do at its end
        log = os.open(child["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = sys.stderr = os.fdopen(log, "w", buffering=1)
        os.chdir(Path(child["log"]).parent)
        os.environ.update(child["environment"])
        module, _, function = child["call"].partition(":")
        getattr(importlib.import_module(module), function)(*child["arguments"])
        atexit._run_exitfuncs()
        code = 0
    except BaseException:  # whatever it is, this copy must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
