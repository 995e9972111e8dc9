"""Tables 5.1 to 5.3 of the thesis beside ours, fold by fold."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig, TableConfig, load, section
from mien.evaluation.metrics import accuracy, by_actor, by_fold, read_duplicates, reported, score, spread_of_seeds
from mien.evaluation.runs import Run, read_runs, select_runs
from mien.evaluation.statistics import (
    Gain,
    gain,
    gain_of_folds,
    holm,
    interval_of_cell,
    interval_of_share,
)
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.page import limits, mark, p_value, percent, render_page, share_of, with_interval, write_table
from mien.report.thesis import Published, published_beside, read_published

log = logging.getLogger(__name__)

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
        found = gain(comparison.scores, joint, trained, comparison.selection, **options)
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

    Rows that are there to be held against another row (`TableConfig.controls`) are neither.
    """
    controls = {other for pairs in config.controls.values() for other in pairs.values()}
    rows = [variant for variant in config.rows if variant not in controls]
    single = [variant for variant in rows if variant in config.single]
    return [variant for variant in rows if variant not in config.single], single


def _fold_cell(
    ours: pd.DataFrame, name: str, row: Published | None, fold_names: list[str], selection: str, config: EvaluateConfig
) -> dict:
    here = ours[ours.fold_name == name].set_index("selection").reindex(["honest", "optimistic"])
    own = here.loc[selection]
    counts = {key: 0 if math.isnan(own[key]) else int(own[key]) for key in ("n_clips", "n_actors", "n_seeds")}
    n_clips = counts["n_clips"]
    hits = own.accuracy * n_clips if n_clips else 0.0
    low, high = interval_of_cell(hits, n_clips, confidence=config.confidence)
    return {
        "fold": name,
        "thesis": row.at(fold_names).get(name, math.nan) if row else math.nan,
        "honest": 100 * here.accuracy["honest"],
        "optimistic": 100 * here.accuracy["optimistic"],
        "low": 100 * low,
        "high": 100 * high,
        "macro_recall": 100 * own.macro_recall,
        "seeds_sd": 100 * own.seeds_sd,
        **counts,
    }


def _mean_cell(
    ours: pd.DataFrame,
    scores: pd.DataFrame,
    row: Published | None,
    fold_names: list[str],
    selection: str,
    config: EvaluateConfig,
) -> dict:
    own, people = ours[ours.selection == selection], by_actor(scores)
    low, high = interval_of_share(people.accuracy.to_numpy(), people.weight.to_numpy(), confidence=config.confidence)
    return {
        "fold": MEAN,
        "thesis": row.mean_at(fold_names) if row else math.nan,
        "honest": 100 * float(ours.accuracy[ours.selection == "honest"].mean()),
        "optimistic": 100 * float(ours.accuracy[ours.selection == "optimistic"].mean()),
        "low": 100 * low,
        "high": 100 * high,
        "macro_recall": 100 * float(own.macro_recall.mean()),
        "seeds_sd": 100 * spread_of_seeds(scores),
        "n_clips": int(own.n_clips.sum()),
        "n_actors": int(own.n_actors.sum()),
        "n_seeds": int(own.n_seeds.min()) if len(own) else 0,
    }


def _reasons(runs: list[Run]) -> dict[str, str]:
    reasons: dict[str, list[str]] = {}
    for run in runs:
        if not run.trained:
            reasons.setdefault(run.variant, []).append(run.reason or "not applicable")
    return {variant: "; ".join(sorted(set(texts))) for variant, texts in sorted(reasons.items())}


def render(comparison: Comparison, table: TableConfig, *, title: str, number: str, scale: str, synthetic: bool) -> str:
    """Return the page of one table of params.yaml."""
    scores, rows = comparison.scores, comparison.variants
    means = comparison.cells[comparison.cells.fold == MEAN]
    joint, single = joint_and_single(table)
    held = [*((one, single) for one in joint), *controls_of(table.controls, joint, single)]
    clips = scores.drop_duplicates("clip").label
    apart = scores[scores.apart.astype(bool) & (scores.selection == comparison.selection)]
    pairs = {
        name: [(row, others[row]) for row in rows if row in others and others[row] in rows]
        for name, others in table.controls.items()
    }
    return render_page(
        "comparison",
        comparison=comparison,
        number=number,
        title=title,
        corpus=table.corpus,
        synthetic=synthetic,
        scale=scale,
        confidence=comparison.confidence,
        first=table.folds,
        n_actors=means.n_actors.max(),
        n_clips=means.n_clips.max(),
        n_seeds=scores.seed.nunique(),
        chance=None if clips.empty else 100 * clips.value_counts(normalize=True).max(),
        n_theirs=max((len(row.folds) for row in comparison.published.values() if row is not None), default=0),
        folds=_fold_rows(comparison),
        printed_folds=_printed_rows(comparison) if comparison.same_folds else [],
        means=[_mean_row(comparison, row) for row in means.itertuples()],
        joint_tests=_tests(comparison, pairs_of(joint)),
        controls={name: _tests(comparison, known) for name, known in pairs.items() if known},
        inferior=[_inferior_row(comparison, *one) for one in held] if all(others for _, others in held) else [],
        headlines=[
            {
                "variant": variant,
                "mean of its folds": f"{row.mean:.2f}",
                "headline": f"{value:.2f}",
                "gap": percent(value - row.mean, signed=True),
                "printed in": where,
            }
            for variant, row in comparison.published.items()
            for where, value in (row.headlines if row else {}).items()
        ],
        apart=[
            (variant, 100 * accuracy(part.label, part.predicted), part["clip"].nunique())
            for variant, part in apart.groupby("variant")
        ],
    )


