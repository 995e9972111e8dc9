"""Shared by the rules of fuzziness.smk: what its corpus is made with, and which weights its networks start from."""

from mien.config.schema import FuzzinessConfig
from mien.config.schema import VERSIONS, made_as
from mien.io.randomness import seed_for

FUZZY = section(FuzzinessConfig, PARAMS, "fuzziness")
FUZZY_ROWS = {row: PARAMS["variants"][row] for row in FUZZY.rows}
FUZZY_FACES = PARAMS["faces"] | {"rate_fps": FUZZY.rate_fps}
FUZZY_SEED = seed_for(PARAMS["seed"], "fuzziness") % 2**31  # people of their own
# A version with another face has the voices of the clear one: they are not stored again.
VOICED_VERSIONS = [version for version in VERSIONS if not version.endswith("_video")]


def fuzzy_corpus(wildcards):
    """Give the sections with which a version is made: the same people and takes, once each, in all of them."""
    films = {"size_px": FUZZY.size_px, "rate_fps": FUZZY.rate_fps, "takes": 1}
    return sections(
        corpora={FUZZY.corpus: {"source": "synthetic", "actors": FUZZY.actors}},
        synthetic=PARAMS["synthetic"] | films | made_as(wildcards.version),
        seed=FUZZY_SEED,
    )(wildcards)


def fuzzy_first():
    """Give row of pretrain or file -> file of the first weights of the networks."""
    starts = sorted(
        {init for row in FUZZY_ROWS.values() for init in row["init"].values()}
    )
    return {
        init: (
            f"results/training/{PRETRAINED[init]}/{init}/fold0-seed0/model.safetensors"
            if init in PRETRAINED
            else init
        )
        for init in starts
    }


def fuzzy_arguments():
    """Give the models of rows of pretrain as arguments; a file in params.yaml speaks for itself."""
    pairs = [f"{init}={file}" for init, file in fuzzy_first().items() if init != file]
    return f"--init {shlex.join(pairs)}" if pairs else ""
