"""Command plan: what all trainings of the parameters take in runs, hours and disk, counted before anything is run.

No file is read: the table of runs says which trainings there are, `models.cost` how many multiply-adds and weights a
network has. A training pass costs three passes forward: one, and one each for the gradients of inputs and of weights; a
part that stays as it is costs one. Held-out clips are judged after every epoch. Early stops are not foreseen. How fast
a machine trains was measured of it (resources/rates.csv), or is assumed.
"""

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mien.audio.spectrogram import segment_shape
from mien.config.fuzziness import VERSIONS
from mien.config.labels import AS_VECTORS, CLASSICAL, VECTORS
from mien.config.runs import list_runs
from mien.config.schema import SCALES, Params, StreamConfig, VariantConfig, build, hint, load
from mien.errors import ConfigError, TableError
from mien.models.cost import Cost, row_costs, total
from mien.models.mrpn import CHANNELS
from mien.report.page import render_page, write_table
from mien.report.tables.complexity import clip_costs, second_cost, steps_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Size:
    """A corpus; `seconds` is the mean length of a clip, 0 for a picture."""

    people: int
    clips: int
    seconds: float = 0.0


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


LEARNT, KEPT = 3, 1  # passes forward that a training pass costs
VALIDATING = 2  # people of a fold
PER_FILM = 4  # pictures of a film that a network of single pictures learns from
BALANCED = 7 * 7215 / 28_709  # FER2013: all classes as large as the largest, relative to what there is
EMOTIONS = {"ravdess": 8, "cremad": 6, "fer2013": 7, "ckplus": 8, "rafd": 8, "mug": 7, "jaffe": 7, "voxceleb": 6}
EXPRESSIONS = 4  # of chapter 4
SHARES = {  # corpus -> shares of clips that train, and that are held out, by the corpus's own division
    "fer2013": (28_709 / 35_887, 7_178 / 35_887),
    "voxceleb": (138_361 / 153_516, 15_155 / 153_516),
}
DIVIDED = (0.7, 0.3)  # where the recordings of each person are divided


def planned(params: Params) -> pd.DataFrame:
    """Return a row per kind of training in the table of runs, in the order of the stages; without those of vectors.

    Columns: stage, corpus, name, runs; clips that a run learns from in an epoch, and those that are judged in the end;
    epochs; family: video, audio, joint or vgg16, networks with one speed, empty where no GPU is needed; precision, in
    which a GPU computes; multiply_adds of one pass forward of a clip; weights; outputs: answers per judged clip that
    are kept; learning, judging: multiply-adds of a training pass of a clip, and of judging in an epoch; work:
    multiply-adds of all runs.
    """
    of_vectors = {("variant", name) for name, row in params.variants.items() if VECTORS.keys() & set(row.modalities)}
    runs = [run for run in list_runs(params) if run.corpus not in AS_VECTORS and (run.kind, run.name) not in of_vectors]
    counts = Counter((run.kind, run.corpus, run.name) for run in runs)
    rows = []
    for kind, (stage, _, count) in STAGES.items():
        for corpus, name in [key[1:] for key in counts if key[0] == kind]:
            runs = counts[kind, corpus, name]
            if kind == "pretrain":
                row = params.pretrain[name]
                corpus, runs = row.corpus, runs * (row.init != "none")
            own = {"stage": stage, "corpus": corpus, "name": name, "runs": runs, "precision": "float32", "outputs": 1}
            rows.append(own | count(params, corpus, name))
    table = pd.DataFrame(rows)
    table["work"] = table.runs * table.epochs * (table.learning * table.clips + table.judging)
    counted = ["clips", "judged", "multiply_adds"]
    return table.assign(**table[counted].round().astype(int))


