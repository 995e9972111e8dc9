"""Chapters and titles of tables and figures, for Snakemake's report and the site."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mien.config.rows import read_yaml


class Entry(NamedTuple):
    """Where a file of results is shown, and as what; entries sort as titles.yaml lists them."""

    number: int  # of the line of titles.yaml
    chapter: str
    caption: str  # workflow/report/CAPTION.rst
    title: str


def find_entries(keys: Iterable[str], titles: Path) -> dict[str, Entry]:
    """Return key -> entry; what a * of a pattern stands for, such as a corpus, ends the title.

    Parameters
    ----------
    keys : files below results/, without suffix, such as figures/5.6.
    titles : titles.yaml, chapter -> caption -> pattern -> title; the first pattern that fits counts.
    """
    lines = [
        (re.compile(re.escape(pattern).replace(r"\*", "(.*)")), chapter, caption, title)
        for chapter, captions in read_yaml(titles).items()
        for caption, patterns in captions.items()
        for pattern, title in patterns.items()
    ]
    found = {}
    for key in keys:
        for number, (pattern, chapter, caption, title) in enumerate(lines):
            if fits := pattern.fullmatch(key):
                found[key] = Entry(number, chapter, caption, ", ".join([title, *fits.groups()]))
                break
    return found
