"""The MLflow store as a mirror of results/training: the only importer of mlflow.

An experiment per corpus; in it a parent run per variant with a child per fold and seed. The tags mien.key and
mien.digest say what a run mirrors and which bytes it was written from, so a second pass finds what is unchanged. The
digest is the last thing written: a run that a kill left half done has none, and is replaced.
"""

import contextlib
import json
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import mlflow  # noqa: F401  (sets up the logging that is quietened below)
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from mien.core.errors import TableError
from mien.core.records import Entry, Record, fold_entry, variant_entry

KEY, DIGEST = "mien.key", "mien.digest"
CURVES = ("learning_rate", "train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
N_METRICS, N_PARAMS = 1000, 100  # that one call of the store takes
N_TEXT = 5000  # characters of a value that the store takes

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)


@dataclass
class Count:
    """What a pass did to the runs; replaced runs are not counted as added or removed."""

    kept: int = 0
    added: int = 0
    replaced: int = 0
    removed: int = 0


def synchronise(records: list[Record], db: Path, artifacts: Path, *, revision: str) -> Count:
    """Make the store hold exactly `records`; unchanged runs keep their ids.

    Artefacts lie in artifacts/<corpus>/<run id>/artifacts, where `mlflow ui`, started beside a folder mlartifacts,
    serves them; the client itself refuses to write them without a server.

    Raises
    ------
    TableError : `db` is not a store of this version of MLflow.
    """
    Path(db).parent.mkdir(parents=True, exist_ok=True)
    with _store_errors(db):
        client = MlflowClient(f"sqlite:///{Path(db).resolve()}")
        count = Count()
        ordered = sorted(records, key=lambda record: (record.run["corpus"], record.run["variant"], record.key))
        corpora = {record.run["corpus"]: record.corpus for record in ordered}
        for experiment in client.search_experiments():
            if experiment.name not in corpora and KEY in experiment.tags:
                _Mirror(client, experiment.experiment_id, Path(artifacts) / experiment.name, count).finish()
        for corpus, group in groupby(ordered, key=lambda record: record.run["corpus"]):
            mirror = _Mirror(client, _experiment(client, corpus, corpora[corpus]), Path(artifacts) / corpus, count)
            for _, folds in groupby(group, key=lambda record: record.run["variant"]):
                folds = list(folds)
                parent = mirror.put(variant_entry(folds, revision))
                for record in folds:
                    mirror.put(fold_entry(record, revision), parent)
            mirror.finish()
    return count


