"""Command plan: what all trainings of the parameters take in runs, hours and disk, counted before anything is run.

Nothing is read from a disk: the table of runs says which trainings there are, formulas how many multiply-adds they take
at most and what the stages leave. Trunks and aggregators are counted as `models.cost` counts them; heads and fusion,
less than a hundredth at the sizes of the thesis, are left out. A training pass costs three passes forward: one, and one
each for the gradients of inputs and of weights; a branch that stays as it is costs one. Held-out clips are judged after
every epoch. Early stops are not foreseen. How fast a machine trains was measured of it (resources/rates.csv), or is
assumed.
"""

import csv
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from mien.augment.slicing import SEGMENTS
from mien.config.fuzziness import VERSIONS
from mien.config.labels import CLASSICAL
from mien.config.runs import list_runs
from mien.config.schema import SCALES, Params, StreamConfig, VariantConfig, build, hint, load
from mien.errors import ConfigError, TableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Size:
    """A corpus; `seconds` is the mean length of a clip, 0 for a picture."""

    people: int
    clips: int
    seconds: float = 0.0

    def frames(self, rate_fps: float) -> int:
        """Return the stored pictures of all clips."""
        return round(self.clips * max(1.0, self.seconds * rate_fps))


REAL = {
    "ravdess": Size(people=24, clips=1440, seconds=3.70),  # mean of the 1440 sounds
    "cremad": Size(people=91, clips=7442, seconds=2.54),  # bytes of the sounds
    "fer2013": Size(people=0, clips=35_887),
    "ckplus": Size(people=123, clips=10_708),  # frames of 593 sequences
    "rafd": Size(people=67, clips=8040),
    "jaffe": Size(people=10, clips=213),
    "voxceleb": Size(people=1251, clips=153_516, seconds=8.2),
}
MADE = {  # clips of a synthetic person where there is one take, and where there are two
    "ravdess": (30, 60),
    "cremad": (28, 82),
    "fer2013": (14, 28),
    "ckplus": (30, 30),
    "rafd": (40, 120),
    "mug": (49, 98),
    "jaffe": (21, 21),
    "voxceleb": (10, 20),
}
MADE_S = {"ravdess": 1.56, "cremad": 1.50, "voxceleb": 3.10}  # mean lengths of synthetic clips


def size_of(corpus: str, params: Params) -> Size:
    """Return the size of a corpus as the parameters ask for it.

    Of MUG as it is handed out no count is known here: it is taken to be as large as its synthetic twin.
    """
    row = params.corpora[corpus]
    if row.source != "synthetic" and corpus in REAL:
        return REAL[corpus]
    return made_size(corpus, row.actors, params.synthetic.takes)


def made_size(corpus: str, people: int, takes: int) -> Size:
    """Return the size of a synthetic corpus, but for the few clips that are planted as defects."""
    per_person = MADE[corpus][takes - 1]
    return Size(people=people, clips=people * per_person, seconds=MADE_S.get(corpus, 0.0))


CHANNELS = {"video": 3, "audio": 1}  # of a frame, of a segment of the sound
STAGES = (1, 2, 4, 8)  # channels of the stages of a ResNet-18, relative to its width
WIDEST = STAGES[-1]  # numbers of a feature, relative to the width
VGG_STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels relative to the width, convolutions
CNNS = {"cnn1": (50, 25.47e6), "cnn2": (75, 15.92e6), "cnn3": (150, 83.89e6)}  # network -> side in px, of one picture
HIDDEN = 4  # hidden units of the trunk of action units, relative to the width
UNITS = 8


def resnet18(channels: int, size: tuple[int, ...], width: int) -> int:
    """Return those of ResNet-18 for a picture of `size` (H, W), or of its 3D form for a clip of (T, H, W)."""
    deep = len(size) == 3
    kernel = 27 if deep else 9
    size = (*size[:-2], *(_half(side) for side in size[-2:]))  # the stem keeps the rate of the frames
    total = channels * width * 49 * (7 if deep else 1) * prod(size)
    size = tuple(map(_half, size))  # pool
    inputs = width
    for stage, factor in enumerate(STAGES):
        outputs = factor * width
        if stage:
            size = tuple(map(_half, size))
            total += inputs * outputs * prod(size)  # projected shortcut
        total += (inputs + 3 * outputs) * outputs * kernel * prod(size)
        inputs = outputs
    return total


