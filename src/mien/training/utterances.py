"""Utterances of a corpus of any size: memory-mapped waves, of which a crop reads the second that it needs.

A crop is the segment that `cut_segments` would cut out of the spectrogram of the whole clip, number for number: the
branches of chapter 5 look at such segments, so a network that starts one of them should learn from nothing else. What
the whole clip decides (level of the wave, mean and deviation of the spectrogram) is four numbers, `level_of`, found in
one pass over the waves before the first epoch. A crop starts where segments can: at multiples of hop * pool samples.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.audio.spectrogram import cells, cut_segments, segment_shape, spectrogram
from mien.config.schema import SoundConfig
from mien.errors import TableError
from mien.io import shards, tables
from mien.io.files import read_json, sha256
from mien.models.checkpoint import ResNetClassifier
from mien.models.resnet import ResNet18
from mien.training import engine
from mien.training.clips import ROLES, count_batches, random_batches
from mien.training.distributed import Group
from mien.training.engine import Draws, EvalResult, Pass
from mien.training.images import divide_voices

log = logging.getLogger(__name__)

SECONDS = 64  # segments at once where no gradients are kept
READERS = 4  # threads that read ahead, each a batch: copying out of a mapped file waits for the disk, not for us

T, Made = TypeVar("T"), TypeVar("Made")


@dataclass(frozen=True, kw_only=True, eq=False)
class UtteranceDataset:
    """U audible utterances in the order of their clip names.

    waves : one (N,) int16 per part, memory-mapped.
    clip : (U,) names.   part, start, n_samples : (U,) int64, the utterance is n_samples from start of waves[part].
    """

    waves: tuple[np.ndarray, ...]
    clip: np.ndarray
    part: np.ndarray
    start: np.ndarray
    n_samples: np.ndarray
    config: SoundConfig

    def wave(self, row: int) -> np.ndarray:
        """Return the samples of an utterance, (n_samples,) int16, still on disk."""
        start = self.start[row]
        return self.waves[self.part[row]][start : start + self.n_samples[row]]

    def n_starts(self, rows: np.ndarray) -> np.ndarray:
        """Return at how many columns of the spectrogram a segment of each utterance can start."""
        width = segment_shape(self.config)[1]
        return np.maximum(self.n_samples[rows] // (self.config.hop * self.config.pool) - width, 0) + 1


@dataclass(frozen=True, kw_only=True)
class Crops:
    """B crops, read but not yet transformed.

    samples : (B, L) int16, what the windows of a segment cover; 0 outside the clip.
    first : (B,) int64, number of the first sample within the clip, negative where the first window begins before it.
    n_samples : (B,) int64, of the clip.
    """

    samples: np.ndarray
    first: np.ndarray
    n_samples: np.ndarray


def read_utterances(results: Path, clips: pd.DataFrame, config: SoundConfig) -> UtteranceDataset:
    """Map what `extract_sound` left of `clips` (table CLIPS, of one corpus), as far as it is usable and not silent.

    Raises
    ------
    TableError : the stage has not run, at another rate, or its files are damaged.
    """
    folder = Path(results) / "sound" / clips.corpus.iloc[0]
    manifest = read_json(folder / "manifest.json")
    if (rate_hz := manifest.get("rate_hz", config.rate_hz)) != config.rate_hz:
        raise TableError(f"{folder}: sampled at {rate_hz} Hz, sound.rate_hz is {config.rate_hz}; run extract_sound")
    usable = clips["clip"][clips.has_audio]
    waves, rows = [], []
    for part in sorted(manifest["parts"]):
        shard = shards.read_sound(folder / part)
        index = shard.index[~shard.index.silent & (shard.index.n_samples > 0)]
        rows.append(index[index["clip"].isin(usable)].assign(part=len(waves)))
        waves.append(shard.wave)
    columns = ["clip", "part", "start", "n_samples"]
    table = pd.concat(rows)[columns].sort_values("clip") if rows else pd.DataFrame(columns=columns)
    numbers = {name: table[name].to_numpy(np.int64) for name in columns[1:]}
    log.info("%s: %d of %d clips can be heard", folder.name, len(table), len(clips))
    return UtteranceDataset(waves=tuple(waves), clip=table["clip"].to_numpy(), config=config, **numbers)


def read_crops(voices: UtteranceDataset, rows: np.ndarray, starts: np.ndarray) -> Crops:
    """Read crops out of the utterances `rows`; `starts` (B,) are columns of the spectrogram below `n_starts`."""
    config = voices.config
    columns = segment_shape(config)[1] * config.pool
    samples = np.zeros((len(rows), (columns - 1) * config.hop + config.window), np.int16)  # what its windows cover
    first = starts * config.hop * config.pool - config.window // 2  # the first window is centred on its column
    for crop, row, begin in zip(samples, rows, first, strict=True):
        wave = voices.wave(row)
        low, high = max(begin, 0), min(begin + len(crop), len(wave))
        crop[low - begin : high - begin] = wave[low:high]
    return Crops(samples=samples, first=first, n_samples=voices.n_samples[rows])


def transform(crops: Crops, level: Tensor, config: SoundConfig) -> Tensor:
    """Return the segments of the crops, (B, 1, F, W), on the device of `level` (B, 4), from `level_of`."""
    device = level.device
    first, n_samples = (torch.from_numpy(values).to(device)[:, None] for values in (crops.first, crops.n_samples))
    place = first + torch.arange(crops.samples.shape[1], device=device)  # (B, L)
    wave = (torch.from_numpy(crops.samples).to(device).float() / shards.FULL_SCALE - level[:, 0:1]) / level[:, 1:2]
    wave = wave.masked_fill((place < 0) | (place >= n_samples), 0.0)  # as the whole clip is padded
    spectrum = (_cells(wave, config) - level[:, 2, None, None]) / level[:, 3, None, None]  # (B, F, W)
    n_columns = (n_samples // (config.hop * config.pool)).clamp(min=1)
    beyond = (torch.arange(spectrum.shape[2], device=device) >= n_columns)[:, None]  # (B, 1, W): the clip is shorter
    lowest = spectrum.masked_fill(beyond, torch.inf).amin(dim=(1, 2), keepdim=True)
    return torch.where(beyond, lowest, spectrum).unsqueeze(1)


def level_of(wave: Tensor, config: SoundConfig) -> Tensor:
    """Return (4,): mean and deviation of a clip's wave (N,) float, and of the spectrogram of its scaled wave."""
    mean, deviation = _moments(wave)
    scaled = (wave - mean) / deviation
    n_columns = max(len(wave) // (config.hop * config.pool), 1) * config.pool
    short = (n_columns - 1) * config.hop + config.window - config.window // 2 - len(wave)
    padded = functional.pad(scaled, (config.window // 2, max(short, 0)))[: (n_columns - 1) * config.hop + config.window]
    return torch.stack([mean, deviation, *_moments(_cells(padded[None], config))])


def levels(voices: UtteranceDataset, rows: np.ndarray, *, device: torch.device) -> Tensor:
    """Return `level_of` the utterances `rows`, (len(rows), 4) float32; one pass over their whole waves."""
    waves = prefetch_map(lambda row: np.array(voices.wave(row)), rows)
    found = [level_of(torch.from_numpy(wave).to(device).float() / shards.FULL_SCALE, voices.config) for wave in waves]
    return torch.stack(found) if found else torch.zeros(0, 4, device=device)


def whole_segments(wave: np.ndarray, config: SoundConfig, *, device: torch.device) -> Tensor:
    """Return the segments of a whole utterance that touch but do not overlap, (S, 1, F, W); the remainder is left out.

    One that is shorter than a segment is continued as `cut_segments` does.
    """
    spectrum = spectrogram(torch.from_numpy(wave).to(device).float() / shards.FULL_SCALE, config)
    width = segment_shape(config)[1]
    starts = np.arange(max(spectrum.shape[1] // width, 1)) * width
    return cut_segments(spectrum, starts * config.hop * config.pool / config.rate_hz, config)


def prefetch_map(make: Callable[[T], Made], items: Iterable[T]) -> Iterator[Made]:
    """Yield make(item) in the order of `items`, while threads prepare the next few."""
    with ThreadPoolExecutor(READERS) as pool:
        waiting: deque = deque()
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _cells(wave: Tensor, config: SoundConfig) -> Tensor:
    """Return the (log) magnitudes of (B, L) waves whose first window begins with the first sample, (B, F, W)."""
    window = torch.hann_window(config.window, device=wave.device)
    options = {"n_fft": config.window, "hop_length": config.hop, "center": False, "return_complex": True}
    return cells(torch.stft(wave, window=window, **options), config)


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    mean = values.mean()
    return mean, (values - mean).square().mean().sqrt().clamp(min=1e-8)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpeakerDataset:
    """Utterances with their speakers and roles.

    clips : table CLIPS with the column role, "" for clips in none.   utterances : U utterances.
    speakers : names in the order of labels.   label : (U,) int64, -1 for people who are no class.
    rows : role -> its utterances.   files : digests of all files that were read.
    """

    clips: pd.DataFrame
    utterances: UtteranceDataset
    speakers: tuple[str, ...]
    label: np.ndarray
    rows: dict[str, np.ndarray]
    files: list[Any]

    def samples(self, role: str) -> pd.DataFrame:
        """Return clip, actor and label of the utterances of a role."""
        rows = self.rows[role]
        label = self.label[rows]
        return pd.DataFrame(
            {"clip": self.utterances.clip[rows], "actor": np.array(self.speakers)[label], "label": label}
        )


def read_speakers(results: Path, corpus: str, config: SoundConfig) -> SpeakerDataset:
    """Read the utterances of a corpus, divide them and number the speakers.

    All people who are in a role are classes: one whose training utterances cannot be heard is never recognised, and
    counts as a mistake.
    """
    path = Path(results) / "corpora" / corpus / "clips.parquet"
    clips = tables.read(path, tables.CLIPS)
    utterances = read_utterances(results, clips, config)
    clips = clips.assign(role=divide_voices(clips, audible=clips["clip"].isin(utterances.clip)))
    speakers = tuple(sorted(clips.actor[clips.role.isin(ROLES)].unique()))
    role, actor = (clips.set_index("clip")[name].reindex(utterances.clip).to_numpy() for name in ("role", "actor"))
    rows = {name: np.flatnonzero(role == name) for name in ROLES}
    if strangers := sorted(set(speakers) - set(actor[rows["training"]])):
        log.warning("%s: %d speakers, such as %s, have nothing to train on", corpus, len(strangers), strangers[0])
    return SpeakerDataset(
        clips=clips,
        utterances=utterances,
        speakers=speakers,
        label=pd.Index(speakers).get_indexer(actor).astype(np.int64),
        rows=rows,
        files=[sha256(path), read_json(Path(results) / "sound" / corpus / "manifest.json")["parts"]],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SpeakerTask:
    """A network learns who speaks from random one-second crops (thesis section 5.3.2).

    An epoch looks at every training utterance `crops` times, each time at another second of it. A held-out utterance is
    cut into seconds that touch: its feature is the mean of their features, and so, the classifier being linear, its
    logits are the mean of their logits.

    batch : crops of all processes together.   loss : of logits (B, C) and classes (B,).
    """

    data: SpeakerDataset
    crops: int
    batch: int
    draws: Draws
    precision: str
    group: Group
    loss: Callable[..., Tensor] = functional.cross_entropy

    @property
    def steps(self) -> int:
        """Return the number of steps of an epoch."""
        return count_batches(self.crops * len(self.data.rows["training"]), size=self.batch)

    @cached_property
    def level(self) -> Tensor:
        """Return `level_of` the training utterances, (N, 4), on the device."""
        return self.group.gather(
            levels(self.data.utterances, self.group.shard(self.data.rows["training"]), device=engine.device())
        )

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Run one pass over the crops of the training utterances."""
        model.train()
        device, rows, level = engine.device(), self.data.rows["training"], self.level
        item = np.tile(np.arange(len(rows)), self.crops)
        place = self.draws.rng("crops", epoch).random(len(item))
        start = (place * self.data.utterances.n_starts(rows)[item]).astype(np.int64)
        order = self.draws.rng("order", epoch)
        batches = list(random_batches(len(item), size=self.batch, rng=order))  # the same in every process
        shards = [self.group.shard(batch) for batch in batches]
        sums = torch.zeros(2, dtype=torch.float64, device=device)  # of losses and of hits
        crops = prefetch_map(lambda own: read_crops(self.data.utterances, rows[item[own]], start[own]), shards)
        for batch, own, crop in zip(batches, shards, crops, strict=True):
            segments = transform(crop, level[torch.from_numpy(item[own])], self.data.utterances.config)
            label = torch.from_numpy(self.data.label[rows[item[own]]]).to(device)
            with engine.autocast(device, self.precision):
                logits = model(segments).float()
            loss = self.loss(logits, label, reduction="sum")
            engine.step(optimizer, loss * (self.group.size / len(batch)))  # gradients are averaged over processes
            sums += torch.stack([loss.detach(), (logits.detach().argmax(1) == label).sum()])
        return Pass(*(self.group.sum(sums) / len(item)).tolist())

    def evaluate(self, model: ResNetClassifier, role: str) -> EvalResult:
        """Evaluate the utterances of a role, in their order."""
        features = self.embed(model, self.data.rows[role])
        with torch.no_grad():
            logits = model.fc(features.to(engine.device())).float().cpu()
        return EvalResult.of({"fused": logits}, torch.from_numpy(self.data.label[self.data.rows[role]]))

    @torch.no_grad()
    def embed(self, model: ResNetClassifier, rows: np.ndarray) -> Tensor:
        """Return the mean feature of every utterance, (len(rows), D) float32 on the CPU, the same in every process."""
        model.eval()
        device = engine.device()
        waves = prefetch_map(lambda row: np.array(self.data.utterances.wave(row)), self.group.shard(rows))
        means, waiting = [torch.zeros(0, model.dim, device=device)], []
        for wave in waves:
            waiting.append(whole_segments(wave, self.data.utterances.config, device=device))
            if sum(map(len, waiting)) >= SECONDS:
                means.append(_mean_features(model, waiting))
                waiting = []
        if waiting:
            means.append(_mean_features(model, waiting))
        return self.group.gather(torch.cat(means)).cpu()


def _mean_features(model: ResNetClassifier, utterances: list[Tensor]) -> Tensor:
    """Return (N, D) of N utterances of (S, 1, F, W) segments each."""
    segments = torch.cat(utterances)
    features = torch.cat([ResNet18.forward(model, part) for part in segments.split(SECONDS)]).float()
    return torch.stack([part.mean(dim=0) for part in features.split([len(part) for part in utterances])])
