"""What running networks are worth: every number of the table "streams", before it is laid out.

Lay the table "streams" out as Markdown; fixed decimals, fixed order, no dates.

Command compare_streams: what running networks are worth (thesis 4.4, 4.5; X17 and X18), as CSV and Markdown.
"""

import logging
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig, StreamConfig, StreamingConfig, WatchConfig, load, section
from mien.evaluation.metrics import twins
from mien.evaluation.runs import Run, read_runs, rows_in_order, select_runs
from mien.evaluation.streams import (
    QUANTITIES,
    Estimate,
    Quantity,
    Trace,
    anytime,
    at_common_times,
    differences,
    estimate,
    measure,
    read_traces,
    typical,
)
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.claims import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, answer
from mien.report.page import CHOICE, SYNTHETIC, grid, limits, percent

FEWER, BETTER, OTHERWISE = "flips", "majority", "last"  # keys of QUANTITIES that answers rest on, see `Pair`
COLUMNS = [  # of the CSV; shares and accuracies in percent, their differences in points
    "part",  # network, pair or anytime
    "network",
    "against",  # of a pair: the network whose number is subtracted
    "at_s",  # of anytime
    "quantity",
    "unit",
    "value",
    "low",
    "high",
    "n_clips",
    "n_people",
    "answer",  # of a pair, to what it asks of this quantity
]
EDGE_S = 1e-6  # by which times may differ that are meant to be equal


