# Fuzziness (thesis 5.1): networks on people whose faces or voices say less and less.
# REQUIRED INPUTS  first weights of rows of pretrain
# OUTPUTS          results/fuzziness/<version>/{data,corpora,faces,sound}/,
#                  results/fuzziness/<corpus>/seed<k>/predictions.parquet, results/{figures,tables}/fuzziness.*
# COMMANDS         mien get_corpus, index_corpus, extract_faces, extract_sound, train_fuzzy, plot_fuzziness


rule fuzziness_all:
    """Say what missing and fuzzy information does to the networks."""
    input:
        "results/tables/fuzziness.md",
        "results/tables/fuzziness.csv",
        expand("results/figures/fuzziness.{suffix}", suffix=["svg", "png"]),


rule get_fuzzy_corpus:
    """Make one version of the people: clear, or with one modality missing or blended in every take."""
    output:
        manifest=f"results/fuzziness/{{version}}/data/{FUZZY.corpus}.json",
    log:
        "logs/get_fuzzy_corpus/{version}.log",
    benchmark:
        "benchmarks/get_fuzzy_corpus/{version}.tsv"
    wildcard_constraints:
        version=one_of(VERSIONS),
    priority: 40
    threads: 2
    params:
        code=code(
            "corpora.download:get_corpus",
            "synthetic.corpora",
            f"synthetic.write_{FUZZY.corpus}",
        ),
        config=fuzzy_corpus,
    shell:
        """
        python -m mien get_corpus --config {params.config:q} --jobs {threads} \
            --corpus {FUZZY.corpus} --out {output.manifest:q} >{log:q} 2>&1
        """


rule index_fuzzy_corpus:
    """List the takes of a version; its people are divided when networks are trained."""
    input:
        manifest=f"results/fuzziness/{{version}}/data/{FUZZY.corpus}.json",
    output:
        clips=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/clips.parquet",
        folds=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/folds.parquet",
        defects=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/defects.parquet",
        votes=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/votes.parquet",
        info=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/corpus.json",
    log:
        "logs/index_fuzzy_corpus/{version}.log",
    benchmark:
        "benchmarks/index_fuzzy_corpus/{version}.tsv"
    wildcard_constraints:
        version=one_of(VERSIONS),
    priority: 30
    params:
        code=code("corpora.index:index_corpus", f"corpora.{FUZZY.corpus}"),
        config=sections(folds={FUZZY.corpus: 2}),
        folder=subpath(output.info, parent=True),
    shell:
        """
        python -m mien index_corpus --config {params.config:q} --jobs {threads} \
            --corpus {FUZZY.corpus} --manifest {input.manifest:q} --out {params.folder:q} >{log:q} 2>&1
        """


rule extract_fuzzy_faces:
    """Find and follow the faces of a version."""
    input:
        manifest=f"results/fuzziness/{{version}}/data/{FUZZY.corpus}.json",
        clips=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/clips.parquet",
    output:
        manifest=f"results/fuzziness/{{version}}/faces/{FUZZY.corpus}/manifest.json",
    log:
        "logs/extract_fuzzy_faces/{version}.log",
    benchmark:
        "benchmarks/extract_fuzzy_faces/{version}.tsv"
    wildcard_constraints:
        version=one_of(VERSIONS),
    priority: 20
    threads: 2
    params:
        code=code("faces.extract:extract_faces"),
        config=sections(faces=FUZZY_FACES),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien extract_faces --config {params.config:q} --jobs {threads} --corpus {FUZZY.corpus} \
            --manifest {input.manifest:q} --clips {input.clips:q} --out {params.folder:q} >{log:q} 2>&1
        """


rule extract_fuzzy_sound:
    """Store the sound of a version whose voices differ from the clear one's."""
    input:
        manifest=f"results/fuzziness/{{version}}/data/{FUZZY.corpus}.json",
        clips=f"results/fuzziness/{{version}}/corpora/{FUZZY.corpus}/clips.parquet",
    output:
        manifest=f"results/fuzziness/{{version}}/sound/{FUZZY.corpus}/manifest.json",
    log:
        "logs/extract_fuzzy_sound/{version}.log",
    benchmark:
        "benchmarks/extract_fuzzy_sound/{version}.tsv"
    wildcard_constraints:
        version=one_of(VOICED_VERSIONS),
    priority: 20
    params:
        code=code("audio.extract:extract_sound"),
        config=sections("sound"),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien extract_sound --config {params.config:q} --jobs {threads} --corpus {FUZZY.corpus} \
            --manifest {input.manifest:q} --clips {input.clips:q} --out {params.folder:q} >{log:q} 2>&1
        """


rule train_fuzzy:
    """Train and test every network under every condition, with people tested in turn."""
    input:
        clips=expand(
            "results/fuzziness/{version}/corpora/{corpus}/{file}",
            version=VERSIONS,
            corpus=FUZZY.corpus,
            file=["clips.parquet", "folds.parquet", "corpus.json"],
        ),
        faces=expand(
            "results/fuzziness/{version}/faces/{corpus}/manifest.json",
            version=VERSIONS,
            corpus=FUZZY.corpus,
        ),
        sound=expand(
            "results/fuzziness/{version}/sound/{corpus}/manifest.json",
            version=VOICED_VERSIONS,
            corpus=FUZZY.corpus,
        ),
        init=list(fuzzy_first().values()),
    output:
        predictions=f"results/fuzziness/{FUZZY.corpus}/seed{{seed}}/predictions.parquet",
    log:
        "logs/train_fuzzy/seed{seed}.log",
    benchmark:
        "benchmarks/train_fuzzy/seed{seed}.tsv"
    threads: 4 if GPUS_PER_JOB else 1
    resources:
        gpu=GPUS_PER_JOB,
    params:
        code=code("training.noise:train_fuzzy"),
        # How many repetitions there are does not matter to one.
        config=sections(
            "train",
            "augment",
            "sound",
            "seed",
            fuzziness=PARAMS["fuzziness"] | {"seeds": 1},
            variants=FUZZY_ROWS,
            faces=FUZZY_FACES,
        ),
        init=fuzzy_arguments(),
    shell:
        """
        python -m mien train_fuzzy --config {params.config:q} --jobs {threads} --seed {wildcards.seed} \
            --data results/fuzziness --out {output.predictions:q} {params.init} >{log:q} 2>&1
        """


rule plot_fuzziness:
    """Put the accuracies by share into a figure and a table, and judge the claim."""
    input:
        predictions=expand(
            "results/fuzziness/{corpus}/seed{seed}/predictions.parquet",
            corpus=FUZZY.corpus,
            seed=range(FUZZY.seeds),
        ),
    output:
        csv=report(
            "results/tables/fuzziness.csv",
            caption="../report/fuzziness.rst",
            category="Tables",
            labels={"table": "fuzziness"},
        ),
        md="results/tables/fuzziness.md",
        svg=report(
            "results/figures/fuzziness.svg",
            caption="../report/fuzziness.rst",
            category="Figures",
            labels={"figure": "fuzziness"},
        ),
        png="results/figures/fuzziness.png",
    log:
        "logs/plot_fuzziness.log",
    benchmark:
        "benchmarks/plot_fuzziness/all.tsv"
    params:
        code=code("report.figures.fuzziness:plot_fuzziness"),
        config=sections("fuzziness", "evaluate", "scale", variants=FUZZY_ROWS),
    shell:
        """
        python -m mien plot_fuzziness --config {params.config:q} --predictions {input.predictions:q} \
            --out-figures results/figures --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """
