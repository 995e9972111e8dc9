"""What missing and fuzzy information does to networks (thesis 5.1): accuracy by the share of such clips."""

import logging
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.config.fuzziness import FUZZY_MODALITIES, KINDS
from mien.config.schema import load
from mien.evaluation.fuzziness import SUBSETS
from mien.report.page import write_table
from mien.report.style import GREY, saved_figure, svg_png, title_line
from mien.report.tables.fuzziness import WORDS, Fuzziness, read_fuzziness, render, rows_of

log = logging.getLogger(__name__)

_COLOURS = ("#b5982a", "#7f8790", "#66ccee", "#228833", "#1f6fb4", "#c8521c", "#aa3377")
_MARKERS = "sdv^oDP"  # told apart when colours are not
_DODGE = 0.8  # between the networks' points of one share, percent
_TITLES = {"all": "all test clips", "clear": "those that are clear", "affected": "those that are affected"}


def draw_fuzziness(figure: Figure, found: Fuzziness, numbers: pd.DataFrame) -> None:
    """Draw the accuracies of `numbers` (of `report.fuzziness.rows_of`) on a grid of panels with one legend."""
    lines = [(kind, modality) for kind in KINDS for modality in FUZZY_MODALITIES]
    panels = figure.subplots(len(lines), len(SUBSETS), sharex=True, sharey=True, squeeze=False)
    accuracy = numbers[numbers.quantity == "accuracy"]
    clear = found.judgements.rows[found.judgements.rows.kind == ""].drop_duplicates(["seed", "clip"])
    chance = 100 * clear.label.value_counts(normalize=True).max()
    for (kind, modality), row in zip(lines, panels, strict=True):
        of_line = accuracy[(accuracy.share == 0) | ((accuracy.kind == WORDS[kind]) & (accuracy.modality == modality))]
        for subset, ax in zip(SUBSETS, row, strict=True):
            draw_line(ax, of_line[of_line.clips == subset], found.config.rows, chance=chance)
        row[0].set_ylabel(f"{modality} {WORDS[kind]}\naccuracy, %")
    for subset, ax in zip(SUBSETS, panels[0], strict=True):
        ax.set_title(_TITLES[subset], loc="left")
    for ax in panels[-1]:
        ax.set_xlabel("share of the clips, %")
    handles, labels = panels[0][0].get_legend_handles_labels()
    n_people, n_seeds = clear.actor.nunique(), clear.seed.nunique()
    counts = f"n = {len(clear)} test clips of {n_people} people in {n_seeds} repetition{'' if n_seeds == 1 else 's'}"
    over = "repetitions" if found.judgements.unit == "seed" else "test people"
    title = f"bars: {100 * found.judgements.confidence:g}% over {over}; dotted: commonest emotion; {counts}"
    figure.legend(handles, labels, loc="outside lower center", ncol=len(labels), title=title)


def draw_line(ax: Axes, rows: pd.DataFrame, networks: tuple[str, ...], *, chance: float) -> None:
    """Draw accuracy by share of every network with its interval; `rows` of one kind, modality and set of clips."""
    for number, name in enumerate(networks):
        part = rows[rows.network == name].sort_values("share")
        low = (part.value - part.low).fillna(0).clip(lower=0)
        high = (part.high - part.value).fillna(0).clip(lower=0)
        ax.errorbar(
            part.share + _DODGE * (number - (len(networks) - 1) / 2),
            part.value,
            yerr=[low, high],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=3.5,
            linewidth=1.3,
            elinewidth=0.6,
            label=name,
        )
    ax.axhline(chance, color=GREY, linewidth=0.9, linestyle=":")
    ax.set_ylim(0, 100)
    ax.grid()


def plot_fuzziness(
    *, predictions: list[Path], out_figures: Path, out_csv: Path, out_md: Path, config: str = "params.yaml"
) -> None:
    """Say what missing and fuzzy information does to networks: a page, its numbers, and a figure.

    Parameters
    ----------
    predictions
        predictions.parquet of every repetition.
    out_figures
        Folder for fuzziness.svg and fuzziness.png.
    out_md
        The page.
    """
    found = read_fuzziness(predictions, load(config))
    numbers = rows_of(found)
    write_table(numbers, render(found, numbers), csv=out_csv, md=out_md)
    title = title_line("Missing and fuzzy information", f"twin of {found.config.corpus}", synthetic=True)
    with saved_figure(title, 8.4, 9.6, *svg_png(out_figures, "fuzziness")) as figure:
        draw_fuzziness(figure, found, numbers)
    log.info("residual perception protects: %s", {WORDS[kind]: found.verdict(kind) for kind in WORDS})
