"""Snakemake's scheduler passes about once per finished job; its jobs end when it does, and many jobs are forked."""

import os
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.slow
JOBS = 40
COUNTED = """
from pathlib import Path

schedule = JobScheduler._schedule_reevalutation


def count(self, delay):
    with Path("passes").open("a") as file:
        file.write("pass\\n")
    schedule(self, delay)


JobScheduler._schedule_reevalutation = count


rule all:
    input:
        expand("{k}.done", k=range(%d)),


rule wait:
    output:
        "{k}.done",
    shell:
        "sleep 0.3; touch {output}"
"""


@pytest.mark.parametrize(("ours", "fewer"), [(True, True), (False, False)])
def test_passes_do_not_grow_with_the_jobs_that_are_finished(repository, tmp_path, ours, fewer):
    """Without our rule they do: where this fails, Snakemake is mended, and workflow/scheduler.smk can go."""
    scheduler = f'include: "{repository / "workflow" / "scheduler.smk"}"'
    imported = "from snakemake.scheduling.job_scheduler import JobScheduler"
    (tmp_path / "Snakefile").write_text(f"{scheduler if ours else imported}\n{COUNTED % JOBS}")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    passes = len((tmp_path / "passes").read_text().splitlines())
    assert (passes < 1.5 * JOBS) == fewer, passes


LONG = """
rule all:
    output:
        "made",
    shell:
        "touch begun; sleep 600; touch {output}"
"""


def test_a_run_that_is_stopped_ends_with_its_jobs(repository, tmp_path):
    (tmp_path / "Snakefile").write_text(f'include: "{repository / "workflow" / "scheduler.smk"}"\n{LONG}')
    command = [sys.executable, "-m", "snakemake", "-k", "--cores", "1", "--quiet", "all"]
    with subprocess.Popen(command, cwd=tmp_path) as run:
        while not (tmp_path / "begun").exists():
            assert run.poll() is None
            time.sleep(0.1)
        jobs = psutil.Process(run.pid).children(recursive=True)
        assert jobs
        run.terminate()
        assert run.wait(60) == 1
    assert psutil.wait_procs(jobs, timeout=10)[1] == []
    assert not (tmp_path / "made").exists()


COMMANDS = """
include: "%s"


rule all:
    input:
        expand("{k}.json", k=range(%d)),


rule list:
    output:
        "{k}.json",
    log:
        "{k}.log",
    shell:
        "python -m mien list_runs --folders run{wildcards.k} --out {output} >{log} 2>&1"
"""


@pytest.mark.parametrize("n_jobs", [3, 12])
def test_many_jobs_are_forked_and_fail_one_by_one(repository, tmp_path, n_jobs):
    """A run of few starts the python of the path, which fails here; one of many starts none."""
    (tmp_path / "Snakefile").write_text(COMMANDS % (repository / "workflow" / "scheduler.smk", n_jobs))
    for k in range(1, n_jobs):
        (tmp_path / f"run{k}").mkdir()
        (tmp_path / f"run{k}" / "run.json").write_text("{}")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho started; exit 7\n")
    python.chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "-k", "--cores", "2", "--quiet", "all"]
    environment = os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    logs = [(tmp_path / f"{k}.log").read_text() for k in range(n_jobs)]
    assert run.returncode == 1
    if n_jobs > 8:
        assert "mien list_runs: run0 holds no run.json" in logs[0]
        assert all("CPU seconds" in log for log in logs[1:])
        assert len(list(tmp_path.glob("*.json"))) == n_jobs - 1
    else:
        assert logs == ["started\n"] * n_jobs
