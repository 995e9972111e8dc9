# Studies: what trained networks say of disturbed clips, what they judge by, and networks on people of whom a growing
# share says less and less (fuzziness, thesis 5.1).
# REQUIRED INPUTS  results/training of the rows of sections trust and embeddings, and of first weights
# OUTPUTS          results/embeddings/<corpus>/fold<k>.parquet, results/trust/<corpus>/<row>.parquet,
#                  results/fuzziness/<corpus>/seed<k>/predictions.parquet, results/streams/<corpus>/changes.parquet
# COMMANDS         mien embed, assess, measure_changes, train_fuzzy

CHANGES = f"results/streams/{PARAMS.streaming.corpus}/changes.parquet"
EMBEDDED = PARAMS.embeddings.corpus
EMBEDDINGS = expand(
    "results/embeddings/{corpus}/fold{fold}.parquet",
    corpus=EMBEDDED,
    fold=PARAMS.embeddings.folds,
)


def stages_of(variants):
    """List the stages whose shards variants look at."""
    stages = {"video": "faces", "audio": "sound", "units": "candide"}
    return sorted({stages[modality] for name in variants for modality in PARAMS.variants[name].modalities})


def embedded(wildcards):
    """List the networks of figure 5.1 of one fold, of the first seed."""
    wanted = select_wanted(RUNS, "embeddings")
    return [run for run in wanted if (run.fold, run.seed) == (int(wildcards.fold), 0)]


def fuzzy_init():
    """Give the models of rows of pretrain as arguments; a file in params.yaml speaks for itself."""
    parts = {part.name: part for run in runs_of("fuzziness") for part in run.made_from}
    pairs = [f"{name}={parts[name].folder}/model.safetensors" for name in sorted(parts)]
    return f"--init {shlex.join(pairs)}" if pairs else ""


def fuzzy_parts():
    """List the trainings, and the files that params.yaml names, that first weights come from."""
    parts = [part for run in runs_of("fuzziness") for part in run.made_from]
    inits = {init for name in FUZZY.rows for init in PARAMS.variants[name].init.values()}
    return [*manifests(parts), *sorted(inits - PARAMS.pretrain.keys())]


rule studies_all:
    input:
        EMBEDDINGS,
        expand(
            "results/trust/{corpus}/{name}.parquet",
            corpus=PARAMS.trust.corpora,
            name=PARAMS.trust.asked,
        ),
        manifests(runs_of("fuzziness")),
        [CHANGES] if runs_of("stream") else [],


rule embed:
    """Write down what the networks of figure 5.1 judge the clips of a fold by."""
    input:
        tables_of(EMBEDDED),
        data_of(sorted({"faces", "sound", *stages_of(PARAMS.embeddings.rows.values())}), EMBEDDED),
        lambda wildcards: manifests(embedded(wildcards)),
    output:
        f"results/embeddings/{EMBEDDED}/fold{{fold}}.parquet",
    log:
        f"logs/embed/{EMBEDDED}-fold{{fold}}.log",
    wildcard_constraints:
        fold=r"\d+",
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("embed"),
        config=sections("embeddings", "faces", "sound"),
        models=lambda wildcards: [f"{run.folder}/model.safetensors" for run in embedded(wildcards)],
    shell:
        """
        python -m mien embed --config {params.config:q} --jobs {threads} --models {params.models:q} \
            --data results --out {output:q} >{log:q} 2>&1
        """


# One job handles all networks of a corpus: reading it and importing torch cost as much as a network.
rule assess:
    """Let trained networks judge their test clips again, disturbed and without a modality."""
    input:
        lambda wildcards: tables_of(wildcards.trusted)
        + data_of(stages_of(PARAMS.trust.asked), wildcards.trusted)
        + manifests(select_wanted(RUNS, f"trust.{wildcards.trusted}")),
    output:
        expand("results/trust/{{trusted}}/{name}.parquet", name=PARAMS.trust.asked),
    log:
        "logs/assess/{trusted}.log",
    wildcard_constraints:
        trusted=one_of(PARAMS.trust.corpora),
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("assess"),
        config=sections("trust", "train", "sound", "faces", "seed"),
        runs=lambda wildcards: records(select_wanted(RUNS, f"trust.{wildcards.trusted}")),
    shell:
        """
        python -m mien assess --config {params.config:q} --jobs {threads} --corpus {wildcards.trusted} \
            --runs {params.runs:q} --data results --out results/trust/{wildcards.trusted} >{log:q} 2>&1
        """


rule measure_changes:
    """Let running networks follow test clips after other clips of the same person."""
    input:
        tables_of(PARAMS.streaming.corpus),
        data_of(["faces", "sound"], PARAMS.streaming.corpus),
        manifests(runs_of("stream")),
    output:
        CHANGES,
    log:
        "logs/measure_changes.log",
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("measure_changes"),
        config=sections("streaming", "streams", "sound", "faces", "seed"),
        runs=records(runs_of("stream")),
    shell:
        """
        python -m mien measure_changes --config {params.config:q} --jobs {threads} \
            --runs {params.runs:q} --data results --out {output:q} >{log:q} 2>&1
        """


rule train_fuzzy:
    """Train and test every network under every condition, with people tested in turn."""
    input:
        tables_of(*FUZZY_VERSIONS),
        data_of("faces", FUZZY_VERSIONS),
        data_of("sound", [corpus for corpus in FUZZY_VERSIONS if corpus in VOICED]),
        fuzzy_parts(),
    output:
        f"results/fuzziness/{FUZZY.corpus}/seed{{seed}}/predictions.parquet",
    log:
        "logs/train_fuzzy/seed{seed}.log",
    benchmark:
        "benchmarks/train_fuzzy/seed{seed}.tsv"
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("train_fuzzy"),
        # How many repetitions there are does not matter to one.
        config=lambda wildcards: given(
            "train",
            "augment",
            "sound",
            "seed",
            fuzziness=replace(FUZZY, seeds=1),
            variants={name: PARAMS.variants[name] for name in FUZZY.rows},
            faces=FUZZY_FACES,
        ),
        init=fuzzy_init(),
    shell:
        """
        python -m mien train_fuzzy --config {params.config:q} --jobs {threads} --seed {wildcards.seed} \
            --data results --out {output:q} {params.init} >{log:q} 2>&1
        """
