"""The MLflow store holds what the run folders hold; it is replaced as a whole or not at all."""

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

import planted
from mien.errors import TableError
from mien.report import track


def client_of(path: Path):
    from mlflow.tracking import MlflowClient  # seconds, and only one of the processes of a test run needs it

    return MlflowClient(f"sqlite:///{path}")


class Store:
    """A corpus with runs of two variants, two folds each, and the store beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.info = root / "results" / "corpora" / "ravdess" / "corpus.json"
        self.runs = sorted((root / "results" / "training" / "ravdess").glob("*/*/run.json"))

    def track(self, runs: list[Path] | None = None, info: list[Path] | None = None) -> dict[str, str]:
        """Run the command; return key -> run id of what is in the store afterwards."""
        places = {"db": self.root / "mlflow.db", "artifacts": self.root / "mlartifacts"}
        track.track(**places, runs=runs or self.runs, corpus_info=info or [self.info])
        return self.ids()

    def ids(self) -> dict[str, str]:
        """Return key -> run id of what is in the store."""
        return {run.data.tags["mien.key"]: run.info.run_id for run in self.live() if "mien.key" in run.data.tags}

    @property
    def client(self):
        """Return a client of a copy: connections are kept by the name of a store, and would read the replaced one."""
        copy = self.root / "copies" / f"{time.time_ns()}.db"
        copy.parent.mkdir(exist_ok=True)
        return client_of(shutil.copyfile(self.root / "mlflow.db", copy))

    def live(self, corpus: str = "ravdess") -> list:
        experiment = self.client.get_experiment_by_name(corpus)
        return list(self.client.search_runs([experiment.experiment_id]))

    def artefacts(self) -> dict[str, set[str]]:
        """Return run id -> names of its files."""
        folder = self.root / "mlartifacts" / "ravdess"
        return {run.name: {file.name for file in (run / "artifacts").iterdir()} for run in folder.iterdir()}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """Return a folder whose runs are in a new store: making one takes seconds, copying it none."""
    root = tmp_path_factory.mktemp("tracked")
    planted.write_corpus(root, n_actors=4)
    planted.write_runs(root, n_folds=2, variants=("N1", "N2"))
    assert len(Store(root).track()) == 6
    return root


@pytest.fixture
def store(tmp_path, tracked) -> Store:
    shutil.copytree(tracked, tmp_path, dirs_exist_ok=True)
    return Store(tmp_path)


def test_a_new_store_has_a_parent_per_variant_and_a_child_per_fold(store):
    ids = store.ids()
    assert sorted(ids) == [
        "ravdess/N1",
        "ravdess/N1/fold0-seed0",
        "ravdess/N1/fold1-seed0",
        "ravdess/N2",
        "ravdess/N2/fold0-seed0",
        "ravdess/N2/fold1-seed0",
    ]
    child = store.client.get_run(ids["ravdess/N2/fold1-seed0"])
    assert child.data.tags["mlflow.parentRunId"] == ids["ravdess/N2"]
    assert child.info.status == "FINISHED"
    assert child.data.params["train.width"] == "8"
    assert child.data.metrics["honest/test_accuracy"] == 0.5
    assert "Synthetic people" in child.data.tags["mlflow.note.content"]
    assert child.inputs.dataset_inputs[0].dataset.digest == "0123abcd"
    curve = store.client.get_metric_history(child.info.run_id, "curve/train_loss")
    assert [point.step for point in curve] == [1, 2, 3, 4, 5]
    assert store.client.get_run(ids["ravdess/N2"]).data.metrics["n_folds"] == 2


def test_artefacts_lie_where_the_server_looks(store):
    ids = store.ids()
    experiment = store.client.get_experiment_by_name("ravdess")
    assert experiment.artifact_location == "mlflow-artifacts:/ravdess"
    run_id = ids["ravdess/N1/fold0-seed0"]
    confusion = {"confusion-honest.csv", "confusion-optimistic.csv"}
    assert store.artefacts()[run_id] == {"run.json", "history.csv", "predictions.parquet"} | confusion
    table = store.root / "mlartifacts" / "ravdess" / run_id / "artifacts" / "confusion-honest.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    assert lines[0] == ["true / predicted", *planted.CLASSES]
    assert sum(int(cell) for line in lines[1:] for cell in line[1:]) == 24


def content(store: Store) -> dict[str, tuple]:
    """Return key -> name, time, tags, parameters and metrics, without what a parent's id is."""
    runs = {run.data.tags["mien.key"]: run for run in store.live()}
    return {
        key: (
            run.info.run_name,
            run.info.start_time,
            {name: value for name, value in run.data.tags.items() if name != "mlflow.parentRunId"},
            run.data.params,
            run.data.metrics,
        )
        for key, run in runs.items()
    }


