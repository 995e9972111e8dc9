"""Command `pretrain`: a network of one modality that is trained ahead, or fine-tuned from such a one (thesis 4.3).

Below the output folder, every seed gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS: logits for both selections, a row per clip; the role apart has pictures of the
                     official tests with an identical twin in training. Training clips are listed up to a limit
history.csv          a row per epoch; losses are mean cross-entropies per sample, with the accuracy of the training pass
model.safetensors    weights of the honest epoch
run.json             settings, sizes, cost of a pass, chosen epochs and their metrics
pairs.parquet        networks of sound alone: table PAIRS, without rows where the corpus has no list of pairs

No file holds a time: the same seed gives the same bytes. A row whose pictures or voices nobody has, or whose first
weights nobody has named, is recorded as "not applicable", with the reason, and is no error.

Several processes train one network: on the GPUs of a machine, over machines, or on the cores of a CPU.

    torchrun --nproc_per_node 8 -m mien pretrain ...
    torchrun --nnodes 2 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 -m mien pretrain ...

Every process runs the same command and takes its share of every global batch. What N processes compute is what one
process computes with the same global batches, up to the rounding of sums: gradients are summed over the samples of the
global batch, batch norm uses its statistics, and random numbers are drawn for the whole batch before it is cut. In
float64 the gradients agree to 14 digits; in float32 rounding grows from step to step where a sum decides on which side
of zero a unit lies. The first process writes and speaks; the others are silent.

torch's SyncBatchNorm needs GPUs, so on a CPU `GlobalBatchNorm2d` takes its place: the same statistics and gradients
from plain sums over the processes (Ioffe & Szegedy 2015, arXiv 1502.03167, with the global batch as the batch).


Learn to tell speakers apart from random one-second crops, and judge whole utterances (thesis section 5.3.2).

An epoch looks at every training utterance `crops` times, each time at another second of it. A held-out utterance is cut
into seconds that touch: its feature is the mean of their features, and so, the classifier being linear, its logits are
the mean of their logits.


Seeds of a row of ``pretrain`` that looks at pictures: prepare the network, train it, write the four files.

VGG-16 sees the pictures and the copies of AUG-B as they are (thesis 4.3); ResNet-18 sees them through AUG-A, new in
every epoch, as it is the start of the branches of chapter 5.


Seeds of a row of ``pretrain`` that listens: ResNet-18 learns who speaks, writes the four files and its pairs.

Identification: the speakers are the same in all roles, utterances are divided (`division`). Verification: the pairs of
the corpus's list (veri_test.txt) are scored by the cosine of the features of two utterances, and two equal error rates
are entered into the metrics: eer of all pairs, and eer_unheard of those of which the network was trained on neither
utterance. VoxCeleb1's lists overlap: the 40 speakers of the verification test are among the 1251 of the identification
list, and at mini scale likewise, so the network knows the people of all pairs, and has been trained on the very
utterances of many. Both rates flatter it, the first more; the published ones are of networks trained without these 40.
Where pairs without a voice occur, they stand in pairs.parquet without a score and are counted in run.json.
"""

import atexit
import contextlib
import io
import logging
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from mien.audio.spectrogram import segment_shape
from mien.augment.aug_b import BALANCING
from mien.errors import ConfigError, ModelError, TableError
from mien.evaluation.verification import equal_error_rate, read_pairs
from mien.io import tables
from mien.io.files import digest, read_json, sha256
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.io.shards import source_root
from mien.models.checkpoint import OfGrey, ResNetClassifier, extractor, load_trunk
from mien.models.cost import multiply_adds
from mien.models.layout import to_device
from mien.models.mrpn import n_parameters
from mien.models.resnet import ResNet18
from mien.models.vgg import VGG16, load_descriptor
from mien.training import engine, run_folder
from mien.training.classify import Job, fit
from mien.training.clips import ROLES, random_batches
from mien.training.engine import Adam, Progress, Verdict, conditions
from mien.training.images import Album, PictureStills, divide_voices, read_album, stills_of
from mien.training.run_folder import FOLD, UNTRAINED, PretrainRun, outcome, predictions_of
from mien.training.utterances import Voices, in_advance, levels, read_crops, read_voices, transform, whole_segments

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # that torchrun sets


