"""The tiny corpus, written once; a working directory per test."""

import pytest

from training.tiny_corpus import TinyCorpus, write_corpus


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyCorpus:
    """Return a corpus of six people with eight clips each."""
    return write_corpus(tmp_path_factory.mktemp("tiny") / "results")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Work in the test's own folder: commands keep checkpoints below the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
