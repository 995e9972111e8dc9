"""Shared by all rules: checked parameters, the table of runs, digests of code, what a rule hands to its command."""

import atexit
import gc
import json
import os
import shlex
import sys
from dataclasses import is_dataclass, replace
from functools import cache
from pathlib import Path

import psutil
from snakemake.exceptions import WorkflowError

from mien import cli, kernels
from mien.config.labels import AS_VECTORS, FROZEN_ENCODERS, VECTORS
from mien.config.runs import list_runs, select_wanted
from mien.config.checks import check_files
from mien.config.rows import read_yaml
from mien.config.fuzziness import VERSIONS, made_as
from mien.config.schema import Params, resolve, section, slice_of
from mien.config.values import adapter
from mien.errors import ConfigError
from mien.io.provenance import code_digest
from mien.io.randomness import seed_for

# Jobs, rules and syntax trees are no garbage, and at the end they go with the process: to look for garbage among them
# took more than half of the CPU time of a dry run.
gc.set_threshold(100_000, 50)
atexit.register(gc.freeze)

# A machine setting, not science: it comes by `--config` and never enters a result. One training at a time takes the
# GPU of a machine; a cluster gives every job its own (profiles/slurm).
COUNTED_ELSEWHERE = "gpus" in config
GPU = int(config.pop("gpus", any(Path("/dev").glob("nvidia[0-9]*"))))
if workflow.is_main_process and not COUNTED_ELSEWHERE and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", 1)
TRAINING_THREADS = 4 if GPU else 1
if workflow.is_main_process:
    kernels.warn(elsewhere=True)

try:
    read_yaml(Path("params.yaml"))  # Snakemake's reader lets a key stand twice
    RESOLVED = resolve(config)
    PARAMS = section(Params, RESOLVED)
    if workflow.is_main_process:
        check_files(PARAMS)
except ConfigError as error:
    raise WorkflowError(str(error)) from None
if workflow.is_main_process and workflow.output_settings.dryrun and PARAMS.scale == "thesis":
    from mien.report.plan import summary  # takes torch, which no other call needs

    print(f"Plan: {summary(PARAMS)}", file=sys.stderr)

RUNS = list_runs(PARAMS)
CORPORA = list(PARAMS.corpora)
FUZZY = PARAMS.fuzziness
PAIR = PARAMS.cross.name
# Versions of the people of the experiment on fuzziness are corpora of their own: corpus -> version.
FUZZY_VERSIONS = {f"{FUZZY.corpus}-{version}": version for version in VERSIONS}
# Corpus -> the name of the adapter that reads it.
ADAPTERS = {corpus: corpus for corpus in CORPORA} | dict.fromkeys(FUZZY_VERSIONS, FUZZY.corpus)
PICTURED = [corpus for corpus in ADAPTERS if corpus != "voxceleb" and corpus not in AS_VECTORS]
# A version with another face has the voices of the clear one: they are not stored again.
VOICED = [
    corpus
    for corpus, adapter in ADAPTERS.items()
    if adapter in ("ravdess", "cremad", "voxceleb") and not corpus.endswith("_video")
]

if (
    workflow.is_main_process
    and not {"--touch", "-t"}.intersection(sys.argv)  # workflow.touch is not known yet
    and any(Path("results/training").glob("*/*/*.json"))
    and not any(Path(".snakemake/metadata").glob("*"))
):
    raise WorkflowError(
        "results/training is here but .snakemake/metadata is not, so changes of params and code would go unseen."
        " If `dvc status` is clean, run `snakemake --touch --forceall`; else `make clean`."
    )


def plain(value):
    """Turn typed parameters into plain ones, without what is as it is by default.

    So neither the order of keys in params.yaml nor a new optional key plans a job; the order of rows does, of those
    that read them.
    """
    if is_dataclass(value):
        return adapter(type(value)).dump_python(value, mode="json", exclude_defaults=True)
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def given(*keys, **literal):
    """Give parts of the parameters, as dotted keys, as one JSON text; `literal` ones replace or join them.

    One text, because Snakemake compares parameters as a set of values without names.
    """
    return json.dumps(slice_of(RESOLVED, *keys) | {key: plain(value) for key, value in literal.items()})


def sections(*keys):
    """Give `given` of keys with wildcards; a function, so that the braces of its text are not taken for wildcards."""
    return lambda wildcards: given(*(key.format(**wildcards) for key in keys))


def entry(command):
    """Name the function of a command as `code_digest` wants it."""
    return f"{cli.STAGES[command].removeprefix('mien.')}:{command}"


def code(*commands):
    """Digest what commands, or further module:function, reach: edits rerun a rule, comments and moved code do not."""
    return lambda wildcards: code_digest(*(one if ":" in one else entry(one) for one in commands))


def one_of(names):
    """Give the expression of a wildcard that is one of `names`; nothing matches it if there are none."""
    return "|".join(sorted(set(names))) or "(?!)"


@cache
def runs_of(*kinds, **asked):
    """List the runs of some kinds, of all that are trained by themselves unless some are named, with these fields."""
    kinds = kinds or ("variant", "baseline", "stream", "classifier", "pretrain")
    chosen = [run for run in RUNS if run.kind in kinds]
    return [run for run in chosen if all(str(getattr(run, key)) == value for key, value in asked.items())]


def manifests(runs):
    """List what the jobs that train runs declare as their output."""
    return list(dict.fromkeys(run.manifest for run in runs))


def data_of(stage, corpora):
    """List the manifests of the shards that a stage makes of some corpora."""
    return expand("results/{stage}/{corpus}/manifest.json", stage=stage, corpus=corpora)


def tables_of(*corpora, names=("clips.parquet", "folds.parquet", "corpus.json")):
    """List tables of some corpora."""
    return expand("results/corpora/{corpus}/{name}", corpus=corpora, name=names)


def with_parts(runs):
    """List runs and, before each, all that it is made from."""
    return [one for run in runs for one in [*with_parts(run.made_from), run]]


# The first result that a run gives: the table of the networks among which `mien predict` has its own.
FIRST_TABLE = next(
    (
        name
        for name, row in PARAMS.tables.items()
        if row.corpus == PARAMS.predict.corpus and PARAMS.predict.joint in row.rows
    ),
    "",
)
EARLY = with_parts(select_wanted(RUNS, f"tables.{FIRST_TABLE}"))
NEEDED_EARLY = {
    *manifests(EARLY),
    *(PARAMS.pretrain[run.name].corpus if run.kind == "pretrain" else run.corpus for run in EARLY),
}


def soon(usual):
    """Give a function that gives jobs of a corpus, or trainings, their usual priority, and more for the first table."""
    return lambda wildcards: usual + 100 * (
        (job(wildcards)[0].manifest if "name" in wildcards.keys() else wildcards.corpus) in NEEDED_EARLY
    )


def records(runs):
    """List the descriptions of runs, by which commands find their folders."""
    return [f"{run.folder}/run.json" for run in runs]


def note_cpu_time():
    """Write down what Snakemake's own process took, as every command does in its log (benchmarks/stages.py).

    With the process that jobs are forked from.
    """
    Path("logs").mkdir(exist_ok=True)
    times = [os.times()[:2], *(child.cpu_times()[:2] for child in psutil.Process().children())]
    with Path("logs/snakemake.log").open("a") as file:
        file.write(f"CPU seconds {sum(map(sum, times)):.2f}\n")
