# Sound: from any rate and channel count to 16 kHz mono.
# REQUIRED INPUTS  data/<corpus>.json, results/corpora/<corpus>/clips.parquet
# OUTPUTS          results/sound/<corpus>/manifest.json and a shard per part beside it
# COMMANDS         mien extract_sound


rule sound_all:
    """Store the sound of every corpus with voices."""
    input:
        expand("results/sound/{corpus}/manifest.json", corpus=VOICED),


rule extract_sound:
    """Decode, mix down and resample the sound of a corpus."""
    input:
        manifest="data/{corpus}.json",
        clips="results/corpora/{corpus}/clips.parquet",
    output:
        manifest="results/sound/{corpus}/manifest.json",
    log:
        "logs/extract_sound/{corpus}.log",
    benchmark:
        "benchmarks/extract_sound/{corpus}.tsv"
    priority: 20
    threads: 8
    params:
        code=code("audio.extract:extract_sound"),
        config=sections("sound"),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien extract_sound --config {params.config:q} --jobs {threads} --corpus {wildcards.corpus} \
            --manifest {input.manifest:q} --clips {input.clips:q} --out {params.folder:q} >{log:q} 2>&1
        """
