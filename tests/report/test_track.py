"""The MLflow store holds what the run folders hold; it is replaced as a whole or not at all."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest

import planted
from mien.errors import TableError
from mien.io.randomness import rng_for
from mien.models.card import read_export
from mien.report import track

FORK = multiprocessing.get_context("fork")  # a process that has imported mlflow already


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
        folders = self.root.glob("mlartifacts/*/ravdess/*/artifacts")
        return {folder.parent.name: {file.name for file in folder.iterdir()} for folder in folders}

    def artefact(self, run_id: str, name: str) -> Path:
        (path,) = self.root.glob(f"mlartifacts/*/*/{run_id}/artifacts/{name}")
        return path


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
    assert child.data.metrics["curve/train_loss"] == curve[-1].value != curve[0].value
    assert store.client.get_run(ids["ravdess/N2"]).data.metrics["n_folds"] == 2


def test_artefacts_lie_where_the_server_looks(store):
    ids = store.ids()
    experiment = store.client.get_experiment_by_name("ravdess")
    run_id = ids["ravdess/N1/fold0-seed0"]
    place = store.client.get_run(run_id).info.artifact_uri.removeprefix(f"{experiment.artifact_location}/")
    assert place == f"{run_id}/artifacts"
    folder = experiment.artifact_location.removeprefix("mlflow-artifacts:/")
    assert store.artefact(run_id, "run.json") == store.root / "mlartifacts" / folder / place / "run.json"
    confusion = {"confusion-honest.csv", "confusion-optimistic.csv"}
    assert store.artefacts()[run_id] == {"run.json", "history.csv", "predictions.parquet"} | confusion
    table = store.artefact(run_id, "confusion-honest.csv")
    lines = [line.split(",") for line in table.read_text().splitlines()]
    assert lines[0] == ["true / predicted", *planted.CLASSES]
    assert sum(int(cell) for line in lines[1:] for cell in line[1:]) == 24


def test_a_row_has_the_confusions_of_its_folds_and_the_best_a_picture_of_them(store):
    from PIL import Image

    run_id = store.ids()["ravdess/N1"]
    tables = {"confusion-honest.csv", "confusion-optimistic.csv"}
    assert store.artefacts()[run_id] == tables | {"confusion.png"}
    assert store.artefacts()[store.ids()["ravdess/N2"]] == tables  # no better on validation, and later in the order
    table = pd.read_csv(store.artefact(run_id, "confusion-honest.csv"), index_col=0)
    assert list(table.columns) == list(table.index) == list(planted.CLASSES)
    assert list(table.sum(axis=1)) == [16, 16, 16]  # 4 takes of 4 actors, each tested in one of the folds
    assert min(Image.open(store.artefact(run_id, "confusion.png")).size) > 600


def test_times_are_those_of_the_trainings(store):
    for path, ended_s in zip(store.runs, (1000, 1010, 1000, 1010), strict=True):
        os.utime(path, (ended_s, ended_s))
    benchmark = store.root / "benchmarks" / "train" / "ravdess-N1-seed0.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\tcpu_time\n25.0\t0:00:25\t700.5\tNA\n")
    os.utime(benchmark, (1012, 1012))
    ids = store.track()
    runs = {key: store.client.get_run(run_id) for key, run_id in ids.items()}
    spans = {key: (run.info.start_time, run.info.end_time) for key, run in runs.items()}
    assert spans["ravdess/N1/fold0-seed0"] == (987_000, 1_000_000)
    assert spans["ravdess/N1/fold1-seed0"] == (1_000_000, 1_010_000)
    assert spans["ravdess/N1"] == (987_000, 1_010_000)
    assert spans["ravdess/N2/fold1-seed0"] == (1_010_000, 1_010_000)  # nothing says how long it took
    used = {name: value for name, value in runs["ravdess/N1"].data.metrics.items() if name.startswith("system/")}
    assert used == {"system/wall_seconds": 25.0, "system/max_rss_megabytes": 700.5}


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
    write, n_written = track._NewStore.add, iter(range(3))

    def fail(*args, **options):
        if next(n_written, None) is None:
            raise KeyboardInterrupt
        return write(*args, **options)

    monkeypatch.setattr(track._NewStore, "add", fail)
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


def test_a_store_with_a_model_of_somebody_else_is_kept(store):
    client_of(store.root / "mlflow.db").create_registered_model("mine")
    with pytest.raises(TableError, match=r"did not write: the model mine\. .*move it away"):
        store.track()


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


@pytest.mark.slow
def test_ten_kills_at_random_moments_lose_nothing(store):
    began = time.monotonic()
    store.track()
    whole_s, wanted = time.monotonic() - began, content(store)
    rng = rng_for(0, "kills of track")
    for _ in range(10):
        process = FORK.Process(target=store.track)
        process.start()
        time.sleep(rng.uniform(0, whole_s))
        process.kill()
        process.join()
        assert content(store) == wanted
        assert set(store.ids().values()) <= set(store.artefacts())
    assert set(store.track().values()) == set(store.artefacts())
    assert not list(store.root.glob(".*partial*"))


# ---- registered models ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registered(tmp_path_factory, repository) -> Store:
    """Return a store of one run and of the models that come with the package."""
    root = tmp_path_factory.mktemp("registered")
    planted.write_corpus(root, n_actors=2)
    planted.write_runs(root, n_folds=1, variants=("N1",))
    store = Store(root)
    models = sorted((repository / "resources" / "models").glob("*.safetensors"))
    places = {"db": root / "mlflow.db", "artifacts": root / "mlartifacts"}
    track.track(**places, runs=store.runs, corpus_info=[store.info], models=models)
    return store


def test_the_best_model_of_a_task_is_its_champion(registered, repository):
    client = registered.client
    assert {model.name for model in client.search_registered_models()} == {"ravdess-voice", "fer2013-face"}
    version = client.get_model_version_by_alias("ravdess-voice", "champion")
    run = client.get_run(version.run_id)
    assert run.info.run_name == "ravdess-Voice"  # Voice_S is more often right, with other recordings of the person
    versions = sorted(one.name for one in client.search_model_versions())
    assert versions == ["fer2013-face", "ravdess-voice", "ravdess-voice"]
    facts = read_export(repository / "resources" / "models" / "ravdess-Voice.safetensors").facts
    assert run.data.metrics["accuracy"] == facts["accuracy"]
    assert "not for decisions about people" in version.description
    assert version.tags["mien.terms"] == "CC BY-NC-SA 4.0"
    assert version.source == f"{run.info.artifact_uri}/model"


def test_a_registered_model_answers_to_its_example(registered):
    import mlflow.pyfunc
    from mlflow.models import Model

    version = registered.client.get_model_version_by_alias("fer2013-face", "champion")
    folder = str(registered.artefact(version.run_id, "model"))
    about = Model.load(folder)
    assert about.signature.inputs.input_names() == ["clip"]
    data, params = about.load_input_example(folder), about.load_input_example_params(folder)
    assert params == {"cropped": True}
    answer = mlflow.pyfunc.load_model(folder).predict(data, params=params)
    assert list(answer.columns) == about.signature.outputs.input_names()
    shares = answer.iloc[0].drop("label").astype(float)
    assert shares.sum() == pytest.approx(1.0)
    assert answer.label[0] == shares.idxmax().removeprefix("p_")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(*words: str, address: str, log: Path, timeout_s: float = 300.0):
    """Run a server of MLflow until the block ends; it begins when the address answers."""
    with log.open("w") as file:
        command = [sys.executable, "-m", "mlflow", *words]
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            end = time.monotonic() + timeout_s
            while True:
                with suppress(OSError), urllib.request.urlopen(address, timeout=5):
                    break
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < end, log.read_text()[-3000:]
                time.sleep(0.5)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_mlflow_serves_the_champion(registered, tmp_path):
    from mien.apps.served import _load_pyfunc

    version = registered.client.get_model_version_by_alias("ravdess-voice", "champion")
    folder, port = registered.artefact(version.run_id, "model"), free_port()
    words = ["models", "serve", "-m", str(folder), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    with running(*words, "-w", "1", address=f"http://127.0.0.1:{port}/ping", log=tmp_path / "log"):
        asked = (folder / "serving_input_example.json").read_bytes()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", asked, headers)
        with urllib.request.urlopen(request, timeout=120) as response:
            (answer,) = json.load(response)["predictions"]
    (file,) = (folder / "data").iterdir()
    there = _load_pyfunc(str(file)).predict(pd.DataFrame({"clip": [track.example_clip(sound=True)]}))
    assert answer == pytest.approx(there.iloc[0].to_dict(), abs=1e-5)


# ---- a tracking server ----------------------------------------------------------------------------------------------


def test_a_server_gets_what_is_new_and_keeps_what_it_has(store, monkeypatch):
    monkeypatch.chdir(store.root)  # without a server of artefacts MLflow puts them here
    server = f"sqlite:///{store.root}/server.db"
    client = client_of(store.root / "server.db")

    def send() -> dict[str, str]:
        track.track(runs=store.runs, corpus_info=[store.info], server=server)
        found = client.search_runs([client.get_experiment_by_name("ravdess").experiment_id])
        return {run.data.tags.get("mien.key", run.info.run_name): run.info.run_id for run in found}

    first = send()
    assert set(first) == set(store.ids())
    child = client.get_run(first["ravdess/N2/fold1-seed0"])
    local = store.client.get_run(store.ids()["ravdess/N2/fold1-seed0"])
    assert (child.data.metrics, child.data.params) == (local.data.metrics, local.data.params)
    assert child.info.status == "FINISHED"
    assert child.info.end_time == local.info.end_time
    assert child.inputs.dataset_inputs[0].dataset.digest == "0123abcd"
    assert {file.path for file in client.list_artifacts(child.info.run_id)} >= {"run.json", "predictions.parquet"}

    experiment = client.get_experiment_by_name("ravdess").experiment_id
    own = client.create_run(experiment, run_name="a notebook").info.run_id
    broken = client.create_run(experiment, tags={"mien.key": "ravdess/N1/fold0-seed0"}).info.run_id  # of a killed pass
    assert send() == first | {"a notebook": own}
    assert client.get_run(broken).info.lifecycle_stage == "deleted"

    record = json.loads(store.runs[0].read_text())
    record["metrics"]["honest"]["test_accuracy"] = 0.75
    store.runs[0].write_text(json.dumps(record))
    second = send()
    assert {key for key in second if second[key] != first.get(key, own)} == {"ravdess/N1", "ravdess/N1/fold0-seed0"}
    moved = client.get_run(second["ravdess/N1/fold1-seed0"])
    assert moved.data.tags["mlflow.parentRunId"] == second["ravdess/N1"]


@pytest.fixture
def postgres():
    """Return the address of a new database of PostgreSQL, which refuses to run as root."""
    pytest.importorskip("psycopg2", reason="of PyPI's psycopg2-binary, is not installed")
    places = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    initdb, pg_ctl = (shutil.which(name, path=os.pathsep.join(places)) for name in ("initdb", "pg_ctl"))
    if not (initdb and pg_ctl):
        pytest.skip("PostgreSQL, Debian's package postgresql, is not installed")
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="mien-postgres-") as folder:
        Path(folder).chmod(0o777)
        how = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, **user}
        port = free_port()
        subprocess.run([initdb, "-D", "data", "-U", "mien", "--auth=trust", "--no-sync"], **how)
        settings = f"-p {port} -k {folder} -c fsync=off -c max_connections=200 -c listen_addresses=127.0.0.1"
        subprocess.run([pg_ctl, "-D", "data", "-l", "log", "-w", "-o", settings, "start"], **how)
        try:
            yield f"postgresql://mien@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([pg_ctl, "-D", "data", "-m", "immediate", "stop"], **how)


@pytest.mark.slow
def test_sixteen_writers_at_once_lose_no_run_even_when_some_are_killed(tmp_path, postgres):
    info = planted.write_corpus(tmp_path, n_actors=4) / "corpus.json"
    names = [f"V{k:02d}" for k in range(16)]
    rows = {name: planted.write_runs(tmp_path, n_folds=2, variants=(name,), names=["A", "B"]) for name in names}
    port, rng = free_port(), rng_for(0, "kills of writers")
    url = f"http://127.0.0.1:{port}"
    words = ["server", "--backend-store-uri", postgres, "--artifacts-destination", str(tmp_path / "artifacts")]
    words += ["--port", str(port), "--workers", "1"]
    with running(*words, address=f"{url}/health", log=tmp_path / "log"):

        def start(name: str):
            asked = {"runs": rows[name], "corpus_info": [info], "server": url}
            process = FORK.Process(target=track.track, kwargs=asked)
            process.start()
            return process

        writers = {name: start(name) for name in names}
        for name in names[:4]:
            time.sleep(rng.uniform(0, 2))
            writers[name].kill()
            writers[name].join()
            writers[name] = start(name)
        for process in writers.values():
            process.join()
        assert {process.exitcode for process in writers.values()} == {0}
        client = track.MlflowClient(url)
        runs = client.search_runs([client.get_experiment_by_name("ravdess").experiment_id], max_results=1000)
        keys = {run.info.run_id: run.data.tags["mien.key"] for run in runs}
        of_row = ("", "/fold0-seed0", "/fold1-seed0")
        assert sorted(keys.values()) == sorted(f"ravdess/{name}{end}" for name in names for end in of_row)
        assert {run.info.status for run in runs} == {"FINISHED"}
        for run in (run for run in runs if "fold" in keys[run.info.run_id]):
            assert keys[run.info.run_id].startswith(f"{keys[run.data.tags['mlflow.parentRunId']]}/")
            curve = client.get_metric_history(run.info.run_id, "curve/train_loss")
            assert [point.step for point in curve] == [1, 2, 3, 4, 5]
            assert "run.json" in {file.path for file in client.list_artifacts(run.info.run_id)}
