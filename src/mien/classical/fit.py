"""Fit a classifier without epochs on random divisions of the training people (command fit_classical)."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.classical import samples as classical_samples
from mien.classical import subspaces, svm
from mien.config import schema
from mien.errors import ConfigError
from mien.io import files, tables
from mien.io.randomness import seed_for

log = logging.getLogger(__name__)

ROLES = ("training", "validation", "test", "aside")  # aside: off-angle pictures, not scored
REQUIRED = ("training", "validation", "test")
SELECTION = "honest"  # there is no epoch to choose


def fit_classical(
    *,
    classifier: str,
    samples: Path,
    data: Path = Path("results"),
    splits: list[int],
    out: Path,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Fit a support vector machine or a subspace to every split, and judge everybody.

    Writes per split s the folder fold0-seed<s> with predictions.parquet (PREDICTIONS of training, validation, test and
    aside, selection "honest"), history.csv (no row: there are no epochs) and run.json (settings, sizes, chosen
    hyper-parameters, accuracies). The hyper-parameters are chosen among the training people. The same seed gives the
    same bytes with any number of jobs. A classifier whose features nobody has is recorded as "not applicable", with the
    reason, and is no error.

    Parameters
    ----------
    classifier : str
        Row of classifiers in params.yaml.
    data : Path
        Folder with faces/.
    splits : list[int]
        Splits to fit, from 0.
    out : Path
        results/training/PAIR/CLASSIFIER.
    jobs : int
        Number of processes.

    Raises
    ------
    ConfigError
        The classifier is a network.
    TableError
        An earlier stage is missing, or a split does not exist.
    """
    params = schema.load(config)
    row = schema.section(schema.ClassifierConfig, params, "classifiers", classifier)
    seed = schema.section(int, params, "seed")
    if row.model not in schema.CLASSICAL:
        raise ConfigError(
            f"params.yaml: classifiers.{classifier}.model is {row.model}, a network: train it with train_classifier;"
            f" fit_classical knows {', '.join(schema.CLASSICAL)}"
        )
    listed = classical_samples.read_samples(samples)
    if row.features == "image":
        features = classical_samples.pictures(listed.table, data, row.size_px)
    else:
        features = classical_samples.vectors(listed.table, row.features)
    record = {
        "corpus": listed.info["corpus"],
        "variant": classifier,
        "fold_name": listed.title,
        "classes": listed.info["classes"],
        "data_digest": listed.digest,
        "config": {"classifier": asdict(row), "seed": seed},
    }
    shared = {"classifier": row, "table": listed.table[["clip", "person", "label"]], "features": features}
    shared |= {"usable": classical_samples.has_features(listed.table, row.features), "seed": seed, "record": record}
    works = [
        Split(**shared, roles=listed.roles(split).to_numpy(str), split=split, folder=out / f"fold0-seed{split}")
        for split in splits
    ]
    for done in files.map_in_processes(fit_split, works, n_jobs=min(jobs, len(works))):
        said = done["metrics"].get(SELECTION) or f"{done['status']}: {done['reason']}"
        log.info("%s %s split %d: %s %s", done["corpus"], done["variant"], done["seed"], done["chosen"], said)


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """N samples with their roles: what a process needs."""

    classifier: schema.ClassifierConfig
    table: pd.DataFrame  # clip, person and label of SAMPLES
    roles: np.ndarray  # (N,) text
    features: np.ndarray  # (N, D) or (N, S, S)
    usable: np.ndarray  # (N,) bool, whether the features of a sample are there
    split: int
    seed: int
    record: dict[str, Any]  # what run.json says of all splits
    folder: Path