@dataclass(frozen=True)
class Team:
    """The processes that train together; `rank` 0..size-1 is this one."""

    rank: int
    size: int

    @cached_property
    def device(self) -> torch.device:
        """Return where this process computes."""
        return engine.device()  # `join` has made its own GPU the current one

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's consecutive share of `rows`; shares differ by one at most and may be empty."""
        return np.array_split(rows, self.size)[self.rank]

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def gather(self, part: Tensor, n: int) -> Tensor:
        """Return (n, ...) on every process: what each made of its `share` of n rows, in their order."""
        if self.size == 1:
            return part
        sizes = [len(rows) for rows in np.array_split(np.arange(n), self.size)]
        padded = part.new_zeros(max(sizes), *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def send(self, data: bytes) -> bytes:
        """Return the first process's `data` on every process."""
        if self.size == 1:
            return data
        length = torch.tensor([len(data)], device=self.device)
        distributed.broadcast(length, 0)
        values = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        if self.is_first:
            values.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else values)
        distributed.broadcast(values, 0)
        return values.cpu().numpy().tobytes()

    def agree(self, key: str, what: str) -> None:
        """Return when every process has come here with the same `key`, a digest of all that `what` depends on.

        Raises
        ------
        ModelError : keys differ; raised in all processes, as each would wait for the others for ever.
        """
        if self.size == 1:
            return
        differs = torch.zeros(self.size, device=self.device)
        differs[self.rank] = self.send(key.encode()) != key.encode()
        others = self.total(differs).nonzero().flatten().tolist()
        if others:
            raise ModelError(
                f"{what}: other data, parameters, code, device or number of threads than in process 0 in:"
                f" {', '.join(map(str, others))}; give every machine the same results/, params.yaml and version"
            )

    def wait(self) -> None:
        """Return when every process has come here."""
        self.total(torch.zeros(1, device=self.device)).cpu()


def join() -> Team:
    """Meet the other processes that torchrun started, if any; may be called again.

    Raises
    ------
    ConfigError : torchrun was asked for more processes than there are GPUs.
    """
    rank, size, local = (int(os.environ.get(name, default)) for name, default in zip(VARIABLES, (0, 1, 0), strict=True))
    if size > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            if local >= torch.cuda.device_count():
                raise ConfigError(
                    f"torchrun started process {local} on a machine with {torch.cuda.device_count()} GPUs;"
                    " start as many as there are GPUs (--nproc_per_node)"
                )
            torch.cuda.set_device(local)
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
    if rank > 0:
        logging.getLogger("mien").setLevel(logging.WARNING)
    return Team(rank, size)


def spread(model: nn.Module, team: Team) -> nn.Module:
    """Return the network that trains in step with its copies in the other processes.

    Its batch norms have been exchanged within `model`, under the same names; the loss of a process is to be divided by
    the size of the global batch and multiplied by the number of processes, over which gradients are averaged.
    """
    if team.size == 1:
        return model
    on_gpu = team.device.type == "cuda"
    with_global_statistics(model, nn.SyncBatchNorm if on_gpu else GlobalBatchNorm2d)
    # statistics are equal everywhere already: buffers need not be sent before every step
    return DistributedDataParallel(model, device_ids=[team.device] if on_gpu else None, broadcast_buffers=False)


class _Sum(torch.autograd.Function):
    """Sum over the processes; every process's loss depends on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(_, value: Tensor) -> Tensor:
        value = value.clone()
        distributed.all_reduce(value)
        return value

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        return _Sum.forward(None, gradient.contiguous())


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with the statistics of the global batch, (N, channels, H, W) of this process, N may be 0."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        count = _Sum.apply(x.new_tensor([x.numel() / self.num_features]))
        mean = _Sum.apply(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[:, None, None]  # two passes: the difference of large sums would lose digits
        variance = _Sum.apply(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]


def with_global_statistics(model: nn.Module, kind: type[nn.Module]) -> None:
    """Exchange the BatchNorm2d below `model` for `kind`, with the same parameters, buffers and names."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            twin = kind(child.num_features, eps=child.eps, momentum=child.momentum)
            for part, value in (*child.named_parameters(recurse=False), *child.named_buffers(recurse=False)):
                setattr(twin, part, value)
            setattr(model, name, twin)
        else:
            with_global_statistics(child, kind)