@dataclass(frozen=True)
class Streams:
    """The runs of all rows of ``streams``, what they say of the test recordings, and what a page must state.

    rows : in the order of params.yaml.   reasons : row -> why it, or some of its folds, could not be trained.
    """

    rows: dict[str, StreamConfig]
    runs: list[Run]
    traces: list[Trace]
    streaming: StreamingConfig
    watch: WatchConfig
    evaluate: EvaluateConfig
    seed: int
    scale: str
    synthetic: bool

    @property
    def corpus(self) -> str:
        """Return the corpus of the recordings."""
        return self.streaming.corpus

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the emotions in the order of their labels."""
        return self.runs[0].classes

    @property
    def reasons(self) -> dict[str, str]:
        """Return row -> why it, or some of its folds, could not be trained."""
        texts: dict[str, set[str]] = {}
        for run in self.runs:
            if not run.trained:
                texts.setdefault(run.variant, set()).add(run.reason or "not applicable")
        return {row: "; ".join(sorted(texts[row])) for row in self.rows if row in texts}

    @property
    def chance(self) -> float:
        """Return the accuracy of always naming the commonest emotion of the test recordings; NaN without any."""
        label = list({trace.clip: trace.label for trace in self.traces}.values())
        return float(np.bincount(label).max() / len(label)) if label else math.nan

    def of(self, row: str) -> list[Trace]:
        """Return the traces of one network."""
        return [trace for trace in self.traces if trace.variant == row]

    def rng(self, *scope: str) -> np.random.Generator:
        """Return the generator of one interval."""
        return rng_for(self.seed, "evaluation", "streams", *scope)


@dataclass(frozen=True)
class Pair:
    """One network beside another at the same times of the same recordings.

    sides : quantity -> what each of the two comes to, over the recordings of which the difference is known.
    gaps : quantity -> mean difference by recording, one - other.
    """

    one: str
    other: str
    sides: dict[str, tuple[float, float]]
    gaps: dict[str, Estimate]

    @property
    def answers(self) -> dict[str, Answer]:
        """Return whether `one` changes its label less often, and judges more clips right, each by its interval."""
        better = {key: answer([self.gaps[key].low], [self.gaps[key].high]) for key in (BETTER, OTHERWISE)}
        return {FEWER: answer([-self.gaps[FEWER].high], [-self.gaps[FEWER].low])} | better

    def verdict(self, better: str = BETTER) -> Answer:
        """Return the answer to both at once: supported if both are, not supported if one is not, else undecided."""
        parts = {self.answers[FEWER], self.answers[better]}
        if NOT_SUPPORTED in parts:
            return NOT_SUPPORTED
        return SUPPORTED if parts == {SUPPORTED} else UNDECIDED


def read_streams(paths: list[Path], clips: Path, corpus_info: Path, params: Mapping[str, Any]) -> Streams:
    """Read the runs of every row of ``streams``.

    Raises
    ------
    TableError : a row lacks a run that another one has, or a file does not fit its run.
    """
    streaming = section(StreamingConfig, params, "streaming")
    rows = {name: section(StreamConfig, params, "streams", name) for name in params["streams"]}
    runs = select_runs(read_runs(paths), streaming.corpus, rows)
    return Streams(
        rows=rows_in_order(paths, rows),
        runs=runs,
        traces=read_traces(runs, twins([clips])),
        streaming=streaming,
        watch=section(WatchConfig, params, "watch"),
        evaluate=section(EvaluateConfig, params, "evaluate"),
        seed=section(int, params, "seed"),
        scale=params["scale"],
        synthetic=read_json(corpus_info)["source"] == "synthetic",
    )


def with_and_without_memory(rows: Mapping[str, StreamConfig]) -> list[tuple[str, str]]:
    """Return (with, without) of rows that differ in the memory only: V-stream and the frame classifier (X18, X17)."""
    return [
        (one, other)
        for other, without in rows.items()
        for one, with_memory in rows.items()
        if without.aggregator == "none" and with_memory == replace(without, aggregator=with_memory.aggregator)
        if one != other and with_memory.aggregator != "none"
    ]


def joint_and_single(streams: Streams) -> list[tuple[str, str]]:
    """Return (joint, single) of the networks that a recording is watched with."""
    watch = streams.watch
    return [(watch.joint, single) for single in (watch.video, watch.audio)]


def describe(streams: Streams, row: str) -> dict[str, Estimate]:
    """Return every quantity of one network at all its own judgements."""
    table = measure(streams.of(row))
    return {
        quantity.key: estimate(table, quantity, config=streams.evaluate, rng=streams.rng(row, quantity.key))
        for quantity in QUANTITIES
    }


def compare(streams: Streams, one: str, other: str) -> Pair:
    """Compare two networks by every quantity."""
    measures = [measure(traces) for traces in at_common_times(streams.of(one), streams.of(other))]
    gap = differences(*measures)
    sides, gaps = {}, {}
    for quantity in QUANTITIES:
        known = gap[quantity.key].notna().to_numpy()
        sides[quantity.key] = tuple(typical(side[known], quantity) for side in measures)
        gaps[quantity.key] = estimate(gap, replace(quantity, typical="mean"), config=streams.evaluate)
    return Pair(one, other, sides, gaps)


def ticks_of(streams: Streams) -> np.ndarray:
    """Return the times (K,) of the table "anytime": every `hop_s` until the last judgement of all stands."""
    return _multiples(streams, streams.streaming.hop_s)


def times_of(streams: Streams) -> np.ndarray:
    """Return the times (K,) of the figure "anytime": those of the table, and 0 and the looks at the picture."""
    looks = _multiples(streams, 1.0 / streams.streaming.rate_fps)
    return np.unique(np.concatenate([[0.0], looks, ticks_of(streams)]).round(6))


def anytime_rows(streams: Streams, at_s: np.ndarray) -> pd.DataFrame:
    """Return `evaluation.streams.anytime` of every trained network; its name is in a first column, network."""
    parts = []
    for row in streams.rows:
        if traces := streams.of(row):
            part = anytime(traces, at_s, config=streams.evaluate)
            part.insert(0, "network", row)
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["network", "at_s", "judged"])


def numbers(networks: Mapping[str, Mapping[str, Estimate]], pairs: list[Pair], curves: pd.DataFrame) -> pd.DataFrame:
    """Return COLUMNS of everything that the page states."""
    rows = []
    for row, found in networks.items():
        rows += [{"part": "network", "network": row} | _cells(quantity, found) for quantity in QUANTITIES]
    for pair in pairs:
        names = {"part": "pair", "network": pair.one, "against": pair.other}
        answers = {key: {"answer": found} for key, found in pair.answers.items()}
        rows += [names | _cells(quantity, pair.gaps) | answers.get(quantity.key, {}) for quantity in QUANTITIES]
    for row in curves[curves.judged > 0].itertuples():
        found = {"right": Estimate(row.accuracy, row.low, row.high, row.n_clips, row.n_people)}
        names = {"part": "anytime", "network": row.network, "at_s": row.at_s}
        rows.append(names | _cells(QUANTITIES[0], found))
    return pd.DataFrame(rows, columns=COLUMNS)


def _cells(quantity, found: Mapping[str, Estimate]) -> dict[str, Any]:
    one, factor = found[quantity.key], 100.0 if quantity.unit == "share" else 1.0
    unit = {"share": "percent"}.get(quantity.unit, quantity.unit)
    values = {"value": factor * one.value, "low": factor * one.low, "high": factor * one.high}
    return {"quantity": quantity.key, "unit": unit} | values | {"n_clips": one.n_clips, "n_people": one.n_people}


def _multiples(streams: Streams, step_s: float) -> np.ndarray:
    last_s = max((float(trace.time_s[-1]) for trace in streams.traces), default=step_s)
    return step_s * np.arange(1, math.ceil((last_s - EDGE_S) / step_s) + 1)


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


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--clips", type=Path, required=True, help="table CLIPS of the corpus")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the streams, compare, write both files."""
    from mien.report.page import write_table

    streams = read_streams(args.runs, args.clips, args.corpus_info, load(args.config))
    networks = {row: describe(streams, row) for row in streams.rows}
    memory = [compare(streams, *pair) for pair in with_and_without_memory(streams.rows)]
    joint = [compare(streams, *pair) for pair in joint_and_single(streams)]
    curves = anytime_rows(streams, ticks_of(streams))
    text = render(streams, networks=networks, memory=memory, joint=joint, curves=curves)
    write_table(numbers(networks, [*memory, *joint], curves), text, csv=args.out_csv, md=args.out_md)
    log.info("streams: %s", "; ".join(f"{pair.one} against {pair.other} {pair.verdict()}" for pair in memory))
