"""Networks that run along with a recording: what they say when, and the numbers that follow from it.

A judgement stands until the next one: what a network says at a time is what it said at the newest step by then.
Fractions 0..1 and seconds in and out; NaN where there is too little data.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig
from mien.errors import TableError
from mien.evaluation.metrics import with_measures
from mien.evaluation.runs import Run
from mien.evaluation.statistics import (
    Estimate,
    Gain,
    gain_of_differences,
    interval_of_mean,
    logit_t_interval,
    units_of,
)
from mien.io import tables
from mien.models.streaming import newest_steps

KEYS = ["variant", "fold", "seed", "clip"]  # one recording that one network followed
MEASURES = [  # a row per KEYS
    *KEYS,
    "person",
    "n_steps",
    "span_s",  # from the first judgement to the last
    "right",  # share of the steps
    "flips",  # changes of the label per second of span_s; NaN where there is but one step
    "constant",  # 1: no change; NaN where there is but one step
    "majority",  # 1: the label of most steps is right; of labels with as many steps, the one that had them first
    "uar",  # of that label, linearised within fold and seed (`metrics.linearise`): their mean is UAR
    "macro_f1",  # likewise
    "last",  # 1: the last label is right
    "settled_s",  # from the recording's beginning to the step from which on the label stays
    "right_s",  # the same where that label is right, else NaN
]

_OF_MAJORITY = ("majority", "uar", "macro_f1")


@dataclass(frozen=True, eq=False)
class Trace:
    """What one network says along one recording: classes said (T,) at the ascending times time_s (T,), T >= 1."""

    variant: str
    fold: int
    seed: int
    clip: str
    person: str
    label: int
    time_s: np.ndarray
    said: np.ndarray

    @property
    def recording(self) -> tuple[int, int, str]:
        """Return what the traces of two networks along the same recording share."""
        return self.fold, self.seed, self.clip

    @property
    def n_changes(self) -> int:
        """Return how often the label changes."""
        return int((self.said[1:] != self.said[:-1]).sum())


@dataclass(frozen=True)
class Quantity:
    """A number of MEASURES over recordings: its mean, weighted by the column `weight` where that is named, or median.

    unit : share is a fraction.   typical : share is the mean of numbers 0..1, rate of numbers >= 0.
    """

    key: str
    title: str
    unit: Literal["share", "1/s", "s"]
    weight: str = ""
    typical: Literal["mean", "rate", "share", "median"] = "mean"


QUANTITIES = (
    Quantity("right", "judgements that are right, %", "share", "n_steps", typical="share"),
    Quantity("flips", "label changes per second", "1/s", "span_s", typical="rate"),
    Quantity("constant", "clips with one constant label, %", "share", typical="share"),
    Quantity("majority", "clips right by majority, %", "share", typical="share"),
    Quantity("uar", "UAR by majority, %", "share", typical="share"),
    Quantity("macro_f1", "macro-F1 by majority, %", "share", typical="share"),
    Quantity("last", "clips right by last judgement, %", "share", typical="share"),
    Quantity("settled_s", "until the label settles, s", "s", typical="median"),
    Quantity("right_s", "until it settles, clips that end right, s", "s", typical="median"),
)


def read_traces(runs: Iterable[Run], apart: set[tuple[str, str]], *, head: str = "fused") -> list[Trace]:
    """Read the test recordings of all trained `runs`, in a fixed order.

    apart : (corpus, clip) that are left out: they have a duplicate on the training side.

    Raises
    ------
    TableError : a stream does not fit its run, or two seeds of a fold followed different recordings.
    """
    traces = [trace for run in runs if run.trained for trace in _traces_of(run, apart, head)]
    clips: dict[tuple[str, int], dict[int, set[str]]] = {}
    for trace in traces:
        clips.setdefault((trace.variant, trace.fold), {}).setdefault(trace.seed, set()).add(trace.clip)
    for (variant, fold), of_seed in clips.items():
        if len({frozenset(names) for names in of_seed.values()}) > 1:
            raise TableError(f"{variant}, fold {fold}: the seeds followed different clips; train the fold again")
    return sorted(traces, key=lambda trace: (trace.variant, *trace.recording))


def measure(traces: Iterable[Trace]) -> pd.DataFrame:
    """Return MEASURES, a row per trace in their order."""
    traces, rows = list(traces), []
    for trace in traces:
        said, time_s = trace.said, trace.time_s
        changed = np.flatnonzero(said[1:] != said[:-1]) + 1
        span_s, several = float(time_s[-1] - time_s[0]), len(said) > 1
        ends_right = said[-1] == trace.label
        settled_s = float(time_s[changed[-1] if len(changed) else 0])
        rows.append(
            (
                *(trace.variant, *trace.recording, trace.person, len(said), span_s),
                float((said == trace.label).mean()),
                len(changed) / span_s if several else math.nan,
                float(not len(changed)) if several else math.nan,
                float(ends_right),
                settled_s,
                settled_s if ends_right else math.nan,
            )
        )
    table = pd.DataFrame(rows, columns=[name for name in MEASURES if name not in _OF_MAJORITY])
    label = {"label": [trace.label for trace in traces], "predicted": [majority(trace.said) for trace in traces]}
    found = with_measures(table[KEYS].assign(**label), ["variant", "fold", "seed"])
    return table.assign(majority=found.accuracy, uar=found.uar, macro_f1=found.macro_f1)[MEASURES]


def majority(said: np.ndarray) -> int:
    """Return the label of most steps (T,); of labels with as many, the one that was said so often first."""
    counts = np.cumsum(said[:, None] == np.unique(said)[None], axis=0)  # (T, labels)
    first = np.flatnonzero((counts == counts[-1].max()).any(axis=1))[0]
    return int(said[first])  # only the label that is said at this step can have come to so many


def at_common_times(one: list[Trace], other: list[Trace]) -> tuple[list[Trace], list[Trace]]:
    """Return the traces of two networks at the same times of the same recordings.

    Who judges more often has more occasions to change the label. Of every recording that both followed, the times are
    those of the network that judged it less often (of `other`, where equal), from when on both have said something.
    """
    theirs = {trace.recording: trace for trace in other}
    pairs = []
    for mine in one:
        if (its := theirs.get(mine.recording)) is None:
            continue
        time_s = mine.time_s if len(mine.time_s) < len(its.time_s) else its.time_s
        time_s = time_s[(standing(mine, time_s) >= 0) & (standing(its, time_s) >= 0)]
        if len(time_s):
            pairs.append([replace(t, time_s=time_s, said=t.said[standing(t, time_s)]) for t in (mine, its)])
    return [mine for mine, _ in pairs], [its for _, its in pairs]


def standing(trace: Trace, at_s: np.ndarray) -> np.ndarray:
    """Return the number of the judgement that stands at times `at_s` (K,), int64; -1: nothing is said yet."""
    return newest_steps(trace.time_s, at_s)


def differences(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return MEASURES of one network less those of another, a row per recording of both; n_steps and span_s stay.

    one, other : MEASURES at common times, see `at_common_times`.
    """
    keys = KEYS[1:]
    both = one.merge(other[[*keys, *(q.key for q in QUANTITIES)]], on=keys, suffixes=("", "_other"))
    return both.assign(**{q.key: both[q.key] - both[f"{q.key}_other"] for q in QUANTITIES})[MEASURES]


