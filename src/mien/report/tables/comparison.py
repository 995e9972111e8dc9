"""A table of the thesis beside ours: every number of it, before it is laid out.

Tables 5.1 to 5.3 as pages: ours beside the thesis, fold by fold.

Command build_table: a table of the thesis beside ours, as CSV and Markdown.
"""

import logging
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig, TableConfig, load, section
from mien.evaluation.metrics import accuracy, by_actor, by_fold, reported, spread_of_seeds
from mien.evaluation.runs import Run
from mien.evaluation.statistics import (
    Gain,
    gain,
    gain_of_folds,
    gain_over_best,
    holm,
    interval_of_cell,
    interval_of_share,
)
from mien.io.randomness import rng_for
from mien.report.page import CHOICE, CHOICE_THESIS, SYNTHETIC, grid, limits, p_value, percent, share_of
from mien.report.thesis import Published

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


@dataclass(frozen=True)
class Heading:
    """What a reader must know before the first number."""

    number: str
    title: str
    corpus: str
    synthetic: bool
    scale: str
    confidence: float
    n_folds: int = 0  # of the corpus's folds, from the first on; 0: all


def render(
    comparison: Comparison,
    heading: Heading,
    *,
    joint: list[str],
    single: list[str],
    pairs: Mapping[str, Mapping[str, str]],
) -> str:
    """Return the page of one table; `pairs` as in TableConfig."""
    blocks = [
        *_introduction(comparison, heading),
        "## Accuracy by fold",
        *_by_fold(comparison, heading),
        "## Means over folds",
        *_means(comparison, heading),
        "## Paired tests of the joint networks",
        *_tests(comparison, pairs_of(joint)),
        *_controls(comparison, pairs),
        "## Folds in which one modality beats the joint network",
        *_inferior(comparison, [*((one, single) for one in joint), *controls_of(pairs, joint, single)]),
        "## What the thesis says of its own folds",
        *_headlines(comparison),
        *_footnotes(comparison),
    ]
    return "\n\n".join(blocks) + "\n"


def _introduction(comparison: Comparison, heading: Heading) -> list[str]:
    means = comparison.cells[comparison.cells.fold == MEAN]
    seeds = sorted(set(comparison.scores.seed)) if len(comparison.scores) else []
    first = "the first " if heading.n_folds else ""
    counts = (
        f"Corpus {heading.corpus}, scale {heading.scale}: {first}{len(comparison.fold_names)} folds, "
        f"{means.n_actors.max()} test actors, up to {means.n_clips.max()} test clips, "
        f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}. Accuracy in percent, differences in points; "
        f"a - stands for nothing to report.{_chance(comparison)}"
    )
    choice = CHOICE if comparison.selection == "honest" else CHOICE_THESIS
    notice = [f"**{SYNTHETIC}**"] if heading.synthetic else []
    return [f"# Table {heading.number}: {heading.title}", *notice, counts, choice]


def _chance(comparison: Comparison) -> str:
    clips = comparison.scores.drop_duplicates("clip").label
    if clips.empty:
        return ""
    share = percent(100 * clips.value_counts(normalize=True).max())
    return f" Always naming the commonest of the {comparison.n_classes} emotions would score {share}."


def _by_fold(comparison: Comparison, heading: Heading) -> list[str]:
    cells = comparison.cells
    rows, thesis = [], []
    for variant in comparison.variants:
        mine = cells[cells.variant == variant].set_index("fold")
        names = [*comparison.fold_names, MEAN]
        rows.append({"variant": _marked(comparison, variant)} | {n: _interval(mine.loc[n], comparison) for n in names})
        thesis.append({"variant": variant} | {name: percent(mine.loc[name, "thesis"]) for name in names})
    level = f"{100 * heading.confidence:g}%"
    text = (
        f"Ours, {comparison.selection}, with {level} intervals in brackets: of a fold Wilson's, over its clips; "
        "of the mean Student's t, over whole actors and on the scale of log odds. Both hold the trained networks fixed."
    )
    if comparison.same_folds:
        return [text, grid(rows), "The thesis's, in the same folds.", grid(thesis)]
    if any(row is not None for row in comparison.published.values()):
        text += " The folds differ from the thesis's, so only means are compared."
    return [text, grid(rows)]


