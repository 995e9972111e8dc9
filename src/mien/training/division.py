"""Who trains, validates and tests when the classes are people: everybody does, and recordings are divided.

VoxCeleb brings its own division of utterances (iden_split.txt). Elsewhere the recordings of each person are put in the
order of a digest of their names, and the first ones test: no seed, so a row that starts from another row's weights and
a run with another seed see the same test.
"""

import hashlib

import pandas as pd

from mien.core.errors import CorpusError

SHARE = 0.15  # of a person's recordings that test, and as many that validate
FEWEST = 3  # recordings of a person who can be in all three roles
OFFICIAL = {"train": "training", "dev": "validation", "test": "test"}  # words of CLIPS.split


def divide(clips: pd.DataFrame) -> pd.Series:
    """Return training, validation or test for every clip; nothing of one recording is in two roles.

    A recording is a clip, all frames of a sequence, and whatever has the same bytes. People with fewer than three
    recordings only train; of the others every role has at least one.

    clips : table CLIPS, or some of its rows: leave out what cannot be used first, so that the shares hold.

    Raises
    ------
    CorpusError : a clip does not say who it is of.
    """
    if nameless := clips["clip"][clips.actor == ""].tolist():
        raise CorpusError(
            f"{clips.corpus.iloc[0]}: {len(nameless)} clips such as {nameless[0]} do not say who it is; people cannot"
            " be told apart by this corpus: choose another one in pretrain.*.corpus"
        )
    recording = _recordings(clips)
    roles = pd.Series("training", index=clips.index, name="role")
    for _, names in recording.groupby(clips.actor, sort=True):
        order = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
        if len(order) >= FEWEST:
            n_held = max(1, round(SHARE * len(order)))
            role_of = dict.fromkeys(order[:n_held], "test") | dict.fromkeys(order[n_held : 2 * n_held], "validation")
            roles[names.index] = names.map(role_of).fillna("training")
    return roles


def divide_voices(clips: pd.DataFrame) -> pd.Series:
    """Return the official roles where the corpus has them, else those of `divide`.

    With official ones, a clip that the list does not name has the role "", and one with an identical twin on another
    side of the division (CLIPS.apart) the role apart.
    """
    if not clips.split.isin(OFFICIAL).any():
        return divide(clips)
    return clips.split.map(OFFICIAL).fillna("").mask(clips.apart, "apart").rename("role")


def _recordings(clips: pd.DataFrame) -> pd.Series:
    """Return the name of every clip's recording: the smallest of all names that sequences and equal bytes join."""
    name = clips.sequence.where(clips.sequence != "", clips["clip"])
    twins = clips.duplicate.where(clips.duplicate != "", clips["clip"])
    joined = name
    while True:
        smallest = joined.groupby(twins).transform("min").groupby(name).transform("min")
        if smallest.equals(joined):
            return joined
        joined = smallest
