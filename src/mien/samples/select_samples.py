"""Command select_samples: the pictures of four emotions, learnt on some corpora and tested on another.

Writes below --out

samples.parquet  table SAMPLES
splits.parquet   table FOLDS: random divisions of the training people
corpus.json      classes, counts per class of the training side, how many faces were found and fitted (coverage),
                 pictures dropped because they are in both sides (dropped), and a digest
"""

import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare what the command reads and writes."""
    parser.add_argument("--corpora", type=Path, required=True, help="folder with <corpus>/clips.parquet, corpus.json")
    parser.add_argument("--faces", type=Path, required=True, help="folder with <corpus>/<part>, shards of faces")
    parser.add_argument("--candide", type=Path, required=True, help="folder with <corpus>/<part>, tables of fits")
    parser.add_argument("--out", type=Path, required=True, help="results/samples/PAIR")


def run(args) -> None:
    """Select the samples and divide the people.

    Raises
    ------
    CorpusError : a side lacks one of the four emotions.
    ConfigError : the people cannot be divided so that every class is learnt.
    TableError : an earlier stage is missing.
    """
    import pandas as pd

    from mien.core import config, tables
    from mien.core.files import atomic_folder, write_json
    from mien.samples.gather import FRONTAL, drop_copies, gather, require_classes
    from mien.samples.splits import divide

    params = config.load(args.config)
    cross = config.section(config.CrossConfig, params, "cross")
    seed = config.section(int, params, "seed")
    folders = {"corpora": args.corpora, "faces": args.faces, "candide": args.candide}
    listed = pd.concat([gather(corpus, **folders) for corpus in cross.train], ignore_index=True)
    tested = gather(cross.test, **folders)
    frontal = listed[listed.angle == FRONTAL]  # as in the thesis: learnt from the front, tested from other sides too
    training = drop_copies(frontal, tested).assign(role="training")
    tested["role"] = tested.angle.isin(cross.angles).map({True: "test", False: "aside"})
    require_classes(training, "training", cross.train, "add a corpus to cross.train")
    cameras = ", ".join(map(str, sorted(tested.angle.unique())))
    require_classes(
        tested[tested.role == "test"],
        "test",
        [cross.test],
        f"cross.angles are {cross.angles}, it has {cameras} degrees",
    )
    splits = divide(training, n_splits=cross.splits, share=cross.validation, seed=seed, scope=cross.name)
    table = pd.concat([training, tested], ignore_index=True)
    info = describe(cross, table, splits, corpora=args.corpora, faces=args.faces)
    info["dropped"] = len(frontal) - len(training)
    with atomic_folder(args.out) as scratch:
        tables.write(scratch / "samples.parquet", table.drop(columns="sha256"), tables.SAMPLES)
        tables.write(scratch / "splits.parquet", splits, tables.FOLDS)
        write_json(scratch / "corpus.json", info)
    log.info("%s: %s; %d splits", cross.name, info["coverage"], cross.splits)


def describe(cross, table, splits, *, corpora: Path, faces: Path) -> dict[str, Any]:
    """Return what corpus.json holds; the digest covers samples, splits and the shards that hold the pictures."""
    from mien.core.files import digest, read_json
    from mien.samples.face4 import FACE4
    from mien.samples.gather import coverage

    names = [*cross.train, cross.test]
    sources = {str(read_json(corpora / name / "corpus.json")["source"]) for name in names}
    parts = [read_json(faces / name / "manifest.json")["parts"] for name in names]
    labels = table.label[table.role == "training"]
    content = [table.to_json(orient="values", double_precision=15), splits.to_json(orient="values"), parts]
    return {
        "corpus": cross.name,
        "source": "synthetic" if "synthetic" in sources else "+".join(sorted(sources)),
        "classes": list(FACE4),
        "n_clips": len(table),
        "n_actors": int(table.person.nunique()),
        "counts": {name: int((labels == k).sum()) for k, name in enumerate(FACE4)},
        "coverage": coverage(table),
        "digest": digest(content),
    }