def _count_pretrain(params: Params, corpus: str, name: str) -> dict[str, Any]:
    row, extractor, size = params.pretrain[name], params.extractor, size_of(corpus, params)
    vgg = row.network == "vgg16"
    learnt, judged = (share * size.clips for share in SHARES.get(corpus, DIVIDED))
    if row.modality == "audio":
        learnt, looks = learnt * extractor.crops, judged * size.seconds  # held-out sounds are cut into seconds
        shape = (CHANNELS["audio"], *segment_shape(params.sound))
    else:
        learnt, looks = learnt * (BALANCED if row.balance else 1) * (PER_FILM if size.seconds else 1), judged
        channels = 1 if row.network == "resnet12" else CHANNELS["video"]
        shape = (channels, *[extractor.vgg_size_px if vgg else row.size_px or params.faces.size_px] * 2)
    found = row_costs(
        row,
        classes=size.people if row.target == "actor" else EMOTIONS[corpus],
        width=extractor.vgg_width if vgg else row.width or params.train.width,
        shape=(1, *shape),
    )
    return {
        "clips": learnt,
        "judged": judged,
        "epochs": row.epochs,
        "family": "vgg16" if vgg else row.modality,
        "precision": extractor.precision,
        **_count_passes(found, looks, kept=["features"] if row.trained == "dense" else []),
    }


def _count_variant(params: Params, corpus: str, name: str) -> dict[str, Any]:
    row = params.variants[name]
    train = row.resolve_train(params.train)
    learnt, judged = _divide_folds(corpus, params)
    kept = row.modalities if row.extractors == "frozen" else row.frozen
    kept = [f"branches.{modality}{'' if modality in row.frozen else '.trunk'}" for modality in kept]
    steps = steps_of(row, frames=train.frames, seconds=size_of(corpus, params).seconds, sound=params.sound)
    own = {"width": train.width, "segment": segment_shape(row.resolve_sound(params.sound))}
    found = clip_costs(row, steps, **_sizes(params, corpus) | own)
    if row.looks:  # the branches look before the first epoch, the heads learn in all of them
        branches = total(found, "branches").multiply_adds / train.epochs
        heads = total(found).multiply_adds - total(found, "branches").multiply_adds
        stored = {"learning": LEARNT * heads + row.looks * branches, "judging": judged * (heads + branches)}
    return {
        "clips": learnt,
        "judged": judged,
        "epochs": train.epochs,
        "precision": train.precision,
        **_describe(row),
        **_count_passes(found, judged, kept=kept),
        **(stored if row.looks else {}),
        **({"learning": 0.0} if row.weights else {}),
    }


def _count_fuzziness(params: Params, corpus: str, name: str) -> dict[str, Any]:
    """Nobody validates: clips are judged once."""
    fuzzy, one = params.fuzziness, _count_variant(params, corpus, name)
    clips = made_size(corpus, fuzzy.actors, takes=1).clips
    judged = clips * fuzzy.tested / fuzzy.actors
    judging = one["multiply_adds"] * judged / fuzzy.epochs
    return one | {"clips": clips - judged, "judged": judged, "epochs": fuzzy.epochs, "judging": judging}


def _count_stream(params: Params, corpus: str, name: str) -> dict[str, Any]:
    row, streaming, seconds = params.streams[name], params.streaming, size_of(corpus, params).seconds
    learnt, judged = _divide_folds(corpus, params)
    _, _, second = second_cost(row, streaming, **_sizes(params, corpus))
    forward = second.multiply_adds * min(streaming.window_s, seconds)
    return {
        "clips": learnt,
        "judged": judged,
        "epochs": streaming.epochs,
        "precision": params.train.precision,
        "multiply_adds": forward,
        "weights": second.parameters,
        "learning": LEARNT * forward,
        "judging": second.multiply_adds * seconds * judged,
        **_describe(row),
    }


