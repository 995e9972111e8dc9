"""Shared by all stages, no rules: which runs there are, and which files they read and leave."""

STREAMED = PARAMS["streaming"]["corpus"]
STREAMS = list(PARAMS["streams"])
STRIP_FIGURES = ["4.16", "4.17", "anytime"]
SOUND_FIGURES = ["1.1", "1.2", "4.18", "4.19", "4.20"]
MESH = [
    f"resources/candide3/{table}.csv"
    for table in ("vertices", "faces", "units", "displacements")
]
CROSS_CORPORA = [*CROSS.train, CROSS.test]
SAMPLES = [
    f"results/samples/{CROSS.name}/{file}"
    for file in ("samples.parquet", "splits.parquet", "corpus.json")
]
# The first structural SVM of action units: its classes colour figure 4.5.
SHOWN = next(
    (
        name
        for name in CLASSIC
        if (CLASSIFIERS[name]["features"], CLASSIFIERS[name]["model"])
        == ("AU8", "ssvm")
    ),
    None,
)
MESH_FIGURES = ["3.8", "4.1", "4.2", "4.3", "4.4"]
PICTURE_FIGURES = ["3.1", "4.6", "4.7", "4.8"]


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


def classifier_runs(file, *, names=None):
    """List one file of every split or seed of the classifiers of chapter 4."""
    return [
        f"results/training/{CROSS.name}/{name}/fold0-seed{seed}/{file}"
        for name in (CLASSIFIERS if names is None else names)
        for seed in range(
            CROSS.splits if name in CLASSIC else PARAMS["classify"]["seeds"]
        )
    ]


def network_sections(wildcards):
    """Give what a network of chapter 4 depends on: pictures and vectors are trained differently."""
    kind = "image" if CLASSIFIERS[wildcards.neural]["size_px"] else "vector"
    keys = ["cross", "classifiers.{neural}", "classify.learning_rate", "seed"]
    keys += [f"classify.epochs_{kind}", f"classify.batch_{kind}"]
    return sections(*keys, *(["augment"] if kind == "image" else []))(wildcards)


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
    """Give a function that lists `file` of every run with epochs on a corpus, or on the pair of chapter 4."""

    def at(wildcards):
        if wildcards.trained == CROSS.name:
            return classifier_runs(file, names=NEURAL)
        folders = (
            run_folders(corpus, variant)
            for corpus, variant in TRAINED
            if corpus == wildcards.trained
        )
        along = stream_runs(file) if wildcards.trained == STREAMED else []
        rows = [
            row for row, learnt in PRETRAINED.items() if learnt == wildcards.trained
        ]
        variants = [f"{folder}/{file}" for part in folders for folder in part]
        return variants + along + pretrain_runs(file, rows=rows)

    return at


def info_of(wildcards):
    """Name the description of what was trained on."""
    if wildcards.trained == CROSS.name:
        return f"results/samples/{CROSS.name}/corpus.json"
    return f"results/corpora/{wildcards.trained.removesuffix('_actor')}/corpus.json"


def variant_runs(file):
    """List one file of every run of every table of variants."""
    return [
        f"{folder}/{file}"
        for corpus, variant in TRAINED
        for folder in run_folders(corpus, variant)
    ]


def stream_runs(file):
    """List one file of every network that runs along with a recording."""
    return [
        f"{folder}/{file}"
        for stream in STREAMS
        for folder in run_folders(STREAMED, stream)
    ]


def all_runs(file):
    """List one file of every run."""
    ahead = classifier_runs(file) + pretrain_runs(file)
    return variant_runs(file) + stream_runs(file) + ahead


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
    stages = (
        ("corpora", CORPORA),
        ("faces", PICTURED),
        ("sound", VOICED),
        ("candide", PICTURED),
        ("samples", [CROSS.name]),
    )
    shards = [f"{stage}/{corpus}" for stage, corpora in stages for corpus in corpora]
    runs = [
        str(Path(file).parent.relative_to("results")) for file in all_runs("run.json")
    ]
    return shards + runs
