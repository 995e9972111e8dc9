"""Shared by the rules of trust.smk: whose networks are asked again, and what they look at."""

TRUST = PARAMS["trust"]
TRUST_FIGURES = ["reliability", "coverage", "conditions", "people"]


def trust_runs(file):
    """Give a function that lists one file of every run of the rows of section trust on a corpus."""

    def at(wildcards):
        rows, corpus = TRUST["rows"], wildcards.trusted
        shared = range(min(TRAINED[corpus, variant] for variant in rows))
        return [
            f"{folder}/{file}"
            for variant in rows
            for folder in run_folders(corpus, variant, shared)
        ]

    return at


def trust_manifests(wildcards):
    """List the shards that these networks look at."""
    stages = {"video": "faces", "audio": "sound", "units": "candide"}
    used = {
        modality
        for variant in TRUST["rows"]
        for modality in PARAMS["variants"][variant]["modalities"]
    }
    return [
        f"results/{stages[modality]}/{wildcards.trusted}/manifest.json"
        for modality in sorted(used)
    ]
