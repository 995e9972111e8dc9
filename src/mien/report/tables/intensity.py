"""How well networks say how strongly an emotion is acted: the table and the page "intensity"."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.schema import EvaluateConfig, IntensityConfig, load, section
from mien.evaluation.intensity import MEAN, compare, said
from mien.evaluation.metrics import reported
from mien.evaluation.runs import Run, read_runs, select_runs
from mien.io.files import read_json
from mien.report.page import render_page, write_table

log = logging.getLogger(__name__)


def render(table: pd.DataFrame, runs: list[Run], **facts: Any) -> str:
    """Return the page; `table` has COLUMNS of `evaluation.intensity`, of the `runs`."""
    return render_page(
        "intensity",
        runs=runs,
        levels=", ".join(f"{name} {k}" for k, name in enumerate(runs[0].classes)),
        folds=table[table["head"] == "fused"],
        means=table[table.fold == MEAN],
        sees_units=any("units" in run.record["config"]["variant"].get("modalities", ()) for run in runs),
        reasons=sorted({(run.variant, run.reason) for run in runs if not run.trained}),
        **facts,
    )


def compare_intensity(
    *, runs: list[Path], corpus_info: Path, out_csv: Path, out_md: Path, config: str = "params.yaml"
) -> None:
    """Say how well networks tell the strength of an emotion."""
    params = load(config)
    asked = section(IntensityConfig, params, "intensity")
    confidence = section(EvaluateConfig, params, "evaluate").confidence
    told = [run.of_target("intensity") for run in read_runs(runs)]
    chosen = select_runs(told, asked.corpus, asked.rows)
    rows = said(chosen)
    selection = reported(rows)
    table = compare(rows[rows.selection == selection], confidence=confidence)
    synthetic = read_json(corpus_info)["source"] == "synthetic"
    options = {"scale": params["scale"], "selection": selection, "confidence": confidence, "synthetic": synthetic}
    write_table(table, render(table, chosen, **options), csv=out_csv, md=out_md)
    log.info("intensity on %s: %d rows of numbers from %d runs", asked.corpus, len(table), len(chosen))