def gain_of(gap: pd.DataFrame, quantity: Quantity, one: str, other: str, *, config: EvaluateConfig) -> Gain:
    """Return the mean difference over folds of one quantity, in its own unit; `gap` as `differences` returns it.

    A weighted mean of a fold is made one over its recordings, each by what it moves the mean (linearised).
    """
    rows = gap[gap[quantity.key].notna()]
    if rows.empty:
        return Gain(one, other)
    rows = rows.assign(value=rows[quantity.key], weight=_weights(rows, quantity))
    share = rows.weight / rows.groupby("fold").weight.transform("mean")
    mean = (rows.value * share).groupby(rows.fold).transform("mean")
    return gain_of_differences(
        one, other, rows.assign(value=mean + share * (rows.value - mean)), confidence=config.confidence
    )


def estimate(measures: pd.DataFrame, quantity: Quantity, *, config: EvaluateConfig) -> Estimate:
    """Return one quantity of MEASURES of one network; its interval is over folds, or over people."""
    rows = measures[measures[quantity.key].notna()]
    values = rows[quantity.key].to_numpy(float)
    counts = (rows["clip"].nunique(), rows.person.nunique())
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, *counts)
    value, units = typical(rows, quantity), units_of(rows.fold, rows.person)
    if quantity.typical == "median":
        return Estimate(value, *interval_of_median(values, units, confidence=config.confidence), *counts)
    weights = _weights(rows, quantity)
    people = pd.DataFrame({"sum": values * weights, "weight": weights}).groupby(units).sum()
    is_share = quantity.typical == "share"
    interval = partial(logit_t_interval, n_clips=counts[0]) if is_share else interval_of_mean
    means = (people["sum"] / people.weight).to_numpy()
    low, high = interval(means, people.weight.to_numpy(), confidence=config.confidence)
    return Estimate(value, float(np.maximum(low, 0.0)) if quantity.typical == "rate" else low, high, *counts)


def typical(measures: pd.DataFrame, quantity: Quantity) -> float:
    """Return one quantity of MEASURES; NaN where it is known of no recording."""
    rows = measures[measures[quantity.key].notna()]
    if rows.empty:
        return math.nan
    values = rows[quantity.key].to_numpy(float)
    if quantity.typical == "median":
        return float(np.median(values))
    return float(np.average(values, weights=_weights(rows, quantity)))


