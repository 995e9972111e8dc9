"""Table 5.4 as a page: every option of the networks, a block per corpus."""

import math
from typing import Any

import pandas as pd

from mien.report.comparison import MEAN
from mien.report.markdown import CHOICE, CHOICE_THESIS, SYNTHETIC, grid, limits, p_value, percent
from mien.report.overview import OnCorpus
from mien.report.published import Other

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
