"""The experiment on missing and fuzzy information (thesis 5.1): its conditions, and the versions of its corpus.

Every version holds the same takes of the same people. In one all is clear; in each of the others one modality of every
take says nothing (it stays neutral: missing), or says something else as well (it is blended with another emotion). A
condition takes a share of the clips from such a version and the others from the clear one, so it is the corpus that
would have been made with so many clips of that kind.

Plain YAML values into typed ones, strictly: unknown, missing and mistyped keys are refused by name.

The sections of params.yaml about corpora, what is made of them, and what is reported.

The sections of params.yaml about networks: which there are, how they are trained, what looks at your clips.

The sections of params.yaml that say what is asked of trained networks: overview, intensity, embeddings, trust.

Section ``fuzziness``, an experiment with networks of its own, is here too.


params.yaml: read, resolve the scale, check every key and type, give out sections.

A command receives the sections it uses as one JSON text (from Snakemake) or as the path of params.yaml (by hand);
both come out of `load` as the same nested dictionary, and `section` turns a part of it into a frozen dataclass.


What has to hold between the rows of ``pretrain`` and those that start from them.

What has to hold between the sections of params.yaml; each section by itself is checked where it is declared.
"""

import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import yaml

from mien.config.labels import ACTED, CLASSICAL, CORPORA, FACED, MODALITIES, NETWORKS, require
from mien.config.runs import needed_folds, parts_of
from mien.errors import ConfigError


def build(kind: Any, value: Any, where: str) -> Any:
    """Turn plain YAML `value` into `kind`, strictly; `where` is the dotted key for the error message."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        return _build_section(kind, value, where)
    if origin is Literal:
        if value not in _flat(args):
            raise _mistyped(where, f"one of {', '.join(map(str, _flat(args)))}", value)
        return value
    if origin is tuple:
        if not isinstance(value, list) or (args[-1] is not Ellipsis and len(value) != len(args)):
            raise _mistyped(where, "a list" if args[-1] is Ellipsis else f"a list of {len(args)}", value)
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _mistyped(where, "a mapping", value)
        if typing.get_origin(args[0]) is Literal:
            _refuse_unknown(where, value, _flat(typing.get_args(args[0])))
        return {
            build(str, k, where) if args[0] is str else k: build(args[1], v, _join(where, k)) for k, v in value.items()
        }
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise _mistyped(where, kind.__name__, value)
    return kind(value)


def _build_section(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _mistyped(where or "the file", "a mapping", value)
    kinds = {field.name: field.type for field in fields(kind)}
    _refuse_unknown(where, value, kinds)
    optional = {one.name for one in fields(kind) if one.default is not MISSING or one.default_factory is not MISSING}
    if missing := [key for key in kinds if key not in value and key not in optional]:
        raise ConfigError(
            f"params.yaml: {_join(where, missing[0])} is missing ({len(missing)} missing: {', '.join(missing)})"
        )
    return kind(**{key: build(kinds[key], value[key], _join(where, key)) for key in kinds if key in value})


def _refuse_unknown(where: str, value: Mapping, known: typing.Iterable[str]) -> None:
    for key in value:
        if key not in known:
            raise ConfigError(f"params.yaml: {_join(where, key)} is unknown; {hint(key, known)}")


def _flat(args: tuple) -> list:
    return [inner for arg in args for inner in (arg if isinstance(arg, tuple) else (arg,))]


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def hint(key: object, known: Any) -> str:
    names = [str(name) for name in known] if isinstance(known, typing.Iterable) else []
    near = difflib.get_close_matches(str(key), names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"


def _mistyped(where: str, wanted: str, value: Any) -> ConfigError:
    trap = " (YAML 1.1 reads 1e-3 as text: write 1.0e-3)" if isinstance(value, str) and wanted == "float" else ""
    return ConfigError(f"params.yaml: {where} should be {wanted}, got {value!r}{trap}")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """One row of ``corpora``."""

    source: str  # synthetic, download, or a folder or archive
    actors: int  # people in the synthetic corpus

    def __post_init__(self) -> None:
        require(self.actors >= 2 and self.source != "", "corpora", "actors >= 2 and a source", self)


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Section ``synthetic``: what the embedded corpora show."""

    size_px: int  # height of a video frame
    rate_fps: int
    takes: int  # repetitions of every (emotion, intensity, statement)
    missing_video: float  # share of clips with a neutral face
    blended_video: float  # share of clips with a mixed face
    missing_audio: float
    blended_audio: float

    def __post_init__(self) -> None:
        shares = (self.missing_video, self.blended_video, self.missing_audio, self.blended_audio)
        ok = all(0 <= share <= 1 for share in shares)
        ok &= self.missing_video + self.blended_video <= 1 and self.missing_audio + self.blended_audio <= 1
        ok &= self.size_px >= 128 and self.rate_fps >= 1 and self.takes in (1, 2)
        require(ok, "synthetic", "shares in 0..1 that add up to <= 1, size_px >= 128, takes 1 or 2", self)


