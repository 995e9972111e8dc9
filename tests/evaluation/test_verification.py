"""Verification: rates of known score sets, and what a list of pairs may look like."""

import numpy as np
import pytest

from mien.errors import CorpusError
from mien.evaluation.verification import equal_error_rate, read_pairs
from mien.io.randomness import rng_for


@pytest.mark.parametrize(
    ("scores", "same", "rate"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.0),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 1, 0], 0.5),
        ([0.9, 0.6, 0.3, 0.7, 0.2, 0.1], [1, 1, 1, 0, 0, 0], 1 / 3),  # at 0.6: one of three rejected, one accepted
        # of four and of three: between (FAR 0, FRR 1/4) and (FAR 1/3, FRR 1/4) both are 1/4
        ([0.9, 0.8, 0.7, 0.3, 0.5, 0.2, 0.1], [1, 1, 1, 1, 0, 0, 0], 1 / 4),
    ],
)
def test_known_scores(scores, same, rate):
    assert equal_error_rate(np.array(scores), np.array(same, bool))[0] == pytest.approx(rate)


def test_both_kinds_of_error_are_as_frequent_at_the_threshold():
    rng = rng_for(0, "scores")
    same = rng.random(4000) < 0.3
    scores = rng.normal(0, 1, 4000) + 2.0 * same
    rate, threshold = equal_error_rate(scores, same)
    assert rate == pytest.approx(0.1587, abs=0.02)  # P(normal > 1)
    assert (scores[~same] >= threshold).mean() == pytest.approx(rate, abs=0.002)
    assert (scores[same] < threshold).mean() == pytest.approx(rate, abs=0.002)
    assert equal_error_rate(3 * scores + 1, same)[0] == pytest.approx(rate)
    assert equal_error_rate(-scores, ~same)[0] == pytest.approx(rate, abs=0.001)


def test_pairs_are_read_as_clips(tmp_path):
    path = tmp_path / "veri_test.txt"
    path.write_text("1 id10270/x6uY-mx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav\n\n0 a/b/1.wav c/d/2.wav\n")
    pairs = read_pairs(path)
    assert pairs.one.tolist() == ["id10270-x6uY-mx31kE-00001", "a-b-1"]
    assert pairs.other.tolist() == ["id10270-8jEAjG6SegY-00008", "c-d-2"]
    assert pairs.same.tolist() == [True, False]


@pytest.mark.parametrize("line", ["2 a/b/1.wav a/b/2.wav", "1 a/b/1.wav", "1 a/1.wav a/b/2.wav", "1 a/b/1 a/b/2"])
def test_damaged_lines_are_named(tmp_path, line):
    path = tmp_path / "veri_test.txt"
    path.write_text(f"1 a/b/1.wav a/b/2.wav\n{line}\n")
    with pytest.raises(CorpusError, match="line 2"):
        read_pairs(path)


def test_missing_and_empty_lists_are_named(tmp_path):
    with pytest.raises(CorpusError, match="cannot be read"):
        read_pairs(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(CorpusError, match="holds no pair"):
        read_pairs(tmp_path / "empty.txt")
