"""What missing and fuzzy information does to the networks: every number of the table "fuzziness".

Lay the table "fuzziness" out as Markdown; fixed decimals, fixed order, no dates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.schema import (
    FUZZY_MODALITIES,
    KINDS,
    NOTHING,
    Condition,
    EvaluateConfig,
    FuzzinessConfig,
    VariantConfig,
    conditions,
    section,
)
from mien.evaluation.fuzziness import SUBSETS, Estimate, Judgements, read_judgements
from mien.report.claims import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Answer, answer
from mien.report.page import SYNTHETIC, grid, limits, percent

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


CLAIM = (
    "Claim (thesis, sections 5.1 and 5.3): information that is missing or fuzzy in one modality distorts networks that "
    "are trained end to end, and residual perception protects against it."
)
RULE = (
    "Rule, for each kind: supported if {refined} loses accuracy more slowly than each of {plain} as the share rises: "
    "the whole interval of the difference between the slopes, mean over the modalities, lies above zero; not supported "
    "if one lies below zero; else undecided. One repetition decides nothing, because another training of the same "
    "networks may differ as much. What else stands here decides nothing either."
)
KIND_IN_WORDS = {
    "missing": "missing (the modality stays neutral)",
    "blended": "fuzzy (the modality is blended with another emotion)",
}


def render(found: Fuzziness) -> str:
    """Return the page."""
    blocks = [
        *_introduction(found),
        "## Does residual perception protect?",
        *_verdicts(found),
        "## Accuracy by share",
        *[block for kind in KINDS for modality in FUZZY_MODALITIES for block in _accuracies(found, kind, modality)],
        "## How fast accuracy falls",
        *_slopes(found),
        "## Affected test clips and clear ones",
        *_apart(found),
    ]
    return "\n\n".join(blocks) + "\n"


def points(one: Estimate, *, per: float = 1.0, signed: bool = True) -> str:
    """Return a number with its interval in brackets; - for nothing."""
    value, low, high = (100 * per * end for end in (one.value, one.low, one.high))
    if one.value != one.value or one.low != one.low:
        return percent(value, signed=signed)
    return f"{percent(value, signed=signed)} ({limits(low, high, signed=signed)})"


def _introduction(found: Fuzziness) -> list[str]:
    config, rows = found.config, found.judgements.rows
    n_seeds = rows.seed.nunique()
    clear = rows[(rows.kind == "") & (rows.variant == rows.variant.iloc[0])]
    counts = (
        f"Twin of {config.corpus}, scale {found.scale}: {config.actors} computed people that no other experiment knows,"
        f" {config.tested} of them tested and the others trained on, {n_seeds} repetition{'' if n_seeds == 1 else 's'} "
        f"with {rows.actor.nunique()} test people and {len(clear)} test clips in all, {config.epochs} epochs without a "
        "choice. Under each condition a share of the clips, in training as in test, has one modality that says nothing "
        "or something else as well; face and voice of all other clips are clear. Always naming the commonest emotion "
        f"would score {percent(100 * clear.label.value_counts(normalize=True).max())}."
    )
    over = (
        "repetitions, each with its own people tested, clips affected and random weights"
        if n_seeds > 1
        else "the test people of the one repetition, whose networks are held fixed: other weights are not in it"
    )
    level = f"{100 * found.judgements.confidence:g}%"
    intervals = f"Accuracy in percent, differences in points; in brackets {level} intervals, Student's t over {over}."
    return ["# Fuzziness: missing and fuzzy information", f"**{SYNTHETIC}**", counts, intervals]


def _verdicts(found: Fuzziness) -> list[str]:
    if not found.plain:
        return ["There is no network with residual perception with another one to hold it against."]
    texts = [CLAIM, RULE.format(refined=found.refined, plain=" and ".join(found.plain))]
    for kind in KINDS:
        gaps = "; ".join(
            f"{found.refined} less {other} {points(found.gap(other, kind, BOTH), per=PER)}" for other in found.plain
        )
        texts.append(
            f"{WORDS[kind].capitalize()}: **{found.verdict(kind)}**. Difference of slopes, points per "
            f"{100 * PER:g}% of the clips: {gaps}."
        )
    return texts


def _accuracies(found: Fuzziness, kind: str, modality: str) -> list[str]:
    line = [NOTHING, *(Condition(kind, modality, share) for share in found.config.shares if share > 0)]
    rows = []
    for name in found.config.rows:
        cells = [found.judgements.share(found.judgements.accuracy(name, one)) for one in line]
        rows.append({"network": name} | _by_share(line, [points(cell, signed=False) for cell in cells]))
    for other in found.plain:
        cells = [points(difference(found, other, one)) for one in line]
        rows.append({"network": f"{found.refined} - {other}"} | _by_share(line, cells))
    return [f"### {modality.capitalize()} {KIND_IN_WORDS[kind]}", grid(rows)]


def _slopes(found: Fuzziness) -> list[str]:
    columns = [(kind, modality) for kind in KINDS for modality in (*FUZZY_MODALITIES, BOTH)]
    rows = []
    for name in found.config.rows:
        cells = [points(found.judgements.mean(found.slopes(name, *column)), per=PER) for column in columns]
        rows.append({"network": name} | dict(zip(map(_title, columns), cells, strict=True)))
    for other in found.plain:
        cells = [points(found.gap(other, *column), per=PER) for column in columns]
        rows.append({"network": f"{found.refined} - {other}"} | dict(zip(map(_title, columns), cells, strict=True)))
    text = f"Slope of the least-squares line of accuracy by share, points per {100 * PER:g}% of the clips."
    return [text, grid(rows)]


def _apart(found: Fuzziness) -> list[str]:
    blocks = [
        "Test clips of one condition apart: the clear ones show what affected clips in the training cost, the affected "
        "ones whether a network turns to the other modality. A drawn clip that is no different (a neutral one that is "
        "missing) counts as clear."
    ]
    for condition in found.conditions[1:]:
        n_clips = {subset: found.judgements.n_clips(condition, subset) for subset in ("clear", "affected")}
        rows = []
        for name in found.config.rows:
            cells = {
                f"{subset} (n = {n})": points(
                    found.judgements.share(found.judgements.accuracy(name, condition, subset)), signed=False
                )
                for subset, n in n_clips.items()
            }
            rows.append({"network": name} | cells)
        title = f"{condition.modality.capitalize()} {WORDS[condition.kind]}, {100 * condition.share:g}% of the clips"
        blocks += [f"### {title}", grid(rows)]
    return blocks


def _by_share(line: list[Condition], cells: list[str]) -> dict[str, str]:
    return {f"{100 * condition.share:g}%": cell for condition, cell in zip(line, cells, strict=True)}


def _title(column: tuple[str, str]) -> str:
    kind, modality = column
    return f"{modality} {WORDS[kind]}"
