# Classifiers of chapter 4: geometry with support vector machines, subspaces, small networks; trained on one corpus,
# tested on another. Tables 4.1 and 4.2, and the hypotheses.
# REQUIRED INPUTS  results/samples/<pair>/, face shards and fits of its corpora
# OUTPUTS          results/training/<pair>/, results/tables/4.{1,2}.{csv,md}, results/hypotheses.{md,csv}
# COMMANDS         mien fit_classical, train_classifier, compare_classifiers, judge_hypotheses


rule classifiers_all:
    """Train the classifiers of chapter 4."""
    input:
        classifier_runs("run.json"),
        classifier_runs("predictions.parquet"),
        classifier_runs("history.csv"),
        classifier_runs("model.safetensors", names=NEURAL),


rule fit_classical:
    """Fit a classifier without epochs to every split."""
    input:
        SAMPLES,
    output:
        expand(
            "results/training/{pair}/{{classic}}/fold0-seed{split}/{file}",
            pair=CROSS.name,
            split=range(CROSS.splits),
            file=["run.json", "predictions.parquet", "history.csv"],
        ),
    log:
        "logs/fit_classical/{classic}.log",
    benchmark:
        "benchmarks/fit_classical/{classic}.tsv"
    wildcard_constraints:
        classic="|".join(CLASSIC),
    params:
        code=code("classical.fit:run"),
        config=sections("classifiers.{classic}", "seed"),
    shell:
        """
        python -m mien fit_classical --config {params.config:q} --jobs {threads} --classifier {wildcards.classic} \
            --samples results/samples/{CROSS.name} --data results --splits $(seq 0 $(({CROSS.splits} - 1))) \
            --out results/training/{CROSS.name}/{wildcards.classic} >{log:q} 2>&1
        """


rule train_classifier:
    """Train a network on pictures or on geometry, with every seed."""
    input:
        SAMPLES,
    output:
        expand(
            "results/training/{pair}/{{neural}}/fold0-seed{seed}/{file}",
            pair=CROSS.name,
            seed=range(PARAMS["classify"]["seeds"]),
            file=RUN_FILES,
        ),
    log:
        "logs/train_classifier/{neural}.log",
    benchmark:
        "benchmarks/train_classifier/{neural}.tsv"
    wildcard_constraints:
        neural="|".join(NEURAL),
    threads: 4 if GPUS_PER_JOB else 1
    resources:
        gpu=GPUS_PER_JOB,
    params:
        code=code("training.classify:train_classifier"),
        config=network_sections,
        seeds=" ".join(map(str, range(PARAMS["classify"]["seeds"]))),
    shell:
        """
        python -m mien train_classifier --config {params.config:q} --jobs {threads} --classifier {wildcards.neural} \
            --samples results/samples/{CROSS.name} --data results --seeds {params.seeds} \
            --out results/training/{CROSS.name}/{wildcards.neural} >{log:q} 2>&1
        """


rule compare_classifiers:
    """Put tables 4.1 and 4.2 of the thesis beside ours."""
    input:
        SAMPLES,
        runs=classifier_runs("run.json"),
        predictions=classifier_runs("predictions.parquet"),
        thesis="resources/thesis_tables.yaml",
    output:
        report(
            "results/tables/4.1.csv",
            caption="../report/classifiers.rst",
            category="Tables",
            labels={"table": "4.1"},
        ),
        report(
            "results/tables/4.2.csv",
            caption="../report/repeats.rst",
            category="Tables",
            labels={"table": "4.2"},
        ),
        "results/tables/4.1.md",
        "results/tables/4.2.md",
    log:
        "logs/compare_classifiers.log",
    benchmark:
        "benchmarks/compare_classifiers/all.tsv"
    params:
        code=code("report.tables.classifiers:run"),
        config=sections("classifiers", "cross", "classify", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien compare_classifiers --config {params.config:q} --runs {input.runs:q} \
            --samples results/samples/{CROSS.name} --thesis {input.thesis:q} \
            --out-41 results/tables/4.1 --out-42 results/tables/4.2 >{log:q} 2>&1
        """


rule judge_hypotheses:
    """Judge the thesis's claims, on its own printed numbers and on ours."""
    input:
        SAMPLES,
        runs=classifier_runs("run.json"),
        predictions=classifier_runs("predictions.parquet"),
        transfer=pretrain_runs("run.json", rows=TRANSFERRED),
        transfer_predictions=pretrain_runs("predictions.parquet", rows=TRANSFERRED),
        transfer_history=pretrain_runs("history.csv", rows=TRANSFERRED),
        transfer_clips=f"results/corpora/{FER}/clips.parquet",
        transfer_info=TRANSFER_INFO,
        variants=claimed_runs("run.json"),
        variant_predictions=claimed_runs("predictions.parquet"),
        variant_history=claimed_runs("history.csv"),
        variant_clips=expand(
            "results/corpora/{corpus}/clips.parquet", corpus=TRAINED_CORPORA
        ),
        variant_info=expand(
            "results/corpora/{corpus}/corpus.json", corpus=TRAINED_CORPORA
        ),
        thesis="resources/thesis_tables.yaml",
    output:
        md="results/hypotheses.md",
        csv=report(
            "results/hypotheses.csv",
            caption="../report/hypotheses.rst",
            category="Tables",
            labels={"table": "hypotheses"},
        ),
    log:
        "logs/judge_hypotheses.log",
    benchmark:
        "benchmarks/judge_hypotheses/all.tsv"
    params:
        code=code("report.claims:run"),
        config=sections(
            "classifiers",
            "cross",
            "classify",
            "transfer",
            "pretrain",
            "evaluate",
            "seed",
            "scale",
        ),
    shell:
        """
        python -m mien judge_hypotheses --config {params.config:q} --runs {input.runs:q} \
            --samples results/samples/{CROSS.name} --thesis {input.thesis:q} \
            --transfer-runs {input.transfer:q} --transfer-clips {input.transfer_clips:q} \
            --variant-runs {input.variants:q} --variant-clips {input.variant_clips:q} \
            --out-md {output.md:q} --out-csv {output.csv:q} >{log:q} 2>&1
        """
