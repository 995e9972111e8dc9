"""The sections of params.yaml about corpora, what is made of them, and what is reported."""

from dataclasses import dataclass
from typing import Literal

from mien.core.names import CLASSICAL, CORPORA, FACED, NETWORKS, require


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
