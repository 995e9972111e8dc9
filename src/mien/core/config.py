"""params.yaml: read, resolve the scale, check every key and type, give out sections.

A command receives the sections it uses as one JSON text (from Snakemake) or as the path of params.yaml (by hand);
both come out of `load` as the same nested dictionary, and `section` turns a part of it into a frozen dataclass.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from mien.core.checks import check
from mien.core.errors import ConfigError
from mien.core.names import ACTED, CLASSICAL, CORPORA, FACED, MODALITIES, NETWORKS  # noqa: F401
from mien.core.network_sections import (
    ExtractorConfig,
    PredictConfig,
    PretrainConfig,
    ServeConfig,
    StreamConfig,
    StreamingConfig,
    TrainConfig,
    TransferConfig,
    VariantConfig,
    WatchConfig,
)
from mien.core.sections import (
    AugmentConfig,
    CandideConfig,
    ClassifierConfig,
    ClassifyConfig,
    CorpusConfig,
    CrossConfig,
    EvaluateConfig,
    FacesConfig,
    SoundConfig,
    SyntheticConfig,
    TableConfig,
)
from mien.core.study_sections import (  # noqa: F401
    EmbeddingsConfig,
    FuzzinessConfig,
    IntensityConfig,
    OverviewConfig,
    OverviewRow,
    TrustConfig,
)
from mien.core.typed import build, hint

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
