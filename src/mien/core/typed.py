"""Plain YAML values into typed ones, strictly: unknown, missing and mistyped keys are refused by name."""

import difflib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from mien.core.errors import ConfigError


def build(kind: Any, value: Any, where: str) -> Any:
    """Turn plain YAML `value` into `kind`, strictly; `where` is the dotted key for the error message."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        return _build_section(kind, value, where)
    if origin is Literal:
        if value not in _flat(args):
            raise _mistyped(where, f"one of {', '.join(map(str, _flat(args)))}", value)
        return value
    if origin is tuple:
        if not isinstance(value, list) or (args[-1] is not Ellipsis and len(value) != len(args)):
            raise _mistyped(where, "a list" if args[-1] is Ellipsis else f"a list of {len(args)}", value)
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _mistyped(where, "a mapping", value)
        if typing.get_origin(args[0]) is Literal:
            _refuse_unknown(where, value, _flat(typing.get_args(args[0])))
        return {
            build(str, k, where) if args[0] is str else k: build(args[1], v, _join(where, k)) for k, v in value.items()
        }
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise _mistyped(where, kind.__name__, value)
    return kind(value)


def _build_section(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _mistyped(where or "the file", "a mapping", value)
    kinds = {field.name: field.type for field in fields(kind)}
    _refuse_unknown(where, value, kinds)
    optional = {one.name for one in fields(kind) if one.default is not MISSING or one.default_factory is not MISSING}
    if missing := [key for key in kinds if key not in value and key not in optional]:
        raise ConfigError(
            f"params.yaml: {_join(where, missing[0])} is missing ({len(missing)} missing: {', '.join(missing)})"
        )
    return kind(**{key: build(kinds[key], value[key], _join(where, key)) for key in kinds if key in value})


def _refuse_unknown(where: str, value: Mapping, known: typing.Iterable[str]) -> None:
    for key in value:
        if key not in known:
            raise ConfigError(f"params.yaml: {_join(where, key)} is unknown; {hint(key, known)}")


def _flat(args: tuple) -> list:
    return [inner for arg in args for inner in (arg if isinstance(arg, tuple) else (arg,))]


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def hint(key: object, known: Any) -> str:
    names = [str(name) for name in known] if isinstance(known, typing.Iterable) else []
    near = difflib.get_close_matches(str(key), names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"


def _mistyped(where: str, wanted: str, value: Any) -> ConfigError:
    trap = " (YAML 1.1 reads 1e-3 as text: write 1.0e-3)" if isinstance(value, str) and wanted == "float" else ""
    return ConfigError(f"params.yaml: {where} should be {wanted}, got {value!r}{trap}")
