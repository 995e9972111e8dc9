"""Command `train_stream`: a network that runs along with recordings, on folds of the corpus of section ``streaming``.

In training, a random stretch of every clip is followed per epoch; held-out clips are followed from beginning to end.
Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

stream.parquet       table STREAM: what the honest epoch says at every step, or tick, of validation and test clips
predictions.parquet  table PREDICTIONS: logits of every head at the last step, for both selections
history.csv          a row per epoch; a loss is the fused head's mean cross-entropy over the steps of a clip, and the
                     mean of that over clips; an accuracy is that of the last step
model.safetensors    weights of the honest epoch: the one with the lowest loss of the validation people
run.json             settings, sizes, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A row whose modalities a fold does not have is recorded as
"not applicable", with the reason, and is no error.

One epoch of training a running network, and following whole recordings with it.

One fold and seed of a running network: prepare it, train it, follow the held-out clips, write the five files.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from mien.audio.spectrogram import segment_s
from mien.augment.aug_a import augment
from mien.config.schema import AugmentConfig, FacesConfig, SoundConfig, StreamConfig, StreamingConfig
from mien.errors import ConfigError, ModelError
from mien.io import tables
from mien.io.files import digest
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.models.layout import to_device
from mien.models.mrpn import Network
from mien.models.streaming import StreamSettings, network_of, run_along
from mien.training import engine, run_folder
from mien.training.clips import ROLES, Recordings, complete, obstacle, on_device, split
from mien.training.engine import AdamW, Progress, Verdict, add_fold_arguments, draws_of, run_epochs
from mien.training.run_folder import load_first, no_start, outcome, prediction_rows, record_of
from mien.training.streams import Pace, StreamBatch, stretch_batches, whole_batches
from mien.training.train import Change, network_inputs


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
        scores = run_along(model, network_inputs(batch, augment=augment), batch.at)
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
        scores = run_along(model, network_inputs(batch), batch.at)
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


def verdict_of(followed: list[Followed], label: Tensor) -> Verdict:
    """Return what is said of recordings with `label` (N,): logits (N, C) and accuracy of the last tick.

    The loss is the fused head's mean cross-entropy over the ticks of a recording, and the mean of that over recordings.
    """
    losses = [
        tick_loss(one.logits["fused"][None].double(), one.known["fused"][None], label[row : row + 1])
        for row, one in enumerate(followed)
    ]
    logits = {head: torch.stack([one.last(head) for one in followed]) for head in followed[0].logits}
    hits = logits["fused"].argmax(1) == label
    return Verdict(logits, float(torch.cat(losses).mean()), float(hits.double().mean()))


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


log = logging.getLogger(__name__)

STREAM_FILE = "stream.parquet"

IN_MEMORY = 2**28  # bytes; the steps of a role's whole clips up to this size are kept from epoch to epoch
HELD_OUT = ROLES[1:]


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
    first: Mapping[str, Path]  # modality -> file with the first weights of its trunk; random where absent

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
    def pace(self) -> Pace:
        """Return how often the network looks, listens and judges."""
        return Pace(rate_fps=self.streaming.rate_fps, hop_s=self.streaming.hop_s, sound=self.sound)

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json."""
        sections = {name: asdict(getattr(self, name)) for name in ("stream", "streaming", "augment", "sound", "faces")}
        sizes = {name: getattr(self, name) for name in ("width", "weight_decay", "dropout")}
        return sections | {"train": sizes, "seed": self.seed}


@dataclass(frozen=True, kw_only=True)
class Course:
    """One training: `roles` are clips by role, of which training ones are complete; `scope` names its draws."""

    run: StreamRun
    recordings: Recordings
    roles: dict[str, pd.DataFrame]
    whole: dict[str, Iterable[StreamBatch]]  # role -> its whole clips; iterable again and again
    scope: tuple[object, ...]
    checkpoint: Path


class Again:
    """An iterable that is made anew each time: what is too large to keep is read again."""

    def __init__(self, make: Callable[[], Iterable[StreamBatch]]) -> None:
        self._make = make

    def __iter__(self):
        return iter(self._make())


