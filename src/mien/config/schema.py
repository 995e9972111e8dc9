"""The sections of params.yaml: their keys, kinds and ranges, and how commands and rules read them.

A command receives the sections it uses as one JSON text (from Snakemake) or as the path of params.yaml (by hand); both
come out of `load` as the same nested dictionary, and `section` turns a part of it into a frozen dataclass.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.config.checks import check, check_files
from mien.config.labels import (
    ACTED,
    AS_VECTORS,
    CLASSICAL,
    CORPORA,
    DIVIDED,
    FACED,
    MODALITIES,
    NETWORKS,
    SPEECH,
    VECTORS,
    VISION,
)
from mien.config.rows import expand, merge, read_yaml
from mien.config.values import (
    SECTION,
    Batch,
    Bool,
    Count,
    Dropout,
    FileName,
    FileNameOrNone,
    Float,
    Identifier,
    Int,
    NonNegative,
    Positive,
    Rate,
    Share,
    Size,
    Some,
    Text,
    adapter,
    build,
    hint,
    kind_at,
    later,
    number,
    whole,
)
from mien.errors import ConfigError

__all__ = ["check_files", "hint", "merge", "read_yaml"]  # for others, who need not know where they stand


Repeats = whole(ge=0, le=1000)  # trainings of every row and fold; 0: as many as the key ``repeats`` of all says


def _refuse_unless(ok: bool, needed: str) -> None:
    if not ok:
        raise ValueError(needed)


@dataclass(**SECTION)
class CorpusConfig:
    """One row of ``corpora``."""

    source: Text  # synthetic, download, or a folder or archive
    actors: whole(ge=2, le=10_000)  # people in the synthetic corpus
    # of corpora that come as numbers: modality -> first and last column of its vector, the last one not included
    columns: dict[Literal["face_features", "voice_features"], tuple[whole(ge=0), whole(ge=1)]] = field(
        default_factory=dict
    )


@dataclass(**SECTION)
class SyntheticConfig:
    """Section ``synthetic``: what the embedded corpora show."""

    size_px: whole(ge=128, le=4096)  # height of a video frame
    rate_fps: whole(ge=1, le=240)
    takes: Literal[1, 2]  # repetitions of every (emotion, intensity, statement)
    missing_video: Share  # of clips with a neutral face
    blended_video: Share  # of clips with a mixed face
    missing_audio: Share
    blended_audio: Share
    statements: Literal[1, 2] = 2  # that an actor of RAVDESS says; one more in CREMA-D, with one take

    def __post_init__(self) -> None:
        for missing, blended in ("missing_video", "blended_video"), ("missing_audio", "blended_audio"):
            total = getattr(self, missing) + getattr(self, blended)
            _refuse_unless(total <= 1, f"{missing} and {blended} should add up to at most 1")


@dataclass(**SECTION)
class FacesConfig:
    """Section ``faces``: from frames to square regions and landmarks."""

    rate_fps: whole(ge=1, le=240)  # of the stored frames
    size_px: Size  # side of the stored region
    detect_px: whole(ge=80, le=4096)  # height of the picture in which faces are searched first
    detect_every: Count  # frames between two detections
    margin: Positive  # region relative to the detector's box
    region_s: Positive  # networks that run along see the region around the median of the boxes of so many seconds
    detector: Literal["hog", "cnn"] = "hog"  # cnn: profile views too, at many times the cost


@dataclass(**SECTION)
class MelConfig:
    """Keys ``sound.mel``: the mel spectrogram that the front end logmel of a row gives a network of whole voices."""

    bands: whole(ge=16, le=256) = 64
    window: Count = 512  # samples, of the transform
    hop: Count = 320  # samples
    columns: whole(ge=16, le=10_000) = 150  # of a voice; a shorter one is repeated
    trim_db: Positive = 35.0  # below the loudest stretch: silence at the ends, which is cut away

    def __post_init__(self) -> None:
        _refuse_unless(self.hop <= self.window, "hop should be at most window")


@dataclass(**SECTION)
class SoundConfig:
    """Section ``sound``: from any sound to segments of a spectrogram (thesis 4.5)."""

    rate_hz: Count
    silence_dbfs: number(ge=-200, lt=0)  # peak level below which a clip has no voice
    window: Count  # samples
    hop: Count  # samples
    segment: Size  # columns of a segment
    log: Bool  # log magnitude
    pool: Size  # side of the averaged squares
    mel: MelConfig = later(MelConfig())
    front_end: Literal["stft", "logmel"] = later("stft")  # of rows of variants, which set it

    def __post_init__(self) -> None:
        _refuse_unless(self.window <= self.rate_hz, "window should be at most rate_hz")
        _refuse_unless(self.hop <= self.window, "hop should be at most window")
        _refuse_unless(self.pool <= self.segment, "pool should be at most segment")


@dataclass(**SECTION)
class FrozenEncoderConfig:
    """One row of ``vision``: a network that stays as it is."""

    weights: Text  # file of its weights

    @property
    def file(self) -> Path:
        """Return the file of its weights."""
        return Path(self.weights).expanduser()


@dataclass(**SECTION)
class SpeechConfig(FrozenEncoderConfig):
    """One row of ``speech``: a self-supervised network of speech that stays as it is."""

    bundle: Text  # its name in torchaudio.pipelines, such as WAVLM_BASE_PLUS
    layer: whole(ge=0, le=1000) = 0  # of the transformer, from 1 on, whose states are taken; 0: the last


@dataclass(**SECTION)
class AugmentConfig:
    """Section ``augment``: AUG-A (thesis 4.2) and random slicing (thesis 5.3.3)."""

    mirror: Share  # probability
    crop: number(ge=0, lt=1)  # largest share cut away
    blur: Share  # probability
    blur_sigma: NonNegative  # largest, px
    contrast: tuple[Positive, Positive]  # factor about mid-grey
    noise: NonNegative  # standard deviation, grey levels
    scale: tuple[Positive, Positive]
    translate: NonNegative  # share of the side
    rotate: NonNegative  # degrees
    shear: NonNegative  # degrees
    slice: number(gt=0, le=1)  # share of the clip kept by random slicing
    erase: number(ge=0, lt=1) = later(0.0)  # largest share of the side that a square has which is covered, last of all

    def __post_init__(self) -> None:
        _refuse_unless(self.contrast[0] <= self.contrast[1], "contrast should be in ascending order")
        _refuse_unless(self.scale[0] <= self.scale[1], "scale should be in ascending order")


@dataclass(**SECTION)
class CandideConfig:
    """Section ``candide``: the fit of the Candide-3 mesh (thesis 4.1)."""

    landmarks: Literal["printed", "inner"]  # which vertices the points of the lids stand for
    ridge: NonNegative  # weight of the squared coefficients beside the squared residuals
    warm_start: Bool  # a frame starts from the one before it
    evaluations: Count  # steps of Levenberg-Marquardt after which a frame counts as not converged
    tolerance: number(gt=0, lt=1)  # relative decrease of the cost at which a fit has converged


@dataclass(**SECTION)
class CrossConfig:
    """Section ``cross``: four emotions, learnt on some corpora of faces and tested on another (thesis 4.2)."""

    train: Some[tuple[Literal[FACED + DIVIDED], ...]]
    test: Literal[FACED + DIVIDED]
    angles: Some[tuple[Int, ...]]  # cameras that the headline counts, degrees
    splits: Count  # random divisions of the training people
    validation: number(gt=0, le=0.5)  # share of them that validates
    most: whole(ge=0) = later(0)  # training pictures, drawn among all of them; 0: all

    def __post_init__(self) -> None:
        _refuse_unless(len(self.train) == len(set(self.train)), "train should name every corpus once")
        apart = self.test not in self.train or self.test in DIVIDED
        _refuse_unless(apart, f"test should not be in train, unless its publisher divides it: {', '.join(DIVIDED)}")

    @property
    def name(self) -> str:
        """Return the name under which its results are kept, such as ckplus_rafd."""
        return "_".join([*self.train, self.test])


@dataclass(**SECTION)
class ClassifyConfig:
    """Section ``classify``: how the networks among the classifiers are trained."""

    seeds: Count  # trainings of every network, on the first splits
    learning_rate: Rate
    epochs_vector: Count
    epochs_image: Count
    batch_vector: Batch
    batch_image: Batch


@dataclass(**SECTION)
class ClassifierConfig:
    """One row of ``classifiers``."""

    features: Literal["AU8", "FP68", "image"]
    model: Literal[CLASSICAL + NETWORKS]
    size_px: whole(ge=0, le=4096) = 0  # side of the picture; 0 for vectors
    standardise: Bool = False  # vectors to zero mean and unit variance over the training samples

    def __post_init__(self) -> None:
        takes = {"dnn_au": ("AU8",), "dnn_fp": ("FP68",), "ssvm": ("AU8", "FP68"), "svm_poly": ("AU8", "FP68")}
        wanted = takes.get(self.model, ("image",))
        _refuse_unless(self.features in wanted, f"features should be {' or '.join(wanted)} for the model {self.model}")
        fits = self.size_px >= 16 if self.features == "image" else self.size_px == 0
        _refuse_unless(fits, "size_px should be 0 for vectors, 16 or more for the features image")


@dataclass(**SECTION)
class TableConfig:
    """One row of ``tables``."""

    corpus: Literal[CORPORA]
    rows: Some[tuple[str, ...]]  # variants
    single: tuple[str, ...] = ()  # the rows of one modality
    controls: dict[str, dict[str, str]] = field(default_factory=dict)  # what differs -> {row: its baseline}
    confusion: FileNameOrNone = ""  # number of the figure of confusion matrices; empty: none
    folds: whole(ge=0) = 0  # the first so many of the corpus's folds; 0: all
    baselines: tuple[str, ...] = ()  # rows of ``baselines`` beside them
    repeats: Repeats = 0
    thesis: dict[str, str] = field(default_factory=dict)  # row -> the row whose numbers of the thesis stand beside it


@dataclass(**SECTION)
class EvaluateConfig:
    """Section ``evaluate``."""

    confidence: number(gt=0, lt=1)
    resamples: whole(ge=100, le=1_000_000)


@dataclass(**SECTION)
class TrainConfig:
    """Section ``train``: the loop (thesis 5.3)."""

    protocol: Literal["honest", "thesis"]
    width: Size  # channels of the first ResNet stage
    frames: Size  # of a clip
    batch: Batch  # clips
    learning_rate: Rate
    weight_decay: NonNegative
    dropout: Dropout
    epochs: Count
    patience: Count  # epochs until the rate is halved
    stop: Count  # epochs until the end
    precision: Literal["float32", "bfloat16"]


@dataclass(**SECTION)
class RecipeConfig:
    """How the weights of a row of ``pretrain`` or ``variants`` are optimised; every key may be left out."""

    optimizer: Literal["adam", "sgd"] = later("adam")  # sgd: with Nesterov momentum
    # one_cycle: `learning_rate` is reached in the first steps, and falls along a cosine. Empty: constant in pretrain,
    # plateau in variants
    schedule: Literal["", "constant", "plateau", "cosine", "one_cycle"] = later("")
    weight_decay: NonNegative | None = later(None)  # null: none in pretrain, train.weight_decay in variants
    label_smoothing: number(ge=0, lt=1) = later(0.0)  # share of the target that all classes divide
    # decay of a moving average of the weights, which is evaluated and kept; 0: none
    average: number(ge=0, lt=1) = later(0.0)
    # of the loss of a class: inverse to its number of training samples, or to the root of it
    class_weights: Literal["none", "sqrt", "inverse"] = later("none")
    evaluate_every: Count = later(1)  # epochs; the last one is always evaluated


@dataclass(**SECTION)
class MasksConfig:
    """Key ``masks`` of a row of ``variants``: how a training voice is changed, and what SpecAugment hides of it."""

    warp: Share = 0.0  # its bands lie higher or lower by a factor of up to 1 + this
    stretch: Share = 0.0  # it is slower or quicker by a factor of up to 1 + this
    colour: number(ge=0, le=10) = 0.0  # deviation of a random line over the bands that is added; a voice has 1
    bands: whole(ge=0, le=256) = 0  # masked at most, one run of them
    columns: whole(ge=0, le=10_000) = 0  # masked at most, one run of them


@dataclass(**SECTION)
class ModulationConfig:
    """Key ``modulation`` of a row of ``variants``: OGM-GE, how the gradients of two branches are balanced."""

    alpha: NonNegative = 0.0  # how much the branch that is ahead is slowed down
    noise: Bool = False  # GE


@dataclass(**SECTION)
class TrainChanges:
    """Key ``train`` of a row of ``variants``: what takes the place of values of section ``train``."""

    width: Size | None = None
    batch: Batch | None = None
    learning_rate: Rate | None = None
    dropout: Dropout | None = None
    epochs: Count | None = None
    patience: Count | None = None
    stop: Count | None = None


@dataclass(**SECTION)
class VariantConfig(RecipeConfig):
    """One row of ``variants``: a network that can be trained."""

    modalities: Some[tuple[Literal[MODALITIES], ...]]
    fusion: Literal["single", "n0", "n1", "mrpn", "gated", "attention"]
    aggregator: Literal["lstm", "bilstm", "transformer"] = "lstm"
    augmentation: Literal["NT", "VA+WO", "VA+AO"] = "VA+AO"
    side_head: Literal["dense", "scoring"] = "dense"
    head: Literal["scoring", "dense"] = later("scoring")  # of the fused feature; dense: dropout and one layer
    members: whole(ge=1, le=100) = later(1)  # networks that are trained side by side and answer together; of single
    # modality -> row of pretrain or safetensors file with the trunk; random where absent
    init: dict[Literal[MODALITIES], str] = field(default_factory=dict)
    # modality -> variant whose trained branch stays as it is
    frozen: dict[Literal[MODALITIES], str] = field(default_factory=dict)
    # resnet18 if absent; resnet3d18, of pictures, and cnn, of the front end logmel, look at whole clips
    trunk: dict[Literal["video", "audio"], Literal["resnet18", "resnet3d18", "cnn"]] = field(default_factory=dict)
    residual: Literal["sigmoid", "relu"] = "sigmoid"  # in the residual perceptron of mrpn (eq. 29)
    extractors: Literal["tuned", "frozen"] = "tuned"  # frozen: trunks stay as `init` gave them, statistics too
    # 0: branches look at training clips in every epoch; else so many times before it, and what they say is stored
    looks: whole(ge=0, le=1000) = 0
    modality_dropout: Dropout = 0.0  # probability that a training clip loses one of its modalities
    blend: dict[str, str] = field(default_factory=dict)  # head -> variant whose history weighs its loss (G-Blend)
    modulation: ModulationConfig = later(ModulationConfig())  # of n0 with two modalities that learn classes
    target: Literal["label", "intensity"] = "label"  # emotions, or how strongly they are acted (regression)
    also: tuple[Literal["intensity"], ...] = ()  # further targets, with a head and a loss of their own
    # subject: what is no picture is standardised by the person's own recordings, without labels
    normalise: Literal["corpus", "subject"] = later("corpus")
    # stft: segments of the spectrogram of section `sound`.  logmel: the whole voice in mel bands, see `sound.mel`
    front_end: Literal["stft", "logmel"] = later("stft")
    masks: MasksConfig = later(MasksConfig())  # of the front end logmel
    train: TrainChanges = later(TrainChanges())  # values in the place of those of section `train`
    # the row that differs by `normalise` alone and whose network this one is: nothing is trained. Empty: it is trained
    weights: str = later("")

    def __post_init__(self) -> None:
        _check_modalities(self, ("single",))
        classes = self.target == "label"
        _refuse_unless(classes or self.class_weights == "none", "class_weights should be none but for the target label")
        _refuse_unless(classes or self.label_smoothing == 0, "label_smoothing should be 0 but for the target label")
        _refuse_unless(self.target not in self.also, "also should hold other targets than target")
        _refuse_unless(len(self.also) == len(set(self.also)), "also should name a target once")
        trunks = set(self.modalities) - {"units", *VECTORS}
        _refuse_unless(set(self.init) <= trunks, "init should be of its modalities, units and vectors aside")
        vectors = set(self.modalities) & set(VECTORS)
        _refuse_unless(not vectors or not trunks, "modalities should be all vectors of a clip, or none")
        _refuse_unless(not vectors or self.fusion != "attention", "fusion attention needs steps, which vectors lack")
        _refuse_unless(not vectors or not self.also, "also should be empty for vectors")
        _refuse_unless(set(self.frozen) <= set(self.modalities), "frozen should be of its modalities")
        kept = set(self.frozen) == set(self.modalities)
        _refuse_unless(self.looks == 0 or kept, "looks should be 0 but for rows with all modalities frozen")
        _refuse_unless(self.residual == "sigmoid" or self.fusion == "mrpn", "residual should be sigmoid but for mrpn")
        joint = self.fusion != "single"
        alone = not (joint or self.init or self.frozen or self.also) and set(self.modalities) <= set(self.trunk)
        _refuse_unless(self.members == 1 or alone, "members should be 1 but for single, of a trunk with random weights")
        _refuse_unless(self.modality_dropout == 0 or joint, "modality_dropout should be 0 but for joint networks")
        balanced = self.fusion == "n0" and len(self.modalities) == 2 and self.target == "label"
        balanced = balanced and not self.frozen and self.modality_dropout == 0
        _refuse_unless(
            balanced or self.modulation == ModulationConfig(),
            "modulation should be of fusion n0, two modalities and target label, without frozen and modality_dropout",
        )
        whole = self.fusion in ("n1", "mrpn") and set(self.blend) == {"fused", *self.modalities}
        _refuse_unless(not self.blend or whole, "blend should name all heads, fused and its modalities, of n1 or mrpn")
        started = set(self.init) == trunks
        _refuse_unless(self.extractors == "tuned" or started, "extractors should be frozen with an init each only")
        plain = self.aggregator == "lstm" and not {"resnet3d18", "cnn"} & set(self.trunk.values())
        _refuse_unless(self.fusion != "attention" or plain, "fusion attention needs aggregator lstm, no trunk of clips")
        _refuse_unless(self.trunk.get("video") != "cnn", "trunk should be resnet18 or resnet3d18 for video")
        _refuse_unless(self.trunk.get("audio") != "resnet3d18", "trunk should be resnet18 or cnn for audio")
        mel = self.front_end == "logmel"
        whole_voice = "audio" in self.modalities and self.trunk.get("audio") == "cnn"
        _refuse_unless(mel == whole_voice, "front_end should be logmel with the trunk cnn of audio, and only with it")
        _refuse_unless(mel or self.masks == MasksConfig(), "masks should be of the front end logmel")
        heard = set(self.modalities) != {"video"}
        _refuse_unless(self.normalise == "corpus" or heard, "normalise should be corpus for pictures alone")
        referred = self.normalise == "subject" and set(self.modalities) <= {"audio", "video"}
        _refuse_unless(not self.weights or referred, "weights should be of rows with a voice and normalise: subject")

    def resolve_sound(self, sound: SoundConfig) -> SoundConfig:
        """Return section ``sound`` with what the row sets of it."""
        return dataclasses.replace(sound, front_end=self.front_end)

    def resolve_train(self, train: TrainConfig) -> TrainConfig:
        """Return section ``train`` with the values of the row."""
        own = {key: value for key, value in vars(self.train).items() if value is not None}
        return dataclasses.replace(train, **own)


@dataclass(**SECTION)
class BaselineConfig:
    """One row of ``baselines``: a classical method on statistics of a clip; no part of it is drawn."""

    model: Literal["svm", "logistic", "late"]
    modality: Literal["", "audio", "units", *VECTORS] = ""  # of svm and logistic
    parts: tuple[str, ...] = ()  # of late: the rows whose log probabilities are added
    normalise: Literal["corpus", "subject"] = later("corpus")  # subject: by the person's own clips; of svm and logistic
    trimmed: Bool = later(False)  # of audio: without the silence before and after the voice, see `sound.mel.trim_db`
    descriptors: Literal["mfcc", "egemaps"] = later("mfcc")  # of audio

    def __post_init__(self) -> None:
        late = self.model == "late"
        _refuse_unless(late == (not self.modality), "modality should be of svm and logistic only")
        distinct = len(set(self.parts)) == len(self.parts)
        fits = distinct and (len(self.parts) >= 2 if late else not self.parts)
        _refuse_unless(fits, "parts should be two other rows or more, of late only")
        own = self.normalise == "corpus" or not late
        _refuse_unless(own, "normalise should be corpus for late: its parts have their own")
        _refuse_unless(not self.trimmed or self.modality == "audio", "trimmed should be false but for audio")
        voiced = self.descriptors == "mfcc" or self.modality == "audio"
        _refuse_unless(voiced, "descriptors should be mfcc but for audio")


@dataclass(**SECTION)
class ExtractorConfig:
    """Section ``extractor``: sizes of the networks that are trained ahead (thesis 4.3, 5.3.2)."""

    vgg_width: Size  # channels of the first VGG-16 stage; 64 in the thesis
    vgg_size_px: whole(ge=32, le=4096, multiple_of=32)  # side of its picture
    vgg_dropout: Dropout  # probability, after both of its hidden dense layers
    crops: Count  # random 1 s crops of an utterance per epoch
    precision: Literal["float32", "bfloat16"]


@dataclass(**SECTION)
class PretrainConfig(RecipeConfig):
    """One row of ``pretrain``: a network of one modality that is trained ahead, or fine-tuned from such a one."""

    corpus: Literal[CORPORA]
    modality: Literal["video", "audio"]
    target: Literal["label", "actor"]  # emotions, or who it is
    network: Literal["resnet18", "resnet12", "vgg16"]
    init: Text = "random"  # random, a row of pretrain, a file of weights, or none: a file that you have to name
    trained: Literal["all", "dense"] = "all"  # dense: convolutions stay as they are
    balance: Bool = False  # AUG-B: classes filled up to within 5 %
    learning_rate: Rate
    epochs: Count
    batch: Batch
    # of resnet12
    width: whole(ge=0, le=4096) = later(0)  # channels of the first stage; 0: train.width
    size_px: whole(ge=0, le=4096) = later(0)  # side of the picture; 0: faces.size_px
    sides: tuple[whole(ge=16, le=4096), ...] = later(())  # in training, for equal parts of the epochs; empty: size_px
    dropout: Dropout = later(0.0)  # probability, of the features

    def __post_init__(self) -> None:
        _refuse_unless(self.schedule != "plateau", "schedule should be constant, cosine or one_cycle")
        pictures = self.modality == "video"
        _refuse_unless(pictures or self.network == "resnet18", "network should be resnet18 for the modality audio")
        _refuse_unless(pictures or not self.balance, "balance should be false for the modality audio")
        small = (self.width, self.size_px, self.sides, self.dropout) == (0, 0, (), 0.0)
        _refuse_unless(
            small or self.network == "resnet12", "width, size_px, sides and dropout should be of the network resnet12"
        )
        starts = self.network == "vgg16" and self.init != "random"
        _refuse_unless(self.trained == "all" or starts, "trained should be dense for a network vgg16 with an init only")

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


@dataclass(**SECTION)
class TransferConfig:
    """Section ``transfer``: rows of ``pretrain`` in the studies of thesis 4.3 (figures 4.14, 4.15, table 4.3)."""

    corpus: ClassVar[str] = "fer2013"  # whose emotions all of them learn

    rates: tuple[str, ...]  # X12, the learning-rate study
    frozen: tuple[str, ...]  # X13, dense layers alone against the whole network
    table: tuple[str, ...]  # rows of table 4.3
    repeats: whole(ge=1, le=1000) = 1  # trainings of every row of the table and of what it starts from


@dataclass(**SECTION)
class StreamingConfig:
    """Section ``streaming``: how networks that run along with a recording are trained and judged (thesis 4.4, 4.5)."""

    corpus: Literal[ACTED]
    rate_fps: whole(ge=1, le=240)  # frames per second that a network looks at
    hop_s: Positive  # between the ends of two segments of the sound, and between two joint judgements
    window_s: Positive  # stretch of a clip in training
    loss: Literal["every", "last"]  # at every step of the stretch, or at its last one
    learning_rate: Rate
    epochs: Count
    batch: Batch  # stretches
    repeats: Repeats = 0

    def __post_init__(self) -> None:
        _refuse_unless(self.hop_s <= self.window_s, "hop_s should be at most window_s")


@dataclass(**SECTION)
class StreamConfig:
    """One row of ``streams``: a network that runs along with a recording."""

    modalities: Some[tuple[Literal["video", "audio"], ...]]
    fusion: Literal["dense", "single", "n0", "n1", "mrpn"]  # dense: one layer on the memory's output (thesis 4.4)
    aggregator: Literal["none", "lstm"]  # none: no memory, every frame on its own
    init: dict[Literal["video", "audio"], str] = field(default_factory=dict)  # as in variants

    def __post_init__(self) -> None:
        _check_modalities(self, ("dense", "single"))
        _refuse_unless(set(self.init) <= set(self.modalities), "init should be of its modalities")


def _check_modalities(row: VariantConfig | StreamConfig, single: tuple[str, ...]) -> None:
    _refuse_unless(len(row.modalities) == len(set(row.modalities)), "modalities should be distinct")
    alone = len(row.modalities) == 1
    needed = "should be one for the fusion" if row.fusion in single else "should be two or more for the fusion"
    _refuse_unless((row.fusion in single) == alone, f"modalities {needed} {row.fusion}")


@dataclass(**SECTION)
class WatchConfig:
    """Section ``watch``: how films are followed and shown, and which rows of streams are held against each other."""

    joint: str  # rows of streams
    video: str
    audio: str
    forget_s: Positive  # a face that was lost for so long is somebody new
    timeline_s: Positive  # that the rolling timeline shows


@dataclass(**SECTION)
class ServeConfig:
    """Section ``serve``: limits of the local page."""

    port: whole(ge=0, le=65535)
    upload_mib: Count  # largest file
    upload_s: Positive  # longest recording
    waiting: Count  # uploads that may wait while one is judged; more are refused


@dataclass(**SECTION)
class PredictConfig:
    """Section ``predict``: which models look at your clip."""

    corpus: Literal[CORPORA]
    joint: str
    video: str
    audio: str
    window_s: Positive
    hop_s: Positive

    def __post_init__(self) -> None:
        _refuse_unless(self.hop_s <= self.window_s, "hop_s should be at most window_s")


@dataclass(**SECTION)
class CheckConfig:
    """One row of ``checks``: recordings of known emotions on which `mien predict` is tried."""

    material: Text  # what they are, in words
    models: Some[tuple[Text, ...]]  # rows that judge together, as CORPUS/ROW, or files of `export_model`
    corpus: Literal[("", *CORPORA)] = ""  # whose recordings; or `folder`
    group: str = ""  # of the corpus, such as PrivateTest: no others
    folder: str = ""  # with recordings that all show the emotion `label`
    label: str = ""
    by_fold: Bool = False  # each by the network of the fold that tests its person; of one row
    reference: Bool = False  # beside what is usual for the person, from all recordings of the corpus
    most: whole(ge=0) = 0  # so many, drawn by their names; 0: all

    def __post_init__(self) -> None:
        _refuse_unless(bool(self.corpus) != bool(self.folder), "corpus or folder should be named, not both")
        _refuse_unless(bool(self.folder) == bool(self.label), "label should be named with a folder, and only with it")
        _refuse_unless(not self.by_fold or len(self.models) == 1, "models should be one row where by_fold is true")
        _refuse_unless(bool(self.corpus) or not self.reference, "reference should be false for a folder")


@dataclass(**SECTION)
class OverviewRow:
    """One row of table 5.4."""

    corpora: tuple[Literal[ACTED], ...]
    baseline: str = ""  # its baseline, the variant that it is `like`, or empty


@dataclass(**SECTION)
class OverviewConfig:
    """Section ``overview``: table 5.4, every option of the networks, a column per corpus."""

    folds: dict[Literal[ACTED], Count]  # the first so many of the corpus's folds
    rows: dict[str, OverviewRow]  # variant -> row
    repeats: Repeats = 0

    def __post_init__(self) -> None:
        named = {corpus for row in self.rows.values() for corpus in row.corpora}
        for corpus in [*self.folds, *sorted(named)]:
            _refuse_unless(corpus in named, f"rows should name some of {corpus}, which is under folds")
            _refuse_unless(corpus in self.folds, f"folds should have {corpus}, which has rows")


@dataclass(**SECTION)
class IntensityConfig:
    """Section ``intensity``: variants that say how strongly an emotion is acted."""

    corpus: Literal[ACTED]
    folds: Count  # the first so many of the corpus's folds
    rows: Some[tuple[str, ...]]  # variants with the target intensity
    repeats: Repeats = 0


@dataclass(**SECTION)
class EmbeddingsConfig:
    """Section ``embeddings``: figure 5.1, features of networks in two dimensions (t-SNE)."""

    corpus: Literal[ACTED]
    folds: Some[tuple[whole(ge=0), ...]]  # counted from 0; a row of the figure each
    rows: Some[dict[Literal["video", "audio", "joint"], str]]  # feature -> variant, a column each
    perplexity: number(gt=1, le=10_000)


@dataclass(**SECTION)
class FuzzinessConfig:
    """Section ``fuzziness``: networks for synthetic people whose faces or voices say less and less."""

    corpus: Literal[ACTED]  # whose twin it is
    actors: whole(ge=4, le=10_000)  # people, besides those of the corpus
    tested: Count  # of them are tested on, the others are trained on
    shares: Annotated[tuple[Share, ...], Field(min_length=2)]  # of clips whose modality is missing, or fuzzy
    seeds: Count  # trainings of every network
    epochs: Count  # all of them, without a choice
    size_px: Size  # height of a frame of their films
    rate_fps: whole(ge=1, le=240)  # of their films
    rows: Some[tuple[str, ...]]  # variants

    def __post_init__(self) -> None:
        _refuse_unless(self.actors - self.tested >= 2, "actors should be two more than tested at least")
        _refuse_unless(self.actors >= self.seeds * self.tested, "actors should be at least seeds * tested")
        _refuse_unless(list(self.shares) == sorted({*self.shares, 0.0}), "shares should be ascending, from 0.0 on")


@dataclass(**SECTION)
class TrustConfig:
    """Section ``trust``: how far trained networks can be trusted, and what disturbs them."""

    corpora: Some[tuple[Literal[ACTED], ...]]
    rows: Some[tuple[str, ...]]  # variants of the corpora's tables
    bins: whole(ge=2, le=1000)  # of the reliability diagram
    noise_db: tuple[Float, ...]  # signal-to-noise ratios of the voice
    picture_noise: tuple[Positive, ...]  # standard deviations, grey levels
    blur_px: tuple[Positive, ...]  # standard deviations of a Gaussian, at the size of the stored region
    light: tuple[number(gt=0, lt=1), ...]  # factors of the brightness
    options: dict[str, str] = field(default_factory=dict)  # variant, on its own folds -> its baseline, a row

    @property
    def asked(self) -> tuple[str, ...]:
        """Return all variants that are asked again."""
        return (*self.rows, *(name for name in self.options if name not in self.rows))


SCALES = ("mini", "study", "people", "thesis")
DEFAULTS = Path(__file__).resolve().parents[1] / "params.yaml"  # of the package: a link in the checkout, else a copy
T = TypeVar("T")


@dataclass(**SECTION)
class Params:
    """The whole of params.yaml, every row written out."""

    scale: Literal[SCALES]
    seed: whole(ge=0, lt=2**31)
    repeats: whole(ge=1, le=1000)  # trainings of every variant and fold
    corpora: dict[Literal[CORPORA], CorpusConfig]
    folds: dict[Literal[CORPORA], Count]
    splits: dict[Literal[ACTED], Text] = field(default_factory=dict)  # corpus -> file of a published division in folds
    validation: dict[Literal[*ACTED, *AS_VECTORS], Count] = field(default_factory=dict)  # people of a fold who validate
    synthetic: SyntheticConfig
    faces: FacesConfig
    sound: SoundConfig
    speech: dict[Literal[SPEECH], SpeechConfig] = field(default_factory=dict)
    vision: dict[Literal[VISION], FrozenEncoderConfig] = field(default_factory=dict)
    augment: AugmentConfig
    candide: CandideConfig
    cross: CrossConfig
    classify: ClassifyConfig
    classifiers: dict[Identifier, ClassifierConfig]
    extractor: ExtractorConfig
    pretrain: dict[Identifier, PretrainConfig]
    transfer: TransferConfig
    train: TrainConfig
    variants: dict[Identifier, VariantConfig]
    baselines: dict[Identifier, BaselineConfig] = field(default_factory=dict)
    streaming: StreamingConfig
    streams: dict[Identifier, StreamConfig]
    tables: dict[FileName, TableConfig]
    overview: OverviewConfig
    intensity: IntensityConfig
    embeddings: EmbeddingsConfig
    fuzziness: FuzzinessConfig
    trust: TrustConfig
    evaluate: EvaluateConfig
    predict: PredictConfig
    watch: WatchConfig
    serve: ServeConfig
    checks: dict[Identifier, CheckConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)


def load(source: str | Path, *changes: str | Path) -> dict[str, Any]:
    """Return the resolved parameters of a params.yaml, or of the JSON text that a rule passes on.

    Parameters
    ----------
    source : path of a params.yaml, or the text; empty: params.yaml here, or that of the package.
    *changes : files such as config/thesis.yaml with values that take the place of those of params.yaml.

    Raises
    ------
    ConfigError : a file is missing or unreadable, or a value is refused.
    """
    text = str(source) or str(here if (here := Path("params.yaml")).exists() else DEFAULTS)
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"--config: begins like JSON but is not valid JSON ({error}); name a file, or mend it"
            ) from None
    raw = read_yaml(Path(text))
    for path in changes:
        raw = merge(raw, read_yaml(Path(path)))
    try:
        return resolve(raw)
    except ConfigError as error:
        files = ", ".join(map(str, (text, *changes)))
        raise ConfigError(f"{files}:{str(error).removeprefix('params.yaml:')}") from None


def resolve(raw: Any) -> dict[str, Any]:
    """Write out rows that are `like` others, check everything, and return all values, defaults included.

    Raises
    ------
    ConfigError : names the key that is wrong, and what to do.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"params.yaml: should be a mapping of sections, got {type(raw).__name__}")
    return adapter(Params).dump_python(build(Params, expand(raw)), mode="json")


