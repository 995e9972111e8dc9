"""GPUs, counted and held without one: no two trainings on the same, and a dead one gives its own back."""

import multiprocessing
import os
import signal
import threading

import pytest

from mien.io import provenance


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Keep the locks of a test to itself, and what it holds to its end."""
    monkeypatch.setattr(provenance.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(provenance, "_held", [])
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    yield
    for lock in provenance._held:
        lock.close()


def taken(monkeypatch, visible="0,1,2") -> str:
    """Return the GPU that another process with the same view would take; a lock here counts as one of another."""
    monkeypatch.setenv(provenance.VISIBLE, visible)
    provenance.take_gpu(poll_s=0.001)
    return os.environ[provenance.VISIBLE]


def test_gpus_are_counted_by_their_nodes_unless_somebody_says_which(tmp_path, monkeypatch):
    monkeypatch.delenv(provenance.VISIBLE, raising=False)
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert provenance.visible_gpus(tmp_path) == ["0", "1", "2"]
    assert provenance.visible_gpus(tmp_path / "none") == []
    for told, names in (("2, GPU-a1b2", ["2", "GPU-a1b2"]), ("", [])):
        monkeypatch.setenv(provenance.VISIBLE, told)
        assert provenance.visible_gpus(tmp_path) == names


def test_every_training_takes_another(monkeypatch):
    assert [taken(monkeypatch) for _ in range(3)] == ["0", "1", "2"]


def test_what_is_told_is_kept(monkeypatch):
    assert taken(monkeypatch, "2") == taken(monkeypatch, "2") == "2"
    assert taken(monkeypatch, "") == ""
    monkeypatch.setenv("LOCAL_RANK", "1")  # torchrun
    assert taken(monkeypatch, "0,1") == "0,1"


def test_who_finds_none_waits_for_the_first_to_end(monkeypatch, caplog):
    caplog.set_level("INFO")
    taken(monkeypatch, "0,1")
    taken(monkeypatch, "0,1")
    threading.Timer(0.05, provenance._held[1].close).start()
    assert taken(monkeypatch, "0,1") == "1"
    assert caplog.text.count("GPUs 0, 1 are held by other trainings; waiting") == 1


def test_a_killed_training_gives_its_own_back(monkeypatch):
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()

    def train():
        theirs.send(taken(monkeypatch))
        signal.pause()

    process = context.Process(target=train)
    process.start()
    assert mine.recv() == "0"
    assert taken(monkeypatch) == "1"
    process.kill()
    process.join()
    assert taken(monkeypatch) == "0"