def vgg16(size_px: int, width: int, classes: int) -> int:
    """Return those of VGG-16 for one picture."""
    total, inputs, side = 0, 3, size_px
    for factor, convolutions in VGG_STAGES:
        for _ in range(convolutions):
            total += inputs * factor * width * 9 * side**2
            inputs = factor * width
        side //= 2
    hidden = 64 * width
    return total + inputs * side**2 * hidden + hidden**2 + hidden * classes


def cnn(name: str, size_px: int) -> int:
    """Return those of a network of chapter 4 for one picture, nearly: they grow as its area. Networks of vectors: 0."""
    side, counted = CNNS.get(name, (1, 0.0))
    return round(counted * (size_px / side) ** 2)


def unit_perceptron(width: int) -> int:
    """Return those of the trunk of action units for one step."""
    return HIDDEN * width * (UNITS + WIDEST * width)


AGGREGATORS: dict[str, Callable[[int, int], int]] = {  # name -> of (D, steps)
    "none": lambda dim, steps: 0,
    "lstm": lambda dim, steps: 8 * dim**2 * steps,
    "bilstm": lambda dim, steps: 6 * dim**2 * steps,
    "transformer": lambda dim, steps: 16 * dim**2 * steps + 4 * dim * steps**2,  # two layers; pairs of steps
}


def _half(side: int) -> int:
    """Return the positions of a convolution or pool of stride 2 that is padded by half its kernel."""
    return (side + 1) // 2


