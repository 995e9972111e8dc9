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
from mien.evaluation.statistics import interval_of_mean, logit_t_interval, units_of

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
    "ccc",  # concordance correlation coefficient
    "ccc_low",
    "ccc_high",
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
    """Return the numbers of some rows of SAID; intervals are over folds, or over people (see `units_of`)."""
    weight = 1.0 / rows.groupby("fold")["clip"].transform("size").to_numpy()
    weight = weight / weight.sum()
    level, output = rows.label.to_numpy(float), rows.said.to_numpy(float)
    distance, of_constant = output - level, rows.constant.to_numpy(float) - level
    person, hit = units_of(rows.fold.to_numpy(str), rows.person.to_numpy(str)), rows.right.to_numpy(float)
    mae, mae_low, mae_high = _over_people(np.abs(distance), weight, person, interval_of_mean, confidence)
    ccc, ccc_low, ccc_high = concordance(level, output, weight, person, confidence)
    share = partial(logit_t_interval, n_clips=rows["clip"].nunique())
    right, right_low, right_high = _over_people(hit, weight, person, share, confidence)
    r, r_low, r_high = correlation(level, output, weight, person, confidence)
    squared = float(weight @ of_constant**2)
    return {
        **{"mae": mae, "mae_low": mae_low, "mae_high": mae_high, "constant": float(weight @ np.abs(of_constant))},
        **{"ccc": ccc, "ccc_low": ccc_low, "ccc_high": ccc_high},
        **{"r": r, "r_low": r_low, "r_high": r_high},
        "r2": 1.0 - float(weight @ distance**2) / squared if squared else math.nan,
        **{"right": right, "right_low": right_low, "right_high": right_high},
        "commonest": float(max(weight[level == one].sum() for one in np.unique(level))),
        **{"n_clips": rows["clip"].nunique(), "n_actors": rows.person.nunique(), "n_seeds": rows.seed.nunique()},
    }


def correlation(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, person: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Return the weighted r (Pearson's) of x and y (N,) and its interval; NaN where one of them does not vary.

    The influence of a clip is that of Devlin, Gnanadesikan & Kettenring (1975).
    """
    zx, zy = _standardised(x, weight), _standardised(y, weight)
    r = float(weight @ (zx * zy))
    return r, *_on_fishers_scale(r, zx * zy - r * (zx**2 + zy**2) / 2, weight, person, confidence)


def concordance(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, person: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Return the weighted concordance correlation coefficient of x and y (N,) and its interval (Lin 1989).

    It is 2 cov / (var x + var y + (mean x - mean y)²): r, lowered by a wrong scale and a wrong offset. Where one of the
    two does not vary it is 0, without an interval; NaN where both are one and the same number.
    """
    if not (np.ptp(x) and np.ptp(y)):
        return 0.0 if (x != y).any() else math.nan, math.nan, math.nan
    product, squared = (x - weight @ x) * (y - weight @ y), (x - y) ** 2
    twice = 2 * float(weight @ product)
    whole = float(weight @ squared) + twice  # var x + var y + (mean x - mean y)²
    ccc = twice / whole
    influence = (2 * (1 - ccc) * product - ccc * squared) / whole
    return ccc, *_on_fishers_scale(ccc, influence, weight, person, confidence)


def _on_fishers_scale(
    r: float, influence: np.ndarray, weight: np.ndarray, person: np.ndarray, confidence: float
) -> tuple[float, float]:
    """Return the interval of a coefficient -1..1: Student's t over people on the scale of atanh r.

    influence : (N,) of every clip on r; its weighted mean is 0.
    """
    if not abs(r) < 1.0:  # or NaN
        return math.nan, math.nan
    _, low, high = _over_people(influence / (1 - r**2), weight, person, interval_of_mean, confidence)
    return math.tanh(math.atanh(r) + low), math.tanh(math.atanh(r) + high)


def _standardised(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return values (N,) with the weighted mean 0 and deviation 1; NaN where they do not vary."""
    centred = values - weight @ values
    deviation = math.sqrt(weight @ centred**2)
    return centred / deviation if np.ptp(values) else np.full(len(values), math.nan)


def _over_people(
    values: np.ndarray, weight: np.ndarray, person: np.ndarray, interval: Interval, confidence: float
) -> tuple[float, float, float]:
    """Return the weighted mean of values (N,) and its interval over people."""
    _, code = np.unique(person, return_inverse=True)
    weights, sums = np.bincount(code, weight), np.bincount(code, values * weight)
    low, high = interval(sums / weights, weights, confidence=confidence)
    return float(sums.sum()), low, high
