"""Command `train_stream`: a streaming network, on folds of the corpus of section ``streaming``.

In training, a random stretch of every clip is followed per epoch; held-out clips are followed from beginning to end.
Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

stream.parquet       table STREAM: what the honest epoch says at every step, or tick, of validation and test clips
predictions.parquet  table PREDICTIONS: logits of every head at the last step, for both selections
history.csv          a row per epoch; a loss is the fused head's mean cross-entropy over the steps of a clip, and the
                     mean of that over clips; an accuracy is that of the last step
model.safetensors    weights of the honest epoch: the one with the lowest loss of the validation people
run.json             settings, sizes, chosen epochs and their metrics
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.audio.spectrogram import segment_s
from mien.augment.aug_a import augment
from mien.config import schema
from mien.errors import ConfigError
from mien.io import tables
from mien.models import checkpoint
from mien.models.mrpn import Network
from mien.models.streaming import run_stream
from mien.training import clips, engine, run_folder
from mien.training.clips import ClipDataset, network_inputs
from mien.training.engine import Draws, EvalResult, Pass
from mien.training.run_folder import RunSpec
from mien.training.streams import StreamBatch, StreamTiming, stretch_batches, usable, whole_batches

TRAIN = ("train.width", "train.weight_decay", "train.dropout", "train.precision")
SECTIONS = ("streaming", *TRAIN, "augment", "sound", "faces", "seed")  # that a row of streams depends on
STREAM_FILE = "stream.parquet"
IN_MEMORY = 2**28  # bytes; the steps of a role's whole clips up to this size are kept from epoch to epoch


def train_stream(
    *,
    stream: str,
    folds: list[int],
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    init: list[str] | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a streaming network on folds; a run that was killed goes on from its checkpoints.

    Parameters
    ----------
    stream : str
        Row of streams in params.yaml.
    out : Path
        results/training/CORPUS/ROW.
    init : list of str
        MODALITY=FILE, model files of the rows in streams.ROW.init.

    Raises
    ------
    ConfigError : pretrained weights are given that are not asked for, or the other way round.
    """
    engine.prepare(jobs)
    params, where = schema.load(config), f"streams.{stream}"
    settings = run_folder.read_settings(params, *SECTIONS, stream=where)
    row, how = settings.stream, settings.streaming
    least_s = segment_s(settings.sound)
    if "audio" in row.modalities and how.window_s < least_s:
        raise ConfigError(
            f"params.yaml: streaming.window_s is {how.window_s:g} s, and {stream} hears segments of {least_s:g} s: it"
            " would hear none in training; make the window at least that long"
        )
    files = run_folder.find_init(where, row.init, init or [])
    run = RunSpec(corpus=how.corpus, name=stream, settings=settings, out=out, init=files)
    dataset = clips.read(data, how.corpus, row.modalities, faces=settings.faces, sound=settings.sound, running=True)
    dataset = usable(dataset, StreamTiming(rate_fps=how.rate_fps, hop_s=how.hop_s, sound=settings.sound))
    run_folder.train_runs(run, lambda one: train_fold(one, dataset), folds=folds, seeds=seeds)


