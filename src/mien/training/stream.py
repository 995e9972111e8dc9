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

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.audio.spectrogram import segment_s
from mien.augment.aug_a import augment
from mien.config import schema
from mien.config.schema import AugmentConfig, FacesConfig, SoundConfig, StreamConfig, StreamingConfig
from mien.errors import ConfigError
from mien.io import tables
from mien.io.files import digest
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network
from mien.models.streaming import run_stream
from mien.training import clips, engine, run_folder
from mien.training.clips import ROLES, Change, ClipDataset, network_inputs
from mien.training.engine import EvalResult, Pass, TrainSpec
from mien.training.streams import StreamBatch, StreamTiming, stretch_batches, usable, whole_batches

log = logging.getLogger(__name__)

STREAM_FILE = "stream.parquet"
IN_MEMORY = 2**28  # bytes; the steps of a role's whole clips up to this size are kept from epoch to epoch
HELD_OUT = ROLES[1:]


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
    folds : list of int
        Folds to test on, from 0.
    seeds : list of int
        Repetitions.
    out : Path
        results/training/CORPUS/ROW.
    data : Path
        Folder with corpora/, faces/ and sound/.
    init : list of str
        MODALITY=FILE, model files of the rows in streams.ROW.init.
    config : str
        params.yaml, or its sections as JSON text.
    jobs : int
        Threads.

    Raises
    ------
    ConfigError
        Pretrained weights are given that are not asked for, or the other way round.
    """
    engine.prepare(jobs)
    params = schema.load(config)
    row = schema.section(StreamConfig, params, "streams", stream)
    run = StreamRun(
        name=stream,
        stream=row,
        streaming=schema.section(StreamingConfig, params, "streaming"),
        width=schema.section(int, params, "train", "width"),
        weight_decay=schema.section(float, params, "train", "weight_decay"),
        dropout=schema.section(float, params, "train", "dropout"),
        augment=schema.section(AugmentConfig, params, "augment"),
        sound=schema.section(SoundConfig, params, "sound"),
        faces=schema.section(FacesConfig, params, "faces"),
        seed=schema.section(int, params, "seed"),
        init=run_folder.find_init(f"streams.{stream}", row.init, init or []),
    )
    dataset = clips.read(data, run.corpus, row.modalities, faces=run.faces, sound=run.sound, running=True)
    dataset = usable(dataset, run.pace)
    for fold in folds:
        for seed in seeds:
            train_fold(run, dataset, fold=fold, seed=seed, out=out)
    engine.remove_checkpoints(run.corpus, run.name, folds, seeds)


@dataclass(frozen=True, kw_only=True)
class StreamRun:
    """What all folds and seeds of one command share: the sections of params.yaml and the names."""

    name: str  # row of streams
    stream: StreamConfig
    streaming: StreamingConfig
    width: int
    weight_decay: float
    dropout: float
    augment: AugmentConfig
    sound: SoundConfig
    faces: FacesConfig
    seed: int
    init: Mapping[str, Path]  # modality -> file with the pretrained weights of its trunk; random where absent

    def __post_init__(self) -> None:
        least_s = segment_s(self.sound)
        if "audio" in self.stream.modalities and self.streaming.window_s < least_s:
            raise ConfigError(
                f"params.yaml: streaming.window_s is {self.streaming.window_s:g} s, and {self.name} hears segments of"
                f" {least_s:g} s: it would hear none in training; make the window at least that long"
            )

    @property
    def corpus(self) -> str:
        """Return the corpus of the clips."""
        return self.streaming.corpus

    @property
    def pace(self) -> StreamTiming:
        """Return how often the network looks, listens and judges."""
        return StreamTiming(rate_fps=self.streaming.rate_fps, hop_s=self.streaming.hop_s, sound=self.sound)

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json."""
        sections = {name: asdict(getattr(self, name)) for name in ("stream", "streaming", "augment", "sound", "faces")}
        sizes = {name: getattr(self, name) for name in ("width", "weight_decay", "dropout")}
        return sections | {"train": sizes, "seed": self.seed}


