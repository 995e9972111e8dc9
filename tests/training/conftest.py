"""The tiny corpus, written once."""

import pytest

from training.tiny_corpus import TinyCorpus, write_corpus


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyCorpus:
    """Return a corpus of six people with eight clips each."""
    return write_corpus(tmp_path_factory.mktemp("tiny") / "results")