def train_fold(run: RunSpec, dataset: ClipDataset) -> None:
    """Train one fold with one seed and write its folder; `dataset` has `usable` data.

    Raises
    ------
    ModelError : pretrained weights do not fit, or the loss is no longer a number.
    TableError : the fold does not exist.
    """
    row, how = run.settings.stream, run.settings.streaming
    roles = clips.split(dataset, run.fold)
    roles["training"] = clips.complete(dataset, roles["training"])
    draws = run.draws("streaming", run.corpus, run.fold, run.seed)
    card = run.card(
        "stream",
        modalities=row.modalities,
        fusion=row.fusion,
        aggregator=row.aggregator,
        classes=dataset.classes,
        width=run.settings.train.width,
        rate_fps=how.rate_fps,
        hop_s=how.hop_s,
        sound=run.settings.sound,
        faces=run.settings.faces,
    )
    model = checkpoint.network(card, seed=draws.number("weights"), dropout=run.settings.train.dropout)
    record = run_folder.describe_clips(run, dataset, roles, model)
    checks = run_folder.check_clips(dataset, roles), run_folder.check_init(row.init, run.init)
    if reason := run_folder.find_reason(*checks):
        run_folder.write(run, record, card, reason=reason, further={STREAM_FILE: (None, tables.STREAM)})
        return
    given = run_folder.load_init(model, run.init)
    task = StreamTask(settings=run.settings, dataset=dataset, roles=roles, draws=draws)
    spec = run.spec(
        *(record, given),
        code="training.stream:train_stream",
        learning_rate=how.learning_rate,
        weight_decay=run.settings.train.weight_decay,
        epochs=how.epochs,
        keep=("honest",),
    )
    progress = engine.fit(model, task, spec)
    model.load_state_dict(progress.choices["honest"].weights)
    samples = {role: roles[role] for role in spec.roles}
    stream = pd.concat([stream_rows(task.predict_stream(model, role), rows, role) for role, rows in samples.items()])
    further = {STREAM_FILE: (stream, tables.STREAM)}
    run_folder.write(run, record, card, progress=progress, samples=samples, media=dataset.media, further=further)


@dataclass(frozen=True, kw_only=True)
class StreamTask:
    """A network is trained on stretches of clips and follows whole ones.

    settings : with streaming, augment and sound.   roles : role -> its clips, of which training ones are complete.
    """

    settings: SimpleNamespace
    dataset: ClipDataset
    roles: Mapping[str, pd.DataFrame]
    draws: Draws
    kept: dict[str, list[StreamBatch]] = field(default_factory=dict)  # batches of roles that are small enough

    @property
    def pace(self) -> StreamTiming:
        """Return how often the network looks, listens and judges."""
        how = self.settings.streaming
        return StreamTiming(rate_fps=how.rate_fps, hop_s=how.hop_s, sound=self.settings.sound)

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Run one pass over a stretch of every clip, minimising the sum of all heads' cross-entropies (eq. 28).

        A head's cross-entropy is the mean over the ticks of a stretch that it has something to go by at, or that of the
        last of them, and the mean of these over stretches.
        """
        model.train()
        how, rng, total, n_followed = self.settings.streaming, self.draws.rng("order", epoch), 0.0, 0
        precision = self.settings.train.precision
        batches = stretch_batches(
            self.dataset, self.roles["training"], self.pace, window_s=how.window_s, size=how.batch, rng=rng
        )
        with self.draws.epoch(epoch) as generator:
            change = partial(augment, config=self.settings.augment, mode="clip", generator=generator)
            for batch in filter(_enough, clips.on_device(engine.device(), batches)):
                losses = {}
                for head, score in forward_stream(
                    model, network_inputs(batch, augment=change), batch.at, precision
                ).items():
                    known = batch.known(head)
                    of_each = tick_loss(score, known if how.loss == "every" else last_of(known), batch.label)  # (B,)
                    if bool(known.any()):
                        losses[head] = of_each[known.any(1)].mean()
                engine.step(optimizer, sum(losses.values()))
                n = int(batch.known("fused").any(1).sum())
                total, n_followed = total + losses["fused"].detach() * n, n_followed + n
        return Pass(float(total) / max(n_followed, 1))

    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Follow the clips of a role."""
        return summarise(self.predict_stream(model, role), torch.tensor(self.roles[role].label.to_numpy()))

    def predict_stream(self, model: nn.Module, role: str) -> list["StreamPrediction"]:
        """Return what the network says along the whole clips of a role."""
        look = partial(whole_batches, self.dataset, self.roles[role], self.pace, size=self.settings.streaming.batch)
        if role not in self.kept:
            first = next(look())
            n_bytes = sum(value.nbytes for value in first.inputs.values()) * len(self.roles[role]) / len(first)
            self.kept[role] = list(look()) if n_bytes <= IN_MEMORY else []
        batches = clips.on_device(engine.device(), self.kept[role] or look())
        return predict_stream(model, batches, precision=self.settings.train.precision)


