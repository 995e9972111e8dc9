"""Lets a run notice outputs that something else changed since their job wrote them, and make these again."""

from pathlib import Path

from snakemake.logging import logger
from snakemake.persistence import PersistenceBase

from mien.io.ledger import Ledger

WRITTEN = Ledger(Path(".snakemake/outputs.jsonl"), writable=not workflow.output_settings.dryrun)
snakemake_finished, snakemake_incomplete = PersistenceBase.finished, PersistenceBase.incomplete


async def finished(self, job):
    """Note what a job wrote, before Snakemake takes it for finished."""
    if workflow.is_main_process:
        WRITTEN.record(map(str, job.output))
    await snakemake_finished(self, job)


async def incomplete(self, job):
    """Give the outputs that are broken off, not made here, or other than the job wrote them: all are made again.

    Those that were not made here are tables of git, of which nobody can tell whether they fit params.yaml.
    """
    found = await snakemake_incomplete(self, job)
    ours = self.has_metadata(job)
    for output in job.output if workflow.is_main_process and not workflow.touch else ():
        if output in found or not await output.exists():
            continue
        if not ours:
            found.append(output)
        elif change := WRITTEN.find_change(str(output)):
            logger.warning(f"{change} since rule {job.rule.name} made {output}: that is made again.")
            found.append(output)
    return found


PersistenceBase.finished, PersistenceBase.incomplete = finished, incomplete
