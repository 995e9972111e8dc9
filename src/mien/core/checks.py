"""What has to hold between the sections of params.yaml; each section by itself is checked where it is declared."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.core.checks_pretrain import check_branch, check_pretrain, check_transfer
from mien.core.errors import ConfigError
from mien.core.needed import needed_folds, parts_of
from mien.core.typed import hint

if TYPE_CHECKING:
    from mien.core.config import Params


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
