"""The multiclass support-vector machine of Crammer and Singer, solved by an interior-point method.

    min over W   1/2 |W|^2 + C sum_i max_m ( [m != y_i] + w_m . x_i - w_yi . x_i )

(Crammer & Singer 2001, J. Machine Learning Research 2, section 4) is the structural SVM with margin rescaling and 0/1
loss (Tsochantaridis et al. 2005, J. Machine Learning Research 6) whose outputs are the classes. A constant feature of 1
carries the bias, regularised like the other weights, as in liblinear.

liblinear (scikit-learn's LinearSVC) solves the same problem coordinate by coordinate. Where features are not
standardised and C is 10 or more it runs into its own limit of 100 000 rounds, which max_iter does not reach: 3 s for
114 samples of FP68 with C = 100. The Newton steps here take 0.03 s, and the duality gap tells whether the minimum is
reached.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

TOLERANCE = 1e-5  # of the duality gap relative to the objective
STEPS = 60  # Newton steps after which a fit counts as not converged; 10 to 25 are usual
_SHARE = 0.99  # of the way to the nearest bound that a step may go


@dataclass(frozen=True, eq=False)
class Solution:
    """The class of x is the place of the largest of x @ weights + bias."""

    weights: np.ndarray  # (D, C)
    bias: np.ndarray  # (C,)
    objective: float  # of the problem above at these weights
    gap: float  # how far at most that is above the minimum, as a share
    converged: bool


def solve(features: np.ndarray, labels: np.ndarray, *, cost: float, n_classes: int) -> Solution:
    """Minimise the objective by Mehrotra's predictor-corrector method on the dual problem

        min over a   1/2 |W(a)|^2 - sum_im a_im [m != y_i],   W(a) = sum_i x_i (C e_yi - a_i)^T,   a >= 0,  a_i . 1 = C

    with the multipliers z_im = u_i - w_m . x_i - [m != y_i] >= 0, where a_im z_im = 0 at the minimum.

    Parameters
    ----------
    features, labels : (N, D) finite; (N,) int in 0..n_classes-1, classes may be absent.
    cost : C > 0.
    """
    x = np.column_stack([features, np.ones(len(features))])
    axes = None
    if len(x) < x.shape[1]:  # W is a sum of samples: work in the N dimensions that they span
        axes, upper = np.linalg.qr(x.T)
        x = upper.T
    truth = np.eye(n_classes)[labels]  # (N, C)
    a = np.full(truth.shape, cost / n_classes)  # feasible, and every step keeps it so
    above = x @ (x.T @ (cost * truth - a)) + 1.0 - truth
    z = above.max(axis=1, keepdims=True) + 1.0 - above
    basis = _zero_sum_basis(n_classes)
    best = _evaluate(x, a, truth, cost)
    for _ in range(STEPS):
        try:
            a, z = _step(x, a, z, basis)
        except np.linalg.LinAlgError:  # a / z is beyond the sixteen digits of a number
            break
        a *= cost / a.sum(axis=1, keepdims=True)  # rounding errors do not add up
        best = min(best, _evaluate(x, a, truth, cost), key=lambda found: found[2])
        if best[2] <= TOLERANCE:
            break
    weights, objective, gap = best
    weights = weights if axes is None else axes @ weights
    return Solution(weights[:-1], weights[-1], objective, gap, gap <= TOLERANCE)


def _evaluate(x: np.ndarray, a: np.ndarray, truth: np.ndarray, cost: float) -> tuple[np.ndarray, float, float]:
    """Return the weights of `a`, the objective there, and its distance from the dual's value as a share of it."""
    weights = x.T @ (cost * truth - a)  # (D, C)
    scores = x @ weights
    hinge = (scores + 1.0 - truth).max(axis=1) - (scores * truth).sum(axis=1)
    norm = 0.5 * (weights**2).sum()
    objective = norm + cost * hinge.sum()
    dual = (a * (1.0 - truth)).sum() - norm
    return weights, float(objective), float((objective - dual) / objective)


def _step(x: np.ndarray, a: np.ndarray, z: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (a, z) after one predictor-corrector step (Nocedal & Wright 2006, algorithm 14.3)."""
    ratio = a / z
    factor = _factorise(x, ratio, basis)
    gap = (a * z).sum()
    da, dz = _newton(x, -a, ratio, factor, basis)
    length = _reach(a, da, z, dz)
    left = ((a + length * da) * (z + length * dz)).sum() / gap
    centre = left**3 * gap / a.size
    da, dz = _newton(x, (centre - da * dz) / z - a, ratio, factor, basis)
    length = min(1.0, _SHARE * _reach(a, da, z, dz))
    return a + length * da, z + length * dz


def _newton(
    x: np.ndarray, q: np.ndarray, ratio: np.ndarray, factor: tuple, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Solve da + ratio dz = q, dz = du 1^T - x dW, dW = -x^T da, da . 1 = 0 for (da, dz), all (N, C).

    Only dW needs a system of equations: C - 1 unknowns per feature, because the classes' weights sum to zero.
    """
    total = ratio.sum(axis=1, keepdims=True)
    right = -x.T @ (q - ratio * (q.sum(axis=1, keepdims=True) / total)) @ basis  # (D, C-1)
    solved = cho_solve(factor, right.T.ravel(), check_finite=False).reshape(right.T.shape)
    moved = x @ solved.T @ basis.T  # (N, C)
    du = (q.sum(axis=1, keepdims=True) + (ratio * moved).sum(axis=1, keepdims=True)) / total
    dz = du - moved
    return q - ratio * dz, dz


def _factorise(x: np.ndarray, ratio: np.ndarray, basis: np.ndarray) -> tuple:
    """Return the Cholesky factor of I + sum_i (B^T P_i B) x x_i x_i^T, P_i = diag(r_i) - r_i r_i^T / (r_i . 1)."""
    n_features, n_axes = x.shape[1], basis.shape[1]
    first, second = np.triu_indices(len(basis), 1)
    pairs = ratio[:, first] * ratio[:, second] / ratio.sum(axis=1, keepdims=True)  # P without a difference: it stays
    edges = basis[first] - basis[second]  # positive however far apart the ratios are
    mixed = np.einsum("np,pk,pl->nkl", pairs, edges, edges, optimize=True)  # (N, C-1, C-1)
    system = np.empty((n_axes * n_features, n_axes * n_features), order="F")
    blocks = [slice(k * n_features, (k + 1) * n_features) for k in range(n_axes)]
    for k in range(n_axes):
        for other in range(k + 1):  # the lower triangle is all that is read
            system[blocks[k], blocks[other]] = (x * mixed[:, k, other, None]).T @ x
    system[np.diag_indices(len(system))] += 1.0
    return cho_factor(system, lower=True, overwrite_a=True, check_finite=False)


def _reach(a: np.ndarray, da: np.ndarray, z: np.ndarray, dz: np.ndarray) -> float:
    """Return the largest length up to 1 of a step that keeps a and z from turning negative."""
    fall = max((-da / a).max(), (-dz / z).max(), 1.0)
    return float(1.0 / fall)


def _zero_sum_basis(n_classes: int) -> np.ndarray:
    """Return (C, C-1) orthonormal columns that are orthogonal to the vector of ones."""
    return np.linalg.svd(np.ones((1, n_classes)))[2][1:].T
