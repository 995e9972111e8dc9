"""Command get_corpus: synthesise, download, unpack or find a corpus, and write its manifest."""

import importlib
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare what the command reads and writes."""
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument(
        "--out", type=Path, required=True, help="manifest data/NAME.json; the corpus goes to data/NAME/"
    )


def run(args) -> None:
    """Make the corpus available and describe what is there.

    Raises
    ------
    CorpusError : the source is missing, empty, damaged or given out under an agreement.
    """
    from mien.core.config import CorpusConfig, SyntheticConfig, load, section
    from mien.core.files import write_json
    from mien.corpora.adapters import adapter_for
    from mien.corpora.download import download
    from mien.corpora.source import describe_folder, open_source

    params = load(args.config)
    config = section(CorpusConfig, params, "corpora", args.corpus)
    folder = args.out.with_suffix("")
    if config.source == "synthetic":
        # by name: the writers depend on the renderer, the adapters must not
        writer = importlib.import_module("mien.synthetic.corpora")
        synthetic, seed = section(SyntheticConfig, params, "synthetic"), section(int, params, "seed")
        writer.write_corpus(args.corpus, folder, n_actors=config.actors, config=synthetic, seed=seed, n_jobs=args.jobs)
        root = folder
    elif config.source == "download":
        download(args.corpus, adapter_for(args.corpus).ACCESS, folder)
        root = folder
    else:
        root = open_source(args.corpus, Path(config.source), folder)
    manifest = {"corpus": args.corpus, "source": config.source, **describe_folder(root, n_jobs=args.jobs)}
    write_json(args.out, manifest)
    log.info("%s: %d files in %s", args.corpus, manifest["n_files"], manifest["root"])
