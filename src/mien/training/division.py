"""Who trains, validates and tests when the classes are people: everybody does, and recordings are divided.

VoxCeleb brings its own division of utterances (iden_split.txt). Elsewhere the recordings of each person are put in the
order of a digest of their names, and the first ones test: no seed, so a row that starts from another row's weights and
a run with another seed see the same test.

A recording is whatever came about at once: who knows the room, the microphone or the moment knows the answer. That is
a clip, all frames of a sequence (CK+, MUG), all utterances of a video (VoxCeleb), what the five cameras of RaFD saw of
one pose, and whatever has the same bytes. The other corpora have a clip per take.
"""

import hashlib
from collections.abc import Callable

import pandas as pd

from mien.core.errors import CorpusError

SHARE = 0.15  # of a person's recordings that test, and as many that validate
FEWEST = 3  # recordings of a person who can be in all three roles
OFFICIAL = {"train": "training", "dev": "validation", "test": "test"}  # words of CLIPS.split

# Corpus -> what the recording is called, from the names that the adapters in mien.corpora give to clips.
_RECORDING: dict[str, Callable[[str], str]] = {
    # id10001-1zcIwhmdeo4-00001: speaker, video, utterance; a video in which two speakers are heard is one recording
    "voxceleb": lambda clip: clip.partition("-")[2].rpartition("-")[0],
    # Rafd090_28_Caucasian_male_angry_frontal: camera; model, emotion and gaze, seen by all cameras at once
    "rafd": lambda clip: clip.partition("_")[2],
}


def divide(clips: pd.DataFrame) -> pd.Series:
    """Return training, validation or test for every clip; nothing of one recording is in two roles.

    People with fewer than three recordings only train, and so do recordings of several people; of the others every
    role has at least one.

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
    recording = recordings_of(clips)
    own = recording[clips.actor.groupby(recording).transform("nunique") == 1]
    roles = pd.Series("training", index=clips.index, name="role")
    for _, names in own.groupby(clips.actor, sort=True):
        order = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
        if len(order) >= FEWEST:
            n_held = max(1, round(SHARE * len(order)))
            role_of = dict.fromkeys(order[:n_held], "test") | dict.fromkeys(order[n_held : 2 * n_held], "validation")
            roles[names.index] = names.map(role_of).fillna("training")
    return roles


def divide_voices(clips: pd.DataFrame, *, audible: pd.Series) -> pd.Series:
    """Return the official roles where the corpus has them, else those of `divide` for the audible clips.

    With official ones, a clip that the list does not name has the role "", and one with an identical twin on another
    side of the division (CLIPS.apart) the role apart. Without, a clip that cannot be heard has the role "": a person
    whose every clip is silent is in no role.

    audible : bool for every row of `clips`.
    """
    if clips.split.isin(OFFICIAL).any():
        return clips.split.map(OFFICIAL).fillna("").mask(clips.apart, "apart").rename("role")
    return divide(clips[audible]).reindex(clips.index, fill_value="")


def recordings_of(clips: pd.DataFrame) -> pd.Series:
    """Return the name of every clip's recording: the smallest of all names that sequences and equal bytes join."""
    name_of = clips["clip"].copy()
    for corpus, name in _RECORDING.items():
        of_corpus = clips.corpus == corpus
        name_of[of_corpus] = clips["clip"][of_corpus].map(name)
    name = clips.sequence.where(clips.sequence != "", name_of)
    twins = clips.duplicate.where(clips.duplicate != "", clips["clip"])
    joined = name
    while True:
        smallest = joined.groupby(twins).transform("min").groupby(name).transform("min")
        if smallest.equals(joined):
            return joined
        joined = smallest
