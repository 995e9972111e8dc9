"""Table 5.4 of the thesis beside ours: every option of the networks on every corpus, before it is laid out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mien.core.config import EvaluateConfig, OverviewConfig
from mien.core.rng import rng_for
from mien.evaluation.metrics import score
from mien.evaluation.pairs import Gain, gain
from mien.evaluation.runs import Run, select_runs
from mien.evaluation.statistics import holm
from mien.report.comparison import MEAN, Comparison, compare
from mien.report.published import Other, Summed

CELLS = [  # of 5.4.csv, a row per corpus and row of the table; accuracies in percent, differences in points
    "part",  # ours, or others: systems of other authors, as the thesis prints them
    "row",
    "corpus",
    "thesis_row",
    "thesis",
    "thesis_folds",  # mean of the fold table that the printed number sums up
    "honest",
    "low",
    "high",
    "optimistic",
    "difference",  # ours less the printed number
    "macro_recall",
    "seeds_sd",
    "against",
    "gain",  # over `against`, on the clips of both
    "gain_low",
    "gain_high",
    "p",
    "p_holm",  # adjusted over the corpus
    "n_folds",
    "n_people",
    "n_clips",
    "n_seeds",
    "n_parameters",
    "reason",  # why there is no number
]


@dataclass(frozen=True)
class OnCorpus:
    """Table 5.4 of one corpus.

    comparison : of the rows that it is asked for.   printed : row -> what Table 5.4 prints.
    gains : row -> (gain over the row that it is held against, p adjusted over the corpus).
    reasons : row -> why it has no number.   parameters : row -> weights of its networks.
    """

    name: str
    synthetic: bool
    comparison: Comparison
    printed: dict[str, Summed | None]
    gains: dict[str, tuple[Gain, float]]
    reasons: dict[str, str]
    parameters: dict[str, int]

    def cell(self, row: str) -> pd.Series | None:
        """Return the mean over folds of a row, or None where the corpus does not have it."""
        cells = self.comparison.cells
        found = cells[(cells.variant == row) & (cells.fold == MEAN)]
        return None if found.empty else found.iloc[0]


def overview_of(
    corpus: str,
    runs: list[Run],
    *,
    overview: OverviewConfig,
    evaluate: EvaluateConfig,
    apart: set[tuple[str, str]],
    printed: Mapping[str, Summed | None],
    synthetic: bool,
    seed: int,
) -> OnCorpus:
    """Put together what is known of one corpus.

    runs : of any corpora, variants and folds; those that are asked for must be there.
    apart : (corpus, clip) with a twin in training.   printed : row -> row of the thesis.
    """
    asked = [row for row, one in overview.rows.items() if corpus in one.corpora]
    chosen = select_runs(runs, corpus, asked, n_folds=overview.folds[corpus])
    comparison = compare(chosen, score(chosen, apart), dict.fromkeys(asked), evaluate, seed=seed)
    missing = [row for row in overview.rows if row not in asked]
    return OnCorpus(
        name=corpus,
        synthetic=synthetic,
        comparison=comparison,
        printed=dict(printed),
        gains=_gains(comparison, overview, corpus),
        reasons=dict.fromkeys(missing, "not asked for (params.yaml, overview.rows)") | comparison.reasons,
        parameters={run.variant: run.record["n_parameters"] for run in chosen if run.trained},
    )


def _gains(comparison: Comparison, overview: OverviewConfig, corpus: str) -> dict[str, tuple[Gain, float]]:
    """Return row -> gain over the row that it is held against, and its adjusted p, where both are of this corpus."""
    rows = comparison.variants
    pairs = {row: overview.rows[row].against for row in rows if overview.rows[row].against in rows}
    found = {}
    for row, other in pairs.items():
        rng = rng_for(comparison.seed, "evaluation", "sign_flip", corpus, row, other)
        options = {"confidence": comparison.confidence, "rng": rng}
        found[row] = gain(comparison.scores, row, other, comparison.selection, **options)
    adjusted = holm([one.p for one in found.values()])
    return {row: (one, p) for (row, one), p in zip(found.items(), adjusted, strict=True)}


def cells_of(corpora: list[OnCorpus], rows: list[str], others: list[Other]) -> pd.DataFrame:
    """Return CELLS: our rows, then the systems of other authors."""
    table = [_cell(corpus, row) for row in rows for corpus in corpora]
    table += [
        {"part": "others", "row": other.reference, "corpus": corpus, "thesis_row": other.method, "thesis": value}
        for other in others
        for corpus, value in other.values.items()
    ]
    frame = pd.DataFrame(table, columns=CELLS)
    counts = [name for name in CELLS if name.startswith("n_")]
    texts = dict.fromkeys(("thesis_row", "against", "reason"), "")
    return frame.astype(dict.fromkeys(counts, "Int64")).fillna(texts)


def _cell(corpus: OnCorpus, row: str) -> dict[str, Any]:
    printed, mean = corpus.printed.get(row), corpus.cell(row)
    cell: dict[str, Any] = {"part": "ours", "row": row, "corpus": corpus.name, "reason": corpus.reasons.get(row, "")}
    if printed:
        folds = printed.folds.mean if printed.folds else math.nan
        cell |= {"thesis_row": printed.name, "thesis": printed.value, "thesis_folds": folds}
    if mean is not None:
        keys = ("honest", "low", "high", "optimistic", "macro_recall", "seeds_sd", "n_clips", "n_seeds")
        cell |= {key: mean[key] for key in keys} | {"n_people": mean.n_actors, "n_folds": _n_folds(corpus, row)}
        cell["difference"] = mean[corpus.comparison.selection] - printed.value if printed else math.nan
    if row in corpus.gains:
        found, adjusted = corpus.gains[row]
        cell |= {"against": found.other, "gain": found.difference, "gain_low": found.low, "gain_high": found.high}
        cell |= {"p": found.p, "p_holm": adjusted}
    return cell | ({"n_parameters": corpus.parameters[row]} if row in corpus.parameters else {})


def _n_folds(corpus: OnCorpus, row: str) -> int:
    """Return on how many folds a row was trained."""
    cells = corpus.comparison.cells
    return int((cells[(cells.variant == row) & (cells.fold != MEAN)].n_clips > 0).sum())
