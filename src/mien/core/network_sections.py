"""The sections of params.yaml about networks: which there are, how they are trained, what looks at your clips."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mien.core.names import CORPORA, MODALITIES, require


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
