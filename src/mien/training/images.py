"""Labelled pictures and vectors: what small networks and networks of pictures are trained on.

The pictures of a corpus as a row of ``pretrain`` sees them are grey, a few per clip, with roles and copies (AUG-B).

Who trains, validates and tests when the classes are people: everybody does, and recordings are divided. VoxCeleb brings
its own division of utterances (iden_split.txt). Elsewhere the recordings of each person are put in the order of a
digest of their names, and the first ones test: no seed, so a row that starts from another row's weights and a run with
another seed see the same test. A recording is whatever came about at once: who knows the room, the microphone or the
moment knows the answer. That is a clip, all frames of a sequence (CK+, MUG), all utterances of a video (VoxCeleb), what
the five cameras of RaFD saw of one pose, and whatever has the same bytes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.augment.aug_a import augment
from mien.augment.aug_b import OversamplingPlan, balance, change, no_copies
from mien.config.schema import AugmentConfig, FacesConfig
from mien.errors import CorpusError
from mien.training import clips as training_clips
from mien.training import engine
from mien.training.clips import ROLES, count_batches, random_batches, split
from mien.training.engine import Draws, EvalResult, Pass, Progress

CACHED = 2**17  # input numbers at once on a CPU: with more, the first feature maps leave its cache (half the speed)
PER_CLIP = 4  # pictures that a film gives to training; neighbours of 40 ms would show the same again
FOLD = 0  # the division is the corpus's own, or one that depends on the names of its clips alone

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


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDataset:
    """N labelled samples, in memory or mapped.

    inputs : (N, D) float vectors, or grey uint8 pictures, (N, H, W).   label : (N,) int64.
    rows : role -> numbers of its samples, of which there are some; training, validation, test and any others. Every one
        of them is evaluated.
    """

    inputs: np.ndarray
    label: np.ndarray
    rows: dict[str, np.ndarray]

    @property
    def shown(self) -> np.ndarray:
        """Return the numbers of the samples that an epoch trains on."""
        return self.rows["training"]

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return float32 inputs, (B, D) or (B, 1, H, W) in grey levels 0..255, and labels (B,)."""
        inputs = torch.from_numpy(self.inputs[rows]).to(device)
        if inputs.dim() == 3:
            inputs = inputs.unsqueeze(1)
        return inputs.float(), torch.from_numpy(self.label[rows]).to(device)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTask:
    """A network, inputs as `ImageDataset.batch` returns them -> (B, C) logits, is trained.

    augment : changes of training pictures, new in every epoch; None: none.
    follow_training : enter the accuracy of the training pass into the history.
    loss : mean over logits (B, C) and classes (B,).
    side_of : epoch -> side of its pictures (progressive resizing); None: that of the data.
    """

    data: ImageDataset
    batch: int
    augment: AugmentConfig | None
    draws: Draws
    precision: str = "float32"
    follow_training: bool = False
    loss: Callable[..., Tensor] = functional.cross_entropy
    side_of: Callable[[int], int] | None = None

    @property
    def steps(self) -> int:
        """Return the number of steps of an epoch."""
        return count_batches(len(self.data.shown), size=self.batch)

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Run one pass over the training samples."""
        model.train()
        device, rows = engine.device(), self.data.shown
        data = self.data if self.side_of is None else replace(self.data, size_px=self.side_of(epoch))
        order = self.draws.rng("order", epoch)
        total = torch.zeros((), dtype=torch.float64, device=device)
        n_hits = torch.zeros((), dtype=torch.int64, device=device)
        with self.draws.epoch(epoch) as generator:
            for chosen in random_batches(len(rows), size=self.batch, rng=order):
                inputs, label = data.batch(rows[chosen], device)
                if self.augment is not None:  # a picture is a clip of one frame
                    inputs = augment(inputs.unsqueeze(1), self.augment, mode="frame", generator=generator).squeeze(1)
                logits = self._predict(model, inputs)
                loss = self.loss(logits, label)
                engine.step(optimizer, loss)
                total += loss.detach() * len(label)
                n_hits += (logits.detach().argmax(1) == label).sum()
        accuracy = float(n_hits) / len(rows) if self.follow_training else None
        return Pass(float(total) / len(rows), accuracy)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Evaluate the samples of a role, in their order."""
        model.eval()
        device, rows, size = engine.device(), self.data.rows[role], engine.EVALUATED * self.batch
        if device.type == "cpu":
            size = min(size, max(1, CACHED // self.data.inputs[0].size))
        parts = (self.data.batch(rows[start : start + size], device)[0] for start in range(0, len(rows), size))
        logits = torch.cat([self._predict(model, inputs).cpu() for inputs in parts])
        return EvalResult.of({"fused": logits}, torch.from_numpy(self.data.label[rows]))

    def evaluate_choices(self, model: nn.Module, progress: Progress) -> None:
        """Enter the logits of all other roles, and the additional metric train_accuracy, by the chosen weights."""
        of_epoch: dict[int, dict[str, EvalResult]] = {}  # both selections may have the same weights
        for choice in progress.choices.values():
            if choice.epoch not in of_epoch:
                model.load_state_dict(choice.weights)
                others = [role for role in self.data.rows if role not in choice.logits]
                of_epoch[choice.epoch] = {role: self.evaluate(model, role) for role in others}
            results = of_epoch[choice.epoch]
            choice.logits |= {role: result.logits for role, result in results.items()}
            choice.metrics = choice.metrics | {"train_accuracy": results["training"].accuracy}

    def _predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        with engine.autocast(inputs.device, self.precision):
            return model(inputs).float()


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceImageDataset(ImageDataset):
    """Grey pictures of clips, (N, S, S); the numbers from N on are copies of some of them (AUG-B).

    clips : rows of CLIPS with the columns role (training, validation, test, apart) and target, the class.
    clip : (N,) number of the row of `clips` that a picture is of; the pictures of a clip follow each other.
    pictures : numbers of all training pictures; `rows` has one of each clip, the middle one, by which it is judged.
    size_px : side that the network wants.   digest : of all files that were read.
    """

    clips: pd.DataFrame
    clip: np.ndarray
    classes: tuple[str, ...]
    digest: str
    pictures: np.ndarray
    size_px: int
    copies: OversamplingPlan = field(default_factory=no_copies)

    def balanced(self, rng: np.random.Generator) -> "FaceImageDataset":
        """Return the same with copies that fill up the classes of the training pictures."""
        return replace(self, copies=balance(self.label, self.pictures, rng=rng))

    @property
    def shown(self) -> np.ndarray:
        """Return the numbers of the pictures and copies that an epoch trains on."""
        return np.concatenate([self.pictures, len(self.inputs) + np.arange(len(self.copies))])

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return float32 pictures (B, 1, size_px, size_px) in grey levels 0..255, and labels (B,)."""
        copied = rows >= len(self.inputs)
        source = rows.copy()
        source[copied] = self.copies.source[rows[copied] - len(self.inputs)]
        pictures = torch.from_numpy(self.inputs[source]).to(device).unsqueeze(1).float()
        if pictures.shape[-1] != self.size_px:
            size = (self.size_px, self.size_px)
            pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        if copied.any():
            draws = torch.from_numpy(self.copies.draws[rows[copied] - len(self.inputs)]).to(device)
            places = torch.from_numpy(np.flatnonzero(copied)).to(device)
            pictures[places] = change(pictures[places], draws)
        return pictures, torch.from_numpy(self.label[source]).to(device)


def read_face_images(results: Path, corpus: str, *, target: str, faces: FacesConfig, size_px: int) -> FaceImageDataset:
    """Read the pictures that a row of ``pretrain`` is trained on and evaluated by.

    Emotions (target: label): the roles of fold 0, and apart for test pictures with an identical duplicate on the
    training side. People: see `divide`. Clips without a face, a class or a role are left out.

    Raises
    ------
    TableError : a stage has not run, or its files are damaged.
    CorpusError : people are asked for and the corpus does not name them.
    """
    found = training_clips.read(results, corpus, ("video",), faces=faces, sound=None)
    footage = found.media["video"]
    if target == "label":
        parts = [part.assign(role=role) for role, part in split(found, FOLD).items()]
        apart = found.clips[found.clips.apart & found.clips["clip"].isin(footage) & (found.clips.label >= 0)]
        clips, classes = pd.concat([*parts, apart.assign(role="apart")]), found.classes
        clips = clips.assign(target=clips.label)
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
    role, clip = clips.role.to_numpy(), np.array(clip, np.int64)
    judged = np.array(judged, np.int64)
    return FaceImageDataset(
        inputs=np.stack(grey) if grey else np.empty((0, faces.size_px, faces.size_px), np.uint8),
        label=clips.target.to_numpy(np.int64)[clip],
        rows={name: judged[role == name] for name in (*ROLES, "apart") if (role == name).any()},
        clips=clips,
        clip=clip,
        classes=classes,
        digest=found.digest,
        pictures=np.flatnonzero(role[clip] == "training"),
        size_px=size_px,
    )
