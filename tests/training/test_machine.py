"""The machine that trains: a training takes a GPU before it asks torch for one."""

import ast
import os
from pathlib import Path

import torch

from mien import training
from mien.io import provenance
from mien.training import engine


def test_a_training_takes_a_gpu_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(provenance, "_held", [])
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch, "set_deterministic_debug_mode", lambda _: None)  # of the whole test process
    seen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen.append(os.environ[provenance.VISIBLE]) or False)
    for mine in ("0", "1"):
        monkeypatch.setenv(provenance.VISIBLE, "0,1")
        engine.prepare(torch.get_num_threads())
        assert seen.pop() == os.environ[provenance.VISIBLE] == mine
    for lock in provenance._held:
        lock.close()


def test_every_command_that_trains_prepares_the_machine():
    for path in Path(training.__file__).parent.glob("*train*.py"):
        tree = ast.parse(path.read_text())
        commands = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
        if not commands:
            continue  # not a command
        called = [node.func for node in ast.walk(commands[0]) if isinstance(node, ast.Call)]
        assert "prepare" in [getattr(name, "attr", getattr(name, "id", "")) for name in called], path.name