def run_epochs(
    run_epoch: Callable[[int, engine.Progress], None],
    parts: Mapping[str, Any],
    *,
    team: Team,
    epochs: int,
    checkpoint: Path,
    key: str,
    every_s: float = 0.0,
) -> engine.Progress:
    """Do what `progress.run_epochs` does, in step with the other processes.

    The first process keeps the checkpoints. Copies of those that it finds are handed to the others before they start,
    byte for byte, so all go on from the same state whether or not the machines share a disk. `run_epoch` sets
    `Progress.finished` in the first process alone: the others keep nothing.

    Raises
    ------
    ModelError : the processes have different keys, so some would pass over a checkpoint that others go on from.
    """
    options = {"epochs": epochs, "key": key}
    if team.size == 1:
        return engine.run_epochs(run_epoch, parts, checkpoint=checkpoint, every_s=every_s, **options)
    team.agree(key, checkpoint.as_posix())
    kept = sorted(checkpoint.glob(f"{engine.PREFIX}*.pt")) if team.is_first else []
    names = team.send("\n".join(path.name for path in kept).encode()).decode().splitlines()
    copies = {name: team.send((checkpoint / name).read_bytes() if team.is_first else b"") for name in names}
    if team.is_first:
        return engine.run_epochs(run_epoch, parts, checkpoint=checkpoint, every_s=every_s, **options)
    mine = checkpoint / f"process-{team.rank}"
    for name, data in copies.items():
        mine.mkdir(parents=True, exist_ok=True)
        (mine / name).write_bytes(data)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # one bar is enough; log lines keep their stream
            return engine.run_epochs(run_epoch, parts, checkpoint=mine, every_s=math.inf, **options)
    finally:
        shutil.rmtree(mine, ignore_errors=True)


log = logging.getLogger(__name__)

FOLLOWED = ("validation", "test")  # roles that are judged after every epoch
SELECTIONS = ("honest", "optimistic")
CHECKPOINT_S = 5.0  # least time between two checkpoints: at mini scale an epoch takes half a second
SECONDS = 64  # segments at once where no gradients are kept


class Pass(NamedTuple):
    """Of one pass over the training crops, as the network saw them before each step."""

    loss: float  # mean cross-entropy per crop
    accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class IdentifyJob:
    """One network to train; `scope` names its draws under `seed`."""

    model: ResNetClassifier
    voices: Voices
    label: np.ndarray  # (U,) int64, speaker of every utterance of `voices`
    rows: dict[str, np.ndarray]  # role -> its utterances, some; training, validation, test
    crops: int  # of an utterance in an epoch
    learning_rate: float
    epochs: int
    batch: int  # crops of all processes together
    seed: int
    scope: tuple[object, ...]
    checkpoint: Path
    key: str  # digest of all that the result depends on
    team: Team
    bfloat16: bool = False  # compute in it on a GPU; weights stay float32