def _count_classifier(params: Params, _: str, name: str) -> dict[str, Any]:
    """All pictures of the corpora are counted, of which some show other emotions."""
    row, cross, classify = params.classifiers[name], params.cross, params.classify
    found: dict[str, Cost] = {}
    epochs = 0
    if row.model not in CLASSICAL:
        shape = {"AU8": (8,), "FP68": (136,), "image": (1, row.size_px, row.size_px)}[row.features]
        found = row_costs(row, classes=EXPRESSIONS, width=0, shape=(1, *shape))
        epochs = classify.epochs_image if row.features == "image" else classify.epochs_vector
    return {
        "clips": sum(size_of(corpus, params).clips for corpus in cross.train),
        "judged": size_of(cross.test, params).clips,
        "epochs": epochs,
        "family": "video" if found else "",
        **_count_passes(found, 0),
    }


STAGES = {  # kind of run -> stage of the plan, title of the stage, what counts a run
    "pretrain": ("pretrain", "networks trained ahead", _count_pretrain),
    "variant": ("variants", "networks of chapter 5", _count_variant),
    "stream": ("streams", "networks that run along", _count_stream),
    "classifier": ("classifiers", "classifiers of chapter 4", _count_classifier),
    "fuzziness": ("fuzziness", "missing and fuzzy information", _count_fuzziness),
}


def _count_passes(found: Mapping[str, Cost], looks: float, *, kept: Iterable[str] = ()) -> dict[str, float]:
    """Return what a network takes: `looks` are passes of judging in an epoch, `kept` parts that stay as they are."""
    forward = total(found).multiply_adds
    spared = (LEARNT - KEPT) * sum(total(found, part).multiply_adds for part in kept)
    return {
        "multiply_adds": forward,
        "weights": total(found).parameters,
        "learning": LEARNT * forward - spared,
        "judging": looks * forward,
    }


def _describe(row: VariantConfig | StreamConfig) -> dict[str, Any]:
    return {
        "family": row.modalities[0] if len(row.modalities) == 1 else "joint",
        "outputs": 1 + len(row.modalities) if row.fusion in ("n1", "mrpn") else 1,
    }


def _sizes(params: Params, corpus: str) -> dict[str, Any]:
    return {
        "classes": EMOTIONS[corpus],
        "width": params.train.width,
        "size_px": params.faces.size_px,
        "segment": segment_shape(params.sound),
    }


def _divide_folds(corpus: str, params: Params) -> tuple[float, float]:
    """Return the clips that a fold learns from, and those that it judges, on average."""
    size = size_of(corpus, params)
    held = min(1 / params.folds[corpus] + VALIDATING / size.people, 1.0)
    return size.clips * (1 - held), size.clips * held


GB = 1e9
VOICED = ("ravdess", "cremad", "voxceleb")
DOWNLOADS = {"ravdess": 26.6 * GB, "cremad": 3.7 * GB, "fer2013": 0.3 * GB, "voxceleb": 33.7 * GB}  # unpacked
LANDMARKS = 68 * 2 * 4  # bytes of a frame
ROW = 50  # bytes of a row of predictions.parquet with eight logits, as measured on our own
SELECTIONS = 2
FLOAT = 4
COPIES = 5  # weights in a checkpoint: the network, two moments of Adam, the best of two selections


