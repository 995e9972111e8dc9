"""Headline metrics and plot data of all runs, in the form that DVC compares and draws."""

import logging
from pathlib import Path

import pandas as pd

from mien.evaluation.intensity import said
from mien.evaluation.metrics import by_fold, read_duplicates, reported, score
from mien.evaluation.runs import Run, read_runs
from mien.io.files import atomic_folder, write_json

log = logging.getLogger(__name__)

LOSSES = ["train_loss", "validation_loss", "validation_accuracy"]
CURVES = ["corpus", "variant", "fold", "seed", "epoch", *LOSSES]


def headline(runs: list[Run], scores: pd.DataFrame, levels: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return variant -> metrics of one corpus: means over folds, fractions of 1; of intensity mean absolute errors.

    A variant that could not be trained is absent, and so is a selection that the protocol does not have. The macro
    recall belongs to the honest epochs, where there are any.

    scores : SCORES of its runs.   levels : SAID of its runs of intensity; `constant` is the error of the training
    people's mean level, said of every clip.
    """
    result: dict[str, dict[str, float]] = {}
    for (variant, selection), part in by_fold(scores).groupby(["variant", "selection"]):  # honest comes first
        metrics = result.setdefault(variant, {"macro_recall": round(float(part.macro_recall.mean()), 4)})
        metrics[f"accuracy_{selection}"] = round(float(part.accuracy.mean()), 4)
        metrics |= {"n_folds": part.fold.nunique(), "n_clips": int(part.n_clips.sum())}
    fused = levels[levels["head"] == "fused"]
    fused = fused.assign(error=(fused.said - fused.label).abs(), constant=(fused.constant - fused.label).abs())
    for (variant, selection), part in fused.groupby(["variant", "selection"]):
        folds = part.groupby("fold")[["error", "constant"]].mean().mean()
        metrics = result.setdefault(variant, {"constant": round(float(folds.constant), 4)})
        metrics[f"error_{selection}"] = round(float(folds.error), 4)
        metrics["n_clips"] = int(part["clip"].nunique())
    for variant, metrics in result.items():
        metrics["n_parameters"] = max(run.record["n_parameters"] for run in runs if run.variant == variant)
    return result


def learning_curves(runs: list[Run]) -> pd.DataFrame:
    """Return CURVES, a row per epoch of every run that has epochs."""
    frames = [
        run.history().assign(corpus=run.corpus, variant=run.variant, fold=run.fold, seed=run.seed)
        for run in runs
        if run.trained and run.record["epochs"]  # an empty history would make columns of numbers columns of objects
    ]
    return pd.concat(frames, ignore_index=True)[CURVES] if frames else pd.DataFrame(columns=CURVES)


def mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Return a row per epoch of one corpus and variant: mean over the runs that still trained, and their number."""
    grouped = curves.groupby("epoch")
    return grouped[LOSSES].mean().assign(n_runs=grouped.size()).reset_index()


def write_plots(folder: Path, runs: list[Run], scores: dict[str, pd.DataFrame]) -> None:
    """Write learning_curves.csv, curves/<corpus>_<variant>.csv and confusion/<corpus>_<variant>.csv."""
    (folder / "curves").mkdir()
    (folder / "confusion").mkdir()
    curves = learning_curves(runs)
    _write(curves, folder / "learning_curves.csv")
    for (corpus, variant), part in curves.groupby(["corpus", "variant"]):
        _write(mean_curves(part), folder / "curves" / f"{corpus}_{variant}.csv")
    for corpus, frame in scores.items():
        own = (run.classes for run in runs if run.corpus == corpus and run.target == "label")
        classes = dict(enumerate(next(own, ())))
        chosen = frame[(frame.selection == reported(frame)) & ~frame.apart.astype(bool)]
        for variant, part in chosen.groupby("variant"):
            pairs = pd.DataFrame({"actual": part.label.map(classes), "predicted": part.predicted.map(classes)})
            _write(pairs, folder / "confusion" / f"{corpus}_{variant}.csv")


def _write(rows: pd.DataFrame, path: Path) -> None:
    rows.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def summarise(*, runs: list[Path], clips: list[Path], out: Path, plots: Path | None = None) -> None:
    """Collect the headline metrics.

    Parameters
    ----------
    clips : list of Path
        Table CLIPS of every corpus in the runs.
    out : Path
        metrics.json: corpus -> variant -> metric -> value.
    plots : Path
        Folder for the plot data; it is replaced. It gets confusion/ (a CSV per corpus and variant: actual, predicted; a
        row per test clip and seed), curves/ (a CSV per corpus and variant: losses averaged over folds and seeds) and
        learning_curves.csv (every epoch of every run).
    """
    read, apart = read_runs(runs), read_duplicates(clips)
    by_corpus = {corpus: [run for run in read if run.corpus == corpus] for corpus in sorted({r.corpus for r in read})}
    scores = {corpus: score([r for r in own if r.target == "label"], apart) for corpus, own in by_corpus.items()}
    levels = {corpus: said([r for r in own if r.target == "intensity"]) for corpus, own in by_corpus.items()}
    write_json(out, {corpus: headline(own, scores[corpus], levels[corpus]) for corpus, own in by_corpus.items()})
    if plots:
        with atomic_folder(plots) as scratch:
            write_plots(scratch, read, scores)
    log.info("%s: %d runs of %s", out, len(read), ", ".join(scores))
