"""What a network gains by staying silent where it is unsure (Geifman & El-Yaniv 2017, Selective classification)."""

import numpy as np
import pandas as pd


def risk_coverage(confidence: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage (N,), 1 / N to 1, and risk (N,): the share of wrong ones among the clips that it is surest of.

    confidence : (N,).   wrong : (N,) 1 where wrong. Clips of equal confidence come in any order, so each of them counts
    with the mean of all of them.
    """
    rows = pd.DataFrame({"confidence": confidence, "wrong": np.asarray(wrong, dtype=float)})
    rows["wrong"] = rows.groupby("confidence").wrong.transform("mean")
    ordered = rows.sort_values("confidence", ascending=False, kind="stable").wrong.to_numpy()
    n_judged = np.arange(1, len(ordered) + 1)
    return n_judged / len(ordered), np.cumsum(ordered) / n_judged


def area(confidence: np.ndarray, wrong: np.ndarray) -> float:
    """Return the mean of the risk over all coverages (AURC; Geifman, Uziel & El-Yaniv 2019); NaN without clips."""
    return float(risk_coverage(confidence, wrong)[1].mean()) if len(confidence) else float("nan")


def least_area(wrong: np.ndarray) -> float:
    """Return the `area` of a network with the same mistakes that is surer of every right clip than of a wrong one."""
    wrong = np.asarray(wrong, dtype=float)
    return area(1.0 - wrong, wrong)
