"""Run folders as entries for a tracking store: what is logged of a run, without the store.

An entry is a variant of a corpus (the mean of its folds) or one fold and seed of it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.core import tables
from mien.core.errors import TableError
from mien.core.files import digest, read_json, sha256
from mien.core.levels import nearest_level

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
