"""The DAG: what is planned, and what a change of one value plans again."""

import shutil
from collections import Counter

import pytest
import yaml

from mien.config.schema import Params, resolve, section
from mien.config.runs import needed_folds
from workflow.planner import Plan, plan
from workflow.shrink import shrink


@pytest.fixture(scope="module")
def bare(repository, tmp_path_factory):
    """Copy what the workflow reads into an empty folder, with small parameters; not to be changed."""
    folder = tmp_path_factory.mktemp("bare") / "clone"
    for name in ("workflow", "profiles", "resources"):
        shutil.copytree(repository / name, folder / name)
    shutil.copy(repository / "Snakefile", folder)
    write_params(folder, shrink(yaml.safe_load((repository / "params.yaml").read_text())))
    return folder


@pytest.fixture(scope="module")
def planned(bare):
    """Return the number of jobs of every rule in a bare clone."""
    return jobs(plan(bare))


@pytest.fixture
def clone(bare, tmp_path):
    """Return a bare clone to change."""
    return shutil.copytree(bare, tmp_path, dirs_exist_ok=True)


def write_params(folder, params):
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def jobs(run: Plan) -> Counter:
    assert run.returncode == 0, run.output
    lines = run.output.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    return Counter({line.split()[0]: int(line.split()[1]) for line in lines if line.strip()})


def test_a_bare_clone_plans_every_stage(bare, planned):
    params = yaml.safe_load((bare / "params.yaml").read_text())
    assert planned["get_corpus"] == planned["index_corpus"] == planned["plot_samples"] == len(params["corpora"])
    assert planned["extract_faces"] == len(params["corpora"]) - 1  # VoxCeleb has no pictures
    trained = Counter(
        f"train_{corpus}_0_{n_folds - 1}"
        for (corpus, _), n_folds in needed_folds(section(Params, resolve(params))).items()
    )
    assert {rule: planned[rule] for rule in trained} == trained
    assert planned["pretrain_pictures"] + planned["pretrain_voices"] == len(params["pretrain"])
    assert planned["train_stream_0_1"] == len(params["streams"])
    assert planned["compare_transfer"] == planned["plot_fer2013"] == planned["plot_features"] == 1
    assert planned["build_table"] == len(params["tables"])
    assert planned["plot_confusion"] == sum("confusion" in table for table in params["tables"].values())
    assert planned["fit_candide"] == planned["extract_faces"]
    assert planned["fit_classical"] + planned["train_classifier"] == len(params["classifiers"])
    assert planned["select_samples"] == planned["compare_classifiers"] == planned["judge_hypotheses"] == 1
    assert planned["track"] == planned["summarise"] == 1


def test_folds_per_job_changes_jobs_and_not_files(clone):
    planned = jobs(plan(clone, "--config", "folds_per_job=1"))
    assert planned["train_ravdess_0_0"] > planned["train_ravdess_1_1"] > 1  # some variants have one fold only


def test_late_fusion_waits_for_the_networks_it_freezes(clone):
    run = plan(clone, "results/training/ravdess/N0_late/fold0-seed0/run.json")
    assert jobs(run)["train_ravdess_0_1"] == 3
    assert "results/training/ravdess/AM/fold0-seed0/model.safetensors" in run.output


def test_a_weighed_loss_waits_for_the_histories_that_weigh_it(clone):
    run = plan(clone, "results/training/ravdess/N1_blend/fold0-seed0/run.json")
    assert all(
        f"results/training/ravdess/{other}/fold0-seed0/history.csv" in run.output for other in ("N0", "VM", "AM")
    )


def test_networks_that_look_at_units_wait_for_them(clone):
    assert jobs(plan(clone, "results/training/ravdess/N2_units/fold0-seed0/run.json"))["fit_candide"] == 1
    assert "fit_candide" not in jobs(plan(clone, "results/training/ravdess/N2/fold0-seed0/run.json"))


def test_new_variants_and_classifiers_are_rows_of_yaml(clone, planned):
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["variants"]["N1_scoring"] = {**params["variants"]["N1"], "side_head": "scoring"}
    params["tables"]["5.2"]["rows"].append("N1_scoring")
    params["classifiers"]["CNN1_64"] = {**params["classifiers"]["CNN1_50"], "size_px": 64}
    write_params(clone, params)
    assert jobs(plan(clone)) - planned == Counter({"train_ravdess_0_1": 1, "train_classifier": 1})


def test_a_row_that_starts_from_another_waits_for_it(clone):
    planned = jobs(plan(clone, "results/training/fer2013/FER_3/fold0-seed0/run.json"))
    assert planned["pretrain_pictures"] == 2  # and the network of identities
    assert planned["extract_faces"] == 2


def test_real_faces_are_not_checked_against_a_truth(clone):
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["corpora"]["jaffe"]["source"] = "jaffe.zip"
    write_params(clone, params)
    run = plan(clone, "results/tables/units.md")
    assert jobs(run)["fit_candide"] == 6
    assert "results/candide/jaffe" not in run.output


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [("train", "epoch", 3, "did you mean epochs?"), ("train", "epochs", "many", "train.epochs should be int")],
)
def test_a_wrong_parameter_stops_before_the_first_job(clone, section, key, value, words):
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params[section][key] = value
    write_params(clone, params)
    run = plan(clone)
    assert run.returncode != 0
    assert words in run.output


def test_results_without_their_memory_are_refused(clone):
    folder = clone / "results" / "training" / "ravdess" / "AM" / "fold0-seed0"
    folder.mkdir(parents=True)
    (folder / "run.json").touch()
    run = plan(clone)
    assert run.returncode != 0
    assert "dvc pull" in run.output
