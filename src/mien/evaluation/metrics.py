"""Clip by clip scores of runs, and accuracy, UAR, macro-F1 and confusion from them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import TableError
from mien.evaluation.runs import Run
from mien.io import tables

SCORES = [  # columns of the frame that everything else is computed from; a row is a clip, seed and selection
    "variant",
    "fold",
    "fold_name",
    "seed",
    "selection",
    "clip",
    "actor",
    "label",
    "predicted",
    "hit",
    "apart",
]
NO_SEED = -1  # in SCORES: nothing was drawn, and another training would be the same
MEASURES = ["accuracy", "uar", "macro_f1"]  # of emotions, or other classes; see `linearise`


def linearise(label: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, uar and macro_f1 as numbers of every clip (N,), whose mean over the clips they are.

    uar : unweighted average recall, the mean of the recalls of the classes that occur.   macro_f1 : that of their F1.
    A clip's number is the measure and the clip's influence on it (the derivative by the clip's weight), so what groups
    of clips differ in is what the measure varies by over groups. Accuracy is the mean of 0 and 1 as they are.
    """
    if not len(label):
        return dict.fromkeys(MEASURES, np.zeros(0))
    labels = np.unique(label)
    true, said = label[:, None] == labels, predicted[:, None] == labels  # (N, C)
    hit, n, n_true, n_both = true & said, len(label), true.sum(axis=0), true.sum(axis=0) + said.sum(axis=0)
    recall, f1 = hit.sum(axis=0) / n_true, 2 * hit.sum(axis=0) / n_both
    return {
        "accuracy": hit.any(axis=1).astype(float),
        "uar": recall.mean() + n * ((hit - recall * true) / n_true).mean(axis=1),
        "macro_f1": f1.mean() + n * ((2 * hit - f1 * true - f1 * said) / n_both).mean(axis=1),
    }


