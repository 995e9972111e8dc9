"""The pictures of a corpus as a row of ``pretrain`` sees them: grey, a few per clip, with roles and copies (AUG-B).

Who trains, validates and tests when the classes are people: everybody does, and recordings are divided.

VoxCeleb brings its own division of utterances (iden_split.txt). Elsewhere the recordings of each person are put in the
order of a digest of their names, and the first ones test: no seed, so a row that starts from another row's weights and
a run with another seed see the same test.

A recording is whatever came about at once: who knows the room, the microphone or the moment knows the answer. That is
a clip, all frames of a sequence (CK+, MUG), all utterances of a video (VoxCeleb), what the five cameras of RaFD saw of
one pose, and whatever has the same bytes. The other corpora have a clip per take.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from mien.augment.aug_b import Copies, balance, change, no_copies
from mien.errors import CorpusError
from mien.training import clips as training_clips
from mien.training.classify import Stills
from mien.training.clips import ROLES, split
from mien.training.run_folder import FOLD, PretrainRun

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


PER_CLIP = 4  # pictures that a film gives to training; neighbours of 40 ms would show the same again
RESIDENT = 2**33  # bytes; a set of pictures up to this size is kept on the GPU (FER2013 at 224 px has 1.8e9)


@dataclass(frozen=True, eq=False)
class Album:
    """N grey pictures.

    grey : (N, S, S) uint8.
    clips : rows of CLIPS with the columns role (training, validation, test, apart) and target, the class.
    clip : (N,) number of the row of `clips` that a picture is of; the pictures of a clip follow each other.
    judged : number of the one picture by which each row of `clips` is judged, the middle one.
    digest : of all files that were read.
    """

    grey: np.ndarray
    clips: pd.DataFrame
    clip: np.ndarray
    judged: np.ndarray
    classes: tuple[str, ...]
    digest: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureStills(Stills):
    """Stills of an album; the numbers from N on are its copies.

    pictures : numbers of all training pictures, of which `rows` has one per clip.   copies : of some of them.
    size_px : side that the network wants.
    """

    pictures: np.ndarray
    copies: Copies
    size_px: int
    resident: dict[torch.device, Tensor] = field(default_factory=dict)  # what is on a GPU already

    @property
    def shown(self) -> np.ndarray:
        """Return the numbers of the pictures and copies that an epoch trains on."""
        return np.concatenate([self.pictures, len(self.inputs) + np.arange(len(self.copies))])

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return float32 pictures (B, 1, size_px, size_px) in grey levels 0..255, and labels (B,)."""
        copied = rows >= len(self.inputs)
        source = rows.copy()
        source[copied] = self.copies.source[rows[copied] - len(self.inputs)]
        pictures = self._stored(source, device).unsqueeze(1).float()
        if pictures.shape[-1] != self.size_px:
            size = (self.size_px, self.size_px)
            pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        if copied.any():
            draws = torch.from_numpy(self.copies.draws[rows[copied] - len(self.inputs)]).to(device)
            places = torch.from_numpy(np.flatnonzero(copied)).to(device)
            pictures[places] = change(pictures[places], draws)
        return pictures, torch.from_numpy(self.label[source]).to(device)

    def _stored(self, rows: np.ndarray, device: torch.device) -> Tensor:
        if device.type == "cpu" or self.inputs.nbytes > RESIDENT:
            return torch.from_numpy(self.inputs[rows]).to(device)
        if device not in self.resident:
            self.resident[device] = torch.from_numpy(self.inputs).to(device)
        return self.resident[device][torch.from_numpy(rows).to(device)]


def read_album(run: PretrainRun, results: Path) -> Album:
    """Read the pictures that a row of ``pretrain`` is trained on and judged by.

    Emotions: the roles of fold 0, and apart for test pictures with an identical twin on the training side. People: see
    `division`. Clips without a face, a class or a role are left out.

    Raises
    ------
    TableError : a stage has not run, or its files are damaged.
    CorpusError : people are asked for and the corpus does not name them.
    """
    found = training_clips.read(results, run.base, ("video",), faces=run.faces, sound=None)
    footage = found.media["video"]
    if run.pretrain.target == "label":
        clips, classes = _emotions(found), found.classes
    else:
        clips = found.clips[found.clips["clip"].isin(footage)]
        clips = clips.assign(role=divide(clips) if len(clips) else "")
        classes = tuple(sorted(set(clips.actor)))
        clips = clips.assign(target=clips.actor.map({actor: k for k, actor in enumerate(classes)}))
    clips = clips.sort_values("clip", ignore_index=True)
    grey, clip, judged = [], [], []
    for number, name in enumerate(clips["clip"]):
        pixels = footage[name].pixels
        n = min(PER_CLIP, len(pixels))
        judged.append(len(grey) + n // 2)
        for k in range(n):  # the centres of equal parts
            grey.append(
                cv2.cvtColor(np.ascontiguousarray(pixels[(2 * k + 1) * len(pixels) // (2 * n)]), cv2.COLOR_RGB2GRAY)
            )
            clip.append(number)
    stack = np.stack(grey) if grey else np.empty((0, run.faces.size_px, run.faces.size_px), np.uint8)
    return Album(stack, clips, np.array(clip, np.int64), np.array(judged, np.int64), classes, found.digest)


def stills_of(album: Album, *, size_px: int, rng: np.random.Generator | None) -> PictureStills:
    """Return the samples of an album; with `rng`, classes of training pictures are balanced by copies (AUG-B)."""
    label = album.clips.target.to_numpy(np.int64)[album.clip]
    role = album.clips.role.to_numpy()
    pictures = np.flatnonzero(role[album.clip] == "training")
    return PictureStills(
        inputs=album.grey,
        label=label,
        rows={name: album.judged[role == name] for name in (*ROLES, "apart") if (role == name).any()},
        pictures=pictures,
        copies=no_copies() if rng is None else balance(label, pictures, rng=rng),
        size_px=size_px,
    )


def _emotions(found: training_clips.ClipDataset) -> pd.DataFrame:
    """Return the labelled clips of fold 0 with their roles, those that stand apart last."""
    footage, clips = found.media["video"], found.clips
    parts = [part.assign(role=role) for role, part in split(found, FOLD).items()]
    apart = clips[clips.apart & clips["clip"].isin(footage) & (clips.label >= 0)]
    clips = pd.concat([*parts, apart.assign(role="apart")])
    return clips.assign(target=clips.label)