def _means(comparison: Comparison, heading: Heading) -> list[str]:
    rows = []
    for row in comparison.cells[comparison.cells.fold == MEAN].itertuples():
        published = comparison.published[row.variant]
        rows.append(
            {
                "variant": _marked(comparison, row.variant),
                "row of the thesis": published.name if published else "-",
                "thesis": percent(row.thesis),
                "honest": percent(row.honest),
                "optimistic": percent(row.optimistic),
                "difference": percent(row.difference, signed=True),
                f"{100 * heading.confidence:g}% interval": limits(row.low, row.high),
                "sd of seeds": percent(row.seeds_sd),
                "macro recall": percent(row.macro_recall),
                "clips": str(row.n_clips) if row.n_clips else "-",
            }
        )
    text = (
        f"The difference, the interval, the macro recall and the sd belong to ours, {comparison.selection}. 'sd of "
        "seeds' is the sample standard deviation of the mean over trainings that differ in their seed only; - with one "
        f"training.{_fewer(comparison)}"
    )
    return [text, grid(rows)]


def _fewer(comparison: Comparison) -> str:
    """Say that the thesis's means leave folds out where ours are not all of them."""
    n_theirs = max((len(row.folds) for row in comparison.published.values() if row is not None), default=0)
    n_ours = len(comparison.fold_names)
    if not comparison.same_folds or n_ours == n_theirs:
        return ""
    return f" The thesis's means are of the same {n_ours} of its {n_theirs} folds."


