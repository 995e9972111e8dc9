"""From the text of params.yaml to plain values in which every row is written out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mien.config.values import hint
from mien.errors import ConfigError

LIKE = ("classifiers", "pretrain", "variants", "baselines", "streams")  # sections whose rows may be like others
MAX_BYTES = 2**20  # bytes of a file


class _Loader(yaml.SafeLoader):
    """YAML without what hides a value: a key that stands twice, or an alias."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            found = f"line {event.start_mark.line + 1}: *{event.anchor} is an alias"
            raise ConfigError(f"{self.name}: {found}; write the value, or make the row like another")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            line, key = key_node.start_mark.line + 1, (key_node.tag, str(key_node.value))
            if key in lines:
                raise ConfigError(f"{self.name}: {key[1]} stands in line {lines[key]} and again in line {line}")
            lines[key] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Return the values of a YAML file in which no key stands twice.

    Raises
    ------
    ConfigError : the file is missing, huge or no YAML, a key stands twice, or an alias is used.
    """
    path = Path(path)
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ConfigError(f"{path}: has {size} bytes; parameters take {MAX_BYTES} at most")
        loader = _Loader(path.read_text(encoding="utf-8"))
        loader.name = str(path)
        return loader.get_single_data()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise ConfigError(f"{path}: no such file; run from the repository root, or name it with --config") from None
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error


def merge(values: Any, changes: Any) -> Any:
    """Return `values` with those of `changes` in their place, mapping by mapping, as Snakemake's --configfile does."""
    if not isinstance(values, Mapping) or not isinstance(changes, Mapping):
        return changes
    return {**values, **{key: merge(values.get(key), change) for key, change in changes.items()}}


def expand(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return `raw` with every row written out that says what differs from the row that it is `like`.

    Init entries of modalities that a row does not have are dropped where they are inherited. The row that a variant is
    like is its baseline in table 5.4.

    Raises
    ------
    ConfigError : a row is like one that there is not, or leads back to itself.
    """
    full = dict(raw)
    for part in LIKE:
        if isinstance(rows := raw.get(part), Mapping):
            full[part] = {name: _written_out(part, rows, name) for name in rows}
    if isinstance(overview := raw.get("overview"), Mapping) and isinstance(overview.get("rows"), Mapping):
        full["overview"] = {**overview, "rows": _overview_rows(overview["rows"], raw.get("variants"))}
    return full


def _overview_rows(columns: Mapping[str, Any], variants: Any) -> dict[str, Any]:
    """Return variant -> its columns in table 5.4 and its baseline, given corpus -> variants."""
    rows: dict[str, Any] = {}
    for corpus, names in columns.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return dict(columns)  # refused by the schema, if not written out already
        for name in names:
            row = variants.get(name) if isinstance(variants, Mapping) else None
            baseline = row.get("like", "") if isinstance(row, Mapping) else ""
            rows.setdefault(name, {"corpora": [], "baseline": baseline})["corpora"].append(corpus)
    return rows


def _written_out(part: str, rows: Mapping[str, Any], name: str) -> Any:
    chain = [name]
    while isinstance(row := rows[chain[-1]], Mapping) and "like" in row:
        where, base = f"params.yaml: {part}.{chain[-1]}.like", row["like"]
        if not isinstance(base, str) or base not in rows:
            raise ConfigError(f"{where}: there is no row {base!r} of {part}; {hint(base, rows)}")
        if base in chain:
            raise ConfigError(f"{where}: {' -> '.join([*chain, base])} leads back; write one of them out")
        chain.append(base)
    full: Any = row
    for link in reversed(chain[:-1]):
        if not isinstance(full, Mapping):
            return full  # no row: refused by the schema
        own = {key: value for key, value in rows[link].items() if key != "like"}
        full = {**full, **own}
        if "init" not in own and isinstance(full.get("init"), Mapping) and isinstance(full.get("modalities"), list):
            full["init"] = {key: value for key, value in full["init"].items() if key in full["modalities"]}
    return full