def _fold_rows(comparison: Comparison) -> list[dict[str, str]]:
    rows = []
    for variant in comparison.variants:
        cells = comparison.cells[comparison.cells.variant == variant]
        values = zip(cells.fold, cells[comparison.selection], cells.low, cells.high, strict=True)
        line = {fold: with_interval(value, low, high) for fold, value, low, high in values}
        rows.append({"variant": mark(variant, comparison.reasons)} | line)
    return rows


def _printed_rows(comparison: Comparison) -> list[dict[str, str]]:
    groups = comparison.cells.groupby("variant", sort=False)
    return [
        {"variant": variant} | {fold: percent(value) for fold, value in zip(mine.fold, mine.thesis, strict=True)}
        for variant, mine in groups
    ]


def _mean_row(comparison: Comparison, row: Any) -> dict[str, str]:
    published = comparison.published[row.variant]
    return {
        "variant": mark(row.variant, comparison.reasons),
        "row of the thesis": published.name if published else "-",
        "thesis": percent(row.thesis),
        "honest": percent(row.honest),
        "optimistic": percent(row.optimistic),
        "difference": percent(row.difference, signed=True),
        f"{100 * comparison.confidence:g}% interval": limits(row.low, row.high),
        "sd of seeds": percent(row.seeds_sd),
        "macro recall": percent(row.macro_recall),
        "clips": str(row.n_clips) if row.n_clips else "-",
    }


def _tests(comparison: Comparison, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a row of texts per pair, and the pair of most folds needed for a small p."""
    tests = paired_tests(comparison, pairs)
    known = (test.ours for test in tests if test.ours.n_folds >= 2)
    return {
        "rows": [_test_row(test) for test in tests],
        "weakest": max(known, key=lambda ours: ours.p_floor, default=None),
    }


def _test_row(test: PairTest) -> dict[str, str]:
    ours, theirs = test.ours, test.thesis or Gain("", "")
    return {
        "pair": f"{ours.one} vs {ours.other}",
        "ours: difference": percent(ours.difference, signed=True),
        "interval": limits(ours.low, ours.high, signed=True),
        "p": p_value(ours.p),
        "p (Holm)": p_value(test.p),
        "folds": str(ours.n_folds),
        "thesis: difference": percent(theirs.difference, signed=True),
        "interval (thesis)": limits(theirs.low, theirs.high, signed=True),
        "p (thesis)": p_value(theirs.p),
        "p (Holm, thesis)": p_value(test.thesis_p),
        "folds (thesis)": str(theirs.n_folds) if theirs.n_folds else "-",
    }


def _inferior_row(comparison: Comparison, variant: str, single: list[str]) -> dict[str, str]:
    found = inferior_folds(comparison, variant, single)
    return {
        "joint network": mark(variant, comparison.reasons),
        "held against": ", ".join(single),
        "ours": share_of(None if found.ours is None else len(found.ours), found.n_ours),
        "folds": "; ".join(found.ours or []) or "-",
        "thesis": share_of(None if found.thesis is None else len(found.thesis), found.n_thesis),
        "folds (thesis)": "; ".join(found.thesis or []) or "-",
    }


def build_table(
    *,
    table: str,
    runs: list[Path],
    clips: Path,
    corpus_info: Path,
    thesis: Path,
    out_csv: Path,
    out_md: Path,
    config: str = "params.yaml",
) -> None:
    """Put a table of the thesis beside ours.

    Parameters
    ----------
    table : str
        Number of the table under tables in params.yaml.
    runs : list of Path
        run.json of every fold and seed.
    clips : Path
        Table CLIPS of the corpus.
    corpus_info : Path
        corpus.json of the corpus.
    thesis : Path
        The thesis's numbers.
    out_csv, out_md : Path
        Numbers and page.
    config : str
        params.yaml, or its sections as JSON text.
    """
    params = load(config)
    asked = section(TableConfig, params, "tables", table)
    evaluate, tables = section(EvaluateConfig, params, "evaluate"), read_published(thesis)
    published = {name: published_beside(tables, name, asked.corpus, number=table) for name in asked.rows}
    chosen = select_runs(read_runs(runs), asked.corpus, asked.rows, n_folds=asked.folds)
    comparison = compare(chosen, score(chosen, read_duplicates([clips])), published, evaluate, seed=params["seed"])
    title = tables.get(table, {}).get("title", asked.corpus)
    synthetic = read_json(corpus_info)["source"] == "synthetic"
    text = render(comparison, asked, title=title, number=table, scale=params["scale"], synthetic=synthetic)
    write_table(comparison.cells, text, csv=out_csv, md=out_md, decimals=2)
    folds = len(comparison.fold_names)
    log.info("table %s: %d variants, %d folds, %d runs", table, len(published), folds, len(chosen))
