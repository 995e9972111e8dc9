# Training: networks that are trained ahead, variants, running networks, and the classifiers of chapter 4.
# REQUIRED INPUTS  results/corpora, results/faces, results/sound, results/candide, results/samples
# OUTPUTS          results/training/<corpus>/<name>/seed<s>.json, which lists the files of the folders beside it:
#                  fold<k>-seed<s>/{run.json,predictions.parquet,history.csv,model.safetensors}
# COMMANDS         mien pretrain, train, fit_baseline, train_stream, train_classifier, fit_classical; list_runs
# A job trains all folds of a seed, or all seeds of a classifier, because importing torch costs more than a fold at mini
# scale. One that was killed goes on where it stopped.


def names_of(kind, *, has_epochs=True):
    """Give the expression of names of the runs of a kind."""
    return one_of(run.name for run in runs_of(kind) if run.has_epochs == has_epochs)


def job(wildcards):
    """List the runs that a training job makes; no two kinds have a corpus and a name in common."""
    return runs_of(**wildcards)


def parts_of(wildcards):
    """List what a training job is made from: other trainings, and files of weights that params.yaml names."""
    parts = [part for run in job(wildcards) for part in run.made_from]
    models = [f"{part.folder}/model.safetensors" for part in parts]
    return [*manifests(parts), *(file for file in job(wildcards)[0].init.values() if file not in models)]


def init_option(wildcards):
    """Give the files of first weights as arguments."""
    files = [f"{modality}={file}".removeprefix("=") for modality, file in job(wildcards)[0].init.items()]
    return f"--init {shlex.join(files)}" if files else ""


def options(text, numbers="fold"):
    """Give a function that fills wildcards, and folds or seeds of a job, into a text."""
    return lambda wildcards: text.format(
        numbers=" ".join(str(getattr(run, numbers)) for run in job(wildcards)), pair=PAIR, **wildcards
    )


def pretrain_row(wildcards):
    """Give a row of pretrain."""
    return PARAMS.pretrain[wildcards.name]


def pretrain_sections(wildcards):
    """Give what a row depends on."""
    return given(f"pretrain.{wildcards.name}", *pretrain_row(wildcards).uses)


def pretrain_code(wildcards):
    """Digest what trains a row: what networks of pictures depend on is no reason to train those of sound again."""
    heard = pretrain_row(wildcards).modality == "audio"
    return code_digest(f"training.pretrain:{'train_speakers' if heard else 'train_pictures'}")


def pretrain_data(wildcards):
    """List what a row learns from."""
    corpus = pretrain_row(wildcards).corpus
    if pretrain_row(wildcards).modality == "audio":
        return [f"data/{corpus}.json", *tables_of(corpus, names=["clips.parquet"]), *data_of("sound", corpus)]
    return [f"data/{corpus}.json", *tables_of(corpus), *data_of("faces", corpus)]


def variant_data(wildcards):
    """List what a variant, or a running network, learns from."""
    row = {**PARAMS.variants, **PARAMS.streams}[wildcards.name]
    if wildcards.corpus in AS_VECTORS:
        return tables_of(wildcards.corpus) + data_of("vectors", wildcards.corpus)
    if kept := [f"{wildcards.corpus}-{name}" for name in row.modalities if name in FROZEN_ENCODERS]:
        return tables_of(wildcards.corpus) + data_of("vectors", kept)
    stages = ["faces", "sound", *(["candide"] if "units" in row.modalities else [])]
    return tables_of(wildcards.corpus) + data_of(stages, wildcards.corpus)


def everybody_parts(wildcards):
    """List what tells how long everybody is trained on, and whose weights are taken instead."""
    folder, weights = f"results/training/{wildcards.corpus}", PARAMS.variants[wildcards.name].weights
    taken = [f"{folder}/{weights}/everybody-seed{wildcards.seed}.json"] if weights else []
    return [f"{folder}/{wildcards.name}/seed{wildcards.seed}.json", *taken]


def variant_sections(wildcards):
    """Give what a variant depends on; if it looks at action units, how they are fitted too."""
    fitted = ["candide"] if "units" in PARAMS.variants[wildcards.name].modalities else []
    return given(f"variants.{wildcards.name}", "train", "augment", "sound", "faces", "seed", *fitted)


def baseline_data(wildcards):
    """List what a classical method beside the networks learns from; a sum of others has nothing of its own."""
    stages = {"audio": "sound", "units": "candide"} | dict.fromkeys(VECTORS, "vectors")
    modality = PARAMS.baselines[wildcards.name].modality
    corpus = f"{wildcards.corpus}-{modality}" if modality in FROZEN_ENCODERS else wildcards.corpus
    return tables_of(wildcards.corpus) + data_of(stages[modality], corpus) if modality else []


def classifier_sections(wildcards):
    """Give what a network of chapter 4 depends on: pictures and vectors are trained differently."""
    kind = "image" if PARAMS.classifiers[wildcards.name].size_px else "vector"
    keys = [f"classifiers.{wildcards.name}", "cross", "classify.learning_rate", "seed"]
    keys += [f"classify.epochs_{kind}", f"classify.batch_{kind}"]
    return given(*keys, *(["augment"] if kind == "image" else []))


rule training_all:
    input:
        manifests(runs_of()),