def fit_identify(job: IdentifyJob) -> Progress:
    """Train to the last epoch, going on from a checkpoint if there is one; called by all processes of a team.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    team = job.team
    to_device(job.model, team.device)
    model = spread(job.model, team)
    optimizer = Adam(job.model.parameters(), learning_rate=job.learning_rate)
    rows = job.rows["training"]
    level = team.gather(levels(job.voices, team.share(rows), device=team.device), len(rows))

    def run_epoch(epoch: int, progress: Progress) -> None:
        train = train_epoch(model, job, epoch, level=level, optimizer=optimizer)
        if not math.isfinite(train.loss):
            raise ModelError(f"{job.checkpoint}: the loss is {train.loss} in epoch {epoch}; lower the learning rate")
        progress.enter(
            epoch,
            {role: evaluate(job, role) for role in FOLLOWED},
            rate=job.learning_rate,
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            weights=job.model.state_dict(),
            keep=SELECTIONS,
        )
        progress.finished = team.is_first and epoch == job.epochs

    parts = {"model": job.model, "optimizer": optimizer}
    options = {"epochs": job.epochs, "checkpoint": job.checkpoint, "key": job.key, "every_s": CHECKPOINT_S}
    return run_epochs(run_epoch, parts, team=team, **options)


def train_epoch(
    model: nn.Module, job: IdentifyJob, epoch: int, *, level: Tensor, optimizer: torch.optim.Optimizer
) -> Pass:
    """Run one pass over the crops of the training utterances.

    model : `Job.model`, or what spreads it over the processes.   level : of the training utterances, on the device.
    """
    model.train()
    team, voices, rows = job.team, job.voices, job.rows["training"]
    item = np.tile(np.arange(len(rows)), job.crops)
    place = rng_for(job.seed, *job.scope, "crops", epoch).random(len(item))
    start = (place * voices.n_starts(rows)[item]).astype(np.int64)
    order = rng_for(job.seed, *job.scope, "order", epoch)
    batches = list(random_batches(len(item), size=job.batch, rng=order))  # the same in every process
    shares = [team.share(batch) for batch in batches]
    sums = torch.zeros(2, dtype=torch.float64, device=level.device)  # of losses and of hits
    crops = in_advance(lambda share: read_crops(voices, rows[item[share]], start[share]), shares)
    for batch, share, crop in zip(batches, shares, crops, strict=True):
        segments = transform(crop, level[torch.from_numpy(item[share])], voices.config)
        label = torch.from_numpy(job.label[rows[item[share]]]).to(level.device)
        enabled = job.bfloat16 and level.device.type == "cuda"
        with torch.autocast(level.device.type, dtype=torch.bfloat16, enabled=enabled):
            logits = model(segments).float()
        loss = functional.cross_entropy(logits, label, reduction="sum")
        optimizer.zero_grad(set_to_none=True)
        (loss * (team.size / len(batch))).backward()  # gradients are averaged over the processes
        optimizer.step()
        sums += torch.stack([loss.detach(), (logits.detach().argmax(1) == label).sum()])
    return Pass(*(team.total(sums) / len(item)).tolist())


def evaluate(job: IdentifyJob, role: str) -> Verdict:
    """Let the network in evaluation mode judge the utterances of a role, in their order."""
    features = embed(job.model, job.voices, job.rows[role], team=job.team)
    with torch.no_grad():
        logits = job.model.fc(features.to(job.team.device)).float().cpu()
    return Verdict.of({"fused": logits}, torch.from_numpy(job.label[job.rows[role]]))


@torch.no_grad()
def embed(model: ResNetClassifier, voices: Voices, rows: np.ndarray, *, team: Team) -> Tensor:
    """Return the mean feature of every utterance, (len(rows), D) float32 on the CPU, the same in every process."""
    model.eval()
    device = team.device
    waves = in_advance(lambda row: np.array(voices.wave(row)), team.share(rows))
    means, waiting = [torch.zeros(0, model.dim, device=device)], []
    for wave in waves:
        waiting.append(whole_segments(wave, voices.config, device=device))
        if sum(map(len, waiting)) >= SECONDS:
            means.append(_mean_features(model, waiting))
            waiting = []
    if waiting:
        means.append(_mean_features(model, waiting))
    return team.gather(torch.cat(means), len(rows)).cpu()


def _mean_features(model: ResNetClassifier, utterances: list[Tensor]) -> Tensor:
    """Return (N, D) of N utterances of (S, 1, F, W) segments each."""
    segments = torch.cat(utterances)
    features = torch.cat([ResNet18.forward(model, part) for part in segments.split(SECONDS)]).float()
    return torch.stack([part.mean(dim=0) for part in features.split([len(part) for part in utterances])])


PICTURES_CHECKPOINT_S = 60.0  # least time between two checkpoints: one of VGG-16 has 2.7e9 bytes
MOST_LISTED = 50_000  # training pictures whose predictions are written; with more, only their accuracy is


def train_row(run: PretrainRun, *, results: Path, seeds: list[int], out: Path) -> None:
    """Train every seed of a row and write its folder below `out`; a killed seed goes on from its checkpoint.

    results : folder with corpora/ and faces/.

    Raises
    ------
    ModelError : first weights do not fit, pictures are too small, or the loss is no longer a number.
    TableError : a stage has not run, or its files are damaged.
    CorpusError : people are asked for and the corpus does not name them.
    ConfigError : several processes are started by torchrun.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"pretrain.{run.name} looks at pictures: one process trains it; run it without torchrun")
    album = read_album(run, results)
    for seed in seeds:
        train_seed(run, album, seed=seed, out=out)


