"""What running networks are worth (thesis 4.4, 4.5; X17 and X18): the table and the page "streams"."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig, StreamConfig, StreamingConfig, WatchConfig, load, section
from mien.evaluation.metrics import read_duplicates
from mien.evaluation.runs import Run, read_runs, reasons_of, select_runs
from mien.evaluation.statistics import Gain
from mien.evaluation.streams import (
    AFTER_CHANGE,
    QUANTITIES,
    Estimate,
    Quantity,
    Trace,
    after_changes,
    anytime,
    at_common_times,
    differences,
    estimate,
    gain_of,
    measure,
    read_traces,
    typical,
)
from mien.io import tables
from mien.io.files import read_json
from mien.report.page import fixed, percent, render_page, with_interval, write_table
from mien.report.rules import Answer, answer, answer_of, decide_steady, enough

log = logging.getLogger(__name__)

FEWER, BETTER, OTHERWISE = "flips", "majority", "last"  # keys of QUANTITIES that answers rest on, see `Pair`
COLUMNS = [  # of the CSV; shares and accuracies in percent, their differences in points
    "part",  # network, pair, anytime or change
    "network",
    "against",  # of a pair: the network whose number is subtracted
    "at_s",  # of anytime
    "n_before",  # of change: clips of the same person that come before
    "memory",  # of change: endless | bounded
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

    rows : in the order of params.yaml.
    """

    rows: dict[str, StreamConfig]
    runs: list[Run]
    traces: list[Trace]
    streaming: StreamingConfig
    watch: WatchConfig
    evaluate: EvaluateConfig
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
        return reasons_of(self.runs, self.rows)

    @property
    def chance(self) -> float:
        """Return the accuracy of always naming the commonest emotion of the test recordings; NaN without any."""
        label = list({trace.clip: trace.label for trace in self.traces}.values())
        return float(np.bincount(label).max() / len(label)) if label else math.nan

    def of(self, row: str) -> list[Trace]:
        """Return the traces of one network."""
        return [trace for trace in self.traces if trace.variant == row]


@dataclass(frozen=True)
class Pair:
    """One network beside another at the same times of the same recordings.

    sides : quantity -> what each of the two comes to, over the recordings of which the difference is known.
    gains : quantity -> mean difference over folds, one - other.
    """

    one: str
    other: str
    sides: dict[str, tuple[float, float]]
    gains: dict[str, Gain]
    confidence: float

    @property
    def gaps(self) -> dict[str, Estimate]:
        """Return the differences as numbers of a page."""
        return {
            key: Estimate(one.difference, one.low, one.high, one.n_clips, one.n_people)
            for key, one in self.gains.items()
        }

    @property
    def answers(self) -> dict[str, Answer]:
        """Return whether `one` changes its label less often, and judges more clips right, each by its interval."""
        flips = self.gains[FEWER]
        better = {key: answer_of([self.gains[key]]) for key in (BETTER, OTHERWISE)}
        return {FEWER: enough([flips], answer([-flips.high], [-flips.low]))} | better

    def verdict(self, better: str = BETTER) -> Answer:
        """Return the answer to both at once."""
        return decide_steady(self.gains[FEWER], self.gains[better], confidence=self.confidence)


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
        rows=rows,
        runs=runs,
        traces=read_traces(runs, read_duplicates([clips])),
        streaming=streaming,
        watch=section(WatchConfig, params, "watch"),
        evaluate=section(EvaluateConfig, params, "evaluate"),
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


def describe(streams: Streams, row: str) -> dict[str, Estimate]:
    """Return every quantity of one network at all its own judgements."""
    table, found = measure(streams.of(row)), {}
    for quantity in QUANTITIES:
        found[quantity.key] = estimate(table, quantity, config=streams.evaluate)
    return found


def compare(streams: Streams, one: str, other: str) -> Pair:
    """Compare two networks by every quantity."""
    measures = [measure(traces) for traces in at_common_times(streams.of(one), streams.of(other))]
    gap = differences(*measures)
    sides, gains = {}, {}
    for quantity in QUANTITIES:
        known = gap[quantity.key].notna().to_numpy()
        sides[quantity.key] = tuple(over_folds(side[known], quantity) for side in measures)
        gains[quantity.key] = gain_of(gap, quantity, one, other, config=streams.evaluate)
    return Pair(one, other, sides, gains, streams.evaluate.confidence)


def over_folds(measures: pd.DataFrame, quantity: Quantity) -> float:
    """Return the mean over folds of one quantity, as differences are; a median is that of all recordings."""
    if quantity.typical == "median" or measures.empty:
        return typical(measures, quantity)
    return float(np.mean([typical(part, quantity) for _, part in measures.groupby("fold")]))


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