def fit_split(work: Split) -> dict[str, Any]:
    """Fit, judge and write one split; return its run.json."""
    import sklearn.decomposition
    import sklearn.svm  # noqa: F401  (brings its libraries of threads, which are limited only once they are there)
    from threadpoolctl import threadpool_limits

    used = {role: np.flatnonzero((work.roles == role) & work.usable) for role in ROLES}
    reason = _find_obstacle(work, used)
    record = work.record | {
        "n_clips": {role: len(rows) for role, rows in used.items()},
        "n_missing": {role: int(((work.roles == role) & ~work.usable).sum()) for role in ROLES},
        "fold": 0,
        "seed": work.split,
        "reason": reason,
    }
    record |= {"n_parameters": 0, "chosen": {}, "search": {}}
    samples, logits = {}, {}
    if not reason:
        with threadpool_limits(1):  # sums of another number of threads have other last bits
            fitted = _fit(work, used["training"])
            logits = {role: fitted.logits(work.features[rows]) for role, rows in used.items() if len(rows)}
        samples = {role: work.table.iloc[used[role]].rename(columns={"person": "actor"}) for role in logits}
        record |= {"n_parameters": fitted.n_parameters, "chosen": fitted.chosen, "search": fitted.search}
    return write_folder(work.folder, record, samples, logits, selection=SELECTION)


def write_folder(
    folder: Path,
    record: Mapping[str, Any],
    samples: Mapping[str, pd.DataFrame],
    logits: Mapping[str, np.ndarray],
    *,
    selection: str,
) -> dict[str, Any]:
    """Write the folder of a run without epochs; return its run.json.

    Parameters
    ----------
    record : what run.json says besides; where its reason is not empty, the run is not applicable.
    samples, logits : role -> clip, actor and label of N samples, and (N, C).
    selection : the one that the predictions are.
    """
    record = dict(record) | {
        "status": "not applicable" if record["reason"] else "trained",
        "epochs": 0,
        "best_epoch": {selection: 0} if logits else {},
        "metrics": {},
    }
    predictions = tables.empty(tables.PREDICTIONS)
    if logits:
        listed = pd.concat([samples[role].assign(role=role) for role in logits], ignore_index=True)
        values = np.concatenate(list(logits.values()))
        predictions = listed[["role", "clip", "actor", "label"]].assign(
            selection=selection, head="fused", logits=list(values.astype(np.float32))
        )[tables.PREDICTIONS.columns.names]
        correct = predictions.logits.map(np.argmax) == predictions.label
        shares = correct.groupby(predictions.role).mean()
        names = {role: "train" if role == "training" else role for role in logits}  # as networks do
        record["metrics"] = {selection: {f"{name}_accuracy": float(shares[role]) for role, name in names.items()}}
    with files.atomic_folder(folder) as scratch:
        tables.write(scratch / "predictions.parquet", predictions, tables.PREDICTIONS)
        pd.DataFrame(columns=list(tables.HISTORY)).to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        files.write_json(scratch / "run.json", record)
    return record


def _find_obstacle(work: Split, used: dict[str, np.ndarray]) -> str:
    """Say why the classifier cannot be fitted to these samples; empty if it can."""
    features = "a face" if work.classifier.features == "image" else work.classifier.features
    for role in REQUIRED:
        if not len(used[role]):
            return f"no {role} sample has {features}"
    rows, classes = used["training"], work.record["classes"]
    present = set(work.table.label.to_numpy()[rows])
    if absent := [name for k, name in enumerate(classes) if k not in present]:
        return f"no training sample of {', '.join(absent)} has {features}"
    if len(rows) <= len(classes):
        return f"only {len(rows)} training samples have {features}, at least {len(classes) + 1} are needed"
    if not np.ptp(work.features[rows], axis=0).any():
        return f"all training samples have the same {features.removeprefix('a ')}"
    return ""


def _fit(work: Split, rows: np.ndarray) -> svm.Fitted:
    features, labels = work.features[rows], work.table.label.to_numpy()[rows]
    if work.classifier.model == "eigenfaces":
        return subspaces.fit_eigenfaces(features, labels)
    if work.classifier.model == "fisherfaces":
        return subspaces.fit_fisherfaces(features, labels)
    return svm.fit_svm(
        features,
        labels,
        work.table.person.to_numpy()[rows],
        model=work.classifier.model,
        standardise=work.classifier.standardise,
        seed=seed_for(work.seed, "grid search", work.record["corpus"], work.split),
    )
