"""Cross-validation by people: every group has one role per fold and is tested exactly once.

Folds are made from people and their sexes, or read from a published division: a CSV with the columns fold, name, group
and role, see resources/splits.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import CorpusError
from mien.io import tables

log = logging.getLogger(__name__)


class TooFewPeople(CorpusError):
    """Nobody is left to train on, whatever the number of folds: the corpus can be looked at and judged, not learnt."""


FEW = 4  # with fewer people left beside the test block, one of them validates instead of a man and a woman

ROLES = ("test", "validation", "training")


def cut_blocks(people: pd.DataFrame, n_folds: int, *, corpus: str) -> pd.DataFrame:
    """Cut the people, paired man with woman in numerical order, into `n_folds` consecutive blocks.

    Parameters
    ----------
    people : columns group (numbers as text) and sex, a row per person.
    n_folds : up to the number of pairs, blocks hold whole pairs; above, single people.

    Returns
    -------
    FOLDS; folds are named A1,2 or A1-4 after their test people.

    Raises
    ------
    CorpusError : so few people that a fold would have no training part.
    """
    men, women = (sorted(people.group[people.sex == sex], key=int) for sex in ("male", "female"))
    pairs = [[person for person in pair if person is not None] for pair in itertools.zip_longest(men, women)]

    def cut(n: int) -> list[list[str]]:
        units = pairs if n <= len(pairs) else [[person] for pair in pairs for person in pair]
        return [[person for k in part for person in units[k]] for part in np.array_split(np.arange(len(units)), n)]

    def name(fold: int, block: list[str]) -> str:
        numbers = sorted(map(int, block))
        if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"A{numbers[0]}-{numbers[-1]}"
        return "A" + ",".join(map(str, numbers))

    return _make_folds(people, n_folds, cut, name, corpus)


def deal_people(people: pd.DataFrame, n_folds: int, *, corpus: str) -> pd.DataFrame:
    """Deal the men, then the women, in order of their names round-robin to folds S1 to Sn (see `cut_blocks`).

    The women go on where the men stopped, so that folds differ by at most one person.
    """
    ordered = people.sort_values(["sex", "group"], ascending=[False, True]).group.tolist()  # male, female, unknown
    return _make_folds(
        people, n_folds, lambda n: [ordered[k::n] for k in range(n)], lambda fold, _: f"S{fold + 1}", corpus
    )


def use_official(role_of: dict[str, str], n_folds: int, *, corpus: str) -> pd.DataFrame:
    """Return the one fold of a corpus with a split of its own; `role_of` maps every group to its role.

    Raises
    ------
    CorpusError : more than one fold is asked for, or nobody is left to train on (`TooFewPeople`).
    """
    if n_folds != 1:
        raise CorpusError(f"{corpus} has one official split: set folds.{corpus} to 1 in params.yaml (it is {n_folds})")
    if "training" not in role_of.values():
        raise TooFewPeople(f"{corpus}: nothing to train on; groups found: {', '.join(sorted(role_of)) or 'none'}")
    rows = [(0, "official", group, role) for group, role in sorted(role_of.items())]
    return pd.DataFrame(rows, columns=tables.FOLDS.columns.names)


def list_people(rows: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """Return columns group and sex, a row per group of `rows`, sorted by group."""
    sex_of = {row["group"]: row["sex"] for row in rows}
    return pd.DataFrame(sorted(sex_of.items()), columns=["group", "sex"])


def select_members(
    clips: pd.DataFrame, folds: pd.DataFrame, *, fold: int, role: str, with_apart: bool = False
) -> pd.DataFrame:
    """Return the clips of one role in one fold; those with a duplicate on the training side only if `with_apart`."""
    groups = folds.group[(folds.fold == fold) & (folds.role == role)]
    chosen = clips[clips.group.isin(groups)]
    return chosen if with_apart else chosen[~chosen.apart]


def hold_out(folds: pd.DataFrame, sex_of: Mapping[str, str], n_people: int, *, corpus: str) -> pd.DataFrame:
    """Return FOLDS in which `n_people` of every fold validate: the first men and women after its test block, in turn.

    Two people are a noisy guide to an epoch and a learning rate.

    Raises
    ------
    CorpusError : in a fold, fewer people than validate would be left to train on.
    """
    tested = folds[folds.role == "test"].groupby("fold").group.agg(list).tolist()
    changed = []
    for k, (_, fold) in enumerate(folds.groupby("fold")):
        after = list(itertools.chain(*tested[k + 1 :], *tested[:k]))
        if len(after) < 2 * n_people:
            raise CorpusError(
                f"{corpus}: {n_people} people cannot validate fold {fold.name.iloc[0]}, of whose {len(fold)} people"
                f" {len(after)} are not tested; in params.yaml, validation.{corpus} can be up to {len(after) // 2}"
            )
        sexes = pd.Series([sex_of[person] for person in after], index=after)
        chosen = sexes.groupby(sexes).cumcount().sort_values(kind="stable").index[:n_people]
        role = fold.role.replace("validation", "training").mask(fold.group.isin(chosen), "validation")
        changed.append(fold.assign(role=role))
    return pd.concat(changed, ignore_index=True) if changed else folds


def choose_validation(after: Sequence[str], sex_of: Mapping[str, str]) -> list[str]:
    """Choose who validates among the people `after` a test block: the first man and the first woman, or one of few."""
    sexes = sorted({sex_of[person] for person in after}, reverse=True)  # male before female
    chosen = [next(person for person in after if sex_of[person] == sex) for sex in sexes][:2]
    return after[:1] if len(after) < FEW else chosen


def _make_folds(
    people: pd.DataFrame,
    n_folds: int,
    cut: Callable[[int], list[list[str]]],
    name: Callable[[int, list[str]], str],
    corpus: str,
) -> pd.DataFrame:
    """Test what `cut` gives for a number of folds, let some of those after a test block validate, train on the rest."""
    n_people = len(people)

    def leaves_enough(n: int) -> bool:  # one validates, one is trained on
        return all(n_people - len(block) >= 2 for block in cut(n))

    if not (2 <= n_folds <= n_people and leaves_enough(n_folds)):
        possible = [n for n in range(2, n_people + 1) if leaves_enough(n)]
        if not possible:
            raise TooFewPeople(
                f"{corpus}: {n_people} {'person is' if n_people == 1 else 'people are'} too few for testing, validation"
                f" and training; 3 are needed, found {_some(people.group)}"
            )
        raise CorpusError(
            f"{corpus}: {n_people} people cannot make {n_folds} folds; in params.yaml,"
            f" folds.{corpus} can be {possible[0]} to {possible[-1]}"
        )
    tested = cut(n_folds)
    sex_of = dict(zip(people.group, people.sex, strict=True))
    rows = []
    for fold, block in enumerate(tested):
        after = list(itertools.chain(*tested[fold + 1 :], *tested[:fold]))
        roles = dict.fromkeys(block, "test") | dict.fromkeys(choose_validation(after, sex_of), "validation")
        rows += [(fold, name(fold, block), group, roles.get(group, "training")) for group in sorted(sex_of)]
    return pd.DataFrame(rows, columns=tables.FOLDS.columns.names)


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
    if unknown := sorted(set(split.role) - set(ROLES)):
        raise CorpusError(f"{path}: role should be one of {', '.join(ROLES)}; found {_some(unknown)}")
    names = split.groupby("fold").name
    if (names.nunique() > 1).any() or names.first().duplicated().any() or (split.name == "").any():
        raise CorpusError(f"{path}: every fold needs a name of its own, the same in all of its rows")
    if (twice := split[split.duplicated(["fold", "group"])]).size:
        row = twice.iloc[0]
        raise CorpusError(f"{path}: {row.group} has two rows in fold {row['name']}; people have one role in a fold")
    tested = split.group[split.role == "test"]
    if again := sorted(tested[tested.duplicated()].unique()):
        raise CorpusError(f"{path}: tested in more than one fold: {_some(again)}; every clip is to be judged once")
    for name, roles in split.groupby("name").role:
        if missing := _missing(roles):
            raise CorpusError(f"{path}: fold {name} has nobody for {missing}; add the missing rows")
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
        if not (fold.role == "validation").any():  # some of the training people do, in order of choice
            trained = set(fold.group[fold.role == "training"])
            after = [person for block in (*tested[k + 1 :], *tested[:k], never) for person in block]
            chosen = choose_validation([person for person in after if person in trained], sex_of)
            fold = fold.assign(role=fold.role.mask(fold.group.isin(chosen), "validation"))
        if _missing(fold.role):
            raise CorpusError(f"{path}: {corpus} has too few people to validate and train in fold {k}; add people")
        folds.append(fold)
    return pd.concat(folds).sort_values(["fold", "group"], ignore_index=True), absent


def _missing(roles: pd.Series) -> str:
    """Return the first role that a fold cannot do without and that nobody has; empty if there is none."""
    return next((role for role in ("test", "training") if role not in set(roles)), "")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
