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
from mien.core.sections import (  # noqa: F401  (a section is imported from here)
    CLASSICAL,
    CORPORA,
    FACED,
    NETWORKS,
    AugmentConfig,
    CandideConfig,
    ClassifierConfig,
    ClassifyConfig,
    CorpusConfig,
    CrossConfig,
    EvaluateConfig,
    ExtractorConfig,
    FacesConfig,
    PredictConfig,
    PretrainConfig,
    ServeConfig,
    SoundConfig,
    StreamConfig,
    StreamingConfig,
    SyntheticConfig,
    TableConfig,
    TrainConfig,
    TransferConfig,
    VariantConfig,
    WatchConfig,
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
    evaluate: EvaluateConfig
    predict: PredictConfig
    watch: WatchConfig
    serve: ServeConfig

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"params.yaml: seed should be in 0..2147483647, got {self.seed}")
        if self.repeats < 1:
            raise ConfigError(f"params.yaml: repeats should be at least 1, got {self.repeats}")
        for corpus in self.corpora:
            if self.folds.get(corpus, 0) < 1:
                raise ConfigError(f"params.yaml: folds.{corpus} should be at least 1, got {self.folds.get(corpus)}")
        for part in ("variants", "classifiers", "pretrain", "streams"):
            for key in getattr(self, part):
                if not key.isidentifier():
                    raise ConfigError(f"params.yaml: {part}.{key!r} names folders: use letters, digits and _")
        self._check_pretrain()
        self._check_transfer()
        if missing := [corpus for corpus in (*self.cross.train, self.cross.test) if corpus not in self.corpora]:
            raise ConfigError(f"params.yaml: cross: {missing[0]} is not under corpora")
        if self.classify.seeds > self.cross.splits:
            raise ConfigError(f"params.yaml: classify.seeds should be at most cross.splits ({self.cross.splits})")
        for name, variant in self.variants.items():
            for modality, init in variant.init.items():
                self._check_branch(f"variants.{name}.init.{modality}", init, modality)
                if variant.trunk.get(modality, "resnet18") != "resnet18" and init in self.pretrain:
                    raise ConfigError(
                        f"params.yaml: variants.{name}.init.{modality}: {init} looks at single pictures, and the trunk"
                        f" {variant.trunk[modality]} at whole clips; leave {modality} out of init"
                    )
            for modality, other in variant.frozen.items():
                self._known_variant(f"variants.{name}.frozen.{modality}", other)
                if self.variants[other].modalities != (modality,) or self.variants[other].frozen:
                    raise ConfigError(
                        f"params.yaml: variants.{name}.frozen.{modality}: {other} is not a {modality} network"
                    )
        for name, table in self.tables.items():
            for variant in (*table.rows, *table.single):
                self._known_variant(f"tables.{name}", variant)
            for what, pairs in table.pairs.items():
                for row in (*pairs, *pairs.values()):
                    if row not in table.rows:
                        raise ConfigError(
                            f"params.yaml: tables.{name}.pairs.{what}: {row!r} is no row of the table;"
                            f" {hint(row, table.rows)}"
                        )
            if table.corpus not in self.corpora:
                raise ConfigError(f"params.yaml: tables.{name}.corpus: {table.corpus} is not under corpora")
            for variant in table.rows:
                self._unseen_people(f"tables.{name}: variants.{variant}", table.corpus, self.variants[variant].init)
        for modality in ("joint", "video", "audio"):
            self._known_variant(f"predict.{modality}", getattr(self.predict, modality))
            self._known_stream(modality, getattr(self.watch, modality))
        if twice := sorted(self.variants.keys() & self.streams.keys()):
            raise ConfigError(f"params.yaml: {twice[0]} is a row of variants and of streams; rename one")
        for name, stream in self.streams.items():
            for modality, init in stream.init.items():
                self._check_branch(f"streams.{name}.init.{modality}", init, modality)
            self._unseen_people(f"streams.{name}", self.streaming.corpus, stream.init)
        if self.streaming.corpus not in self.corpora:
            raise ConfigError(f"params.yaml: streaming.corpus: {self.streaming.corpus} is not under corpora")

    def _check_pretrain(self) -> None:
        """Refuse rows of pretrain without a corpus, with an unusable start, or in the folder of a variant."""
        shared = {table.corpus for table in self.tables.values()} | {self.streaming.corpus}  # folders of variants
        for name, row in self.pretrain.items():
            where = f"params.yaml: pretrain.{name}"
            if row.corpus not in self.corpora:
                raise ConfigError(
                    f"{where}.corpus: {row.corpus} is not under corpora; {hint(row.corpus, self.corpora)}"
                )
            if (name in self.variants or name in self.streams) and row.name in shared:
                part = "variants" if name in self.variants else "streams"
                raise ConfigError(
                    f"{where} and {part}.{name} would write results/training/{row.name}/{name}; rename one of them"
                )
            self._check_start(where, name)

    def _check_start(self, where: str, name: str) -> None:
        """Refuse an init that is nothing, leads back to its row, or leads to another kind of network."""
        row = self.pretrain[name]
        if row.init in ("random", "none") or _is_path(row.init):
            return
        if row.init not in self.pretrain:
            near = hint(row.init, [*self.pretrain, "random", "none"])
            raise ConfigError(
                f"{where}.init: {row.init} is neither a row of pretrain nor a path, which has / or .; {near}"
            )
        chain = [name, row.init]
        while (following := self.pretrain[chain[-1]].init) in self.pretrain and chain[-1] not in chain[:-1]:
            chain.append(following)
        if chain[-1] in chain[:-1]:
            raise ConfigError(f"{where}.init: {' -> '.join(chain)} has no first row; write random or a file in one")
        first = self.pretrain[row.init]
        if (first.network, first.modality) != (row.network, row.modality):
            alike = [other for other in self.pretrain if other != name and self._is_alike(other, name)]
            raise ConfigError(
                f"{where}.init: {row.init} is a {first.network} of {first.modality}, {name} a {row.network} of"
                f" {row.modality}; {hint(row.init, [*alike, 'random'])}"
            )

    def _is_alike(self, one: str, other: str) -> bool:
        rows = (self.pretrain[one], self.pretrain[other])
        return len({(row.network, row.modality) for row in rows}) == 1

    def _check_transfer(self) -> None:
        """Refuse studies of rows that there are not, or that do not learn the emotions of FER2013."""
        fitting = [name for name, row in self.pretrain.items() if row.name == TransferConfig.corpus]
        for study, names in vars(self.transfer).items():
            for name in names:
                where = f"params.yaml: transfer.{study}: {name}"
                if name not in self.pretrain:
                    raise ConfigError(f"{where} is no row of pretrain; {hint(name, fitting)}")
                if name not in fitting:
                    row = self.pretrain[name]
                    raise ConfigError(
                        f"{where} learns {row.target} on {row.corpus}, not the emotions of {TransferConfig.corpus};"
                        f" {hint(name, fitting)}"
                    )

    def _check_branch(self, where: str, init: str, modality: str) -> None:
        """Refuse first weights of a branch that are neither a ResNet-18 of its modality nor a file."""
        fitting = [name for name, row in self.pretrain.items() if (row.network, row.modality) == ("resnet18", modality)]
        if init in fitting or (init not in self.pretrain and _is_path(init)):
            return
        row = self.pretrain.get(init)
        found = "neither a row of pretrain nor a path, which has / or ." if row is None else ""
        found = found or f"a {row.network} of {row.modality}, not a resnet18 of {modality}"
        raise ConfigError(f"params.yaml: {where}: {init} is {found}; {hint(init, fitting)}, or leave {modality} out")

    def _unseen_people(self, where: str, corpus: str, init: Mapping[str, str]) -> None:
        """Refuse branches that start from a network that was trained on the people of the corpus that is tested on."""
        for modality, start in init.items():
            while start in self.pretrain:
                row = self.pretrain[start]
                if row.corpus == corpus:
                    raise ConfigError(
                        f"params.yaml: {where}.init.{modality} leads to pretrain.{start}, which was trained on"
                        f" {corpus}: it has seen the people that are tested on"
                    )
                start = row.init

    def _known_stream(self, modality: str, stream: str) -> None:
        where = f"params.yaml: watch.{modality}"
        if stream not in self.streams:
            raise ConfigError(f"{where}: there is no row {stream!r} of streams; {hint(stream, self.streams)}")
        wanted = {"joint": {"video", "audio"}}.get(modality, {modality})
        if set(self.streams[stream].modalities) != wanted:
            raise ConfigError(f"{where}: {stream} uses {self.streams[stream].modalities}, not {sorted(wanted)}")

    def _known_variant(self, where: str, variant: str) -> None:
        if variant not in self.variants:
            raise ConfigError(f"params.yaml: {where}: there is no variant {variant!r}; {hint(variant, self.variants)}")


def _is_path(text: str) -> bool:
    """Say whether `text` can be meant as a file; names of rows are identifiers."""
    return "/" in text or "." in text


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
