"""Draw the numbers of build_trust; every function takes those of one corpus."""

import logging
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.io.files import read_json
from mien.report.style import GREY, add_panels, corpus_title, line_style, saved_figure, svg_png
from mien.report.tables.trust import GROUPS, items_of, read_numbers

log = logging.getLogger(__name__)

STATES = {"before": "#7f8790", "after": "#1f6fb4"}  # of the temperature
NETWORK, PEOPLE = "#1f6fb4", "#c8521c"
STEP, GAP = 0.16, 0.9  # inches of a row; rows of room between two networks
COLOURS = 6  # items that `line_style` tells apart; further ones have the same colours and hollow points
LABELS = {
    "intended": "network: intended label",
    "perceived": "network: perceived label",
    "people_majority": "people, majority: intended label",
    "people_votes": "people, one vote: intended label",
}


def plot_trust(*, table: Path, corpus_info: Path, out: Path) -> None:
    """Draw how sure the networks of a corpus are, and what disturbs them.

    Parameters
    ----------
    table
        CSV of build_trust.
    out
        Folder; trust-CORPUS-WHAT as .svg and .png.
    """
    numbers, info = read_numbers(table), read_json(corpus_info)
    numbers = numbers[numbers.part != "option"]  # of other folds
    chance = 100 * max(info["counts"].values()) / max(sum(info["counts"].values()), 1)
    n_networks, n_rows = numbers.network.nunique(), -(-numbers.network.nunique() // 3)
    parts = {part: items_of(numbers, part) for part in GROUPS if (numbers.part == part).any()}
    parts |= {"label": list(LABELS)} if (numbers.part == "label").any() else {}
    n_points = (max(map(len, parts.values()), default=1) + GAP) * n_networks
    conditions = _accuracies(numbers)["item"].unique().tolist()
    drawings = {  # name -> title, width and height in inches, what draws it
        "reliability": ("Confidence and accuracy", 7.6, 0.9 + 2.5 * n_rows, draw_reliability),
        "coverage": ("Accuracy where a network may stay silent", 5.6, 4.2, draw_coverage),
        "conditions": (
            "Accuracy under disturbances",
            8.2,
            0.9 + n_rows * (0.5 + 1.1 * STEP * len(conditions)),
            partial(draw_conditions, conditions=conditions, chance=chance),
        ),
        "people": (
            "Who and what is judged right",
            1.2 + 2.6 * max(len(parts), 1),
            1.1 + STEP * n_points,
            partial(draw_people, parts=parts),
        ),
    }
    for name, (title, width, height, draw) in drawings.items():
        paths = svg_png(out, f"trust-{info['corpus']}-{name}")
        with saved_figure(corpus_title(title, info), width, height, *paths) as figure:
            draw(figure, numbers)
    log.info("%s: %d figures", out, len(drawings))


def draw_reliability(figure: Figure, numbers: pd.DataFrame) -> None:
    """Draw a panel per network: accuracy over confidence in bins, before and after the temperature."""
    networks = numbers.groupby("network", sort=False)
    axes = add_panels(figure, networks.ngroups, n_columns=3, sharex=True, sharey=True)
    for ax, (network, mine) in zip(axes, networks, strict=True):
        ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=":")
        errors = mine[mine.quantity == "ece"].set_index("item").value
        for state, rows in mine[mine.part == "reliability"].groupby("item", sort=False):
            color = STATES[state]
            bins = rows.pivot_table(index="at", columns="quantity", values="value")
            ax.plot(bins.confidence, bins.accuracy, color=color, linewidth=0.8, alpha=0.5)
            size = {"s": 3 + 4 * bins.share, "alpha": 0.8, "lw": 0, "clip_on": False, "zorder": 3}
            ax.scatter(bins.confidence, bins.accuracy, color=color, **size)
            label = f"{state}: ECE {errors[state]:.1f}"
            ax.plot([], [], color=color, marker="o", markersize=4, linewidth=1.2, label=label)
        ax.set_title(network, loc="left")
        ax.set(xlim=(0, 100), ylim=(0, 100))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=7, loc="upper left")
    figure.supxlabel("mean confidence of a bin, %; area: its share of the clips", fontsize=8)
    figure.supylabel("accuracy, %", fontsize=8)


