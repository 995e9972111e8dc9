# Networks that run along with a recording (thesis 4.4, 4.5), what they cost, and how they see sound.
# REQUIRED INPUTS  results/corpora, results/faces, results/sound of streaming.corpus; first weights of rows of pretrain
# OUTPUTS          results/training/<corpus>/<row>/, results/tables/{streams,complexity}.{csv,md}, results/figures/
# COMMANDS         mien train_stream, compare_streams, plot_streams, plot_spectrograms, count_complexity


rule streams_all:
    """Train the running networks and report on them."""
    input:
        stream_runs("run.json"),
        stream_runs("stream.parquet"),
        "results/tables/streams.md",
        "results/tables/complexity.md",
        expand(
            "results/figures/{figure}.{suffix}",
            figure=STRIP_FIGURES,
            suffix=["svg", "png"],
        ),
        expand("results/figures/{figure}.png", figure=SOUND_FIGURES),


# As in training.smk, a job handles a batch of folds, whose size may change between two calls.
for batch in fold_batches(PARAMS["folds"][STREAMED]):

    rule:
        name:
            f"train_stream_{batch[0]}_{batch[-1]}"
        input:
            clips=f"results/corpora/{STREAMED}/clips.parquet",
            folds=f"results/corpora/{STREAMED}/folds.parquet",
            info=f"results/corpora/{STREAMED}/corpus.json",
            faces=f"results/faces/{STREAMED}/manifest.json",
            sound=f"results/sound/{STREAMED}/manifest.json",
            init=lambda wildcards: list(
                initial_files("streams", wildcards.stream).values()
            ),
        output:
            [
                f"results/training/{STREAMED}/{{stream}}/fold{fold}-seed{{seed}}/{file}"
                for fold in batch
                for file in [*RUN_FILES, "stream.parquet"]
            ],
        log:
            f"logs/train_stream/{{stream}}-seed{{seed}}-folds{batch[0]}-{batch[-1]}.log",
        benchmark:
            f"benchmarks/train_stream/{{stream}}-seed{{seed}}-folds{batch[0]}-{batch[-1]}.tsv"
        wildcard_constraints:
            stream=one_of(STREAMS),
        threads: 4 if GPUS_PER_JOB else 1
        resources:
            gpu=GPUS_PER_JOB,
        params:
            code=code("training.stream:train_stream"),
            config=sections(
                "streams.{stream}",
                "streaming",
                "train.width",
                "train.weight_decay",
                "train.dropout",
                "augment",
                "sound",
                "faces",
                "seed",
            ),
            # Depend on `output`, hence not recorded: the size of a batch is no reason to train again.
            folds=folds_of,
            corpus=corpus_of,
            init=lambda wildcards, output: initial_arguments(
                "streams", wildcards.stream
            ),
        shell:
            """
            python -m mien train_stream --config {params.config:q} --jobs {threads} --stream {wildcards.stream} \
                --folds {params.folds} --seeds {wildcards.seed} --data results \
                --out results/training/{params.corpus}/{wildcards.stream} {params.init} >{log:q} 2>&1
            """


rule compare_streams:
    """Say how steady and how right the running networks are, second by second."""
    input:
        runs=stream_runs("run.json"),
        streams=stream_runs("stream.parquet"),
        clips=f"results/corpora/{STREAMED}/clips.parquet",
        info=f"results/corpora/{STREAMED}/corpus.json",
    output:
        csv=report(
            "results/tables/streams.csv",
            caption="../report/streams.rst",
            category="Tables",
            labels={"table": "streams"},
        ),
        md="results/tables/streams.md",
    log:
        "logs/compare_streams.log",
    benchmark:
        "benchmarks/compare_streams/all.tsv"
    params:
        code=code("report.tables.streams:run"),
        config=sections("streaming", "streams", "watch", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien compare_streams --config {params.config:q} --runs {input.runs:q} --clips {input.clips:q} \
            --corpus-info {input.info:q} --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """


rule plot_streams:
    """Show the labels along clips (figures 4.16 and 4.17), and accuracy by seconds seen and heard."""
    input:
        runs=stream_runs("run.json"),
        streams=stream_runs("stream.parquet"),
        clips=f"results/corpora/{STREAMED}/clips.parquet",
        info=f"results/corpora/{STREAMED}/corpus.json",
        faces=f"results/faces/{STREAMED}/manifest.json",
    output:
        report(
            expand("results/figures/{figure}.svg", figure=STRIP_FIGURES),
            caption="../report/strips.rst",
            category="Figures",
        ),
        expand("results/figures/{figure}.png", figure=STRIP_FIGURES),
        "results/figures/anytime.csv",
    log:
        "logs/plot_streams.log",
    benchmark:
        "benchmarks/plot_streams/all.tsv"
    params:
        code=code("report.figures.streams:run"),
        config=sections("streaming", "streams", "watch", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien plot_streams --config {params.config:q} --runs {input.runs:q} --clips {input.clips:q} \
            --corpus-info {input.info:q} --faces results/faces/{STREAMED} --out results/figures >{log:q} 2>&1
        """


rule plot_spectrograms:
    """Show frames and spectrograms, and how segments are cut (figures 1.1, 1.2, 4.18 to 4.20)."""
    input:
        clips=f"results/corpora/{STREAMED}/clips.parquet",
        info=f"results/corpora/{STREAMED}/corpus.json",
        faces=f"results/faces/{STREAMED}/manifest.json",
        sound=f"results/sound/{STREAMED}/manifest.json",
    output:
        report(
            expand("results/figures/{figure}.png", figure=SOUND_FIGURES),
            caption="../report/spectrograms.rst",
            category="Figures",
        ),
    log:
        "logs/plot_spectrograms.log",
    benchmark:
        "benchmarks/plot_spectrograms/all.tsv"
    params:
        code=code("report.figures.spectrograms:run"),
        config=sections("sound", "seed"),
    shell:
        """
        python -m mien plot_spectrograms --config {params.config:q} --clips {input.clips:q} \
            --corpus-info {input.info:q} --faces results/faces/{STREAMED} --sound results/sound/{STREAMED} \
            --out results/figures >{log:q} 2>&1
        """


rule count_complexity:
    """Count parameters and multiply-adds of the listings of thesis 4.4, by their rule and honestly."""
    input:
        thesis="resources/thesis_tables.yaml",
        info=f"results/corpora/{STREAMED}/corpus.json",
    output:
        csv=report(
            "results/tables/complexity.csv",
            caption="../report/complexity.rst",
            category="Tables",
            labels={"table": "complexity"},
        ),
        md="results/tables/complexity.md",
    log:
        "logs/count_complexity.log",
    benchmark:
        "benchmarks/count_complexity/all.tsv"
    params:
        code=code("report.tables.complexity:run"),
        config=sections(
            "scale", "train", "faces", "sound", "variants", "streams", "streaming"
        ),
    shell:
        """
        python -m mien count_complexity --config {params.config:q} --thesis {input.thesis:q} \
            --corpus-info {input.info:q} --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """
