"""Snakemake's scheduler passes about once per finished job, however many jobs are finished."""

import subprocess
import sys

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
