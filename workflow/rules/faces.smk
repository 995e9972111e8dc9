# Faces: from pictures to square regions and 68 landmarks.
# REQUIRED INPUTS  data/<corpus>.json, results/corpora/<corpus>/clips.parquet
# OUTPUTS          results/faces/<corpus>/manifest.json and a shard per part beside it
# COMMANDS         mien extract_faces


rule faces_all:
    """Find the faces of every corpus with pictures."""
    input:
        expand("results/faces/{corpus}/manifest.json", corpus=PICTURED),


rule extract_faces:
    """Find and follow faces, store their regions and landmarks."""
    input:
        manifest="data/{corpus}.json",
        clips="results/corpora/{corpus}/clips.parquet",
    output:
        manifest="results/faces/{corpus}/manifest.json",
    log:
        "logs/extract_faces/{corpus}.log",
    benchmark:
        "benchmarks/extract_faces/{corpus}.tsv"
    priority: 20
    threads: 8
    params:
        code=code("faces.extract:extract_faces"),
        config=sections("faces"),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien extract_faces --config {params.config:q} --jobs {threads} --corpus {wildcards.corpus} \
            --manifest {input.manifest:q} --clips {input.clips:q} --out {params.folder:q} >{log:q} 2>&1
        """