def test_the_same_files_give_the_same_content_and_leave_no_artefacts_of_before(store):
    store.track()  # the store was made in another folder, which its tags name
    before = content(store)
    ids = store.track()
    assert content(store) == before
    assert set(store.artefacts()) == set(ids.values())
    assert not list(store.root.glob(".*partial*"))


def test_what_vanished_is_gone_with_its_files(store):
    left = store.track(store.runs[2:])  # N2 only
    assert set(left) == {"ravdess/N2", "ravdess/N2/fold0-seed0", "ravdess/N2/fold1-seed0"}
    assert set(store.artefacts()) == set(left.values())


def test_people_who_are_real_carry_no_label(store):
    other = planted.write_corpus(store.root, n_actors=2, corpus="cremad", source="/data/cremad") / "corpus.json"
    runs = planted.write_runs(store.root, n_folds=1, variants=("AM",), corpus="cremad", names=["S1"])
    track.track(db=store.root / "mlflow.db", artifacts=store.root / "mlartifacts", runs=runs, corpus_info=[other])
    notes = [run.data.tags.get("mlflow.note.content") for run in store.live("cremad")]
    assert notes == [None, None]
    assert store.client.get_experiment_by_name("ravdess") is None
    assert not store.artefacts()


def test_a_pass_that_fails_leaves_the_old_store(store, monkeypatch):
    before = (store.root / "mlflow.db").read_bytes(), store.artefacts()
    write, n_written = track._Experiment.write, iter(range(3))

    def fail(*args, **options):
        if next(n_written, None) is None:
            raise KeyboardInterrupt
        return write(*args, **options)

    monkeypatch.setattr(track._Experiment, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        store.track()
    assert (store.root / "mlflow.db").read_bytes() == before[0]
    assert before[1].items() <= store.artefacts().items()
    monkeypatch.undo()
    assert set(store.track().values()) == set(store.artefacts())


def test_a_store_with_runs_of_somebody_else_is_kept(store):
    client = client_of(store.root / "mlflow.db")
    experiment = client.get_experiment_by_name("ravdess").experiment_id
    own = client.create_run(experiment, run_name="a notebook").info.run_id
    with pytest.raises(TableError, match=r"did not write: a notebook\. .*move it away"):
        store.track()
    assert client.get_run(own).info.lifecycle_stage == "active"


def test_a_locked_or_damaged_store_is_named_and_kept(store):
    db = store.root / "mlflow.db"
    with sqlite3.connect(db) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(TableError, match=r"mlflow\.db is locked"):
            store.track()
        connection.rollback()
    db.write_bytes(b"this is no database" * 100)
    with pytest.raises(TableError, match=r"mlflow\.db is no store of MLflow .*move it away"):
        store.track()
    assert db.read_bytes().startswith(b"this")


def test_a_run_that_could_not_be_trained_says_why(store):
    run = planted.write_run(store.root, "VM", 0, actors=(1,), fold_name="A1", reason="no clip with video")
    ids = store.track([run])
    tags = store.client.get_run(ids["ravdess/VM/fold0-seed0"]).data.tags
    assert tags["mien.status"] == "not applicable"
    assert "no clip with video" in tags["mlflow.note.content"]


def test_an_undescribed_corpus_is_refused(store):
    other = planted.write_corpus(store.root, n_actors=2, corpus="cremad") / "corpus.json"
    with pytest.raises(TableError, match="ravdess is not described"):
        store.track(info=[other])
