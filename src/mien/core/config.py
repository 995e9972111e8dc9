"""params.yaml: read, resolve the scale, check every key and type, give out sections.

A command receives the sections it uses as one JSON text (from Snakemake) or as the path of params.yaml (by hand);
both come out of `load` as the same nested dictionary, and `section` turns a part of it into a frozen dataclass.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from mien.core.errors import ConfigError
from mien.core.typed import build, hint

SCALES = ("mini", "thesis")
CORPORA = ("ravdess", "cremad", "fer2013", "ckplus", "rafd", "mug", "jaffe", "voxceleb")
FACED = ("ckplus", "rafd", "mug", "jaffe")  # people with a neutral face each
CLASSICAL = ("ssvm", "svm_poly", "eigenfaces", "fisherfaces")  # classifiers without epochs
NETWORKS = ("dnn_au", "dnn_fp", "cnn1", "cnn2", "cnn3")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """One row of ``corpora``."""

    source: str  # synthetic, download, or a folder or archive
    actors: int  # people in the synthetic corpus

    def __post_init__(self) -> None:
        _require(self.actors >= 2 and self.source != "", "corpora", "actors >= 2 and a source", self)


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
        _require(ok, "synthetic", "shares in 0..1 that add up to <= 1, size_px >= 128, takes 1 or 2", self)


@dataclass(frozen=True, kw_only=True)
class FacesConfig:
    """Section ``faces``: from frames to square regions and landmarks."""

    rate_fps: int  # of the stored frames
    size_px: int  # side of the stored region
    detect_px: int  # height of the picture in which faces are searched first
    detect_every: int  # frames between two detections
    margin: float  # region relative to the detector's box

    def __post_init__(self) -> None:
        ok = min(self.rate_fps, self.size_px, self.detect_every) >= 1 and self.detect_px >= 80 and self.margin > 0
        _require(ok, "faces", "rate_fps, size_px, detect_every >= 1, detect_px >= 80, margin > 0", self)


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
        _require(ok, "sound", "0 < hop <= window <= rate_hz, segment >= pool >= 1, silence_dbfs < 0", self)


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
        _require(ok, "augment", "probabilities in 0..1, ranges in order, 0 < slice <= 1", self)


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
        _require(ok, "train", "positive sizes, batch >= 2, learning_rate > 0, 0 <= dropout < 1", self)


@dataclass(frozen=True, kw_only=True)
class VariantConfig:
    """One row of ``variants``: a network that can be trained."""

    modalities: tuple[Literal["video", "audio"], ...]
    fusion: Literal["single", "n0", "n1", "mrpn"]
    aggregator: Literal["lstm"]
    augmentation: Literal["NT", "VA+WO", "VA+AO"]
    side_head: Literal["dense", "scoring"]
    init: dict[str, str]  # modality -> safetensors file with the trunk; random where absent
    frozen: dict[str, str]  # modality -> variant whose trained branch stays as it is

    def __post_init__(self) -> None:
        ok = len(self.modalities) == len(set(self.modalities)) >= 1
        ok &= (self.fusion == "single") == (len(self.modalities) == 1)
        ok &= set(self.init) <= set(self.modalities) and set(self.frozen) <= set(self.modalities)
        _require(ok, "variants", "distinct modalities, single = one modality, init and frozen of its modalities", self)


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
        _require(ok, "candide", "ridge >= 0, evaluations >= 1, 0 < tolerance < 1", self)


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
        _require(ok, "cross", "train without test, angles, splits >= 1, 0 < validation <= 0.5", self)

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
        _require(ok and self.learning_rate > 0, "classify", "positive numbers, batches of 2 or more", self)


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
        _require(ok, "classifiers", need, self)


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """One row of ``tables``."""

    corpus: Literal[CORPORA]
    rows: dict[str, str]  # variant -> table/row of the thesis, or empty
    single: tuple[str, ...]  # the rows of one modality
    confusion: str  # number of the figure of confusion matrices


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Section ``evaluate``."""

    confidence: float
    resamples: int

    def __post_init__(self) -> None:
        _require(
            0 < self.confidence < 1 and self.resamples >= 100, "evaluate", "0 < confidence < 1, resamples >= 100", self
        )


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
        _require(0 < self.hop_s <= self.window_s, "predict", "0 < hop_s <= window_s", self)


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
    train: TrainConfig
    variants: dict[str, VariantConfig]
    tables: dict[str, TableConfig]
    evaluate: EvaluateConfig
    predict: PredictConfig

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"params.yaml: seed should be in 0..2147483647, got {self.seed}")
        if self.repeats < 1:
            raise ConfigError(f"params.yaml: repeats should be at least 1, got {self.repeats}")
        for corpus in self.corpora:
            if self.folds.get(corpus, 0) < 1:
                raise ConfigError(f"params.yaml: folds.{corpus} should be at least 1, got {self.folds.get(corpus)}")
        for part in ("variants", "classifiers"):
            for key in getattr(self, part):
                if not key.isidentifier():
                    raise ConfigError(f"params.yaml: {part}.{key!r} names folders: use letters, digits and _")
        if missing := [corpus for corpus in (*self.cross.train, self.cross.test) if corpus not in self.corpora]:
            raise ConfigError(f"params.yaml: cross: {missing[0]} is not under corpora")
        if self.classify.seeds > self.cross.splits:
            raise ConfigError(f"params.yaml: classify.seeds should be at most cross.splits ({self.cross.splits})")
        for name, variant in self.variants.items():
            for modality, other in variant.frozen.items():
                self._known_variant(f"variants.{name}.frozen.{modality}", other)
                if self.variants[other].modalities != (modality,) or self.variants[other].frozen:
                    raise ConfigError(
                        f"params.yaml: variants.{name}.frozen.{modality}: {other} is not a {modality} network"
                    )
        for name, table in self.tables.items():
            for variant in (*table.rows, *table.single):
                self._known_variant(f"tables.{name}", variant)
            if table.corpus not in self.corpora:
                raise ConfigError(f"params.yaml: tables.{name}.corpus: {table.corpus} is not under corpora")
        for modality in ("joint", "video", "audio"):
            self._known_variant(f"predict.{modality}", getattr(self.predict, modality))

    def _known_variant(self, where: str, variant: str) -> None:
        if variant not in self.variants:
            raise ConfigError(f"params.yaml: {where}: there is no variant {variant!r}; {hint(variant, self.variants)}")


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


def _require(ok: bool, where: str, need: str, got: object) -> None:
    if not ok:
        raise ConfigError(f"params.yaml: {where}: need {need}; got {got}")
