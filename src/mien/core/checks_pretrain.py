"""What has to hold between the rows of ``pretrain`` and those that start from them."""

from typing import TYPE_CHECKING

from mien.core.errors import ConfigError
from mien.core.needed import needed_folds
from mien.core.network_sections import TransferConfig
from mien.core.typed import hint

if TYPE_CHECKING:
    from mien.core.config import Params


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