def _controls(comparison: Comparison, pairs: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a part of the page for every thing that rows differ in, such as pretraining."""
    parts = []
    for title, others in pairs.items():
        rows = comparison.variants
        known = [(row, others[row]) for row in rows if row in others and others[row] in rows]
        parts += [f"## With and without: {title}", *_tests(comparison, known)] if known else []
    return parts


def _tests(comparison: Comparison, pairs: list[tuple[str, str]]) -> list[str]:
    tests = paired_tests(comparison, pairs)
    if not tests:
        return ["There is no pair of joint networks in this table."]
    rows = [
        {
            "pair": f"{test.ours.one} vs {test.ours.other}",
            "ours: difference": percent(test.ours.difference, signed=True),
            "interval": limits(test.ours.low, test.ours.high, signed=True),
            "p": p_value(test.ours.p),
            "p (Holm)": p_value(test.p),
            "folds": str(test.ours.n_folds),
            **_thesis_of(test),
        }
        for test in tests
    ]
    level = f"{100 * comparison.confidence:g}%"
    text = (
        f"Mean difference over folds, on the clips that both networks were tested on; its {level} interval over whole "
        "actors (of the thesis over folds: it prints no more); the two-sided p of the sign-flip test over folds, as it "
        "is and corrected for the pairs of this list (Holm). Folds share training actors: a guide, no proof."
    )
    known = (test.ours for test in tests if test.ours.n_folds >= 2)
    weakest = max(known, key=lambda ours: ours.p_floor, default=None)
    if weakest is not None and weakest.p_floor > 0.05:
        text += (
            f" With {weakest.n_folds} folds no p can be below {weakest.p_floor:.3f}: so few folds cannot show a "
            "difference by this test."
        )
    return [text, grid(rows)]


def _thesis_of(test: PairTest) -> dict[str, str]:
    """Return the columns of the thesis's own folds."""
    found = test.thesis or Gain("", "")
    return {
        "thesis: difference": percent(found.difference, signed=True),
        "interval (thesis)": limits(found.low, found.high, signed=True),
        "p (thesis)": p_value(found.p),
        "p (Holm, thesis)": p_value(test.thesis_p),
        "folds (thesis)": str(found.n_folds) if found.n_folds else "-",
    }


def _inferior(comparison: Comparison, groups: list[tuple[str, list[str]]]) -> list[str]:
    """Return the part about (joint network, single ones)."""
    if not (groups and all(single for _, single in groups)):
        return ["There is no joint network with a single modality beside it in this table."]
    rows = []
    for variant, single in groups:
        found = inferior_folds(comparison, variant, single)
        rows.append(
            {
                "joint network": _marked(comparison, variant),
                "held against": ", ".join(single),
                "ours": share_of(None if found.ours is None else len(found.ours), found.n_ours),
                "folds": "; ".join(found.ours or []) or "-",
                "thesis": share_of(None if found.thesis is None else len(found.thesis), found.n_thesis),
                "folds (thesis)": "; ".join(found.thesis or []) or "-",
            }
        )
    return ["The best of those that it is held against, on the clips that all of them were tested on.", grid(rows)]


def _headlines(comparison: Comparison) -> list[str]:
    rows = []
    for variant, row in comparison.published.items():
        for where, value in (row.headlines if row else {}).items():
            rows.append(
                {
                    "variant": variant,
                    "mean of its folds": f"{row.mean:.2f}",
                    "headline": f"{value:.2f}",
                    "gap": percent(value - row.mean, signed=True),
                    "printed in": where,
                }
            )
    if not rows:
        return ["The thesis prints no headline for these rows."]
    text = "The headline against the mean of the per-fold table that it sums up. Ours is compared with the mean."
    return [text, grid(rows)]


def _footnotes(comparison: Comparison) -> list[str]:
    notes = [f"\\* {variant}: not applicable: {reason}." for variant, reason in sorted(comparison.reasons.items())]
    if frozen := sorted(comparison.frozen):
        notes.append(f"{', '.join(frozen)}: frozen branches are of their honest epoch in the optimistic column too.")
    scores = comparison.scores
    apart = scores[scores.apart.astype(bool) & (scores.selection == comparison.selection)]
    alone = [
        f"{variant} {percent(100 * accuracy(part.label, part.predicted))} (n = {part['clip'].nunique()})"
        for variant, part in apart.groupby("variant")
    ]
    if alone:
        twins = "Test clips with an identical twin on the training side are left out everywhere above; on them alone: "
        notes.append(twins + ", ".join(alone) + ".")
    return ["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []


def _marked(comparison: Comparison, variant: str) -> str:
    return f"{variant} \\*" if variant in comparison.reasons else variant


def _interval(cell: pd.Series, comparison: Comparison) -> str:
    value = cell[comparison.selection]
    return "-" if math.isnan(value) else f"{percent(value)} ({limits(cell.low, cell.high)})"


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--table", required=True, help="number of the table under tables in params.yaml")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, compare, write both files."""
    from mien.evaluation.metrics import score, twins
    from mien.evaluation.runs import read_runs, rows_in_order, select_runs
    from mien.io.files import atomic_file, read_json
    from mien.report.thesis import published_row, read_published

    params = load(args.config)
    table = section(TableConfig, params, "tables", args.table)
    table = replace(table, rows=rows_in_order(args.runs, table.rows))
    evaluate = section(EvaluateConfig, params, "evaluate")
    thesis = read_published(args.thesis)
    published = {variant: published_row(thesis, name, table.corpus) for variant, name in table.rows.items()}
    runs = select_runs(read_runs(args.runs), table.corpus, table.rows, n_folds=table.folds)
    comparison = compare(runs, score(runs, twins([args.clips])), published, evaluate, seed=params["seed"])
    heading = Heading(
        number=args.table,
        title=thesis.get(args.table, {}).get("title", f"{table.corpus}"),
        corpus=table.corpus,
        synthetic=read_json(args.corpus_info)["source"] == "synthetic",
        scale=params["scale"],
        confidence=evaluate.confidence,
        n_folds=table.folds,
    )
    joint, single = joint_and_single(table)
    text = render(comparison, heading, joint=joint, single=single, pairs=table.pairs)
    with atomic_file(args.out_csv) as scratch:
        comparison.cells.round(9).to_csv(scratch, index=False, float_format="%.2f", lineterminator="\n")
    with atomic_file(args.out_md) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")
    log.info(
        "table %s: %d variants, %d folds, %d runs", args.table, len(published), len(comparison.fold_names), len(runs)
    )
