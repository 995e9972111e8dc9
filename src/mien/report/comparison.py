"""A table of the thesis beside ours: every number of it, before it is laid out."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mien.core.config import EvaluateConfig, TableConfig
from mien.core.rng import rng_for
from mien.evaluation.metrics import by_actor, by_fold, reported, spread_of_seeds
from mien.evaluation.pairs import Gain, gain, gain_of_folds, gain_over_best
from mien.evaluation.runs import Run
from mien.evaluation.statistics import holm, interval_of_cell, interval_of_share
from mien.report.published import Published

COLUMNS = [  # of the CSV; accuracies in percent, differences in points
    "variant",
    "fold",
    "thesis",
    "honest",
    "optimistic",
    "difference",
    "low",
    "high",
    "macro_recall",
    "seeds_sd",  # of the accuracy over seeds; empty of one seed
    "n_clips",
    "n_actors",
    "n_seeds",
]
MEAN = "mean"


@dataclass(frozen=True)
class Comparison:
    """What the table of one corpus says.

    cells : COLUMNS, a row per variant and fold and one per variant and "mean".
    selection : which of ours the difference and the interval belong to; honest unless the protocol is the thesis's.
    reasons : variant -> why it, or some of its folds, could not be trained.
    frozen : variants with branches that other variants trained.
    """

    cells: pd.DataFrame
    selection: str
    fold_names: list[str]
    published: dict[str, Published | None]
    scores: pd.DataFrame
    reasons: dict[str, str]
    frozen: set[str]
    n_classes: int
    confidence: float
    seed: int

    @property
    def variants(self) -> list[str]:
        """Return the rows in the order of params.yaml."""
        return list(self.published)

    @property
    def same_folds(self) -> bool:
        """Say whether our folds are the thesis's, so that folds can be compared one by one."""
        return any(row is not None and row.at(self.fold_names) for row in self.published.values())


@dataclass(frozen=True)
class PairTest:
    """One row held against another; `p` and `thesis_p` are adjusted over the pairs that belong together (Holm).

    thesis : None where the thesis does not print both rows, in the same folds.
    """

    ours: Gain
    p: float
    thesis: Gain | None
    thesis_p: float


@dataclass(frozen=True)
class Inferior:
    """Folds in which the better of the single modalities beats a joint network; None where nothing is known."""

    ours: list[str] | None
    n_ours: int
    thesis: list[str] | None
    n_thesis: int


def compare(
    runs: list[Run], scores: pd.DataFrame, published: dict[str, Published | None], config: EvaluateConfig, *, seed: int
) -> Comparison:
    """Put our runs beside the thesis's rows.

    runs : of one corpus and of the variants in `published`, all with the same folds.
    scores : SCORES of these runs.
    """
    names = {run.fold: run.fold_name for run in runs}
    fold_names = [names[fold] for fold in sorted(names)]
    selection = reported(scores)
    folds = by_fold(scores)
    parts = []
    for variant, row in published.items():
        ours = folds[folds.variant == variant]
        cells = [_fold_cell(ours, name, row, fold_names, selection, config) for name in fold_names]
        mine = scores[(scores.variant == variant) & (scores.selection == selection)]
        cells.append(_mean_cell(ours, mine, row, fold_names, selection, config))
        parts.append(pd.DataFrame(cells).assign(variant=variant))
    cells = pd.concat(parts, ignore_index=True)
    cells["difference"] = cells[selection] - cells.thesis
    return Comparison(
        cells=cells[COLUMNS],
        selection=selection,
        fold_names=fold_names,
        published=published,
        scores=scores,
        reasons=_reasons(runs),
        frozen={run.variant for run in runs if run.trained and run.record["config"]["variant"]["frozen"]},
        n_classes=len(runs[0].classes),
        confidence=config.confidence,
        seed=seed,
    )


def pairs_of(joint: list[str]) -> list[tuple[str, str]]:
    """Return every (later, earlier) of the joint networks, the last one's first."""
    return [(later, joint[i]) for k, later in reversed(list(enumerate(joint))) for i in reversed(range(k))]


def paired_tests(comparison: Comparison, pairs: list[tuple[str, str]]) -> list[PairTest]:
    """Hold one row against another in every pair; the pairs are one family of tests."""
    ours, printed = [], []
    for one, other in pairs:
        rng = rng_for(comparison.seed, "evaluation", "sign_flip", one, other)
        options = {"confidence": comparison.confidence, "rng": rng}
        ours.append(gain(comparison.scores, one, other, comparison.selection, **options))
        rows = comparison.published[one], comparison.published[other]
        printed.append(printed_gain(*rows, confidence=comparison.confidence))
    adjusted = holm([one.p for one in ours]), holm([one.p if one else math.nan for one in printed])
    return [PairTest(*row) for row in zip(ours, adjusted[0], printed, adjusted[1], strict=True)]


