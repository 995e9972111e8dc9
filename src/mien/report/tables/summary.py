"""Headline metrics and plot data of all runs, in the form that DVC compares and draws."""

import logging
import math
from pathlib import Path

import pandas as pd

from mien.config.schema import EvaluateConfig, load, section
from mien.evaluation.intensity import measures as measure_levels
from mien.evaluation.intensity import said
from mien.evaluation.measures import measure, percents
from mien.evaluation.metrics import MEASURES, headline, read_duplicates, reported, score
from mien.evaluation.runs import Run, read_runs
from mien.io.files import atomic_folder, write_json

log = logging.getLogger(__name__)

LOSSES = ["train_loss", "validation_loss", "validation_accuracy"]
CURVES = ["corpus", "variant", "fold", "seed", "epoch", *LOSSES]


def summarise_corpus(
    runs: list[Run], scores: pd.DataFrame, levels: pd.DataFrame, *, confidence: float
) -> dict[str, dict[str, float]]:
    """Return variant -> metrics of one corpus: means over folds, fractions of 1; of intensity errors and CCC.

    A variant that could not be trained is absent, and so is a selection that the protocol does not have. Intervals
    (_low, _high), UAR, macro-F1 and CCC belong to the honest epochs, where there are any. A number that is not known,
    such as an interval over one person, is absent too: JSON has no NaN.

    scores : SCORES of its runs.   levels : SAID of its runs of intensity; `constant` is the error of the training
    people's mean level, said of every clip.
    """
    result: dict[str, dict[str, float]] = {}
    for (variant, selection), part in headline(scores).groupby(["variant", "selection"]):  # honest comes first
        if variant not in result:
            found = percents(measure(part, confidence=confidence), MEASURES)
            result[variant] = {name: share / 100 for name, share in found.items() if name != "accuracy"}
        clips = part.drop_duplicates(["fold", "clip"])
        mean = part.groupby("fold").hit.mean().mean()
        result[variant] |= {f"accuracy_{selection}": mean, "n_folds": clips.fold.nunique(), "n_clips": len(clips)}
    for (variant, selection), part in levels[levels["head"] == "fused"].groupby(["variant", "selection"]):
        found = measure_levels(part, confidence=confidence)
        of_error = {f"error{end}": found[f"mae{end}"] for end in ("_low", "_high")}
        of_ccc = {f"ccc{end}": found[f"ccc{end}"] for end in ("", "_low", "_high")}
        metrics = result.setdefault(variant, {})
        if "constant" not in metrics:
            metrics |= {"constant": found["constant"], **of_error, **of_ccc}
        metrics[f"error_{selection}"] = found["mae"]
        metrics.setdefault("n_clips", part["clip"].nunique())
    result = {
        variant: {name: round(value, 4) for name, value in metrics.items() if not math.isnan(value)}
        for variant, metrics in result.items()
    }
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
        chosen = headline(frame[frame.selection == reported(frame)])
        for variant, part in chosen.groupby("variant"):
            pairs = pd.DataFrame({"actual": part.label.map(classes), "predicted": part.predicted.map(classes)})
            _write(pairs, folder / "confusion" / f"{corpus}_{variant}.csv")


def _write(rows: pd.DataFrame, path: Path) -> None:
    rows.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def summarise(
    *, runs: list[Path], clips: list[Path], out: Path, plots: Path | None = None, config: str = "params.yaml"
) -> None:
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
    config : str
        params.yaml, or its section evaluate as JSON text.
    """
    confidence = section(EvaluateConfig, load(config), "evaluate").confidence
    read, apart = read_runs(runs), read_duplicates(clips)
    by_corpus = {corpus: [run for run in read if run.corpus == corpus] for corpus in sorted({r.corpus for r in read})}
    scores = {corpus: score([r for r in own if r.target == "label"], apart) for corpus, own in by_corpus.items()}
    levels = {
        corpus: said([r.of_target("intensity") for r in own if "intensity" in r.targets])
        for corpus, own in by_corpus.items()
    }
    numbers = {
        corpus: summarise_corpus(own, scores[corpus], levels[corpus], confidence=confidence)
        for corpus, own in by_corpus.items()
    }
    write_json(out, numbers)
    if plots:
        with atomic_folder(plots) as scratch:
            write_plots(scratch, read, scores)
    log.info("%s: %d runs of %s", out, len(read), ", ".join(scores))