def forward_stream(
    model: Network, inputs: Mapping[str, Tensor], at: Mapping[str, Tensor], precision: str
) -> dict[str, Tensor]:
    """Return what `run_stream` says, computed in `precision`; float32."""
    with engine.autocast(next(iter(at.values())).device, precision):
        scores = run_stream(model, inputs, at)
    return {head: score.float() for head, score in scores.items()}


def stream_rows(followed: list["StreamPrediction"], rows: pd.DataFrame, role: str) -> pd.DataFrame:
    """Return rows of STREAM; a head is silent at ticks at which it has nothing to go by."""
    said = [
        (role, clip.clip, clip.actor, clip.label, one.tick_s[k], head, logits[k].numpy())
        for one, clip in zip(followed, rows.itertuples(), strict=True)
        for head, logits in one.logits.items()
        for k in torch.nonzero(one.known[head]).flatten().tolist()
    ]
    return pd.DataFrame(said, columns=tables.STREAM.columns.names)


@dataclass(frozen=True)
class StreamPrediction:
    """A recording that was followed: tick_s (K,) s, known and logits by head, (K,) bool and (K, C) float32."""

    tick_s: np.ndarray
    known: dict[str, Tensor]
    logits: dict[str, Tensor]

    def last(self, head: str) -> Tensor:
        """Return what a head says in the end, (C,); NaN if it never had anything to go by."""
        rows = self.logits[head][self.known[head]]
        return rows[-1] if len(rows) else torch.full_like(self.logits[head][0], torch.nan)


@torch.no_grad()
def predict_stream(
    model: Network, batches: Iterable[StreamBatch], *, precision: str = "float32"
) -> list[StreamPrediction]:
    """Let the network in evaluation mode follow all recordings of `batches`."""
    model.eval()
    followed = []
    for batch in batches:
        scores = forward_stream(model, network_inputs(batch), batch.at, precision)
        known = {head: batch.known(head).cpu() for head in scores}
        scores = {head: score.cpu() for head, score in scores.items()}
        for row, tick_s in enumerate(batch.tick_s):
            upto = len(tick_s)
            followed.append(
                StreamPrediction(
                    tick_s,
                    {head: ticks[row, :upto] for head, ticks in known.items()},
                    {head: score[row, :upto] for head, score in scores.items()},
                )
            )
    return followed


def summarise(followed: list[StreamPrediction], label: Tensor) -> EvalResult:
    """Return what is said of recordings with `label` (N,): logits (N, C) and accuracy of the last tick.

    The loss is the fused head's mean cross-entropy over the ticks of a recording, and the mean of that over recordings.
    """
    losses = [
        tick_loss(one.logits["fused"][None].double(), one.known["fused"][None], label[row : row + 1])
        for row, one in enumerate(followed)
    ]
    logits = {head: torch.stack([one.last(head) for one in followed]) for head in followed[0].logits}
    hits = logits["fused"].argmax(1) == label
    return EvalResult(logits, float(torch.cat(losses).mean()), float(hits.double().mean()))


def tick_loss(score: Tensor, known: Tensor, label: Tensor) -> Tensor:
    """Return the mean cross-entropy over known ticks, (B, K, C), (B, K) bool, (B,) -> (B,); 0 where none is known."""
    losses = torch.zeros(known.shape, dtype=score.dtype, device=score.device)
    losses[known] = functional.cross_entropy(score[known], label[:, None].expand(known.shape)[known], reduction="none")
    return losses.sum(1) / known.sum(1).clamp(min=1)


def last_of(known: Tensor) -> Tensor:
    """Return (B, K) bool: the last of the known ticks of every row."""
    number = torch.arange(1, known.shape[1] + 1, device=known.device) * known  # (B, K)
    return known & (number == number.amax(1, keepdim=True))


def _enough(batch: StreamBatch) -> bool:
    """Tell whether batch statistics can be taken: no modality has one step, or is judged at one tick, and no more."""
    for at in batch.at.values():
        if int((at.amax(1) + 1).sum()) == 1 or int((at >= 0).sum()) == 1:
            return False
    return int(batch.known("fused").sum()) >= 2
