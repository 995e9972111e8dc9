"""The tiny corpus, written once; a working directory per test."""

from dataclasses import replace

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


@pytest.fixture
def corpus(tiny, tmp_path, monkeypatch):
    """Return the tiny corpus with a results folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for stage in ("corpora", "sound", "faces"):
        (tmp_path / "results" / stage).symlink_to(tiny.results / stage)
    return replace(tiny, results=tmp_path / "results")
