# Training: networks that are trained ahead, variants, running networks, and the classifiers of chapter 4.
# REQUIRED INPUTS  results/corpora, results/faces, results/sound, results/candide, results/samples
# OUTPUTS          results/training/<corpus>/<name>/seed<s>.json, which lists the files of the folders beside it:
#                  fold<k>-seed<s>/{run.json,predictions.parquet,history.csv,model.safetensors}
# COMMANDS         mien pretrain, train, train_stream, train_classifier, fit_classical; list_runs
# A job trains all folds of a seed, or all seeds of a classifier, because importing torch costs more than a fold at mini
# scale. One that was killed goes on where it stopped.


def names_of(kind, *, has_epochs=True):
    """List the names of the runs of a kind."""
    return {run.name for run in runs_of(kind) if run.has_epochs == has_epochs}


def folders_of(kind):
    """Give a function that lists the folders that a training job makes."""
    return lambda wildcards: shlex.join(run.folder for run in runs_of(kind, **wildcards))


def folds_of(kind):
    """Give a function that lists the folds that a training job makes."""
    return lambda wildcards: [run.fold for run in runs_of(kind, **wildcards)]


def seeds_of(wildcards):
    """List the seeds, or divisions, of a classifier."""
    return [run.seed for run in runs_of("classifier", name=wildcards.name)]


def starts_of(kind, name):
    """Give modality -> first weights of a row of variants or streams, or of one of pretrain, whose key is empty."""
    if kind == "pretrain":
        init = PARAMS.pretrain[name].init
        return {} if init in ("random", "none") else {"": init}
    rows = PARAMS.variants if kind == "variant" else PARAMS.streams
    return dict(sorted(rows[name].init.items()))


def parts_of(kind):
    """Give a function that lists what a training job is made from: other trainings, files that params.yaml names."""

    def at(wildcards):
        made_from = (part for run in runs_of(kind, **wildcards) for part in run.made_from)
        starts = starts_of(kind, wildcards.name).values()
        return [*manifests(made_from), *(init for init in starts if init not in PARAMS.pretrain)]

    return at


def init_option(kind):
    """Give a function that gives the files of first weights as arguments."""

    def at(wildcards):
        models = {run.name: f"{run.folder}/model.safetensors" for run in runs_of("pretrain")}
        starts = starts_of(kind, wildcards.name)
        pairs = [f"{modality}={models.get(init, init)}".removeprefix("=") for modality, init in starts.items()]
        return f"--init {shlex.join(pairs)}" if pairs else ""

    return at


def pretrain_sections(wildcards):
    """Give what a row depends on; its place in table 4.3 is no reason to train it again."""
    row = PARAMS.pretrain[wildcards.name]
    return given(*row.uses, pretrain={wildcards.name: replace(row, thesis="")})


def pretrain_code(wildcards):
    """Digest what trains a row: what networks of pictures depend on is no reason to train those of sound again."""
    heard = PARAMS.pretrain[wildcards.name].modality == "audio"
    return code_digest(f"training.pretrain:{'train_row_speakers' if heard else 'train_row'}")


def pretrain_data(wildcards):
    """List what a row learns from."""
    row = PARAMS.pretrain[wildcards.name]
    if row.modality == "audio":
        return tables_of(row.corpus, names=["clips.parquet"]) + data_of("sound", row.corpus)
    return tables_of(row.corpus) + data_of("faces", row.corpus)


def variant_data(wildcards):
    """List what a variant learns from."""
    looks = "units" in PARAMS.variants[wildcards.name].modalities
    stages = ["faces", "sound", *(["candide"] if looks else [])]
    return tables_of(wildcards.corpus) + data_of(stages, wildcards.corpus)


def classifier_sections(wildcards):
    """Give what a network of chapter 4 depends on: pictures and vectors are trained differently."""
    kind = "image" if PARAMS.classifiers[wildcards.name].size_px else "vector"
    keys = [f"classifiers.{wildcards.name}", "cross", "classify.learning_rate", "seed"]
    keys += [f"classify.epochs_{kind}", f"classify.batch_{kind}"]
    return given(*keys, *(["augment"] if kind == "image" else []))


rule training_all:
    input:
        manifests(run for run in RUNS if run.kind != "fuzziness"),


