"""Lay the numbers of "trust" out as Markdown; fixed decimals, fixed order, no dates."""

import math
from collections.abc import Callable

import pandas as pd

from mien.evaluation.calibration import at_limit
from mien.evaluation.conditions import CLEAN, conditions
from mien.evaluation.votes import raters_of
from mien.report.markdown import CHOICE, SYNTHETIC, grid, limits, percent
from mien.report.trust import Trust
from mien.report.trust_table import GROUPS, STATES, items_of
from mien.report.trust_texts import DISTURBED, GROUPED, MEANT, SILENT, SURE, TEMPERATURES

SHOWN = (100, 75, 50, 25)  # coverages of the page, percent
EVERYWHERE = -1.0  # stands for no bin and no coverage


def render(trust: Trust, numbers: pd.DataFrame) -> str:
    """Return the page of a corpus; `numbers` of `trust_numbers.numbers`."""
    blocks = [
        *_introduction(trust),
        "## Is a network as sure as it is right?",
        *_calibration(trust, numbers),
        "## What silence would gain",
        *_coverage(trust, numbers),
        "## Who and what is judged right",
        *_groups(trust, numbers),
        "## What disturbs a network",
        *_conditions(trust, numbers),
        *_labels(trust, numbers),
        *_notes(trust, numbers),
    ]
    return "\n\n".join(blocks) + "\n"


def _introduction(trust: Trust) -> list[str]:
    clips = trust.judged[trust.judged.condition == CLEAN].drop_duplicates("clip")
    folds, seeds = ({getattr(run, name) for run in trust.runs} for name in ("fold", "seed"))
    commonest = 100 * clips.label.value_counts(normalize=True).max() if len(clips) else math.nan
    counts = (
        f"Corpus {trust.corpus}, scale {trust.scale}: folds {len(folds)}, seeds {len(seeds)}, test actors "
        f"{clips.actor.nunique()}, test clips {len(clips)}, of which a network of one modality judges those that have "
        "it. Shares in percent, differences in points, means over folds; a - stands for nothing to report. Always "
        f"naming the commonest emotion would be right in {percent(commonest)}."
    )
    intervals = (
        f"In brackets are {_level(trust)} intervals over whole test actors. They hold the trained networks fixed: what "
        "other actors in the training or other seeds would change is not in them. " + CHOICE.split(";")[0] + "."
    )
    notice = [f"**{SYNTHETIC}**"] if trust.synthetic else []
    return [f"# Trust: how far the networks of {trust.corpus} can be relied on", *notice, counts, intervals]


def _calibration(trust: Trust, numbers: pd.DataFrame) -> list[str]:
    cell = _cells(numbers, "calibration")
    table, losses = [], []
    for network in trust.networks:
        line = {"network": _marked(trust, network), "accuracy": cell(network, "", "accuracy", _with_interval)}
        line["confidence"] = cell(network, "before", "confidence", _with_interval)
        for state in STATES:
            line[f"ECE {state}"] = cell(network, state, "ece", _value)
            line[f"by chance, {state}"] = cell(network, state, "ece_by_chance", _by_chance)
        table.append(line)
        losses.append({"network": _marked(trust, network)})
        for name, title in (("nll", "NLL"), ("brier", "Brier score")):
            losses[-1] |= {f"{title}, {state}": cell(network, state, name, _three) for state in STATES}
    text = SURE.format(bins=trust.trust.bins, level=_level(trust))
    return [text, grid(table), grid(losses), TEMPERATURES, _temperatures(trust, numbers)]


def _temperatures(trust: Trust, numbers: pd.DataFrame) -> str:
    cell = _cells(numbers, "temperature")
    items = items_of(numbers, "temperature")
    table = [
        {"network": _marked(trust, network)} | {item: cell(network, item, "temperature", _two) for item in items}
        for network in trust.networks
    ]
    return grid(table)


def _coverage(trust: Trust, numbers: pd.DataFrame) -> list[str]:
    cell = _cells(numbers, "coverage")
    table = []
    for network in trust.networks:
        areas = {"AURC": "aurc", "least": "aurc_least", "by chance": "aurc_random"}
        line = {"network": _marked(trust, network)}
        line |= {name: cell(network, "", key, _value) for name, key in areas.items()}
        table.append(line | {f"{at}%": cell(network, "", "accuracy", _value, at=at) for at in SHOWN})
    return [SILENT, grid(table)]