def train_fold(run: StreamRun, recordings: Recordings, *, fold: int, seed: int, out: Path) -> None:
    """Train one fold with one seed and write its folder below `out`; `recordings` are `usable` ones.

    Raises
    ------
    ModelError : first weights do not fit, or the loss is no longer a number.
    TableError : the fold does not exist.
    """
    roles = split(recordings, fold)
    roles["training"] = complete(recordings, roles["training"])
    settings = _settings(run, recordings, fold, seed)
    scope = ("streaming", run.corpus, fold, seed)
    model = network_of(settings, seed=seed_for(run.seed, *scope, "weights"), dropout=run.dropout)
    record = record_of(recordings, roles, variant=run.name, fold=fold, seed=seed, model=model, config=run.config())
    folder = Path(out) / engine.run_name(fold, seed)
    if reason := obstacle(recordings, roles) or no_start(run.stream.init, run.first):
        log.info("%s %s fold %d: not applicable: %s", run.corpus, run.name, fold, reason)
        run_folder.write_not_applicable(
            folder, record, reason=reason, settings=settings, further={STREAM_FILE: tables.STREAM}
        )
        return
    given = load_first(model, run.first)
    course = Course(
        run=run,
        recordings=recordings,
        roles=roles,
        whole={role: _whole(run, recordings, roles[role]) for role in HELD_OUT},
        scope=scope,
        checkpoint=engine.folder_of(run.corpus, run.name, fold=fold, seed=seed),
    )
    key = digest([record, given, code_digest("training.stream:run"), *engine.conditions()])
    model, progress = _fit(course, model, key=key)
    weights = progress.choices["honest"].weights
    model.load_state_dict(weights)
    stream = pd.concat([stream_rows(_follow(course, model, role), roles[role], role) for role in HELD_OUT])
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=pd.concat(
            [prediction_rows(recordings, roles, progress, kind) for kind in ("honest", "optimistic")]
        ),
        history=progress.history,
        weights=weights,
        settings=settings,
        further={STREAM_FILE: (stream, tables.STREAM)},
    )
    log.info("%s %s fold %d seed %d: %s", run.corpus, run.name, fold, seed, outcome(progress, "")["metrics"])


def stream_rows(followed: list[Followed], clips: pd.DataFrame, role: str) -> pd.DataFrame:
    """Return rows of STREAM; a head is silent at ticks at which it has nothing to go by."""
    rows = []
    for one, clip in zip(followed, clips.itertuples(), strict=True):
        for head, logits in one.logits.items():
            for k in torch.nonzero(one.known[head]).flatten().tolist():
                rows.append((role, clip.clip, clip.actor, clip.label, one.tick_s[k], head, logits[k].numpy()))
    return pd.DataFrame(rows, columns=tables.STREAM.columns.names)


def _settings(run: StreamRun, recordings: Recordings, fold: int, seed: int) -> StreamSettings:
    return StreamSettings(
        corpus=run.corpus,
        variant=run.name,
        fold=fold,
        seed=seed,
        modalities=run.stream.modalities,
        fusion=run.stream.fusion,
        aggregator=run.stream.aggregator,
        classes=recordings.classes,
        width=run.width,
        rate_fps=run.streaming.rate_fps,
        hop_s=run.streaming.hop_s,
        sound=asdict(run.sound),
        faces=asdict(run.faces),
    )


def _whole(run: StreamRun, recordings: Recordings, clips: pd.DataFrame) -> Iterable[StreamBatch]:
    """Return batches of whole clips, in memory if they are small."""
    batches = Again(lambda: whole_batches(recordings, clips, run.pace, size=run.streaming.batch))
    first = next(iter(batches))
    n_bytes = sum(value.nbytes for value in first.inputs.values()) * len(clips) / len(first)
    return list(batches) if n_bytes <= IN_MEMORY else batches


