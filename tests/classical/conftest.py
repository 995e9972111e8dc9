"""Samples of two tiny corpora, selected once: the emotion shows in grey, in the first unit and in the landmarks."""

from pathlib import Path

import pytest

from classical.corpora_of_faces import clips_of, select, write_corpus
from mien.classical.samples import Samples, read_samples


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """Return a results folder with samples: eight people to learn from, two to test on."""
    folder = tmp_path_factory.mktemp("classical") / "results"
    write_corpus(folder, "ckplus", clips_of("ckplus", 8))
    write_corpus(folder, "rafd", clips_of("rafd", 2))
    select(folder)
    return folder


@pytest.fixture(scope="session")
def samples(results) -> Samples:
    """Return what was selected."""
    return read_samples(results / "samples" / "ckplus_rafd")