@dataclass(frozen=True, kw_only=True)
class StreamTask:
    """A network is trained on stretches of clips and follows whole ones; `scope` names its draws.

    roles : role -> its clips, of which training ones are complete.
    whole : role -> batches of its whole clips; iterable again and again.
    """

    run: StreamRun
    dataset: ClipDataset
    roles: Mapping[str, pd.DataFrame]
    whole: Mapping[str, Iterable[StreamBatch]]
    scope: tuple[object, ...]

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Train one epoch."""
        run, device = self.run, engine.device()
        batches = stretch_batches(
            self.dataset,
            self.roles["training"],
            run.pace,
            window_s=run.streaming.window_s,
            size=run.streaming.batch,
            rng=rng_for(run.seed, *self.scope, "order", epoch),
        )
        with engine.seeded_epoch(epoch, seed=run.seed, scope=self.scope, device=device) as generator:
            loss = train_epoch(
                model,
                clips.on_device(device, batches),
                optimizer,
                augment=lambda frames: augment(frames, run.augment, mode="clip", generator=generator),
                loss=run.streaming.loss,
            )
        return Pass(loss)

    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Follow the clips of a role."""
        label = torch.from_numpy(self.roles[role].label.to_numpy(np.int64, copy=True))
        return summarise(self.follow(model, role), label)

    def follow(self, model: nn.Module, role: str) -> list["Followed"]:
        """Return what the network says along the clips of a role."""
        return follow(model, clips.on_device(engine.device(), self.whole[role]))


def train_fold(run: StreamRun, dataset: ClipDataset, *, fold: int, seed: int, out: Path) -> None:
    """Train one fold with one seed and write its folder below `out`; `dataset` has `usable` data.

    Raises
    ------
    ModelError
        Pretrained weights do not fit, or the loss is no longer a number.
    TableError
        The fold does not exist.
    """
    roles = clips.split(dataset, fold)
    roles["training"] = clips.complete(dataset, roles["training"])
    settings = ModelCard(
        kind="stream",
        corpus=run.corpus,
        variant=run.name,
        fold=fold,
        seed=seed,
        modalities=run.stream.modalities,
        fusion=run.stream.fusion,
        aggregator=run.stream.aggregator,
        classes=dataset.classes,
        width=run.width,
        rate_fps=run.streaming.rate_fps,
        hop_s=run.streaming.hop_s,
        sound=asdict(run.sound),
        faces=asdict(run.faces),
    )
    scope = ("streaming", run.corpus, fold, seed)
    model = checkpoint.network(settings, seed=seed_for(run.seed, *scope, "weights"), dropout=run.dropout)
    record = run_folder.describe_fold(
        dataset, roles, variant=run.name, fold=fold, seed=seed, model=model, config=run.config()
    )
    folder = Path(out) / engine.name_run(fold, seed)
    checks = (run_folder.check_clips(dataset, roles), run_folder.check_init(run.stream.init, run.init))
    if reason := run_folder.find_reason(check for group in checks for check in group):
        run_folder.write(folder, record, settings, reason=reason, further={STREAM_FILE: (None, tables.STREAM)})
        return
    given = run_folder.load_init(model, run.init)
    whole = {role: _keep_small(run, dataset, roles[role]) for role in HELD_OUT}
    task = StreamTask(run=run, dataset=dataset, roles=roles, whole=whole, scope=scope)
    spec = TrainSpec(
        learning_rate=run.streaming.learning_rate,
        weight_decay=run.weight_decay,
        epochs=run.streaming.epochs,
        keep=("honest",),
        checkpoint=engine.checkpoint_folder(run.corpus, run.name, fold=fold, seed=seed),
        key=digest([record, given, code_digest("training.stream:train_stream"), *engine.environment()]),
    )
    progress = engine.fit(model, task, spec)
    weights = progress.choices["honest"].weights
    model.load_state_dict(weights)
    stream = pd.concat([stream_rows(task.follow(model, role), roles[role], role) for role in HELD_OUT])
    run_folder.write(
        folder,
        record,
        settings,
        progress=progress,
        predictions=run_folder.list_predictions(progress, {role: roles[role] for role in HELD_OUT}, dataset.media),
        weights=weights,
        further={STREAM_FILE: (stream, tables.STREAM)},
    )


