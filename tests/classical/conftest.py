"""Samples of two tiny corpora whose emotion shows in grey, in the first unit and in the landmarks."""

from pathlib import Path

import pytest

from samples.corpora_of_faces import clips_of, select, write_corpus


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """Return a results folder with samples; nobody is fitted while surprised."""
    folder = tmp_path_factory.mktemp("classical") / "results"
    write_corpus(folder, "ckplus", clips_of("ckplus", 6))
    write_corpus(folder, "rafd", clips_of("rafd", 2))
    select(folder)
    return folder
