"""Command `embed`: the vectors that trained networks judge the clips of a fold by (thesis, figure 5.1).

Writes one table EMBEDDINGS: of every network the training and the test clips that have all of its modalities, looked
at as in evaluation. A network that could not be trained has no rows.
"""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model.safetensors of the fold's runs")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with corpora/, faces/ and sound/")
    parser.add_argument("--out", type=Path, required=True, help="table EMBEDDINGS")


def run(args) -> None:
    """Read the corpus once, show it to every network, write the table."""
    import pandas as pd

    from mien.core import config, tables
    from mien.models.checkpoint import is_bare
    from mien.training import recordings
    from mien.training.embeddings import feature_rows, load_networks
    from mien.training.machine import prepare

    prepare(args.jobs)
    params = config.load(args.config)
    embeddings = config.section(config.EmbeddingsConfig, params, "embeddings")
    sections = {
        "faces": config.section(config.FacesConfig, params, "faces"),
        "sound": config.section(config.SoundConfig, params, "sound"),
    }
    networks = load_networks([path for path in args.models if not is_bare(path)], embeddings)
    modalities = sorted({name for one in networks for name in one.settings.modalities})
    data = recordings.read(args.data, embeddings.corpus, modalities, **sections) if modalities else None
    rows = [tables.empty(tables.EMBEDDINGS), *(feature_rows(network, data) for network in networks)]
    tables.write(args.out, pd.concat(rows, ignore_index=True), tables.EMBEDDINGS)
    log.info("%s: %s", args.out, ", ".join(f"{len(part)} clips of {part.variant.iloc[0]}" for part in rows[1:]) or "-")
