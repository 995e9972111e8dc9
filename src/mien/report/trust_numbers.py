"""Every number of the page "trust", a row each, before it is laid out and drawn."""

import math

import numpy as np
import pandas as pd

from mien.core.levels import LEVELS
from mien.evaluation import selective
from mien.evaluation.calibration import (
    at_limit,
    brier_scores,
    calibration_error,
    cross_entropies,
    error_by_chance,
    probabilities,
    reliability,
)
from mien.evaluation.conditions import CLEAN, conditions
from mien.evaluation.streams import Estimate
from mien.evaluation.votes import perceived, raters_of, share_at
from mien.report.trust import Trust
from mien.report.trust_table import COLUMNS, GROUPS, STATES

COVERAGES = range(5, 101, 5)  # percent
_UNKNOWN = Estimate(math.nan, math.nan, math.nan, 0, 0)


def numbers(trust: Trust) -> pd.DataFrame:
    """Return COLUMNS of everything that the page of a corpus states and its figures show."""
    rows = []
    for network in trust.networks:
        parts = [*_calibration(trust, network), *_coverage(trust, network), *_temperatures(trust, network)]
        parts += [*_groups(trust, network), *_conditions(trust, network), *_labels(trust, network)]
        rows += [{"network": network} | row for row in parts]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(part: str, item: str, quantity: str, found: Estimate, *, factor: float = 100.0, at: float = math.nan) -> dict:
    values = {"value": factor * found.value, "low": factor * found.low, "high": factor * found.high}
    counts = {"n_clips": found.n_clips, "n_people": found.n_people}
    return {"part": part, "item": item, "at": at, "quantity": quantity} | values | counts


def _exact(value: float, rows: pd.DataFrame, *, high: float = math.nan) -> Estimate:
    """Return a number without an interval, or with an upper limit only."""
    return Estimate(value, math.nan, high, rows["clip"].nunique(), rows.actor.nunique())


def _calibration(trust: Trust, network: str) -> list[dict]:
    rows = trust.of(network)
    found = [_row("calibration", "", "accuracy", trust.share(rows, rows.hit.to_numpy()))]
    for state in STATES:
        if rows.empty or (state == "after" and rows.temperature.isna().any()):
            quantities = ("confidence", "ece", "ece_by_chance", "nll", "brier")
            found += [_row("calibration", state, quantity, _UNKNOWN) for quantity in quantities]
            continue
        scaled = _scaled(rows, state)
        found += [_row("calibration", state, *one) for one in _sureness(trust, rows, scaled, network, state)]
        for name, values in (
            ("nll", cross_entropies(scaled, rows.label.to_numpy())),
            ("brier", brier_scores(probabilities(scaled), rows.label.to_numpy())),
        ):
            mean = trust.mean(rows, values)
            found.append(_row("calibration", state, name, mean, factor=1.0))
        found += _bins(trust, rows, scaled, state)
    return found


def _scaled(rows: pd.DataFrame, state: str) -> np.ndarray:
    """Return logits (N, C) divided by the temperature of their network, or as they are."""
    logits = np.stack(rows.logits).astype(np.float64)
    return logits / rows.temperature.to_numpy()[:, None] if state == "after" else logits


def _sureness(
    trust: Trust, rows: pd.DataFrame, scaled: np.ndarray, network: str, state: str
) -> list[tuple[str, Estimate]]:
    """Return mean confidence, calibration error, and the error that chance alone makes."""
    confidence = pd.Series(probabilities(scaled).max(axis=1), index=rows.index)
    parts = [(confidence[part.index].to_numpy(), part.hit.to_numpy()) for _, part in rows.groupby("seed")]
    rng, evaluate, bins = trust.rng(network, "calibration", state, "chance"), trust.evaluate, trust.trust.bins
    chances = [
        error_by_chance(sure, bins=bins, resamples=evaluate.resamples, level=evaluate.confidence, rng=rng)
        for sure, _ in parts  # repetitions judge the same clips: more of them leave less to chance only on average
    ]
    mean = trust.share(rows, confidence.to_numpy())
    error = float(np.mean([calibration_error(sure, hit, bins=bins) for sure, hit in parts]))
    chance, limit = (float(value) for value in np.mean(chances, axis=0))
    return [
        ("confidence", mean),
        ("ece", _exact(error, rows)),
        ("ece_by_chance", _exact(chance, rows, high=limit)),
    ]


def _bins(trust: Trust, rows: pd.DataFrame, scaled: np.ndarray, state: str) -> list[dict]:
    table = reliability(probabilities(scaled).max(axis=1), rows.hit.to_numpy(), bins=trust.trust.bins)
    return [
        _row("reliability", state, quantity, _exact(getattr(one, quantity), rows), at=one.bin)
        for one in table.itertuples()
        for quantity in ("confidence", "accuracy", "share")
    ]


