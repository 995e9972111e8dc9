# Training: every variant of every table, on every fold and seed.
# REQUIRED INPUTS  results/corpora, results/faces, results/sound of the corpus; what other variants are made from
# OUTPUTS          results/training/<corpus>/<variant>/fold<k>-seed<s>/{run.json,predictions.parquet,history.csv,model.safetensors}
# COMMANDS         mien train


rule training_all:
    """Train everything that a table lists."""
    input:
        variant_runs("run.json"),
        variant_runs("predictions.parquet"),
        variant_runs("history.csv"),
        variant_runs("model.safetensors"),


# A job handles a batch of folds, because importing torch costs more than a fold at mini scale. The outputs are the
# same files whatever the batch, so its size may change between two calls without rerunning anything.
for corpus in TRAINED_CORPORA:
    for batch, names in variant_batches(corpus).items():

        rule:
            name:
                f"train_{corpus}_{batch[0]}_{batch[-1]}"
            input:
                clips=f"results/corpora/{corpus}/clips.parquet",
                folds=f"results/corpora/{corpus}/folds.parquet",
                info=f"results/corpora/{corpus}/corpus.json",
                faces=f"results/faces/{corpus}/manifest.json",
                sound=f"results/sound/{corpus}/manifest.json",
                parts=part_files(corpus, batch),
                units=unit_files(corpus),
                init=lambda wildcards: list(
                    initial_files("variants", wildcards.variant).values()
                ),
            output:
                [
                    f"results/training/{corpus}/{{variant}}/fold{fold}-seed{{seed}}/{file}"
                    for fold in batch
                    for file in RUN_FILES
                ],
            log:
                f"logs/train/{corpus}-{{variant}}-seed{{seed}}-folds{batch[0]}-{batch[-1]}.log",
            benchmark:
                f"benchmarks/train/{corpus}-{{variant}}-seed{{seed}}-folds{batch[0]}-{batch[-1]}.tsv"
            wildcard_constraints:
                variant=one_of(names),
            threads: 4 if GPUS_PER_JOB else 1
            resources:
                gpu=GPUS_PER_JOB,
            params:
                code=code("training.train:train"),
                config=sections(
                    "variants.{variant}", "train", "augment", "sound", "faces", "seed"
                ),
                # Depend on `output`, hence not recorded: the size of a batch is no reason to train again.
                folds=folds_of,
                corpus=corpus_of,
                init=lambda wildcards, output: initial_arguments(
                    "variants", wildcards.variant
                ),
            shell:
                """
                python -m mien train --config {params.config:q} --jobs {threads} --corpus {params.corpus} \
                    --variant {wildcards.variant} --folds {params.folds} --seeds {wildcards.seed} --data results \
                    --out results/training/{params.corpus}/{wildcards.variant} {params.init} >{log:q} 2>&1
                """
