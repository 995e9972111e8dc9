# Pretraining: networks of one modality, trained ahead or fine-tuned from such a one (thesis 4.3, 5.3.2).
# REQUIRED INPUTS  results/corpora/<corpus>, face or sound shards, first weights of another row
# OUTPUTS          results/training/<corpus or corpus_actor>/<row>/fold0-seed0/
# COMMANDS         mien pretrain
# A rule per modality: what networks of pictures depend on is no reason to train those of sound again.


rule pretrain_all:
    """Train every row of pretrain."""
    input:
        pretrain_runs("run.json"),
        pretrain_runs("model.safetensors"),


rule pretrain_pictures:
    """Train a network of pictures ahead."""
    input:
        manifest=pretrain_file("data/{corpus}.json"),
        clips=pretrain_file("results/corpora/{corpus}/clips.parquet"),
        folds=pretrain_file("results/corpora/{corpus}/folds.parquet"),
        info=pretrain_file("results/corpora/{corpus}/corpus.json"),
        shards=pretrain_file("results/faces/{corpus}/manifest.json"),
        init=pretrain_weights,
    output:
        expand("results/training/{{learnt}}/{{row}}/fold0-seed0/{file}", file=RUN_FILES),
    log:
        "logs/pretrain/{learnt}-{row}.log",
    benchmark:
        "benchmarks/pretrain/{learnt}-{row}.tsv"
    wildcard_constraints:
        learnt=one_of(PRETRAINED.values()),
        row=one_of(pretrain_rows("video")),
    priority: 5
    threads: 4 if GPUS_PER_JOB else 1
    resources:
        gpu=GPUS_PER_JOB,
    params:
        code=code("training.pretrain:train_pictures"),
        config=pretrain_sections,
        init=lambda wildcards, input: (
            f"--init {shlex.quote(str(input.init))}" if input.init else ""
        ),
        folder=subpath(output[0], ancestor=2),
    shell:
        """
        python -m mien pretrain --config {params.config:q} --jobs {threads} --row {wildcards.row} --data results \
            --manifest {input.manifest:q} {params.init} --seeds 0 --out {params.folder:q} >{log:q} 2>&1
        """


use rule pretrain_pictures as pretrain_voices with:
    input:
        manifest=pretrain_file("data/{corpus}.json"),
        clips=pretrain_file("results/corpora/{corpus}/clips.parquet"),
        shards=pretrain_file("results/sound/{corpus}/manifest.json"),
        init=pretrain_weights,
    output:
        expand(
            "results/training/{{learnt}}/{{row}}/fold0-seed0/{file}",
            file=[*RUN_FILES, "pairs.parquet"],
        ),
    wildcard_constraints:
        learnt=one_of(PRETRAINED.values()),
        row=one_of(pretrain_rows("audio")),
    params:
        code=code("training.pretrain:train_speakers"),
        config=pretrain_sections,
        init=lambda wildcards, input: (
            f"--init {shlex.quote(str(input.init))}" if input.init else ""
        ),
        folder=subpath(output[0], ancestor=2),
