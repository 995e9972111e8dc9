"""What missing and fuzzy information does to the networks: the table and the page "fuzziness"."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.fuzziness import FUZZY_MODALITIES, KINDS, Condition, conditions
from mien.config.schema import EvaluateConfig, FuzzinessConfig, VariantConfig, section
from mien.evaluation.fuzziness import SUBSETS, ConditionPredictions, Estimate, read_judgements
from mien.report.page import render_page
from mien.report.rules import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, answer

BOTH = "both"  # the mean over the modalities
WORDS = {"missing": "missing", "blended": "fuzzy"}  # kind -> the thesis's word
BESIDE = {"uar": "UAR", "macro_f1": "macro-F1"}  # measure -> quantity
PER = 0.1  # share of the clips that a slope is told for
COLUMNS = [  # of the CSV; accuracies in percent, differences in points, slopes in points per 10 % of the clips
    "quantity",  # accuracy, UAR, macro-F1, difference (of accuracies), slope or difference of slopes
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
    judgements: ConditionPredictions
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
    judgements = ConditionPredictions(read_judgements(paths), confidence)
    return Fuzziness(config, judgements, refined, plain, section(str, params, "scale"))


def rows_of(found: Fuzziness) -> pd.DataFrame:
    """Return all numbers as a table of COLUMNS."""
    judgements, rows = found.judgements, []

    def add(quantity: str, network: str, one: Estimate, against: str = "", per: float = 1.0) -> None:
        numbers = {key: 100 * per * getattr(one, key) for key in ("value", "low", "high")}
        rows.append(where | {"quantity": quantity, "network": network, "against": against} | numbers)

    for condition in found.conditions:
        for subset in SUBSETS:
            if not (n_clips := judgements.n_clips(condition, subset)):
                continue
            where = {"kind": WORDS.get(condition.kind, ""), "modality": condition.modality}
            where |= {"share": 100 * condition.share, "clips": subset, "n_clips": n_clips}
            hits = {name: judgements.accuracy(name, condition, subset) for name in found.config.rows}
            for name, values in hits.items():
                add("accuracy", name, judgements.share(values))
            for other in found.plain:  # on the same clips
                add("difference", found.refined, judgements.mean(hits[found.refined] - hits[other]), other)
            for name in found.config.rows if subset == "all" else ():
                measures = judgements.measures(name, condition)
                for column, quantity in BESIDE.items():
                    add(quantity, name, judgements.share(measures[column]))
    for kind in KINDS:
        for modality in (*FUZZY_MODALITIES, BOTH):
            n_clips = judgements.n_clips(found.conditions[0])
            where = {"kind": WORDS[kind], "modality": modality, "share": None, "clips": "all", "n_clips": n_clips}
            for name in found.config.rows:
                add("slope", name, judgements.mean(found.slopes(name, kind, modality)), per=PER)
            for other in found.plain:
                add("difference of slopes", found.refined, found.gap(other, kind, modality), other, per=PER)
    return pd.DataFrame(rows, columns=COLUMNS)


def render(found: Fuzziness, numbers: pd.DataFrame) -> str:
    """Return the page; `numbers` as `rows_of` returns them."""
    rows = found.judgements.rows
    names = numbers.network.where(numbers.against == "", numbers.network + " - " + numbers.against)
    return render_page(
        "fuzziness",
        found=found,
        numbers=numbers.assign(name=names),
        kinds=WORDS,
        modalities=FUZZY_MODALITIES,
        both=BOTH,
        per=PER,
        n_seeds=rows.seed.nunique(),
        n_actors=rows.actor.nunique(),
        clear=rows[(rows.kind == "") & (rows.variant == rows.variant.iloc[0])],
    )
