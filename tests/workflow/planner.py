"""Plan with Snakemake: every plan a process of its own, all of them forked from one that has imported it."""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """How a dry run ended and what it wrote to stdout and stderr."""

    returncode: int
    output: str


def plan(folder: Path, *args: str) -> Plan:
    """Return what `snakemake -n` with further arguments says in `folder`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snakemake.cli", "snakemake.workflow", "mien.config.schema", "mien.io.provenance"])
    output = folder.with_name(f"{folder.name}.plan.txt")
    process = context.Process(target=_run, args=(folder, output, args))
    process.start()
    process.join()
    return Plan(process.exitcode, output.read_text())


def _run(folder: Path, output: Path, args: tuple[str, ...]) -> None:
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    from snakemake.cli import main

    sys.argv = ["snakemake", "-n", "--cores", "2", *args]
    main(sys.argv[1:])