def train_seed(run: PretrainRun, album: Album, *, seed: int, out: Path) -> None:
    """Train with one seed and write its folder below `out`."""
    settings = run.settings(album.classes, seed=seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike and see the same copies
    copies = rng_for(run.seed, *scope, "copies") if run.pretrain.balance else None
    data = stills_of(album, size_px=settings.size_px, rng=copies)
    record = run.record(album.classes, seed=seed) | _counts(album, data)
    if run.pretrain.balance:
        record["config"]["aug_b"] = asdict(BALANCING)
    folder = Path(out) / engine.run_name(FOLD, seed)
    if reason := _obstacle(run, album, data) or run.no_start():
        log.info("%s %s seed %d: not applicable: %s", run.corpus, run.name, seed, reason)
        run_folder.write_not_applicable(folder, record | UNTRAINED, reason=reason, settings=settings)
        return
    network = extractor(settings, seed=seed_for(run.seed, *scope, "weights"), dropout=run.dropout)
    init = _start(run, network)
    model = OfGrey(network)
    record |= {
        "init": init,
        "n_parameters": n_parameters(network),
        "n_trained": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        "multiply_adds": multiply_adds(model, (1, 1, data.size_px, data.size_px), computed=True),
    }
    progress = fit(_job(run, data, model, scope=scope, record=record))
    weights = progress.choices["honest"].weights
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=predictions_of(progress, _judged(album, data)),
        history=progress.history,
        weights={name.removeprefix("network."): weight for name, weight in weights.items()},
        settings=settings,
    )
    log.info("%s %s seed %d: %s", run.corpus, run.name, seed, outcome(progress, "")["metrics"])


def _start(run: PretrainRun, network: nn.Module) -> str:
    """Load first weights into `network` and freeze what is not trained; return the SHA-256 of the file, or empty.

    The last layer starts anew: equally many classes need not be the same ones.
    """
    found = ""
    if run.init is not None and isinstance(network, VGG16):
        found = load_descriptor(network, run.init, last_layer=False)
    elif run.init is not None:
        load_trunk(network, run.init)
        found = sha256(run.init)
    if run.pretrain.trained == "dense":
        if not isinstance(network, VGG16):
            raise ConfigError(f"params.yaml: pretrain.{run.name}: only vgg16 has dense layers to train alone")
        network.freeze_convolutions()
    return found


def _counts(album: Album, data: PictureStills) -> dict[str, Any]:
    """Return what run.json says about the pictures."""
    return {
        "n_clips": {role: len(data.rows.get(role, ())) for role in (*ROLES, "apart")},
        "n_shown": len(data.shown),  # pictures of an epoch, copies included
        "n_copies": len(data.copies),
        "data_digest": album.digest,
    }


def _obstacle(run: PretrainRun, album: Album, data: PictureStills) -> str:
    """Say why the row cannot be trained on these pictures; empty if it can."""
    if not len(album.clips):
        return f"{run.base} has no usable video"
    if len(data.pictures) < 2:
        return f"{run.base} has {len(data.pictures)} pictures to train on"
    for role in ROLES[1:]:
        if role not in data.rows:
            return f"{run.base} has no picture for the role {role}"
    if len(set(data.label[data.pictures])) < 2:
        return f"the training pictures of {run.base} are of one class"
    return ""


def _job(
    run: PretrainRun, data: PictureStills, model: OfGrey, *, scope: tuple[object, ...], record: dict[str, Any]
) -> Job:
    return Job(
        model=model,
        data=data,
        learning_rate=run.pretrain.learning_rate,
        epochs=run.pretrain.epochs,
        batch=run.pretrain.batch,
        augment=run.augment,
        seed=run.seed,
        scope=scope,
        checkpoint=engine.folder_of(run.corpus, run.name, fold=FOLD, seed=record["seed"]),
        key=digest([record, code_digest("training.pretrain:train_row"), *conditions()]),
        checkpoint_s=PICTURES_CHECKPOINT_S,
        follow_training=True,
        bfloat16=run.precision == "bfloat16",
    )


