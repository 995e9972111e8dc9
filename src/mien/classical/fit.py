"""Command fit_classical: a classifier without epochs on random divisions of the training people.

Below --out every split s gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS of training, validation, test and aside, selection "honest"
history.csv          no row: there are no epochs
run.json             settings, sizes, chosen hyper-parameters, accuracies

The hyper-parameters are chosen among the training people; the validating ones are judged like the tested ones. No file
holds a time: the same seed gives the same bytes with any number of jobs. A classifier whose features nobody has is
recorded as "not applicable", with the reason, and is no error.

One split of a classifier without epochs: fit the training people, judge everybody, write the three files.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.classical.svm import Fitted
from mien.config.schema import ClassifierConfig
from mien.io import tables
from mien.io.files import atomic_folder, write_json
from mien.io.randomness import seed_for

ROLES = ("training", "validation", "test", "aside")
REQUIRED = ("training", "validation", "test")
SELECTION = "honest"  # there is no epoch to choose


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """One split: N samples with their roles.

    table : columns clip, person and label of SAMPLES.   roles : (N,) text.   features : (N, D) or (N, S, S).
    usable : (N,) bool, whether the features of a sample are there.   record : what run.json says of all splits.
    """

    classifier: ClassifierConfig
    table: pd.DataFrame
    roles: np.ndarray
    features: np.ndarray
    usable: np.ndarray
    classes: tuple[str, ...]
    split: int
    seed: int
    record: dict[str, Any]
    folder: Path


def fit_split(work: Work) -> dict[str, Any]:
    """Fit, judge and write one split; return its run.json."""
    import sklearn.decomposition
    import sklearn.svm  # noqa: F401  (brings its libraries of threads, which are limited only once they are there)
    from threadpoolctl import threadpool_limits

    used = {role: np.flatnonzero((work.roles == role) & work.usable) for role in ROLES}
    missing = {role: int(((work.roles == role) & ~work.usable).sum()) for role in ROLES}
    counts = {"n_clips": {role: len(rows) for role, rows in used.items()}, "n_missing": missing}
    record = work.record | counts | {"fold": 0, "seed": work.split, "epochs": 0}
    if reason := _obstacle(work, used):
        record |= _outcome(None, reason, {})
        _write(work.folder, record, tables.empty(tables.PREDICTIONS))
        return record
    with threadpool_limits(1):  # sums of another number of threads have other last bits
        fitted = _fit(work, used["training"])
        predictions = pd.concat([_predict(work, fitted, role, rows) for role, rows in used.items() if len(rows)])
    record |= _outcome(fitted, "", _metrics(predictions))
    _write(work.folder, record, predictions)
    return record


def _obstacle(work: Work, used: dict[str, np.ndarray]) -> str:
    """Say why the classifier cannot be fitted to these samples; empty if it can."""
    features = "a face" if work.classifier.features == "image" else work.classifier.features
    for role in REQUIRED:
        if not len(used[role]):
            return f"no {role} sample has {features}"
    present = set(work.table.label.to_numpy()[used["training"]])
    if absent := [name for k, name in enumerate(work.classes) if k not in present]:
        return f"no training sample of {', '.join(absent)} has {features}"
    if len(used["training"]) <= (n_classes := len(work.classes)):
        return f"only {len(used['training'])} training samples have {features}, at least {n_classes + 1} are needed"
    if not np.ptp(work.features[used["training"]], axis=0).any():
        return f"all training samples have the same {features.removeprefix('a ')}"
    return ""


def _fit(work: Work, rows: np.ndarray) -> Fitted:
    from mien.classical import subspaces, svm

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


def _predict(work: Work, fitted: Fitted, role: str, rows: np.ndarray) -> pd.DataFrame:
    """Return rows of PREDICTIONS."""
    chosen = work.table.iloc[rows]
    return pd.DataFrame(
        {
            "selection": SELECTION,
            "role": role,
            "clip": chosen["clip"].to_numpy(),
            "actor": chosen.person.to_numpy(),
            "label": chosen.label.to_numpy(),
            "head": "fused",
            "logits": list(fitted.logits(work.features[rows]).astype(np.float32)),
        }
    )


def _metrics(predictions: pd.DataFrame) -> dict[str, float]:
    correct = predictions.logits.map(np.argmax) == predictions.label
    shares = correct.groupby(predictions.role).mean()
    names = {"training": "train"}  # as networks call it
    return {f"{names.get(role, role)}_accuracy": float(shares[role]) for role in ROLES if role in shares}


def _outcome(fitted: Fitted | None, reason: str, metrics: dict[str, float]) -> dict[str, Any]:
    """Return what run.json says about the result of a run."""
    done = fitted is not None
    return {
        "status": "trained" if done else "not applicable",
        "reason": reason,
        "n_parameters": fitted.n_parameters if done else 0,
        "best_epoch": {SELECTION: 0} if done else {},
        "metrics": {SELECTION: metrics} if done else {},
        "chosen": fitted.chosen if done else {},
        "search": fitted.search if done else {},
    }


def _write(folder: Path, record: dict[str, Any], predictions: pd.DataFrame) -> None:
    with atomic_folder(folder) as scratch:
        tables.write(scratch / "predictions.parquet", predictions, tables.PREDICTIONS)
        pd.DataFrame(columns=list(tables.HISTORY)).to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        write_json(scratch / "run.json", record)


log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--classifier", required=True, help="row of classifiers in params.yaml")
    parser.add_argument("--samples", type=Path, required=True, help="results/samples/PAIR")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with faces/")
    parser.add_argument("--splits", type=int, nargs="+", required=True, metavar="S", help="splits to fit, from 0")
    parser.add_argument("--out", type=Path, required=True, help="results/training/PAIR/CLASSIFIER")


def run(args) -> None:
    """Fit and judge every split.

    Raises
    ------
    ConfigError : the classifier is a network.
    TableError : an earlier stage is missing, or a split does not exist.
    """
    from mien.classical import samples as classical_samples
    from mien.config import schema
    from mien.errors import ConfigError
    from mien.io.files import map_in_processes

    params = schema.load(args.config)
    classifier = schema.section(schema.ClassifierConfig, params, "classifiers", args.classifier)
    seed = schema.section(int, params, "seed")
    if classifier.model not in schema.CLASSICAL:
        known = ", ".join(schema.CLASSICAL)
        raise ConfigError(
            f"params.yaml: classifiers.{args.classifier}.model is {classifier.model}, a network: train it with"
            f" train_classifier; fit_classical knows {known}"
        )
    samples = classical_samples.read_samples(args.samples)
    if classifier.features == "image":
        features = classical_samples.pictures(samples.table, args.data, classifier.size_px)
    else:
        features = classical_samples.vectors(samples.table, classifier.features)
    record = {
        "corpus": samples.info["corpus"],
        "variant": args.classifier,
        "fold_name": samples.title,
        "classes": samples.info["classes"],
        "data_digest": samples.digest,
        "config": {"classifier": asdict(classifier), "seed": seed},
    }
    works = [
        Work(
            classifier=classifier,
            table=samples.table[["clip", "person", "label"]],
            roles=samples.roles(split).to_numpy(str),
            features=features,
            usable=classical_samples.has_features(samples.table, classifier.features),
            classes=tuple(samples.info["classes"]),
            split=split,
            seed=seed,
            record=record,
            folder=args.out / f"fold0-seed{split}",
        )
        for split in args.splits
    ]
    for done in map_in_processes(fit_split, works, n_jobs=min(args.jobs, len(works))):
        said = done["metrics"].get("honest") or f"{done['status']}: {done['reason']}"
        log.info("%s %s split %d: %s %s", done["corpus"], done["variant"], done["seed"], done["chosen"], said)
