"""Divisions in folds that others have published: a CSV with columns fold, name, group, role; see resources/splits."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mien.core import tables
from mien.core.errors import CorpusError
from mien.corpora.folds import validating

log = logging.getLogger(__name__)

ROLES = ("test", "validation", "training")


def read_split(path: Path) -> pd.DataFrame:
    """Read a published division as FOLDS; validation people may be missing.

    Raises
    ------
    CorpusError : not such a file, somebody has two roles in a fold or is tested twice, or a fold lacks a role.
    """
    columns = tables.FOLDS.columns.names
    try:
        split = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file; name one of resources/splits under splits in params.yaml") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: not a readable CSV ({error}); see resources/splits/README.md") from error
    if list(split) != columns:
        raise CorpusError(f"{path}: should have the columns {', '.join(columns)}; found {', '.join(split)}")
    numbers = sorted(split.fold.unique(), key=lambda text: (len(text), text))
    if numbers != [str(k) for k in range(len(numbers))] or not numbers:
        raise CorpusError(f"{path}: folds should be numbered 0, 1, ...; found {_some(numbers)}")
    split["fold"] = split.fold.astype(int)
    _check_rows(path, split)
    return split


def arrange_published(
    people: pd.DataFrame, split: pd.DataFrame, n_folds: int, *, corpus: str, path: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Divide the people of a copy of `corpus` as a published division says.

    Parameters
    ----------
    people : columns group and sex, a row per person of this copy.
    split : what `read_split` has read from `path`.

    Returns
    -------
    FOLDS with validation people in every fold, and the sorted people of `split` whom this copy does not have.

    Raises
    ------
    CorpusError : another number of folds is asked for, the division does not name everybody, or nobody is left to be
        tested or trained on in a fold.
    """
    if (published := split.fold.nunique()) != n_folds:
        raise CorpusError(f"{path} has {published} folds: set folds.{corpus} to {published} in params.yaml")
    absent = sorted(set(split.group) - set(people.group))
    here = split[split.group.isin(people.group)]
    for name, fold in split.groupby("name", sort=False):
        if strangers := sorted(set(people.group) - set(fold.group)):
            raise CorpusError(
                f"{path}: fold {name} does not name {_some(strangers)} of {corpus}; use another division, or none"
            )
        if missing := _missing(here.role[here.name == name]):
            raise CorpusError(
                f"{path}: nobody of fold {name} is left for {missing}, as this copy of {corpus} lacks {_some(absent)};"
                f" use the whole corpus (corpora.{corpus} in params.yaml)"
            )
    tested = here[here.role == "test"].groupby("fold").group.agg(list).tolist()
    if never := sorted(set(people.group).difference(*tested)):
        log.warning("%s: tested in no fold: %s", path, _some(never))
    sex_of = dict(zip(people.group, people.sex, strict=True))
    folds = []
    for k, fold in here.groupby("fold"):
        after = [person for block in (*tested[k + 1 :], *tested[:k], never) for person in block]
        folds.append(_with_validation(fold, after, sex_of))
        if _missing(folds[-1].role):
            raise CorpusError(f"{path}: {corpus} has too few people to validate and train in fold {k}; add people")
    return pd.concat(folds).sort_values(["fold", "group"], ignore_index=True), absent


def _with_validation(fold: pd.DataFrame, after: Iterable[str], sex_of: Mapping[str, str]) -> pd.DataFrame:
    """Let some of the training people validate, unless somebody does; `after` are all others in order of choice."""
    if (fold.role == "validation").any():
        return fold
    trained = set(fold.group[fold.role == "training"])
    chosen = validating([person for person in after if person in trained], sex_of)
    return fold.assign(role=fold.role.mask(fold.group.isin(chosen), "validation"))


def _missing(roles: pd.Series) -> str:
    """Return the first role that a fold cannot do without and that nobody has; empty if there is none."""
    return next((role for role in ("test", "training") if role not in set(roles)), "")


def _check_rows(path: Path, split: pd.DataFrame) -> None:
    """Refuse rows that contradict each other."""
    if unknown := sorted(set(split.role) - set(ROLES)):
        raise CorpusError(f"{path}: role should be one of {', '.join(ROLES)}; found {_some(unknown)}")
    names = split.groupby("fold").name
    if (names.nunique() > 1).any() or names.first().duplicated().any() or (split.name == "").any():
        raise CorpusError(f"{path}: every fold needs a name of its own, the same in all of its rows")
    if (twice := split[split.duplicated(["fold", "group"])]).size:
        row = twice.iloc[0]
        raise CorpusError(f"{path}: {row.group} has two rows in fold {row['name']}; people have one role in a fold")
    tested = split.group[split.role == "test"]
    if tested.duplicated().any():
        again = sorted(tested[tested.duplicated()].unique())
        raise CorpusError(f"{path}: tested in more than one fold: {_some(again)}; every clip is to be judged once")
    for name, roles in split.groupby("name").role:
        if missing := _missing(roles):
            raise CorpusError(f"{path}: fold {name} has nobody for {missing}; add the missing rows")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
