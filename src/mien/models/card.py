"""What headers of model files say, read without torch, which takes seconds to import."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mien.config.values import later
from mien.errors import ModelError

EXPORTED = "mien_export"  # the key of an exported file


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What the header of a model file says; fields that a kind does not have keep their defaults.

    variant: a row of variants, judges clips. stream: a row of streams, runs along with a recording. extractor: a row of
    pretrain, looks at single pictures or segments. classifier: a row of classifiers, looks at pictures or vectors.
    """

    kind: str  # variant, stream, extractor or classifier
    corpus: str  # of the results, such as ravdess_actor; of a classifier the pair that it was trained and tested on
    variant: str  # the row
    fold: int
    seed: int
    classes: tuple[str, ...]  # names in the order of the logits; of intensity, names of the levels 0, 1, ...
    modalities: tuple[str, ...] = ()
    width: int = 0  # channels of the first stage
    sound: dict[str, Any] = field(default_factory=dict)  # SoundConfig that its inputs were made with
    faces: dict[str, Any] = field(default_factory=dict)  # FacesConfig that its inputs were made with
    # of variant and stream, see mrpn.build
    fusion: str = ""
    aggregator: str = ""
    trunk: dict[str, str] = field(default_factory=dict)
    side_head: str = "dense"
    head: str = later("scoring")
    members: int = later(1)
    residual: str = "sigmoid"
    dropout: float = 0.0  # in training
    # of variant
    candide: dict[str, Any] = field(default_factory=dict)  # CandideConfig that its action units were fitted with
    target: str = "label"  # or intensity: one output, a number
    also: tuple[str, ...] = ()  # further targets, numbers
    augmentation: str = ""
    frames: int = 0  # of a clip
    vectors: dict[str, int] | None = later(None)  # noqa: RUF009 (no list) modality -> length, of clips as vectors
    normalise: str = later("corpus")  # subject: its inputs are standardised by the person's own recordings
    # of stream
    rate_fps: int = 0  # frames per second that are looked at
    hop_s: float = 0.0  # between the ends of two segments, and between two joint judgements
    # of extractor and classifier
    base: str = ""  # corpus of the clips
    model: str = ""  # resnet18, resnet12 or vgg16; key of small.CLASSIFIERS
    features: str = ""  # AU8, FP68 or image
    size_px: int = 0  # side of the picture; 0 for sound and vectors


@dataclass(frozen=True)
class Export:
    """What the header of an exported file says: the card of every network, and `facts` as JSON."""

    cards: tuple[ModelCard, ...]
    facts: dict[str, Any]
    sha256: str  # of the weights, see `_digest`


def read_export(path: Path) -> Export | None:
    """Return what the header of an exported file says; None where it is another file of safetensors.

    Raises
    ------
    ModelError
        The file is damaged, or its header is of another version.
    """
    try:
        with safe_open(path, framework="np") as file:
            header = (file.metadata() or {}).get(EXPORTED)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or not a safetensors file ({error}); fetch or export it again") from error
    if header is None:
        return None
    try:
        values = json.loads(header)
        cards = tuple(
            ModelCard(**{key: tuple(value) if isinstance(value, list) else value for key, value in card.items()})
            for card in values["cards"]
        )
        return Export(cards, dict(values["facts"]), str(values["sha256"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its header is of another version ({error!r}); export it again") from error
