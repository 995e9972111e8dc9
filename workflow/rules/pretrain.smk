# Pretraining: networks of one modality, trained ahead or fine-tuned from such a one (thesis 4.3, 5.3.2).
# REQUIRED INPUTS  results/corpora/<corpus>, face or sound shards, first weights of another row
# OUTPUTS          results/training/<corpus or corpus_actor>/<row>/fold0-seed0/
# COMMANDS         mien pretrain
# Not part of the default run yet: ask for pretrain_all.


rule pretrain_all:
    """Train every row of pretrain."""
    input:
        pretrain_runs("run.json"),
        pretrain_runs("model.safetensors"),


rule pretrain:
    """Train a network of one modality ahead."""
    input:
        manifest=pretrain_manifest,
        clips=pretrain_file("clips.parquet"),
        folds=pretrain_file("folds.parquet"),
        info=pretrain_file("corpus.json"),
        shards=pretrain_shards,
        init=pretrain_weights,
    output:
        expand("results/training/{{learnt}}/{{row}}/fold0-seed0/{file}", file=RUN_FILES),
    log:
        "logs/pretrain/{learnt}-{row}.log",
    benchmark:
        "benchmarks/pretrain/{learnt}-{row}.tsv"
    wildcard_constraints:
        learnt="|".join(PRETRAINED.values()),
        row="|".join(PRETRAINED),
    priority: 5
    threads: 4 if GPUS_PER_JOB else 1
    resources:
        gpu=GPUS_PER_JOB,
    params:
        code=code("training.pretrain"),
        config=sections(
            "pretrain.{row}",
            "extractor",
            "train.width",
            "augment",
            "sound",
            "faces",
            "seed",
        ),
        init=lambda wildcards, input: (
            f"--init {shlex.quote(str(input.init))}" if input.init else ""
        ),
        folder=subpath(output[0], ancestor=2),
    shell:
        """
        python -m mien pretrain --config {params.config:q} --jobs {threads} --row {wildcards.row} --data results \
            --manifest {input.manifest:q} {params.init} --seeds 0 --out {params.folder:q} >{log:q} 2>&1
        """
