"""Command plot_trust: draw the numbers of build_trust: reliability, coverage, conditions, people.

Draw the numbers of "trust"; every function takes COLUMNS of `trust_numbers`, of one corpus.
"""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.report.style import GREY, line_style
from mien.report.tables.trust import GROUPS, items_of

BEFORE, AFTER, PEOPLE = "#7f8790", "#1f6fb4", "#c8521c"
STEP, GAP = 0.16, 0.9  # inches of a row; rows of room between two networks
COLOURS = 6  # items that `line_style` tells apart; further ones have the same colours and hollow points
LABELS = {
    "intended": "network: intended label",
    "perceived": "network: perceived label",
    "people_majority": "people, majority: intended label",
    "people_votes": "people, one vote: intended label",
}


def reliability_size(n_networks: int) -> tuple[float, float]:
    """Return width and height of `draw_reliability`, inches."""
    return 7.6, 0.9 + 2.5 * -(-n_networks // 3)


def draw_reliability(figure: Figure, numbers: pd.DataFrame) -> None:
    """Draw a panel per network: accuracy over confidence in bins, before and after the temperature."""
    networks = list(dict.fromkeys(numbers.network))
    axes = figure.subplots(-(-len(networks) // 3), 3, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, network in zip(axes, networks, strict=False):
        _draw_bins(ax, numbers[numbers.network == network], title=network)
    for ax in axes[len(networks) :]:
        ax.set_axis_off()
    figure.supxlabel("mean confidence of a bin, %; area: its share of the clips", fontsize=8)
    figure.supylabel("accuracy, %", fontsize=8)


def _draw_bins(ax: Axes, numbers: pd.DataFrame, *, title: str) -> None:
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=":")
    errors = numbers[numbers.quantity == "ece"].set_index("item").value
    for state, color in (("before", BEFORE), ("after", AFTER)):
        rows = numbers[(numbers.part == "reliability") & (numbers["item"] == state)]
        if rows.empty:
            continue
        bins = rows.pivot_table(index="at", columns="quantity", values="value")
        ax.plot(bins.confidence, bins.accuracy, color=color, linewidth=0.8, alpha=0.5)
        size = {"s": 3 + 4 * bins.share, "alpha": 0.8, "lw": 0, "clip_on": False, "zorder": 3}
        ax.scatter(bins.confidence, bins.accuracy, color=color, **size)
        label = f"{state}: ECE {errors[state]:.1f}"
        ax.plot([], [], color=color, marker="o", markersize=4, linewidth=1.2, label=label)
    ax.set_title(title, loc="left")
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 100)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=7, loc="upper left")


def draw_coverage(ax: Axes, numbers: pd.DataFrame) -> None:
    """Draw a line per network: accuracy on the share of the clips that it is surest of."""
    rows = numbers[numbers.part == "coverage"]
    for number, network in enumerate(dict.fromkeys(numbers.network)):
        mine = rows[(rows.network == network) & (rows.quantity == "accuracy")]
        if mine.empty:
            continue
        area = rows.value[(rows.network == network) & (rows.quantity == "aurc")].item()
        label = f"{network}: AURC {area:.1f}"
        ax.plot(mine["at"], mine.value, label=label, linewidth=1.7, **line_style(number))
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 101)
    ax.set_xlabel("clips that are judged, the surest first, %")
    ax.set_ylabel(f"of these judged right, % (n = {numbers.n_clips.max()} clips)")
    ax.grid(color=GREY, alpha=0.15, linewidth=0.6)
    if not rows.empty:
        ax.legend(frameon=False, loc="lower left")