def interval_of_median(values: np.ndarray, units: np.ndarray, *, confidence: float) -> tuple[float, float]:
    """Return Woodruff's (1952) interval of the median of `values` (N,), of which `units` (N,) have some each.

    The share of the values below the median has the interval of a share over units; its ends are read off the values.
    Where many values are equal both ends can be the median: then they are the next smaller and larger values.
    NaN with fewer than two units, and where all values are equal.
    """
    median = float(np.median(values))
    below = pd.DataFrame({"share": (values < median) + 0.5 * (values == median)})
    shares = below.groupby(np.asarray(units)).share.agg(["mean", "size"])
    mean = float(below.share.mean())
    options = {"confidence": confidence, "n_clips": len(values)}
    low, high = logit_t_interval(shares["mean"].to_numpy(), shares["size"].to_numpy(), **options)
    if math.isnan(low):
        return math.nan, math.nan
    low, high = np.quantile(values, np.clip([0.5 + low - mean, 0.5 + high - mean], 0, 1))
    if low == high:
        smaller, larger = values[values < low], values[values > high]
        low, high = smaller.max(initial=-math.inf), larger.min(initial=math.inf)
        low, high = (median if math.isinf(low) else low), (median if math.isinf(high) else high)
    return (float(low), float(high)) if low < high else (math.nan, math.nan)


def anytime(traces: list[Trace], at_s: np.ndarray, *, config: EvaluateConfig) -> pd.DataFrame:
    """Return how often the judgement that stands at times `at_s` (K,) is right, for the traces of one network; K rows.

    Every recording counts at every time: one of which nothing is said yet as not right, one that has ended with its
    last judgement. Columns: at_s; accuracy, low, high; judged, the share of recordings of which something is said;
    ended, the share that is not judged any more; n_clips, n_people.
    """
    newest = np.array([standing(trace, at_s) for trace in traces]).reshape(len(traces), len(at_s))
    right = [(at >= 0) & (trace.said[at] == trace.label) for trace, at in zip(traces, newest, strict=True)]
    ended = [at == len(trace.said) - 1 for trace, at in zip(traces, newest, strict=True)]
    columns = ["clip", "person", "fold"]
    base = pd.DataFrame([(trace.clip, trace.person, trace.fold) for trace in traces], columns=columns)
    quantity, rows = Quantity("right", "", "share", typical="share"), []
    for k, time_s in enumerate(at_s):
        found = estimate(base.assign(right=[float(one[k]) for one in right]), quantity, config=config)
        shares = [float(np.mean(one)) if traces else math.nan for one in (newest[:, k] >= 0, [e[k] for e in ended])]
        rows.append((float(time_s), found.value, found.low, found.high, *shares, found.n_clips, found.n_people))
    return pd.DataFrame(rows, columns=["at_s", "accuracy", "low", "high", "judged", "ended", "n_clips", "n_people"])


AFTER_CHANGE = (
    Quantity("right", "clips right by last judgement, %", "share", typical="share"),
    Quantity("previous", "clips that still get the label before, %", "share", typical="share"),
    Quantity("follow_s", "until the label is right and stays, clips that get there, s", "s", typical="median"),
)


def after_changes(changes: pd.DataFrame, *, config: EvaluateConfig) -> pd.DataFrame:
    """Return what is said of clips after others of the same person, a row per network, memory and number of those.

    changes : table CHANGES.

    Returns
    -------
    columns network, memory, n_before, n_clips, n_people, and per quantity of `AFTER_CHANGE` its `Estimate`.
    """
    rows = []
    table = changes.assign(person=changes.actor.where(changes.actor != "", changes["clip"]))
    for (network, memory, n_before), part in table.groupby(["network", "memory", "n_before"], sort=False):
        part = part.astype({"right": float, "previous": float})
        found = {one.key: estimate(part, one, config=config) for one in AFTER_CHANGE}
        counts = {"n_clips": part["clip"].nunique(), "n_people": part.person.nunique()}
        rows.append({"network": network, "memory": memory, "n_before": n_before, **counts, **found})
    columns = ["network", "memory", "n_before", "n_clips", "n_people", *(one.key for one in AFTER_CHANGE)]
    return pd.DataFrame(rows, columns=columns)


def _weights(measures: pd.DataFrame, quantity: Quantity) -> np.ndarray:
    return measures[quantity.weight].to_numpy(float) if quantity.weight else np.ones(len(measures))


def _traces_of(run: Run, apart: set[tuple[str, str]], head: str) -> list[Trace]:
    path = run.folder / "stream.parquet"
    rows = tables.read(path, tables.STREAM)
    rows = rows[(rows.role == "test") & (rows["head"] == head)]
    if rows.empty:
        return []
    logits = run.checked_logits(path, rows, rate="streaming.learning_rate")
    again = "delete the folder and train again"
    if rows.groupby("clip").label.nunique().max() > 1:
        raise TableError(f"{path}: two labels of one clip; {again}")
    if not np.isfinite(rows.time_s).all() or rows.duplicated(["clip", "time_s"]).any():
        raise TableError(f"{path}: a clip is judged twice at one time, or at none; {again}")
    rows = rows.assign(said=logits.argmax(axis=1)).sort_values(["clip", "time_s"])
    return [
        Trace(
            variant=run.variant,
            fold=run.fold,
            seed=run.seed,
            clip=clip,
            person=part.actor.iloc[0] or clip,  # where the corpus does not name its people, a clip is one of its own
            label=int(part.label.iloc[0]),
            time_s=part.time_s.to_numpy(),
            said=part.said.to_numpy(),
        )
        for clip, part in rows.groupby("clip")
        if (run.corpus, clip) not in apart
    ]
