"""The predictor is found without importing its package, or missed with a remedy."""

import sys

import pytest

from mien.errors import ModelError
from mien.faces import detect


def test_the_predictor_is_found_without_importing_its_package():
    assert detect.predictor_file().stat().st_size == 99693937
    assert detect.PACKAGE not in sys.modules


def test_a_missing_predictor_says_what_to_install(monkeypatch):
    monkeypatch.setattr(detect, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install"):
        detect.predictor_file()
