"""The clips of the experiment on missing and fuzzy information: the versions of a corpus, mixed to conditions."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mien.core.config import FacesConfig, SoundConfig
from mien.core.errors import TableError
from mien.core.files import digest
from mien.core.fuzzy import CLEAR, MODALITIES, VERSIONS, Condition
from mien.core.rng import rng_for
from mien.training import recordings as media
from mien.training.recordings import Footage, Medium, Recordings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Versions:
    """One corpus in all versions: `of` maps version to `Recordings`, clips (table CLIPS) are those usable in all."""

    of: dict[str, Recordings]
    clips: pd.DataFrame

    @cached_property
    def digest(self) -> str:
        """Return the digest of all files that were read."""
        return digest({version: one.digest for version, one in self.of.items()})

    def drawn(self, condition: Condition, *, seed: int, turn: int) -> set[str]:
        """Draw the clips that a condition takes from its version.

        One number per clip and modality decides, so a larger share affects the same clips and more, and both kinds
        affect the same ones.   seed : of params.yaml.   turn : the repetition of the experiment.
        """
        scope = ("fuzziness", self.of[CLEAR].corpus, turn, condition.modality)
        return {clip for clip in self.clips["clip"] if rng_for(seed, *scope, clip).uniform() < condition.share}

    def changed(self, condition: Condition) -> set[str]:
        """Return the clips whose modality differs in the condition's version: a neutral face loses nothing."""
        if condition.version == CLEAR:
            return set()
        clear, other = (self.of[version].media[condition.modality] for version in (CLEAR, condition.version))
        return {clip for clip in self.clips["clip"] if not _same(clear[clip], other[clip])}

    def mixed(self, condition: Condition, drawn: Collection[str], modalities: Collection[str]) -> Recordings:
        """Return the corpus of a condition, as a network of `modalities` sees it: `drawn` clips as in its version.

        Face and voice of a drawn clip come from the same version, because a face moves with its voice.
        """
        clear, other = self.of[CLEAR], self.of[condition.version]
        chosen = {
            modality: {clip: (other if clip in drawn else clear).media[modality][clip] for clip in self.clips["clip"]}
            for modality in modalities
        }
        return replace(clear, clips=self.clips, media=chosen, digest=self.digest)


def read_versions(folder: Path, corpus: str, *, faces: FacesConfig, sound: SoundConfig) -> Versions:
    """Read every version from `folder`/<version>/{corpora,faces,sound}.

    Voices of the versions with another face are those of the clear one, so they are not stored again.

    Raises
    ------
    TableError : a stage has not run, the versions are not of the same takes, or no clip can be used in all of them.
    """
    of = {}
    for version in VERSIONS:
        looks = ("video",) if version.endswith("_video") else MODALITIES
        of[version] = media.read(Path(folder) / version, corpus, looks, faces=faces, sound=sound)
        if "audio" not in looks:
            of[version] = replace(of[version], media=of[version].media | {"audio": of[CLEAR].media["audio"]})
    takes = {version: one.clips[["clip", "actor", "label"]] for version, one in of.items()}
    if strangers := [version for version, rows in takes.items() if not rows.equals(takes[CLEAR])]:
        raise TableError(f"{folder}: {strangers[0]} has other takes than {CLEAR}; delete both and make them again")
    names = set.intersection(*(set(part) for one in of.values() for part in one.media.values()))
    clips = of[CLEAR].clips
    usable = clips["clip"].isin(names) & (clips.label >= 0) & ~clips.apart
    log.info("%s: %d of %d takes have a face and a voice in all versions", corpus, usable.sum(), len(clips))
    if not usable.any():
        raise TableError(f"{folder}: no take has a face and a voice in all versions; see the logs of extract_faces")
    return Versions(of, clips[usable].sort_values("clip").reset_index(drop=True))


def divide_people(clips: pd.DataFrame, *, tested: int, turn: int) -> dict[str, pd.DataFrame]:
    """Return the clips of the roles training and test: `tested` people in turn, men and women alternating.

    Every turn goes on where the last one stopped, and begins again when all were tested.
    """
    people = clips.drop_duplicates("actor").sort_values("actor")
    by_sex = [people.actor[people.sex == sex] for sex in sorted(people.sex.unique(), reverse=True)]
    order = [person for pair in zip_longest(*by_sex) for person in pair if person is not None]
    chosen = {order[(turn * tested + k) % len(order)] for k in range(tested)}
    is_tested = clips.actor.isin(chosen)
    return {
        "training": clips[~is_tested].reset_index(drop=True),
        "test": clips[is_tested].reset_index(drop=True),
    }


def _same(one: Medium, other: Medium) -> bool:
    if isinstance(one, Footage):
        return np.array_equal(one.pixels, other.pixels)
    return torch.equal(one.spectrum, other.spectrum)