@dataclass(frozen=True, kw_only=True)
class FacesConfig:
    """Section ``faces``: from frames to square regions and landmarks."""

    rate_fps: int  # of the stored frames
    size_px: int  # side of the stored region
    detect_px: int  # height of the picture in which faces are searched first
    detect_every: int  # frames between two detections
    margin: float  # region relative to the detector's box
    region_s: float  # networks that run along see the region around the median of the boxes of so many seconds

    def __post_init__(self) -> None:
        ok = min(self.rate_fps, self.size_px, self.detect_every) >= 1 and self.detect_px >= 80
        ok &= min(self.margin, self.region_s) > 0
        require(ok, "faces", "rate_fps, size_px, detect_every >= 1, detect_px >= 80, margin, region_s > 0", self)


@dataclass(frozen=True, kw_only=True)
class SoundConfig:
    """Section ``sound``: from any sound to segments of a spectrogram (thesis 4.5)."""

    rate_hz: int
    silence_dbfs: float  # peak level below which a clip has no voice
    window: int  # samples
    hop: int  # samples
    segment: int  # columns of a segment
    log: bool  # log magnitude
    pool: int  # side of the averaged squares

    def __post_init__(self) -> None:
        ok = 0 < self.hop <= self.window <= self.rate_hz and self.segment >= self.pool >= 1 and self.silence_dbfs < 0
        require(ok, "sound", "0 < hop <= window <= rate_hz, segment >= pool >= 1, silence_dbfs < 0", self)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Section ``augment``: AUG-A (thesis 4.2) and random slicing (thesis 5.3.3)."""

    mirror: float  # probability
    crop: float  # largest share cut away
    blur: float  # probability
    blur_sigma: float  # largest, px
    contrast: tuple[float, float]  # factor about mid-grey
    noise: float  # standard deviation, grey levels
    scale: tuple[float, float]
    translate: float  # share of the side
    rotate: float  # degrees
    shear: float  # degrees
    slice: float  # share of the clip kept by random slicing

    def __post_init__(self) -> None:
        ok = 0 <= self.mirror <= 1 and 0 <= self.blur <= 1 and 0 <= self.crop < 1 and 0 < self.slice <= 1
        ok &= 0 < self.contrast[0] <= self.contrast[1] and 0 < self.scale[0] <= self.scale[1]
        ok &= min(self.blur_sigma, self.noise, self.translate, self.rotate, self.shear) >= 0
        require(ok, "augment", "probabilities in 0..1, ranges in order, 0 < slice <= 1", self)


@dataclass(frozen=True, kw_only=True)
class CandideConfig:
    """Section ``candide``: the fit of the Candide-3 mesh (thesis 4.1)."""

    landmarks: Literal["printed", "inner"]  # which vertices the points of the lids stand for
    ridge: float  # weight of the squared coefficients beside the squared residuals
    warm_start: bool  # a frame starts from the one before it
    evaluations: int  # steps of Levenberg-Marquardt after which a frame counts as not converged
    tolerance: float  # relative decrease of the cost at which a fit has converged

    def __post_init__(self) -> None:
        ok = self.ridge >= 0 and self.evaluations >= 1 and 0 < self.tolerance < 1
        require(ok, "candide", "ridge >= 0, evaluations >= 1, 0 < tolerance < 1", self)


@dataclass(frozen=True, kw_only=True)
class CrossConfig:
    """Section ``cross``: four emotions, learnt on some corpora of faces and tested on another (thesis 4.2)."""

    train: tuple[Literal[FACED], ...]
    test: Literal[FACED]
    angles: tuple[int, ...]  # cameras that the headline counts, degrees
    splits: int  # random divisions of the training people
    validation: float  # share of them that validates

    def __post_init__(self) -> None:
        ok = len(self.train) == len(set(self.train)) >= 1 and self.test not in self.train and len(self.angles) >= 1
        ok &= self.splits >= 1 and 0 < self.validation <= 0.5
        require(ok, "cross", "train without test, angles, splits >= 1, 0 < validation <= 0.5", self)

    @property
    def name(self) -> str:
        """Return the name under which its results are kept, such as ckplus_rafd."""
        return "_".join([*self.train, self.test])


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """Section ``classify``: how the networks among the classifiers are trained."""

    seeds: int  # trainings of every network, on the first splits
    learning_rate: float
    epochs_vector: int
    epochs_image: int
    batch_vector: int
    batch_image: int

    def __post_init__(self) -> None:
        ok = (
            min(self.seeds, self.epochs_vector, self.epochs_image) >= 1
            and min(self.batch_vector, self.batch_image) >= 2
        )
        require(ok and self.learning_rate > 0, "classify", "positive numbers, batches of 2 or more", self)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """One row of ``classifiers``."""

    features: Literal["AU8", "FP68", "image"]
    model: Literal[CLASSICAL + NETWORKS]
    size_px: int  # side of the picture; 0 for vectors
    standardise: bool  # vectors to zero mean and unit variance over the training samples
    thesis: str  # cell of table 4.1, or empty

    def __post_init__(self) -> None:
        of_vectors = self.model in ("ssvm", "svm_poly", "dnn_au", "dnn_fp")
        ok = of_vectors == (self.features != "image") and (self.size_px >= 16) == (self.features == "image")
        ok &= {"dnn_au": "AU8", "dnn_fp": "FP68"}.get(self.model, self.features) == self.features
        need = "vectors (size_px 0) for SVM and DNN, pictures of 16 px or more for the others; dnn_au AU8, dnn_fp FP68"
        require(ok, "classifiers", need, self)


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """One row of ``tables``."""

    corpus: Literal[CORPORA]
    rows: dict[str, str]  # variant -> table/row of the thesis, or empty
    single: tuple[str, ...]  # the rows of one modality
    pairs: dict[str, dict[str, str]]  # what differs -> {row: the row that it is held against}
    confusion: str = ""  # number of the figure of confusion matrices; empty: none
    folds: int = 0  # the first so many of the corpus's folds; 0: all


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Section ``evaluate``."""

    confidence: float
    resamples: int

    def __post_init__(self) -> None:
        require(
            0 < self.confidence < 1 and self.resamples >= 100, "evaluate", "0 < confidence < 1, resamples >= 100", self
        )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Section ``train``: the loop (thesis 5.3)."""

    protocol: Literal["honest", "thesis"]
    width: int  # channels of the first ResNet stage
    frames: int  # of a clip
    batch: int  # clips
    learning_rate: float
    weight_decay: float
    dropout: float
    epochs: int
    patience: int  # epochs until the rate is halved
    stop: int  # epochs until the end
    precision: Literal["float32", "bfloat16"]

    def __post_init__(self) -> None:
        ok = min(self.width, self.frames, self.epochs, self.patience, self.stop) >= 1 and self.batch >= 2
        ok &= self.learning_rate > 0 and self.weight_decay >= 0 and 0 <= self.dropout < 1
        require(ok, "train", "positive sizes, batch >= 2, learning_rate > 0, 0 <= dropout < 1", self)


@dataclass(frozen=True, kw_only=True)
class VariantConfig:
    """One row of ``variants``: a network that can be trained. Keys with a default may be left out."""

    modalities: tuple[Literal[MODALITIES], ...]
    fusion: Literal["single", "n0", "n1", "mrpn", "gated", "attention"]
    aggregator: Literal["lstm", "bilstm", "transformer"]
    augmentation: Literal["NT", "VA+WO", "VA+AO"]
    side_head: Literal["dense", "scoring"]
    init: dict[str, str]  # modality -> row of pretrain or safetensors file with the trunk; random where absent
    frozen: dict[str, str]  # modality -> variant whose trained branch stays as it is
    trunk: dict[Literal["video"], Literal["resnet18", "resnet3d18"]] = field(default_factory=dict)  # resnet18 if absent
    residual: Literal["sigmoid", "relu"] = "sigmoid"  # in the residual perceptron of mrpn (eq. 29)
    extractors: Literal["tuned", "frozen"] = "tuned"  # frozen: trunks stay as `init` gave them, statistics too
    modality_dropout: float = 0.0  # probability that a training clip loses one of its modalities
    blend: dict[str, str] = field(default_factory=dict)  # head -> variant whose history weighs its loss (G-Blend)
    target: Literal["label", "intensity"] = "label"  # emotions, or how strongly they are acted (regression)

    def __post_init__(self) -> None:
        ok = len(self.modalities) == len(set(self.modalities)) >= 1
        ok &= (self.fusion == "single") == (len(self.modalities) == 1)
        ok &= set(self.init) <= set(self.modalities) - {"units"} and set(self.frozen) <= set(self.modalities)
        require(ok, "variants", "distinct modalities, single = one modality, init and frozen of its modalities", self)
        ok = self.residual == "sigmoid" or self.fusion == "mrpn"
        ok &= 0 <= self.modality_dropout < 1 and (self.modality_dropout == 0 or self.fusion != "single")
        ok &= not self.blend or (self.fusion in ("n1", "mrpn") and set(self.blend) == {"fused", *self.modalities})
        ok &= self.extractors == "tuned" or set(self.init) == set(self.modalities) - {"units"}
        need = "residual of mrpn, 0 <= modality_dropout < 1 of joint networks, blend of all heads of n1 or mrpn"
        require(ok, "variants", f"{need}, frozen extractors with an init each", self)
        ok = self.fusion != "attention" or (self.aggregator == "lstm" and "resnet3d18" not in self.trunk.values())
        require(ok, "variants", "attention with the aggregator lstm and without 3D trunks", self)


@dataclass(frozen=True, kw_only=True)
class ExtractorConfig:
    """Section ``extractor``: sizes of the networks that are trained ahead (thesis 4.3, 5.3.2)."""

    vgg_width: int  # channels of the first VGG-16 stage; 64 in the thesis
    vgg_size_px: int  # side of its picture, a multiple of 32
    vgg_dropout: float  # probability, after both of its hidden dense layers
    crops: int  # random 1 s crops of an utterance per epoch
    precision: Literal["float32", "bfloat16"]

    def __post_init__(self) -> None:
        ok = self.vgg_width >= 1 and self.vgg_size_px >= 32 and self.vgg_size_px % 32 == 0 and self.crops >= 1
        ok &= 0 <= self.vgg_dropout < 1
        need = "vgg_width, crops >= 1, vgg_size_px a multiple of 32, 0 <= vgg_dropout < 1"
        require(ok, "extractor", need, self)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """One row of ``pretrain``: a network of one modality that is trained ahead, or fine-tuned from such a one."""

    corpus: Literal[CORPORA]
    modality: Literal["video", "audio"]
    target: Literal["label", "actor"]  # emotions, or who it is
    network: Literal["resnet18", "vgg16"]
    init: str  # random, a row of pretrain, a file of weights, or none: a file that you have to name
    trained: Literal["all", "dense"]  # dense: convolutions stay as they are
    balance: bool  # AUG-B: classes filled up to within 5 %
    learning_rate: float
    epochs: int
    batch: int
    thesis: str  # row of table 4.3, or empty

    def __post_init__(self) -> None:
        ok = self.epochs >= 1 and self.batch >= 2 and self.learning_rate > 0 and self.init != ""
        ok &= (self.modality == "video") or (self.network == "resnet18" and not self.balance)
        ok &= self.trained == "all" or (self.network == "vgg16" and self.init != "random")
        need = "positive epochs, batch >= 2, learning_rate; init; vgg16, balance of video; dense of vgg16 with init"
        require(ok, "pretrain", need, self)

    @property
    def name(self) -> str:
        """Return the folder of its runs below results/training; who somebody is makes other classes than emotions."""
        return self.corpus if self.target == "label" else f"{self.corpus}_actor"

    @property
    def uses(self) -> tuple[str, ...]:
        """Return the dotted keys of params.yaml, its own row aside, that its network depends on."""
        if self.modality == "audio":
            own = ("extractor.crops", "sound", "train.width")
        elif self.network == "vgg16":
            own = ("extractor.vgg_width", "extractor.vgg_size_px", "extractor.vgg_dropout", "faces")
        else:
            own = ("augment", "faces", "train.width")
        return (*own, "extractor.precision", "seed")


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """Section ``transfer``: rows of ``pretrain`` in the studies of thesis 4.3 (figures 4.14, 4.15, table 4.3)."""

    corpus: ClassVar[str] = "fer2013"  # whose emotions all of them learn

    rates: tuple[str, ...]  # X12, the learning-rate study
    frozen: tuple[str, ...]  # X13, dense layers alone against the whole network
    table: tuple[str, ...]  # rows of table 4.3


@dataclass(frozen=True, kw_only=True)
class StreamingConfig:
    """Section ``streaming``: how networks that run along with a recording are trained and judged (thesis 4.4, 4.5)."""

    corpus: Literal["ravdess", "cremad"]
    rate_fps: int  # frames per second that a network looks at
    hop_s: float  # between the ends of two segments of the sound, and between two joint judgements
    window_s: float  # stretch of a clip in training
    loss: Literal["every", "last"]  # at every step of the stretch, or at its last one
    learning_rate: float
    epochs: int
    batch: int  # stretches

    def __post_init__(self) -> None:
        ok = min(self.rate_fps, self.epochs) >= 1 and self.batch >= 2 and self.learning_rate > 0
        ok &= 0 < self.hop_s <= self.window_s
        require(ok, "streaming", "rate_fps, epochs >= 1, batch >= 2, learning_rate > 0, 0 < hop_s <= window_s", self)


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """One row of ``streams``: a network that runs along with a recording."""

    modalities: tuple[Literal["video", "audio"], ...]
    fusion: Literal["dense", "single", "n0", "n1", "mrpn"]  # dense: one layer on the memory's output (thesis 4.4)
    aggregator: Literal["none", "lstm"]  # none: no memory, every frame on its own
    init: dict[str, str]  # as in variants

    def __post_init__(self) -> None:
        ok = len(self.modalities) == len(set(self.modalities)) >= 1 and set(self.init) <= set(self.modalities)
        ok &= (self.fusion in ("dense", "single")) == (len(self.modalities) == 1)
        require(ok, "streams", "distinct modalities, dense or single = one modality, init of its modalities", self)


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """Section ``watch``: what `mien watch`, `mien serve` and `mien predict --video` look with (corpus: streaming's)."""

    joint: str  # rows of streams
    video: str
    audio: str
    forget_s: float  # a face that was lost for so long is somebody new
    timeline_s: float  # that the rolling timeline shows

    def __post_init__(self) -> None:
        require(min(self.forget_s, self.timeline_s) > 0, "watch", "forget_s, timeline_s > 0", self)


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Section ``serve``: limits of the local page."""

    port: int
    upload_mib: int  # largest file
    upload_s: float  # longest recording
    waiting: int  # uploads that may wait while one is judged; more are refused

    def __post_init__(self) -> None:
        ok = 0 <= self.port < 2**16 and min(self.upload_mib, self.upload_s, self.waiting) > 0
        require(ok, "serve", "a port, upload_mib, upload_s, waiting > 0", self)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Section ``predict``: which models look at your clip."""

    corpus: Literal[CORPORA]
    joint: str
    video: str
    audio: str
    window_s: float
    hop_s: float

    def __post_init__(self) -> None:
        require(0 < self.hop_s <= self.window_s, "predict", "0 < hop_s <= window_s", self)


@dataclass(frozen=True, kw_only=True)
class OverviewRow:
    """One row of table 5.4."""

    corpora: tuple[Literal[ACTED], ...]
    thesis: str  # key of the thesis's table 5.4, or empty
    against: str  # the variant that it is held against, or empty


@dataclass(frozen=True, kw_only=True)
class OverviewConfig:
    """Section ``overview``: table 5.4, every option of the networks, a column per corpus."""

    folds: dict[Literal[ACTED], int]  # the first so many of the corpus's folds
    rows: dict[str, OverviewRow]  # variant -> row

    def __post_init__(self) -> None:
        require(all(n >= 1 for n in self.folds.values()), "overview", "folds >= 1", self.folds)
        named = {corpus for row in self.rows.values() for corpus in row.corpora}
        require(set(self.folds) <= named, "overview", "a row for every corpus under folds", sorted(self.folds))
        for name, row in self.rows.items():
            if missing := [corpus for corpus in row.corpora if corpus not in self.folds]:
                raise ConfigError(f"params.yaml: overview.rows.{name}: {missing[0]} is not under overview.folds")


@dataclass(frozen=True, kw_only=True)
class IntensityConfig:
    """Section ``intensity``: variants that say how strongly an emotion is acted."""

    corpus: Literal[ACTED]
    folds: int  # the first so many of the corpus's folds
    rows: tuple[str, ...]  # variants with the target intensity

    def __post_init__(self) -> None:
        require(self.folds >= 1 and len(self.rows) >= 1, "intensity", "folds >= 1, a row or more", self)


@dataclass(frozen=True, kw_only=True)
class EmbeddingsConfig:
    """Section ``embeddings``: figure 5.1, features of networks in two dimensions (t-SNE)."""

    corpus: Literal[ACTED]
    folds: tuple[int, ...]  # a row of the figure each
    rows: dict[Literal["video", "audio", "joint"], str]  # feature -> variant, a column each
    perplexity: float

    def __post_init__(self) -> None:
        ok = min(self.folds, default=-1) >= 0 and len(self.rows) >= 1 and self.perplexity > 1
        require(ok, "embeddings", "folds counted from 0, a row or more, perplexity > 1", self)


@dataclass(frozen=True, kw_only=True)
class FuzzinessConfig:
    """Section ``fuzziness``: networks for synthetic people whose faces or voices say less and less."""

    corpus: Literal[ACTED]  # whose twin it is
    actors: int  # people, besides those of the corpus
    tested: int  # of them are tested on, the others are trained on
    shares: tuple[float, ...]  # of clips whose modality is missing, or fuzzy
    seeds: int  # trainings of every network
    epochs: int  # all of them, without a choice
    size_px: int  # height of a frame of their films
    rate_fps: int  # of their films
    rows: tuple[str, ...]  # variants

    def __post_init__(self) -> None:
        ok = self.actors - self.tested >= 2 and self.tested >= 1 and min(self.seeds, self.epochs, self.rate_fps) >= 1
        ok &= self.actors >= max(4, self.seeds * self.tested) and len(self.rows) >= 1
        ok &= list(self.shares) == sorted({*self.shares, 0.0}) and 0 < max(self.shares) <= 1
        need = "actors >= 4 and >= seeds * tested, tested and epochs >= 1, a row, ascending shares from 0.0 up to 1.0"
        require(ok, "fuzziness", need, self)


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Section ``trust``: how far trained networks can be trusted, and what disturbs them."""

    corpora: tuple[Literal[ACTED], ...]
    rows: tuple[str, ...]  # variants of the corpora's tables
    bins: int  # of the reliability diagram
    noise_db: tuple[float, ...]  # signal-to-noise ratios of the voice
    picture_noise: tuple[float, ...]  # standard deviations, grey levels
    blur_px: tuple[float, ...]  # standard deviations of a Gaussian, at the size of the stored region
    light: tuple[float, ...]  # factors of the brightness

    def __post_init__(self) -> None:
        ok = self.bins >= 2 and all(value > 0 for value in (*self.picture_noise, *self.blur_px))
        ok &= all(0 < value < 1 for value in self.light)
        ok &= min(len(self.rows), len(self.corpora)) >= 1
        require(
            ok,
            "trust",
            "a row and a corpus or more, bins >= 2, picture_noise, blur_px > 0, light between 0 and 1",
            self,
        )


SCALES = ("mini", "thesis")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Params:
    """The whole of params.yaml, with the scale resolved."""

    scale: Literal[SCALES]
    seed: int
    repeats: int  # trainings of every variant and fold
    corpora: dict[Literal[CORPORA], CorpusConfig]
    folds: dict[Literal[CORPORA], int]
    synthetic: SyntheticConfig
    faces: FacesConfig
    sound: SoundConfig
    augment: AugmentConfig
    candide: CandideConfig
    cross: CrossConfig
    classify: ClassifyConfig
    classifiers: dict[str, ClassifierConfig]
    extractor: ExtractorConfig
    pretrain: dict[str, PretrainConfig]
    transfer: TransferConfig
    train: TrainConfig
    variants: dict[str, VariantConfig]
    streaming: StreamingConfig
    streams: dict[str, StreamConfig]
    tables: dict[str, TableConfig]
    overview: OverviewConfig
    intensity: IntensityConfig
    embeddings: EmbeddingsConfig
    fuzziness: FuzzinessConfig
    trust: TrustConfig
    evaluate: EvaluateConfig
    predict: PredictConfig
    watch: WatchConfig
    serve: ServeConfig
    splits: dict[Literal[ACTED], str] = field(default_factory=dict)  # corpus -> file of a published division in folds

    def __post_init__(self) -> None:
        check(self)


def load(source: str | Path) -> dict[str, Any]:
    """Return the resolved parameters of a params.yaml, or of the JSON text that a rule passes on."""
    text = str(source)
    if text.lstrip().startswith("{"):
        return json.loads(text)
    path = Path(source)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run from the repository root, or name it with --config") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    return resolve(raw)


def resolve(raw: Any) -> dict[str, Any]:
    """Replace every {mini: a, thesis: b} by the value of the chosen scale and check the result against `Params`."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"params.yaml: should be a mapping of sections, got {type(raw).__name__}")
    scale = raw.get("scale")
    if scale not in SCALES:
        raise ConfigError(f"params.yaml: scale should be one of {', '.join(SCALES)}, got {scale!r}")
    resolved = _at_scale(raw, scale)
    build(Params, resolved, "")
    return resolved


def section(kind: type[T], params: Mapping[str, Any], *keys: str) -> T:
    """Build the dataclass `kind` from the part of `params` that `keys` lead to."""
    value: Any = params
    for depth, key in enumerate(keys):
        if not isinstance(value, Mapping) or key not in value:
            raise ConfigError(f"params.yaml: section {'.'.join(keys[: depth + 1])} is missing; {hint(key, value)}")
        value = value[key]
    return build(kind, value, ".".join(keys))


def _at_scale(value: Any, scale: str) -> Any:
    if isinstance(value, Mapping):
        if set(value) == set(SCALES):
            return _at_scale(value[scale], scale)
        return {key: _at_scale(inner, scale) for key, inner in value.items()}
    if isinstance(value, list):
        return [_at_scale(inner, scale) for inner in value]
    return value


def check_pretrain(params: "Params") -> None:
    """Refuse rows of pretrain without a corpus, with an unusable start, or in the folder of a variant."""
    shared = {corpus for corpus, _ in needed_folds(params)} | {params.streaming.corpus}  # folders of variants
    for name, row in params.pretrain.items():
        where = f"params.yaml: pretrain.{name}"
        if row.corpus not in params.corpora:
            raise ConfigError(f"{where}.corpus: {row.corpus} is not under corpora; {hint(row.corpus, params.corpora)}")
        if (name in params.variants or name in params.streams) and row.name in shared:
            part = "variants" if name in params.variants else "streams"
            raise ConfigError(
                f"{where} and {part}.{name} would write results/training/{row.name}/{name}; rename one of them"
            )
        _check_start(params, where, name)


def _check_start(params: "Params", where: str, name: str) -> None:
    """Refuse an init that is nothing, leads back to its row, or leads to another kind of network."""
    row = params.pretrain[name]
    if row.init in ("random", "none") or is_path(row.init):
        return
    if row.init not in params.pretrain:
        near = hint(row.init, [*params.pretrain, "random", "none"])
        raise ConfigError(f"{where}.init: {row.init} is neither a row of pretrain nor a path, which has / or .; {near}")
    chain = [name, row.init]
    while (following := params.pretrain[chain[-1]].init) in params.pretrain and chain[-1] not in chain[:-1]:
        chain.append(following)
    if chain[-1] in chain[:-1]:
        raise ConfigError(f"{where}.init: {' -> '.join(chain)} has no first row; write random or a file in one")
    first = params.pretrain[row.init]
    if (first.network, first.modality) != (row.network, row.modality):
        alike = [other for other in params.pretrain if other != name and _is_alike(params, other, name)]
        raise ConfigError(
            f"{where}.init: {row.init} is a {first.network} of {first.modality}, {name} a {row.network} of"
            f" {row.modality}; {hint(row.init, [*alike, 'random'])}"
        )


def _is_alike(params: "Params", one: str, other: str) -> bool:
    rows = (params.pretrain[one], params.pretrain[other])
    return len({(row.network, row.modality) for row in rows}) == 1


def check_transfer(params: "Params") -> None:
    """Refuse studies of rows that there are not, or that do not learn the emotions of FER2013."""
    fitting = [name for name, row in params.pretrain.items() if row.name == TransferConfig.corpus]
    for study, names in vars(params.transfer).items():
        for name in names:
            where = f"params.yaml: transfer.{study}: {name}"
            if name not in params.pretrain:
                raise ConfigError(f"{where} is no row of pretrain; {hint(name, fitting)}")
            if name not in fitting:
                row = params.pretrain[name]
                raise ConfigError(
                    f"{where} learns {row.target} on {row.corpus}, not the emotions of {TransferConfig.corpus};"
                    f" {hint(name, fitting)}"
                )


def check_branch(params: "Params", where: str, init: str, modality: str) -> None:
    """Refuse first weights of a branch that are neither a ResNet-18 of its modality nor a file."""
    fitting = [name for name, row in params.pretrain.items() if (row.network, row.modality) == ("resnet18", modality)]
    if init in fitting or (init not in params.pretrain and is_path(init)):
        return
    row = params.pretrain.get(init)
    found = "neither a row of pretrain nor a path, which has / or ." if row is None else ""
    found = found or f"a {row.network} of {row.modality}, not a resnet18 of {modality}"
    raise ConfigError(f"params.yaml: {where}: {init} is {found}; {hint(init, fitting)}, or leave {modality} out")


def is_path(text: str) -> bool:
    """Say whether `text` can be meant as a file; names of rows are identifiers."""
    return "/" in text or "." in text


RESERVED = {  # numbers and names of tables and figures that other sections make
    *("4.1", "4.2", "4.3", "5.4", "5.5", "complexity", "fuzziness", "intensity", "streams", "units"),
}


def check(params: "Params") -> None:
    """Refuse sections that do not go together.

    Raises
    ------
    ConfigError : says which key, what was found, and what to write instead.
    """
    _check_numbers(params)
    for part in ("variants", "classifiers", "pretrain", "streams"):
        for key in getattr(params, part):
            if not key.isidentifier():
                raise ConfigError(f"params.yaml: {part}.{key!r} names folders: use letters, digits and _")
    for name in params.variants:
        _check_variant(params, name)
    for name in params.tables:
        _check_table(params, name)
    _check_studies(params)
    check_pretrain(params)
    check_transfer(params)
    for corpus, variant in needed_folds(params):
        row = params.variants[variant]
        _unseen_people(params, f"variants.{variant}", corpus, row.init)
    _check_streams(params)


def _check_numbers(params: "Params") -> None:
    if not 0 <= params.seed < 2**31:
        raise ConfigError(f"params.yaml: seed should be in 0..2147483647, got {params.seed}")
    if params.repeats < 1:
        raise ConfigError(f"params.yaml: repeats should be at least 1, got {params.repeats}")
    for corpus in params.corpora:
        if params.folds.get(corpus, 0) < 1:
            raise ConfigError(f"params.yaml: folds.{corpus} should be at least 1, got {params.folds.get(corpus)}")
    for corpus in params.splits:
        _known_corpus(params, f"splits.{corpus}", corpus)
    for corpus in (*params.cross.train, params.cross.test):
        _known_corpus(params, "cross", corpus)
    if params.classify.seeds > params.cross.splits:
        raise ConfigError(f"params.yaml: classify.seeds should be at most cross.splits ({params.cross.splits})")


def _check_variant(params: "Params", name: str) -> None:
    """Refuse a variant whose starts, frozen branches or histories are none."""
    variant, where = params.variants[name], f"variants.{name}"
    for modality, init in variant.init.items():
        check_branch(params, f"{where}.init.{modality}", init, modality)
        if variant.trunk.get(modality, "resnet18") != "resnet18" and init in params.pretrain:
            raise ConfigError(
                f"params.yaml: {where}.init.{modality}: {init} looks at single pictures, and the trunk"
                f" {variant.trunk[modality]} at whole clips; leave {modality} out of init"
            )
    for modality, other in variant.frozen.items():
        _known_variant(params, f"{where}.frozen.{modality}", other)
        if params.variants[other].modalities != (modality,) or params.variants[other].frozen:
            raise ConfigError(f"params.yaml: {where}.frozen.{modality}: {other} is not a {modality} network")
    for head, other in variant.blend.items():
        _known_variant(params, f"{where}.blend.{head}", other)
        row = params.variants[other]
        wanted = variant.modalities if head == "fused" else (head,)
        if set(row.modalities) != set(wanted) or row.frozen or row.blend or row.target != variant.target:
            raise ConfigError(
                f"params.yaml: {where}.blend.{head}: {other} is no network of {' and '.join(wanted)} alone that learns"
                f" {variant.target} with neither frozen branches nor a blend"
            )


def _check_table(params: "Params", name: str) -> None:
    table = params.tables[name]
    if name in RESERVED or table.confusion in RESERVED:
        raise ConfigError(
            f"params.yaml: tables.{name}: {name if name in RESERVED else table.confusion} is another table or figure"
        )
    _known_corpus(params, f"tables.{name}.corpus", table.corpus)
    _enough_folds(params, f"tables.{name}.folds", table.corpus, table.folds)
    for variant in (*table.rows, *table.single):
        _learns(params, f"tables.{name}", variant, "label")
    for what, pairs in table.pairs.items():
        for row in (*pairs, *pairs.values()):
            if row not in table.rows:
                raise ConfigError(
                    f"params.yaml: tables.{name}.pairs.{what}: {row!r} is no row of the table; {hint(row, table.rows)}"
                )


def _check_studies(params: "Params") -> None:
    """Refuse studies of rows that there are not, or that are of another kind."""
    for corpus, n_folds in params.overview.folds.items():
        _known_corpus(params, f"overview.folds.{corpus}", corpus)
        _enough_folds(params, f"overview.folds.{corpus}", corpus, n_folds)
    for name, row in params.overview.rows.items():
        _learns(params, "overview.rows", name, "label")
        if row.against and row.against not in params.overview.rows:
            near = hint(row.against, params.overview.rows)
            raise ConfigError(f"params.yaml: overview.rows.{name}.against: no row {row.against!r}; {near}")
    _known_corpus(params, "intensity.corpus", params.intensity.corpus)
    _enough_folds(params, "intensity.folds", params.intensity.corpus, params.intensity.folds)
    for name in params.intensity.rows:
        _learns(params, "intensity.rows", name, "intensity")
    _known_corpus(params, "embeddings.corpus", params.embeddings.corpus)
    _enough_folds(params, "embeddings.folds", params.embeddings.corpus, max(params.embeddings.folds) + 1)
    for feature, name in params.embeddings.rows.items():
        _learns(params, f"embeddings.rows.{feature}", name, "label")
    for name in params.fuzziness.rows:
        _learns(params, "fuzziness.rows", name, "label")
        if "units" in params.variants[name].modalities:
            raise ConfigError(f"params.yaml: fuzziness.rows: {name} looks at action units; they are not fitted there")
        if missing := [part for part in parts_of(params, name) if part not in params.fuzziness.rows]:
            raise ConfigError(f"params.yaml: fuzziness.rows: {name} needs {missing[0]} beside it")
    trained = needed_folds(params)
    for corpus in params.trust.corpora:
        for name in params.trust.rows:
            _learns(params, "trust.rows", name, "label")
            if (corpus, name) not in trained:
                raise ConfigError(
                    f"params.yaml: trust: no table asks for {name} on {corpus}; add it to one, or take it out"
                )


def _check_streams(params: "Params") -> None:
    for modality in ("joint", "video", "audio"):
        _predicts(params, modality, getattr(params.predict, modality))
        _known_stream(params, modality, getattr(params.watch, modality))
    if twice := sorted(params.variants.keys() & params.streams.keys()):
        raise ConfigError(f"params.yaml: {twice[0]} is a row of variants and of streams; rename one")
    for name, stream in params.streams.items():
        for modality, init in stream.init.items():
            check_branch(params, f"streams.{name}.init.{modality}", init, modality)
        _unseen_people(params, f"streams.{name}", params.streaming.corpus, stream.init)
    _known_corpus(params, "streaming.corpus", params.streaming.corpus)


def _unseen_people(params: "Params", where: str, corpus: str, init: Mapping[str, str]) -> None:
    """Refuse branches that start from a network that was trained on the people of the corpus that is tested on."""
    for modality, start in init.items():
        while start in params.pretrain:
            row = params.pretrain[start]
            if row.corpus == corpus:
                raise ConfigError(
                    f"params.yaml: {where}.init.{modality} leads to pretrain.{start}, which was trained on"
                    f" {corpus}: it has seen the people that are tested on"
                )
            start = row.init


def _known_corpus(params: "Params", where: str, corpus: str) -> None:
    if corpus not in params.corpora:
        raise ConfigError(f"params.yaml: {where}: {corpus} is not under corpora")


def _enough_folds(params: "Params", where: str, corpus: str, n_folds: int) -> None:
    if n_folds > params.folds[corpus]:
        raise ConfigError(f"params.yaml: {where}: {n_folds} folds, and {corpus} has {params.folds[corpus]}")


def _learns(params: "Params", where: str, variant: str, target: str) -> None:
    _known_variant(params, where, variant)
    if (learnt := params.variants[variant].target) != target:
        raise ConfigError(f"params.yaml: {where}: {variant} learns {learnt}, not {target}")


def _known_variant(params: "Params", where: str, variant: str) -> None:
    if variant not in params.variants:
        raise ConfigError(f"params.yaml: {where}: there is no variant {variant!r}; {hint(variant, params.variants)}")


def _predicts(params: "Params", modality: str, variant: str) -> None:
    where, corpus = f"predict.{modality}", params.predict.corpus
    _learns(params, where, variant, "label")
    wanted = {"joint": {"video", "audio"}}.get(modality, {modality})
    if set(params.variants[variant].modalities) != wanted:
        raise ConfigError(
            f"params.yaml: {where}: {variant} uses {params.variants[variant].modalities}, not {sorted(wanted)}"
        )
    if (corpus, variant) not in needed_folds(params):
        raise ConfigError(f"params.yaml: {where}: no table asks for {variant} on {corpus}; add it to one")


def _known_stream(params: "Params", modality: str, stream: str) -> None:
    where = f"params.yaml: watch.{modality}"
    if stream not in params.streams:
        raise ConfigError(f"{where}: there is no row {stream!r} of streams; {hint(stream, params.streams)}")
    wanted = {"joint": {"video", "audio"}}.get(modality, {modality})
    if set(params.streams[stream].modalities) != wanted:
        raise ConfigError(f"{where}: {stream} uses {params.streams[stream].modalities}, not {sorted(wanted)}")


KINDS = ("missing", "blended")
FUZZY_MODALITIES = ("video", "audio")


@dataclass(frozen=True)
class Condition:
    """What is wrong with which modality of what share of the clips; kind and modality are empty where nothing is."""

    kind: str = ""
    modality: str = ""
    share: float = 0.0

    @property
    def version(self) -> str:
        """Return the version of the corpus from which the share is taken."""
        return f"{self.kind}_{self.modality}" if self.kind else CLEAR

    @property
    def name(self) -> str:
        """Return a name for files."""
        return f"{self.version}-{self.share:g}"


CLEAR = "clear"
NOTHING = Condition()
VERSIONS = (CLEAR, *(Condition(kind, modality).version for kind in KINDS for modality in FUZZY_MODALITIES))


def conditions(shares: Iterable[float]) -> list[Condition]:
    """Return all conditions: the clear one first, then every kind, modality and share above zero."""
    above = [share for share in shares if share > 0]
    return [
        NOTHING,
        *(Condition(kind, modality, share) for kind in KINDS for modality in FUZZY_MODALITIES for share in above),
    ]


def made_as(version: str) -> dict[str, float]:
    """Return the shares of the section ``synthetic`` that a version is made with."""
    shares = {Condition(kind, modality).version: 0.0 for kind in KINDS for modality in FUZZY_MODALITIES}
    return shares | ({} if version == CLEAR else {version: 1.0})
