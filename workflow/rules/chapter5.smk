# Chapter 5 beside its tables: how the networks are built, what they judge by, how strongly an emotion is acted.
# REQUIRED INPUTS  results/training of the variants in embeddings.rows and intensity.rows, shards of their corpora
# OUTPUTS          results/embeddings/<corpus>/fold<k>.parquet, results/figures/{5.1,5.4,5.5}, results/tables/intensity
# COMMANDS         mien embed, plot_embeddings, draw_networks, compare_intensity

EMBEDDED = TYPED.embeddings.corpus
EMBEDDINGS = [
    f"results/embeddings/{EMBEDDED}/fold{fold}.parquet"
    for fold in TYPED.embeddings.folds
]
GRADED = TYPED.intensity.corpus


def embedded_models(wildcards):
    """List the networks of figure 5.1 of one fold, of the first seed."""
    return [
        f"results/training/{EMBEDDED}/{variant}/fold{wildcards.fold}-seed0/model.safetensors"
        for variant in TYPED.embeddings.rows.values()
    ]


def intensity_runs(file):
    """List one file of every network that says how strongly an emotion is acted."""
    return [
        f"{folder}/{file}"
        for variant in TYPED.intensity.rows
        for folder in run_folders(GRADED, variant, range(TYPED.intensity.folds))
    ]


rule chapter5_all:
    """Draw the networks and what they judge by, and say how well they tell strength."""
    input:
        expand(
            "results/figures/{figure}.{suffix}",
            figure=["5.1", "5.4", "5.5"],
            suffix=["svg", "png"],
        ),
        "results/figures/5.1.csv",
        "results/tables/intensity.csv",
        "results/tables/intensity.md",


rule embed:
    """Write down what the networks of figure 5.1 judge the clips of a fold by."""
    input:
        clips=f"results/corpora/{EMBEDDED}/clips.parquet",
        folds=f"results/corpora/{EMBEDDED}/folds.parquet",
        info=f"results/corpora/{EMBEDDED}/corpus.json",
        faces=f"results/faces/{EMBEDDED}/manifest.json",
        sound=f"results/sound/{EMBEDDED}/manifest.json",
        units=[
            f"results/candide/{EMBEDDED}/manifest.json"
            for variant in TYPED.embeddings.rows.values()
            if "units" in TYPED.variants[variant].modalities
        ],
        models=embedded_models,
    output:
        f"results/embeddings/{EMBEDDED}/fold{{fold}}.parquet",
    log:
        f"logs/embed/{EMBEDDED}-fold{{fold}}.log",
    benchmark:
        f"benchmarks/embed/{EMBEDDED}-fold{{fold}}.tsv"
    wildcard_constraints:
        fold=r"\d+",
    threads: 4 if GPUS_PER_JOB else 1
    resources:
        gpu=GPUS_PER_JOB,
    params:
        code=code("training.embed:embed"),
        config=sections("embeddings", "faces", "sound"),
    shell:
        """
        python -m mien embed --config {params.config:q} --jobs {threads} --models {input.models:q} \
            --data results --out {output:q} >{log:q} 2>&1
        """


rule plot_embeddings:
    """Lay out what networks judge clips by (figure 5.1)."""
    input:
        embeddings=EMBEDDINGS,
        info=f"results/corpora/{EMBEDDED}/corpus.json",
    output:
        svg=report(
            "results/figures/5.1.svg",
            caption="../report/embeddings.rst",
            category="Figures",
            labels={"figure": "5.1"},
        ),
        png="results/figures/5.1.png",
        csv="results/figures/5.1.csv",
    log:
        "logs/plot_embeddings.log",
    benchmark:
        "benchmarks/plot_embeddings/all.tsv"
    params:
        code=code("report.figures.embeddings:run"),
        config=sections("embeddings", "seed"),
    shell:
        """
        python -m mien plot_embeddings --config {params.config:q} --embeddings {input.embeddings:q} \
            --corpus-info {input.info:q} --out-svg {output.svg:q} --out-png {output.png:q} --out-csv {output.csv:q} \
            >{log:q} 2>&1
        """


rule draw_networks:
    """Draw N0, N1 and N2, and N2 over three modalities, from their modules (figures 5.4 and 5.5)."""
    output:
        report(
            expand("results/figures/{figure}.svg", figure=["5.4", "5.5"]),
            caption="../report/networks.rst",
            category="Figures",
        ),
        expand("results/figures/{figure}.png", figure=["5.4", "5.5"]),
    log:
        "logs/draw_networks.log",
    benchmark:
        "benchmarks/draw_networks/all.tsv"
    params:
        code=code("report.figures.networks:run"),
    shell:
        """
        python -m mien draw_networks --out results/figures >{log:q} 2>&1
        """


rule compare_intensity:
    """Say how well networks tell how strongly an emotion is acted."""
    input:
        runs=intensity_runs("run.json"),
        predictions=intensity_runs("predictions.parquet"),
        info=f"results/corpora/{GRADED}/corpus.json",
    output:
        csv=report(
            "results/tables/intensity.csv",
            caption="../report/intensity.rst",
            category="Tables",
            labels={"table": "intensity"},
        ),
        md="results/tables/intensity.md",
    log:
        "logs/compare_intensity.log",
    benchmark:
        "benchmarks/compare_intensity/all.tsv"
    params:
        code=code("report.tables.intensity:run"),
        config=sections("intensity", "evaluate", "scale"),
    shell:
        """
        python -m mien compare_intensity --config {params.config:q} --runs {input.runs:q} \
            --corpus-info {input.info:q} --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """
