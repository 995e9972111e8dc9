"""Table 5.4 of the thesis beside ours: every option of the networks on every corpus, before it is laid out.

Table 5.4 as a page: every option of the networks, a block per corpus.

Command build_overview: table 5.4 of the thesis beside ours, as CSV and Markdown.
"""

import logging
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.labels import ACTED
from mien.config.schema import EvaluateConfig, OverviewConfig, load, section
from mien.evaluation.metrics import score
from mien.evaluation.runs import Run, select_runs
from mien.evaluation.statistics import Gain, gain, holm
from mien.io.randomness import rng_for
from mien.report.page import CHOICE, CHOICE_THESIS, SYNTHETIC, grid, limits, p_value, percent
from mien.report.tables.comparison import MEAN, Comparison, compare
from mien.report.thesis import Other, Summed

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


CLOSE = 0.3  # points that a printed sum may be off the mean of its folds (rounding, and specification I-15)


def render(
    corpora: list[OnCorpus], rows: list[str], others: list[Other], *, title: str, scale: str, confidence: float
) -> str:
    """Return the page; `rows` in the order of params.yaml."""
    level = f"{100 * confidence:g}%"
    notice = [f"**{SYNTHETIC}**"] if any(corpus.synthetic for corpus in corpora) else []
    honest = any(corpus.comparison.selection == "honest" for corpus in corpora)
    blocks = [
        f"# Table 5.4: {title}",
        *notice,
        f"Scale {scale}. {' '.join(_counts(corpus) for corpus in corpora)} Accuracy in percent, differences in points; "
        "a - stands for nothing to report.",
        CHOICE if honest else CHOICE_THESIS,
        "## Beside the thesis",
        f"Means over folds, with {level} intervals over whole actors in brackets, which hold the trained networks "
        "fixed. 'thesis' is what table 5.4 prints, the difference ours less that. Weights in millions, of the whole "
        "network.",
        grid([_beside(corpora, row) for row in rows]),
        *(block for corpus in corpora for block in _options(corpus, level)),
        *_others(others),
        *_sums(corpora),
        *_notes(corpora, rows),
    ]
    return "\n\n".join(blocks) + "\n"


