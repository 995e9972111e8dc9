"""Kinds of values in params.yaml, and how pydantic's verdict on a wrong one becomes a sentence of ours."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from mien.errors import ConfigError

# Of the dataclass of a section; what a command does not read of it is not built.
SECTION: Any = {"frozen": True, "kw_only": True, "config": ConfigDict(extra="forbid", defer_build=True)}


def _read_number(value: Any) -> Any:
    """Return text such as 1e-3, which YAML 1.1 does not take for a number, as a number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def number(**bounds: float) -> Any:
    """Return the kind of a finite number within bounds (ge, gt, le, lt); text such as 1e-3 is read as one."""
    return Annotated[float, Strict(), Field(allow_inf_nan=False, **bounds), BeforeValidator(_read_number)]


def whole(**bounds: int) -> Any:
    """Return the kind of a whole number within bounds; neither a truth value nor 2.0 is one."""
    return Annotated[int, Strict(), Field(**bounds)]


def _is_file_name(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError("names files: use up to 64 letters, digits, _, - and .")
    return name


def _is_identifier(name: str) -> str:
    if not name.isidentifier() or not name.isascii() or len(name) > 64:
        raise ValueError("names folders: use up to 64 letters, digits and _")
    return name


Int = whole()
Bool = Annotated[bool, Strict()]
Count = whole(ge=1, le=100_000)
Size = whole(ge=1, le=4096)  # pixels, channels, samples, columns
Batch = whole(ge=2, le=100_000)  # batch normalisation needs two
Float = number()
Positive = number(gt=0, le=1e6)
NonNegative = number(ge=0, le=1e6)
Share = number(ge=0, le=1)
Dropout = number(ge=0, lt=1)
Rate = number(gt=0, le=10)  # of learning
Text = Annotated[str, Field(min_length=1)]
T = TypeVar("T")


def later(default: Any) -> Any:
    """Return the default of a key that older results do not have: `plain` leaves it out, and their bytes stay."""
    return dataclasses.field(default=default, metadata={"later": True})


def plain(value: Any) -> Any:
    """Return sections as dictionaries, without keys that came `later` and are at their default."""
    if dataclasses.is_dataclass(value):
        known = {key.name: (key, getattr(value, key.name)) for key in dataclasses.fields(value)}
        return {
            name: plain(one)
            for name, (key, one) in known.items()
            if not (key.metadata.get("later") and one == key.default)
        }
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


Some = Annotated[T, Field(min_length=1)]  # a list or mapping that is not empty
FileNameOrNone = Annotated[str, AfterValidator(_is_file_name)]
FileName = Annotated[FileNameOrNone, Field(min_length=1)]
Identifier = Annotated[str, AfterValidator(_is_identifier)]


@cache
def adapter(kind: Any) -> TypeAdapter:
    """Return pydantic's validator and serialiser of `kind`."""
    return TypeAdapter(kind)


def build(kind: Any, value: Any, where: str = "") -> Any:
    """Turn plain values into `kind`; `where` is the dotted key of `value` in params.yaml.

    Raises
    ------
    ConfigError : names the first wrong key, what it should be and what it is, and how many more are wrong.
    """
    try:
        return adapter(kind).validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
    found.sort(key=lambda one: _is_unknown(one) < 1)  # a mistyped key is missing under its right name as well
    missing = [str(one["loc"][-1]) for one in found if one["type"] == "missing" and not _is_unknown(found[0])]
    if found[0]["type"] == "missing" and len(missing) == len(found) > 1 and isinstance(found[0]["loc"][-1], str):
        more = f" ({len(missing)} missing: {', '.join(missing)})"
    else:
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    raise ConfigError(f"params.yaml: {_sentence(kind, found[0], where)}{more}") from None


def kind_at(kind: Any, keys: Iterable[str | int]) -> Any:
    """Return the type that dotted keys below a section of the type `kind` lead to."""
    for key in keys:
        kind = _plain(kind)
        if dataclasses.is_dataclass(kind):
            kind = {field.name: field.type for field in dataclasses.fields(kind)}.get(str(key), Any)
        else:
            args = typing.get_args(kind)
            kind = Any if not args else args[-1] if typing.get_origin(kind) is dict or args[-1] is not ... else args[0]
    return _plain(kind)


def hint(key: object, known: Any) -> str:
    """Return the known name that is nearest to a key, or all of them."""
    names = [str(name) for name in known] if isinstance(known, Iterable) else []
    near = difflib.get_close_matches(str(key), names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"


def _plain(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _is_unknown(error: Mapping[str, Any]) -> bool:
    of_key = error["loc"][-1:] == ("[key]",) and error["type"] == "literal_error"
    return of_key or error["type"] == "unexpected_keyword_argument"


def _sentence(kind: Any, error: Mapping[str, Any], where: str) -> str:
    keys = [key for key in error["loc"] if key != "[key]"]
    dotted = where
    for key in keys:
        dotted += f"[{key}]" if isinstance(key, int) else f".{key}" if dotted else str(key)
    value, context, shown = error["input"], error.get("ctx", {}), repr(error["input"])
    if len(shown) > 200:
        shown = f"{shown[:200]}..."
    if _is_unknown(error):
        return f"{dotted} is unknown; {hint(keys[-1], _names(kind_at(kind, keys[:-1])))}"
    match error["type"]:
        case "missing" if isinstance(keys[-1], int):
            return f"{dotted.rpartition('[')[0]} should be a list of {len(typing.get_args(kind_at(kind, keys[:-1])))}"
        case "missing":
            return f"{dotted} is missing"
        case "value_error" if isinstance(value, Mapping):
            needed = str(context["error"])
            named = {key: inner for key, inner in value.items() if re.search(rf"\b{key}\b", needed)}
            return f"{dotted}: {needed}; got {named or shown}"
        case "value_error":
            return f"{dotted!r} {context['error']}; got {value!r}"
        case "literal_error":
            return f"{dotted} should be one of {', '.join(map(str, _names(kind_at(kind, keys))))}; got {shown}"
    wanted = {
        "int_type": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "string_type": "text",
        "string_too_short": "some text",
        "tuple_type": "a list",
        "dict_type": "a mapping",
        "dataclass_type": "a mapping",
        "greater_than": "above {gt}",
        "greater_than_equal": "at least {ge}",
        "less_than": "below {lt}",
        "less_than_equal": "at most {le}",
        "too_short": "a list of {min_length} or more",
        "too_long": "a list of {max_length}",
    }.get(error["type"], error["msg"])
    return f"{dotted or 'the file'} should be {wanted.format(**context)}, got {shown}"


def _names(kind: Any) -> list:
    """Return the keys that a section or a mapping may have, or the values of a Literal."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    args = typing.get_args(kind)
    args = typing.get_args(args[0]) if typing.get_origin(kind) is dict else args
    return [inner for arg in args for inner in (arg if isinstance(arg, tuple) else (arg,))]