LEARNT, KEPT = 3, 1  # passes forward that a training pass costs
VALIDATING = 2  # people of a fold
PER_FILM = 4  # pictures of a film that a network of single pictures learns from
BALANCED = 7 * 7215 / 28_709  # FER2013: all classes as large as the largest, relative to what there is
EMOTIONS = 7  # of FER2013
SHARES = {  # corpus -> shares of clips that train, and that are held out, by the corpus's own division
    "fer2013": (28_709 / 35_887, 7_178 / 35_887),
    "voxceleb": (138_361 / 153_516, 15_155 / 153_516),
}
DIVIDED = (0.7, 0.3)  # where the recordings of each person are divided


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Trainings of one kind.

    clips : that a run learns from in an epoch.   judged : that it judges in the end.
    family : video, audio, joint or vgg16: networks with one speed; empty where no GPU is needed.
    precision : float32 or bfloat16, in which a GPU computes.
    forward : multiply-adds of one pass forward of a clip.   work : multiply-adds of all runs.
    """

    stage: str
    corpus: str
    name: str
    runs: int
    clips: int
    judged: int
    epochs: int
    family: str
    precision: str
    forward: int
    work: float


def planned(params: Params) -> list[Planned]:
    """List the kinds of training in the table of runs, in the order in which they come."""
    counts = Counter((run.kind, run.corpus, run.name) for run in list_runs(params))
    found = []
    for kind, (stage, cost) in KINDS.items():
        for corpus, name in [key[1:] for key in counts if key[0] == kind]:
            runs = counts[kind, corpus, name]
            if kind == "pretrain":
                row = params.pretrain[name]
                corpus, runs = row.corpus, runs * (row.init != "none")
            found.append(Planned(stage=stage, corpus=corpus, name=name, runs=runs, **cost(params, corpus, name, runs)))
    return found


def branch(modality: str, steps: int, aggregator: str, params: Params, *, deep: bool = False) -> tuple[int, int]:
    """Return the multiply-adds of a branch's trunk and of its aggregator for one clip of so many steps.

    deep : the trunk looks at all frames at once.
    """
    width = params.train.width
    if deep:
        return resnet18(CHANNELS[modality], (steps, *input_size(modality, params)), width), 0
    if modality == "units":
        trunk = unit_perceptron(width)
    else:
        trunk = resnet18(CHANNELS[modality], input_size(modality, params), width)
    return steps * trunk, AGGREGATORS[aggregator](WIDEST * width, steps)


def input_size(modality: str, params: Params) -> tuple[int, int]:
    """Return the sides of a stored face, or the rows and columns of a segment of the sound, as a network sees them."""
    if modality == "video":
        return params.faces.size_px, params.faces.size_px
    return (params.sound.window // 2 + 1) // params.sound.pool, params.sound.segment // params.sound.pool


def _cost_of_pretrain(params: Params, _: str, name: str, runs: int) -> dict[str, Any]:
    row, extractor = params.pretrain[name], params.extractor
    size = size_of(row.corpus, params)
    learnt, held = SHARES.get(row.corpus, DIVIDED)
    learnt, held = learnt * size.clips, held * size.clips
    passes = held
    if row.modality == "audio":
        learnt, passes = learnt * extractor.crops, held * size.seconds  # held-out sounds are cut into seconds
    else:
        learnt *= (BALANCED if row.balance else 1) * (PER_FILM if size.seconds else 1)
    if row.network == "vgg16":
        classes = size.people if row.target == "actor" else EMOTIONS
        forward = vgg16(extractor.vgg_size_px, extractor.vgg_width, classes)
    else:
        forward = branch(row.modality, 1, "none", params)[0]
    factor = LEARNT if row.trained == "all" else KEPT
    return {
        "clips": round(learnt),
        "judged": round(held),
        "epochs": row.epochs,
        "family": "vgg16" if row.network == "vgg16" else row.modality,
        "precision": extractor.precision,
        "forward": forward,
        "work": runs * row.epochs * forward * (factor * learnt + passes),
    }


def _cost_of_variant(params: Params, corpus: str, name: str, runs: int) -> dict[str, Any]:
    row, epochs = params.variants[name], params.train.epochs
    learnt, judged = _of_a_fold(corpus, params)
    forward, learning = _variant(row, params)
    return {
        "clips": round(learnt),
        "judged": round(judged),
        "epochs": epochs,
        "family": _family(row),
        "precision": params.train.precision,
        "forward": forward,
        "work": runs * epochs * (learnt * learning + judged * forward),
    }


def _cost_of_stream(params: Params, corpus: str, name: str, runs: int) -> dict[str, Any]:
    row, streaming = params.streams[name], params.streaming
    learnt, judged = _of_a_fold(corpus, params)
    seconds = size_of(corpus, params).seconds
    rates = {"video": streaming.rate_fps, "audio": 1 / streaming.hop_s}  # steps per second
    second = sum(rates[one] * sum(branch(one, 1, row.aggregator, params)) for one in row.modalities)
    work = LEARNT * learnt * second * min(streaming.window_s, seconds) + judged * second * seconds
    return {
        "clips": round(learnt),
        "judged": round(judged),
        "epochs": streaming.epochs,
        "family": _family(row),
        "precision": "float32",
        "forward": round(second * min(streaming.window_s, seconds)),
        "work": runs * streaming.epochs * work,
    }


def _cost_of_classifier(params: Params, _: str, name: str, runs: int) -> dict[str, Any]:
    """All pictures of the corpora are counted, of which some show other emotions."""
    row, cross, classify = params.classifiers[name], params.cross, params.classify
    clips = sum(size_of(corpus, params).clips for corpus in cross.train)
    neural = row.model not in CLASSICAL
    epochs = classify.epochs_image if row.features == "image" else classify.epochs_vector
    forward = cnn(row.model, row.size_px)
    return {
        "clips": clips,
        "judged": size_of(cross.test, params).clips,
        "epochs": epochs if neural else 0,
        "family": "video" if neural else "",
        "precision": "float32",
        "forward": forward,
        "work": runs * epochs * LEARNT * clips * forward,
    }


def _cost_of_fuzziness(params: Params, corpus: str, name: str, runs: int) -> dict[str, Any]:
    row, fuzzy = params.variants[name], params.fuzziness
    size = made_size(corpus, fuzzy.actors, takes=1)
    judged = size.clips * fuzzy.tested / fuzzy.actors
    learnt = size.clips - judged
    forward, learning = _variant(row, params)
    return {
        "clips": round(learnt),
        "judged": round(judged),
        "epochs": fuzzy.epochs,
        "family": _family(row),
        "precision": params.train.precision,
        "forward": forward,
        "work": runs * (fuzzy.epochs * learnt * learning + judged * forward),
    }


KINDS = {  # kind of run -> stage of the plan, what its trainings take
    "pretrain": ("pretrain", _cost_of_pretrain),
    "variant": ("variants", _cost_of_variant),
    "stream": ("streams", _cost_of_stream),
    "classifier": ("classifiers", _cost_of_classifier),
    "fuzziness": ("fuzziness", _cost_of_fuzziness),
}


def _variant(row: VariantConfig, params: Params) -> tuple[int, int]:
    """Return the multiply-adds of a pass forward of a clip, and of a training pass."""
    steps = {"video": params.train.frames, "audio": SEGMENTS[row.augmentation], "units": params.train.frames}
    forward = learning = 0
    for modality in row.modalities:
        deep = row.trunk.get(modality, "resnet18") != "resnet18"
        trunk, memory = branch(modality, steps[modality], row.aggregator, params, deep=deep)
        kept = modality in row.frozen
        forward += trunk + memory
        learning += (KEPT if kept or row.extractors == "frozen" else LEARNT) * trunk
        learning += (KEPT if kept else LEARNT) * memory
    return forward, learning


def _of_a_fold(corpus: str, params: Params) -> tuple[float, float]:
    """Return the clips that a fold learns from, and those that it judges, on average."""
    size = size_of(corpus, params)
    held = min(1 / params.folds[corpus] + VALIDATING / size.people, 1.0)
    return size.clips * (1 - held), size.clips * held


def _family(row: VariantConfig | StreamConfig) -> str:
    return row.modalities[0] if len(row.modalities) == 1 else "joint"


GB = 1e9
VOICED = ("ravdess", "cremad", "voxceleb")
DOWNLOADS = {"ravdess": 26.6 * GB, "cremad": 3.7 * GB, "fer2013": 0.3 * GB, "voxceleb": 33.7 * GB}  # unpacked
LANDMARKS = 68 * 2 * 4  # bytes of a frame
ROW = 50  # bytes of a row of predictions.parquet with eight logits, as measured on our own
SELECTIONS = 2
FLOAT = 4
COPIES = 5  # weights in a checkpoint: the network, two moments of Adam, the best of two selections
TRUNKS = {"video": 11_176_512, "audio": 11_170_240, "units": 133_000}  # weights at the standard width
WHOLE_CLIPS = 33_203_904
VGG = 134_289_223
MEMORIES = {"none": 0, "lstm": 2_101_248, "bilstm": 1_576_960, "transformer": 4_238_336}
WIDTH = 64


@dataclass(frozen=True)
class Space:
    """What a stage leaves for a corpus, or while it runs."""

    stage: str
    corpus: str
    what: str
    bytes: float


def spaces(params: Params, runs: Sequence[Planned]) -> list[Space]:
    """List what all stages leave; `runs` are the trainings of the same parameters."""
    found = []
    for corpus in params.corpora:
        size, real = size_of(corpus, params), params.corpora[corpus].source != "synthetic"
        if real and corpus in DOWNLOADS:
            found.append(Space("data", corpus, "the corpus, unpacked", DOWNLOADS[corpus]))
        found += _extracted(corpus, corpus, size, params)
    fuzzy = params.fuzziness
    twin = made_size(fuzzy.corpus, fuzzy.actors, params.synthetic.takes)
    for version in VERSIONS:
        found += _extracted(fuzzy.corpus, f"{fuzzy.corpus}, {version}", twin, params)
    for run in runs:
        if run.stage != "fuzziness":  # which keeps what its networks say
            weights = run.runs * FLOAT * weights_of(run, params)
            found.append(Space("training", run.corpus, f"{run.name}: models", weights))
        rows = run.runs * run.judged * SELECTIONS * _heads(run, params)
        found.append(Space("training", run.corpus, f"{run.name}: predictions", rows * ROW))
    if runs:
        largest = max(runs, key=lambda run: weights_of(run, params))
        kept = COPIES * FLOAT * weights_of(largest, params)
        found.append(Space("checkpoints", largest.corpus, f"while {largest.name} is trained", kept))
    return [space for space in found if space.bytes > 0]


def weights_of(run: Planned, params: Params) -> int:
    """Return the number of weights of one network, nearly: without heads and fusion, which have a fiftieth."""
    if run.stage == "classifiers":
        return 0
    if run.stage == "pretrain":
        row = params.pretrain[run.name]
        width = params.extractor.vgg_width if row.network == "vgg16" else params.train.width
        return round((VGG if row.network == "vgg16" else TRUNKS[row.modality]) * (width / WIDTH) ** 2)
    row = params.streams[run.name] if run.stage == "streams" else params.variants[run.name]
    trunks = getattr(row, "trunk", {})
    total = 0
    for modality in row.modalities:
        deep = trunks.get(modality, "resnet18") != "resnet18"
        total += WHOLE_CLIPS if deep else TRUNKS[modality] + MEMORIES[row.aggregator]
    return round(total * (params.train.width / WIDTH) ** 2)


def _extracted(corpus: str, name: str, size: Size, params: Params) -> list[Space]:
    """Return the face regions of a corpus, twice where there are films (frames.npy, along.npy), and its sound."""
    found = []
    if corpus != "voxceleb":
        region = params.faces.size_px**2 * 3 * (2 if size.seconds else 1)
        frames = size.frames(params.faces.rate_fps)
        found.append(Space("faces", name, "regions and landmarks", frames * (region + LANDMARKS)))
    if corpus in VOICED:
        found.append(Space("sound", name, "mono, int16", size.clips * size.seconds * params.sound.rate_hz * 2))
    return found


def _heads(run: Planned, params: Params) -> int:
    if run.stage == "classifiers":
        return 1 if params.classifiers[run.name].model in CLASSICAL else SELECTIONS
    row = {**params.variants, **params.streams}.get(run.name)
    return 1 + len(row.modalities) if row is not None and row.fusion in ("n1", "mrpn") else 1


ASSUMED_TFLOPS = 10.0  # sustained in training; an assumption, no measurement: half of an A100's float32 peak of 19.5
FLOPS = 2  # operations of a multiply-add
FAMILIES = {"N2": "joint", "VM": "video", "AM": "audio", "VGG-16": "vgg16"}  # network that is timed -> those like it
PRECISIONS = ("float32", "bfloat16")
COLUMNS = (
    "device",
    "precision",
    "network",
    "batch",
    "threads",
    "clips_per_s",
    "multiply_adds",  # of one pass forward of a clip
    "tflops",  # sustained in training
    "ceiling_tflops",  # of matrix products in this precision, measured too
)


@dataclass(frozen=True)
class Speed:
    """TFLOP/s in training by (family, precision) of networks, in words where they come from, and what an hour is of.

    A kind of network that is not there is as fast as its family in another precision, or as the joint networks.
    """

    tflops: dict[tuple[str, str], float]
    source: str
    unit: str = "hours"

    def hours(self, run: Planned) -> float:
        """Return the hours of all runs of a kind, 0 for what is fitted without a GPU."""
        return FLOPS * run.work / (self._of(run.family, run.precision) * 1e12) / 3600 if run.family else 0.0

    def _of(self, family: str, precision: str) -> float:
        order = [(family, precision), *((family, other) for other in PRECISIONS), *(("joint", p) for p in PRECISIONS)]
        return next(self.tflops[kind] for kind in order if kind in self.tflops)


def assumed(tflops: float = ASSUMED_TFLOPS) -> Speed:
    """Return the same speed for all networks.

    Raises
    ------
    ConfigError : it is none.
    """
    if not tflops > 0:
        raise ConfigError(f"--tflops should be above 0, got {tflops}")
    return Speed({("joint", "float32"): tflops}, f"{tflops:g} TFLOP/s in training, assumed", "GPU hours")


def measured(rows: Sequence[dict[str, str]], device: str) -> Speed:
    """Return the fastest that was measured of a device.

    Raises
    ------
    ConfigError : the joint network was not measured on it.
    """
    tflops: dict[tuple[str, str], float] = {}
    for row in rows:
        kind = (FAMILIES[row["network"]], row["precision"])
        if row["device"] == device:
            tflops[kind] = max(tflops.get(kind, 0.0), float(row["tflops"]))
    if not any(family == "joint" for family, _ in tflops):
        known = sorted({row["device"] for row in rows})
        raise ConfigError(f"--device: N2 was not timed on {device!r}; {hint(device, known)}")
    slowest, fastest = min(tflops.values()), max(tflops.values())
    return Speed(tflops, f"{slowest:.3g} to {fastest:.3g} TFLOP/s in training, measured on {device}")


def read_rates(path: Path) -> list[dict[str, str]]:
    """Return the rows of the file that benchmarks/throughput.py writes.

    Raises
    ------
    TableError : there is no such file, or it has other columns or no numbers.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise TableError(f"{path}: should have the columns {', '.join(COLUMNS)}; git restore {path}")
            if any(not float(row["tflops"]) > 0 or row["network"] not in FAMILIES for row in rows):
                raise TableError(f"{path}: a row has no speed, or an unknown network; git restore {path}")
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run benchmarks/throughput.py --out {path}") from None
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: {error}; run benchmarks/throughput.py again") from error
    return rows