class _Again:
    """An iterable that is made anew each time: what is too large to keep is read again."""

    def __init__(self, make: Callable[[], Iterable[StreamBatch]]) -> None:
        self._make = make

    def __iter__(self):
        return iter(self._make())


def _keep_small(run: StreamRun, dataset: ClipDataset, rows: pd.DataFrame) -> Iterable[StreamBatch]:
    """Return batches of whole clips, in memory if they are small."""
    batches = _Again(lambda: whole_batches(dataset, rows, run.pace, size=run.streaming.batch))
    first = next(iter(batches))
    n_bytes = sum(value.nbytes for value in first.inputs.values()) * len(rows) / len(first)
    return list(batches) if n_bytes <= IN_MEMORY else batches


def stream_rows(followed: list["Followed"], rows: pd.DataFrame, role: str) -> pd.DataFrame:
    """Return rows of STREAM; a head is silent at ticks at which it has nothing to go by."""
    said = [
        (role, clip.clip, clip.actor, clip.label, one.tick_s[k], head, logits[k].numpy())
        for one, clip in zip(followed, rows.itertuples(), strict=True)
        for head, logits in one.logits.items()
        for k in torch.nonzero(one.known[head]).flatten().tolist()
    ]
    return pd.DataFrame(said, columns=tables.STREAM.columns.names)


@dataclass(frozen=True)
class Followed:
    """A recording that was followed: tick_s (K,) s, known and logits by head, (K,) bool and (K, C) float32."""

    tick_s: np.ndarray
    known: dict[str, Tensor]
    logits: dict[str, Tensor]

    def last(self, head: str) -> Tensor:
        """Return what a head says in the end, (C,); NaN if it never had anything to go by."""
        rows = self.logits[head][self.known[head]]
        return rows[-1] if len(rows) else torch.full_like(self.logits[head][0], torch.nan)


def train_epoch(
    model: Network, batches: Iterable[StreamBatch], optimizer: torch.optim.Optimizer, *, augment: Change, loss: str
) -> float:
    """Run one pass over `batches`, minimising the sum of all heads' cross-entropies (eq. 28).

    A head's cross-entropy is the mean over the ticks of a recording that it has something to go by at, or that of the
    last of them, and the mean of these over recordings.

    loss : every (tick) or last.

    Returns the mean over recordings of the fused head's.
    """
    model.train()
    total, n_followed = 0.0, 0
    for batch in batches:
        if not _enough(batch):
            continue
        scores = run_stream(model, network_inputs(batch, augment=augment), batch.at)
        losses = {}
        for head, score in scores.items():
            known = batch.known(head)
            of_each = tick_loss(score, known if loss == "every" else last_of(known), batch.label)  # (B,)
            if bool(known.any()):
                losses[head] = of_each[known.any(1)].mean()
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        optimizer.step()
        n = int(batch.known("fused").any(1).sum())
        total, n_followed = total + losses["fused"].detach() * n, n_followed + n
    return float(total) / max(n_followed, 1)


@torch.no_grad()
def follow(model: Network, batches: Iterable[StreamBatch]) -> list[Followed]:
    """Let the network in evaluation mode follow all recordings of `batches`."""
    model.eval()
    followed = []
    for batch in batches:
        scores = run_stream(model, network_inputs(batch), batch.at)
        known = {head: batch.known(head).cpu() for head in scores}
        scores = {head: score.float().cpu() for head, score in scores.items()}
        for row, tick_s in enumerate(batch.tick_s):
            upto = len(tick_s)
            followed.append(
                Followed(
                    tick_s,
                    {head: ticks[row, :upto] for head, ticks in known.items()},
                    {head: score[row, :upto] for head, score in scores.items()},
                )
            )
    return followed


def summarise(followed: list[Followed], label: Tensor) -> EvalResult:
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
