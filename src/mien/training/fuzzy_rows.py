"""Which networks the experiment on missing and fuzzy information can train, in which order, from which weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.core.config import VariantConfig
from mien.core.errors import ConfigError
from mien.training.first_weights import files_of, no_start


def in_order(variants: Mapping[str, VariantConfig]) -> list[str]:
    """Return the rows, those first whose branches others keep.

    Raises
    ------
    ConfigError : a row weighs its losses by a history on validation people, and there are none here.
    """
    if blended := [name for name, variant in variants.items() if variant.blend]:
        raise ConfigError(
            f"params.yaml: fuzziness.rows: {blended[0]} has a blend, which follows validation people; nobody validates"
            " in this experiment, so take it out"
        )
    return sorted(variants, key=lambda name: bool(variants[name].frozen))


def first_files(variants: Mapping[str, VariantConfig], given: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return variant -> modality -> file of the first weights.

    given : texts ROW=FILE, the models of rows of pretrain.

    Raises
    ------
    ConfigError : a row is not given, is no file, was not applicable, or is not asked for.
    """
    asked = sorted({init for variant in variants.values() for init in variant.init.values()})
    models = {}
    for text in given:
        row, _, path = text.partition("=")
        if row not in asked or not path:
            raise ConfigError(f"--init {text}: the rows of fuzziness start from {', '.join(asked)}; give ROW=FILE")
        models[row] = path
    files = {}
    for name, variant in variants.items():
        named = [f"{modality}={models[row]}" for modality, row in variant.init.items() if row in models]
        files[name] = files_of(f"variants.{name}", variant.init, named)
        if reason := no_start(variant.init, files[name]):
            raise ConfigError(f"params.yaml: fuzziness.rows: {name}: {reason}; take it out, or train that row")
    return files
