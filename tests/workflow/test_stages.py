"""The table of CPU seconds by stage is the sum of what the logs of a run say."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def script(repository):
    return repository / "benchmarks" / "stages.py"


def write_logs(folder, logs):
    for name, text in logs.items():
        path = folder / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_two_runs_stand_side_by_side(script, tmp_path):
    log = "20:38:44 mien.training.engine: device: cpu\n20:40:41 mien.cli: CPU seconds {}\n".format
    after = {
        "train/ravdess-N2-seed0": log(60.4) + log(0.2),  # of two processes
        "train/ravdess-AM-seed0": log(20.2),
        "report/table_5.2": log(2.0),
        "select_samples": log(1.0),
        "snakemake": "CPU seconds 5.50\nCPU seconds 6.70\n",
        "clean_up": log(3.0),
    }
    write_logs(tmp_path / "after", after)
    (tmp_path / "before.csv").write_text("rule,jobs,cpu_s\ntrain,1,100.6\nsnakemake,1,464\n")
    run = [sys.executable, script, "before.csv", "after", "--out", "page.md"]
    subprocess.run(run, cwd=tmp_path, check=True)
    assert (tmp_path / "page.md").read_text().splitlines()[4:] == [
        "| stage | jobs before | CPU s before | jobs after | CPU s after |",
        "|---|--:|--:|--:|--:|",
        "| candide, samples | 0 | 0 | 1 | 1 |",
        "| networks of chapter 5 | 1 | 101 | 2 | 81 |",
        "| report | 0 | 0 | 1 | 2 |",
        "| Snakemake itself | 1 | 464 | 1 | 12 |",
        "| clean_up | 0 | 0 | 1 | 3 |",
        "| together | 2 | 565 | 6 | 99 |",
    ]


def test_a_job_that_did_not_end_is_named(script, tmp_path):
    folder = write_logs(tmp_path, {"train/ravdess-N2-seed0": "20:38:44 mien.training.engine: device: cpu\n"})
    run = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert run.returncode == 1
    assert "train/ravdess-N2-seed0.log has no line 'CPU seconds'" in run.stderr


def test_every_command_with_a_log_ends_it_with_its_cpu_time(repository, tmp_path):
    command = [sys.executable, "-m", "mien", "prune", "--root", str(tmp_path), "--keep", "corpora"]
    said = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stderr
    write_logs(tmp_path, {"prune": said})
    run = [sys.executable, repository / "benchmarks" / "stages.py", tmp_path]
    table = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert table.startswith("| stage | jobs | CPU s |\n|---|--:|--:|\n| prune | 1 | ")
