# Corpora: fetch, unpack or synthesise them; list clips, folds and defects.
# REQUIRED INPUTS  none (or the folder or archive that params.yaml names)
# OUTPUTS          data/<corpus>/, data/<corpus>.json, results/corpora/<corpus>/{clips,folds,defects}.parquet, corpus.json
# COMMANDS         mien get_corpus, mien index_corpus
# Data stages come first (priority): they fill all cores, which a training job of one thread would leave half idle.


rule corpora_all:
    """List the clips of every corpus."""
    input:
        expand("results/corpora/{corpus}/corpus.json", corpus=CORPORA),


rule get_corpus:
    """Put a corpus, in its own format, where its manifest says."""
    output:
        manifest="data/{corpus}.json",
    log:
        "logs/get_corpus/{corpus}.log",
    benchmark:
        "benchmarks/get_corpus/{corpus}.tsv"
    priority: 40
    threads: 2
    params:
        code=corpus_code,
        config=corpus_sections,
    shell:
        """
        python -m mien get_corpus --config {params.config:q} --jobs {threads} \
            --corpus {wildcards.corpus} --out {output.manifest:q} >{log:q} 2>&1
        """


rule index_corpus:
    """List the clips, folds, defects and votes of a corpus."""
    input:
        manifest="data/{corpus}.json",
        split=lambda wildcards: TYPED.splits.get(wildcards.corpus, []),
    output:
        clips="results/corpora/{corpus}/clips.parquet",
        folds="results/corpora/{corpus}/folds.parquet",
        defects="results/corpora/{corpus}/defects.parquet",
        votes="results/corpora/{corpus}/votes.parquet",
        info="results/corpora/{corpus}/corpus.json",
    log:
        "logs/index_corpus/{corpus}.log",
    benchmark:
        "benchmarks/index_corpus/{corpus}.tsv"
    priority: 30
    threads: 2
    params:
        code=code("corpora.index:index_corpus", "corpora.{corpus}"),
        config=sections("folds.{corpus}"),
        folder=subpath(output.info, parent=True),
        split=lambda wildcards, input: (
            f"--split {shlex.quote(input.split)}" if input.split else ""
        ),
    shell:
        """
        python -m mien index_corpus --config {params.config:q} --jobs {threads} \
            --corpus {wildcards.corpus} --manifest {input.manifest:q} --out {params.folder:q} {params.split} >{log:q} 2>&1
        """
