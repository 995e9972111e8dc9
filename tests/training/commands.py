"""Run a command of the package as a user does, look at what it leaves, and let it die in between."""

import functools
import importlib
import operator
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pandas as pd

from mien import cli
from mien.io import tables


def run_command(name: str, *arguments: object, config: str) -> None:
    """Run a command; checkpoints go below the working directory."""
    args = cli.parse([name, *map(str, arguments), "--config", config])
    args.run(args)


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


def dies_in(monkeypatch, module, epoch: int) -> list[int]:
    """Let `module`.train_epoch end the process as `epoch` begins for the first time; return the epochs begun so far.

    Every epoch leaves a checkpoint.
    """
    real, begun = module.train_epoch, []

    def killed(model, job, number, *args, **options):
        begun.append(number)
        if begun == [*range(1, epoch + 1)]:
            raise SystemExit
        return real(model, job, number, *args, **options)

    monkeypatch.setattr(module, "train_epoch", killed)
    monkeypatch.setattr(module, "CHECKPOINT_S", 0.0)
    return begun


def die_before(module: str, name: str, at: int, arguments: list[str]) -> None:
    """Run the command line, and SIGKILL this process as it calls `name` of `module` for the `at`-th time.

    Every epoch of `fit` leaves a checkpoint, as one that lasts longer does.
    """
    real, calls = operator.attrgetter(name)(importlib.import_module(module)), []

    @functools.wraps(real)
    def killed(*args, **options):
        calls.append(None)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)

    with mock.patch(f"{module}.{name}", killed), mock.patch("mien.training.train.CHECKPOINT_S", 0.0):
        cli.main(arguments)
