"""The sections of params.yaml: what each key means, and which values it takes."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mien.core.errors import ConfigError

CORPORA = ("ravdess", "cremad", "fer2013", "ckplus", "rafd", "mug", "jaffe", "voxceleb")
FACED = ("ckplus", "rafd", "mug", "jaffe")  # people with a neutral face each
CLASSICAL = ("ssvm", "svm_poly", "eigenfaces", "fisherfaces")  # classifiers without epochs
NETWORKS = ("dnn_au", "dnn_fp", "cnn1", "cnn2", "cnn3")


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
    init: dict[str, str]  # modality -> row of pretrain or safetensors file with the trunk; random where absent
    frozen: dict[str, str]  # modality -> variant whose trained branch stays as it is
    trunk: dict[Literal["video"], Literal["resnet18", "resnet3d18"]] = field(default_factory=dict)  # resnet18 if absent

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
        _require(ok, "extractor", need, self)


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
        _require(ok, "pretrain", need, self)

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
        _require(ok, "streaming", "rate_fps, epochs >= 1, batch >= 2, learning_rate > 0, 0 < hop_s <= window_s", self)


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
        _require(ok, "streams", "distinct modalities, dense or single = one modality, init of its modalities", self)


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """Section ``watch``: what `mien watch`, `mien serve` and `mien predict --video` look with (corpus: streaming's)."""

    joint: str  # rows of streams
    video: str
    audio: str
    region_s: float  # the region is around the median of a face's boxes of so many seconds
    forget_s: float  # a face that was lost for so long is somebody new
    timeline_s: float  # that the rolling timeline shows

    def __post_init__(self) -> None:
        ok = min(self.region_s, self.forget_s, self.timeline_s) > 0
        _require(ok, "watch", "region_s, forget_s, timeline_s > 0", self)


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Section ``serve``: limits of the local page."""

    port: int
    upload_mib: int  # largest file
    upload_s: float  # longest recording
    waiting: int  # uploads that may wait while one is judged; more are refused

    def __post_init__(self) -> None:
        ok = 0 <= self.port < 2**16 and min(self.upload_mib, self.upload_s, self.waiting) > 0
        _require(ok, "serve", "a port, upload_mib, upload_s, waiting > 0", self)


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """One row of ``tables``."""

    corpus: Literal[CORPORA]
    rows: dict[str, str]  # variant -> table/row of the thesis, or empty
    single: tuple[str, ...]  # the rows of one modality
    pairs: dict[str, dict[str, str]]  # what differs -> {row: the row that it is held against}
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


def _require(ok: bool, where: str, need: str, got: object) -> None:
    if not ok:
        raise ConfigError(f"params.yaml: {where}: need {need}; got {got}")
