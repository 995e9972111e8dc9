"""Keeps Snakemake's scheduler from waking itself ever more often."""

import threading

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