def _judged(album: Album, data: PictureStills) -> dict[str, pd.DataFrame]:
    """Return role -> the clips whose predictions are written; of a large training set there are too many."""

    def clips(rows: np.ndarray) -> pd.DataFrame:
        chosen = album.clips.iloc[album.clip[rows]]
        return chosen[["clip", "actor"]].assign(label=chosen.target)

    few = {role: rows for role, rows in data.rows.items() if role != "training" or len(rows) <= MOST_LISTED}
    return {role: clips(rows) for role, rows in few.items()}


LIST = "veri_test.txt"
PAIRS_FILE = "pairs.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Speakers:
    """What all seeds of a row listen to.

    clips : table CLIPS with the column role, "" for clips in none.   voices : U utterances.
    speakers : names in the order of labels.
    rows : role -> its utterances.   label : (U,) int64, -1 for people who are no class.
    pairs : see `read_pairs`; None: the corpus has no list.
    digest : of all files that were read.
    """

    clips: pd.DataFrame
    voices: Voices
    speakers: tuple[str, ...]
    rows: dict[str, np.ndarray]
    label: np.ndarray
    pairs: pd.DataFrame | None
    digest: str


def train_row_speakers(run: PretrainRun, *, results: Path, seeds: list[int], out: Path) -> None:
    """Train every seed of a row and write its folder below `out`; a killed seed goes on from its checkpoint.

    Started by torchrun, every process calls this and the first one writes.

    results : folder with corpora/ and sound/.

    Raises
    ------
    ConfigError : something else than a whole network that tells people apart is asked for.
    ModelError : first weights do not fit, the loss is no longer a number, or processes have different data.
    TableError : a stage has not run, or its files are damaged.
    CorpusError : the corpus does not name its people, or its list of pairs is damaged.
    """
    if (run.pretrain.target, run.pretrain.trained) != ("actor", "all"):
        raise ConfigError(
            f"params.yaml: pretrain.{run.name}: networks of sound learn target: actor with trained: all,"
            f" found {run.pretrain.target} and {run.pretrain.trained}"
        )
    team = join()
    heard = read_speakers(run, results)
    for seed in seeds:
        train_seed_speakers(run, heard, seed=seed, out=out, team=team)
        team.wait()  # the command deletes checkpoints next: not before the first process has written


def read_speakers(run: PretrainRun, results: Path) -> Speakers:
    """Read the utterances of the corpus of a row, divide them and number the speakers.

    All people who are in a role are classes: one whose training utterances cannot be heard is never recognised, and
    counts as a mistake.
    """
    folder = Path(results) / "corpora" / run.base
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    voices = read_voices(results, clips, run.sound)
    clips = clips.assign(role=divide_voices(clips, audible=clips["clip"].isin(voices.clip)))
    taught = clips[clips.role.isin(ROLES)]
    speakers = tuple(sorted(taught.actor.unique()))
    role, actor = (clips.set_index("clip")[name].reindex(voices.clip).to_numpy() for name in ("role", "actor"))
    rows = {name: np.flatnonzero(role == name) for name in ROLES}
    if strangers := sorted(set(speakers) - set(actor[rows["training"]])):
        log.warning("%s: %d speakers, such as %s, have nothing to train on", run.base, len(strangers), strangers[0])
    label = pd.Index(speakers).get_indexer(actor).astype(np.int64)
    listed = find_pairs(run.manifest, run.base)
    files = [sha256(folder / "clips.parquet"), read_json(Path(results) / "sound" / run.base / "manifest.json")["parts"]]
    return Speakers(
        clips=clips,
        voices=voices,
        speakers=speakers,
        rows=rows,
        label=label,
        pairs=None if listed is None else read_pairs(listed),
        digest=digest([*files, "" if listed is None else sha256(listed)]),
    )


