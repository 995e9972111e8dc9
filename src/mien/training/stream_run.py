"""One fold and seed of a running network: prepare it, train it, follow the held-out clips, write the five files."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mien.augment.aug_a import augment
from mien.core import tables
from mien.core.config import AugmentConfig, FacesConfig, SoundConfig, StreamConfig, StreamingConfig
from mien.core.errors import ConfigError, ModelError
from mien.core.files import digest
from mien.core.provenance import code_digest
from mien.core.rng import rng_for, seed_for
from mien.models.fusion import Network
from mien.models.layout import to_device
from mien.models.running import StreamSettings, network_of
from mien.sound.spectrogram import segment_s
from mien.training import machine, resume, run_folder
from mien.training.dataset import ROLES, complete, obstacle, on_device, split
from mien.training.draws import draws_of
from mien.training.first_weights import load_first, no_start
from mien.training.optimizers import AdamW
from mien.training.prediction_rows import prediction_rows
from mien.training.progress import Progress, Verdict, run_epochs
from mien.training.recordings import Recordings
from mien.training.run_folder import outcome, record_of
from mien.training.stream_clips import Pace, StreamBatch, stretch_batches, whole_batches
from mien.training.stream_loop import Followed, follow, train_epoch, verdict_of

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
    folder = Path(out) / resume.run_name(fold, seed)
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
        checkpoint=resume.folder_of(run.corpus, run.name, fold=fold, seed=seed),
    )
    key = digest([record, given, code_digest("training.train_stream"), *machine.conditions()])
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
    model = to_device(model, machine.device())
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
