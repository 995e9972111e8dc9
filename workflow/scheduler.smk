"""Keeps Snakemake's scheduler from waking itself ever more often, and a dry run from importing pandas."""

import threading

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


JobScheduler._schedule_reevalutation = schedule_reevaluation
# To compare params it imports pandas, a sixth of the CPU time of a dry run, lest one be a data frame; ours are text.
PersistenceBase._serialize_param_pandas = PersistenceBase._serialize_param_builtin
