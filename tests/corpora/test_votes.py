"""Votes of raters: in the order of our classes; damaged ones are refused, absent ones are put on record."""

import pytest

from mien.corpora import cremad
from mien.corpora.cremad import read_votes
from mien.corpora.index import votes_of
from mien.errors import CorpusError

HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'
ROW = '100001,1,0,0,2,0,7,"1001_IEO_SAD_LO",10\n'


def write(folder, text):
    path = folder / "tabulatedVotes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_corpus_without_raters_has_a_table_without_rows(tmp_path):
    assert votes_of("ravdess", tmp_path).empty


def test_counts_are_in_the_order_of_the_classes(tmp_path):
    row = read_votes(write(tmp_path, HEADER + ROW), "NHSAFD").iloc[0]
    assert dict(zip(cremad.CLASSES, row.counts, strict=True)) == {
        "neutral": 0,
        "happy": 2,
        "sad": 7,
        "angry": 1,
        "fear": 0,
        "disgust": 0,
    }
    assert (row.modality, row.n, row.agreement) == ("voice", 10, 0.7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + ROW.replace(",10", ",9"), "line 2: 1001_IEO_SAD_LO has the votes"),
        (HEADER + ROW.replace("100001", "400001"), "line 2: needs a number beginning with 1, 2 or 3"),
        (HEADER + ROW.replace('"1001', 'x,"1001'), "line 2"),
        (HEADER + ROW + ROW, "two rows for the voice of 1001_IEO_SAD_LO"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "needs a number"),
    ],
)
def test_damaged_votes_are_refused(tmp_path, text, words):
    with pytest.raises(CorpusError, match=words):
        read_votes(write(tmp_path, text), "NHSAFD")


def test_a_copy_without_votes_says_so(tmp_path):
    (tmp_path / cremad.DEMOGRAPHICS).write_text('"ActorID","Sex"\n1001,"Male"\n', encoding="utf-8")
    (found,) = [row for row in cremad.find(tmp_path).defects if row["path"].endswith("tabulatedVotes.csv")]
    assert (found["defect"], found["decision"]) == ("missing", "how people understood the clips is not reported")
    assert cremad.votes(tmp_path).empty