def summary(params: Params, speed: Speed | None = None) -> str:
    """Return the plan in one line; without a `speed`, one is assumed."""
    runs, speed = planned(params), speed or assumed()
    trained = sum(run.runs for run in runs if run.family)
    fitted = sum(run.runs for run in runs) - trained
    hours = sum(speed.hours(run) for run in runs)
    held = sum(space.bytes for space in spaces(params, runs))
    return (
        f"scale {params.scale}: {trained} trainings and {fitted} fits of classical classifiers; at most"
        f" {spoken(hours)} {speed.unit} ({speed.source}), {gigabytes(held)} GB on the disk; see `mien plan`"
    )


def spoken(hours: float) -> str:
    """Return hours with as many digits as an estimate has."""
    return f"{hours:,.0f}".replace(",", " ") if hours >= 100 else f"{hours:.1f}"


def gigabytes(size: float) -> str:
    """Return bytes as 10^9 bytes."""
    return f"{size / GB:,.1f}".replace(",", " ")


PAGES_STAGES = {
    "pretrain": "networks trained ahead",
    "variants": "networks of chapter 5",
    "streams": "networks that run along",
    "classifiers": "classifiers of chapter 4",
    "fuzziness": "missing and fuzzy information",
}


def rows_of(runs: Sequence[Planned], speed: Speed) -> list[dict[str, Any]]:
    """Return a row per kind of training."""
    return [
        {
            "stage": run.stage,
            "corpus": run.corpus,
            "name": run.name,
            "runs": run.runs,
            "clips": run.clips,
            "epochs": run.epochs,
            "multiply_adds": run.forward,
            "work": run.work,
            "hours": speed.hours(run),
        }
        for run in runs
    ]


