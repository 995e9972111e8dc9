"""Keeps Snakemake's scheduler from waking itself ever more often, ends its jobs with it, and spares a dry run pandas."""

import contextlib
import threading

import psutil
from snakemake.persistence import PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler


def schedule_reevaluation(self, delay):
    """Wake the scheduler after `delay` seconds, unless a timer that will do so is already running.

    Snakemake's own version starts another timer in every pass, and every finished job adds a pass: after N jobs there
    are N passes a second, a seventh of all CPU time of a default run. It can go when the release that
    requirements.lock names has Snakemake's pull request 3744.
    """
    timer = getattr(self, "reevaluation", None)
    if timer is None or not timer.is_alive():
        self.reevaluation = threading.Timer(delay, self._open_jobs.release)
        self.reevaluation.start()


def exit_with_jobs(self, *args):
    """End a run that gets SIGTERM, and its jobs: Snakemake's own version waits for them, which may take hours.

    A job ends at once; what it has finished so far is kept, as after a kill.
    """
    exit_gracefully(self, *args)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()


exit_gracefully, JobScheduler.exit_gracefully = JobScheduler.exit_gracefully, exit_with_jobs
JobScheduler._schedule_reevalutation = schedule_reevaluation
# To compare params it imports pandas, a sixth of the CPU time of a dry run, lest one be a data frame; ours are text.
PersistenceBase._serialize_param_pandas = PersistenceBase._serialize_param_builtin
