"""The thesis's printed numbers, as rows that stand beside ours."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mien.errors import ConfigError, TableError


@dataclass(frozen=True)
class Published:
    """A row of a fold table: percent as printed, in the order of its folds."""

    name: str  # table/row
    folds: tuple[str, ...]
    values: tuple[float, ...]
    headlines: dict[str, float]  # where Table 5.4 sums the row up -> percent
    membership: bool = True  # the thesis says who is in its folds

    @property
    def mean(self) -> float:
        """Return the mean of the printed folds, percent."""
        return float(np.mean(self.values))

    def at(self, fold_names: list[str]) -> dict[str, float]:
        """Return fold name -> percent if `fold_names` are the thesis's first folds, else nothing.

        Where the thesis does not say who is in a fold (CREMA-D), an equal name means nothing.
        """
        same = self.membership and list(self.folds[: len(fold_names)]) == list(fold_names)
        return dict(zip(fold_names, self.values, strict=False)) if same else {}

    def mean_at(self, fold_names: list[str]) -> float:
        """Return the mean of the thesis in `fold_names`, percent; of all its folds if ours are others."""
        return float(np.mean(list(self.at(fold_names).values()) or self.values))


def read_published(path: Path) -> dict[str, Any]:
    """Read resources/thesis_tables.yaml: table number -> table."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))["tables"]
    except FileNotFoundError:
        raise TableError(f"{path} is missing; it is part of the repository: git restore {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise TableError(f"{path} does not hold the thesis's tables ({error}); git restore {path}") from error


def printed_beside(table: Mapping[str, Any], row: str, shown: Iterable[str] | None = None) -> str:
    """Return the row of a table of the thesis that stands beside one of ours, or an empty text.

    Parameters
    ----------
    table : one of `read_published`.
    row : name of ours, in params.yaml.
    shown : rows of ours that a table shows; where several could stand beside what is printed, the first of these does.
    """
    for printed, ours in table.get("ours", {}).items():
        ours = [ours] if isinstance(ours, str) else ours
        if row == next((one for one in ours if shown is None or one in shown), ""):
            return printed
    return ""


def published_beside(tables: dict[str, Any], variant: str, corpus: str, *, number: str) -> Published | None:
    """Return the thesis's folds of a variant on a corpus: those of its table `number`, or of another; None without."""
    for name in dict.fromkeys([number, *tables]):
        table = tables.get(name, {})
        if "folds" in table and table["corpus"] == corpus and (row := printed_beside(table, variant)):
            return published_row(tables, f"{name}/{row}", corpus)
    return None


def published_row(tables: dict[str, Any], name: str, corpus: str) -> Published | None:
    """Return the row "table/row" of the thesis, or None for an empty name.

    Raises
    ------
    ConfigError : there is no such table, row or per-fold value, or the table is about another corpus.
    """
    if not name:
        return None
    number, _, key = name.partition("/")
    table = tables.get(number, {})
    if "folds" not in table or key not in table["rows"]:
        fold_tables = [f"{n}/{row}" for n, t in tables.items() if "folds" in t for row in t["rows"]]
        raise ConfigError(f"thesis tables: there is no fold table row {name!r}; known: {', '.join(fold_tables)}")
    if table["corpus"] != corpus:
        raise ConfigError(f"thesis tables: {name} is about {table['corpus']}, the table about {corpus}")
    values = table["rows"][key]
    if len(values) != len(table["folds"]):
        raise TableError(f"thesis tables: {name} has {len(values)} values for {len(table['folds'])} folds")
    sums = {row: tables["5.4"]["rows"][row] for row in table.get("headline", {}).get(key, [])}
    return Published(
        name=name,
        folds=tuple(table["folds"]),
        values=tuple(float(value) for value in values),
        membership=table.get("membership") != "unpublished",
        headlines={f"Table 5.4, {row['model']}": float(row[corpus]) for row in sums.values()},
    )


@dataclass(frozen=True)
class Summed:
    """A row of Table 5.4 for one corpus, percent; `folds` is the fold table row that it sums up, where there is one."""

    name: str  # its key
    model: str
    value: float
    folds: Published | None

    @property
    def gap(self) -> float:
        """Return what is printed less the mean of its folds, points; NaN without folds."""
        return self.value - self.folds.mean if self.folds else math.nan


@dataclass(frozen=True)
class Other:
    """A system of other authors in Table 5.4: corpus -> percent, NaN where the thesis prints nothing."""

    reference: str  # its number in the thesis
    method: str
    values: dict[str, float]


def summed_row(tables: dict[str, Any], key: str, corpus: str) -> Summed | None:
    """Return a row of Table 5.4, or None for an empty key.

    Raises
    ------
    ConfigError : there is no such row.
    """
    if not key:
        return None
    rows = tables["5.4"]["rows"]
    if key not in rows:
        raise ConfigError(f"thesis tables: table 5.4 has no row {key!r}; known: {', '.join(rows)}")
    names = [
        f"{number}/{row}"
        for number, table in tables.items()
        if table.get("corpus") == corpus
        for row, sums in table.get("headline", {}).items()
        if key in sums
    ]
    folds = published_row(tables, names[0], corpus) if names else None
    return Summed(key, rows[key]["model"], float(rows[key][corpus]), folds)


def other_systems(tables: dict[str, Any], corpora: Iterable[str]) -> list[Other]:
    """Return the systems of other authors of Table 5.4, with their numbers on `corpora`."""
    corpora = list(corpora)
    return [
        Other(
            f"[{row['reference']}]",
            row["method"],
            {corpus: math.nan if row[corpus] is None else float(row[corpus]) for corpus in corpora},
        )
        for row in tables["5.4"]["others"]
    ]
