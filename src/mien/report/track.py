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
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import mlflow  # noqa: F401  (sets up the logging that is quietened below)
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from mien.errors import TableError
from mien.evaluation.metrics import confusion_counts
from mien.evaluation.runs import Run, read_runs
from mien.io.files import read_json
from mien.io.provenance import git_revision

log = logging.getLogger(__name__)

FILES = ("run.json", "history.csv", "predictions.parquet")
KEY = "mien.key"  # tag: what a run shows; runs without it are somebody's own
CURVES = ("learning_rate", "train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
N_METRICS, N_PARAMS = 900, 100  # that one call of the store takes, of 1000 entities in all
N_TEXT = 5000  # characters of a value that the store takes
NOT_PEOPLE = "Synthetic people: not a result on people."
MANY = 3  # runs of somebody else that a message names

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)


def read_corpora(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return corpus name -> corpus.json."""
    return {info["corpus"]: info for info in map(read_json, paths)}


def read_complete_runs(paths: Iterable[Path], corpora: Mapping[str, dict[str, Any]]) -> list[Run]:
    """Read run.json files, see `read_runs`; their folders must be whole, and `corpora` describe the corpus of each."""
    runs = read_runs(paths)
    for run in runs:
        if corpus_of(run) not in corpora:
            raise TableError(
                f"{run.folder}/run.json: its corpus {corpus_of(run)} is not described; pass its corpus.json with "
                "--corpus-info"
            )
        if missing := [run.folder / name for name in FILES if not (run.folder / name).is_file()]:
            raise TableError(f"{missing[0]} is missing; delete its folder and train again")
    return runs


def corpus_of(run: Run) -> str:
    """Return whose clips a run saw: who somebody is has a folder of its own, and the clips of the corpus."""
    return run.record.get("base", run.corpus)


def write_variant(store: "_Experiment", runs: list[Run]) -> str:
    """Write the run of a variant: its configuration, and the means over its folds; return its id."""
    first = runs[0]
    facts = {"variant": first.variant, "n_parameters": first.record.get("n_parameters")}
    return store.write(
        f"{first.corpus}/{first.variant}",
        first.variant,
        params=_flatten({"run": facts, **first.record.get("config", {})}),
        tags=store.tags_of(first) | {"mien.level": "variant"},
        metrics=_means(runs),
    )


def write_fold(store: "_Experiment", run: Run, parent: str) -> str:
    """Write the run of one fold and seed below that of its variant; return its id."""
    names = ("variant", "fold", "fold_name", "seed", "n_parameters", "n_clips", "data_digest")
    tags = store.tags_of(run) | {
        "mien.level": "fold",
        "mien.status": run.record["status"],
        "mien.folder": str(run.folder),
        "mlflow.parentRunId": parent,
    }
    if run.reason:
        tags["mlflow.note.content"] = f"{tags.get('mlflow.note.content', '')} Not trained: {run.reason}.".strip()
    return store.write(
        f"{run.corpus}/{run.variant}/fold{run.fold}-seed{run.seed}",
        f"{run.variant} {run.fold_name or run.fold} seed {run.seed}",
        params=_flatten({"run": {name: run.record.get(name) for name in names}, **run.record.get("config", {})}),
        tags=tags,
        metrics=_metrics(run),
        history=run.history() if run.trained else None,
        files=[run.folder / name for name in FILES],
        texts=confusion_texts(run) if run.trained else {},
    )


def _metrics(run: Run) -> dict[str, float]:
    """Return selection/metric -> value of a run.json, without what is not a finite number."""
    nested = {**run.record.get("metrics", {}), "best_epoch": run.record.get("best_epoch", {})}
    values = {
        f"{group}/{name}": float(value)
        for group, inner in nested.items()
        if isinstance(inner, Mapping)
        for name, value in inner.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    if isinstance(run.record.get("epochs"), int) and run.trained:
        values["epochs"] = float(run.record["epochs"])
    return values


def _means(runs: list[Run]) -> dict[str, float]:
    """Return the metrics averaged over the folds' means over seeds."""
    trained = [run for run in runs if run.trained]
    frame = pd.DataFrame([{"fold": run.fold, **_metrics(run)} for run in trained])
    means = frame.groupby("fold").mean().mean() if len(frame) else pd.Series(dtype=float)
    counts = {"n_runs": len(trained), "n_folds": len({run.fold for run in trained})}
    return {name: float(value) for name, value in {**means.to_dict(), **counts}.items()}


def confusion_texts(run: Run) -> dict[str, str]:
    """Return confusion-<selection>.csv: clips by true and predicted class of the fused head on the test clips."""
    rows, classes = run.predictions(), list(run.classes)
    texts = {}
    for selection, part in rows[(rows.role == "test") & (rows["head"] == "fused")].groupby("selection"):
        counts = confusion_counts(part.label, part.predicted, n_classes=len(classes))
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


def write_store(
    runs: list[Run], corpora: Mapping[str, dict[str, Any]], db: Path, artifacts: Path, *, revision: str
) -> int:
    """Write a store that holds exactly `runs`, in place of the one that is there; return its number of runs.

    Artefacts lie in artifacts/<corpus>/<run id>/artifacts, where `mlflow ui`, started beside a folder mlartifacts,
    serves them; the client itself refuses to write them without a server. Those of the new runs are there before the
    new store takes the place of the old one, those of the old runs go afterwards.

    Raises
    ------
    TableError
        The store that is there is locked, is none, or holds runs that are not ours.
    """
    read_own_runs(db)  # before an hour of writing
    db.parent.mkdir(parents=True, exist_ok=True)
    for left in db.parent.glob(f".{db.stem}.*.partial"):  # of a pass that was killed
        shutil.rmtree(left, ignore_errors=True)
    written: set[str] = set()
    gone: set[str] = written  # runs whose artefacts go: of a pass that fails its own
    try:
        with TemporaryDirectory(prefix=f".{db.stem}.", suffix=".partial", dir=db.parent) as folder:
            scratch = Path(folder).resolve() / db.name
            client = MlflowClient(f"sqlite:///{scratch}")  # its connections are kept by this name, so that it is new
            for corpus, of_corpus in groupby(runs, key=lambda run: run.corpus):
                own = list(of_corpus)
                info = corpora[corpus_of(own[0])]
                store = _Experiment(
                    client, _create_experiment(client, corpus, info), info, artifacts / corpus, written, revision
                )
                for _, of_variant in groupby(own, key=lambda run: run.variant):
                    folds = list(of_variant)
                    parent = write_variant(store, folds)
                    for run in folds:
                        write_fold(store, run, parent)
            replaced = read_own_runs(db)
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


def read_own_runs(db: Path) -> set[str]:
    """Return the ids of the runs in a store that may be replaced: all are ours, and nobody is writing into it.

    Raises
    ------
    TableError
        The store is locked, is none, or holds runs that are not ours.
    """
    if not db.exists() or not db.stat().st_size:
        return set()
    listed = "SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time"
    try:
        with closing(sqlite3.connect(db, timeout=5)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            ours = {run for (run,) in connection.execute("SELECT run_uuid FROM tags WHERE key = ?", (KEY,))}
            others = [name for run, name in connection.execute(listed) if run not in ours]
            connection.rollback()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise TableError(f"{db} is locked: another program writes into it; end that and run track again") from error
        raise TableError(f"{db} is no store of MLflow ({error}); move it away and run track again") from error
    if others:
        names = ", ".join(map(str, others[:MANY])) + (f" and {len(others) - MANY} more" if len(others) > MANY else "")
        raise TableError(
            f"{db} holds runs that mien did not write: {names}. It is written anew from results/training, so move it "
            "away, or these runs into another store, and run track again"
        )
    return ours


@dataclass(frozen=True)
class _Experiment:
    """The experiment of a corpus in a new store, and where its artefacts lie."""

    client: MlflowClient
    id: str
    corpus: dict[str, Any]  # corpus.json
    folder: Path
    written: set[str]  # run ids of the whole store
    revision: str

    def tags_of(self, run: Run) -> dict[str, str]:
        """Return the tags of a run, or of its variant."""
        source = str(self.corpus.get("source", ""))
        tags = {"mien.corpus": run.corpus, "mien.variant": run.variant, "mien.source": source}
        tags |= {"mlflow.source.git.commit": self.revision.removesuffix("+changes"), "mien.revision": self.revision}
        return tags | ({"mlflow.note.content": NOT_PEOPLE} if source == "synthetic" else {})

    def write(
        self,
        key: str,
        name: str,
        *,
        params: dict[str, str],
        tags: dict[str, str],
        metrics: dict[str, float],
        history: pd.DataFrame | None = None,
        files: Iterable[Path] = (),
        texts: Mapping[str, str] | None = None,
    ) -> str:
        """Write a run and return its id; its time is its place in the store, so that equal files give equal stores.

        history : a row per epoch.   texts : name of an artefact -> its content.
        """
        time_ms = 1000 * (len(self.written) + 1)
        tags = {KEY: key} | {tag: value[:N_TEXT] for tag, value in tags.items()}
        run_id = self.client.create_run(self.id, start_time=time_ms, tags=tags, run_name=name).info.run_id
        self.written.add(run_id)
        points = [Metric(metric, value, time_ms, 0) for metric, value in sorted(metrics.items())]
        for row in [] if history is None else history.to_dict("records"):
            values = ((curve, float(row[curve])) for curve in CURVES)
            step = int(row["epoch"])
            points += [
                Metric(f"curve/{curve}", value, time_ms, step) for curve, value in values if math.isfinite(value)
            ]
        given = [Param(param, value[:N_TEXT]) for param, value in sorted(params.items())]
        for k in range(max(math.ceil(len(points) / N_METRICS), math.ceil(len(given) / N_PARAMS))):
            self.client.log_batch(
                run_id,
                metrics=points[k * N_METRICS : (k + 1) * N_METRICS],
                params=given[k * N_PARAMS : (k + 1) * N_PARAMS],
            )
        self.client.log_inputs(
            run_id, datasets=[DatasetInput(_dataset(self.corpus), [InputTag("mlflow.data.context", "corpus")])]
        )
        folder = self.folder / run_id / "artifacts"
        folder.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, folder / file.name)
        for artefact, text in (texts or {}).items():
            (folder / artefact).write_text(text, encoding="utf-8")
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
    corpus_info : list of Path
        corpus.json of every corpus in the runs.
    """
    corpora = read_corpora(corpus_info)
    n_runs = write_store(read_complete_runs(runs, corpora), corpora, db, artifacts, revision=git_revision())
    log.info("%s: %d runs", db, n_runs)
