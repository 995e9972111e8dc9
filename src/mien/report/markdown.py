"""Lay a comparison out as Markdown; fixed decimals, fixed order, no dates, so that equal results are equal bytes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.core.files import atomic_file
from mien.evaluation.metrics import accuracy
from mien.evaluation.statistics import Paired
from mien.report.comparison import MEAN, Comparison, inferior_folds, paired_tests, pairs_of

SYNTHETIC = "Synthetic people: the faces and voices of this corpus are computed, so this is not a result on people."
CHOICE = (
    "The epoch is chosen on separate validation actors; "
    "'optimistic' chooses it on the reported actors, as the thesis did."
)
CHOICE_THESIS = (
    "Protocol thesis: the epoch is chosen on the reported actors, as the thesis did, "
    "so every number of ours is optimistic."
)


@dataclass(frozen=True)
class Heading:
    """What a reader must know before the first number."""

    number: str
    title: str
    corpus: str
    synthetic: bool
    scale: str
    confidence: float


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
        *_inferior(comparison, joint, single),
        "## What the thesis says of its own folds",
        *_headlines(comparison),
        *_footnotes(comparison),
    ]
    return "\n\n".join(blocks) + "\n"


def percent(value: float, *, signed: bool = False) -> str:
    """Return one decimal, - for nothing; a zero has no sign."""
    if math.isnan(value):
        return "-"
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def limits(low: float, high: float, *, signed: bool = False) -> str:
    """Return an interval as 38.6–48.2, or signed as -1.2 to +4.0; - for nothing."""
    if math.isnan(low):
        return "-"
    return f"{percent(low, signed=signed)}{' to ' if signed else '–'}{percent(high, signed=signed)}"


def grid(rows: list[dict[str, Any]] | pd.DataFrame) -> str:
    """Return a Markdown table of texts; the first column is left-aligned, the others right."""
    table = pd.DataFrame(rows)
    align = ["left", *["right"] * (table.shape[1] - 1)]
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)


def write_table(rows: pd.DataFrame, text: str, *, csv: Path, md: Path) -> None:
    """Write the numbers of a page, and the page."""
    with atomic_file(csv) as scratch:
        rows.round(9).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    with atomic_file(md) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def _introduction(comparison: Comparison, heading: Heading) -> list[str]:
    means = comparison.cells[comparison.cells.fold == MEAN]
    seeds = sorted(set(comparison.scores.seed)) if len(comparison.scores) else []
    counts = (
        f"Corpus {heading.corpus}, scale {heading.scale}: {len(comparison.fold_names)} folds, "
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
        "of the mean the bootstrap's, over whole actors."
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
                "macro recall": percent(row.macro_recall),
                "clips": str(row.n_clips) if row.n_clips else "-",
            }
        )
    return [f"The difference, the interval and the macro recall belong to ours, {comparison.selection}.", grid(rows)]


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
            "pair": f"{later} vs {earlier}",
            "ours: difference": percent(ours.difference, signed=True),
            "p": _p(ours),
            "folds": str(ours.n),
            "thesis: difference": percent(printed.difference, signed=True) if printed else "-",
            "p (thesis)": _p(printed),
            "folds (thesis)": str(printed.n) if printed else "-",
        }
        for later, earlier, ours, printed in tests
    ]
    text = (
        "Mean difference over folds, on the clips that both networks were tested on, and the two-sided p of the "
        "sign-flip test. The p are not corrected for the number of pairs, and folds share training actors: they are a "
        "guide, no proof."
    )
    weakest = max((ours for _, _, ours, _ in tests if ours.n >= 2), key=lambda ours: ours.p_floor, default=None)
    if weakest is not None and weakest.p_floor > 0.05:
        text += (
            f" With {weakest.n} folds no p can be below {weakest.p_floor:.3f}: so few folds cannot show a difference."
        )
    return [text, grid(rows)]


def _inferior(comparison: Comparison, joint: list[str], single: list[str]) -> list[str]:
    if not (joint and single):
        return ["There is no joint network with a single modality beside it in this table."]
    rows = []
    for variant in joint:
        found = inferior_folds(comparison, variant, single)
        rows.append(
            {
                "joint network": _marked(comparison, variant),
                "ours": _share(found.ours, found.n_ours),
                "folds": "; ".join(found.ours or []) or "-",
                "thesis": _share(found.thesis, found.n_thesis),
                "folds (thesis)": "; ".join(found.thesis or []) or "-",
            }
        )
    return [f"The better of {' and '.join(single)}, on the clips that all of them were tested on.", grid(rows)]


def _headlines(comparison: Comparison) -> list[str]:
    rows = []
    for variant, row in comparison.published.items():
        for where, value in (row.headlines if row else {}).items():
            gap = percent(value - row.mean, signed=True)
            mean = f"{row.mean:.2f}"
            rows.append(
                {
                    "variant": variant,
                    "mean of its folds": mean,
                    "headline": f"{value:.2f}",
                    "gap": gap,
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


def _share(folds: list[str] | None, total: int) -> str:
    return "-" if folds is None else f"{len(folds)} of {total}"


def _p(test: Paired | None) -> str:
    if test is None or math.isnan(test.p):
        return "-"
    return "<0.001" if test.p < 0.0005 else f"{test.p:.3f}"
