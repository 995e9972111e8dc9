"""Keeps Snakemake's scheduler from waking itself ever more often, ends its jobs with it, and spares a dry run pandas.

Jobs of a run of many are forked from a process that has imported the libraries: to import torch, or what a table takes,
costs as much as the whole of most jobs, and was a fifth of the CPU time of a default run.
"""

import contextlib
import importlib
import multiprocessing
import os
import shlex
import subprocess
import threading
from functools import cache
from multiprocessing.connection import wait
from types import SimpleNamespace

import psutil
from snakemake import benchmark
from snakemake.persistence import PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler

from mien import cli

FEW = 8  # jobs; in a run of fewer, each imports what it takes
FORKED = multiprocessing.get_context("forkserver")
# snakemake.cli is the module of the main process, which a forked one imports too.
FORKED.set_forkserver_preload(["mien.cli", "snakemake.cli", "cyclopts.help", "mien.preload"])
STARTING = threading.Lock()


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
# To measure the memory of a job, here also that of the libraries that it was forked with, takes 15 ms: a run in which a
# job was measured every half second spent a minute on it.
benchmark.BENCHMARK_INTERVAL_SHORT = 5.0  # s
# To compare params it imports pandas, a sixth of the CPU time of a dry run, lest one be a data frame; ours are text.
PersistenceBase._serialize_param_pandas = PersistenceBase._serialize_param_builtin


@cache
def is_forked():
    """Say whether jobs are forked: those of a run of many on this machine."""
    return workflow.is_main_process and workflow.local_exec and len(list(workflow.dag.needrun_jobs())) > FEW


def start(command, *args, env=None, **kwargs):
    """Start a shell command as subprocess.Popen does; a command of mien that writes to a log alone may be forked."""
    words = shlex.split(command) if is_forked() else []
    if words[:6] != ["set", "-euo", "pipefail;", "python", "-m", "mien"] or words[-1] != "2>&1":
        return subprocess.Popen(command, *args, env=env, **kwargs)
    job = FORKED.Process(target=cli.run_logged, args=(words[6:-2], words[-2].removeprefix(">"), os.getcwd(), env))
    with STARTING:  # it looks for processes that have ended, and no two threads may read how one did
        job.start()

    def end():
        wait([job.sentinel])
        with STARTING:
            job.join()
        return job.exitcode

    return SimpleNamespace(pid=job.pid, wait=end, kill=job.kill, terminate=job.terminate)


importlib.import_module("snakemake.shell").sp = SimpleNamespace(**{**vars(subprocess), "Popen": start})
