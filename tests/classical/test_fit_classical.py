"""The command: four kinds of classifiers, whole folders, equal bits with any number of jobs."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

from mien.classical.fit import Split, fit_classical, fit_split
from mien.classical.samples import has_features, read_samples
from mien.config.schema import ClassifierConfig
from mien.errors import ConfigError, TableError
from mien.io import files, tables
from mien.io.files import read_json, sha256

FILES = ("run.json", "predictions.parquet", "history.csv")


def _row(features, model, standardise=False):
    size_px = 16 if features == "image" else 0
    return {"features": features, "model": model, "size_px": size_px, "standardise": standardise}


CLASSIFIERS = {
    "linear": _row("FP68", "ssvm", True),
    "poly": _row("FP68", "svm_poly", True),
    "units": _row("AU8", "ssvm", True),
    "eigen": _row("image", "eigenfaces"),
    "fisher": _row("image", "fisherfaces"),
    "network": _row("image", "cnn1"),
}


def _fit(results, out, name, *, splits=(0, 1), jobs=1, seed=0):
    fit_classical(
        classifier=name,
        samples=results / "samples" / "ckplus_rafd",
        data=results,
        splits=list(splits),
        out=out / name,
        config=json.dumps({"seed": seed, "classifiers": {name: CLASSIFIERS[name]}}),
        jobs=jobs,
    )
    return [out / name / f"fold0-seed{split}" for split in splits]


@pytest.mark.parametrize("name", ["linear", "poly", "eigen", "fisher"])
def test_everybody_with_features_is_judged_once(results, tmp_path, name):
    folder = _fit(results, tmp_path, name)[1]
    samples = read_samples(results / "samples" / "ckplus_rafd")
    run, rows = read_json(folder / "run.json"), tables.read(folder / "predictions.parquet", tables.PREDICTIONS)
    roles, usable = samples.roles(1), has_features(samples.table, CLASSIFIERS[name]["features"])
    wanted = dict(zip(samples.table["clip"][usable], roles[usable], strict=True))
    assert dict(zip(rows["clip"], rows.role, strict=True)) == wanted
    assert len(rows) == len(wanted)
    assert (set(rows.selection), set(rows["head"])) == ({"honest"}, {"fused"})
    person = dict(zip(samples.table["clip"], samples.table.person, strict=True))
    assert (rows.actor == rows["clip"].map(person)).all()
    for role in ("training", "validation", "test", "aside"):
        assert run["n_clips"][role] == (rows.role == role).sum()
        assert run["n_clips"][role] + run["n_missing"][role] == (roles == role).sum()
    assert (run["corpus"], run["variant"], run["fold"], run["seed"]) == ("ckplus_rafd", name, 0, 1)
    assert (run["fold_name"], run["status"], run["epochs"]) == ("ckplus to rafd", "trained", 0)
    tested = rows[rows.role == "test"]
    accuracy = (np.stack(tested.logits).argmax(axis=1) == tested.label).mean()
    assert run["metrics"]["honest"]["test_accuracy"] == pytest.approx(accuracy)
    assert accuracy >= 0.6  # the emotion is planted in the test corpus as well
    assert (folder / "history.csv").read_text() == ",".join(tables.HISTORY) + "\n"


def test_bytes_do_not_depend_on_jobs_or_on_other_splits(results, tmp_path, monkeypatch):
    one = _fit(results, tmp_path / "one", "linear", splits=(0, 1, 2))
    used = []

    def as_in_processes(function, works, *, n_jobs):
        """What a spawned process sees, without the seconds that it takes to start."""
        used.append(n_jobs)
        return [pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(work))) for work in works]

    monkeypatch.setattr(files, "map_in_processes", as_in_processes)
    two = _fit(results, tmp_path / "two", "linear", splits=(2, 0), jobs=3)
    assert used == [2]
    for folder, same in ((one[2], two[0]), (one[0], two[1])):
        for name in FILES:
            assert sha256(folder / name) == sha256(same / name), name
    assert sha256(one[0] / "predictions.parquet") != sha256(one[1] / "predictions.parquet")


def test_a_class_that_nobody_was_fitted_in_is_no_error(results, tmp_path):
    folder = _fit(results, tmp_path, "units", splits=(0,))[0]
    run = read_json(folder / "run.json")
    assert run["status"] == "not applicable"
    assert run["reason"] == "no training sample of surprise has AU8"
    assert tables.read(folder / "predictions.parquet", tables.PREDICTIONS).empty
    assert run["n_missing"]["training"] > 0


@pytest.mark.parametrize(
    ("features", "roles", "reason"),
    [
        ("AU8", 4 * ["training"] + ["validation", "test"], "only 4 training samples have AU8, at least 5 are needed"),
        ("image", 5 * ["training"] + ["test"], "no validation sample has a face"),
        ("image", 4 * ["training"] + ["validation", "test"], "only 4 training samples have a face"),
        ("image", 5 * ["training"] + ["validation", "test"], "all training samples have the same face"),
    ],
)
def test_obstacles_are_told_in_words(tmp_path, features, roles, reason):
    n = len(roles)
    work = Split(
        classifier=ClassifierConfig(**_row(features, "ssvm" if features == "AU8" else "eigenfaces")),
        table=pd.DataFrame({"label": np.arange(n) % 4}),
        roles=np.array(roles),
        features=np.zeros((n, 2)),
        usable=np.ones(n, bool),
        split=0,
        seed=0,
        record={"classes": ["a", "b", "c", "d"]},
        folder=tmp_path / "run",
    )
    assert fit_split(work)["reason"].startswith(reason)


def test_what_cannot_be_run_is_refused(results, tmp_path):
    with pytest.raises(ConfigError, match="train_classifier"):
        _fit(results, tmp_path, "network")
    with pytest.raises(TableError, match="no split 99"):
        _fit(results, tmp_path, "linear", splits=(99,))
    assert not list(tmp_path.rglob("run.json"))
