"""The tiny corpus, written once; a working directory per test; processes that are forked and not started anew."""

import pytest

from training.forks import Forks
from training.tiny_corpus import TinyCorpus, write_corpus

_FORKS = pytest.StashKey[Forks]()


def pytest_collection_finish(session):
    """Copy this process before the first test, if one wants to fork it."""
    if any("forks" in getattr(item, "fixturenames", ()) for item in session.items):
        session.config.stash[_FORKS] = Forks()


@pytest.fixture(scope="session")
def forks(pytestconfig):
    """Return a copy of this process that forks others."""
    running = pytestconfig.stash[_FORKS]
    yield running
    running.close()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyCorpus:
    """Return a corpus of six people with eight clips each."""
    return write_corpus(tmp_path_factory.mktemp("tiny") / "results")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Work in the test's own folder: commands keep checkpoints below the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