def _counts(corpus: OnCorpus) -> str:
    cells = corpus.comparison.cells
    means = cells[cells.fold == MEAN]
    n_folds, n_seeds = len(corpus.comparison.fold_names), means.n_seeds.max()
    return (
        f"{corpus.name} ({'computed' if corpus.synthetic else 'real'} people): {_number(n_folds, 'fold')}, "
        f"{_number(means.n_actors.max(), 'test actor')}, up to {_number(means.n_clips.max(), 'test clip')}, "
        f"{_number(n_seeds, 'training')} of every network and fold."
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _beside(corpora: list[OnCorpus], row: str) -> dict[str, str]:
    sizes = [corpus.parameters[row] for corpus in corpora if row in corpus.parameters]
    line = {"network": row, "weights": f"{max(sizes) / 1e6:.2f}" if sizes else "-"}
    for corpus in corpora:
        line |= {f"{corpus.name}: {name}": text for name, text in _block(corpus, row).items()}
    return line


def _block(corpus: OnCorpus, row: str) -> dict[str, str]:
    printed, mean = corpus.printed.get(row), corpus.cell(row)
    value = math.nan if mean is None else mean[corpus.comparison.selection]
    ours = "-" if math.isnan(value) else f"{percent(value)} ({limits(mean.low, mean.high)})"
    return {
        "thesis": f"{printed.value:.2f}" if printed else "-",
        corpus.comparison.selection: ours,
        **({"optimistic": percent(mean.optimistic) if mean is not None else "-"} if _is_honest(corpus) else {}),
        "difference": percent(value - printed.value, signed=True) if printed else "-",
    }


def _is_honest(corpus: OnCorpus) -> bool:
    return corpus.comparison.selection == "honest"


def _options(corpus: OnCorpus, level: str) -> list[str]:
    rows = [
        {
            "network": row,
            "held against": found.other,
            "difference": percent(found.difference, signed=True),
            f"{level} interval": limits(found.low, found.high, signed=True),
            "p": p_value(found.p),
            "p (Holm)": p_value(adjusted),
            "folds": str(found.n_folds),
            "actors": str(found.n_people),
            "thesis": _printed_difference(corpus, row, found.other),
        }
        for row, (found, adjusted) in corpus.gains.items()
    ]
    if not rows:
        return []
    text = (
        "Difference in accuracy on the clips that both networks were tested on, mean over folds; its interval over "
        "whole actors; the two-sided p of the sign-flip test over folds, as it is and corrected for all rows of this "
        "list (Holm). The trained networks are held fixed: another seed may move a difference by more. 'thesis' is the "
        "same difference between the numbers that table 5.4 prints."
    )
    floors = [found.p_floor for found, _ in corpus.gains.values() if found.n_folds >= 2]
    if floors and max(floors) > 0.05:
        text += f" So few folds give no p below {max(floors):.3f}."
    if not floors:
        text += " One fold gives no p."
    return [f"## Every option against another one, {corpus.name}", text, grid(rows)]


def _printed_difference(corpus: OnCorpus, one: str, other: str) -> str:
    sides = corpus.printed.get(one), corpus.printed.get(other)
    return percent(sides[0].value - sides[1].value, signed=True) if all(sides) else "-"


def _others(others: list[Other]) -> list[str]:
    rows = [
        {"reference": other.reference, "method": other.method}
        | {corpus: "-" if math.isnan(value) else f"{value:.2f}" for corpus, value in other.values.items()}
        for other in others
    ]
    text = (
        "Numbers of other authors, as the thesis prints them in table 5.4, with its own numbers of references. They "
        "come from other divisions of the people, other clips and other rules of choice, and stand beside ours for "
        "orientation only."
    )
    return ["## Other systems, as the thesis prints them", text, grid(rows)]


def _sums(corpora: list[OnCorpus]) -> list[str]:
    found = [(corpus.name, one) for corpus in corpora for one in corpus.printed.values() if one and one.folds]
    if not found:
        return []
    rows: list[dict[str, Any]] = [
        {
            "row of table 5.4": one.name,
            "corpus": corpus,
            "printed": f"{one.value:.2f}",
            "mean of its folds": f"{one.folds.mean:.2f}",
            "folds printed as": one.folds.name,
            "gap": percent(one.gap, signed=True),
        }
        for corpus, one in found
    ]
    off = [f"{one.name} on {corpus} ({one.gap:+.2f})" for corpus, one in found if abs(one.gap) > CLOSE]
    text = "What table 5.4 prints against the mean of the fold table that it sums up. "
    if off:
        text += (
            f"More than {CLOSE:g} points apart: {'; '.join(off)}. Such a headline is not borne out by the thesis's own "
            "folds, whose mean is the better reference; two rows that sum up the same folds cannot both be their mean."
        )
    else:
        text += f"None is more than {CLOSE:g} points off."
    return ["## What the thesis prints twice", text, grid(pd.DataFrame(rows))]


def _notes(corpora: list[OnCorpus], rows: list[str]) -> list[str]:
    without: dict[tuple[str, str], list[str]] = {}  # (corpus, reason) -> rows
    for corpus in corpora:
        for row in rows:
            if row in corpus.reasons:
                without.setdefault((corpus.name, corpus.reasons[row]), []).append(row)
    lines = [f"- {corpus}: {', '.join(names)}: {reason}." for (corpus, reason), names in without.items()]
    frozen = sorted({name for corpus in corpora for name in corpus.comparison.frozen})
    if frozen:
        lines.append(f"- {', '.join(frozen)}: frozen branches are of their honest epoch in the optimistic column too.")
    return ["## Notes", "\n".join(lines)] if lines else []


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="table CLIPS of every corpus")
    parser.add_argument("--corpus-info", type=Path, nargs="+", required=True, help="corpus.json of every corpus")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, put every corpus beside the thesis, write both files.

    Raises
    ------
    TableError : a corpus has no corpus.json among those given, or a run is missing.
    """
    from mien.errors import TableError
    from mien.evaluation.metrics import twins
    from mien.evaluation.runs import read_runs, rows_in_order
    from mien.io.files import read_json
    from mien.report.page import write_table
    from mien.report.thesis import other_systems, read_published, summed_row

    params = load(args.config)
    overview = section(OverviewConfig, params, "overview")
    overview = replace(overview, rows=rows_in_order(args.runs, overview.rows))
    evaluate = section(EvaluateConfig, params, "evaluate")
    thesis, runs, apart = read_published(args.thesis), read_runs(args.runs), twins(args.clips)
    infos = {info["corpus"]: info for info in map(read_json, args.corpus_info)}
    if missing := [corpus for corpus in overview.folds if corpus not in infos]:
        raise TableError(f"overview.folds names {missing[0]}; pass its corpus.json with --corpus-info")
    corpora = [
        overview_of(
            corpus,
            runs,
            overview=overview,
            evaluate=evaluate,
            apart=apart,
            printed={name: summed_row(thesis, row.thesis, corpus) for name, row in overview.rows.items()},
            synthetic=infos[corpus]["source"] == "synthetic",
            seed=params["seed"],
        )
        for corpus in ACTED
        if corpus in overview.folds
    ]
    rows, others = list(overview.rows), other_systems(thesis, [corpus.name for corpus in corpora])
    title = thesis["5.4"]["title"]
    text = render(corpora, rows, others, title=title, scale=params["scale"], confidence=evaluate.confidence)
    write_table(cells_of(corpora, rows, others), text, csv=args.out_csv, md=args.out_md)
    log.info("table 5.4: %d rows, %s, %d runs", len(rows), " and ".join(one.name for one in corpora), len(runs))
