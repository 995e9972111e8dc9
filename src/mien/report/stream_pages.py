"""Lay the table "streams" out as Markdown; fixed decimals, fixed order, no dates."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mien.evaluation.streams import QUANTITIES, Estimate, Quantity
from mien.report.markdown import CHOICE, SYNTHETIC, grid, limits, percent
from mien.report.streams import BETTER, FEWER, OTHERWISE, Pair, Streams

CLAIM = (
    "Claim (thesis, section 4.4.2, figures 4.16 and 4.17): {one} changes its label less often than {other}, and judges "
    "more clips right."
)
RULE = (
    "Rule: supported if the whole intervals of both differences say so (label changes per second below zero, clips "
    "right by majority above); not supported if the whole interval of one says the opposite; else undecided. What else "
    "stands in the table decides nothing."
)
EACH = (
    "Whether the joint network changes its label less often, and whether it judges more clips right by majority, are "
    "two questions here: supported if the whole interval of the difference says so, not supported if it says the "
    "opposite, else undecided."
)
SAME_TIMES = (
    "Two networks are held against each other at the same times of the same clips: those of the one that judges less "
    "often, from when on both have said something. A difference is the first less the second, the mean over clips (in "
    "the first row over judgements, in the second over seconds); the seconds of each network alone are medians."
)

FACTS = ("judgements per clip", "first judgement, s (median)", "clips")


def render(
    streams: Streams,
    *,
    networks: Mapping[str, Mapping[str, Estimate]],
    memory: list[Pair],
    joint: list[Pair],
    curves: pd.DataFrame,
) -> str:
    """Return the page.

    networks : row -> its quantities.   memory, joint : pairs of `with_and_without_memory` and `joint_and_single`.
    curves : of `anytime_rows`.
    """
    blocks = [
        *_introduction(streams),
        "## Network by network",
        *_networks(streams, networks),
        "## A network with memory against the frame classifier",
        SAME_TIMES,
        *([block for pair in memory for block in _claim(streams, pair)] or ["No row of streams has no memory."]),
        "## Both modalities against one",
        EACH,
        *[block for pair in joint for block in _questions(streams, pair)],
        "## Accuracy while the recording runs",
        *_anytime(streams, curves),
        *_notes(streams),
    ]
    return "\n\n".join(blocks) + "\n"


def shown(quantity: Quantity, value: float, *, signed: bool = False) -> str:
    """Return a number of a quantity: shares in percent with one decimal, rates and seconds with two; - for nothing."""
    if quantity.unit == "share":
        return percent(100 * value, signed=signed)
    if math.isnan(value):
        return "-"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def with_interval(quantity: Quantity, found: Estimate, *, signed: bool = False) -> str:
    """Return a number with its interval in brackets; - for nothing."""
    text = shown(quantity, found.value, signed=signed)
    if math.isnan(found.low):
        return text
    low, high = (shown(quantity, end, signed=signed) for end in (found.low, found.high))
    return f"{text} ({low}{' to ' if signed else '–'}{high})"


def _introduction(streams: Streams) -> list[str]:
    people, clips = ({getattr(trace, name) for trace in streams.traces} for name in ("person", "clip"))
    folds, seeds = ({getattr(run, name) for run in streams.runs} for name in ("fold", "seed"))
    counts = (
        f"Corpus {streams.corpus}, scale {streams.scale}: {_number(len(folds), 'fold')}, "
        f"{_number(len(people), 'test actor')}, {_number(len(clips), 'test clip')}, {_number(len(seeds), 'seed')}. "
        "Every test clip is followed from its beginning to its end by a network that never saw its actor, and that "
        "looks at no later picture and hears no later sound: pictures are cut, and sound is standardised, by what is "
        "known by then, as mien watch does it. Shares in percent, their differences in points; a - stands for nothing "
        "to report. Always naming the commonest of the "
        f"{len(streams.classes)} emotions would score {percent(100 * streams.chance)}."
    )
    level = f"{100 * streams.evaluate.confidence:g}%"
    intervals = (
        f"In brackets are {level} intervals over whole test actors. They hold the trained networks fixed: what other "
        "actors in the training or other seeds would change is not in them. " + CHOICE.split(";")[0] + "."
    )
    notice = [f"**{SYNTHETIC}**"] if streams.synthetic else []
    return ["# Streams: networks that run along with a recording", *notice, counts, intervals]


def _networks(streams: Streams, networks: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    rows = [
        {"": quantity.title}
        | {_marked(streams, row): with_interval(quantity, found[quantity.key]) for row, found in networks.items()}
        for quantity in QUANTITIES
    ]
    facts = {row: _facts(streams, row) for row in networks}
    rows += [{"": name} | {_marked(streams, row): facts[row].get(name, "-") for row in networks} for name in FACTS]
    text = (
        "Every judgement is held against the clip's emotion, also at its beginning, when a face may still be neutral. "
        "Changes per second are all changes divided by all the time from the first judgement of a clip to its last; "
        "they and the constant labels are counted on clips that are judged at least twice. Majority: the label of most "
        "judgements, of equals the one that had as many first. A label has settled when it changes no more before the "
        "clip ends; seconds count from the clip's beginning and are medians. The networks judge at different times, so "
        "the columns are not to be compared before the next parts do it at the same times."
    )
    return [text, grid(rows)]


def _facts(streams: Streams, row: str) -> dict[str, str]:
    traces = streams.of(row)
    if not traces:
        return {}
    numbers = (
        f"{np.mean([len(trace.said) for trace in traces]):.1f}",
        f"{np.median([trace.time_s[0] for trace in traces]):.2f}",
        str(len({trace.clip for trace in traces})),
    )
    return dict(zip(FACTS, numbers, strict=True))


def _claim(streams: Streams, pair: Pair) -> list[str]:
    otherwise = pair.verdict(OTHERWISE)
    also = "too" if otherwise == pair.verdict() else "instead"
    found = (
        f"Answer: **{pair.verdict()}**{_on(streams)}. {_because(pair)} Were a clip's label the last one instead of "
        f"the majority's, the answer would be {otherwise} {also}."
    )
    title = f"### {pair.one} against {pair.other}"
    return [title, CLAIM.format(one=pair.one, other=pair.other), RULE, found, _table(pair)]


def _questions(streams: Streams, pair: Pair) -> list[str]:
    answers = pair.answers
    found = (
        f"Fewer label changes: **{answers[FEWER]}**; more clips right: **{answers[BETTER]}**{_on(streams)}. "
        f"{_because(pair)}"
    )
    return [f"### {pair.one} against {pair.other}", found, _table(pair)]


def _because(pair: Pair) -> str:
    texts = {q.key: with_interval(q, pair.gaps[q.key], signed=True) for q in QUANTITIES}
    return f"Label changes per second {texts[FEWER]}; clips right by majority {texts[BETTER]} points."


def _on(streams: Streams) -> str:
    return " (computed people, not a result on people)" if streams.synthetic else ""


def _table(pair: Pair) -> str:
    rows = []
    for quantity in QUANTITIES:
        sides, gap = pair.sides[quantity.key], pair.gaps[quantity.key]
        numbers = {name: shown(quantity, side) for name, side in zip((pair.one, pair.other), sides, strict=True)}
        difference = {"difference": with_interval(quantity, gap, signed=True)}
        rows.append({"": quantity.title} | numbers | difference | {"clips": gap.n_clips, "actors": gap.n_people})
    return grid([{key: str(value) for key, value in row.items()} for row in rows])


def _anytime(streams: Streams, curves: pd.DataFrame) -> list[str]:
    if curves.empty:
        return ["No network was trained."]
    rows = []
    for at_s, part in curves.groupby("at_s"):
        row = {"seconds": f"{at_s:.1f}"}
        for one in part.itertuples():
            text = f"{percent(100 * one.accuracy)} ({limits(100 * one.low, 100 * one.high)})"
            row[one.network] = text if one.judged else "-"
        ended = part.ended.min()
        rows.append(row | {"ended": f"{100 * ended:.0f}"})
    text = (
        "The accuracy, in percent, of the judgement that stands so many seconds into the clip. All test clips count at "
        "all times: one of which a network has said nothing yet is not right, one that has ended keeps its last "
        "judgement. '-': no clip is judged yet. 'ended': percent of the clips that no network judges any more. The "
        "last line is the accuracy by the last judgement. Figure anytime shows the same in finer steps."
    )
    return [text, grid(rows)]


def _notes(streams: Streams) -> list[str]:
    notes = [f"- \\* {row}: not applicable: {reason}." for row, reason in streams.reasons.items()]
    return ["## Notes", "\n".join(notes)] if notes else []


def _marked(streams: Streams, row: str) -> str:
    return f"{row} \\*" if row in streams.reasons else row


def _number(n: int, name: str) -> str:
    return f"{n} {name}{'' if n == 1 else 's'}"
