"""The DAG: what is planned, and what a change of one value, or of code, plans again."""

import re
import shutil
import subprocess
from collections import Counter

import pytest
import yaml

from mien.config.runs import needed_folds
from mien.config.schema import Params, resolve, section
from workflow.planner import plan
from workflow.shrink import shrink

pytestmark = pytest.mark.slow

NETWORKS = ("AM", "VM", "N0_late", "N0", "N1", "N2")
BASELINES = ("Voice_SVM", "Units_logistic", "Voice_units_late")


@pytest.fixture(scope="module")
def bare(repository, tmp_path_factory):
    """Copy what the workflow reads into an empty folder, with small parameters; not to be changed."""
    folder = tmp_path_factory.mktemp("bare") / "clone"
    for name in ("workflow", "profiles", "resources"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "Snakefile", folder)
    write_params(folder, shrink(yaml.safe_load((repository / "params.yaml").read_text())))
    return folder


@pytest.fixture(scope="module")
def planned(bare):
    """Plan in a bare clone."""
    return plan(bare)


@pytest.fixture
def clone(bare, tmp_path):
    """Return a bare clone to change."""
    return shutil.copytree(bare, tmp_path, dirs_exist_ok=True)


def read_params(folder):
    return yaml.safe_load((folder / "params.yaml").read_text())


def write_params(folder, params):
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def rules_of(jobs):
    return {job.split()[0] for job in jobs}


def test_what_table_5_2_needs_comes_first(planned):
    """Its networks and baselines, the two networks that branches start from, and the corpora of all these."""
    jobs = [job for job in re.split(r"^\[.*", planned.output, flags=re.MULTILINE) if "    priority: 1" in job]
    early = {re.search("output: ([^,\n]*)", job)[1] for job in jobs}
    trainings = {output.removeprefix("results/training/") for output in early if "training" in output}
    ahead = {"fer2013/P1/seed0.json", "voxceleb_actor/P2/seed0.json"}
    assert trainings == ahead | {f"ravdess/{name}/seed0.json" for name in (*NETWORKS, *BASELINES)}
    assert {output for output in early if output.startswith("data")} == {
        f"data/{corpus}.json" for corpus in ("fer2013", "ravdess", "voxceleb")
    }
    assert {output for output in early if "table" in output} == {"results/tables/5.2.csv"}


def test_a_bare_clone_plans_every_stage(bare, planned):
    params, rules = read_params(bare), planned.rules
    typed = section(Params, resolve(params))
    versions = 5  # of the experiment on fuzziness, three of them with voices of their own
    assert rules["get_corpus"] == rules["index_corpus"] == len(params["corpora"]) + versions
    assert rules["extract_faces"] == rules["fit_candide"] + versions == len(params["corpora"]) - 1 + versions
    assert rules["extract_sound"] == 3 + 3
    assert rules["train"] + rules["fit_baseline"] == len(needed_folds(typed))
    assert rules["fit_baseline"] == len(typed.baselines) * 2  # of two corpora
    assert rules["pretrain"] == len(params["pretrain"])
    assert rules["train_stream"] == len(params["streams"])
    assert rules["fit_classical"] + rules["train_classifier"] == len(params["classifiers"])
    for rule in ("select_samples", "table_5.1", "trust_cremad", "transfer", "curves", "samples", "hypotheses", "store"):
        assert rules[rule] == 1


def test_stages_of_dvc_make_their_outputs(repository, bare):
    for name, stage in yaml.safe_load((repository / "dvc.yaml").read_text())["stages"].items():
        planned = plan(bare, *stage["cmd"].removeprefix("snakemake --cores all ").split())
        assert planned.returncode == 0, planned.output
        made = "\n".join(planned.jobs)
        for out in stage["outs"]:
            assert re.search(rf" {next(iter(out))}(/|\b)", made), f"{name} does not make {next(iter(out))}"


def test_results_that_are_shared_are_those_that_git_has_not(repository, tmp_path):
    """By the command of docs/howto.md."""
    shutil.copy(repository / "dvc.yaml", tmp_path)
    command = re.search(r"^sed -i .* dvc\.yaml$", (repository / "docs/howto.md").read_text(), re.MULTILINE)[0]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    stages = yaml.safe_load((tmp_path / "dvc.yaml").read_text())["stages"].values()
    outs = [out for stage in stages for out in stage["outs"] + stage.get("metrics", [])]
    cached = {path for out in outs for path, flags in out.items() if flags.get("cache", True)}
    names = [f"{path}/" for out in outs for path in out]  # as folders, which they are once they are made
    ignored = subprocess.run(
        ["git", "check-ignore", *names], cwd=repository, check=True, capture_output=True, text=True
    )
    assert cached == {name.rstrip("/") for name in ignored.stdout.split()}


def test_a_training_waits_for_what_it_is_made_from(planned):
    makers = {path: job for job in planned.jobs for path in job.split()[1:]}

    def rules_before(target):
        jobs, queue = set(), [target]
        while queue:
            if (job := makers.get(queue.pop())) and job not in jobs:
                jobs.add(job)
                queue += planned.jobs[job][0]
        return Counter(job.split()[0] for job in jobs)

    late = rules_before("results/training/ravdess/N0_late/seed0.json")
    assert (late["train"], late["pretrain"]) == (3, 2)  # with the networks whose branches it keeps
    inputs, _ = planned.jobs["train results/training/ravdess/N1_blend/seed0.json"]
    assert {f"results/training/ravdess/{other}/seed0.json" for other in ("N0", "VM", "AM")} <= set(inputs)
    assert rules_before("results/training/fer2013/FER_3/seed0.json")["pretrain"] == 2
    assert rules_before("results/training/ravdess/N2_units/seed0.json")["fit_candide"] == 1
    assert "fit_candide" not in rules_before("results/training/ravdess/N2/seed0.json")


