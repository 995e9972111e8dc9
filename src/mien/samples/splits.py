"""Random divisions of the training people: a share of them validates, the others are learnt from."""

import warnings

import numpy as np
import pandas as pd

from mien.core import tables
from mien.core.errors import ConfigError
from mien.core.rng import rng_for, seed_for
from mien.samples.face4 import FACE4


def divide(training: pd.DataFrame, *, n_splits: int, share: float, seed: int, scope: str) -> pd.DataFrame:
    """Return FOLDS: for every split the people of `training` with the role training or validation.

    People are dealt to round(1 / share) folds of similar class frequencies (`StratifiedGroupKFold`), of which one that
    is drawn at random validates: the first always gets the person with the most uneven classes.

    Parameters
    ----------
    training : rows of SAMPLES, columns person and label.
    scope : name of the stream of random numbers.

    Raises
    ------
    ConfigError : there are fewer than two people, or no division leaves every class to learn from.
    """
    training = training.sort_values(["person", "clip"])
    people = training.person.unique()  # sorted
    if len(people) < 2:
        raise ConfigError(
            f"cross.train: {len(people)} people with the four emotions cannot be divided into training and validation;"
            " add a corpus to cross.train, or actors to its corpus"
        )
    rows = []
    for split in range(n_splits):
        chosen = _validating(training, min(round(1 / share), len(people)), seed, (scope, split))
        roles = np.where(np.isin(people, chosen), "validation", "training")
        rows += [(split, f"split {split + 1}", person, role) for person, role in zip(people, roles, strict=True)]
    return pd.DataFrame(rows, columns=tables.FOLDS.columns.names)


def _validating(training: pd.DataFrame, n_folds: int, seed: int, scope: tuple) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    person, label = training.person.to_numpy(), training.label.to_numpy()
    folds = []
    if n_folds <= np.bincount(label).max():
        folder = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed_for(seed, "split", *scope) % 2**32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # what matters is checked below
            folds = list(folder.split(label, label, person))
    for k in rng_for(seed, "validating fold", *scope).permutation(len(folds)):
        learnt, held = folds[k]
        if len(held) and len(np.unique(label[learnt])) == len(FACE4):
            return np.unique(person[held])
    people = training.groupby("label").person.nunique()
    counts = ", ".join(f"{name} of {people.get(k, 0)}" for k, name in enumerate(FACE4))
    raise ConfigError(
        f"cross.validation: split {scope[-1] + 1} would leave no {'/'.join(_rare(people))} to learn from (people:"
        f" {counts}); lower cross.validation, or add a corpus to cross.train or actors to its corpus"
    )


def _rare(people: pd.Series) -> list[str]:
    return [FACE4[k] for k in people.index[people == people.min()]]