def _fit(course: Course, model: Network, *, key: str) -> tuple[Network, Progress]:
    """Train until the last epoch, going on from a checkpoint if there is one; return the model on its device."""
    run = course.run
    model = to_device(model, engine.device())
    optimizer = AdamW(model.parameters(), learning_rate=run.streaming.learning_rate, weight_decay=run.weight_decay)
    progress = run_epochs(
        lambda epoch, progress: _run_epoch(course, epoch, progress, model=model, optimizer=optimizer),
        {"model": model, "optimizer": optimizer},
        epochs=run.streaming.epochs,
        checkpoint=course.checkpoint,
        key=key,
    )
    return model, progress


def _run_epoch(
    course: Course, epoch: int, progress: Progress, *, model: Network, optimizer: torch.optim.Optimizer
) -> None:
    """Train and judge once, and enter the outcome into `progress`."""
    train_loss = _train(course, epoch, model, optimizer)
    if not math.isfinite(train_loss):
        raise ModelError(
            f"{course.checkpoint}: the loss is {train_loss} in epoch {epoch}; lower streaming.learning_rate"
        )
    verdicts = {role: _judge(course, model, role) for role in HELD_OUT}
    rate = optimizer.param_groups[0]["lr"]
    progress.enter(epoch, verdicts, rate=rate, train_loss=train_loss, weights=model.state_dict(), keep=("honest",))
    progress.finished = epoch == course.run.streaming.epochs


def _train(course: Course, epoch: int, model: Network, optimizer: torch.optim.Optimizer) -> float:
    run = course.run
    device = next(model.parameters()).device
    batches = stretch_batches(
        course.recordings,
        course.roles["training"],
        run.pace,
        window_s=run.streaming.window_s,
        size=run.streaming.batch,
        rng=rng_for(run.seed, *course.scope, "order", epoch),
    )
    with draws_of(epoch, seed=run.seed, scope=course.scope, device=device) as generator:
        return train_epoch(
            model,
            on_device(device, batches),
            optimizer,
            augment=lambda frames: augment(frames, run.augment, mode="clip", generator=generator),
            loss=run.streaming.loss,
        )


def _follow(course: Course, model: Network, role: str) -> list[Followed]:
    return follow(model, on_device(next(model.parameters()).device, course.whole[role]))


def _judge(course: Course, model: Network, role: str) -> Verdict:
    label = torch.from_numpy(course.roles[role].label.to_numpy(np.int64, copy=True))
    return verdict_of(_follow(course, model, role), label)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--stream", required=True, metavar="ROW", help="row of streams in params.yaml")
    add_fold_arguments(parser, init="streams.ROW.init", out="results/training/CORPUS/ROW")


def run(args) -> None:
    """Train every fold and seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : first weights are given that are not asked for, or the other way round.
    """
    import time

    from mien.config import schema
    from mien.training import clips, engine
    from mien.training.run_folder import files_of
    from mien.training.streams import usable

    engine.prepare(args.jobs)
    params = schema.load(args.config)
    stream = schema.section(schema.StreamConfig, params, "streams", args.stream)
    setup = StreamRun(
        name=args.stream,
        stream=stream,
        streaming=schema.section(schema.StreamingConfig, params, "streaming"),
        width=schema.section(int, params, "train", "width"),
        weight_decay=schema.section(float, params, "train", "weight_decay"),
        dropout=schema.section(float, params, "train", "dropout"),
        augment=schema.section(schema.AugmentConfig, params, "augment"),
        sound=schema.section(schema.SoundConfig, params, "sound"),
        faces=schema.section(schema.FacesConfig, params, "faces"),
        seed=schema.section(int, params, "seed"),
        first=files_of(f"streams.{args.stream}", stream.init, args.init),
    )
    sections = {"faces": setup.faces, "sound": setup.sound}
    data = usable(clips.read(args.data, setup.corpus, stream.modalities, **sections, running=True), setup.pace)
    log.info("device: %s, %d threads", engine.device(), args.jobs)
    for fold in args.folds:
        for seed in args.seeds:
            start_s = time.monotonic()
            train_fold(setup, data, fold=fold, seed=seed, out=args.out)
            log.info("%s fold %d seed %d: %.1f s", args.stream, fold, seed, time.monotonic() - start_s)
    for fold in args.folds:
        for seed in args.seeds:
            engine.remove(setup.corpus, setup.name, fold=fold, seed=seed)
