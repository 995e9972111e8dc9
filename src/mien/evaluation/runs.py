"""The folders that training leaves behind: one run is one variant, fold and seed of a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config.labels import nearest_level
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.prune import CHANGED, is_as_listed

NOT_APPLICABLE = "not applicable"
_KEYS = ("corpus", "variant", "fold", "fold_name", "seed", "status", "classes")


@dataclass(frozen=True)
class Run:
    """What run.json says; predictions and history are read when they are asked for."""

    folder: Path
    corpus: str
    variant: str
    fold: int
    fold_name: str
    seed: int
    trained: bool
    reason: str  # why it was not trained, else empty
    classes: tuple[str, ...]
    record: dict[str, Any]  # the whole of run.json

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Return what no two runs share."""
        return self.corpus, self.variant, self.fold, self.seed

    @property
    def target(self) -> str:
        """Return what was learnt: label (emotions, or whatever the classes are), or intensity, a number."""
        return self.record.get("config", {}).get("variant", {}).get("target", "label")

    @property
    def targets(self) -> tuple[str, ...]:
        """Return all that was learnt."""
        return (self.target, *self.record.get("also", {}))

    @property
    def deterministic(self) -> bool:
        """Say whether nothing was drawn, so that there is one run of a fold, and no other seed would change it."""
        return bool(self.record.get("deterministic"))

    def of_target(self, target: str) -> "Run":
        """Return what the run says of one of its targets."""
        if target == self.target:
            return self
        facts, config = self.record["also"][target], self.record["config"]
        config = config | {"variant": config["variant"] | {"target": target}}
        record = self.record | facts | {"config": config, "file": f"{target}.parquet"}
        return replace(self, classes=tuple(facts["classes"]), record=record)

    def predictions(self) -> pd.DataFrame:
        """Return PREDICTIONS with an additional column predicted: an index of `classes`.

        It is that of the largest logit, the lower of equals; of intensity, the level nearest to the one output.

        Raises
        ------
        TableError : the logits do not fit the classes of run.json, or are not finite.
        """
        path = self.folder / self.record.get("file", "predictions.parquet")
        rows = tables.read(path, tables.PREDICTIONS)
        if rows.empty:
            return rows.assign(predicted=pd.Series(dtype=np.int64))
        logits = self.checked_logits(path, rows, rate="train.learning_rate")
        if self.target == "intensity":
            return rows.assign(predicted=nearest_level(logits[:, 0], len(self.classes)))
        return rows.assign(predicted=logits.argmax(axis=1))

    def checked_logits(self, path: Path, rows: pd.DataFrame, *, rate: str) -> np.ndarray:
        """Return (N, C) logits of rows that have clip, label and logits; `rate` is the key of their learning rate.

        Raises
        ------
        TableError : logits or labels do not fit the classes of run.json, or logits are not finite.
        """
        again = "delete the folder and train again"
        lengths = set(rows.logits.map(len))
        wanted = 1 if self.target == "intensity" else len(self.classes)
        if lengths != {wanted}:
            raise TableError(
                f"{path}: rows of {sorted(lengths)} logits, expected {wanted} for {self.target} and the"
                f" {len(self.classes)} classes of run.json; {again}"
            )
        logits = np.stack(rows.logits)
        if not np.isfinite(logits).all():
            bad = rows["clip"][~np.isfinite(logits).all(axis=1)].iloc[0]
            raise TableError(f"{path}: logits of {bad} are not finite; lower {rate} and train again")
        if not rows.label.between(0, len(self.classes) - 1).all():
            raise TableError(f"{path}: labels outside 0..{len(self.classes) - 1}; {again}")
        return logits

    def history(self) -> pd.DataFrame:
        """Return history.csv, one row per epoch; no rows where nothing was trained."""
        path = _checked(self.folder / "history.csv")
        try:
            return pd.read_csv(path)
        except FileNotFoundError:
            raise TableError(f"{path} is missing; run the stage that writes it (snakemake {path})") from None
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise TableError(f"{path} is not a history ({error}); delete its folder and train again") from error


def _checked(path: Path) -> Path:
    """Return the path of a file of a run whose bytes are those that its training wrote."""
    if not is_as_listed(path):
        raise TableError(f"{path}: {CHANGED}")
    return path


def read_run(path: Path) -> Run:
    """Read one run.json."""
    path = _checked(Path(path))
    record = read_json(path)
    if not isinstance(record, dict) or (missing := [key for key in _KEYS if key not in record]):
        lacks = "no mapping" if not isinstance(record, dict) else f"lacks {', '.join(missing)}"
        raise TableError(f"{path}: {lacks}; delete its folder and train again")
    if record["status"] not in ("trained", NOT_APPLICABLE):
        raise TableError(f"{path}: status {record['status']!r}; known: trained, {NOT_APPLICABLE}")
    return Run(
        folder=path.parent,
        corpus=record["corpus"],
        variant=record["variant"],
        fold=int(record["fold"]),
        fold_name=record["fold_name"],
        seed=int(record["seed"]),
        trained=record["status"] == "trained",
        reason=record.get("reason") or "",
        classes=tuple(record["classes"]),
        record=record,
    )


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """Read run.json files, sorted by corpus, variant, fold and seed; a run that is named twice is an error."""
    runs = sorted(map(read_run, paths), key=lambda run: run.key)
    for one, other in pairwise(runs):
        if one.key == other.key:
            raise TableError(f"{one.folder} and {other.folder} are the same run {one.key}; name one of them")
    return runs


def select_runs(runs: list[Run], corpus: str, variants: Iterable[str], *, n_folds: int = 0) -> list[Run]:
    """Return the runs of `variants` on `corpus`; all of them must cover the same folds and, what has any, seeds.

    n_folds : the first so many folds only; 0: all.
    A mean over other folds is another quantity, so a fold that is missing from one variant is an error.
    """
    variants = list(variants)
    chosen = [run for run in runs if run.corpus == corpus and run.variant in variants]
    chosen = [run for run in chosen if not n_folds or run.fold < n_folds]
    wanted = {(run.fold, run.seed) for run in chosen}
    fixed = {run.variant for run in chosen if run.deterministic}
    for variant in variants:
        asked = {(fold, 0) for fold, _ in wanted} if variant in fixed else wanted
        if missing := sorted(asked - {(run.fold, run.seed) for run in chosen if run.variant == variant}):
            fold, seed = missing[0]
            raise TableError(
                f"no run of {variant} on {corpus}, fold {fold}, seed {seed}; train it and pass its run.json"
            )
    if not chosen:
        raise TableError(f"no run of {', '.join(variants)} on {corpus}; train them and pass their run.json")
    for run in chosen:
        if run.classes != chosen[0].classes:
            raise TableError(f"{run.folder}/run.json: other classes than {chosen[0].folder}; train both again")
    return chosen


def reasons_of(runs: Iterable[Run], variants: Iterable[str]) -> dict[str, str]:
    """Return variant -> why it, or some of its folds and seeds, could not be trained, where that is so."""
    texts: dict[str, set[str]] = {}
    for run in runs:
        if not run.trained:
            texts.setdefault(run.variant, set()).add(run.reason or NOT_APPLICABLE)
    return {variant: "; ".join(sorted(texts[variant])) for variant in variants if variant in texts}
