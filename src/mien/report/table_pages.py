"""Tables 5.1 to 5.3 as pages: ours beside the thesis, fold by fold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mien.evaluation.metrics import accuracy
from mien.evaluation.pairs import Gain
from mien.report.comparison import MEAN, Comparison, PairTest, controls_of, inferior_folds, paired_tests, pairs_of
from mien.report.markdown import CHOICE, CHOICE_THESIS, SYNTHETIC, grid, limits, p_value, percent, share_of


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
