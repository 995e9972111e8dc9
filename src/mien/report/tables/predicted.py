"""How often `mien predict` is right on recordings of known emotions: the table and the page "predicted"."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig, load, section
from mien.errors import TableError
from mien.evaluation.metrics import linearise
from mien.evaluation.statistics import wilson_interval
from mien.report.page import render_page, write_table

log = logging.getLogger(__name__)

UNJUDGED = "-"  # what was said of a recording of which nothing could be said


def summarise_check(rows: pd.DataFrame, *, confidence: float) -> dict[str, object]:
    """Return what is to be known of one check.

    rows : columns of `apps.check.COLUMNS`; recordings count as independent.
    """
    n, n_right = len(rows), int(rows.right.sum())
    low, high = wilson_interval(n_right, n, confidence=confidence)
    names = sorted({*rows.label, *rows.said})
    label, said = (rows[one].map(names.index).to_numpy() for one in ("label", "said"))
    return {
        "material": rows.material.iloc[0],
        "models": rows.models.mode().iloc[0],
        "reference": rows.reference.mode().iloc[0].partition(",")[0],
        "recordings": n,
        "people": rows.person[rows.person != ""].nunique(),
        "right": n_right,
        "accuracy": n_right / n,
        "low": low,
        "high": high,
        "uar": float(linearise(label, said)["uar"].mean()),
        "commonest": rows.label.value_counts(normalize=True).max(),
        "unjudged": int((rows.said == UNJUDGED).sum()),
    }


def build_predicted(*, judged: list[Path], out_csv: Path, out_md: Path, config: str = "params.yaml") -> None:
    """Say how often `mien predict` is right.

    Parameters
    ----------
    judged : list of Path
        What `check_models` wrote, in the order of the page.

    Raises
    ------
    TableError : nothing was judged in one of them.
    """
    confidence = section(EvaluateConfig, load(config), "evaluate").confidence
    checks = []
    for path in judged:
        rows = pd.read_csv(path, dtype={"person": str, "clip": str}, keep_default_na=False)
        if rows.empty:
            raise TableError(f"{path}: no recording was judged; see the log of check_models")
        checks.append(rows.assign(said=rows.said.replace("", UNJUDGED)))
    table = pd.DataFrame([summarise_check(rows, confidence=confidence) for rows in checks])
    counts = [pd.crosstab(rows.label, rows.said) for rows in checks]
    shown = [(row, found) for row, found in zip(table.to_dict("records"), counts, strict=True)]
    text = render_page("predicted", checks=shown, confidence=confidence, nan=np.nan)
    write_table(table, text, csv=out_csv, md=out_md)
    log.info("%d checks of %d recordings", len(table), table.recordings.sum())