def spaces(params: Params, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the bytes that all stages leave, as columns stage, corpus, bytes; `runs` is what `planned` returns."""
    fuzzy = params.fuzziness
    twin = made_size(fuzzy.corpus, fuzzy.actors, params.synthetic.takes)
    stored = [(corpus, corpus, size_of(corpus, params)) for corpus in params.corpora if corpus not in AS_VECTORS]
    stored += [(fuzzy.corpus, f"{fuzzy.corpus}, {version}", twin) for version in VERSIONS]
    found: list[tuple[str, str, float]] = []
    for corpus, name, size in stored:
        if name == corpus and params.corpora[corpus].source != "synthetic":
            found.append(("data", name, DOWNLOADS.get(corpus, 0.0)))
        if corpus != "voxceleb":
            region = params.faces.size_px**2 * 3 * (2 if size.seconds else 1)  # of films frames.npy and along.npy
            frames = round(size.clips * max(1.0, size.seconds * params.faces.rate_fps))
            found.append(("faces", name, frames * (region + LANDMARKS)))
        if corpus in VOICED:
            found.append(("sound", name, size.clips * size.seconds * params.sound.rate_hz * 2))  # mono, int16
    models = FLOAT * runs.weights.where(runs.stage != "fuzziness", 0)  # which keeps what its networks say
    left = runs.runs * (models + ROW * SELECTIONS * runs.judged * runs.outputs)
    found += zip(["training"] * len(runs), runs.corpus, left, strict=True)
    if len(runs):
        largest = runs.loc[runs.weights.idxmax()]
        found.append(("checkpoints", largest.corpus, COPIES * FLOAT * largest.weights))
    table = pd.DataFrame(found, columns=["stage", "corpus", "bytes"])
    return table[table.bytes > 0].groupby(["stage", "corpus"], sort=False, as_index=False).sum()


# TFLOP/s sustained in training; assumptions, no measurements: half of an A100's float32 peak of 19.5, and an eighth of
# its bfloat16 peak of 312, since reading and writing take a larger share.
ASSUMED_TFLOPS = {"float32": 10.0, "bfloat16": 40.0}
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

    tflops: Mapping[tuple[str, str], float]
    source: str
    unit: str = "hours"

    def hours(self, runs: pd.DataFrame) -> pd.Series:
        """Return the hours of all runs of every kind that `planned` lists, 0 for what is fitted without a GPU."""
        kinds = zip(runs.family, runs.precision, strict=True)
        tflops = [self._of(family, precision) if family else float("inf") for family, precision in kinds]
        return FLOPS * runs.work / (pd.Series(tflops, index=runs.index) * 1e12) / 3600

    def _of(self, family: str, precision: str) -> float:
        order = [
            (family, precision),
            *((family, other) for other in PRECISIONS),
            *(("joint", p) for p in (precision, *PRECISIONS)),
        ]
        return next(self.tflops[kind] for kind in order if kind in self.tflops)


def assumed(tflops: float | None = None) -> Speed:
    """Return the same speed for all networks: the given one, or what is assumed of a precision.

    Raises
    ------
    ConfigError
        It is none.
    """
    if tflops is None:
        source = " and ".join(f"{value:g} TFLOP/s in {precision}" for precision, value in ASSUMED_TFLOPS.items())
        speeds = {("joint", precision): value for precision, value in ASSUMED_TFLOPS.items()}
        return Speed(speeds, f"{source}, assumed", "GPU hours")
    if not tflops > 0:
        raise ConfigError(f"--tflops should be above 0, got {tflops}")
    return Speed({("joint", "float32"): tflops}, f"{tflops:g} TFLOP/s in training, assumed", "GPU hours")


def measured(rates: pd.DataFrame, device: str) -> Speed:
    """Return the fastest that was measured of a device.

    Raises
    ------
    ConfigError
        The joint network was not measured on it.
    """
    own = rates[rates.device == device]
    tflops = own.groupby([own.network.map(FAMILIES), "precision"]).tflops.max().to_dict()
    if not any(family == "joint" for family, _ in tflops):
        known = sorted(set(rates.device))
        raise ConfigError(f"--device: N2 was not timed on {device!r}; {hint(device, known)}")
    slowest, fastest = min(tflops.values()), max(tflops.values())
    return Speed(tflops, f"{slowest:.3g} to {fastest:.3g} TFLOP/s in training, measured on {device}")


def read_rates(path: Path) -> pd.DataFrame:
    """Return the table that benchmarks/throughput.py writes.

    Raises
    ------
    TableError
        There is no such file, or it has other columns or no numbers.
    """
    try:
        rates = pd.read_csv(path)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run benchmarks/throughput.py --out {path}") from None
    except ValueError as error:  # of pandas and of decoding
        raise TableError(f"{path}: {error}; run benchmarks/throughput.py again") from error
    if tuple(rates.columns) != COLUMNS:
        raise TableError(f"{path}: should have the columns {', '.join(COLUMNS)}; git restore {path}")
    timed = pd.to_numeric(rates.tflops, errors="coerce") > 0
    if not (timed & rates.network.isin(FAMILIES)).all():
        raise TableError(f"{path}: a row has no speed, or an unknown network; git restore {path}")
    return rates


def summary(params: Params, speed: Speed | None = None, runs: pd.DataFrame | None = None) -> str:
    """Return the plan in one line; a speed is assumed and `runs` are planned where they are not given."""
    speed, runs = speed or assumed(), planned(params) if runs is None else runs
    trained = runs.runs[runs.family != ""].sum()
    return (
        f"scale {params.scale}: {trained} trainings and {runs.runs.sum() - trained} fits of classical classifiers;"
        f" at most {spoken(speed.hours(runs).sum())} {speed.unit} ({speed.source}),"
        f" {_spaced(spaces(params, runs).bytes.sum() / GB)} GB on the disk; see `mien plan`"
    )


def spoken(hours: float) -> str:
    """Return hours with as many digits as an estimate has."""
    return f"{hours:,.0f}".replace(",", " ") if hours >= 100 else f"{hours:.1f}"


def _spaced(number: float) -> str:
    return f"{number:,.1f}".replace(",", " ")


def render(params: Params, speed: Speed, runs: pd.DataFrame) -> str:
    """Return the page as Markdown."""
    runs = runs.assign(hours=speed.hours(runs))
    left = spaces(params, runs)
    titles = {stage: title for stage, title, _ in STAGES.values()}
    stages = runs.groupby("stage")[["runs", "work", "hours"]].sum().reindex(titles, fill_value=0).rename(titles)
    stages.loc["**all**"] = stages.sum()
    each = runs.hours / runs.runs.where(runs.runs > 0)
    return render_page(
        "plan",
        scale=params.scale,
        summary=summary(params, speed, runs),
        made=sorted(name for name, row in params.corpora.items() if row.source == "synthetic"),
        stages=pd.DataFrame(
            {
                "stage": stages.index,
                "runs": stages.runs.map("{:.0f}".format),
                "10¹⁵ multiply-adds": (stages.work / 1e15).map(_spaced),
                "hours": stages.hours.map(spoken),
            }
        ),
        trainings=pd.DataFrame(
            {
                "stage": runs.stage,
                "corpus": runs.corpus,
                "network": runs.name,
                "runs": runs.runs.map(str),
                "clips": runs.clips.map(str),
                "epochs": runs.epochs.map(lambda n: str(n) if n else "-"),
                "10⁹ multiply-adds per clip": runs.multiply_adds.map(lambda n: f"{n / 1e9:.3f}" if n else "-"),
                "hours": runs.hours.map(spoken),
                "of a run": each.map(lambda hours: "-" if pd.isna(hours) else spoken(hours)),
            }
        ),
        places=pd.DataFrame(
            {
                "stage": [*left.stage, "**all**"],
                "corpus": [*left.corpus, ""],
                "GB": [_spaced(size / GB) for size in (*left.bytes, left.bytes.sum())],
            }
        ),
    )


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
    if (out_csv is None) != (out_md is None):
        raise ConfigError("plan: give --out-csv and --out-md, or neither to have the page printed")
    if device and tflops is not None:
        raise ConfigError("plan: give --tflops or --device, not both")
    params = _params(config, scale)
    speed = measured(read_rates(rates), device) if device else assumed(tflops)
    runs = planned(params)
    text = render(params, speed, runs)
    if out_md is None:
        sys.stdout.write(text)
    else:
        columns = ["stage", "corpus", "name", "runs", "clips", "epochs", "multiply_adds", "work", "hours"]
        write_table(runs.assign(hours=speed.hours(runs))[columns], text, csv=out_csv, md=out_md)
    log.info("%s", summary(params, speed, runs))


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
