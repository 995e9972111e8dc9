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

import numpy as np
import pandas as pd
import pytest

from mien import cli
from mien.io import tables
from mien.io.files import read_json
from mien.models import checkpoint
from mien.training import engine

FILES = ("history.csv", "model.safetensors", "predictions.parquet", "run.json")
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


def check_folder(folder: Path, *further: str) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Hold the files of a trained run against each other; return run.json, history and predictions."""
    run, history, rows = read_json(folder / "run.json"), pd.read_csv(folder / "history.csv"), rows_of(folder)
    assert sorted(contents(folder)) == sorted([*FILES, *further])
    assert (run["status"], run["epochs"]) == ("trained", len(history))
    assert run["best_epoch"]["honest"] == history.epoch[history.validation_loss.idxmin()]
    best = history.sort_values(["test_accuracy", "test_loss", "epoch"], ascending=[False, True, True])
    assert run["best_epoch"]["optimistic"] == best.epoch.iloc[0]
    for selection, metrics in run["metrics"].items():
        row = history.set_index("epoch").loc[run["best_epoch"][selection]]
        for role in ("validation", "test"):
            assert row[f"{role}_loss"] == pytest.approx(metrics[f"{role}_loss"])
            chosen = rows[(rows.selection == selection) & (rows.role == role) & (rows["head"] == "fused")]
            assert len(chosen) == chosen["clip"].nunique() == run["n_clips"][role]
            hits = np.stack(chosen.logits).argmax(1) == chosen.label
            assert row[f"{role}_accuracy"] == pytest.approx(hits.mean()) == pytest.approx(metrics[f"{role}_accuracy"])
    return run, history, rows


def check_not_applicable(folder: Path, reason: str, *further: str) -> dict:
    """Hold that a run was not trained for a reason, and that its files are there without rows; return run.json."""
    run = read_json(folder / "run.json")
    assert run["status"] == "not applicable"
    assert reason in run["reason"]
    assert sorted(contents(folder)) == sorted([*FILES, *further])
    assert (folder / "history.csv").read_text().count("\n") == 1
    assert rows_of(folder).empty
    assert checkpoint.is_bare(folder / "model.safetensors")
    return run


def check_resume(monkeypatch, task: type, at: int, train: Callable[[], Path], whole: Path) -> None:
    """Hold that a run that dies as an epoch begins goes on with it to the bytes of the run folder `whole`.

    So a seed gives the same bytes, whether or not a run is killed. Everything is below the working directory.
    """
    begun = dies_in(monkeypatch, task, at)
    with pytest.raises(SystemExit):
        train()
    assert not list(Path.cwd().rglob("run.json"))
    assert contents(train()) == contents(whole)
    assert begun == [*range(1, at + 1), *range(at, len(pd.read_csv(whole / "history.csv")) + 1)]
    assert not list(Path.cwd().rglob("*.pt"))


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
