# Trust: what trained networks say of clips that are disturbed, how sure they are, and whom they understand.
# REQUIRED INPUTS  results/training of the rows of section trust; results/corpora, results/faces, results/sound
# OUTPUTS          results/trust/<corpus>/<row>.parquet, results/tables/trust-<corpus>.{csv,md}, results/figures/trust-*
# COMMANDS         mien assess, build_trust, plot_trust


rule trust_all:
    """Say how far trained networks can be trusted."""
    input:
        expand("results/tables/trust-{corpus}.md", corpus=TRUST["corpora"]),
        expand(
            "results/figures/trust-{corpus}-{figure}.{suffix}",
            corpus=TRUST["corpora"],
            figure=TRUST_FIGURES,
            suffix=["svg", "png"],
        ),


# One job handles all networks of a corpus: reading it and importing torch cost as much as a network.
rule assess:
    """Let trained networks judge their test clips again, disturbed and without a modality."""
    input:
        clips="results/corpora/{trusted}/clips.parquet",
        folds="results/corpora/{trusted}/folds.parquet",
        info="results/corpora/{trusted}/corpus.json",
        shards=trust_manifests,
        runs=trust_runs("run.json"),
        predictions=trust_runs("predictions.parquet"),
        models=trust_runs("model.safetensors"),
    output:
        expand("results/trust/{{trusted}}/{variant}.parquet", variant=TRUST["rows"]),
    log:
        "logs/assess/{trusted}.log",
    benchmark:
        "benchmarks/assess/{trusted}.tsv"
    wildcard_constraints:
        trusted=one_of(TRUST["corpora"]),
    threads: 4 if GPUS_PER_JOB else 1
    resources:
        gpu=GPUS_PER_JOB,
    params:
        code=code("training.robustness:assess"),
        config=sections("trust", "train", "sound", "faces", "seed"),
    shell:
        """
        python -m mien assess --config {params.config:q} --jobs {threads} --corpus {wildcards.trusted} \
            --runs {input.runs:q} --data results --out results/trust/{wildcards.trusted} >{log:q} 2>&1
        """


rule build_trust:
    """Say how sure networks are and whether rightly, whom they understand, and what disturbs them."""
    input:
        runs=trust_runs("run.json"),
        predictions=trust_runs("predictions.parquet"),
        assessed=expand(
            "results/trust/{{trusted}}/{variant}.parquet", variant=TRUST["rows"]
        ),
        clips="results/corpora/{trusted}/clips.parquet",
        votes="results/corpora/{trusted}/votes.parquet",
        info="results/corpora/{trusted}/corpus.json",
    output:
        csv=report(
            "results/tables/trust-{trusted}.csv",
            caption="../report/trust.rst",
            category="Tables",
            labels={"table": "trust, {trusted}"},
        ),
        md="results/tables/trust-{trusted}.md",
    log:
        "logs/build_trust/{trusted}.log",
    benchmark:
        "benchmarks/build_trust/{trusted}.tsv"
    wildcard_constraints:
        trusted=one_of(TRUST["corpora"]),
    params:
        code=code("report.tables.trust:run"),
        config=sections("trust", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien build_trust --config {params.config:q} --corpus {wildcards.trusted} --runs {input.runs:q} \
            --assessed results/trust/{wildcards.trusted} --clips {input.clips:q} --votes {input.votes:q} \
            --corpus-info {input.info:q} --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """


rule plot_trust:
    """Draw reliability, risk and coverage, the conditions, and who is judged right."""
    input:
        table="results/tables/trust-{trusted}.csv",
        info="results/corpora/{trusted}/corpus.json",
    output:
        report(
            expand(
                "results/figures/trust-{{trusted}}-{figure}.svg", figure=TRUST_FIGURES
            ),
            caption="../report/trust_figures.rst",
            category="Figures",
        ),
        expand("results/figures/trust-{{trusted}}-{figure}.png", figure=TRUST_FIGURES),
    log:
        "logs/plot_trust/{trusted}.log",
    benchmark:
        "benchmarks/plot_trust/{trusted}.tsv"
    wildcard_constraints:
        trusted=one_of(TRUST["corpora"]),
    params:
        code=code("report.figures.trust:run"),
    shell:
        """
        python -m mien plot_trust --table {input.table:q} --corpus-info {input.info:q} \
            --out results/figures >{log:q} 2>&1
        """