class _Mirror:
    """One experiment: the runs it has, and what a pass does to them."""

    def __init__(self, client: MlflowClient, experiment: str, folder: Path, count: Count) -> None:
        self.client, self.experiment, self.folder, self.count = client, experiment, folder, count
        self.known: dict[str, list[Run]] = {}
        for run in _all_runs(client, experiment):
            if KEY in run.data.tags:  # others are somebody's own
                self.known.setdefault(run.data.tags[KEY], []).append(run)

    def put(self, entry: Entry, parent: str | None = None) -> str:
        """Return the id of the run of `entry`: the one that is there, if it was written from the same bytes."""
        old = self.known.pop(entry.key, [])
        keep = next((run for run in old if self._same(run, entry, parent)), None)
        for run in old:
            if run is not keep:
                self._delete(run)
        if keep is not None:
            self.count.kept += 1
            self._update_metrics(keep, entry.metrics)
            return keep.info.run_id
        if old:
            self.count.replaced += 1
        else:
            self.count.added += 1
        return self._create(entry, parent)

    def finish(self) -> None:
        """Delete the runs that nobody asked for, and artefacts of runs that the store never had."""
        for run in (run for runs in self.known.values() for run in runs):
            self._delete(run)
            self.count.removed += 1
        self.known = {}
        if self.folder.is_dir():
            ever = {run.info.run_id for run in _all_runs(self.client, self.experiment, ViewType.ALL)}
            for folder in sorted(self.folder.iterdir()):
                if re.fullmatch("[0-9a-f]{32}", folder.name) and folder.name not in ever:
                    shutil.rmtree(folder)

    def _same(self, run: Run, entry: Entry, parent: str | None) -> bool:
        tags = run.data.tags
        complete = all((self._artefacts(run.info.run_id) / name).is_file() for name in entry.names)
        return complete and tags.get(DIGEST) == entry.digest and tags.get("mlflow.parentRunId") == parent

    def _create(self, entry: Entry, parent: str | None) -> str:
        tags = {KEY: entry.key} | {name: value[:N_TEXT] for name, value in entry.tags.items()}
        tags |= {"mlflow.parentRunId": parent} if parent else {}
        run_id = self.client.create_run(self.experiment, tags=tags, run_name=entry.name).info.run_id
        self._log(run_id, entry)
        dataset = DatasetInput(_dataset(entry.corpus), [InputTag("mlflow.data.context", "corpus")])
        self.client.log_inputs(run_id, datasets=[dataset])
        folder = self._artefacts(run_id)
        folder.mkdir(parents=True)
        for file in entry.files:
            shutil.copyfile(file, folder / file.name)
        for name, text in entry.texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        self.client.set_terminated(run_id)
        self.client.set_tag(run_id, DIGEST, entry.digest)
        return run_id

    def _log(self, run_id: str, entry: Entry) -> None:
        now = _now_ms()
        metrics = [Metric(name, value, now, 0) for name, value in sorted(entry.metrics.items())]
        for row in [] if entry.history is None else entry.history.to_dict("records"):
            step = int(row["epoch"])
            metrics += [Metric(f"curve/{c}", float(row[c]), now, step) for c in CURVES if math.isfinite(float(row[c]))]
        params = [Param(name, value[:N_TEXT]) for name, value in sorted(entry.params.items())]
        for start in range(0, len(params), N_PARAMS):
            self.client.log_batch(run_id, params=params[start : start + N_PARAMS])
        for start in range(0, len(metrics), N_METRICS):
            self.client.log_batch(run_id, metrics=metrics[start : start + N_METRICS])

    def _update_metrics(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Bring the means of a parent up to date: its children change while it stays."""
        changed = {name: value for name, value in metrics.items() if run.data.metrics.get(name) != value}
        if changed:
            now = _now_ms()
            self.client.log_batch(run.info.run_id, metrics=[Metric(n, v, now, 0) for n, v in sorted(changed.items())])

    def _delete(self, run: Run) -> None:
        shutil.rmtree(self.folder / run.info.run_id, ignore_errors=True)
        self.client.delete_run(run.info.run_id)

    def _artefacts(self, run_id: str) -> Path:
        return self.folder / run_id / "artifacts"


def _experiment(client: MlflowClient, corpus: str, info: Mapping[str, Any]) -> str:
    found = client.get_experiment_by_name(corpus)
    if found is None:
        tags = {KEY: corpus, "mlflow.experimentKind": "custom_model_development"}  # the page for training runs opens
        experiment = client.create_experiment(corpus, artifact_location=f"mlflow-artifacts:/{corpus}", tags=tags)
    else:
        experiment = found.experiment_id
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(experiment)
    note = "Synthetic people: not results on people." if info["source"] == "synthetic" else f"Source: {info['source']}"
    if found is None or found.tags.get("mlflow.note.content") != note:  # an unchanged store keeps its bytes
        client.set_experiment_tag(experiment, "mlflow.note.content", note)
    return experiment


def _dataset(corpus: Mapping[str, Any]) -> Dataset:
    return Dataset(
        name=corpus["corpus"],
        digest=str(corpus.get("digest", "unknown"))[:36],  # characters that the store takes
        source_type="local",
        source=json.dumps({"uri": f"results/corpora/{corpus['corpus']}/clips.parquet"}),
        profile=json.dumps({"num_rows": corpus.get("n_clips")}),
    )


def _all_runs(client: MlflowClient, experiment: str, view: int = ViewType.ACTIVE_ONLY) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment], run_view_type=view, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def _store_errors(db: Path) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, MlflowException) as error:
        first = str(error).strip().splitlines()[0]
        raise TableError(
            f"{db}: not a store of this MLflow ({first}); it only mirrors results/training: delete it, run track again"
        ) from error
