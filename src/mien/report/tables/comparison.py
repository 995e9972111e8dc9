"""Tables 5.1 to 5.3 of the thesis beside ours, fold by fold."""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from mien.config.labels import AS_VECTORS
from mien.config.schema import EvaluateConfig, TableConfig, load, section
from mien.evaluation.measures import columns, measure, percents
from mien.evaluation.metrics import MEASURES, by_fold, n_seeds, read_duplicates, reported, score, spread_of_seeds
from mien.evaluation.runs import Run, read_runs, reasons_of, select_runs
from mien.evaluation.statistics import (
    Estimate,
    Gain,
    gain,
    gain_of_folds,
    holm,
    wilson_interval,
)
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.page import render_page, write_table
from mien.report.rules import Answer, decide, enough
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
    *columns(),  # of UAR and macro-F1; intervals of the mean only
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
    baselines : classical methods among the variants.
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
    baselines: tuple[str, ...] = ()

    @property
    def n_seeds(self) -> int:
        """Return how often every network was trained."""
        return n_seeds(self.scores)

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

    thesis : without folds where the thesis does not print both rows, in the same folds.
    """

    ours: Gain
    p: float
    thesis: Gain
    thesis_p: float


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
    rows = []
    for variant, row in published.items():
        ours = folds[folds.variant == variant]
        thesis = row.at(fold_names) if row else {}
        mine = scores[(scores.variant == variant) & (scores.selection == selection)]
        for name in fold_names:
            here = ours[ours.fold_name == name]
            own = here[here.selection == selection]
            n_clips = int(own.n_clips.sum())
            ends = wilson_interval((own.accuracy * n_clips).sum(), n_clips, confidence=config.confidence)
            found = {key: Estimate(own[key].mean()) for key in MEASURES} | {"accuracy": Estimate(math.nan, *ends)}
            cell = {"variant": variant, "fold": name, "thesis": thesis.get(name, math.nan)}
            rows.append(cell | _numbers(here, selection, found, own.seeds_sd.mean()))
        found = measure(mine, confidence=config.confidence)
        cell = {"variant": variant, "fold": MEAN, "thesis": row.mean_at(fold_names) if row else math.nan}
        rows.append(cell | _numbers(ours, selection, found, spread_of_seeds(mine)))
    cells = pd.DataFrame(rows)
    cells["difference"] = cells[selection] - cells.thesis
    return Comparison(
        cells=cells[COLUMNS],
        selection=selection,
        fold_names=fold_names,
        published=published,
        scores=scores,
        reasons=reasons_of(runs, sorted(published)),
        frozen={run.variant for run in runs if run.trained and run.record["config"].get("variant", {}).get("frozen")},
        n_classes=len(runs[0].classes),
        confidence=config.confidence,
        seed=seed,
        baselines=tuple(row for row in published if any(run.deterministic for run in runs if run.variant == row)),
    )


def _numbers(folds: pd.DataFrame, selection: str, found: Mapping[str, Estimate], seeds_sd: float) -> dict[str, float]:
    """Return what a cell says of one fold of a variant, or of all: their mean; `found` as of `measure`."""
    own = folds[folds.selection == selection]
    numbers = {name: 100 * folds.accuracy[folds.selection == name].mean() for name in ("honest", "optimistic")}
    numbers |= {"low": 100 * found["accuracy"].low, "high": 100 * found["accuracy"].high, **percents(found)}
    counts = {"n_clips": int(own.n_clips.sum()), "n_actors": int(own.n_actors.sum())}
    counts |= {"n_seeds": int(own.n_seeds.min()) if len(own) else 0}
    return numbers | {"seeds_sd": 100 * seeds_sd} | counts


def paired_tests(comparison: Comparison, pairs: list[tuple[str, str]]) -> list[PairTest]:
    """Hold one row against another in every pair; the pairs are one family of tests."""
    ours, printed = [], []
    for one, other in pairs:
        rng = rng_for(comparison.seed, "evaluation", "sign_flip", one, other)
        options = {"confidence": comparison.confidence, "rng": rng}
        ours.append(gain(comparison.scores, one, other, comparison.selection, **options))
        rows = comparison.published[one], comparison.published[other]
        printed.append(printed_gain(*rows, confidence=comparison.confidence) or Gain("", ""))
    adjusted = (holm([one.p for one in side]) for side in (ours, printed))
    return [
        PairTest(ours, p, thesis, thesis_p) for ours, thesis, p, thesis_p in zip(ours, printed, *adjusted, strict=True)
    ]


def against_baselines(comparison: Comparison) -> dict[str, dict[str, tuple[Gain, Answer]]]:
    """Hold every network against every baseline; return baseline -> network -> its gain, and whether it is better.

    The answers are one family: by intervals, corrected for their number (Holm).
    """
    networks = [variant for variant in comparison.variants if variant not in comparison.baselines]
    found = {}
    for baseline in comparison.baselines:
        for network in networks:
            rng = rng_for(comparison.seed, "evaluation", "sign_flip", network, baseline)
            options = {"confidence": comparison.confidence, "rng": rng}
            found[baseline, network] = gain(comparison.scores, network, baseline, comparison.selection, **options)
    sure: dict[str, dict[str, tuple[Gain, Answer]]] = {baseline: {} for baseline in comparison.baselines}
    for (baseline, network), p in zip(found, holm([one.p_interval for one in found.values()]), strict=True):
        one, shown = found[baseline, network], p < 1 - comparison.confidence
        answer = decide(shown=shown and one.difference > 0, refuted=shown and one.difference < 0)
        sure[baseline][network] = one, enough([one], answer)
    return sure


@dataclass(frozen=True)
class Beyond:
    """How many of some intervals leave out zero, how many chance alone would give, and how many do after Holm."""

    n: int
    beyond: int
    expected: float
    corrected: int
    n_trainings: int


def count_beyond(gains: Iterable[Gain], *, confidence: float) -> Beyond:
    """Count the intervals of differences that leave out zero."""
    known = [one for one in gains if one.error > 0]
    adjusted = holm([one.p_interval for one in known])
    return Beyond(
        n=len(known),
        beyond=sum(one.low > 0 or one.high < 0 for one in known),
        expected=(1 - confidence) * len(known),
        corrected=sum(p < 1 - confidence for p in adjusted),
        n_trainings=min((one.n_trainings for one in known), default=0),
    )


def printed_gain(one: Published | None, other: Published | None, *, confidence: float) -> Gain | None:
    """Return what the thesis's folds say of two rows; None where they are not of the same folds."""
    if one is None or other is None or one.folds != other.folds:
        return None
    values = zip(one.folds, one.values, other.values, strict=True)
    return gain_of_folds(one.name, other.name, {fold: a - b for fold, a, b in values}, confidence=confidence)


