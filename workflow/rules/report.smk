# Report: the thesis's tables and figures beside ours, headline metrics, and the MLflow store.
# REQUIRED INPUTS  results/training of every run a table lists, resources/thesis_tables.yaml
# OUTPUTS          results/tables/, results/figures/, results/plots/, results/metrics.json, mlflow.db
# COMMANDS         mien build_table, build_overview, plot_confusion, plot_samples, summarise, track; prune


rule report_all:
    """Build every table, every figure and the MLflow store."""
    input:
        expand("results/tables/{table}.{suffix}", table=TABLES, suffix=["csv", "md"]),
        expand(
            "results/figures/{figure}.{suffix}",
            figure=CONFUSED,
            suffix=["svg", "png", "csv"],
        ),
        expand("results/figures/samples-{corpus}.png", corpus=CORPORA),
        expand(
            "results/figures/curves-{trained}.svg",
            trained=ALL_TRAINED,
        ),
        "results/tables/5.4.md",
        "results/tables/4.1.md",
        "results/tables/4.2.md",
        "results/tables/units.md",
        "results/hypotheses.md",
        "results/metrics.json",
        "mlflow.db",


rule build_table:
    """Put a table of the thesis beside ours."""
    input:
        runs=from_table("run.json", runs=True),
        predictions=from_table("predictions.parquet", runs=True),
        info=from_table("corpus.json", runs=False),
        clips=from_table("clips.parquet", runs=False),
        thesis="resources/thesis_tables.yaml",
    output:
        csv=report(
            "results/tables/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        md="results/tables/{table}.md",
    log:
        "logs/build_table/{table}.log",
    benchmark:
        "benchmarks/build_table/{table}.tsv"
    params:
        code=code("report.tables.comparison:build_table"),
        config=sections("tables", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien build_table --config {params.config:q} --table {wildcards.table} --runs {input.runs:q} \
            --clips {input.clips:q} --corpus-info {input.info:q} --thesis {input.thesis:q} \
            --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """


rule build_overview:
    """Put table 5.4, every option of the networks, beside ours."""
    input:
        runs=from_overview("run.json"),
        predictions=from_overview("predictions.parquet"),
        info=expand("results/corpora/{corpus}/corpus.json", corpus=OVERVIEWED),
        clips=expand("results/corpora/{corpus}/clips.parquet", corpus=OVERVIEWED),
        thesis="resources/thesis_tables.yaml",
    output:
        csv=report(
            "results/tables/5.4.csv",
            caption="../report/overview.rst",
            category="Tables",
            labels={"table": "5.4"},
        ),
        md="results/tables/5.4.md",
    log:
        "logs/build_overview/5.4.log",
    benchmark:
        "benchmarks/build_overview/5.4.tsv"
    params:
        code=code("report.tables.overview:build_overview"),
        config=sections("overview", "evaluate", "seed", "scale"),
    shell:
        """
        python -m mien build_overview --config {params.config:q} --runs {input.runs:q} --clips {input.clips:q} \
            --corpus-info {input.info:q} --thesis {input.thesis:q} \
            --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """


rule plot_confusion:
    """Draw the confusion matrices of the joint variants of a table."""
    input:
        runs=from_table("run.json", runs=True),
        predictions=from_table("predictions.parquet", runs=True),
        info=from_table("corpus.json", runs=False),
        clips=from_table("clips.parquet", runs=False),
    output:
        svg=report(
            "results/figures/{figure}.svg",
            caption="../report/confusion.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        png="results/figures/{figure}.png",
        csv="results/figures/{figure}.csv",
    log:
        "logs/plot_confusion/{figure}.log",
    benchmark:
        "benchmarks/plot_confusion/{figure}.tsv"
    params:
        code=code("report.figures.confusion:plot_confusion"),
        config=sections("tables", "seed", "scale"),
        table=lambda wildcards: CONFUSED[wildcards.figure],
    shell:
        """
        python -m mien plot_confusion --config {params.config:q} --table {params.table} --runs {input.runs:q} \
            --clips {input.clips:q} --corpus-info {input.info:q} \
            --out-svg {output.svg:q} --out-png {output.png:q} --out-csv {output.csv:q} >{log:q} 2>&1
        """


rule plot_curves:
    """Draw the learning curves of every network of a corpus."""
    input:
        runs=from_corpus("run.json"),
        history=from_corpus("history.csv"),
        info=info_of,
    output:
        svg=report(
            "results/figures/curves-{trained}.svg",
            caption="../report/curves.rst",
            category="Training",
            labels={"corpus": "{trained}"},
        ),
    log:
        "logs/plot_curves/{trained}.log",
    benchmark:
        "benchmarks/plot_curves/{trained}.tsv"
    wildcard_constraints:
        trained=one_of(ALL_TRAINED),
    params:
        code=code("report.figures.curves:plot_curves"),
    shell:
        """
        python -m mien plot_curves --runs {input.runs:q} --corpus-info {input.info:q} \
            --out-svg {output.svg:q} >{log:q} 2>&1
        """


rule plot_samples:
    """Show faces and spectrograms of a corpus, a row per emotion."""
    input:
        clips="results/corpora/{corpus}/clips.parquet",
        info="results/corpora/{corpus}/corpus.json",
        shards=sample_manifests,
    output:
        png=report(
            "results/figures/samples-{corpus}.png",
            caption="../report/samples.rst",
            category="Corpora",
            labels={"corpus": "{corpus}"},
        ),
    log:
        "logs/plot_samples/{corpus}.log",
    benchmark:
        "benchmarks/plot_samples/{corpus}.tsv"
    params:
        code=code("report.figures.images:plot_samples"),
        config=sections("sound"),
    shell:
        """
        python -m mien plot_samples --config {params.config:q} --clips {input.clips:q} --corpus-info {input.info:q} \
            --faces results/faces/{wildcards.corpus} --sound results/sound/{wildcards.corpus} \
            --out-png {output.png:q} >{log:q} 2>&1
        """


rule summarise:
    """Collect the headline metrics and the curves that DVC compares."""
    input:
        runs=all_runs("run.json"),
        predictions=all_runs("predictions.parquet"),
        history=all_runs("history.csv"),
        clips=expand("results/corpora/{corpus}/clips.parquet", corpus=HEADLINED),
    output:
        metrics="results/metrics.json",
        plots=directory("results/plots"),
    log:
        "logs/summarise.log",
    benchmark:
        "benchmarks/summarise/all.tsv"
    params:
        code=code("report.tables.summary:summarise"),
    shell:
        """
        python -m mien summarise --runs {input.runs:q} --clips {input.clips:q} \
            --out {output.metrics:q} --plots {output.plots:q} >{log:q} 2>&1
        """


rule track:
    """Write the runs into the MLflow store; see them with `mlflow ui`."""
    input:
        runs=all_runs("run.json"),
        predictions=all_runs("predictions.parquet"),
        history=all_runs("history.csv"),
        info=expand("results/corpora/{corpus}/corpus.json", corpus=HEADLINED)
        + [f"results/samples/{CROSS.name}/corpus.json"],
    output:
        update("mlflow.db"),
    log:
        "logs/track.log",
    benchmark:
        "benchmarks/track/all.tsv"
    params:
        code=code("report.track:track"),
    shell:
        """
        python -m mien track --runs {input.runs:q} --corpus-info {input.info:q} \
            --db {output:q} --artifacts mlartifacts >{log:q} 2>&1
        """


rule prune:
    """Delete results of what params.yaml no longer lists; runs whenever it is asked for."""
    log:
        "logs/prune.log",
    params:
        keep=" ".join(kept_folders()),
    shell:
        """
        python -m mien prune --root results --keep {params.keep} >{log:q} 2>&1
        """
