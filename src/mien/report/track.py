"""The MLflow store as a view of results/training: written anew from the files, and the only importer of mlflow.

An experiment per corpus; in it a run per variant (the means over its folds) with a child per fold and seed. A further
experiment has the exported models, each of them a version of a registered model. The store is written beside the old
one and takes its place in one step, so a pass that is killed leaves the old store whole. A tracking server is given the
same runs through its own interface, one after the other.
"""

import csv
import hashlib
import io
import json
import logging
import math
import os
import shutil
import sqlite3
import wave
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import mlflow  # noqa: F401  (sets up the logging that is quietened below)
import numpy as np
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels import models as tables
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from mien.errors import TableError
from mien.evaluation.metrics import confusion_counts
from mien.evaluation.runs import Run, read_runs
from mien.io.files import read_json
from mien.io.provenance import git_revision
from mien.models.card import Export, ModelCard, read_export
from mien.report.figures.confusion import draw_confusion
from mien.report.page import render_card
from mien.report.style import corpus_title, saved_figure

log = logging.getLogger(__name__)

FILES = ("run.json", "history.csv", "predictions.parquet")
KEY = "mien.key"  # tag: what a run shows; runs without it are somebody's own
DIGEST = "mien.digest"  # tag, on a server: of what the run holds
NOTE, PARENT = "mlflow.note.content", "mlflow.parentRunId"  # tags
CURVES = ("learning_rate", "train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
VALIDATED = ("honest/validation_accuracy", "optimistic/validation_accuracy")  # the first that there is ranks rows
TESTED = ("honest/test_accuracy", "optimistic/test_accuracy")
COLUMNS = ["attributes.`Duration`", *(f"metrics.`{name}`" for name in (*VALIDATED, *TESTED))]  # of the view of runs
MODELS = "models"  # experiment of the exported models
CHAMPION = "champion"  # alias of the best model of a task
PASSES = 3  # to a server; a further one only sends what is missing
N_METRICS, N_PARAMS = 900, 100  # that one call of a server takes, of 1000 entities in all
N_TEXT = 5000  # characters of a value that the store takes
NOT_PEOPLE = "Synthetic people: not a result on people."
MANY = 3  # runs of somebody else that a message names
SIDE_IN = 4.4  # of a confusion matrix, inches
SHOWN = {"face": {"video", "units"}, "voice": {"audio"}}  # what shows the emotion -> modalities
EXAMPLE_HZ, EXAMPLE_PX = 16000, 64

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


@dataclass(frozen=True)
class Experiment:
    """An experiment as it is to be written."""

    name: str
    note: str
    dataset: Dataset | None = None  # that its runs used

    @property
    def tags(self) -> dict[str, str]:
        """Return its tags: that it is one of trainings, and a view of its runs in the menu Views of `mlflow ui`."""
        view = {"name": "Accuracy", "createdAt": 0, "state": json.dumps({"selectedColumns": COLUMNS})}
        tags = {KEY: self.name, NOTE: self.note, "mlflow.experimentKind": "custom_model_development"}
        return tags | {"mlflow.sharedViewState.accuracy": json.dumps(view)}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run as it is to be written."""

    experiment: Experiment
    key: str  # what no two runs share
    name: str
    parent: str = ""  # key of the run that it stands below, written before it
    span: tuple[int, int]  # start and end, ms since 1970
    params: dict[str, str]
    tags: dict[str, str]
    points: list[tuple[str, float, int]]  # metric, value, epoch; 0 where it has none
    fill: Callable[[Path], object]  # writes the artefacts into a folder
    task: str = ""  # registered model that it is a version of
    champion: bool = False


def describe_rows(runs: list[Run], corpora: Mapping[str, dict[str, Any]], revision: str) -> Iterator[Entry]:
    """Yield the run of every variant, and after it those of its folds and seeds."""
    for corpus, of_corpus in groupby(runs, key=lambda run: run.corpus):
        rows = [list(folds) for _, folds in groupby(of_corpus, key=lambda run: run.variant)]
        info = corpora[corpus_of(rows[0][0])]
        means = [_means(row) for row in rows]
        best = means.index(max(means, key=_rank))
        for k, row in enumerate(rows):
            yield from _describe_row(row, means[k], corpus, info, revision, drawn=k == best)


def _rank(means: Mapping[str, float]) -> tuple[float, float]:
    """Return how good a row is: most folds, then most often right of validation clips."""
    return means["n_folds"], next((means[name] for name in VALIDATED if name in means), 0.0)


def _describe_row(
    row: list[Run], means: dict[str, float], corpus: str, info: Mapping[str, Any], revision: str, *, drawn: bool
) -> Iterator[Entry]:
    """Yield the run of a variant and its children; drawn: with a picture of the confusions, which takes long."""
    first, source = row[0], str(info["source"])
    note = NOT_PEOPLE if source == "synthetic" else ""
    tags = {"mien.corpus": corpus, "mien.variant": first.variant, "mien.source": source} | _revision_tags(revision)
    experiment = Experiment(corpus, NOT_PEOPLE if note else f"Source: {source}", _dataset(info))
    jobs = find_jobs(row)
    spans = read_spans(row, jobs)
    counts = {run.key: confusions(run) for run in row}

    def fill_row(folder: Path) -> None:
        sums = {
            name: sum(one[name] for one in counts.values() if name in one) for name in set().union(*counts.values())
        }
        _write_confusions(folder, sums, first.classes)
        if sums and drawn:
            selection = "honest" if "honest" in sums else "optimistic"
            title = f"{corpus_title(first.variant, dict(info), corpus=corpus)}, {selection} epochs"
            draw_counts(folder / "confusion.png", sums[selection], first.classes, title=title)

    def fill_fold(folder: Path, run: Run) -> None:
        for name in FILES:
            shutil.copyfile(run.folder / name, folder / name)
        _write_confusions(folder, counts[run.key], run.classes)

    facts = {"variant": first.variant, "n_parameters": first.record.get("n_parameters")}
    parent = Entry(
        experiment=experiment,
        key=f"{corpus}/{first.variant}",
        name=first.variant,
        span=(min(start for start, _ in spans.values()), max(end for _, end in spans.values())),
        params=_flatten({"run": facts, **first.record.get("config", {})}),
        tags=tags | {"mien.level": "variant", NOTE: note},
        points=_points(means | _used(sorted(set(jobs.values())))),
        fill=fill_row,
    )
    yield parent
    names = ("variant", "fold", "fold_name", "seed", "n_parameters", "n_clips", "data_digest")
    for run in row:
        said = f"{note} Not trained: {run.reason}.".strip() if run.reason else note
        facts = {name: run.record.get(name) for name in names}
        of_run = {"mien.level": "fold", "mien.status": run.record["status"], "mien.folder": str(run.folder)}
        yield Entry(
            experiment=experiment,
            key=f"{parent.key}/fold{run.fold}-seed{run.seed}",
            name=f"{run.variant} {run.fold_name or run.fold} seed {run.seed}",
            parent=parent.key,
            span=spans[run.key],
            params=_flatten({"run": facts, **run.record.get("config", {})}),
            tags=tags | of_run | {NOTE: said},
            points=_points(_metrics(run), run.history() if run.trained else None),
            fill=lambda folder, run=run: fill_fold(folder, run),
        )


def _revision_tags(revision: str) -> dict[str, str]:
    return {"mlflow.source.git.commit": revision.removesuffix("+changes"), "mien.revision": revision}


def _points(metrics: Mapping[str, float], history: pd.DataFrame | None = None) -> list[tuple[str, float, int]]:
    """Return the points of metrics without epochs, and of `CURVES` of a history, a row per epoch."""
    points = [(metric, value, 0) for metric, value in sorted(metrics.items())]
    for row in [] if history is None else history.to_dict("records"):
        values = ((curve, float(row[curve])) for curve in CURVES)
        points += [(f"curve/{curve}", value, int(row["epoch"])) for curve, value in values if math.isfinite(value)]
    return points


def find_jobs(row: list[Run]) -> dict[int, Path]:
    """Return seed -> Snakemake's benchmark of the job that trained a row with it, where there is one.

    A job trains all folds of a row, with one seed, which its benchmark then has in its name, or with all of them.
    """
    folder = row[0].folder.resolve().parents[4] / "benchmarks"  # beside results
    name = f"{row[0].corpus}-{row[0].variant}"
    jobs = {}
    for seed in {run.seed for run in row}:
        for job in [*folder.glob(f"*/{name}-seed{seed}.tsv"), *folder.glob(f"*/{name}.tsv")][:1]:
            jobs[seed] = job
    return jobs


def read_spans(row: list[Run], jobs: Mapping[int, Path]) -> dict[tuple[str, str, int, int], tuple[int, int]]:
    """Return the key of each run of a row -> when it was trained, from and to, ms since 1970.

    It ended when its run.json was written, and began when the run before it in its job ended, the first one when the
    job began, which its benchmark says. Where there is none, a run has no length.
    """
    began = {job: job.stat().st_mtime - read_benchmark(job).get("s", 0.0) for job in jobs.values()}
    ended = {run.key: (run.folder / "run.json").stat().st_mtime for run in row}
    spans = {}
    for run in sorted(row, key=lambda run: ended[run.key]):
        job, end = jobs.get(run.seed), ended[run.key]
        spans[run.key] = round(1000 * min(began.get(job, end), end)), round(1000 * end)
        if job:
            began[job] = max(began[job], end)
    return spans


def read_benchmark(job: Path) -> dict[str, float]:
    """Return what Snakemake measured of a job; what was too short to be measured is left out."""
    with job.open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file, delimiter="\t"))[-1]
    return {name: float(last[name]) for name in ("s", "cpu_time", "max_rss") if last[name] not in ("-", "NA")}


def _used(jobs: Iterable[Path]) -> dict[str, float]:
    """Return what jobs took, under the prefix of MLflow's system metrics."""
    took = pd.DataFrame([read_benchmark(job) for job in jobs], columns=["s", "cpu_time", "max_rss"]).dropna(axis=1)
    kinds = {"s": ("wall_seconds", "sum"), "cpu_time": ("cpu_seconds", "sum"), "max_rss": ("max_rss_megabytes", "max")}
    return {f"system/{kinds[name][0]}": float(took[name].agg(kinds[name][1])) for name in took if len(took)}


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


def confusions(run: Run) -> dict[str, np.ndarray]:
    """Return selection -> (C, C) clips by true and predicted class of the fused head on the test clips."""
    if not run.trained:
        return {}
    rows = run.predictions()
    return {
        selection: confusion_counts(part.label, part.predicted, n_classes=len(run.classes))
        for selection, part in rows[(rows.role == "test") & (rows["head"] == "fused")].groupby("selection")
    }


def _write_confusions(folder: Path, counts: Mapping[str, np.ndarray], classes: tuple[str, ...]) -> None:
    """Write confusion-<selection>.csv."""
    for selection, clips in counts.items():
        rows = [[name, *counted] for name, counted in zip(classes, clips.tolist(), strict=True)]
        with (folder / f"confusion-{selection}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["true / predicted", *classes], *rows])


def draw_counts(path: Path, counts: np.ndarray, classes: tuple[str, ...], *, title: str) -> None:
    """Draw (C, C) clips, rows truth, as a confusion matrix in percent of each row."""
    total = counts.sum(axis=1, keepdims=True)
    recall = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    text = f"accuracy {np.trace(counts) / max(counts.sum(), 1):.1%}, UAR {np.nanmean(np.diag(recall)):.1%}"
    with saved_figure(f"{title}\nrecall in percent, test clips of all folds", SIDE_IN, SIDE_IN, path) as figure:
        figure.set_layout_engine(None)  # to find the places takes as long as to draw
        figure.subplots_adjust(left=0.2, right=0.97, bottom=0.2, top=0.83)
        draw_confusion(figure.subplots(), recall, list(classes), title=text, n_clips=int(counts.sum()))


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat |= _flatten(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(inner)
    return flat


def _dataset(corpus: Mapping[str, Any]) -> Dataset:
    return Dataset(
        name=corpus["corpus"],
        digest=str(corpus.get("digest", "unknown"))[:36],  # characters that the store takes
        source_type="local",
        source=json.dumps({"uri": f"results/corpora/{corpus['corpus']}/clips.parquet"}),
        profile=json.dumps({"num_rows": corpus.get("n_clips")}),
    )


def describe_models(files: Iterable[Path], revision: str) -> Iterator[Entry]:
    """Yield a run of each exported model, a version of the registered model of its task.

    A task is to name the emotions of a corpus by a face, a voice, or both. Its champion is the network that is most
    often right of people whom it did not learn from; one that needs other recordings of the person, or of which that is
    not known, comes after all others.

    Raises
    ------
    TableError
        A file is none of `export_model`.
    """
    said = {path: read_export(path) for path in files}
    if other := [path for path, export in said.items() if export is None]:
        raise TableError(f"{other[0]}: is no exported model; write one with mien export_model")
    best: dict[str, Path] = {}
    for path, export in sorted(said.items(), key=lambda one: _merit(one[1])):
        best[_task(export.cards[0])] = path
    experiment = Experiment(MODELS, "Exported models, each a version of a registered model.")
    for path, export in said.items():
        facts, card, task = export.facts, export.cards[0], _task(export.cards[0])
        lines = render_card(path, export).splitlines(keepends=True)
        page = "".join(line for line in lines if not line.startswith("Written by "))  # that is of docs/models
        tags = {"mien.row": f"{card.corpus}/{card.variant}", "mien.sha256": export.sha256}
        tags |= {"mien.terms": str(facts.get("terms", "")), NOTE: page} | _revision_tags(revision)
        numbers = {name: facts.get(name) for name in ("accuracy", "uar", "calibration_error", "tested_clips")}
        time_ms = round(1000 * path.stat().st_mtime)
        yield Entry(
            experiment=experiment,
            key=f"{MODELS}/{path.stem}",
            name=path.stem,
            span=(time_ms, time_ms),
            params=_flatten(facts.get("made") or {}),
            tags=tags,
            points=_points({name: float(value) for name, value in numbers.items() if value is not None}),
            fill=lambda folder, path=path, card=card: _save_model(folder / "model", path, card),
            task=task,
            champion=path == best[task],
        )


def _merit(export: Export) -> tuple[bool, bool, float]:
    alone = export.cards[0].normalise != "subject"
    return alone, export.facts.get("protocol") == "honest", export.facts.get("accuracy") or 0.0


def _task(card: ModelCard) -> str:
    """Return the name of a registered model: corpus and what shows the emotion."""
    return "-".join([card.corpus, *(name for name, kinds in SHOWN.items() if kinds.intersection(card.modalities))])


def _save_model(folder: Path, path: Path, card: ModelCard) -> None:
    """Write an exported model as a folder of MLflow."""
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    by_voice = "audio" in card.modalities
    answers = [ColSpec("string", "label"), *(ColSpec("double", f"p_{name}") for name in card.classes)]
    save_model(
        str(folder),
        loader_module="mien.apps.served",
        data_path=str(path),
        signature=ModelSignature(
            inputs=Schema([ColSpec("binary", "clip")]),
            outputs=Schema(answers),
            params=ParamSchema([ParamSpec("cropped", "boolean", False)]),
        ),
        input_example=(pd.DataFrame({"clip": [example_clip(sound=by_voice)]}), {"cropped": not by_voice}),
        pip_requirements=["mien"],
    )


def example_clip(*, sound: bool) -> bytes:
    """Return a file as a model may be asked about: a second of a tone as WAV, or a grey picture as PNG."""
    data = io.BytesIO()
    if sound:
        tone = 8000 * np.sin(2 * np.pi * 220 * np.arange(EXAMPLE_HZ) / EXAMPLE_HZ)
        with wave.open(data, "wb") as file:
            file.setparams((1, 2, EXAMPLE_HZ, len(tone), "NONE", ""))
            file.writeframes(tone.astype("<i2").tobytes())
    else:
        from PIL import Image

        Image.new("L", (EXAMPLE_PX, EXAMPLE_PX), 128).save(data, "PNG")
    return data.getvalue()


def write_store(entries: Iterable[Entry], db: Path, artifacts: Path) -> int:
    """Write a store that holds exactly `entries`, in place of the one that is there; return its number of runs.

    Artefacts lie in artifacts/<store>.<pass>/<experiment>/<run id>/artifacts, where `mlflow ui`, started beside a
    folder mlartifacts, serves them; the client itself refuses to write them without a server. Those of the new runs are
    there before the new store takes the place of the old one, those of other passes go afterwards.

    Raises
    ------
    TableError
        The store that is there is locked, is none, or holds runs or registered models that are not ours.
    """
    check_own(db)  # before an hour of writing
    db.parent.mkdir(parents=True, exist_ok=True)
    for left in db.parent.glob(f".{db.stem}.*.partial"):  # of a pass that was killed
        shutil.rmtree(left, ignore_errors=True)
    place = artifacts / f"{db.stem}.{uuid4().hex[:8]}"
    gone = [place]  # of a pass that fails
    try:
        with TemporaryDirectory(prefix=f".{db.stem}.", suffix=".partial", dir=db.parent) as folder:
            scratch = Path(folder).resolve() / db.name
            store = _NewStore(scratch, place)
            n_runs = _write(store, entries)
            store.finish()
            check_own(db)
            scratch.replace(db)
            gone = [other for other in artifacts.glob(f"{db.stem}.????????") if other != place]
    except (SQLAlchemyError, MlflowException) as error:
        raise TableError(
            f"{db} could not be written ({str(error).strip().splitlines()[0]}); run track again"
        ) from error
    finally:
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
    return n_runs


def send_runs(entries: Iterable[Entry], server: str) -> int:
    """Give `entries` to a tracking server; return how many runs it now has of them.

    A run that the server has with the same content stays, one with another content is replaced, and so is what a pass
    that was killed left unfinished; everything else there stays as it is. Several passes may write other runs at once.

    Raises
    ------
    TableError
        The server does not answer, or refuses a run.
    """
    entries = list(entries)
    try:
        store = _Server(server)
        for _ in range(PASSES - 1):  # a request fails where two passes bring the same dataset, or a worker ends
            with suppress(MlflowException):
                return _write(store, entries)
        return _write(store, entries)
    except MlflowException as error:
        raise TableError(
            f"{server}: {str(error).strip().splitlines()[0]}; see that it runs and run track again: what is there stays"
        ) from error


def _write(store: "_NewStore | _Server", entries: Iterable[Entry]) -> int:
    """Write runs and registered models; return the number of runs."""
    experiments: dict[str, str] = {}
    runs: dict[str, str] = {}
    for entry in entries:
        name = entry.experiment.name
        if name not in experiments:
            experiments[name] = store.create_experiment(entry.experiment)
        own = {KEY: entry.key} | ({PARENT: runs[entry.parent]} if entry.parent else {})
        tags = {tag: value[:N_TEXT] for tag, value in (entry.tags | own).items() if value}
        params = {param: value[:N_TEXT] for param, value in entry.params.items()}
        entry = replace(entry, tags=tags, params=params)
        runs[entry.key] = store.add(entry, experiments[name])
        if entry.task:
            _register(store, entry, runs[entry.key])
    return len(runs)


def _register(store: "_NewStore | _Server", entry: Entry, run: str) -> None:
    """Make the model of a run a version of the registered model of its task, unless it is one."""
    client, task, own = store.client, entry.task, {KEY: entry.task}
    with suppress(MlflowException):  # there is one; else the next call says what is wrong
        shown = task.replace("-", " ")
        client.create_registered_model(task, own, f"Emotions: {shown}. Serve it as models:/{task}@{CHAMPION}.")
    version = next(iter(client.search_model_versions(f"name = '{task}' and run_id = '{run}'")), None)
    if version is None:
        source = f"{store.place_of(entry, run)}/model"
        tags = {tag: value for tag, value in entry.tags.items() if tag.startswith("mien.")}
        version = client.create_model_version(task, source, run, tags=tags | own, description=entry.tags[NOTE])
    if entry.champion:
        client.set_registered_model_alias(task, CHAMPION, version.version)


def check_own(db: Path) -> None:
    """Check that a store may be replaced: all of it is ours, and nobody is writing into it.

    Raises
    ------
    TableError
        The store is locked, is none, or holds runs or registered models that are not ours.
    """
    if not db.exists() or not db.stat().st_size:
        return
    runs = "SELECT name FROM runs WHERE lifecycle_stage = 'active' AND run_uuid NOT IN"
    runs += " (SELECT run_uuid FROM tags WHERE key = ?) ORDER BY start_time"
    models = "SELECT 'the model ' || name FROM registered_models WHERE name NOT IN"
    models += " (SELECT name FROM registered_model_tags WHERE key = ?) ORDER BY name"
    try:
        with closing(sqlite3.connect(db, timeout=5)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            others = [name for query in (runs, models) for (name,) in connection.execute(query, (KEY,))]
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


class _NewStore:
    """A store that is being written; the rows of its runs go into it in one transaction, as a call per run takes long.

    Its tables are those of the version of mlflow that pyproject.toml pins.
    """

    def __init__(self, db: Path, artifacts: Path) -> None:
        self.uri = f"sqlite:///{db}"  # connections are kept by this name, so that it is new
        self.artifacts = artifacts
        self.client = MlflowClient(self.uri, registry_uri=self.uri)
        self.rows: dict[Any, list[dict[str, Any]]] = defaultdict(list)

    def create_experiment(self, experiment: Experiment) -> str:
        place = f"mlflow-artifacts:/{self.artifacts.name}/{experiment.name}"
        number = self.client.create_experiment(experiment.name, artifact_location=place, tags=experiment.tags)
        if experiment.dataset is not None:
            about = {key: value for key, value in experiment.dataset if key in ("name", "digest")}
            about |= {f"dataset_{key}": value for key, value in experiment.dataset if key not in about}
            self.rows[tables.SqlDataset].append(about | {"dataset_uuid": number, "experiment_id": int(number)})
        return number

    def place_of(self, entry: Entry, run: str) -> str:
        """Return where the artefacts of a run are, as MLflow says it."""
        return f"mlflow-artifacts:/{self.artifacts.name}/{entry.experiment.name}/{run}/artifacts"

    def add(self, entry: Entry, experiment: str) -> str:
        (start, end), run = entry.span, uuid4().hex
        row = {"run_uuid": run, "name": entry.name, "experiment_id": int(experiment), "status": "FINISHED"}
        row |= {"start_time": start, "end_time": end, "lifecycle_stage": "active", "source_type": "UNKNOWN"}
        row |= {"source_name": "", "entry_point_name": "", "user_id": "unknown", "source_version": ""}
        self.rows[tables.SqlRun].append(row | {"artifact_uri": self.place_of(entry, run)})
        tags = entry.tags | {"mlflow.runName": entry.name}
        for table, texts in ((tables.SqlTag, tags), (tables.SqlParam, entry.params)):
            self.rows[table] += [{"key": key, "value": value, "run_uuid": run} for key, value in texts.items()]
        about = {"timestamp": end, "is_nan": False, "run_uuid": run}
        points = [about | {"key": key, "value": value, "step": step} for key, value, step in entry.points]
        self.rows[tables.SqlMetric] += points
        self.rows[tables.SqlLatestMetric] += {point["key"]: point for point in points}.values()  # of the last epoch
        if entry.experiment.dataset is not None:
            ids = {"source_type": "DATASET", "source_id": experiment, "destination_type": "RUN"}
            self.rows[tables.SqlInput].append(ids | {"input_uuid": run, "destination_id": run})
            self.rows[tables.SqlInputTag].append({"input_uuid": run, "name": "mlflow.data.context", "value": "corpus"})
        folder = self.artifacts / entry.experiment.name / run / "artifacts"
        folder.mkdir(parents=True)
        entry.fill(folder)
        return run

    def finish(self) -> None:
        engine = create_engine(self.uri)
        with engine.begin() as connection:
            for table, rows in self.rows.items():
                if rows:
                    connection.execute(table.__table__.insert(), rows)
        engine.dispose()


class _Server:
    """A tracking server, which is written to through its own interface."""

    def __init__(self, url: str) -> None:
        self.client = MlflowClient(url, registry_uri=url)
        self.client.search_experiments(max_results=1)  # where nobody answers, this takes minutes: only once

    def create_experiment(self, experiment: Experiment) -> str:
        try:
            return self.client.create_experiment(experiment.name, tags=experiment.tags)
        except MlflowException:  # another pass made it, now or before
            if (found := self.client.get_experiment_by_name(experiment.name)) is None:
                raise
            return found.experiment_id

    def place_of(self, entry: Entry, run: str) -> str:
        return self.client.get_run(run).info.artifact_uri

    def add(self, entry: Entry, experiment: str) -> str:
        apart = {PARENT, *_revision_tags("")}  # a run stays when its parent is replaced, or a commit came after it
        tags = {tag: value for tag, value in entry.tags.items() if tag not in apart}
        content = json.dumps([entry.name, entry.params, tags, entry.points], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()
        there = self.client.search_runs([experiment], f"tags.`{KEY}` = '{entry.key}'")
        same = [one for one in there if one.info.status == "FINISHED" and one.data.tags.get(DIGEST) == digest]
        run = same[0].info.run_id if same else self._create(entry, experiment, digest)
        if same and PARENT in entry.tags:
            self.client.set_tag(run, PARENT, entry.tags[PARENT])
        for one in there:
            if one.info.run_id != run:
                self.client.delete_run(one.info.run_id)
        return run

    def _create(self, entry: Entry, experiment: str, digest: str) -> str:
        (start, end), tags = entry.span, entry.tags | {DIGEST: digest}
        run = self.client.create_run(experiment, start_time=start, tags=tags, run_name=entry.name).info.run_id
        points = [Metric(key, value, end, step) for key, value, step in entry.points]
        params = [Param(key, value) for key, value in entry.params.items()]
        for k in range(max(math.ceil(len(points) / N_METRICS), math.ceil(len(params) / N_PARAMS))):
            self.client.log_batch(
                run,
                metrics=points[k * N_METRICS : (k + 1) * N_METRICS],
                params=params[k * N_PARAMS : (k + 1) * N_PARAMS],
            )
        if entry.experiment.dataset is not None:
            used = DatasetInput(entry.experiment.dataset, [InputTag("mlflow.data.context", "corpus")])
            self.client.log_inputs(run, datasets=[used])
        with TemporaryDirectory() as folder:
            entry.fill(Path(folder))
            self.client.log_artifacts(run, folder)
        self.client.set_terminated(run, end_time=end)  # from now on it counts
        return run


def track(
    *,
    runs: list[Path],
    corpus_info: list[Path],
    db: Path = Path("mlflow.db"),
    artifacts: Path = Path("mlartifacts"),
    models: list[Path] | None = None,
    server: str = "",
) -> None:
    """Write the runs into the MLflow store, or give them to a tracking server.

    Parameters
    ----------
    db : Path
        SQLite store of MLflow, which is written anew.
    artifacts : Path
        Folder that mlflow ui serves: mlartifacts.
    corpus_info : list of Path
        corpus.json of every corpus in the runs.
    models : list of Path
        Files of export_model, each of which becomes a version of a registered model.
    server : str
        Address of a tracking server, which takes the place of db and artifacts: http://127.0.0.1:5000.
    """
    corpora, revision = read_corpora(corpus_info), git_revision()
    rows = describe_rows(read_complete_runs(runs, corpora), corpora, revision)
    entries = chain(rows, describe_models(models or [], revision))
    n_runs = send_runs(entries, server) if server else write_store(entries, db, artifacts)
    log.info("%s: %d runs", server or db, n_runs)
