"""The MLflow store as a view of results/training: written anew from the files, and the only importer of mlflow.

An experiment per corpus; in it a run per variant (the means over its folds) with a child per fold and seed. The store
is written beside the old one and takes its place in one step, so a pass that is killed leaves the old store whole.
"""

import json
import logging
import math
import os
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import mlflow  # noqa: F401  (sets up the logging that is quietened below)
import numpy as np
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from mien.config.labels import nearest_level
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.provenance import git_revision

log = logging.getLogger(__name__)

FILES = ("run.json", "history.csv", "predictions.parquet")
KEY = "mien.key"  # tag: what a run shows; runs without it are somebody's own
CURVES = ("learning_rate", "train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
N_METRICS, N_PARAMS = 900, 100  # that one call of the store takes, of 1000 entities in all
N_TEXT = 5000  # characters of a value that the store takes
MANY = 3  # runs of somebody else that a message names

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Record:
    """A run folder and the description of its corpus."""

    folder: Path
    run: dict[str, Any]  # run.json
    corpus: dict[str, Any]  # corpus.json

    @property
    def group(self) -> tuple[str, str]:
        """Return corpus and variant."""
        return self.run["corpus"], self.run["variant"]

    @property
    def key(self) -> str:
        """Return what names the run."""
        return f"{'/'.join(self.group)}/fold{self.run['fold']}-seed{self.run['seed']}"


@dataclass(frozen=True)
class Entry:
    """What is written into one run of the store."""

    key: str
    name: str
    corpus: dict[str, Any]  # corpus.json
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    history: pd.DataFrame | None = None  # a row per epoch
    files: tuple[Path, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)  # name of an artefact -> its content


def read_corpora(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return corpus name -> corpus.json."""
    return {info["corpus"]: info for info in map(read_json, paths)}


def read_records(paths: Iterable[Path], corpora: Mapping[str, dict[str, Any]]) -> list[Record]:
    """Read run.json files, sorted by corpus, variant, fold and seed; `corpora` must describe the corpus of each."""
    records: dict[str, Record] = {}
    for path in map(Path, paths):
        run = read_json(path)
        if not isinstance(run, dict) or not {"corpus", "variant", "fold", "seed", "status"} <= run.keys():
            raise TableError(
                f"{path}: corpus, variant, fold, seed or status is missing; delete its folder and train again"
            )
        base = run.get("base", run["corpus"])  # who somebody is has a folder of its own, and the clips of the corpus
        if base not in corpora:
            raise TableError(f"{path}: its corpus {base} is not described; pass its corpus.json with --corpus-info")
        missing = [path.with_name(name) for name in FILES if not path.with_name(name).is_file()]
        if missing:
            raise TableError(f"{missing[0]} is missing; delete its folder and train again")
        record = Record(path.parent, run, corpora[base])
        if record.key in records:
            raise TableError(f"{path} and {records[record.key].folder} are the same run {record.key}; name one of them")
        records[record.key] = record
    return sorted(records.values(), key=lambda record: (*record.group, record.key))


def variant_entry(records: list[Record], revision: str) -> Entry:
    """Return the entry of a variant: its configuration, and the means over the folds of its runs."""
    run, config = records[0].run, records[0].run.get("config", {})
    return Entry(
        key="/".join(records[0].group),
        name=run["variant"],
        corpus=records[0].corpus,
        params=_flatten({"run": {"variant": run["variant"], "n_parameters": run.get("n_parameters")}, **config}),
        tags=_tags(records[0], revision) | {"mien.level": "variant"},
        metrics=_means(records),
    )


def fold_entry(record: Record, revision: str) -> Entry:
    """Return the entry of one fold and seed."""
    run = record.run
    names = ("variant", "fold", "fold_name", "seed", "n_parameters", "n_clips", "data_digest")
    tags = _tags(record, revision) | {
        "mien.level": "fold",
        "mien.status": run["status"],
        "mien.folder": str(record.folder),
    }
    if run.get("reason"):
        tags["mlflow.note.content"] = f"{tags.get('mlflow.note.content', '')} Not trained: {run['reason']}.".strip()
    trained = run["status"] == "trained"
    return Entry(
        key=record.key,
        name=f"{run['variant']} {run.get('fold_name') or run['fold']} seed {run['seed']}",
        corpus=record.corpus,
        params=_flatten({"run": {name: run.get(name) for name in names}, **run.get("config", {})}),
        tags=tags,
        metrics=_metrics(run),
        history=pd.read_csv(record.folder / "history.csv") if trained else None,
        files=tuple(record.folder / name for name in FILES),
        texts=_confusion_texts(record) if trained else {},
    )


def _tags(record: Record, revision: str) -> dict[str, str]:
    source = str(record.corpus.get("source", ""))
    tags = {"mien.corpus": record.run["corpus"], "mien.variant": record.run["variant"], "mien.source": source}
    tags |= {"mlflow.source.git.commit": revision.removesuffix("+changes"), "mien.revision": revision}
    note = {"mlflow.note.content": "Synthetic people: not a result on people."}
    return tags | (note if source == "synthetic" else {})


def _metrics(run: Mapping[str, Any]) -> dict[str, float]:
    """Return selection/metric -> value of a run.json, without what is not a finite number."""
    nested = {**run.get("metrics", {}), "best_epoch": run.get("best_epoch", {})}
    values = {
        f"{group}/{name}": float(value)
        for group, inner in nested.items()
        if isinstance(inner, Mapping)
        for name, value in inner.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    if isinstance(run.get("epochs"), int) and run["status"] == "trained":
        values["epochs"] = float(run["epochs"])
    return values


def _means(records: list[Record]) -> dict[str, float]:
    """Return the metrics averaged over the folds' means over seeds."""
    trained = [record.run for record in records if record.run["status"] == "trained"]
    frame = pd.DataFrame([{"fold": run["fold"], **_metrics(run)} for run in trained])
    means = frame.groupby("fold").mean().mean() if len(frame) else pd.Series(dtype=float)
    counts = {"n_runs": len(trained), "n_folds": len({run["fold"] for run in trained})}
    return {name: float(value) for name, value in {**means.to_dict(), **counts}.items()}


def _confusion_texts(record: Record) -> dict[str, str]:
    """Return confusion-<selection>.csv: clips by true and predicted class of the fused head on the test clips."""
    rows = tables.read(record.folder / "predictions.parquet", tables.PREDICTIONS)
    rows = rows[(rows.role == "test") & (rows["head"] == "fused")]
    classes = list(record.run["classes"])
    is_level = record.run.get("config", {}).get("variant", {}).get("target") == "intensity"
    texts = {}
    for selection, part in rows.groupby("selection"):
        logits = np.stack(part.logits)
        predicted = nearest_level(logits[:, 0], len(classes)) if is_level else logits.argmax(axis=1)
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (part.label.to_numpy(), predicted), 1)
        table = pd.DataFrame(counts, index=classes, columns=classes)
        texts[f"confusion-{selection}.csv"] = table.to_csv(index_label="true / predicted", lineterminator="\n")
    return texts


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat |= _flatten(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(inner)
    return flat


def write_store(records: list[Record], db: Path, artifacts: Path, *, revision: str) -> int:
    """Write a store that holds exactly `records`, in place of the one that is there; return its number of runs.

    Artefacts lie in artifacts/<corpus>/<run id>/artifacts, where `mlflow ui`, started beside a folder mlartifacts,
    serves them; the client itself refuses to write them without a server. Those of the new runs are there before the
    new store takes the place of the old one, those of the old runs go afterwards.

    Raises
    ------
    TableError
        The store that is there is locked, is none, or holds runs that are not ours.
    """
    check_replaceable(db)
    db.parent.mkdir(parents=True, exist_ok=True)
    for left in db.parent.glob(f".{db.stem}.*.partial"):  # of a pass that was killed
        shutil.rmtree(left, ignore_errors=True)
    written: set[str] = set()
    gone: set[str] = written  # runs whose artefacts go: of a pass that fails its own
    try:
        with TemporaryDirectory(prefix=f".{db.stem}.", suffix=".partial", dir=db.parent) as folder:
            scratch = Path(folder).resolve() / db.name
            client = MlflowClient(f"sqlite:///{scratch}")  # its connections are kept by this name, so that it is new
            for corpus, of_corpus in groupby(records, key=lambda record: record.run["corpus"]):
                own = list(of_corpus)
                store = _Experiment(
                    client, _create_experiment(client, corpus, own[0].corpus), artifacts / corpus, written
                )
                for _, of_variant in groupby(own, key=lambda record: record.group):
                    folds = list(of_variant)
                    parent = store.write(variant_entry(folds, revision))
                    for record in folds:
                        store.write(fold_entry(record, revision), parent)
            check_replaceable(db)
            replaced = _own_runs(db)
            scratch.replace(db)
            gone = replaced
    except (SQLAlchemyError, MlflowException) as error:
        raise TableError(
            f"{db} could not be written ({str(error).strip().splitlines()[0]}); run track again"
        ) from error
    finally:
        for folder in artifacts.glob("*/*"):
            if folder.name in gone:
                shutil.rmtree(folder)
    return len(written)


def _own_runs(db: Path) -> set[str]:
    """Return the ids of the runs in a store that are ours: their artefacts go with it, those of others do not."""
    if not db.exists() or not db.stat().st_size:
        return set()
    with closing(sqlite3.connect(db)) as connection:
        return {run for (run,) in connection.execute("SELECT run_uuid FROM tags WHERE key = ?", (KEY,))}


def check_replaceable(db: Path) -> None:
    """Raise TableError unless a store may be replaced: all its runs are ours, and nobody is writing into it."""
    if not db.exists() or not db.stat().st_size:
        return
    ours = f"SELECT run_uuid FROM tags WHERE key = '{KEY}'"
    others = f"SELECT name FROM runs WHERE lifecycle_stage = 'active' AND run_uuid NOT IN ({ours}) ORDER BY start_time"
    try:
        with closing(sqlite3.connect(db, timeout=5)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            names = [name for (name,) in connection.execute(others)]
            connection.rollback()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise TableError(f"{db} is locked: another program writes into it; end that and run track again") from error
        raise TableError(f"{db} is no store of MLflow ({error}); move it away and run track again") from error
    except sqlite3.DatabaseError as error:
        raise TableError(f"{db} is no store of MLflow ({error}); move it away and run track again") from error
    if names:
        listed = ", ".join(map(str, names[:MANY])) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")
        raise TableError(
            f"{db} holds runs that mien did not write: {listed}. It is written anew from results/training, so move it "
            "away, or these runs into another store, and run track again"
        )


@dataclass(frozen=True)
class _Experiment:
    """The experiment of a corpus in a new store, and where its artefacts lie."""

    client: MlflowClient
    id: str
    folder: Path
    written: set[str]  # run ids of the whole store

    def write(self, entry: Entry, parent: str | None = None) -> str:
        """Write a run and return its id; its time is its place in the store, so that equal files give equal stores."""
        time_ms = 1000 * (len(self.written) + 1)
        tags = {KEY: entry.key} | {name: value[:N_TEXT] for name, value in entry.tags.items()}
        tags |= {"mlflow.parentRunId": parent} if parent else {}
        run_id = self.client.create_run(self.id, start_time=time_ms, tags=tags, run_name=entry.name).info.run_id
        self.written.add(run_id)
        metrics = [Metric(name, value, time_ms, 0) for name, value in sorted(entry.metrics.items())]
        for row in [] if entry.history is None else entry.history.to_dict("records"):
            values = ((name, float(row[name])) for name in CURVES)
            step = int(row["epoch"])
            metrics += [Metric(f"curve/{name}", value, time_ms, step) for name, value in values if math.isfinite(value)]
        params = [Param(name, value[:N_TEXT]) for name, value in sorted(entry.params.items())]
        for k in range(max(math.ceil(len(metrics) / N_METRICS), math.ceil(len(params) / N_PARAMS))):
            self.client.log_batch(
                run_id,
                metrics=metrics[k * N_METRICS : (k + 1) * N_METRICS],
                params=params[k * N_PARAMS : (k + 1) * N_PARAMS],
            )
        dataset = DatasetInput(_dataset(entry.corpus), [InputTag("mlflow.data.context", "corpus")])
        self.client.log_inputs(run_id, datasets=[dataset])
        folder = self.folder / run_id / "artifacts"
        folder.mkdir(parents=True)
        for file in entry.files:
            shutil.copyfile(file, folder / file.name)
        for name, text in entry.texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        self.client.set_terminated(run_id, end_time=time_ms)
        return run_id


def _create_experiment(client: MlflowClient, corpus: str, info: Mapping[str, Any]) -> str:
    synthetic = info["source"] == "synthetic"
    tags = {
        KEY: corpus,
        "mlflow.experimentKind": "custom_model_development",  # the page for training runs opens
        "mlflow.note.content": "Synthetic people: not results on people." if synthetic else f"Source: {info['source']}",
    }
    return client.create_experiment(corpus, artifact_location=f"mlflow-artifacts:/{corpus}", tags=tags)


def _dataset(corpus: Mapping[str, Any]) -> Dataset:
    return Dataset(
        name=corpus["corpus"],
        digest=str(corpus.get("digest", "unknown"))[:36],  # characters that the store takes
        source_type="local",
        source=json.dumps({"uri": f"results/corpora/{corpus['corpus']}/clips.parquet"}),
        profile=json.dumps({"num_rows": corpus.get("n_clips")}),
    )


def track(*, db: Path, artifacts: Path, runs: list[Path], corpus_info: list[Path]) -> None:
    """Write the runs into the MLflow store.

    Parameters
    ----------
    db : Path
        SQLite store of MLflow, which is written anew.
    artifacts : Path
        Folder that mlflow ui serves: mlartifacts.
    runs : list of Path
        run.json of every run there is.
    corpus_info : list of Path
        corpus.json of every corpus in the runs.
    """
    records = read_records(runs, read_corpora(corpus_info))
    log.info("%s: %d runs", db, write_store(records, db, artifacts, revision=git_revision()))
