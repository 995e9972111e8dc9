"""How well networks say how strongly an emotion is acted, against saying the same of every clip.

Levels are numbers (`config.labels`). What is compared with is the mean level of the training clips, said of every test
clip: nobody looks, and the squared distance of no other constant would be smaller on the training clips.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from mien.evaluation.runs import Run
from mien.evaluation.statistics import interval_of_mean, interval_of_share, units_of

Interval = Callable[..., tuple[float, float]]  # values and weights of people, confidence -> low and high

MEAN = "mean"
SAID = ["variant", "head", "fold", "seed", "selection", "clip", "person", "label", "said", "right", "constant"]
COLUMNS = [  # a row per variant, head and fold, and one per variant, head and "mean"; levels, shares 0..1
    "variant",
    "head",
    "fold",
    "mae",  # mean absolute error
    "mae_low",
    "mae_high",
    "constant",  # mean absolute error of the training people's mean level
    "r",  # Pearson's
    "r_low",
    "r_high",
    "r2",  # share by which the mean squared distance is below that of the training people's mean level
    "right",  # clips whose level is the nearest one
    "right_low",
    "right_high",
    "commonest",  # clips of the commonest level
    "n_clips",
    "n_actors",
    "n_seeds",
]


def said(runs: Iterable[Run]) -> pd.DataFrame:
    """Return SAID of trained runs of intensity, a row per test clip, seed, selection and head, in a fixed order."""
    frames = [pd.DataFrame(columns=SAID)]
    for run in runs:
        if not run.trained:
            continue
        rows = run.predictions()
        rows = rows[rows.role == "test"]
        frames.append(
            rows.assign(
                variant=run.variant,
                fold=run.fold_name,
                seed=run.seed,
                person=rows.actor.where(rows.actor != "", rows["clip"]),
                said=np.stack(rows.logits)[:, 0].astype(np.float64),
                right=(rows.predicted == rows.label).astype(np.float64),
                constant=float(run.record["training_mean"]),
            )[SAID]
        )
    joined = pd.concat(frames[1:] or frames, ignore_index=True)
    return joined.sort_values(["variant", "head", "selection", "fold", "seed", "clip"], ignore_index=True)


def compare(rows: pd.DataFrame, *, confidence: float) -> pd.DataFrame:
    """Return COLUMNS of SAID of one selection.

    In the row "mean" every fold weighs the same, whatever its number of clips; seeds are averaged within a fold.
    """
    cells = []
    for (variant, head), part in rows.groupby(["variant", "head"], sort=False):
        for fold, own in part.groupby("fold", sort=False):
            cells.append({"variant": variant, "head": head, "fold": fold} | measures(own, confidence=confidence))
        cells.append({"variant": variant, "head": head, "fold": MEAN} | measures(part, confidence=confidence))
    return pd.DataFrame(cells, columns=COLUMNS)


def measures(rows: pd.DataFrame, *, confidence: float) -> dict[str, float]:
    """Return the numbers of some rows of SAID; intervals are over folds, or over people (see `units_of`).

    The interval of r is Student's t on Fisher's scale, atanh r, with the influence of every clip on r summed up by
    person: z_x z_y - r (z_x² + z_y²) / 2 (Devlin, Gnanadesikan & Kettenring 1975).
    """
    weight = 1.0 / rows.groupby("fold")["clip"].transform("size").to_numpy()
    weight = weight / weight.sum()
    level, output = rows.label.to_numpy(float), rows.said.to_numpy(float)
    distance, of_constant = output - level, rows.constant.to_numpy(float) - level
    person, hit = units_of(rows.fold.to_numpy(str), rows.person.to_numpy(str)), rows.right.to_numpy(float)
    mae, mae_low, mae_high = _over_people(np.abs(distance), weight, person, interval_of_mean, confidence)
    share = partial(interval_of_share, n_clips=rows["clip"].nunique())
    right, right_low, right_high = _over_people(hit, weight, person, share, confidence)
    r, r_low, r_high = correlation(level, output, weight, person, confidence)
    squared = float(weight @ of_constant**2)
    return {
        **{"mae": mae, "mae_low": mae_low, "mae_high": mae_high, "constant": float(weight @ np.abs(of_constant))},
        **{"r": r, "r_low": r_low, "r_high": r_high},
        "r2": 1.0 - float(weight @ distance**2) / squared if squared else math.nan,
        **{"right": right, "right_low": right_low, "right_high": right_high},
        "commonest": float(max(weight[level == one].sum() for one in np.unique(level))),
        **{"n_clips": rows["clip"].nunique(), "n_actors": rows.person.nunique(), "n_seeds": rows.seed.nunique()},
    }


def correlation(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, person: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Return the weighted r of x and y (N,) and its interval; NaN where one of them does not vary."""
    zx, zy = _standardised(x, weight), _standardised(y, weight)
    r = float(weight @ (zx * zy))
    if not abs(r) < 1.0:  # or NaN
        return r, math.nan, math.nan
    influence = (zx * zy - r * (zx**2 + zy**2) / 2) / (1 - r**2)  # on atanh r; its mean is 0
    _, low, high = _over_people(influence, weight, person, interval_of_mean, confidence)
    return r, math.tanh(math.atanh(r) + low), math.tanh(math.atanh(r) + high)


def _standardised(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return values (N,) with the weighted mean 0 and deviation 1; NaN where they do not vary."""
    centred = values - weight @ values
    deviation = math.sqrt(weight @ centred**2)
    return centred / deviation if deviation > 0 else np.full(len(values), math.nan)


def _over_people(
    values: np.ndarray, weight: np.ndarray, person: np.ndarray, interval: Interval, confidence: float
) -> tuple[float, float, float]:
    """Return the weighted mean of values (N,) and its interval over people."""
    _, code = np.unique(person, return_inverse=True)
    weights, sums = np.bincount(code, weight), np.bincount(code, values * weight)
    low, high = interval(sums / weights, weights, confidence=confidence)
    return float(sums.sum()), low, high