def section(kind: type[T], params: Mapping[str, Any], *keys: str) -> T:
    """Build the dataclass `kind` from the part of resolved parameters that `keys` lead to."""
    return build(kind, _part(params, keys), ".".join(keys))


def slice_of(params: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return the parts of resolved parameters that dotted `keys` lead to, without what equals its default.

    This is what a rule hands to a command and what its result depends on: an optional key that is left at its default
    is not in it, so a new one changes nothing. Rows stand in the order of params.yaml.

    Parameters
    ----------
    params : what `resolve` returned.
    *keys : such as ``"train"`` or ``"variants.N2"``; what a key names is there even if it equals its default.

    Returns
    -------
    dict : nested as `params` is.
    """
    chosen: dict[str, Any] = {}
    for key in keys:
        *parents, last = names = key.split(".")
        inner = chosen
        for parent in parents:
            inner = inner.setdefault(parent, {})
        kind = kind_at(Params, names)
        value = build(kind, _part(params, names), key)
        inner[last] = adapter(kind).dump_python(value, mode="json", exclude_defaults=True)
    return chosen


def _part(params: Mapping[str, Any], keys: Iterable[str]) -> Any:
    value: Any = params
    for depth, key in enumerate(keys := tuple(keys)):
        if not isinstance(value, Mapping) or key not in value:
            raise ConfigError(f"params.yaml: section {'.'.join(keys[: depth + 1])} is missing; {hint(key, value)}")
        value = value[key]
    return value
