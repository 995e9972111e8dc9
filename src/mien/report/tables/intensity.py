"""Lay the table "intensity" out as Markdown; fixed decimals, fixed order, no dates.

Command compare_intensity: how well networks say how strongly an emotion is acted, as CSV and Markdown.
"""

import logging
import math
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mien.config.schema import EvaluateConfig, IntensityConfig, load, section
from mien.evaluation.intensity import MEAN
from mien.evaluation.runs import Run
from mien.report.page import CHOICE, CHOICE_THESIS, SYNTHETIC, grid, limits, percent

MEASURES = (
    "The error is the mean distance between what a network says and the level of the clip; beside it stands that of a "
    "constant, the mean level of the training clips. R² is the share by which the mean squared distance is below the "
    "constant's: 0 means no better than not looking, below 0 worse. r is Pearson's: it forgives a wrong scale and a "
    "wrong offset. 'Level right' counts the clips whose level is the nearest one, beside the share of the commonest."
)
INTERVALS = (
    "Intervals ({level:g}%) are Student's t over test actors: of r on Fisher's scale, of shares on that of log odds. "
    "In the row 'mean' every fold weighs the same."
)
NEUTRAL = (
    "Neutral clips of RAVDESS are all of the lower level, so who tells them apart has a part of the answer without "
    "seeing any strength."
)

UNITS = (
    "Action units are measured from a person's own neutral face, a test person's too: which of their clips are neutral "
    "is taken from the labels."
)


@dataclass(frozen=True)
class Heading:
    """What a reader must know before the first number."""

    corpus: str
    scale: str
    selection: str
    confidence: float
    synthetic: bool


def render(table: pd.DataFrame, runs: list[Run], heading: Heading) -> str:
    """Return the page; `table` has COLUMNS of `evaluation.intensity`, of the `runs`."""
    blocks = [
        "# Table intensity: how strongly an emotion is acted, as a number",
        *([f"**{SYNTHETIC}**"] if heading.synthetic else []),
        _counts(table, runs, heading),
        CHOICE if heading.selection == "honest" else CHOICE_THESIS,
        MEASURES,
        INTERVALS.format(level=100 * heading.confidence),
        "## The whole network, by fold",
        _grid(table[table["head"] == "fused"], "fold"),
        "## Every head, mean over folds",
        "A side head sees its own modality alone; it answers on the clips that have it.",
        _grid(table[table.fold == MEAN], "head"),
        *_notes(runs, heading),
    ]
    return "\n\n".join(blocks) + "\n"


def _counts(table: pd.DataFrame, runs: list[Run], heading: Heading) -> str:
    levels = ", ".join(f"{name} {k}" for k, name in enumerate(runs[0].classes))
    n_without = max(run.record["n_without_level"] for run in runs)
    means = table[table.fold == MEAN]
    n_actors, n_clips = (int(means[name].max()) if len(means) else 0 for name in ("n_actors", "n_clips"))
    counts = [(len({run.fold for run in runs}), "fold"), (n_actors, "test actor"), (n_clips, "test clip")]
    counts.append((len({run.seed for run in runs}), "seed"))
    listed = ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for n, name in counts)
    return (
        f"Corpus {heading.corpus}, scale {heading.scale}: {listed}. Levels: {levels}. {n_without} clips have none of "
        "them and are neither trained on nor judged."
    )


def _grid(table: pd.DataFrame, key: str) -> str:
    if table.empty:
        return "Nothing was trained."
    rows = [
        {
            "variant": row["variant"],
            key: row[key],
            "error": f"{_number(row.mae)} ({_between(row.mae_low, row.mae_high)})",
            "constant": _number(row.constant),
            "R²": _number(row.r2),
            "r": f"{_number(row.r)} ({_between(row.r_low, row.r_high)})",
            "level right, %": f"{percent(100 * row.right)} ({limits(100 * row.right_low, 100 * row.right_high)})",
            "commonest, %": percent(100 * row.commonest),
            "clips": f"{row.n_clips}",
        }
        for _, row in table.iterrows()
    ]
    return grid(rows)


def _notes(runs: list[Run], heading: Heading) -> list[str]:
    reasons = sorted({f"{run.variant}: not applicable: {run.reason}." for run in runs if not run.trained})
    sees_units = any("units" in run.record["config"]["variant"].get("modalities", ()) for run in runs)
    notes = [*([NEUTRAL] if heading.corpus == "ravdess" else []), *([UNITS] if sees_units else []), *reasons]
    return ["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}".replace("-0.000", "0.000")


def _between(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{_number(low)} to {_number(high)}"


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Hold what the runs say against the levels, write both files."""
    from mien.evaluation.intensity import compare, said
    from mien.evaluation.metrics import reported
    from mien.evaluation.runs import read_runs, select_runs
    from mien.io.files import read_json
    from mien.report.page import write_table

    params = load(args.config)
    config = section(IntensityConfig, params, "intensity")
    confidence = section(EvaluateConfig, params, "evaluate").confidence
    runs = select_runs(read_runs(args.runs), config.corpus, config.rows)
    rows = said(runs)
    selection = reported(rows)
    table = compare(rows[rows.selection == selection], confidence=confidence)
    synthetic = read_json(args.corpus_info)["source"] == "synthetic"
    heading = Heading(config.corpus, params["scale"], selection, confidence, synthetic=synthetic)
    write_table(table, render(table, runs, heading), csv=args.out_csv, md=args.out_md)
    log.info("intensity on %s: %d rows of numbers from %d runs", config.corpus, len(table), len(runs))