def test_everybody_is_trained_on_after_the_folds(clone):
    rules = plan(clone, "results/training/ravdess/VM/everybody-seed0.json").rules
    assert (rules["train"], rules["train_everybody"], rules["pretrain"]) == (1, 1, 1)


def test_new_variants_baselines_and_classifiers_are_rows_of_yaml(clone, planned):
    params = read_params(clone)
    params["variants"]["N1_scoring"] = {**params["variants"]["N1"], "side_head": "scoring"}
    params["tables"]["5.2"]["rows"].append("N1_scoring")
    params["baselines"] = params["baselines"] | {"Units_SVM": {"modality": "units", "model": "svm"}}
    params["tables"]["5.3"]["baselines"].append("Units_SVM")
    params["classifiers"]["CNN1_64"] = {**params["classifiers"]["CNN1_50"], "size_px": 64}
    (clone / "wavlm.pth").touch()
    params["speech"] = {"wavlm": {"bundle": "WAVLM_BASE", "weights": "./wavlm.pth"}}
    params["vision"] = {"vit_b_16": {"weights": "./wavlm.pth"}}
    params["variants"]["WavLM"] = {"modalities": ["vit_b_16", "wavlm"], "fusion": "n0"}
    params["tables"]["5.2"]["rows"].append("WavLM")
    write_params(clone, params)
    changed = plan(clone).changed_since(planned)
    assert "extract_speech results/vectors/ravdess-wavlm/manifest.json" in changed
    assert "extract_vision results/vectors/ravdess-vit_b_16/manifest.json" in changed
    assert {job for job in changed if "results/training/" in job} == {
        "train results/training/ravdess/WavLM/seed0.json",
        "train results/training/ravdess/N1_scoring/seed0.json",
        "fit_baseline results/training/cremad/Units_SVM/seed0.json",
        "train_classifier results/training/ckplus_rafd/CNN1_64/seeds.json",
    }


def test_a_new_optional_key_and_another_order_of_keys_plan_nothing(clone, planned):
    params = read_params(clone)
    params["variants"]["N2"] |= {"residual": "sigmoid", "modality_dropout": 0.0}  # as by default
    params["train"] = dict(reversed(params["train"].items()))
    write_params(clone, dict(reversed(params.items())))
    assert plan(clone).changed_since(planned) == set()


@pytest.mark.parametrize(
    ("key", "value", "rules_of_it"),
    [
        ("trust.bins", 12, {"assess", "trust_ravdess", "trust_cremad"}),
        ("streaming.loss", "last", {"train_stream", "measure_changes", "streams", "complexity"}),
        ("fuzziness.epochs", 2, {"train_fuzzy", "fuzziness"}),
        ("variants.N2_relu.residual", "sigmoid", {"train", "complexity"}),
        ("embeddings.perplexity", 10.0, {"embed", "embeddings"}),
        ("candide.ridge", 0.0, {"fit_candide", "units", "candide", "train"}),
    ],
)
def test_a_changed_value_plans_what_depends_on_it(clone, planned, key, value, rules_of_it):
    """But for what follows from other results of these jobs."""
    params = read_params(clone)
    *parents, last = key.split(".")
    target = params
    for parent in parents:
        target = target[parent]
    assert target.get(last) != value
    target[last] = value
    write_params(clone, params)
    changed = plan(clone).changed_since(planned)
    assert rules_of(changed) == rules_of_it
    if key.startswith("variants"):
        assert {job for job in changed if job.startswith("train")} == {
            "train results/training/ravdess/N2_relu/seed0.json"
        }


def test_code_plans_the_jobs_that_run_it(repository, clone, planned):
    folder = clone / "src" / "mien"
    shutil.copytree(repository / "src" / "mien", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in folder.rglob("*.py"):
        file.write_text(
            f"# A comment.\n{file.read_text()}" if "__future__" not in file.read_text() else file.read_text()
        )
    first = folder / "report" / "figures" / "embeddings.py"
    text = first.read_text()
    (folder / "report" / "figures" / "moved.py").write_text(text)  # all of it, to another file
    name = re.search(r"^def (\w+)\(.*:$", text, re.MULTILINE)[1]
    body = re.search(rf"^def {name}\(.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)[0]
    first.write_text(f"from mien.report.figures.moved import {name}\n{text.replace(body, '')}")
    assert plan(clone).changed_since(planned) == set()
    edit(first, "perplexity", "perplexities")
    assert rules_of(plan(clone).changed_since(planned)) == {"embeddings"}


def test_real_faces_are_not_checked_against_a_truth(clone):
    params = read_params(clone)
    (clone / "jaffe.zip").touch()
    params["corpora"]["jaffe"]["source"] = "jaffe.zip"
    write_params(clone, params)
    run = plan(clone, "results/tables/units.md")
    assert run.rules["fit_candide"] == 6
    assert "results/candide/jaffe" not in run.output


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [("train", "epoch", 3, "did you mean epochs?"), ("train", "epochs", "many", "train.epochs")],
)
def test_a_wrong_parameter_stops_before_the_first_job(clone, section, key, value, words):
    params = read_params(clone)
    params[section][key] = value
    write_params(clone, params)
    run = plan(clone)
    assert run.returncode != 0
    assert words in run.output


def test_results_without_their_memory_are_refused(clone):
    folder = clone / "results" / "training" / "ravdess" / "AM"
    folder.mkdir(parents=True)
    (folder / "seed0.json").touch()
    run = plan(clone)
    assert run.returncode != 0
    assert "dvc status" in run.output
    assert plan(clone, "--touch").returncode == 0