def conditions_size(numbers: pd.DataFrame) -> tuple[float, float]:
    """Return width and height of `draw_conditions`, inches."""
    n_rows = -(-numbers.network.nunique() // 3)
    return 8.2, 0.9 + n_rows * (0.5 + 1.1 * STEP * _conditions_of(numbers).nunique())


def draw_conditions(figure: Figure, numbers: pd.DataFrame, *, chance: float) -> None:
    """Draw a panel per network: accuracy with its interval under every condition.

    chance : percent of the commonest emotion.
    """
    networks = list(dict.fromkeys(numbers.network))
    longest = list(dict.fromkeys(_conditions_of(numbers)))
    axes = figure.subplots(-(-len(networks) // 3), 3, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, network in zip(axes, networks, strict=False):
        mine = numbers[numbers.network == network]
        rows = mine[(mine.part == "condition") & (mine.quantity == "accuracy")].set_index("item").reindex(longest)
        _draw_points(ax, np.arange(len(longest)), rows, color=AFTER)
        ax.axvline(rows.value.iloc[0], color=AFTER, linewidth=0.8, alpha=0.6)
        ax.axvline(chance, color=GREY, linewidth=0.8, linestyle=":")
        people = mine.value[mine.quantity == "people_majority"]
        if len(people):
            ax.axvline(people.item(), color=PEOPLE, linewidth=0.9, linestyle="--")
        ax.set_title(network, loc="left")
        ax.set_yticks(range(len(longest)), longest)
        ax.set_ylim(len(longest) - 0.4, -0.6)
        ax.set_xlim(0, 100)
        ax.grid(axis="y", color=GREY, alpha=0.15, linewidth=0.6)
    for ax in axes[len(networks) :]:
        ax.set_axis_off()
    text = "clips judged right, %; solid: undisturbed, dotted: commonest emotion"
    text += ", dashed: people, majority of votes" if (numbers.part == "label").any() else ""
    figure.supxlabel(text, fontsize=8)


def people_size(numbers: pd.DataFrame) -> tuple[float, float]:
    """Return width and height of `draw_people`, inches."""
    parts = _people_parts(numbers)
    n_rows = max((len(items) for items in parts.values()), default=1) + GAP
    return 1.2 + 2.6 * max(len(parts), 1), 1.1 + STEP * n_rows * numbers.network.nunique()


def draw_people(figure: Figure, numbers: pd.DataFrame) -> None:
    """Draw a panel per grouping, and one of labels where people voted: accuracy of every network with its interval."""
    parts, networks = _people_parts(numbers), list(dict.fromkeys(numbers.network))
    axes = figure.subplots(1, max(len(parts), 1), squeeze=False, sharex=True).ravel()
    for ax, (part, items) in zip(axes, parts.items(), strict=False):
        rows, key = numbers[numbers.part == part], "quantity" if part == "label" else "item"
        for number, item in enumerate(items):
            mine = rows[rows[key] == item].set_index("network").reindex(networks)
            at = np.arange(len(networks)) * (len(items) + GAP) + number
            color = PEOPLE if item.startswith("people") else line_style(number)["color"]
            hollow = item == "people_votes" or number >= COLOURS
            _draw_points(ax, at, mine, color=color, label=LABELS.get(item, item), hollow=hollow)
        middle = np.arange(len(networks)) * (len(items) + GAP) + (len(items) - 1) / 2
        ax.set_yticks(middle, networks)
        ax.set_ylim(len(networks) * (len(items) + GAP) - GAP, -1)
        ax.set_xlim(0, 100)
        ax.tick_params(axis="y", length=0)
        ax.set_title("label" if part == "label" else part, loc="left")
        ax.grid(axis="x", color=GREY, alpha=0.15, linewidth=0.6)
        ax.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncol=1)
    for ax in axes[len(parts) :]:
        ax.set_axis_off()
    figure.supxlabel("clips judged right, %", fontsize=8)


def _draw_points(
    ax: Axes, at: np.ndarray, rows: pd.DataFrame, *, color: str, label: str | None = None, hollow: bool = False
) -> None:
    """Draw value, low and high of `rows` at the heights `at`; what is not known is left out."""
    ax.hlines(at, rows.low, rows.high, color=color, linewidth=1.2, alpha=0.7)
    face = "white" if hollow else color
    ax.plot(rows.value, at, "o", color=color, markersize=3.6, markerfacecolor=face, label=label)


def _conditions_of(numbers: pd.DataFrame) -> pd.Series:
    return numbers.item[(numbers.part == "condition") & (numbers.quantity == "accuracy")]


def _people_parts(numbers: pd.DataFrame) -> dict[str, list[str]]:
    """Return part -> its items, of the parts that say something."""
    found = {part: items_of(numbers, part) for part in GROUPS if (numbers.part == part).any()}
    return found | ({"label": list(LABELS)} if (numbers.part == "label").any() else {})


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--table", type=Path, required=True, help="CSV of build_trust")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder; trust-<corpus>-<what> as .svg and .png")


def run(args: Namespace) -> None:
    """Read the numbers, draw four figures."""
    from mien.io.files import read_json
    from mien.report.style import new_figure, save_figure, title_line
    from mien.report.tables.trust import read_numbers

    numbers, info = read_numbers(args.table), read_json(args.corpus_info)
    chance = 100 * max(info["counts"].values()) / max(sum(info["counts"].values()), 1)
    draw = {
        "reliability": ("Confidence and accuracy", reliability_size(numbers.network.nunique()), draw_reliability),
        "coverage": ("Accuracy where a network may stay silent", (5.6, 4.2), _on_one_ax(draw_coverage)),
        "conditions": (
            "Accuracy under disturbances",
            conditions_size(numbers),
            lambda figure, numbers: draw_conditions(figure, numbers, chance=chance),
        ),
        "people": ("Who and what is judged right", people_size(numbers), draw_people),
    }
    for name, (title, size, function) in draw.items():
        with new_figure(*size) as figure:
            function(figure, numbers)
            figure.suptitle(title_line(title, info["corpus"], synthetic=info["source"] == "synthetic"), fontsize=10)
            for kind in ("svg", "png"):
                save_figure(figure, args.out / f"trust-{info['corpus']}-{name}.{kind}")
    log.info("%s: %d figures", args.out, len(draw))


def _on_one_ax(function):
    """Return `function`, which draws on an Axes, as one that draws on a figure."""
    return lambda figure, numbers: function(figure.subplots(), numbers)
