# Candide: the mesh fitted to every face; the pictures that the classifiers of chapter 4 learn from.
# REQUIRED INPUTS  results/corpora/<corpus>/clips.parquet, results/faces/<corpus>/manifest.json
# OUTPUTS          results/candide/<corpus>/manifest.json and a folder per part beside it, results/samples/<pair>/,
#                  results/tables/units.{csv,md}
# COMMANDS         mien fit_candide, mien select_samples, mien check_units


rule candide_all:
    """Fit the mesh to every face and select the samples of chapter 4."""
    input:
        expand("results/candide/{corpus}/manifest.json", corpus=PICTURED),
        f"results/samples/{CROSS.name}/samples.parquet",


rule fit_candide:
    """Fit the Candide-3 mesh to the landmarks of every frame of a corpus."""
    input:
        clips="results/corpora/{corpus}/clips.parquet",
        faces="results/faces/{corpus}/manifest.json",
        mesh=MESH,
    output:
        manifest="results/candide/{corpus}/manifest.json",
    log:
        "logs/fit_candide/{corpus}.log",
    benchmark:
        "benchmarks/fit_candide/{corpus}.tsv"
    priority: 10
    params:
        code=code("candide.extract:fit_candide"),
        config=sections("candide"),
        faces=subpath(input.faces, parent=True),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien fit_candide --config {params.config:q} --jobs {threads} --corpus {wildcards.corpus} \
            --clips {input.clips:q} --manifest {input.faces:q} --faces {params.faces:q} \
            --out {params.folder:q} >{log:q} 2>&1
        """


rule select_samples:
    """Select the pictures of four emotions and divide the training people."""
    input:
        clips=expand("results/corpora/{corpus}/clips.parquet", corpus=CROSS_CORPORA),
        info=expand("results/corpora/{corpus}/corpus.json", corpus=CROSS_CORPORA),
        faces=expand("results/faces/{corpus}/manifest.json", corpus=CROSS_CORPORA),
        candide=expand("results/candide/{corpus}/manifest.json", corpus=CROSS_CORPORA),
    output:
        samples=f"results/samples/{CROSS.name}/samples.parquet",
        splits=f"results/samples/{CROSS.name}/splits.parquet",
        info=f"results/samples/{CROSS.name}/corpus.json",
    log:
        "logs/select_samples.log",
    benchmark:
        "benchmarks/select_samples/all.tsv"
    params:
        code=code("classical.samples:run"),
        config=sections("cross", "seed"),
        folder=subpath(output.samples, parent=True),
    shell:
        """
        python -m mien select_samples --config {params.config:q} --corpora results/corpora --faces results/faces \
            --candide results/candide --out {params.folder:q} >{log:q} 2>&1
        """


rule check_units:
    """Compare the fitted action units with what the synthetic people did."""
    input:
        manifests=expand("data/{corpus}.json", corpus=SYNTHETIC_FACES),
        candide=expand("results/candide/{corpus}/manifest.json", corpus=SYNTHETIC_FACES),
        mesh=MESH,
    output:
        csv=report(
            "results/tables/units.csv",
            caption="../report/units.rst",
            category="Tables",
            labels={"table": "action units"},
        ),
        md="results/tables/units.md",
    log:
        "logs/check_units.log",
    benchmark:
        "benchmarks/check_units/all.tsv"
    params:
        code=code("synthetic.check_units:check_units"),
        config=sections("candide", "seed"),
        corpora=" ".join(SYNTHETIC_FACES),
    shell:
        """
        python -m mien check_units --config {params.config:q} --candide results/candide --data data \
            --corpora {params.corpora} --out-csv {output.csv:q} --out-md {output.md:q} >{log:q} 2>&1
        """
