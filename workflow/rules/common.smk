"""Shared by all stages, no rules: checked parameters, digests, lists."""

import fcntl
import json
import shlex
import sys
import threading
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.scheduling.job_scheduler import JobScheduler

from mien.config.schema import (
    CLASSICAL,
    NETWORKS,
    CrossConfig,
    Params,
    PretrainConfig,
    TransferConfig,
    resolve,
    section,
)
from mien.errors import ConfigError
from mien.io.provenance import visible_gpus
from mien.config.runs import needed_folds, parts_of
from mien.io.provenance import code_digest
from mien.report.plan import summary


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


# Machine settings, not science: they come by `--config` and never enter a result.
FOLDS_PER_JOB = int(
    config.pop("folds_per_job", 0)
)  # 0: all folds in one job, saves start-up time
N_GPUS = len(visible_gpus())
COUNTED_ELSEWHERE = "gpus" in config  # a cluster counts its own
GPUS_PER_JOB = int(config.pop("gpus", min(N_GPUS, 1)))
if (
    workflow.is_main_process
    and not COUNTED_ELSEWHERE
    and "gpu" not in workflow.global_resources
):
    workflow.register_resource("gpu", N_GPUS)

try:
    PARAMS = resolve(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

CORPORA = list(PARAMS["corpora"])
PICTURED = [corpus for corpus in CORPORA if corpus != "voxceleb"]
VOICED = [corpus for corpus in CORPORA if corpus in ("ravdess", "cremad", "voxceleb")]
SYNTHETIC_FACES = [
    corpus for corpus in PICTURED if PARAMS["corpora"][corpus]["source"] == "synthetic"
]
TYPED = section(Params, PARAMS)  # with the defaults of what params.yaml leaves out
if (
    workflow.is_main_process
    and workflow.output_settings.dryrun
    and TYPED.scale == "thesis"
):
    print(f"Plan: {summary(TYPED)}", file=sys.stderr)
TABLES = TYPED.tables
CONFUSED = {  # figure of confusion matrices -> table
    table.confusion: name for name, table in TABLES.items() if table.confusion
}
VARIANTS = list(PARAMS["variants"])
SEEDS = list(range(PARAMS["repeats"]))
TRAINED = needed_folds(TYPED)  # (corpus, variant) -> number of folds
TRAINED_CORPORA = sorted({corpus for corpus, _ in TRAINED})
CROSS = section(CrossConfig, PARAMS, "cross")
CLASSIFIERS = PARAMS["classifiers"]
CLASSIC = [name for name, row in CLASSIFIERS.items() if row["model"] in CLASSICAL]
NEURAL = [name for name, row in CLASSIFIERS.items() if row["model"] in NETWORKS]
RUN_FILES = ["run.json", "predictions.parquet", "history.csv", "model.safetensors"]

if (
    workflow.is_main_process
    and not workflow.touch
    and any(Path("results/training").glob("*/*/*/run.json"))
    and not any(Path(".snakemake/metadata").glob("*"))
):
    raise WorkflowError(
        "results/training is here but .snakemake/metadata is not, so changes of params and code would go unseen."
        " Run `dvc pull` for both; or, if `dvc status` is clean, `snakemake --touch --forceall`."
    )


def clear_stale_locks():
    """Remove Snakemake's lock if its owner was killed, so that the next run simply goes on.

    The operating system frees our own lock when its process ends, however it ends; Snakemake's is a plain file.
    """
    Path(".snakemake").mkdir(exist_ok=True)
    ours = Path(".snakemake/alive").open("w")
    try:
        fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None  # another run is alive: Snakemake will say so
    for lock in Path(".snakemake/locks").glob("*.lock"):
        lock.unlink()
    return ours


ALIVE = (
    clear_stale_locks() if workflow.is_main_process else None
)  # held as long as this process lives


def sections(*keys, **literal):
    """Give parts of the parameters, as dotted keys with wildcards, as one canonical JSON text.

    A function of the wildcards, so that its braces are not taken for wildcards; one text, because Snakemake compares
    parameters as a set of values without names.
    """

    def at(wildcards):
        chosen = {}
        for key in keys:
            source, target = PARAMS, chosen
            *parents, last = key.format(**wildcards).split(".")
            for parent in parents:
                source, target = source[parent], target.setdefault(parent, {})
            target[last] = source[last]
        return json.dumps({**chosen, **literal}, sort_keys=True)

    return at


def corpus_sections(wildcards):
    """Give what get_corpus depends on: how people are synthesised matters to a synthetic corpus only."""
    keys = ["corpora.{corpus}"]
    if PARAMS["corpora"][wildcards.corpus]["source"] == "synthetic":
        keys += ["synthetic", "seed"]
    return sections(*keys)(wildcards)


def corpus_code(wildcards):
    """Digest the code that makes a corpus: how people are synthesised matters to a synthetic corpus only."""
    made = PARAMS["corpora"][wildcards.corpus]["source"] == "synthetic"
    return code_digest(
        "corpora.download:get_corpus",
        *(["synthetic.corpora", f"synthetic.write_{wildcards.corpus}"] if made else []),
    )


def code(*modules):
    """Digest the code that a command reaches: edits rerun a rule, comments and docstrings do not."""
    return lambda wildcards: code_digest(
        *(module.format(**wildcards) for module in modules)
    )
