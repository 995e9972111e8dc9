"""Shared by all stages, no rules: checked parameters, digests, lists."""

import fcntl
import json
from pathlib import Path

from snakemake.exceptions import WorkflowError

from mien.core.config import CORPORA as KNOWN_CORPORA
from mien.core.config import resolve
from mien.core.errors import ConfigError
from mien.core.provenance import code_digest

# Machine settings, not science: they come by `--config` and never enter a result.
FOLDS_PER_JOB = int(
    config.pop("folds_per_job", 0)
)  # 0: all folds in one job, saves start-up time
GPUS_PER_JOB = int(config.pop("gpus", any(Path("/dev").glob("nvidia[0-9]*"))))

try:
    PARAMS = resolve(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

CORPORA = list(PARAMS["corpora"])
PICTURED = [corpus for corpus in CORPORA if corpus != "voxceleb"]
VOICED = [corpus for corpus in CORPORA if corpus in ("ravdess", "cremad", "voxceleb")]
TABLES = PARAMS["tables"]
VARIANTS = list(PARAMS["variants"])
SEEDS = list(range(PARAMS["repeats"]))
TRAINED = sorted(
    {
        (table["corpus"], variant)
        for table in TABLES.values()
        for variant in table["rows"]
    }
)
TRAINED_CORPORA = sorted({corpus for corpus, _ in TRAINED})
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
        "corpora.get_corpus",
        *(["synthetic.corpora", f"synthetic.write_{wildcards.corpus}"] if made else []),
    )


def code(*modules):
    """Digest the code that a command reaches: edits rerun a rule, comments and docstrings do not."""
    return lambda wildcards: code_digest(
        *(module.format(**wildcards) for module in modules)
    )


def fold_batches(corpus):
    """Cut the folds of a corpus into the batches that one training job handles."""
    folds = list(range(PARAMS["folds"][corpus]))
    size = FOLDS_PER_JOB or len(folds)
    return [folds[i : i + size] for i in range(0, len(folds), size)]


def run_folders(corpus, variant, folds=None):
    """List the run folders of a variant, for every fold and seed."""
    folds = range(PARAMS["folds"][corpus]) if folds is None else folds
    return [
        f"results/training/{corpus}/{variant}/fold{fold}-seed{seed}"
        for fold in folds
        for seed in SEEDS
    ]


def frozen_models(corpus, folds):
    """List the checkpoints whose branches a late-fusion variant keeps as they are."""

    def at(wildcards):
        others = sorted(set(PARAMS["variants"][wildcards.variant]["frozen"].values()))
        return [
            f"results/training/{corpus}/{other}/fold{fold}-seed{wildcards.seed}/model.safetensors"
            for other in others
            for fold in folds
        ]

    return at


def folds_of(wildcards, output):
    """Name the folds that a training job writes."""
    return sorted(
        {
            int(Path(file).parent.name.split("-")[0].removeprefix("fold"))
            for file in output
        }
    )


def corpus_of(wildcards, output):
    """Name the corpus of a training job, whose rule has it in its paths and not as a wildcard."""
    return Path(output[0]).parts[2]


def initial_weights(wildcards):
    """List the files of pretrained weights that a variant starts from."""
    return sorted(PARAMS["variants"][wildcards.variant]["init"].values())


def figure_table(wildcards):
    """Name the table whose variants a figure of confusion matrices shows."""
    return next(
        name for name, table in TABLES.items() if table["confusion"] == wildcards.figure
    )


def from_table(file, *, runs):
    """Give a function that lists `file` of every run, or else of the corpus, that a table or figure rests on."""

    def at(wildcards):
        table = TABLES[
            wildcards.table if hasattr(wildcards, "table") else figure_table(wildcards)
        ]
        if not runs:
            return f"results/corpora/{table['corpus']}/{file}"
        return [
            f"{folder}/{file}"
            for variant in table["rows"]
            for folder in run_folders(table["corpus"], variant)
        ]

    return at


def from_corpus(file):
    """Give a function that lists `file` of every run on a corpus."""

    def at(wildcards):
        folders = (
            run_folders(corpus, variant)
            for corpus, variant in TRAINED
            if corpus == wildcards.corpus
        )
        return [f"{folder}/{file}" for part in folders for folder in part]

    return at


def all_runs(file):
    """List one file of every run of every table."""
    return [
        f"{folder}/{file}"
        for corpus, variant in TRAINED
        for folder in run_folders(corpus, variant)
    ]


def sample_manifests(wildcards):
    """List the shard manifests that a corpus has."""
    stages = [
        stage
        for stage, corpora in (("faces", PICTURED), ("sound", VOICED))
        if wildcards.corpus in corpora
    ]
    return [f"results/{stage}/{wildcards.corpus}/manifest.json" for stage in stages]


def kept_folders():
    """List the folders below results/ that the parameters still ask for."""
    stages = (("corpora", CORPORA), ("faces", PICTURED), ("sound", VOICED))
    shards = [f"{stage}/{corpus}" for stage, corpora in stages for corpus in corpora]
    runs = [
        folder.removeprefix("results/")
        for corpus, variant in TRAINED
        for folder in run_folders(corpus, variant)
    ]
    return shards + runs