rule pretrain:
    """Train a network of one modality ahead, or fine-tune such a one."""
    input:
        pretrain_data,
        parts_of("pretrain"),
        corpus=lambda wildcards: f"data/{PARAMS.pretrain[wildcards.name].corpus}.json",
    output:
        "results/training/{corpus}/{name}/seed{seed}.json",
    log:
        "logs/pretrain/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/pretrain/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=one_of(run.corpus for run in runs_of("pretrain")),
        name=one_of(PARAMS.pretrain),
    priority: 5
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=pretrain_code,
        config=pretrain_sections,
        init=init_option("pretrain"),
        folders=folders_of("pretrain"),
    shell:
        """
        python -m mien pretrain --config {params.config:q} --jobs {threads} --row {wildcards.name} --data results \
            --manifest {input.corpus:q} {params.init} --seeds {wildcards.seed} \
            --out results/training/{wildcards.corpus}/{wildcards.name} >{log:q} 2>&1
        python -m mien list_runs --folders {params.folders} --out {output:q} >>{log:q} 2>&1
        """


rule train:
    """Train a variant on every fold that a table or a study asks for."""
    input:
        variant_data,
        parts_of("variant"),
    output:
        "results/training/{corpus}/{name}/seed{seed}.json",
    log:
        "logs/train/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/train/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=one_of(run.corpus for run in runs_of("variant")),
        name=one_of(names_of("variant")),
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("train"),
        config=sections("variants.{name}", "train", "augment", "sound", "faces", "seed"),
        option=lambda wildcards: f"--corpus {wildcards.corpus} --variant {wildcards.name}",
        folds=folds_of("variant"),
        init=init_option("variant"),
        folders=folders_of("variant"),
    shell:
        """
        python -m mien {rule} --config {params.config:q} --jobs {threads} {params.option} --folds {params.folds} \
            --seeds {wildcards.seed} --data results --out results/training/{wildcards.corpus}/{wildcards.name} \
            {params.init} >{log:q} 2>&1
        python -m mien list_runs --folders {params.folders} --out {output:q} >>{log:q} 2>&1
        """


# Train a network that runs along with a recording.
use rule train as train_stream with:
    input:
        lambda wildcards: tables_of(wildcards.corpus)
        + data_of(["faces", "sound"], wildcards.corpus),
        parts_of("stream"),
    log:
        "logs/train_stream/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/train_stream/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=PARAMS.streaming.corpus,
        name=one_of(PARAMS.streams),
    params:
        code=code("train_stream"),
        config=sections(
            "streams.{name}",
            "streaming",
            "train.width",
            "train.weight_decay",
            "train.dropout",
            "augment",
            "sound",
            "faces",
            "seed",
        ),
        option=lambda wildcards: f"--stream {wildcards.name}",
        folds=folds_of("stream"),
        init=init_option("stream"),
        folders=folders_of("stream"),


rule train_classifier:
    """Train a network on pictures or on geometry, with every seed."""
    input:
        SAMPLES,
    output:
        f"results/training/{PAIR}/{{name}}/seeds.json",
    log:
        "logs/train_classifier/{name}.log",
    benchmark:
        "benchmarks/train_classifier/{name}.tsv"
    wildcard_constraints:
        name=one_of(names_of("classifier")),
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("train_classifier"),
        config=classifier_sections,
        seeds=lambda wildcards: ["--seeds", *seeds_of(wildcards)],
        folders=folders_of("classifier"),
    shell:
        """
        python -m mien {rule} --config {params.config:q} --jobs {threads} --classifier {wildcards.name} \
            --samples results/samples/{PAIR} --data results {params.seeds} \
            --out results/training/{PAIR}/{wildcards.name} >{log:q} 2>&1
        python -m mien list_runs --folders {params.folders} --out {output:q} >>{log:q} 2>&1
        """


# Fit a classifier without epochs to every division.
use rule train_classifier as fit_classical with:
    log:
        "logs/fit_classical/{name}.log",
    benchmark:
        "benchmarks/fit_classical/{name}.tsv"
    wildcard_constraints:
        name=one_of(names_of("classifier", has_epochs=False)),
    threads: 1
    resources:
        gpu=0,
    params:
        code=code("fit_classical"),
        config=sections("classifiers.{name}", "seed"),
        seeds=lambda wildcards: ["--splits", *seeds_of(wildcards)],