def render(params: Params, speed: Speed) -> str:
    """Return the page as Markdown."""
    from mien.report.page import grid  # a dry run loads no pandas

    runs = planned(params)
    left = spaces(params, runs)
    made = sorted({name for name, row in params.corpora.items() if row.source == "synthetic"})
    blocks = [
        f"# Plan: what scale {params.scale} takes",
        f"{summary(params, speed)}.",
        "Hours are those of one device. Counted from the parameters; nothing was read or run. Epochs are all that may "
        "be run: early stops shorten them. Clips are those that a run learns from in an epoch. A multiply-add is two "
        "operations, and a training pass costs three passes forward. Reading and augmenting clips is not counted, nor "
        "is what needs no GPU: synthesis, faces, landmarks, fits.",
        *([f"Corpora that are synthesised here: {', '.join(made)}."] if made else []),
        "## Stages",
        grid(_by_stage(runs, speed)),
        "## Trainings",
        grid(_by_kind(runs, speed)),
        "## On the disk",
        grid(_by_place(left)),
        "The files of synthesised corpora are not counted; checkpoints are those of one training, and are deleted at "
        "its end.",
    ]
    return "\n\n".join(blocks) + "\n"


def _by_stage(runs: Sequence[Planned], speed: Speed) -> list[dict[str, str]]:
    rows = []
    for stage, title in PAGES_STAGES.items():
        own = [run for run in runs if run.stage == stage]
        rows.append(_sums(title, own, speed))
    return [*rows, _sums("**all**", runs, speed)]


