"""Votes of raters on what they heard, saw, or both, as CREMA-D tabulates them (Cao et al. 2014)."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mien.core import tables
from mien.core.errors import CorpusError
from mien.corpora.listing import read_lines

NAME = "tabulatedVotes.csv"
BLOCK = 100_000  # rows 1xxxxx are of voices, 2xxxxx of faces, 3xxxxx of both
MODALITIES = {1: "voice", 2: "face", 3: "multimodal"}


def read_votes(path: Path, codes: Sequence[str]) -> pd.DataFrame:
    """Return VOTES of a tabulatedVotes.csv.

    codes : columns of the classes, in the order of their labels.

    Raises
    ------
    CorpusError : the file cannot be read, lacks columns, or contradicts itself.
    """
    rows = [_vote(path, number, row, codes) for number, row in enumerate(csv.DictReader(read_lines(path)), start=2)]
    votes = pd.DataFrame(rows, columns=tables.VOTES.columns.names)
    twice = votes[votes.duplicated(["clip", "modality"])]
    if len(twice):
        modality, clip = twice[["modality", "clip"]].iloc[0]
        raise CorpusError(f"{path}: two rows for the {modality} of {clip}; fetch it again")
    return votes.sort_values(["clip", "modality"], ignore_index=True)


def _vote(path: Path, number: int, row: dict[str, str], codes: Sequence[str]) -> tuple[str, str, list[int], int, float]:
    try:
        counts = [int(row[code]) for code in codes]
        modality = MODALITIES[int(row[""]) // BLOCK]
        n, clip = int(row["numResponses"]), row["fileName"]
    except (KeyError, TypeError, ValueError) as error:
        raise CorpusError(
            f"{path}, line {number}: needs a number beginning with 1, 2 or 3, the columns {', '.join(codes)}, fileName"
            f" and numResponses ({error!r}); fetch it again"
        ) from error
    if n < 1 or sum(counts) != n or min(counts) < 0:
        raise CorpusError(f"{path}, line {number}: {clip} has the votes {counts} of {n} raters; fetch it again")
    return clip, modality, counts, n, max(counts) / n