def draw_coverage(figure: Figure, numbers: pd.DataFrame) -> None:
    """Draw a line per network: accuracy on the share of the clips that it is surest of."""
    ax = figure.subplots()
    for number, (network, mine) in enumerate(numbers.groupby("network", sort=False)):
        rows = mine[mine.part == "coverage"]
        if rows.empty:
            continue
        label = f"{network}: AURC {rows.value[rows.quantity == 'aurc'].item():.1f}"
        rows = rows[rows.quantity == "accuracy"]
        ax.plot(rows["at"], rows.value, label=label, linewidth=1.7, **line_style(number))
    ax.set(xlim=(0, 100), ylim=(0, 101), xlabel="clips that are judged, the surest first, %")
    ax.set_ylabel(f"of these judged right, % (n = {numbers.n_clips.max()} clips)")
    ax.grid()
    if ax.lines:
        ax.legend(loc="lower left")


def draw_conditions(figure: Figure, numbers: pd.DataFrame, *, conditions: list[str], chance: float) -> None:
    """Draw a panel per network: accuracy with its interval under every condition, the first of which disturbs nothing.

    chance : percent of the commonest emotion.
    """
    networks = numbers.groupby("network", sort=False)
    axes = add_panels(figure, networks.ngroups, n_columns=3, sharex=True, sharey=True)
    for ax, (network, mine) in zip(axes, networks, strict=True):
        rows = _accuracies(mine).set_index("item").reindex(conditions)
        _draw_points(ax, np.arange(len(conditions)), rows, color=NETWORK)
        ax.axvline(rows.value.iloc[0], color=NETWORK, linewidth=0.8, alpha=0.6)
        ax.axvline(chance, color=GREY, linewidth=0.8, linestyle=":")
        for people in mine.value[mine.quantity == "people_majority"]:
            ax.axvline(people, color=PEOPLE, linewidth=0.9, linestyle="--")
        ax.set_title(network, loc="left")
        ax.set_yticks(range(len(conditions)), conditions)
        ax.set(xlim=(0, 100), ylim=(len(conditions) - 0.4, -0.6))
        ax.grid(axis="y")
    text = "clips judged right, %; solid: undisturbed, dotted: commonest emotion"
    text += ", dashed: people, majority of votes" if (numbers.part == "label").any() else ""
    figure.supxlabel(text, fontsize=8)


def draw_people(figure: Figure, numbers: pd.DataFrame, *, parts: dict[str, list[str]]) -> None:
    """Draw a panel per part: accuracy of every network with its interval for each of its items."""
    networks = numbers.network.unique()
    axes = add_panels(figure, len(parts), n_columns=max(len(parts), 1), sharex=True)
    for ax, (part, items) in zip(axes, parts.items(), strict=True):
        rows, key = numbers[numbers.part == part], "quantity" if part == "label" else "item"
        tops = np.arange(len(networks)) * (len(items) + GAP)
        for number, item in enumerate(items):
            mine = rows[rows[key] == item].set_index("network").reindex(networks)
            color = PEOPLE if item.startswith("people") else line_style(number)["color"]
            hollow = item == "people_votes" or number >= COLOURS
            _draw_points(ax, tops + number, mine, color=color, label=LABELS.get(item, item), hollow=hollow)
        ax.set_yticks(tops + (len(items) - 1) / 2, networks)
        ax.set(xlim=(0, 100), ylim=(len(networks) * (len(items) + GAP) - GAP, -1))
        ax.tick_params(axis="y", length=0)
        ax.set_title(part, loc="left")
        ax.grid(axis="x")
        ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncol=1)
    figure.supxlabel("clips judged right, %", fontsize=8)


def _draw_points(
    ax: Axes, at: np.ndarray, rows: pd.DataFrame, *, color: str, label: str | None = None, hollow: bool = False
) -> None:
    """Draw value, low and high of `rows` at the heights `at`; what is not known is left out."""
    ax.hlines(at, rows.low, rows.high, color=color, linewidth=1.2, alpha=0.7)
    face = "white" if hollow else color
    ax.plot(rows.value, at, "o", color=color, markersize=3.6, markerfacecolor=face, label=label)


def _accuracies(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers[(numbers.part == "condition") & (numbers.quantity == "accuracy")]