def _sums(title: str, runs: Iterable[Planned], speed: Speed) -> dict[str, str]:
    runs = list(runs)
    return {
        "stage": title,
        "runs": str(sum(run.runs for run in runs)),
        "10¹⁵ multiply-adds": f"{sum(run.work for run in runs) / 1e15:,.1f}".replace(",", " "),
        "hours": spoken(sum(speed.hours(run) for run in runs)),
    }


def _by_kind(runs: Sequence[Planned], speed: Speed) -> list[dict[str, str]]:
    return [
        {
            "stage": run.stage,
            "corpus": run.corpus,
            "network": run.name,
            "runs": str(run.runs),
            "clips": str(run.clips),
            "epochs": str(run.epochs) if run.epochs else "-",
            "10⁹ multiply-adds per clip": f"{run.forward / 1e9:.3f}" if run.forward else "-",
            "hours": spoken(speed.hours(run)),
            "of a run": spoken(speed.hours(run) / run.runs) if run.runs else "-",
        }
        for run in runs
    ]


def _by_place(left: Sequence[Space]) -> list[dict[str, str]]:
    totals: dict[tuple[str, str], float] = {}
    for space in left:
        key = (space.stage, space.corpus)
        totals[key] = totals.get(key, 0.0) + space.bytes
    rows = [{"stage": stage, "corpus": corpus, "GB": gigabytes(size)} for (stage, corpus), size in totals.items()]
    return [*rows, {"stage": "**all**", "corpus": "", "GB": gigabytes(sum(totals.values()))}]