def printed_gain(one: Published | None, other: Published | None, *, confidence: float) -> Gain | None:
    """Return what the thesis's folds say of two rows; None where they are not of the same folds."""
    if one is None or other is None or one.folds != other.folds:
        return None
    values = zip(one.folds, one.values, other.values, strict=True)
    return gain_of_folds(one.name, other.name, {fold: a - b for fold, a, b in values}, confidence=confidence)


def inferior_folds(comparison: Comparison, joint: str, single: list[str]) -> Inferior:
    """Return the folds in which one modality alone is better than `joint`, for ours and for the printed numbers."""
    trained = [variant for variant in single if (comparison.scores.variant == variant).any()]
    found = Gain(joint, "")
    if trained:
        rng = rng_for(comparison.seed, "evaluation", "sign_flip", joint, "best")
        options = {"confidence": comparison.confidence, "rng": rng}
        found = gain_over_best(comparison.scores, joint, trained, comparison.selection, **options)
    row = comparison.published[joint]
    best = best_printed([comparison.published[variant] for variant in single], row)
    printed = printed_gain(row, best, confidence=comparison.confidence)
    return Inferior(
        found.below if found.n_folds else None,
        found.n_folds,
        printed.below if printed else None,
        printed.n_folds if printed else 0,
    )


def best_printed(single: list[Published | None], row: Published | None) -> Published | None:
    """Return the best of printed rows in every fold, of those that are of the folds of `row`; None without any."""
    alike = [other for other in single if other is not None and row is not None and other.folds == row.folds]
    if not alike:
        return None
    best = np.max([other.values for other in alike], axis=0)
    return Published("best of " + " and ".join(other.name for other in alike), row.folds, tuple(best.tolist()), {})


def controls_of(pairs: dict[str, dict[str, str]], joint: list[str], single: list[str]) -> list[tuple[str, list[str]]]:
    """Return (control of a joint network, the controls of the single ones) of every thing that rows differ in."""
    return [
        (others[row], [others[one] for one in single])
        for others in pairs.values()
        for row in joint
        if row in others and all(one in others for one in single)
    ]


def joint_and_single(config: TableConfig) -> tuple[list[str], list[str]]:
    """Return the joint and the single variants of a table, in the order of its rows.

    Rows that are there to be held against another row (`TableConfig.pairs`) are neither.
    """
    controls = {other for pairs in config.pairs.values() for other in pairs.values()}
    rows = [variant for variant in config.rows if variant not in controls]
    single = [variant for variant in rows if variant in config.single]
    return [variant for variant in rows if variant not in config.single], single


def _fold_cell(
    ours: pd.DataFrame, name: str, row: Published | None, fold_names: list[str], selection: str, config: EvaluateConfig
) -> dict:
    here = ours[ours.fold_name == name].set_index("selection")
    cell = {"fold": name, "thesis": row.at(fold_names).get(name, math.nan) if row else math.nan}
    cell |= {key: 100 * _at(here, key, "accuracy") for key in ("honest", "optimistic")}
    n_clips = _count(here, selection, "n_clips")
    hits = _at(here, selection, "accuracy") * n_clips if n_clips else 0.0
    low, high = interval_of_cell(hits, n_clips, confidence=config.confidence)
    cell |= {"low": 100 * low, "high": 100 * high, "macro_recall": 100 * _at(here, selection, "macro_recall")}
    cell["seeds_sd"] = 100 * _at(here, selection, "seeds_sd")
    return cell | {key: _count(here, selection, key) for key in ("n_clips", "n_actors", "n_seeds")}


def _mean_cell(
    ours: pd.DataFrame,
    scores: pd.DataFrame,
    row: Published | None,
    fold_names: list[str],
    selection: str,
    config: EvaluateConfig,
) -> dict:
    cell = {"fold": MEAN, "thesis": row.mean_at(fold_names) if row else math.nan}
    for key in ("honest", "optimistic"):
        cell[key] = 100 * float(ours.accuracy[ours.selection == key].mean())
    chosen = ours[ours.selection == selection]
    people = by_actor(scores)
    low, high = interval_of_share(people.accuracy.to_numpy(), people.weight.to_numpy(), confidence=config.confidence)
    cell |= {"low": 100 * low, "high": 100 * high, "macro_recall": 100 * float(chosen.macro_recall.mean())}
    cell["seeds_sd"] = 100 * spread_of_seeds(scores)
    n_seeds = int(chosen.n_seeds.min()) if len(chosen) else 0
    return cell | {"n_clips": int(chosen.n_clips.sum()), "n_actors": int(chosen.n_actors.sum()), "n_seeds": n_seeds}


def _at(here: pd.DataFrame, selection: str, column: str) -> float:
    return float(here.loc[selection, column]) if selection in here.index else math.nan


def _count(here: pd.DataFrame, selection: str, column: str) -> int:
    return int(here.loc[selection, column]) if selection in here.index else 0


def _reasons(runs: list[Run]) -> dict[str, str]:
    reasons: dict[str, list[str]] = {}
    for run in runs:
        if not run.trained:
            reasons.setdefault(run.variant, []).append(run.reason or "not applicable")
    return {variant: "; ".join(sorted(set(texts))) for variant, texts in reasons.items()}
