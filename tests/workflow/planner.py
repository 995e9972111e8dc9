"""Plan with Snakemake: every plan a process of its own, all of them forked from one that has imported it."""

import json
import multiprocessing
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """How a dry run ended and what it wrote to stdout and stderr.

    jobs : "rule output ..." -> what Snakemake compares with its memory: the inputs and params of a job.
    """

    returncode: int
    output: str
    jobs: dict[str, list]

    @property
    def rules(self) -> Counter:
        """Return the number of jobs of every rule."""
        assert self.returncode == 0, self.output
        return Counter(job.split()[0] for job in self.jobs)

    def changed_since(self, before: "Plan") -> set[str]:
        """Return the jobs that are new, or that would be run again after the plan `before` was carried out."""
        assert self.returncode == 0, self.output
        return {job for job, known in self.jobs.items() if before.jobs.get(job) != known}


def plan(folder: Path, *args: str) -> Plan:
    """Return what `snakemake -n` with further arguments says in `folder`; its src/mien is digested if it has one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snakemake.cli", "pandas", "mien.config.schema", "mien.io.provenance"])
    output, jobs = (folder.with_name(f"{folder.name}.plan.{end}") for end in ("txt", "json"))
    jobs.write_text("{}")
    process = context.Process(target=_run, args=(folder, output, jobs, args))
    process.start()
    process.join()
    return Plan(process.exitcode, output.read_text(), json.loads(jobs.read_text()))


def _run(folder: Path, output: Path, jobs: Path, args: tuple[str, ...]) -> None:
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    from snakemake.cli import main
    from snakemake.dag import DAG

    from mien.io import provenance

    if (folder / "src" / "mien").is_dir():
        provenance.PACKAGE = folder / "src" / "mien"
        provenance.forget()
    printed = DAG.stats

    def stats(self):
        found = {
            f"{job.rule.name} {' '.join(map(str, job.output))}": [
                sorted(map(str, job.input)),
                sorted(map(str, job.non_derived_params)),
            ]
            for job in self.needrun_jobs(exclude_finished=False)
        }
        jobs.write_text(json.dumps(found))
        return printed(self)

    DAG.stats = stats
    sys.argv = ["snakemake", "-n", "--cores", "2", *args]
    main(sys.argv[1:])
