"""The table of both tests of FER2013 has the shares of their pictures that are right, with and without duplicates."""

import json

import pytest

import planted
from mien.errors import TableError
from mien.report.tables.pictures import build_pictures
from report import planted_transfer as fer

CONFIG = json.dumps({"evaluate": planted.EVALUATE})


def test_both_tests_are_counted_with_and_without_duplicates(tmp_path):
    corpus = fer.write_fer2013(tmp_path)

    def right(number, usage, selection):  # of 40 public ones 30, of 40 private ones 20, and every duplicate
        return number >= fer.SIZE or number % 4 < (3 if usage == "PublicTest" else 2) or selection == "optimistic"

    run = fer.write_run(tmp_path / "results", "blind", right)
    table, page = planted.run_table(build_pictures, tmp_path, runs=[run], clips=corpus / "clips.parquet", config=CONFIG)
    found = {(row.test, row.duplicates): row for row in table.itertuples()}
    shares = {key: (row.pictures, row.accuracy) for key, row in found.items()}
    assert shares == {
        ("public", "without"): (40, 0.75),
        ("public", "with"): (50, 0.8),
        ("private", "without"): (40, 0.5),
        ("private", "with"): (50, 0.6),
    }
    # classes take turns: of 40 pictures of the public test, all 20 of class 0 are right and 10 of 20 of class 1
    assert found["public", "without"].uar == pytest.approx(0.75)
    assert found["private", "without"].uar == pytest.approx(0.5)
    row = found["private", "without"]
    assert row.low < row.accuracy < row.high
    assert 0 <= row.ece < 1
    assert "### blind, seed 0" in page


def test_a_network_that_was_not_trained_is_named(tmp_path):
    corpus = fer.write_fer2013(tmp_path)
    run = fer.write_run(tmp_path / "results", "objects", None, reason="nobody has the weights")
    with pytest.raises(TableError, match="nobody has the weights"):
        planted.run_table(build_pictures, tmp_path, runs=[run], clips=corpus / "clips.parquet", config=CONFIG)
