"""Command index_corpus: list the clips, folds and defects of a corpus, and what raters made of the clips."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare what the command reads and writes."""
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--manifest", type=Path, required=True, help="data/NAME.json of get_corpus")
    parser.add_argument("--split", type=Path, help="published division in folds, such as one of resources/splits")
    parser.add_argument("--out", type=Path, required=True, help="folder for four tables and corpus.json")


def run(args) -> None:
    """Index the corpus of the manifest.

    Raises
    ------
    CorpusError : no file fits the grammar, the people do not make the folds, or the division is not of these people.
    """
    from mien.core import tables
    from mien.core.config import load, section
    from mien.core.files import read_json, write_json
    from mien.core.parts import source_root
    from mien.corpora.index import describe, index, votes_of

    n_folds = section(int, load(args.config), "folds", args.corpus)
    root, _ = source_root(args.manifest, args.corpus)
    source = read_json(args.manifest)["source"]
    clips, folds, defects, classes = index(args.corpus, root, n_folds=n_folds, n_jobs=args.jobs, split=args.split)
    tables.write(args.out / "clips.parquet", clips, tables.CLIPS)
    tables.write(args.out / "folds.parquet", folds, tables.FOLDS)
    tables.write(args.out / "defects.parquet", defects, tables.DEFECTS)
    tables.write(args.out / "votes.parquet", votes_of(args.corpus, root), tables.VOTES)
    write_json(args.out / "corpus.json", describe(args.corpus, source, clips, folds, classes))
    log.info(
        "%s: %d clips of %d groups (%d with a picture, %d with a sound), %d folds; findings: %s",
        args.corpus,
        len(clips),
        clips.group.nunique(),
        int(clips.has_video.sum()),
        int(clips.has_audio.sum()),
        folds.fold.nunique(),
        defects.defect.value_counts().sort_index().to_dict() or "none",
    )