def find_pairs(manifest: Path | None, corpus: str) -> Path | None:
    """Return the list of verification pairs in the corpus that data/<corpus>.json describes, if there is one.

    Raises
    ------
    TableError : the manifest is no manifest of this corpus, or the corpus is no longer where it says.
    """
    if manifest is None:
        return None
    root, _ = source_root(manifest, corpus)
    if not root.is_dir():
        raise TableError(f"{manifest}: {root} is not there; run from the repository root, or get_corpus again")
    direct = root / LIST
    return direct if direct.is_file() else min(root.rglob(LIST), default=None)


def train_seed_speakers(run: PretrainRun, heard: Speakers, *, seed: int, out: Path, team: Team) -> None:
    """Train with one seed; the first process writes its folder below `out`."""
    settings = run.settings(heard.speakers, seed=seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike
    record = run.record(heard.speakers, seed=seed) | _counts_speakers(run, heard)
    record["init"] = "" if run.init is None else sha256(run.init)
    key = digest([record, code_digest("training.pretrain:train_row_speakers"), *conditions(), team.size])
    team.agree(key, f"{run.corpus} {run.name} seed {seed}")
    folder = Path(out) / engine.run_name(FOLD, seed)
    if reason := _obstacle_speakers(run, heard) or run.no_start():
        log.info("%s %s seed %d: not applicable: %s", run.corpus, run.name, seed, reason)
        if team.is_first:
            run_folder.write_not_applicable(
                folder, record | UNTRAINED, reason=reason, settings=settings, further={PAIRS_FILE: tables.PAIRS}
            )
        return
    network = extractor(settings, seed=seed_for(run.seed, *scope, "weights"))
    if run.init is not None:
        load_trunk(network, run.init)
    job = _job_speakers(run, heard, network, scope=scope, seed=seed, key=key, team=team)
    progress = fit_identify(job)
    pairs = _verify(heard, job, progress)
    if not team.is_first:
        return
    n_missing = int(pairs.score.isna().sum())
    log.info("%s: %d of %d pairs have no voice and no score", run.base, n_missing, len(pairs))
    record |= {
        "n_parameters": n_parameters(network),
        "n_trained": n_parameters(network),
        "multiply_adds": multiply_adds(network, (1, 1, *segment_shape(run.sound)), computed=True),
        "n_pairs": {
            "scored": len(pairs) - n_missing,
            "unheard": int((pairs.score.notna() & ~pairs.heard).sum()),  # of the scored ones
            "missing": n_missing,
        },
    }
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=predictions_of(progress, _judged_speakers(heard)),
        history=progress.history,
        weights=progress.choices["honest"].weights,
        settings=settings,
        further={PAIRS_FILE: (pairs, tables.PAIRS)},
    )
    log.info("%s %s seed %d: %s", run.corpus, run.name, seed, outcome(progress, "")["metrics"])


def _counts_speakers(run: PretrainRun, heard: Speakers) -> dict[str, Any]:
    """Return what run.json says about the utterances."""
    n_clips = {role: len(rows) for role, rows in heard.rows.items()}
    n_listed = heard.clips.role.value_counts()
    return {
        "n_clips": n_clips,
        "n_missing": {role: int(n_listed.get(role, 0)) - n for role, n in n_clips.items()},  # without a voice
        "n_unlisted": int(n_listed.get("", 0)),  # in no role, see divide_voices
        "n_shown": n_clips["training"] * run.crops,  # crops of an epoch
        "data_digest": heard.digest,
    }


def _obstacle_speakers(run: PretrainRun, heard: Speakers) -> str:
    """Say why nobody can be learnt from these utterances; empty if somebody can."""
    if not len(heard.voices.clip):
        return f"{run.base} has no usable audio"
    taught = len(set(heard.label[heard.rows["training"]]))
    if taught < 2:
        return f"the training utterances of {run.base} are of {taught} speakers"
    for role in FOLLOWED:
        if not len(heard.rows[role]):
            return f"{run.base} has no utterance for the role {role}"
    return ""