def _coverage(trust: Trust, network: str) -> list[dict]:
    """Return accuracy by the share of clips that are judged, the surest ones; temperatures order the folds' clips."""
    rows = trust.of(network)
    if rows.empty:
        return []
    fitted = not any(math.isnan(value) or at_limit(value) for value in rows.temperature.unique())
    confidence = probabilities(_scaled(rows, "after" if fitted else "before")).max(axis=1)
    wrong = 1.0 - rows.hit.to_numpy()
    _, risk = selective.risk_coverage(confidence, wrong)
    areas = {
        "aurc": selective.area(confidence, wrong),
        "aurc_least": selective.least_area(wrong),
        "aurc_random": float(wrong.mean()),
    }
    found = [_row("coverage", "", name, _exact(value, rows)) for name, value in areas.items()]
    for percent in COVERAGES:
        last = math.ceil(len(risk) * percent / 100) - 1
        found.append(_row("coverage", "", "accuracy", _exact(1.0 - risk[last], rows), at=percent))
    return found


def _temperatures(trust: Trust, network: str) -> list[dict]:
    fitted = trust.temperatures[trust.temperatures.network == network]
    return [
        _row(
            "temperature",
            f"{one.fold_name}, seed {one.seed}",
            "temperature",
            Estimate(one.temperature, math.nan, math.nan, one.n_clips, 0),
            factor=1.0,
        )
        for one in fitted.itertuples()
    ]


def _groups(trust: Trust, network: str) -> list[dict]:
    rows = trust.of(network)
    rows = rows.join(trust.clips[list(GROUPS)], on="clip")
    found = []
    for group in GROUPS:
        chosen = graded(rows) if group == "intensity" else rows
        words = LEVELS.get(trust.corpus, ()) if group == "intensity" else ()
        known = chosen[chosen[group] != ""].groupby(group)
        for item, part in sorted(known, key=lambda one: (words.index(one[0]) if one[0] in words else -1, one[0])):
            mean = trust.share(part, part.hit.to_numpy())
            found.append(_row(group, item, "accuracy", mean))
    return found


def graded(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose emotion is acted in more than one intensity with their statement.

    A neutral clip has no strong counterpart; to count it as normal would compare emotions, not intensities.
    """
    n_levels = rows.groupby(["label", "statement"]).intensity.transform("nunique")
    return rows[n_levels > 1]


def _conditions(trust: Trust, network: str) -> list[dict]:
    keys = ["fold", "seed", "clip"]
    clean = trust.of(network).set_index(keys).hit
    found = []
    for condition in conditions(trust.trust):
        if not condition.concerns(trust.modalities(network)):
            continue
        rows = trust.of(network, condition.name)
        mean = trust.share(rows, rows.hit.to_numpy())
        found.append(_row("condition", condition.name, "accuracy", mean))
        confidence = probabilities(np.stack(rows.logits)).max(axis=1) if len(rows) else rows.hit.to_numpy()
        surplus = trust.mean(rows, confidence - rows.hit.to_numpy())
        found.append(_row("condition", condition.name, "surplus", surplus))
        if condition.name != CLEAN:
            before = clean.reindex(pd.MultiIndex.from_frame(rows[keys])).to_numpy()
            gap = trust.mean(rows, rows.hit.to_numpy() - before)
            found.append(_row("condition", condition.name, "difference", gap))
    return found


def _labels(trust: Trust, network: str) -> list[dict]:
    """Return how often a network names the intended and the perceived label, and how often people name the former."""
    votes = trust.votes[trust.votes.modality == raters_of(trust.modalities(network))].set_index("clip")
    rows = trust.of(network)
    rows = rows[rows["clip"].isin(votes.index)]
    if rows.empty:
        return []
    counts = np.stack(votes.counts.loc[rows["clip"]])  # (N, C)
    shares, label, said = perceived(counts), rows.label.to_numpy(), rows.predicted.to_numpy()
    intended, as_perceived, majority = rows.hit.to_numpy(), share_at(shares, said), share_at(shares, label)
    found = {
        "intended": trust.share(rows, intended),
        "perceived": trust.share(rows, as_perceived),
        "people_majority": trust.share(rows, majority),
        "people_votes": trust.share(rows, share_at(counts / counts.sum(axis=1, keepdims=True), label)),
        "perceived_less_intended": trust.mean(rows, as_perceived - intended),
        "intended_less_people": trust.mean(rows, intended - majority),
        "tied": _exact(float((shares.max(axis=1) < 1).mean()), rows),
    }
    return [_row("label", "", name, estimate) for name, estimate in found.items()]
