"""The pictures of a corpus as a row of ``pretrain`` sees them: grey, a few per clip, with roles and copies (AUG-B)."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from mien.augment.aug_b import Copies, balance, change, no_copies
from mien.training import recordings
from mien.training.dataset import ROLES, split
from mien.training.division import divide
from mien.training.pretrain_run import FOLD, PretrainRun
from mien.training.stills import Stills

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
    found = recordings.read(results, run.base, ("video",), faces=run.faces, sound=None)
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


def _emotions(found: recordings.Recordings) -> pd.DataFrame:
    """Return the labelled clips of fold 0 with their roles, those that stand apart last."""
    footage, clips = found.media["video"], found.clips
    parts = [part.assign(role=role) for role, part in split(found, FOLD).items()]
    apart = clips[clips.apart & clips["clip"].isin(footage) & (clips.label >= 0)]
    clips = pd.concat([*parts, apart.assign(role="apart")])
    return clips.assign(target=clips.label)