def _job_speakers(
    run: PretrainRun,
    heard: Speakers,
    network: ResNetClassifier,
    *,
    scope: tuple[object, ...],
    seed: int,
    key: str,
    team: Team,
) -> IdentifyJob:
    return IdentifyJob(
        model=network,
        voices=heard.voices,
        label=heard.label,
        rows=heard.rows,
        crops=run.crops,
        learning_rate=run.pretrain.learning_rate,
        epochs=run.pretrain.epochs,
        batch=run.pretrain.batch,
        seed=run.seed,
        scope=scope,
        checkpoint=engine.folder_of(run.corpus, run.name, fold=FOLD, seed=seed),
        key=key,
        team=team,
        bfloat16=run.precision == "bfloat16",
    )


def _verify(heard: Speakers, job: IdentifyJob, progress: Progress) -> pd.DataFrame:
    """Enter the equal error rates of both selections into `progress`; return PAIRS as the honest network scores them.

    There are no pairs where the corpus has no list.
    """
    if heard.pairs is None:
        return tables.empty(tables.PAIRS)
    row_of = pd.Series(np.arange(len(heard.voices.clip)), index=heard.voices.clip)
    one, other = (row_of.reindex(heard.pairs[side]).to_numpy() for side in ("one", "other"))  # NaN: no voice
    scored = ~(np.isnan(one) | np.isnan(other))
    trained_on = heard.voices.clip[heard.rows["training"]]
    pairs = heard.pairs.assign(
        heard=heard.pairs.one.isin(trained_on) | heard.pairs.other.isin(trained_on), score=np.nan
    )
    one, other = one[scored].astype(np.int64), other[scored].astype(np.int64)
    rows = np.union1d(one, other)
    same, unheard = pairs.same[scored].to_numpy(), ~pairs.heard[scored].to_numpy()
    for selection, choice in progress.choices.items():
        job.model.load_state_dict(choice.weights)
        features = functional.normalize(embed(job.model, heard.voices, rows, team=job.team)).numpy()
        sides = (features[np.searchsorted(rows, side)] for side in (one, other))
        score = np.einsum("pd,pd->p", *sides).astype(np.float64)
        if selection == "honest":
            pairs.loc[scored, "score"] = score
        rates = {
            "eer": equal_error_rate(score, same)[0],
            "eer_unheard": equal_error_rate(score[unheard], same[unheard])[0],
        }
        choice.metrics = choice.metrics | {name: rate for name, rate in rates.items() if np.isfinite(rate)}
    return pairs


def _judged_speakers(heard: Speakers) -> dict[str, pd.DataFrame]:
    """Return role -> its utterances; those of training, of which there are too many, are not judged."""
    speakers = np.array(heard.speakers)
    return {
        role: pd.DataFrame(
            {"clip": heard.voices.clip[rows], "actor": speakers[heard.label[rows]], "label": heard.label[rows]}
        )
        for role, rows in heard.rows.items()
        if role in FOLLOWED
    }


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--row", required=True, help="row of pretrain in params.yaml")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with corpora/, faces/ and sound/")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="S", help="repetitions")
    parser.add_argument("--out", type=Path, required=True, help="results/training/CORPUS/ROW, or CORPUS_actor/ROW")
    parser.add_argument("--init", type=Path, help="model.safetensors of the row that pretrain.ROW.init names")
    parser.add_argument("--manifest", type=Path, help="data/CORPUS.json; speakers: where the verification pairs are")


def run(args) -> None:
    """Train every seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : first weights are given and none are asked for.
    ModelError : first weights are missing.
    """
    import time

    from mien.config import schema
    from mien.training import engine
    from mien.training.run_folder import FOLD, PretrainRun

    engine.prepare(args.jobs)
    setup = PretrainRun.of(args.row, schema.load(args.config), init=args.init, manifest=args.manifest)
    log.info("device: %s, %d threads", engine.device(), args.jobs)
    start_s = time.monotonic()
    if setup.pretrain.modality == "video":
        pass
    else:
        pass
    train_row_speakers(setup, results=args.data, seeds=args.seeds, out=args.out)
    log.info("%s: %d seeds in %.1f s", args.row, len(args.seeds), time.monotonic() - start_s)
    for seed in args.seeds:
        engine.remove(setup.corpus, setup.name, fold=FOLD, seed=seed)
