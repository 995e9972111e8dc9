"""Compare the batched fit of Candide-3 with scipy.optimize.least_squares, face by face, on one core.

    python benchmarks/candide_fit.py [--faces 1000] [--many 10000] [--seed 0] [--ridge 1.0e-3]

Random faces: the eight action units from a normal distribution of 0.5, heads turned up to 45 degrees, noise of 0.01
model units on the 35 points. Both solvers minimise the same sum (eq. 21) from the same initial values; a pair agrees
when the minima differ by less than 1e-6, relatively.
"""

import argparse
import os
import time

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from scipy.optimize import least_squares

from mien.candide.lm import Model, fit
from mien.candide.mesh import ACTIONS, VERTICES, load_mesh
from mien.candide.pose import project, rotation_matrix
from mien.io.randomness import rng_for

VERTEX = list(VERTICES["printed"])
REST = load_mesh().vertices[VERTEX]
UNITS = load_mesh().action_units[list(ACTIONS)][:, VERTEX]
EVALUATIONS, TOLERANCE = 100, 1e-8
SAME = 1e-6  # relative difference of two minima that are the same


def make_faces(n_faces: int, seed: int) -> np.ndarray:
    """Return (n_faces, 35, 2) px, y down."""
    rng = rng_for(seed, "benchmark")
    scale, origin = rng.uniform(40, 200, n_faces), rng.uniform(100, 500, (n_faces, 2))
    rotation = np.deg2rad(rng.uniform(-1, 1, (n_faces, 3)) * [20, 45, 15])
    vertices = REST + np.tensordot(rng.normal(0, 0.5, (n_faces, len(UNITS))), UNITS, axes=1)
    points = project(vertices, rotation_matrix(rotation), scale, origin)
    return points + 0.01 * scale[:, None, None] * rng.normal(size=points.shape)


def fit_with_scipy(points: np.ndarray, ridge: float) -> tuple[float, int]:
    """Minimise eq. 21 for one face (35, 2); return the sum and the evaluations.

    MINPACK's Levenberg-Marquardt with differences for the Jacobian and the tolerances of 1e-8, all as least_squares
    offers them.
    """
    face = points * [1, -1]
    middle, centred = face.mean(axis=0), REST[:, :2] - REST[:, :2].mean(axis=0)
    first = ((face - middle) * centred).sum() / (centred**2).sum()  # eq. 18

    def residuals(x):
        vertices = REST + np.tensordot(x[6:], UNITS, axes=1)
        seen = x[0] * (vertices @ rotation_matrix(x[1:4])[:2].T) + x[4:6]
        return np.concatenate([((seen - face) / first).ravel(), np.sqrt(ridge) * x[6:]])

    start = np.concatenate([[first], [1e-3] * 3, middle - first * REST[:, :2].mean(axis=0), np.zeros(len(UNITS))])
    found = least_squares(residuals, start, method="lm", x_scale="jac")
    return 2.0 * found.cost, found.nfev


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=1000, help="faces that both solvers fit")
    parser.add_argument("--many", type=int, default=10000, help="faces for the throughput of the batched fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ridge", type=float, default=1e-3)
    args = parser.parse_args()
    model = Model(REST, UNITS)
    options = {"ridge": args.ridge, "evaluations": EVALUATIONS, "tolerance": TOLERANCE}
    points = make_faces(args.faces, args.seed)
    fit(model, points[:10], **options)  # the first call loads libraries

    started = time.perf_counter()
    ours = fit(model, points, **options)
    our_rate = args.faces / (time.perf_counter() - started)
    started = time.perf_counter()
    theirs = np.array([fit_with_scipy(face, args.ridge) for face in points])
    their_rate = args.faces / (time.perf_counter() - started)
    many = make_faces(args.many, args.seed + 1)
    started = time.perf_counter()
    converged = fit(model, many, **options).converged.mean()
    many_rate = args.many / (time.perf_counter() - started)

    difference = ours.cost / theirs[:, 0] - 1.0
    print(f"{args.faces} random faces, ridge {args.ridge:g}, seed {args.seed}, one core")
    print(f"same minimum    {np.mean(np.abs(difference) < SAME):7.2%} within {SAME:g}", end="")
    print(f" (ours lower {np.mean(difference < -SAME):.2%}, higher {np.mean(difference > SAME):.2%})")
    print(f"batched fit     {our_rate:7.0f} faces/s, converged {ours.converged.mean():.2%}", end="")
    print(f", steps: mean {ours.iterations.mean():.1f}, most {ours.iterations.max()}")
    print(
        f"least_squares   {their_rate:7.0f} faces/s, evaluations without the Jacobian's: mean {theirs[:, 1].mean():.1f}"
    )
    print(f"ratio           {our_rate / their_rate:7.0f}")
    print(f"{args.many} at once {many_rate:9.0f} faces/s, converged {converged:.2%}")


if __name__ == "__main__":
    main()
