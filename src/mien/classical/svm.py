"""Support-vector machines on vectors; the hyper-parameters are searched among the training people only.

ssvm is the linear machine of `crammer_singer`; svm_poly has the kernel (gamma x.y + coef0)^degree, gamma = 1 / (d var),
and one machine per pair of classes, whose votes are weighed (scikit-learn's SVC).

`Fitted` is what every classifier without epochs gives back.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mien.classical.crammer_singer import solve


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier that has seen its training samples."""

    logits: Callable[[np.ndarray], np.ndarray]  # (N, ...) -> (N, C), larger where a class is likelier, within a row
    n_parameters: int  # how many numbers it keeps
    chosen: dict[str, Any] = field(default_factory=dict)  # hyper-parameter -> value
    search: dict[str, Any] = field(default_factory=dict)  # how they were chosen


N_CLASSES = 4
FOLDS = 5  # of the search
_COSTS = (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3)
GRIDS = {  # simplest first: of equally good points the first is taken
    "ssvm": [{"C": cost} for cost in _COSTS],
    # With coef0 1 a kernel holds all lower degrees; 0 was hardly ever chosen. Degree 1 would be the linear machine.
    "svm_poly": [
        {"C": cost, "degree": degree, "coef0": 1.0} for degree, cost in itertools.product((2, 3, 4, 5), _COSTS)
    ],
}
_MOST_STEPS = 1_000_000  # of libsvm, which needs some hundreds for features of any sensible scale


def fit_svm(
    features: np.ndarray, labels: np.ndarray, people: np.ndarray, *, model: str, standardise: bool, seed: int
) -> Fitted:
    """Choose the hyper-parameters, then fit all samples with them.

    The search counts the samples that are classified correctly in `FOLDS` folds of people, stratified by class, or in
    fewer where there are fewer people or pictures of a class; without two folds the simplest point is taken.

    Parameters
    ----------
    features, labels, people : (N, D) finite; (N,) int in 0..3, every class present; (N,) names.
    model : "ssvm" or "svm_poly".
    standardise : scale features by the mean and deviation of what is fitted.
    seed : of the folds.
    """
    grid = GRIDS[model]
    build = partial(_fit, model=model, standardise=standardise)
    correct, n_folds, n_judged, n_stuck = np.zeros(len(grid), int), 0, 0, 0
    for learnt, held in _folds(labels, people, seed):
        n_folds, n_judged = n_folds + 1, n_judged + len(held)
        for k, point in enumerate(grid):
            machine, converged = build(features[learnt], labels[learnt], point)
            correct[k] += (machine.logits(features[held]).argmax(axis=1) == labels[held]).sum()
            n_stuck += not converged
    best = int(correct.argmax())  # the first of equals
    machine, converged = build(features, labels, grid[best])
    search = {
        "points": len(grid),
        "folds": n_folds,
        "accuracy": float(correct[best] / n_judged) if n_judged else None,
        "not_converged": n_stuck,
        "converged": converged,
    }
    return Fitted(machine.logits, machine.n_parameters, grid[best], search)


def _fit(
    features: np.ndarray, labels: np.ndarray, point: dict, *, model: str, standardise: bool
) -> tuple[Fitted, bool]:
    """Return the machine of one point of the grid, and whether it converged."""
    mean, spread = np.zeros(features.shape[1]), np.ones(features.shape[1])
    if standardise:
        mean, spread = features.mean(axis=0), features.std(axis=0)
        spread[spread <= 1e-12 * np.abs(mean)] = 1.0  # a constant feature says nothing
    scaled = (features - mean) / spread
    if model == "ssvm":
        plane = solve(scaled, labels, cost=point["C"], n_classes=N_CLASSES)
        size = plane.weights.size + plane.bias.size
        return Fitted(lambda x: (x - mean) / spread @ plane.weights + plane.bias, size), plane.converged
    machine, size, converged = _poly(scaled, labels, point)
    return Fitted(lambda x: machine((x - mean) / spread), size), converged


def _poly(scaled: np.ndarray, labels: np.ndarray, point: dict) -> tuple:
    """Return (features -> (N, 4) decision values, size, converged); a class that was not seen gets -inf."""
    import sklearn
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    machine = SVC(kernel="poly", gamma="scale", max_iter=_MOST_STEPS, decision_function_shape="ovr", **point)
    lean = partial(sklearn.config_context, assume_finite=True, skip_parameter_validation=True)  # a quarter of the time
    with warnings.catch_warnings(), lean():
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted by the caller
        machine.fit(scaled, labels)

    def decide(x: np.ndarray) -> np.ndarray:
        values = np.full((len(x), N_CLASSES), -np.inf)
        with lean():
            found = machine.decision_function(x)
        values[:, machine.classes_] = found if found.ndim == 2 else np.column_stack([-found, found])
        return values

    size = machine.support_vectors_.size + machine.dual_coef_.size + machine.intercept_.size
    return decide, size, machine.fit_status_ == 0


def _folds(labels: np.ndarray, people: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows to learn from, rows to judge) of people; nothing where they do not make two folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    n_folds = min(FOLDS, len(np.unique(people)), np.bincount(labels).max())
    if n_folds < 2:
        return
    folder = StratifiedGroupKFold(int(n_folds), shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # rare classes are few, no more
        folds = list(folder.split(labels, labels, people))
    for learnt, held in folds:
        if len(held) and len(np.unique(labels[learnt])) >= 2:
            yield learnt, held
