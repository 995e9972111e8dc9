"""How often a network of single pictures is right on both official tests of FER2013: table and page "pictures".

The public test chose settings, epoch and temperature, and the private one did not. Pictures of which an identical one
is among those of training (`apart`) are left out of the first row of each test, and are in the second, as published
numbers have them.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from mien.config.schema import EvaluateConfig, load, section
from mien.errors import TableError
from mien.evaluation.calibration import BINS, calibration_error, fit_temperature, probabilities
from mien.evaluation.metrics import confusion_counts, linearise, reported
from mien.evaluation.runs import Run, read_runs
from mien.evaluation.statistics import wilson_interval
from mien.io import tables
from mien.report.page import render_page, write_table

log = logging.getLogger(__name__)

TESTS = {"public": "PublicTest", "private": "PrivateTest"}  # test -> CLIPS.split


def read_tests(run: Run, clips: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return test -> the predictions of its pictures, with the columns apart and said, (C,) probabilities.

    The temperature is that of the public test without duplicates.

    Raises
    ------
    TableError : a test has no pictures.
    """
    rows = run.predictions()
    rows = rows[(rows.selection == reported(rows)) & (rows["head"] == "fused")]
    rows = rows.merge(clips[["clip", "split", "apart"]], on="clip", validate="one_to_one")
    public = rows[(rows.split == TESTS["public"]) & ~rows.apart]
    temperature = fit_temperature(np.stack(public.logits), public.label.to_numpy()) if len(public) else 1.0
    rows["said"] = list(probabilities(np.stack(rows.logits), temperature))
    found = {test: rows[rows.split == split] for test, split in TESTS.items()}
    if empty := [test for test, pictures in found.items() if pictures.empty]:
        raise TableError(f"{run.folder}: has no prediction for the {empty[0]} test of {run.corpus}; train it again")
    return found


def judge(pictures: pd.DataFrame, *, confidence: float) -> dict[str, float]:
    """Return number, accuracy with Wilson's interval, UAR, macro-F1 and calibration error of some pictures, 0..1."""
    label, predicted = pictures.label.to_numpy(), pictures.predicted.to_numpy()
    hit = label == predicted
    low, high = wilson_interval(int(hit.sum()), len(hit), confidence=confidence)
    means = {name: float(values.mean()) for name, values in linearise(label, predicted).items()}
    error = calibration_error(np.stack(pictures.said).max(axis=1), hit, bins=BINS)
    return {"pictures": len(hit), **means, "low": low, "high": high, "ece": error}


def build_pictures(*, runs: list[Path], clips: Path, out_csv: Path, out_md: Path, config: str = "params.yaml") -> None:
    """Say how often networks of single pictures are right on the public and on the private test of FER2013.

    Parameters
    ----------
    clips : Path
        Table CLIPS of FER2013.

    Raises
    ------
    TableError : a run was not trained, or its predictions lack a test.
    """
    confidence = section(EvaluateConfig, load(config), "evaluate").confidence
    known, rows, confusions = tables.read(clips, tables.CLIPS), [], []
    for run in read_runs(runs):
        if not run.trained:
            raise TableError(f"{run.folder}: was not trained ({run.reason})")
        found = read_tests(run, known)
        for test, pictures in found.items():
            for twins, part in (("without", pictures[~pictures.apart]), ("with", pictures)):
                judged = judge(part, confidence=confidence)
                rows.append({"variant": run.variant, "seed": run.seed, "test": test, "duplicates": twins, **judged})
        private = found["private"]
        counts = confusion_counts(private.label.to_numpy(), private.predicted.to_numpy(), n_classes=len(run.classes))
        confusions.append((run, 100 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)))
    table = pd.DataFrame(rows)
    text = render_page("pictures", rows=table, confusions=confusions, confidence=confidence)
    write_table(table, text, csv=out_csv, md=out_md)
    log.info("%d networks", len(confusions))