def with_measures(judged: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Add the columns of `linearise`, the clips with equal `keys` (fold and seed, say) together.

    judged : columns label, predicted and `keys`.
    """
    label, predicted = judged.label.to_numpy(), judged.predicted.to_numpy()
    values = np.zeros((len(judged), len(MEASURES)))
    for at in judged.groupby(keys).indices.values():
        values[at] = np.stack(list(linearise(label[at], predicted[at]).values()), axis=1)
    return judged.assign(**dict(zip(MEASURES, values.T, strict=True)))


def average(rows: pd.DataFrame) -> dict[str, float]:
    """Return MEASURES 0..1: means over folds of `with_measures` by fold and seed; NaN without clips."""
    return rows.groupby("fold")[MEASURES].mean().mean().to_dict()


def confusion_counts(label: np.ndarray, predicted: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Return (C, C) clips: rows truth, columns prediction."""
    pairs = n_classes * np.asarray(label, dtype=np.int64) + np.asarray(predicted)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def read_duplicates(paths: Iterable[Path]) -> set[tuple[str, str]]:
    """Return (corpus, clip) of the clips that have a duplicate on the training side, from clips.parquet files."""
    clips = pd.concat([tables.read(path, tables.CLIPS)[["corpus", "clip", "apart"]] for path in paths])
    apart = clips[clips.apart]
    return set(zip(apart.corpus, apart["clip"], strict=True))


def score(runs: Iterable[Run], apart: set[tuple[str, str]], *, head: str = "fused") -> pd.DataFrame:
    """Return SCORES of the test clips of `runs`, in a fixed order.

    apart : (corpus, clip) that are kept out of every headline; here they are only marked.

    Raises
    ------
    TableError : two seeds of a fold were tested on different clips.
    """
    frames = [_score_run(run, apart, head) for run in runs if run.trained]
    if not frames:
        return pd.DataFrame(columns=SCORES)
    scores = pd.concat(frames, ignore_index=True)
    _check_seeds(scores)
    return scores.sort_values(["variant", "selection", "fold", "seed", "clip"], ignore_index=True)


def reported(scores: pd.DataFrame) -> str:
    """Return the selection that headlines rest on: honest, unless the protocol of the thesis left only the other."""
    return "honest" if (scores.selection == "honest").any() or scores.empty else "optimistic"


def by_fold(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row per variant, selection and fold; seeds are averaged within a fold.

    Columns: accuracy, uar and macro_f1 0..1; seeds_sd, the standard deviation of the accuracy over seeds, NaN of one;
    n_clips, n_actors, n_seeds, 0 where nothing is drawn. Clips apart do not count.
    """
    keys, rows = ["variant", "selection", "fold", "fold_name"], []
    for key, part in headline(scores).groupby(keys):
        means = (*with_measures(part, ["seed"])[MEASURES].mean(), spread_of_seeds(part))
        rows.append((*key, *means, part["clip"].nunique(), part.actor.nunique(), n_seeds(part)))
    return pd.DataFrame(rows, columns=[*keys, *MEASURES, "seeds_sd", "n_clips", "n_actors", "n_seeds"])


def n_seeds(scores: pd.DataFrame) -> int:
    """Return how many trainings differ in their seed; 0 where nothing is drawn."""
    return int(scores.seed[scores.seed != NO_SEED].nunique())


def spread_of_seeds(scores: pd.DataFrame) -> float:
    """Return the sample standard deviation over seeds of the mean accuracy over folds, 0..1; NaN with one seed.

    scores : of one variant and selection.
    """
    if scores.seed.nunique() < 2:
        return float("nan")
    folds = headline(scores).groupby(["seed", "fold"]).hit.mean()
    return float(folds.groupby("seed").mean().std(ddof=1))


def by_actor(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row per test actor of one variant and selection: accuracy 0..1 and weight.

    The weights make the weighted mean over actors equal to the mean over folds. Where the corpus does not name its
    people, every clip counts as a person of its own.
    """
    scores = with_person(headline(scores))
    n_clips = scores.groupby("fold").size()
    rows = scores.groupby(["fold", "person"]).hit.agg(accuracy="mean", n="size").reset_index()
    return rows.assign(weight=rows.n / rows.fold.map(n_clips) / len(n_clips))[["fold", "person", "accuracy", "weight"]]


def paired_clips(scores: pd.DataFrame, variants: Iterable[str], selection: str) -> pd.DataFrame:
    """Return the share of seeds that are right, (clips x variants), on the clips that all `variants` were tested on.

    The index is fold, fold_name, person and clip. A network of one modality sees fewer clips than a joint one: only
    the common ones compare like with like.
    """
    chosen = headline(scores)
    chosen = with_person(chosen[(chosen.selection == selection) & chosen.variant.isin(variants)])
    table = chosen.groupby(["fold", "fold_name", "person", "clip", "variant"]).hit.mean().unstack("variant")
    return table.reindex(columns=list(variants)).dropna().sort_index()


def mean_recall_matrix(scores: pd.DataFrame, *, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (C, C) recall averaged over folds and (C, C) clips, of one variant and selection.

    Each fold's counts are divided by their row sums first, as in the thesis's figures 5.6 and 5.7; a class that a
    fold does not test is left out of that class's mean (NaN if no fold tests it). Seeds are averaged in the counts.
    """
    scores = headline(scores)
    counts = np.zeros((0, n_classes, n_classes))
    if len(scores):
        counts = np.stack(
            [
                confusion_counts(part.label, part.predicted, n_classes=n_classes) / part.seed.nunique()
                for _, part in scores.groupby("fold")
            ]
        )  # (K, C, C)
    total = counts.sum(axis=2, keepdims=True)
    recall = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    tested = (total > 0).sum(axis=0)  # (C, 1) folds with the class
    mean = np.divide(recall.sum(axis=0), tested, out=np.full((n_classes, n_classes), np.nan), where=tested > 0)
    return mean, counts.sum(axis=0)


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return SCORES of the clips that count: those without a duplicate on the training side."""
    return scores[~scores.apart.astype(bool)]


def with_person(scores: pd.DataFrame) -> pd.DataFrame:
    """Add the column person: the actor, or the clip where the corpus does not name its people."""
    return scores.assign(person=scores.actor.where(scores.actor != "", scores["clip"]))


def _score_run(run: Run, apart: set[tuple[str, str]], head: str) -> pd.DataFrame:
    rows = run.predictions()
    rows = rows[(rows.role == "test") & (rows["head"] == head)]
    if rows.duplicated(["selection", "clip"]).any():
        raise TableError(
            f"{run.folder}/predictions.parquet: a test clip occurs twice; delete the folder and train again"
        )
    return rows.assign(
        variant=run.variant,
        fold=run.fold,
        fold_name=run.fold_name,
        seed=NO_SEED if run.deterministic else run.seed,
        hit=(rows.label == rows.predicted).astype(float),
        apart=[(run.corpus, clip) in apart for clip in rows["clip"]],
    )[SCORES]


def _check_seeds(scores: pd.DataFrame) -> None:
    for (variant, selection, fold), part in scores.groupby(["variant", "selection", "fold"]):
        if len({frozenset(seed["clip"]) for _, seed in part.groupby("seed")}) > 1:
            raise TableError(
                f"{variant} ({selection}), fold {fold}: the seeds were tested on different clips; train the fold again"
            )
