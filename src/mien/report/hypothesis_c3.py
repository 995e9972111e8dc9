"""C3: does time augmentation help, at marginal cost? (thesis L172, X21-X23, X28, X29)"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mien.augment.slicing import SEGMENTS
from mien.evaluation.pairs import Gain
from mien.report.chapter5 import NO_OVERLAP, SUMMED, TIMED, Trained
from mien.report.fold_claims import contrasts_of, measure_of, printed_table, rests_on, table_of, weakest_of
from mien.report.hypotheses import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, Verdict
from mien.report.hypothesis_h import and_, known_pairs
from mien.report.markdown import grid, percent
from mien.report.training_cost import TrainingCost, cost_of

DOUBLE = 2.0  # times the training without: from here on a cost is not marginal; the thesis gives no number
SLICES = ((NO_OVERLAP, TIMED["N0"]), ("N0", NO_OVERLAP))  # slices alone, then overlapping segments too
RULE = (
    "every network with time augmentation is held against the same one without. Helps: the difference of the means "
    "over folds has its whole interval above zero. Cost: multiply-adds of training until the chosen epoch (per clip, "
    f"times clips of an epoch, times epochs, over all folds); marginal: less than {DOUBLE:g} times that without. "
    "Supported if every network is helped at marginal cost; not supported if an interval lies below zero, or no cost "
    "is marginal; undecided otherwise."
)


@dataclass(frozen=True)
class Priced:
    """The costs of a network with and without time augmentation."""

    one: str
    other: str
    with_it: TrainingCost
    without: TrainingCost

    @property
    def ratio(self) -> float:
        """Return the cost of all trainings relative to those without."""
        return self.with_it.total / self.without.total


def judge_time(trained: Trained) -> Verdict | None:
    """Answer C3 for one corpus; None where neither we nor the thesis's folds have a pair."""
    pairs = known_pairs(trained, TIMED)
    if not pairs:
        return None
    gains = tuple(trained.gain(*pair) for pair in pairs.items())
    slices = tuple(trained.gain(*pair) for pair in SLICES)
    printed = tuple(trained.printed_gain(*pair) for pair in pairs.items())
    prices = [price for one, other in pairs.items() if (price := price_of(trained, one, other))]
    weakest = weakest_of(gains)
    return Verdict(
        key=f"C3, {trained.corpus}",
        title="time augmentation",
        claim=f"time augmentation makes {and_(pairs)} better at marginal cost.",
        rule=RULE,
        verdict=decide(gains, [price.ratio for price in prices]),
        measure=measure_of(weakest),
        effect=weakest.difference,
        interval=(weakest.low, weakest.high),
        n=f"{rests_on(weakest, trained)}{_at_cost(prices)}",
        printed=UNDECIDED if any(printed) else "",
        synthetic=trained.synthetic,
        detail=(
            *table_of("### With and without time augmentation", gains, trained),
            *_cost(prices),
            *table_of("### Slices alone, and overlapping segments", slices, trained),
            *printed_table(printed, _printed(printed)),
            _summed(trained),
        ),
        contrasts=(*contrasts_of(gains, printed), *contrasts_of(slices, [None] * len(slices), decides=False)),
    )


def decide(gains: tuple[Gain, ...], ratios: list[float]) -> Answer:
    """Return the answer by RULE; a network without numbers keeps the claim from being supported."""
    if any(one.high < 0 for one in gains) or (ratios and all(ratio >= DOUBLE for ratio in ratios)):
        return NOT_SUPPORTED
    helped = len(ratios) == len(gains) > 0 and all(one.low > 0 for one in gains)
    return SUPPORTED if helped and all(ratio < DOUBLE for ratio in ratios) else UNDECIDED


def price_of(trained: Trained, one: str, other: str) -> Priced | None:
    """Return the costs of two networks over the folds and seeds that both were trained on; None without any."""
    sides = [{(run.fold, run.seed): run for run in trained.runs.get(name, ())} for name in (one, other)]
    common = sorted(sides[0].keys() & sides[1].keys())
    if not common:
        return None
    return Priced(one, other, *(cost_of([side[key] for key in common], trained.selection) for side in sides))


def _at_cost(prices: list[Priced]) -> str:
    if not prices:
        return ""
    return ". Cost relative to that without: " + ", ".join(f"{one.one} {one.ratio:.2f}" for one in prices)


def _cost(prices: list[Priced]) -> list[str]:
    rows: list[dict[str, Any]] = [
        {
            "network": name,
            "multiply-adds per clip": f"{cost.per_clip:.4g}",
            "clips per epoch": f"{cost.clips:.0f}",
            "epochs": f"{cost.epochs:.1f}",
            "multiply-adds of all trainings": f"{cost.total:.4g}",
            "ratio": ratio,
        }
        for one in prices
        for name, cost, ratio in ((one.one, one.with_it, f"{one.ratio:.2f}"), (one.other, one.without, "1"))
    ]
    if not rows:
        return []
    text = (
        "Passes forward of training, counted from shapes; passes backward cost about twice as much in both. Slicing "
        "itself costs nothing; overlapping segments are more segments per clip "
        f"({SEGMENTS['VA+AO']} instead of {SEGMENTS['NT']}, our choice: the thesis prints no numbers), and another "
        "epoch may be the best. Epochs are means over few trainings and vary from seed to seed."
    )
    return ["### Cost", text, grid(rows)]


def _printed(gains: tuple[Gain | None, ...]) -> str:
    known = [one for one in gains if one is not None]
    if not known or len(known) < len(gains):
        return ""
    said = "helps" if all(one.low > 0 for one in known) else "is not shown to help"
    return (
        f"as printed, time augmentation {said} every network, but the thesis prints no cost, so that the claim is "
        "undecided"
    )


def _summed(trained: Trained) -> str:
    """Say what table 5.4 prints of the options of N0."""
    values = [trained.summed[name] for name in SUMMED]
    names = [f"{name} {value:.2f}" for name, value in zip(SUMMED, values, strict=True)]
    steps = [percent(after - before, signed=True) for before, after in pairwise(values)]
    return (
        f"Table 5.4 prints single numbers on {trained.corpus}: {', '.join(names)}; slices are worth {steps[0]} points "
        f"by them and overlapping segments {steps[1]} more, without an interval."
    )
