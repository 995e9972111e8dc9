"""What a hypothesis comes to: verdicts, the differences they rest on, and the page that states them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from mien.evaluation.classifiers import Difference
from mien.report.markdown import SYNTHETIC, grid, limits, percent

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
Answer = Literal[SUPPORTED, NOT_SUPPORTED, UNDECIDED]
CONTRASTS = [  # of hypotheses.csv; differences in points
    "question",
    "verdict",  # of the question, in every row of it
    "people",  # computed or real
    "decides",  # the verdict rests on this row
    "one",
    "other",
    "pictures",
    "thesis",
    "difference",
    "low",
    "high",
    "n_pictures",
    "n_people",
    "p",  # of the sign-flip test over folds, where there are folds
    "p_holm",  # adjusted over the differences of the question
    "n_folds",
    "n_below",  # folds in which `one` is worse
]


@dataclass(frozen=True)
class Contrast:
    """Accuracy of `one` less that of `other`, points."""

    one: str
    other: str
    pictures: str  # which count
    difference: float
    low: float
    high: float
    n_pictures: int
    n_people: int
    thesis: float = math.nan  # the same difference in the thesis
    decides: bool = False
    p: float = math.nan
    p_holm: float = math.nan
    n_folds: int = 0
    n_below: int = 0

    @property
    def text(self) -> str:
        """Return the difference with its interval in brackets."""
        return _with_interval(self.difference, self.low, self.high)


NOTHING = Contrast("", "", "", math.nan, math.nan, math.nan, 0, 0)  # of sides that do not exist


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    effect, interval : points; NaN where nothing can be said.   n : what they rest on, in words.
    printed : the answer that the thesis's printed numbers give, or empty.
    detail : blocks of Markdown.   contrasts : every difference behind the answer.
    """

    key: str
    title: str
    claim: str
    rule: str  # by which the answer is given
    verdict: Answer
    measure: str  # what the effect is
    effect: float
    interval: tuple[float, float]
    n: str
    printed: str
    synthetic: bool
    detail: tuple[str, ...]
    contrasts: tuple[Contrast, ...]


def contrast(one: str, other: str, found: Difference, *, pictures: str, **more) -> Contrast:
    """Return a difference of fractions as a contrast in points."""
    values = (100 * found.difference, 100 * found.low, 100 * found.high)
    return Contrast(one, other, pictures, *values, found.n_pictures, found.n_people, **more)


def answer(lows: Iterable[float], highs: Iterable[float]) -> Answer:
    """Return supported if every interval is above zero, not supported if every one is below, else undecided.

    An interval that does not exist (NaN) decides nothing, and so does no interval.
    """
    lows, highs = list(lows), list(highs)
    if lows and all(low > 0 for low in lows):
        return SUPPORTED
    return NOT_SUPPORTED if highs and all(high < 0 for high in highs) else UNDECIDED


def contrast_rows(verdicts: list[Verdict]) -> pd.DataFrame:
    """Return CONTRASTS of all verdicts."""
    rows = [
        {"question": verdict.key, "verdict": verdict.verdict, "people": _people(verdict)} | vars(one)
        for verdict in verdicts
        for one in verdict.contrasts
    ]
    return pd.DataFrame(rows, columns=CONTRASTS)


def render(verdicts: list[Verdict], *, confidence: float, scale: str) -> str:
    """Return the page: a summary, then a section for every question."""
    notice = [f"**{SYNTHETIC}**"] if any(verdict.synthetic for verdict in verdicts) else []
    text = (
        f"Scale {scale}. Effects are differences of accuracy in points, with {100 * confidence:g}% intervals over "
        "whole test people (C2: over pictures, as nobody is named) in brackets; other people in the training, or other "
        "seeds, are not in them. "
        "An answer holds for the people, the pictures and the settings that it was found on; 'as printed' is the "
        "answer that the thesis's own numbers give. Every difference is in hypotheses.csv."
    )
    sections = [block for verdict in verdicts for block in _section(verdict)]
    return "\n\n".join(["# Hypotheses", *notice, text, grid([_summary(one) for one in verdicts]), *sections]) + "\n"


def _summary(verdict: Verdict) -> dict[str, str]:
    return {
        "question": verdict.key,
        "claim": verdict.claim,
        "answer": f"**{verdict.verdict}**",
        "people": _people(verdict),
        "effect, points": _effect(verdict),
        "as printed": verdict.printed or "-",
    }


def _section(verdict: Verdict) -> list[str]:
    on = "computed people, not a result on people" if verdict.synthetic else "real people"
    return [
        f"## {verdict.key}: {verdict.title}",
        f"Claim: {verdict.claim}",
        f"Rule: {verdict.rule}",
        f"Answer: **{verdict.verdict}** ({on}). {verdict.measure}: {_effect(verdict)}; {verdict.n}.",
        *verdict.detail,
    ]


def _effect(verdict: Verdict) -> str:
    return _with_interval(verdict.effect, *verdict.interval)


def _with_interval(value: float, low: float, high: float) -> str:
    text = percent(value, signed=True)
    return text if math.isnan(low) else f"{text} ({limits(low, high, signed=True)})"


def _people(verdict: Verdict) -> str:
    return "computed" if verdict.synthetic else "real"
