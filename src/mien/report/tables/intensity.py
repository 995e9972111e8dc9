"""How well networks say how strongly an emotion is acted: the table and the page "intensity"."""

import logging
import math
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.schema import EvaluateConfig, IntensityConfig, load, section
from mien.evaluation.intensity import MEAN, compare, said
from mien.evaluation.metrics import reported
from mien.evaluation.runs import Run, read_runs, select_runs
from mien.io.files import read_json
from mien.report.page import limits, percent, render_page, write_table


def render(
    table: pd.DataFrame, runs: list[Run], *, scale: str, selection: str, confidence: float, synthetic: bool
) -> str:
    """Return the page; `table` has COLUMNS of `evaluation.intensity`, of the `runs`."""
    means = table[table.fold == MEAN]
    n_actors, n_clips = (int(means[name].max()) if len(means) else 0 for name in ("n_actors", "n_clips"))
    return render_page(
        "intensity",
        corpus=runs[0].corpus,
        scale=scale,
        selection=selection,
        confidence=confidence,
        synthetic=synthetic,
        n_folds=len({run.fold for run in runs}),
        n_actors=n_actors,
        n_clips=n_clips,
        n_seeds=len({run.seed for run in runs}),
        levels=", ".join(f"{name} {k}" for k, name in enumerate(runs[0].classes)),
        n_without=max(run.record["n_without_level"] for run in runs),
        folds=_rows(table[table["head"] == "fused"], "fold"),
        heads=_rows(means, "head"),
        sees_units=any("units" in run.record["config"]["variant"].get("modalities", ()) for run in runs),
        reasons=sorted({(run.variant, run.reason) for run in runs if not run.trained}),
    )


def _rows(table: pd.DataFrame, key: str) -> list[dict[str, Any]]:
    return [
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


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}".replace("-0.000", "0.000")


def _between(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{_number(low)} to {_number(high)}"


def compare_intensity(
    *, runs: list[Path], corpus_info: Path, out_csv: Path, out_md: Path, config: str = "params.yaml"
) -> None:
    """Say how well networks tell the strength of an emotion.

    Parameters
    ----------
    runs : list of Path
        run.json of every row, fold and seed.
    corpus_info : Path
        corpus.json of the corpus.
    out_csv, out_md : Path
        Numbers and page.
    config : str
        params.yaml, or its sections as JSON text.
    """
    params = load(config)
    asked = section(IntensityConfig, params, "intensity")
    confidence = section(EvaluateConfig, params, "evaluate").confidence
    chosen = select_runs(read_runs(runs), asked.corpus, asked.rows)
    rows = said(chosen)
    selection = reported(rows)
    table = compare(rows[rows.selection == selection], confidence=confidence)
    synthetic = read_json(corpus_info)["source"] == "synthetic"
    options = {"scale": params["scale"], "selection": selection, "confidence": confidence, "synthetic": synthetic}
    write_table(table, render(table, chosen, **options), csv=out_csv, md=out_md)
    log.info("intensity on %s: %d rows of numbers from %d runs", asked.corpus, len(table), len(chosen))


log = logging.getLogger(__name__)