def gains_over_single(comparison: Comparison, joint: str, single: list[str]) -> tuple[Gain, Gain]:
    """Return the gain of `joint` over the better of the single modalities in each fold, of ours and as printed.

    Without folds where nothing is known.
    """
    trained = [variant for variant in single if (comparison.scores.variant == variant).any()]
    found = Gain(joint, "")
    if trained:
        rng = rng_for(comparison.seed, "evaluation", "sign_flip", joint, "best")
        options = {"confidence": comparison.confidence, "rng": rng}
        found = gain(comparison.scores, joint, trained, comparison.selection, **options)
    row = comparison.published[joint]
    best = best_printed([comparison.published[variant] for variant in single], row)
    return found, printed_gain(row, best, confidence=comparison.confidence) or Gain(joint, "")


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


def render(comparison: Comparison, table: TableConfig, *, title: str, number: str, scale: str, synthetic: bool) -> str:
    """Return the page of one table of params.yaml."""
    scores, rows = comparison.scores, comparison.variants
    joint, single = joint_and_single(table)
    held = [*((one, single) for one in joint), *controls_of(table.controls, joint, single)]
    pairs = {
        name: [(row, others[row]) for row in rows if row in others and others[row] in rows]
        for name, others in table.controls.items()
    }
    return render_page(
        "comparison",
        comparison=comparison,
        table=table,
        number=number,
        title=title,
        synthetic=synthetic,
        scale=scale,
        means=comparison.cells[comparison.cells.fold == MEAN],
        labels=scores.drop_duplicates("clip").label,
        against_baselines=against_baselines(comparison),
        n_theirs=max((len(row.folds) for row in comparison.published.values() if row is not None), default=0),
        joint_tests=paired_tests(comparison, list(combinations(reversed(joint), 2))),
        controls={name: paired_tests(comparison, known) for name, known in pairs.items() if known},
        held=[(one, others, *gains_over_single(comparison, one, others)) for one, others in held],
        beyond_chance=lambda tests: count_beyond((one.ours for one in tests), confidence=comparison.confidence),
        apart=scores[scores.apart.astype(bool) & (scores.selection == comparison.selection)],
    )


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
    """Put a table of the thesis beside ours."""
    params = load(config)
    asked = section(TableConfig, params, "tables", table)
    evaluate, tables = section(EvaluateConfig, params, "evaluate"), read_published(thesis)
    corpus = AS_VECTORS.get(asked.corpus, asked.corpus)
    beside = {name: asked.thesis.get(name, name) for name in asked.rows}
    published = {name: published_beside(tables, other, corpus, number=table) for name, other in beside.items()}
    published |= dict.fromkeys(asked.baselines)
    chosen = select_runs(read_runs(runs), asked.corpus, published, n_folds=asked.folds)
    comparison = compare(chosen, score(chosen, read_duplicates([clips])), published, evaluate, seed=params["seed"])
    title = tables.get(table, {}).get("title", asked.corpus)
    synthetic = read_json(corpus_info)["source"] == "synthetic"
    text = render(comparison, asked, title=title, number=table, scale=params["scale"], synthetic=synthetic)
    write_table(comparison.cells, text, csv=out_csv, md=out_md, decimals=2)
    folds = len(comparison.fold_names)
    log.info("table %s: %d variants, %d folds, %d runs", table, len(published), folds, len(chosen))
