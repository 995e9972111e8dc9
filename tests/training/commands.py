"""Run a command of the package, look at what it leaves, and let it die in between."""

import functools
import importlib
import json
import multiprocessing
import operator
import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pandas as pd

from mien import cli
from mien.io import tables
from mien.training import engine

LIMIT_S = 120.0  # for processes, which could wait for each other for ever
PRELOADED = ["torch._dynamo", "mien.training.pretrain", "mien.training.train"]  # once, not in every process


def run_command(name: str, **options: object) -> None:
    """Call the function of a command; checkpoints go below the working directory."""
    getattr(importlib.import_module(cli.STAGES[name]), name)(**options)


def train_variant(corpus, variant: str, out: Path, *, init=(), epochs: int = 3, row=None, **changes) -> Path:
    """Train a variant of a tiny corpus on fold 0 and return the folder of the run.

    row : in place of what the parameters say.   changes : of section train.
    """
    train = corpus.params["train"] | {"epochs": epochs} | changes
    rows = corpus.params["variants"] | ({} if row is None else {variant: row})
    config = json.dumps(corpus.params | {"train": train, "variants": rows})
    options = {"corpus": corpus.name, "variant": variant, "folds": [0], "seeds": [0], "data": corpus.results}
    run_command("train", **options, out=out / variant, init=list(init), config=config)
    return out / variant / "fold0-seed0"


def contents(folder: Path) -> dict[str, bytes]:
    """Return name -> bytes of the files of a run folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows_of(folder: Path) -> pd.DataFrame:
    """Return the predictions of a run folder."""
    return tables.read(folder / "predictions.parquet", tables.PREDICTIONS)


@contextmanager
def inside(folder: Path):
    """Work in `folder`."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(here)


def dies_in(monkeypatch, task: type, at: int) -> list[int]:
    """Let the `at`-th call of `task`.train_epoch end the process as it begins; return the epochs begun so far.

    Every epoch leaves a checkpoint.
    """
    real, begun = task.train_epoch, []

    def killed(self, model, optimizer, epoch):
        begun.append(epoch)
        if len(begun) == at:
            raise SystemExit
        return real(self, model, optimizer, epoch)

    monkeypatch.setattr(task, "train_epoch", killed)
    monkeypatch.setattr(engine, "CHECKPOINT_S", 0.0)
    return begun


def run_processes(
    function: Callable, calls: list[tuple], *, log: Path, environments: list[dict[str, str]]
) -> list[int]:
    """Run `function` with each of `calls` in a process of its own; return the exit codes, -n after signal n.

    They work in the folder of `log` and write there what they say.
    """
    context = multiprocessing.get_context("forkserver")  # a process that has trained cannot be forked itself
    context.set_forkserver_preload(PRELOADED)
    both = zip(calls, environments, strict=True)
    processes = [context.Process(target=_run_in, args=(log, env, function, call)) for call, env in both]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def _run_in(log: Path, environment: dict[str, str], function: Callable, arguments: tuple) -> None:
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(log.parent)
    os.environ.update(environment)
    function(*arguments)


def die_before(module: str, name: str, at: int, function: Callable, *arguments: object) -> None:
    """Call `function`, and SIGKILL this process as `name` of `module` is called for the `at`-th time."""
    real, calls = operator.attrgetter(name)(importlib.import_module(module)), []

    @functools.wraps(real)
    def killed(*args, **options):
        calls.append(None)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)

    with mock.patch(f"{module}.{name}", killed), mock.patch("mien.training.engine.CHECKPOINT_S", 0.0):
        function(*arguments)