def plan(
    *,
    config: str = "params.yaml",
    scale: Literal[SCALES] | None = None,
    tflops: float | None = None,
    device: str | None = None,
    rates: Path = Path("resources/rates.csv"),
    out_csv: Path | None = None,
    out_md: Path | None = None,
) -> None:
    """Count what all trainings take; write the page and its numbers, or print the page.

    Parameters
    ----------
    config : str
        params.yaml, or its sections as JSON text.
    scale : str
        Plan for this scale instead of that of params.yaml.
    tflops : float
        TFLOP/s that a device sustains in training, assumed; not together with --device.
    device : str
        Device of --rates, whose measured speed counts.
    rates : Path
        What was measured.
    out_csv : Path
        A row per kind of training.
    out_md : Path
        The page; without it and --out-csv the page is printed.

    Raises
    ------
    ConfigError
        Options do not go together, or the device was not measured.
    """
    import pandas as pd

    from mien.report.page import write_table

    if (out_csv is None) != (out_md is None):
        raise ConfigError("plan: give --out-csv and --out-md, or neither to have the page printed")
    if device and tflops is not None:
        raise ConfigError("plan: give --tflops or --device, not both")
    params = _params(config, scale)
    sustained = ASSUMED_TFLOPS if tflops is None else tflops
    speed = measured(read_rates(rates), device) if device else assumed(sustained)
    text = render(params, speed)
    if out_md is None:
        sys.stdout.write(text)
    else:
        write_table(pd.DataFrame(rows_of(planned(params), speed)), text, csv=out_csv, md=out_md)
    log.info("%s", summary(params, speed))


def _params(source: str, scale: str | None) -> Params:
    """Return the parameters, at another scale if one is asked for.

    Raises
    ------
    ConfigError : the parameters are no file, so their scale is settled.
    """
    params = load(source)
    if scale is not None and scale != params["scale"]:
        if str(source).lstrip().startswith("{"):
            raise ConfigError(
                f"plan: --scale {scale} needs --config params.yaml; these parameters are resolved already"
            )
        params = load(source, Path(source).parent / "config" / f"{scale}.yaml")
    return build(Params, params, "")