def _groups(trust: Trust, numbers: pd.DataFrame) -> list[str]:
    blocks = []
    for group in GROUPS:
        if items := items_of(numbers, group):
            cell = _cells(numbers, group)
            table = [
                {"network": _marked(trust, network)}
                | {item: cell(network, item, "accuracy", _with_interval) for item in items}
                for network in trust.networks
            ]
            sizes = numbers[numbers.part == group].groupby("item").n_clips.max()
            counts = ", ".join(f"{item} {sizes[item]}" for item in items)
            blocks += [f"{GROUPED[group]} Clips: {counts}.", grid(table)]
    return blocks or ["The corpus says nothing of its actors and statements."]


def _conditions(trust: Trust, numbers: pd.DataFrame) -> list[str]:
    cell = _cells(numbers, "condition")
    tables = []
    titles = {"accuracy": "accuracy", "difference": "difference", "surplus": "confidence less accuracy"}
    for quantity, title in titles.items():
        show = _with_interval if quantity == "accuracy" else _signed
        stated = set(numbers["item"][(numbers.part == "condition") & (numbers.quantity == quantity)])
        items = [one.name for one in conditions(trust.trust) if one.name in stated]
        table = [
            {title: item} | {_marked(trust, network): cell(network, item, quantity, show) for network in trust.networks}
            for item in items
        ]
        tables.append(grid(table))
    return [DISTURBED, *tables]


def _labels(trust: Trust, numbers: pd.DataFrame) -> list[str]:
    if not (numbers.part == "label").any():
        return []
    cell = _cells(numbers, "label")
    shown = {
        "intended": ("intended", _with_interval),
        "perceived": ("perceived", _with_interval),
        "people: majority": ("people_majority", _with_interval),
        "people: one vote": ("people_votes", _with_interval),
        "perceived less intended": ("perceived_less_intended", _signed),
        "intended less people's majority": ("intended_less_people", _signed),
        "tied": ("tied", _value),
    }
    table = [
        {"network": _marked(trust, network), "raters": raters_of(trust.modalities(network))}
        | {name: cell(network, "", quantity, show) for name, (quantity, show) in shown.items()}
        for network in trust.networks
    ]
    text = MEANT + (" The votes on computed people are drawn, not given." if trust.synthetic else "")
    return ["## The label that was meant and the one that people perceive", text, grid(table)]


def _notes(trust: Trust, numbers: pd.DataFrame) -> list[str]:
    notes = [f"- \\* {name}: not applicable: {reason}." for name, reason in trust.reasons.items()]
    fitted = numbers[numbers.part == "temperature"]
    if (n_limits := sum(map(at_limit, fitted.value))) > 0:
        notes.append(f"- {n_limits} of {len(fitted)} temperatures lie at the limit of the search: too few mistakes.")
    if fitted.value.isna().any():
        notes.append("- Nobody validates under the protocol of the thesis, so no temperature can be fitted.")
    return ["## Notes", "\n".join(notes)] if notes else []


def _cells(numbers: pd.DataFrame, part: str) -> Callable[..., str]:
    """Return call(network, item, quantity, show, at=): the text of one number of a part, - where there is none."""
    rows = numbers[numbers.part == part].fillna({"at": EVERYWHERE})
    found = {(row.network, row.item, row.quantity, row.at): row for row in rows.itertuples()}

    def text(network: str, item: str, quantity: str, show: Callable[[tuple], str], *, at: float = EVERYWHERE) -> str:
        row = found.get((network, item, quantity, at))
        return "-" if row is None or math.isnan(row.value) else show(row)

    return text


def _value(row: tuple) -> str:
    return percent(row.value)


def _two(row: tuple) -> str:
    return f"{row.value:.2f}"


def _three(row: tuple) -> str:
    return f"{row.value:.3f}"


def _by_chance(row: tuple) -> str:
    return f"{percent(row.value)} (<{percent(row.high)})"


def _with_interval(row: tuple) -> str:
    return _with(row, signed=False)


def _signed(row: tuple) -> str:
    return _with(row, signed=True)


def _with(row: tuple, *, signed: bool) -> str:
    text = percent(row.value, signed=signed)
    return text if math.isnan(row.low) else f"{text} ({limits(row.low, row.high, signed=signed)})"


def _marked(trust: Trust, network: str) -> str:
    return f"{network} \\*" if network in trust.reasons else network


def _level(trust: Trust) -> str:
    return f"{100 * trust.evaluate.confidence:g}%"
