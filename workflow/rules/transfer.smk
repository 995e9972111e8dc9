# Transfer learning: table 4.3 and figures 2.12, 4.9 to 4.15.
# REQUIRED INPUTS  runs of the rows of pretrain on FER2013 and of those they start from, face shards
# OUTPUTS          results/tables/4.3.{csv,md}, results/figures/{2.12,4.9,...,4.15}
# COMMANDS         mien compare_transfer, plot_transfer, plot_fer2013, plot_features


rule transfer_all:
    """Build table 4.3 and the figures of chapter 4.3."""
    input:
        "results/tables/4.3.md",
        expand(
            "results/figures/{figure}.{suffix}",
            figure=["2.12", *FER_FIGURES, *CURVE_FIGURES],
            suffix=["svg", "png"],
        ),


rule compare_transfer:
    """Put table 4.3 of the thesis beside ours, with what it cost."""
    input:
        runs=pretrain_runs("run.json", rows=TRANSFERRED),
        predictions=pretrain_runs("predictions.parquet", rows=TRANSFERRED),
        history=pretrain_runs("history.csv", rows=TRANSFERRED),
        clips=f"results/corpora/{FER}/clips.parquet",
        info=f"results/corpora/{FER}/corpus.json",
        infos=TRANSFER_INFO,
        thesis="resources/thesis_tables.yaml",
    output:
        csv=report(
            "results/tables/4.3.csv",
            caption="../report/transfer.rst",
            category="Tables",
            labels={"table": "4.3"},
        ),
        md="results/tables/4.3.md",
    log:
        "logs/compare_transfer.log",
    benchmark:
        "benchmarks/compare_transfer/4.3.tsv"
    params:
        code=code("report.tables.transfer:compare_transfer"),
        config=sections("transfer", "pretrain", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien compare_transfer --config {params.config:q} --runs {input.runs:q} --clips {input.clips:q} \
            --corpus-info {input.info:q} --thesis {input.thesis:q} \
            --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """


rule plot_transfer:
    """Draw the learning-rate study (figure 4.14) and the study of frozen convolutions (figure 4.15)."""
    input:
        runs=lambda wildcards: pretrain_runs(
            "run.json", rows=CURVE_FIGURES[wildcards.study]
        ),
        history=lambda wildcards: pretrain_runs(
            "history.csv", rows=CURVE_FIGURES[wildcards.study]
        ),
        info=f"results/corpora/{FER}/corpus.json",
    output:
        svg=report(
            "results/figures/{study}.svg",
            caption="../report/transfer.rst",
            category="Figures",
            labels={"figure": "{study}"},
        ),
        png="results/figures/{study}.png",
        csv="results/figures/{study}.csv",
    log:
        "logs/plot_transfer/{study}.log",
    benchmark:
        "benchmarks/plot_transfer/{study}.tsv"
    wildcard_constraints:
        study=one_of(CURVE_FIGURES),
    params:
        code=code("report.figures.curves:plot_transfer"),
    shell:
        """
        python -m mien plot_transfer --runs {input.runs:q} --corpus-info {input.info:q} --figure {wildcards.study} \
            --out-svg {output.svg:q} --out-png {output.png:q} --out-csv {output.csv:q} >{log:q} 2>&1
        """


rule plot_fer2013:
    """Show people and pictures, class sizes, balanced copies, and the pictures with the highest loss (4.9 to 4.13)."""
    input:
        runs=pretrain_runs("run.json", rows=JUDGES),
        predictions=pretrain_runs("predictions.parquet", rows=JUDGES),
        corpora=expand(
            "results/corpora/{corpus}/{file}",
            corpus=SHOWN_FACES,
            file=["clips.parquet", "folds.parquet", "corpus.json"],
        ),
        faces=expand("results/faces/{corpus}/manifest.json", corpus=SHOWN_FACES),
    output:
        report(
            expand("results/figures/{figure}.svg", figure=FER_FIGURES),
            caption="../report/fer2013.rst",
            category="Figures",
        ),
        expand("results/figures/{figure}.png", figure=FER_FIGURES),
        expand("results/figures/{figure}.csv", figure=["4.11", "4.12", "4.13"]),
    log:
        "logs/plot_fer2013.log",
    benchmark:
        "benchmarks/plot_fer2013/all.tsv"
    params:
        code=code("report.figures.fer2013:plot_fer2013"),
        people=GALLERY,
        beside=BESIDE,
    shell:
        """
        python -m mien plot_fer2013 --results results --runs {input.runs:q} --people {params.people} \
            --beside {params.beside} --out results/figures >{log:q} 2>&1
        """


rule plot_features:
    """Show learned kernels and feature maps of a CNN-1 (figure 2.12)."""
    input:
        model=FEATURED,
        samples=SAMPLES,
        faces=f"results/faces/{CROSS.test}/manifest.json",
    output:
        svg=report(
            "results/figures/2.12.svg",
            caption="../report/features.rst",
            category="Figures",
            labels={"figure": "2.12"},
        ),
        png="results/figures/2.12.png",
        csv="results/figures/2.12.csv",
    log:
        "logs/plot_features.log",
    benchmark:
        "benchmarks/plot_features/2.12.tsv"
    params:
        code=code("report.figures.images:plot_features"),
    shell:
        """
        python -m mien plot_features --model {input.model:q} --samples results/samples/{CROSS.name} --results results \
            --out-svg {output.svg:q} --out-png {output.png:q} --out-csv {output.csv:q} >{log:q} 2>&1
        """
