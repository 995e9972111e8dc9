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


def fold_batches(n_folds):
    """Cut folds into the batches that one training job handles."""
    size = FOLDS_PER_JOB or n_folds
    return [tuple(range(n_folds))[i : i + size] for i in range(0, n_folds, size)]


def variant_batches(corpus):
    """Give batch of folds -> the variants that are trained on them by a job each."""
    batches = {}
    for (trained_on, variant), n_folds in TRAINED.items():
        for batch in fold_batches(n_folds) if trained_on == corpus else ():
            batches.setdefault(batch, []).append(variant)
    return batches


def run_folders(corpus, name, folds=None):
    """List the run folders of a variant, on every fold it is trained on unless some are named, or of a stream."""
    n_folds = TRAINED.get((corpus, name), PARAMS["folds"][corpus])
    return [
        f"results/training/{corpus}/{name}/fold{fold}-seed{seed}"
        for fold in (range(n_folds) if folds is None else folds)
        for seed in SEEDS
    ]


def part_files(corpus, folds):
    """List what a variant is made from: the models whose branches it keeps, the histories that weigh its losses."""

    def at(wildcards):
        row = TYPED.variants[wildcards.variant]
        files = [(other, "model.safetensors") for other in row.frozen.values()]
        files += [(other, "history.csv") for other in row.blend.values()]
        return [
            f"results/training/{corpus}/{other}/fold{fold}-seed{wildcards.seed}/{file}"
            for other, file in sorted(set(files))
            for fold in folds
        ]

    return at


def unit_files(corpus):
    """Name the fitted action units of a corpus for variants that look at them."""

    def at(wildcards):
        looks = "units" in TYPED.variants[wildcards.variant].modalities
        return [f"results/candide/{corpus}/manifest.json"] if looks else []

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


def from_table(file, *, runs):
    """Give a function that lists `file` of every run, or else of the corpus, that a table or figure rests on."""

    def at(wildcards):
        named = hasattr(wildcards, "table")
        table = TABLES[wildcards.table if named else CONFUSED[wildcards.figure]]
        if not runs:
            return f"results/corpora/{table.corpus}/{file}"
        folds = range(table.folds or PARAMS["folds"][table.corpus])
        return [
            f"{folder}/{file}"
            for variant in table.rows
            for folder in run_folders(table.corpus, variant, folds)
        ]

    return at


OVERVIEWED = list(PARAMS["overview"]["folds"])  # corpora of table 5.4


def from_overview(file):
    """List `file` of every run that table 5.4 rests on, in the order of its rows."""
    return [
        f"{folder}/{file}"
        for variant, row in TYPED.overview.rows.items()
        for corpus in row.corpora
        for folder in run_folders(corpus, variant, range(TYPED.overview.folds[corpus]))
    ]


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


def claimed_runs(file):
    """List one file of every run that the verdicts on chapter 5 may rest on: of networks that name emotions."""
    return [
        f"{folder}/{file}"
        for corpus, variant in TRAINED
        if TYPED.variants[variant].target == "label"
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
        ("embeddings", [EMBEDDED]),
        ("trust", TRUST["corpora"]),
        *(
            ("fuzziness", [f"{version}/{stage}/{FUZZY.corpus}" for version in VERSIONS])
            for stage in ("corpora", "faces", "sound", "data")
        ),
        (
            "fuzziness",
            [f"{version}/data/{FUZZY.corpus}.truth" for version in VERSIONS],
        ),
        *(("fuzziness", [f"{FUZZY.corpus}/seed{k}"]) for k in range(FUZZY.seeds)),
    )
    shards = [f"{stage}/{corpus}" for stage, corpora in stages for corpus in corpora]
    runs = [
        str(Path(file).parent.relative_to("results")) for file in all_runs("run.json")
    ]
    return shards + runs
