"""Command track: write the training runs into the MLflow store, a window on the files and never their source.

Run folders as entries for a tracking store: what is logged of a run, without the store.

An entry is a variant of a corpus (the mean of its folds) or one fold and seed of it.


The MLflow store as a mirror of results/training: the only importer of mlflow.

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
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import mlflow  # noqa: F401  (sets up the logging that is quietened below)
import numpy as np
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from mien.config.labels import nearest_level
from mien.errors import TableError
from mien.io import tables
from mien.io.files import digest, read_json, sha256

FILES = ("run.json", "history.csv", "predictions.parquet")  # the model decides the predictions: it need not be read


@dataclass(frozen=True)
class Record:
    """A run folder, the description of its corpus, and the digest of both."""

    folder: Path
    run: dict[str, Any]  # run.json
    corpus: dict[str, Any]  # corpus.json
    digest: str

    @property
    def key(self) -> str:
        """Return what the run mirrors."""
        return f"{self.run['corpus']}/{self.run['variant']}/fold{self.run['fold']}-seed{self.run['seed']}"


@dataclass(frozen=True)
class Entry:
    """What is written into one run of the store."""

    key: str  # what it mirrors
    digest: str  # of what it was written from
    name: str
    corpus: dict[str, Any]  # corpus.json
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    history: pd.DataFrame | None = None  # a row per epoch
    files: tuple[Path, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)  # name of an artefact -> its content

    @property
    def names(self) -> list[str]:
        """Return the names of the artefacts."""
        return [*(file.name for file in self.files), *self.texts]


def read_corpora(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return corpus name -> corpus.json."""
    return {info["corpus"]: info for info in map(read_json, paths)}


def read_records(paths: Iterable[Path], corpora: Mapping[str, dict[str, Any]]) -> list[Record]:
    """Read run.json files, sorted by what they are; `corpora` must describe the corpus of each."""
    records = {}
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
        corpus = corpora[base]
        record = Record(path.parent, run, corpus, digest([corpus, *(sha256(path.with_name(name)) for name in FILES)]))
        if record.key in records:
            raise TableError(f"{path} and {records[record.key].folder} are the same run {record.key}; name one of them")
        records[record.key] = record
    return [records[key] for key in sorted(records)]


def variant_entry(records: list[Record], revision: str) -> Entry:
    """Return the entry of a variant: its configuration and the means over the folds of `records`, which are its runs.

    The digest leaves the metrics out: the entry stays when a fold is trained again; its means are brought up to date.
    """
    run, config = records[0].run, records[0].run.get("config", {})
    return Entry(
        key=f"{run['corpus']}/{run['variant']}",
        digest=digest([config, records[0].corpus]),
        name=run["variant"],
        corpus=records[0].corpus,
        params=_flatten({"run": {"variant": run["variant"], "n_parameters": run.get("n_parameters")}, **config}),
        tags=_tags(records[0], revision) | {"mien.level": "variant"},
        metrics=_means(records),
    )


def fold_entry(record: Record, revision: str) -> Entry:
    """Return the entry of one fold and seed."""
    run = record.run
    facts = {
        name: run.get(name)
        for name in ("variant", "fold", "fold_name", "seed", "n_parameters", "n_clips", "data_digest")
    }
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
        digest=record.digest,
        name=f"{run['variant']} {run.get('fold_name') or run['fold']} seed {run['seed']}",
        corpus=record.corpus,
        params=_flatten({"run": facts, **run.get("config", {})}),
        tags=tags,
        metrics=_metrics(run),
        history=pd.read_csv(record.folder / "history.csv") if trained else None,
        files=tuple(record.folder / name for name in FILES),
        texts=_confusion_texts(record) if trained else {},
    )


def _tags(record: Record, revision: str) -> dict[str, str]:
    source = str(record.corpus.get("source", ""))
    note = "Synthetic people: not a result on people." if source == "synthetic" else ""
    tags = {"mien.corpus": record.run["corpus"], "mien.variant": record.run["variant"], "mien.source": source}
    tags |= {"mlflow.source.git.commit": revision.removesuffix("+changes"), "mien.revision": revision}
    return tags | ({"mlflow.note.content": note} if note else {})


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
    texts = {}
    for selection, part in rows.groupby("selection"):
        predicted = part.logits.map(lambda logits: int(logits.argmax()))
        if record.run.get("config", {}).get("variant", {}).get("target") == "intensity":
            predicted = nearest_level(np.stack(part.logits)[:, 0], len(classes))
        counts = pd.crosstab(part.label, predicted).reindex(
            index=range(len(classes)), columns=range(len(classes)), fill_value=0
        )
        counts = counts.set_axis(classes, axis=0).set_axis(classes, axis=1)
        texts[f"confusion-{selection}.csv"] = counts.to_csv(index_label="true / predicted", lineterminator="\n")
    return texts


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat |= _flatten(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(inner)
    return flat


os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

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


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--db", type=Path, required=True, help="SQLite store of MLflow, brought up to date in place")
    parser.add_argument("--artifacts", type=Path, required=True, help="folder that mlflow ui serves: mlartifacts")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every run there is")
    parser.add_argument(
        "--corpus-info", type=Path, nargs="+", required=True, help="corpus.json of every corpus in the runs"
    )


def run(args: Namespace) -> None:
    """Add what is new, replace what changed, remove what vanished."""
    from mien.io.provenance import git_revision

    records = read_records(args.runs, read_corpora(args.corpus_info))
    count = synchronise(records, args.db, args.artifacts, revision=git_revision())
    log.info(
        "%s: %d kept, %d added, %d replaced, %d removed",
        args.db,
        count.kept,
        count.added,
        count.replaced,
        count.removed,
    )