rule train:
    """Train a variant on every fold that a table or a study asks for."""
    input:
        variant_data,
        parts_of,
    output:
        "results/training/{corpus}/{name}/seed{seed}.json",
    log:
        "logs/train/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/train/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=one_of(run.corpus for run in runs_of("variant") if run.corpus not in AS_VECTORS),
        name=names_of("variant"),
    priority: soon(0)
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    params:
        code=code("train"),
        config=variant_sections,
        options=options("--corpus {corpus} --variant {name} --folds {numbers} --seeds {seed}"),
        init=init_option,
        folders=lambda wildcards: [run.folder for run in job(wildcards)],
    shell:
        """
        python -m mien {rule} --config {params.config:q} --jobs {threads} {params.options} {params.init} \
            --data results --out results/training/{wildcards.corpus}/{wildcards.name} \
            --then list_runs --folders {params.folders:q} --out {output:q} >{log:q} 2>&1
        """


# Train a variant on all people of a corpus, after its folds: what `mien export_model` gives away. Ask for it by name.
use rule train as train_everybody with:
    input:
        variant_data,
        parts_of,
        everybody_parts,
    output:
        "results/training/{corpus}/{name}/everybody-seed{seed}.json",
    log:
        "logs/train_everybody/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/train_everybody/{corpus}-{name}-seed{seed}.tsv"
    params:
        code=code("train_everybody"),
        options=options("--corpus {corpus} --variant {name} --seeds {seed}"),
        folders=lambda wildcards, output: [output[0].removesuffix(".json")],


# Train a variant on a corpus that comes as numbers, on all folds and with all seeds.
use rule train as train_vectors with:
    output:
        "results/training/{corpus}/{name}/seeds.json",
    log:
        "logs/train_vectors/{corpus}-{name}.log",
    benchmark:
        "benchmarks/train_vectors/{corpus}-{name}.tsv"
    wildcard_constraints:
        corpus=one_of(run.corpus for run in runs_of("variant") if run.corpus in AS_VECTORS),
        name=names_of("variant"),
    threads: 1
    resources:
        gpu=0,
    params:
        code=code("train_vectors"),
        options=lambda wildcards: "--corpus {} --variant {} --folds {} --seeds {}".format(
            wildcards.corpus,
            wildcards.name,
            *(" ".join(map(str, sorted({getattr(run, key) for run in job(wildcards)}))) for key in ("fold", "seed")),
        ),


# Train a network of one modality ahead, or fine-tune such a one.
use rule train as pretrain with:
    input:
        pretrain_data,
        parts_of,
    log:
        "logs/pretrain/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/pretrain/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=one_of(run.corpus for run in runs_of("pretrain")),
        name=names_of("pretrain"),
    params:
        code=pretrain_code,
        config=pretrain_sections,
        options=lambda wildcards: f"--row {wildcards.name} --manifest data/{pretrain_row(wildcards).corpus}.json"
        f" --seeds {wildcards.seed}",


# Fit a classical method beside the networks of chapter 5 to every fold.
use rule train as fit_baseline with:
    input:
        baseline_data,
        parts_of,
    log:
        "logs/fit_baseline/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/fit_baseline/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=one_of(run.corpus for run in runs_of("baseline")),
        name=names_of("baseline", has_epochs=False),
    threads: 1
    resources:
        gpu=0,
    params:
        code=code("fit_baseline"),
        config=sections("baselines.{name}", "train.protocol", "sound", "faces"),
        options=options("--corpus {corpus} --baseline {name} --folds {numbers} --seeds {seed}"),


# Train a network that runs along with a recording.
use rule train as train_stream with:
    log:
        "logs/train_stream/{corpus}-{name}-seed{seed}.log",
    benchmark:
        "benchmarks/train_stream/{corpus}-{name}-seed{seed}.tsv"
    wildcard_constraints:
        corpus=PARAMS.streaming.corpus,
        name=names_of("stream"),
    params:
        code=code("train_stream"),
        config=sections(
            *("streams.{name}", "streaming", "train.width", "train.weight_decay", "train.dropout"),
            "train.precision",
            *("augment", "sound", "faces", "seed"),
        ),
        options=options("--stream {name} --folds {numbers} --seeds {seed}"),


# Train a network on pictures or on geometry, with every seed.
use rule train as train_classifier with:
    input:
        SAMPLES,
    output:
        "results/training/{corpus}/{name}/seeds.json",
    log:
        "logs/train_classifier/{corpus}-{name}.log",
    benchmark:
        "benchmarks/train_classifier/{corpus}-{name}.tsv"
    wildcard_constraints:
        corpus=PAIR,
        name=names_of("classifier"),
    params:
        code=code("train_classifier"),
        config=classifier_sections,
        options=options("--classifier {name} --samples results/samples/{pair} --seeds {numbers}", "seed"),


# Fit a classifier without epochs to every division.
use rule train_classifier as fit_classical with:
    log:
        "logs/fit_classical/{corpus}-{name}.log",
    benchmark:
        "benchmarks/fit_classical/{corpus}-{name}.tsv"
    wildcard_constraints:
        corpus=PAIR,
        name=names_of("classifier", has_epochs=False),
    threads: 1
    resources:
        gpu=0,
    params:
        code=code("fit_classical"),
        config=sections("classifiers.{name}", "seed"),
        options=options("--classifier {name} --samples results/samples/{pair} --splits {numbers}", "seed"),