def numbers(
    networks: Mapping[str, Mapping[str, Estimate]], pairs: list[Pair], curves: pd.DataFrame, changes: pd.DataFrame
) -> pd.DataFrame:
    """Return COLUMNS of everything that the page states."""
    rows = []

    def add(part: str, network: str, quantity: Quantity, one: Estimate, **more: Any) -> None:
        factor, unit = (100.0, "percent") if quantity.unit == "share" else (1.0, quantity.unit)
        cell = {"part": part, "network": network, "quantity": quantity.key, "unit": unit, **more}
        cell |= {key: factor * getattr(one, key) for key in ("value", "low", "high")}
        rows.append(cell | {"n_clips": one.n_clips, "n_people": one.n_people})

    for row, found in networks.items():
        for quantity in QUANTITIES:
            add("network", row, quantity, found[quantity.key])
    for pair in pairs:
        for quantity in QUANTITIES:
            more = {"against": pair.other, "answer": pair.answers.get(quantity.key)}
            add("pair", pair.one, quantity, pair.gaps[quantity.key], **more)
    for row in curves[curves.judged > 0].itertuples():
        right = Estimate(row.accuracy, row.low, row.high, row.n_clips, row.n_people)
        add("anytime", row.network, QUANTITIES[0], right, at_s=row.at_s)
    for row in changes.itertuples():
        for quantity in AFTER_CHANGE:
            more = {"n_before": row.n_before, "memory": row.memory}
            add("change", row.network, quantity, getattr(row, quantity.key), **more)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n_before": "Int64"})


def _multiples(streams: Streams, step_s: float) -> np.ndarray:
    last_s = max((float(trace.time_s[-1]) for trace in streams.traces), default=step_s)
    return step_s * np.arange(1, math.ceil((last_s - EDGE_S) / step_s) + 1)


def render(
    streams: Streams,
    *,
    networks: Mapping[str, Mapping[str, Estimate]],
    memory: list[Pair],
    joint: list[Pair],
    curves: pd.DataFrame,
    changes: pd.DataFrame,
) -> str:
    """Return the page.

    networks : row -> its quantities.   memory : of `with_and_without_memory`.   curves : of `anytime_rows`.
    changes : of `after_changes`.
    joint : the network that a recording is watched with, against those that one modality is watched with.
    """
    return render_page(
        "streams",
        streams=streams,
        n_folds=len({run.fold for run in streams.runs}),
        n_actors=len({trace.person for trace in streams.traces}),
        n_clips=len({trace.clip for trace in streams.traces}),
        n_seeds=len({run.seed for run in streams.runs}),
        quantities=QUANTITIES,
        networks=networks,
        facts={title: [fact(streams.of(row)) for row in networks] for title, fact in FACTS.items()},
        memory=memory,
        joint=joint,
        curves=curves,
        changes=changes,
        after_change=AFTER_CHANGE,
        text_of=text_of,
        shown=shown,
    )


FACTS = {  # of the traces of a network
    "judgements per clip": lambda traces: f"{np.mean([len(one.said) for one in traces]):.1f}" if traces else "-",
    "first judgement, s (median)": lambda traces: (
        f"{np.median([one.time_s[0] for one in traces]):.2f}" if traces else "-"
    ),
    "clips": lambda traces: len({one.clip for one in traces}) or "-",
}


def shown(quantity: Quantity, value: float) -> str:
    """Return a number of a quantity: shares in percent with one decimal, rates and seconds with two; - for nothing."""
    return percent(100 * value) if quantity.unit == "share" else fixed(value)


def text_of(quantity: Quantity, found: Estimate, *, signed: bool = False) -> str:
    """Return a number of a quantity, as `shown`, with its interval in brackets."""
    factor, decimals = (100, 1) if quantity.unit == "share" else (1, 2)
    ends = (factor * end for end in (found.value, found.low, found.high))
    return with_interval(*ends, decimals=decimals, signed=signed)


def compare_streams(
    *,
    runs: list[Path],
    clips: Path,
    corpus_info: Path,
    changes: Path,
    out_csv: Path,
    out_md: Path,
    config: str = "params.yaml",
) -> None:
    """Say how steady and how right running networks are, also after other utterances.

    Parameters
    ----------
    changes : Path
        Table of measure_changes.
    """
    streams = read_streams(runs, clips, corpus_info, load(config))
    networks = {row: describe(streams, row) for row in streams.rows}
    memory = [compare(streams, *pair) for pair in with_and_without_memory(streams.rows)]
    watch = streams.watch
    joint = [compare(streams, watch.joint, single) for single in (watch.video, watch.audio)]
    curves = anytime_rows(streams, ticks_of(streams))
    after = after_changes(tables.read(changes, tables.CHANGES), config=streams.evaluate)
    text = render(streams, networks=networks, memory=memory, joint=joint, curves=curves, changes=after)
    write_table(numbers(networks, [*memory, *joint], curves, after), text, csv=out_csv, md=out_md)
    log.info("streams: %s", "; ".join(f"{pair.one} against {pair.other} {pair.verdict()}" for pair in memory))
