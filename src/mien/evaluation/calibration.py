"""Whether a network is as sure as it is right, what it gains by staying silent, and what raters perceived.

Logits (N, C), labels (N,), probabilities (N, C); the confidence of a judgement is the probability of its class, the
largest one. NaN where there is nothing to go by.

- Calibration: temperature and calibration error (Guo et al. 2017, On calibration of modern neural networks).
- Risk and coverage, where the least sure clips are left out (Geifman & El-Yaniv 2017, Selective classification).
- Perceived labels: of classes with equally many votes, the most of a clip, each is its perceived label with an equal
  share, so that no clip is left out; what counts is the chance of a label that is drawn among them.
- Conditions under which a trained network is asked again: as it was, disturbed, or without a modality.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mien.config.schema import TrustConfig

BINS = 15  # of the calibration error of a network, as in Guo et al. 2017
LIMITS = (0.05, 20.0)  # of a temperature; where it ends at one of them, the validation people are too few or too easy

JUDGED_BY = {  # what a network uses -> how the raters met the clip
    frozenset({"audio"}): "voice",
    frozenset({"video"}): "face",
    frozenset({"video", "audio"}): "multimodal",
}
CLEAN = "clean"


def fit_temperature(logits: np.ndarray, label: np.ndarray) -> float:
    """Return the temperature T that makes the mean cross-entropy of softmax(logits / T) smallest; NaN without clips.

    1 where all clips are judged right, because any smaller temperature would be better still.

    The cross-entropy is convex in 1 / T, so it has one valley in log T, where it is searched within `LIMITS`.
    """
    if not len(label):
        return math.nan
    if (logits.argmax(axis=1) == label).all():
        return 1.0  # without a mistake, the surer the better: nothing to be fitted

    def loss(log_temperature: float) -> float:
        return float(cross_entropies(logits / math.exp(log_temperature), label).mean())

    found = minimize_scalar(loss, bounds=tuple(map(math.log, LIMITS)), method="bounded", options={"xatol": 1e-6})
    return float(math.exp(found.x))


def at_limit(temperature: float) -> bool:
    """Say whether a fitted temperature lies at one of the `LIMITS`, so that the data set no bound."""
    return any(math.isclose(temperature, limit, rel_tol=1e-3) for limit in LIMITS)


def probabilities(logits: np.ndarray, temperature: float | np.ndarray = 1.0) -> np.ndarray:
    """Return softmax(logits / T), (N, C) float64; a temperature for all clips, or (N,) one for each."""
    return softmax(logits.astype(np.float64) / np.reshape(temperature, (-1, 1)), axis=1)


def cross_entropies(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood (N,) of every clip, nats."""
    return -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(label)), label]


def brier_scores(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the squared distance (N,) of the probabilities from the label as a corner of the simplex, 0..2."""
    return np.square(probability - np.eye(probability.shape[1])[label]).sum(axis=1)


def reliability(confidence: np.ndarray, hit: np.ndarray, *, bins: int) -> pd.DataFrame:
    """Return a row per bin of equal width that holds clips: bin, share of the clips, mean confidence, accuracy.

    confidence : (N,) 0..1.   hit : (N,) 1 where right.   bins : bin b holds confidences in (b / bins, (b + 1) / bins].
    """
    number = _bins_of(np.asarray(confidence), bins)
    rows = pd.DataFrame({"bin": number, "confidence": confidence, "accuracy": np.asarray(hit, dtype=float)})
    found = rows.groupby("bin").mean()
    return found.assign(share=rows.bin.value_counts(normalize=True).sort_index()).reset_index()


def calibration_error(confidence: np.ndarray, hit: np.ndarray, *, bins: int) -> float:
    """Return the expected calibration error: mean distance of accuracy and confidence in bins of equal width, 0..1."""
    if not len(confidence):
        return math.nan
    found = reliability(confidence, hit, bins=bins)
    return float((found.share * (found.accuracy - found.confidence).abs()).sum())


def ece_of_calibrated_model(
    confidence: np.ndarray, *, bins: int, resamples: int, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return mean and upper quantile of the calibration error that a perfectly calibrated network would show.

    The error of few clips is never zero, because every bin's accuracy is off by chance. Here every clip is right with
    exactly its confidence, again and again (Broecker & Smith 2007, Increasing the reliability of reliability diagrams);
    clips of one person count as independent.

    confidence : (N,) 0..1.   level : of the quantile, 0..1.
    """
    if not len(confidence):
        return math.nan, math.nan
    member = np.eye(bins)[_bins_of(confidence, bins)]  # (N, bins)
    surplus = (rng.random((resamples, len(confidence))) < confidence) - confidence  # (R, N) right less confident
    errors = np.abs(surplus @ member).sum(axis=1) / len(confidence)
    return float(errors.mean()), float(np.quantile(errors, level))


def _bins_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.ceil(confidence * bins).clip(1, bins).astype(int) - 1


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


def optimal_aurc(wrong: np.ndarray) -> float:
    """Return the `area` of a network with the same mistakes that is surer of every right clip than of a wrong one."""
    wrong = np.asarray(wrong, dtype=float)
    return area(1.0 - wrong, wrong)


def raters_of(modalities: Collection[str]) -> str:
    """Return how raters met what a network of these modalities is given; action units are seen in the face."""
    seen = {"video" if modality == "units" else modality for modality in modalities}
    return JUDGED_BY[frozenset(seen)]


def perceived(counts: np.ndarray) -> np.ndarray:
    """Return (N, C) shares of the perceived label: 1 at the class of most votes, divided among equals.

    counts : (N, C) votes, at least one of every clip.
    """
    top = counts == counts.max(axis=1, keepdims=True)
    return top / top.sum(axis=1, keepdims=True)


def share_at(shares: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return of (N, C) shares those (N,) at one class of every row."""
    return shares[np.arange(len(classes)), classes]


@dataclass(frozen=True)
class Condition:
    """One condition: what is done to which modality, and how much of it."""

    name: str
    modality: str = ""  # that is disturbed or taken away
    kind: Literal["clean", "missing", "noise", "telephone", "blur", "light"] = "clean"
    amount: float = 0.0  # dB, grey levels, px, or factor of the brightness

    def concerns(self, modalities: Collection[str]) -> bool:
        """Say whether a network of these modalities can tell: nothing is left of it where its only one is missing."""
        if self.kind == "missing":
            return self.modality in modalities and len(modalities) > 1
        return not self.modality or self.modality in modalities


def conditions(config: TrustConfig) -> list[Condition]:
    """Return all conditions, in the order of a page."""
    return [
        Condition(CLEAN),
        *(Condition(f"without {modality}", modality, "missing") for modality in ("video", "audio")),
        *(Condition(f"voice, noise at {db:g} dB", "audio", "noise", db) for db in config.noise_db),
        Condition("voice by telephone", "audio", "telephone"),
        *(Condition(f"picture, noise of {sd:g}", "video", "noise", sd) for sd in config.picture_noise),
        *(Condition(f"picture, blur of {px:g} px", "video", "blur", px) for px in config.blur_px),
        *(Condition(f"picture, light x {factor:g}", "video", "light", factor) for factor in config.light),
    ]
