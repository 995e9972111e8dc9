"""`mien config`: values of config/NAME.yaml into params.yaml, and the JSON schema that editors check it by."""

import inspect
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mien.config import schema
from mien.config.rows import LIKE, merge, read_yaml
from mien.config.values import adapter, hint
from mien.errors import ConfigError
from mien.io.files import atomic_file

SCHEMA = "params.schema.json"


def config(
    name: str = "", /, *, show: bool = False, write_schema: bool = False, params: Path = Path("params.yaml")
) -> None:
    """Write the values of config/NAME.yaml into params.yaml; comments and the order of keys stay.

    Parameters
    ----------
    name
        File in the folder config beside params.yaml, such as thesis.
    show
        Print what would change, and change nothing.
    write_schema
        Write config/params.schema.json, by which editors check params.yaml, instead.
    params
        The file to change.
    """
    folder = params.resolve().parent / "config"
    if write_schema:
        return _write(folder / SCHEMA, json_schema())
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if not known:
        raise ConfigError(f"{folder}: holds no values to write; run it where params.yaml of a checkout is")
    if name not in known:
        wrong = f"{folder}: there is no {name}.yaml" if name else "NAME is missing"
        raise ConfigError(f"{wrong}; {hint(name, known)}")
    before, changes = read_yaml(params), read_yaml(folder / f"{name}.yaml")
    schema.resolve(merge(before, changes))
    for key, old, new in _differences(before, changes):
        print(f"{key}: {old} -> {new}")
    if not show:
        _write(params.resolve(), applied(params, folder / f"{name}.yaml"))
    return None


def applied(params: Path, changes: Path) -> str:
    """Return the text of a params.yaml with the values of another file in it, and its own comments and order."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096

    def text_of(value: Any) -> str:
        text = io.StringIO()
        yaml.dump(value, text)
        return text.getvalue()

    def width_of(value: Any) -> int:
        return len(re.sub(r" +#.*", "", text_of(value).split("\n")[0]))

    def put(values: Any, changes: Any) -> None:
        for key, change in changes.items():
            old = values.get(key)
            if isinstance(change, Mapping) and isinstance(old, Mapping):
                put(old, change)
            elif old != change:
                values[key] = change
                if comment := (values.ca.items.get(key) or [None] * 3)[2]:  # stays two spaces behind the value
                    comment.start_mark.column += width_of(change) - width_of(old)

    values = yaml.load(params.read_text(encoding="utf-8"))
    put(values, yaml.load(changes.read_text(encoding="utf-8")))
    return text_of(values)


def json_schema() -> str:
    """Return the JSON schema of params.yaml as it is written: rows may be like others."""
    made = adapter(schema.Params).json_schema()
    for name, section in [*made["$defs"].items(), ("Params", made)]:
        comments = _comments(getattr(schema, name))
        for key, one in section["properties"].items():
            one.pop("title", None)
            if key in comments:
                one["description"] = comments[key]
    text = {"type": "string"}
    for part in LIKE:
        row = made["$defs"][made["properties"][part]["additionalProperties"]["$ref"].rpartition("/")[2]]
        row["properties"]["like"] = text | {"description": "row that this one is like, but for what it says"}
        row.pop("required")
    corpora = {"type": "array", "items": text}
    made["$defs"]["OverviewConfig"]["properties"]["rows"] |= {"additionalProperties": corpora}
    del made["$defs"]["OverviewRow"]
    return json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _comments(kind: type) -> dict[str, str]:
    """Return key -> the comment behind it in the source."""
    return dict(re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(kind), flags=re.MULTILINE))


def _differences(values: Any, changes: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(values, Mapping) and isinstance(changes, Mapping):
        for key, change in changes.items():
            yield from _differences(values.get(key, "-"), change, f"{where}.{key}" if where else str(key))
    elif values != changes:
        yield where, values, changes


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")
