"""Accuracy, UAR and macro-F1: scikit-learn's values, averaged over folds, and intervals that cover what they say."""

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from mien.evaluation.measures import columns, measure, percents
from mien.evaluation.metrics import MEASURES, linearise
from mien.evaluation.statistics import Folds, accuracy_ends
from mien.io.randomness import rng_for

N_CLASSES = 6


def judged(label, predicted, *, fold=0, seed=0, n_people=4) -> pd.DataFrame:
    clips = {"clip": range(len(label)), "actor": [f"{fold}-{k % n_people}" for k in range(len(label))]}
    given = {"fold": fold, "seed": seed, **clips, "apart": False}
    return pd.DataFrame(given | {"label": label, "predicted": predicted})


def draw(rng, n=60) -> tuple[np.ndarray, np.ndarray]:
    """Return (label, predicted) with unequal classes, all of which occur."""
    label = np.r_[np.arange(N_CLASSES), rng.integers(0, N_CLASSES, n) * (rng.random(n) < 0.6)]
    return label, np.where(rng.random(len(label)) < 0.5, label, rng.integers(0, N_CLASSES, len(label)))


def of_sklearn(label, predicted) -> list[float]:
    scores = accuracy_score(label, predicted), balanced_accuracy_score(label, predicted)
    return [*scores, f1_score(label, predicted, average="macro")]


def test_one_network_has_the_values_of_scikit_learn():
    rng = rng_for(0)
    for _ in range(20):
        label, predicted = draw(rng)
        found = measure(judged(label, predicted), confidence=0.95)
        assert [found[name].value for name in MEASURES] == pytest.approx(of_sklearn(label, predicted))
        assert all(0 < one.low < one.value < one.high < 1 for one in found.values())


def test_classes_that_do_not_occur_have_no_part():
    label, predicted = np.array([0, 0, 2, 2]), np.array([0, 2, 2, 5])
    found = measure(judged(label, predicted), confidence=0.95)
    assert found["uar"].value == 0.5
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert all(np.isnan(one.value) for one in measure(judged([], []), confidence=0.95).values())


def test_folds_weigh_the_same_and_seeds_are_averaged_within_them():
    rng = rng_for(1)
    (label, one), (other, two) = draw(rng), draw(rng, 20)
    again = rng.permutation(two)
    found = measure(
        pd.concat([judged(label, one), judged(other, two, fold=1), judged(other, again, fold=1, seed=1)]),
        confidence=0.95,
    )
    expected = np.array([of_sklearn(label, one), of_sklearn(other, two), of_sklearn(other, again)])
    assert [found[name].value for name in MEASURES] == pytest.approx([0.5, 0.25, 0.25] @ expected)
    assert found["uar"].n_people == 8


def test_a_clip_counts_by_what_its_absence_changes():
    """The influence of the jackknife, which leaves one clip out, is the linearised one but for terms of 1 / N²."""
    label, predicted = draw(rng_for(2), 2000)
    found, n, whole = linearise(label, predicted), len(label), np.array(of_sklearn(label, predicted))
    for k in (0, 7, 100):
        kept = np.arange(n) != k
        alone = n * whole - (n - 1) * np.array(of_sklearn(label[kept], predicted[kept]))
        assert [found[name][k] for name in MEASURES] == pytest.approx(alone, rel=0.02)


def test_columns_of_tables_are_percent():
    label, predicted = draw(rng_for(3))
    found = percents(measure(judged(label, predicted), confidence=0.95))
    assert list(found) == columns() == ["uar", "uar_low", "uar_high", "macro_f1", "macro_f1_low", "macro_f1_high"]
    assert found["uar"] == pytest.approx(100 * balanced_accuracy_score(label, predicted))


N_TABLES, N_FOLDS = 3000, 3


@pytest.mark.parametrize(("per_fold", "mean"), [(2, 0.4), (4, 2.2)])
def test_intervals_of_uar_and_f1_hold_those_of_all_people(per_fold, mean):
    """People differ in how well, and in which of their emotions, they are told; wrong answers lean to low classes."""
    rng = rng_for(4, "people", per_fold, mean)
    own = np.repeat(np.arange(N_CLASSES), [4, 8, 8, 8, 8, 8])
    label = np.tile(own, per_fold)

    def say(n: int) -> np.ndarray:
        """Return (n, N) what is said of the clips of n folds."""
        shape = (n * per_fold, len(own))
        odds = mean + 0.5 * rng.normal(size=(shape[0], 1)) + 0.5 * rng.normal(size=(shape[0], N_CLASSES))
        wrong = rng.gumbel(size=(*shape, N_CLASSES)) - 0.3 * np.arange(N_CLASSES)
        wrong[:, np.arange(len(own)), own] = -np.inf
        return np.where(rng.random(shape) < special.expit(odds)[:, own], own, wrong.argmax(axis=2)).reshape(n, -1)

    truth = dict(zip(MEASURES, shares(label, say(4000)).mean(axis=1), strict=True))
    said = say(N_TABLES * N_FOLDS)
    means = shares(label, said).reshape(-1, N_TABLES, N_FOLDS)
    for name, by_fold in zip(MEASURES, means, strict=True):
        error, df = Folds(by_fold, [], [], np.zeros_like(by_fold)).error()
        n_clips = N_FOLDS * len(label)
        tables = zip(by_fold.mean(axis=-1).tolist(), error.tolist(), df.tolist(), strict=True)
        ends = [accuracy_ends(*one, n_clips, 0.95) for one in tables]
        assert 0.93 <= np.mean([low <= truth[name] <= high for low, high in ends]) <= 0.97, name
        first = [judged(label, one, fold=k, n_people=per_fold) for k, one in enumerate(said[:N_FOLDS])]
        found = measure(pd.concat(first), confidence=0.95)[name]  # the page's own way, of the first table
        assert (found.value, found.low, found.high) == pytest.approx((by_fold[0].mean(), *ends[0]))


def shares(label: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Return (3, n) MEASURES of n networks that say `said` (n, N) of clips of `label` (N,)."""
    hit = said == label
    right = np.stack([hit[:, label == k].sum(axis=1) for k in range(N_CLASSES)], axis=1)  # (n, C)
    named = np.stack([(said == k).sum(axis=1) for k in range(N_CLASSES)], axis=1)
    n_true = np.bincount(label, minlength=N_CLASSES)
    return np.stack([hit.mean(axis=1), (right / n_true).mean(axis=1), (2 * right / (n_true + named)).mean(axis=1)])
