"""What missing and fuzzy information does to the networks: the table and the page "fuzziness"."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.fuzziness import FUZZY_MODALITIES, KINDS, NOTHING, Condition, conditions
from mien.config.schema import EvaluateConfig, FuzzinessConfig, VariantConfig, section
from mien.evaluation.fuzziness import SUBSETS, Estimate, Judgements, read_judgements
from mien.report.page import render_page, with_interval
from mien.report.rules import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, answer

BOTH = "both"  # the mean over the modalities
WORDS = {"missing": "missing", "blended": "fuzzy"}  # kind -> the thesis's word
PER = 0.1  # share of the clips that a slope is told for
COLUMNS = [  # of the CSV; accuracies in percent, differences in points, slopes in points per 10 % of the clips
    "quantity",  # accuracy, difference, slope or difference of slopes
    "kind",  # missing or fuzzy; empty where all clips are clear
    "modality",
    "share",  # of the clips, percent; empty for slopes
    "clips",  # all test clips, the clear ones, or the affected ones
    "network",
    "against",  # the network whose number is subtracted
    "value",
    "low",
    "high",
    "n_clips",  # in all repetitions; of slopes, under one condition
]


@dataclass(frozen=True)
class Fuzziness:
    """The judgements of all repetitions and what a page must state.

    refined : the network with residual perception, or empty.   plain : those that it is held against.
    """

    config: FuzzinessConfig
    judgements: Judgements
    refined: str
    plain: list[str]
    scale: str

    @property
    def conditions(self) -> list[Condition]:
        """Return all conditions, the clear one first."""
        return conditions(self.config.shares)

    def slopes(self, variant: str, kind: str, modality: str) -> pd.Series:
        """Return the slope of every unit, accuracy per share; of BOTH, the mean over the modalities."""
        wanted = FUZZY_MODALITIES if modality == BOTH else (modality,)
        return sum(self.judgements.slope(variant, kind, one) for one in wanted) / len(wanted)

    def gap(self, other: str, kind: str, modality: str) -> Estimate:
        """Return by how much more slowly than `other` the refined network loses accuracy."""
        return self.judgements.mean(self.slopes(self.refined, kind, modality) - self.slopes(other, kind, modality))

    def verdict(self, kind: str) -> Answer | None:
        """Return whether residual perception protects: the gaps over both modalities, to every plain network.

        Supported if all their intervals lie above zero, not supported if one lies below, else undecided. One
        repetition decides nothing: its interval does not know how much another training would differ. None where there
        is nothing to compare.
        """
        if not self.plain:
            return None
        if self.judgements.unit != "seed":
            return UNDECIDED
        gaps = [self.gap(other, kind, BOTH) for other in self.plain]
        answers = {answer([gap.low], [gap.high]) for gap in gaps}
        return NOT_SUPPORTED if NOT_SUPPORTED in answers else SUPPORTED if answers == {SUPPORTED} else UNDECIDED


def read_fuzziness(paths: Iterable[Path], params: Mapping[str, Any]) -> Fuzziness:
    """Read all repetitions; `params` has the sections fuzziness, variants of its rows, evaluate and scale."""
    config = section(FuzzinessConfig, params, "fuzziness")
    variants = {name: section(VariantConfig, params, "variants", name) for name in config.rows}
    refined = next((name for name, variant in variants.items() if variant.fusion == "mrpn"), "")
    plain = [
        name
        for name, variant in variants.items()
        if refined
        and variant.fusion in ("n1", "n0")
        and not variant.frozen
        and set(variant.modalities) == set(variants[refined].modalities)
    ]
    confidence = section(EvaluateConfig, params, "evaluate").confidence
    judgements = Judgements(read_judgements(paths), confidence)
    return Fuzziness(config, judgements, refined, plain, section(str, params, "scale"))


def rows_of(found: Fuzziness) -> pd.DataFrame:
    """Return all numbers as a table of COLUMNS."""
    rows = []
    for condition in found.conditions:
        for subset in SUBSETS:
            rows += _at(found, condition, subset)
    for kind in KINDS:
        for modality in (*FUZZY_MODALITIES, BOTH):
            slopes = {name: found.judgements.mean(found.slopes(name, kind, modality)) for name in found.config.rows}
            rows += [_slope_row(found, kind, modality, name, "", one) for name, one in slopes.items()]
            rows += [
                _slope_row(found, kind, modality, found.refined, other, found.gap(other, kind, modality))
                for other in found.plain
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def difference(found: Fuzziness, other: str, condition: Condition, subset: str = "all") -> Estimate:
    """Return by how much the refined network is more often right than `other`, on the same clips."""
    one, two = (found.judgements.accuracy(name, condition, subset) for name in (found.refined, other))
    return found.judgements.mean(one - two)


def _at(found: Fuzziness, condition: Condition, subset: str) -> list[dict[str, Any]]:
    """Return the rows of one condition and kind of test clip."""
    n_clips = found.judgements.n_clips(condition, subset)
    if not n_clips:
        return []
    where = {
        "kind": WORDS.get(condition.kind, ""),
        "modality": condition.modality,
        "share": 100 * condition.share,
        "clips": subset,
        "n_clips": n_clips,
    }
    rows = []
    for name in found.config.rows:
        one = found.judgements.share(found.judgements.accuracy(name, condition, subset))
        rows.append(where | {"quantity": "accuracy", "network": name, "against": ""} | _in_points(one))
    for other in found.plain:
        one = difference(found, other, condition, subset)
        rows.append(where | {"quantity": "difference", "network": found.refined, "against": other} | _in_points(one))
    return rows


def _slope_row(found: Fuzziness, kind: str, modality: str, name: str, against: str, one: Estimate) -> dict[str, Any]:
    return {
        "quantity": "difference of slopes" if against else "slope",
        "kind": WORDS[kind],
        "modality": modality,
        "share": None,
        "clips": "all",
        "network": name,
        "against": against,
        "n_clips": found.judgements.n_clips(found.conditions[0]),
    } | _in_points(one, PER)


def _in_points(one: Estimate, per: float = 1.0) -> dict[str, float]:
    return {key: 100 * per * getattr(one, key) for key in ("value", "low", "high")}


def render(found: Fuzziness) -> str:
    """Return the page."""
    rows = found.judgements.rows
    clear = rows[(rows.kind == "") & (rows.variant == rows.variant.iloc[0])]
    columns = [(kind, modality) for kind in KINDS for modality in (*FUZZY_MODALITIES, BOTH)]
    slopes = _network_rows(
        found,
        {f"{modality} {WORDS[kind]}": (kind, modality) for kind, modality in columns},
        lambda name, column: points(found.judgements.mean(found.slopes(name, *column)), per=PER),
        lambda other, column: points(found.gap(other, *column), per=PER),
    )
    return render_page(
        "fuzziness",
        found=found,
        words=WORDS,
        per=PER,
        n_seeds=rows.seed.nunique(),
        n_actors=rows.actor.nunique(),
        n_clips=len(clear),
        commonest=100 * clear.label.value_counts(normalize=True).max(),
        verdicts={
            kind: {other: points(found.gap(other, kind, BOTH), per=PER) for other in found.plain} for kind in KINDS
        },
        accuracies={
            (kind, modality): _by_share(found, kind, modality) for kind in KINDS for modality in FUZZY_MODALITIES
        },
        slopes=slopes,
        apart={condition: _apart(found, condition) for condition in found.conditions[1:]},
    )


def points(one: Estimate, *, per: float = 1.0, signed: bool = True) -> str:
    """Return a number with its interval in brackets; - for nothing."""
    return with_interval(*(100 * per * end for end in (one.value, one.low, one.high)), signed=signed)


def _network_rows(
    found: Fuzziness,
    columns: Mapping[str, Any],
    of_network: Callable[[str, Any], str],
    of_difference: Callable[[str, Any], str],
) -> list[dict[str, str]]:
    """Return a row of texts per network, then one per difference to the refined one."""
    rows = [
        {"network": name} | {title: of_network(name, column) for title, column in columns.items()}
        for name in found.config.rows
    ]
    return rows + [
        {"network": f"{found.refined} - {other}"}
        | {title: of_difference(other, column) for title, column in columns.items()}
        for other in found.plain
    ]


def _by_share(found: Fuzziness, kind: str, modality: str) -> list[dict[str, str]]:
    line = [NOTHING, *(Condition(kind, modality, share) for share in found.config.shares if share > 0)]
    return _network_rows(
        found,
        {f"{100 * condition.share:g}%": condition for condition in line},
        lambda name, one: points(found.judgements.share(found.judgements.accuracy(name, one)), signed=False),
        lambda other, one: points(difference(found, other, one)),
    )


def _apart(found: Fuzziness, condition: Condition) -> list[dict[str, str]]:
    judgements = found.judgements
    return [
        {"network": name}
        | {
            f"{subset} (n = {judgements.n_clips(condition, subset)})": points(
                judgements.share(judgements.accuracy(name, condition, subset)), signed=False
            )
            for subset in ("clear", "affected")
        }
        for name in found.config.rows
    ]
