"""Command `embed`: the vectors that trained networks judge the clips of a fold by (thesis, figure 5.1).

They are the input of a network's scoring component: f_v or f_a of one modality, g_va of both (thesis 5.1).
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from mien.config import schema
from mien.config.schema import EmbeddingsConfig, SoundConfig
from mien.errors import ModelError
from mien.io import tables
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network
from mien.training import clips as media
from mien.training import engine, run_folder
from mien.training.clips import Batch, ClipDataset, Sampling, complete, evaluation_batches, network_inputs, split

log = logging.getLogger(__name__)

ROLES = ("training", "test")
BATCH = 32  # clips


def embed(
    *,
    models: list[Path],
    out: Path,
    data: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Write what trained networks of a fold judge clips by: training and test clips that have all their modalities.

    Clips are looked at as in evaluation. A network that could not be trained has no rows.

    Parameters
    ----------
    models : list of Path
        Files model.safetensors of the fold's runs.
    out : Path
        Table EMBEDDINGS.
    """
    engine.prepare(jobs)
    settings = run_folder.read_settings(schema.load(config), "embeddings", "faces", "sound")
    embeddings = settings.embeddings
    networks = load_networks([path for path in models if not checkpoint.is_bare(path)], embeddings)
    modalities = sorted({name for _, card in networks for name in card.modalities})
    rows = [tables.empty(tables.EMBEDDINGS)]
    if networks:
        dataset = media.read(data, embeddings.corpus, modalities, faces=settings.faces, sound=settings.sound)
        rows += [feature_rows(model, card, dataset, _features(embeddings)[card.variant]) for model, card in networks]
    tables.write(out, pd.concat(rows, ignore_index=True), tables.EMBEDDINGS)
    log.info("%s: %s", out, ", ".join(f"{len(part)} clips of {part.variant.iloc[0]}" for part in rows[1:]) or "-")


def _features(config: EmbeddingsConfig) -> dict[str, str]:
    """Return variant -> symbol of what it judges by, in the order of the rows."""
    return {variant: tables.FEATURES[key] for key, variant in config.rows.items()}


def load_networks(paths: Iterable[Path], config: EmbeddingsConfig) -> list[tuple[Network, ModelCard]]:
    """Load the networks of the variants in `config`, in the order of its rows.

    Raises
    ------
    ModelError : a file cannot be read, or is of another corpus or variant, or of another fold than the first one.
    """
    known = list(_features(config))
    networks = []
    for path in paths:
        model, card = checkpoint.load(path, device=engine.device().type)
        if card.corpus != config.corpus or card.variant not in known:
            raise ModelError(
                f"{path}: is {card.variant} of {card.corpus}; embeddings asks for {', '.join(known)} of {config.corpus}"
            )
        if networks and networks[0][1].fold != card.fold:
            raise ModelError(f"{path}: is of fold {card.fold}, the others of {networks[0][1].fold}; name one")
        networks.append((model, card))
    return sorted(networks, key=lambda one: known.index(one[1].variant))


def feature_rows(model: Network, card: ModelCard, dataset: ClipDataset, feature: str) -> pd.DataFrame:
    """Return rows of EMBEDDINGS: the clips of the network's fold that have all of its modalities.

    dataset : of these modalities, and maybe others.   feature : symbol of what it judges by.
    """
    view = replace(dataset, media={name: dataset.media[name] for name in card.modalities})
    roles = split(view, card.fold)
    clips = pd.concat([complete(view, roles[role]).assign(role=role) for role in ROLES], ignore_index=True)
    sampling = Sampling.of(card.augmentation, frames=card.frames, share=1.0, sound=SoundConfig(**card.sound))
    vectors = judged_by(model, evaluation_batches(view, clips, sampling, size=BATCH))
    rows = clips.assign(variant=card.variant, feature=feature, values=list(vectors.numpy()))
    return rows[tables.EMBEDDINGS.columns.names]


@torch.no_grad()
def judged_by(model: Network, batches: Iterable[Batch]) -> torch.Tensor:
    """Return the input (N, D) of the scoring component of a network in evaluation mode, for all clips of `batches`."""
    seen: list[torch.Tensor] = []
    hook = model.score.register_forward_pre_hook(lambda _, given: seen.append(given[0].float().cpu()))
    try:
        for batch in batches:
            on = batch.to(engine.device())
            model(network_inputs(on), on.n_steps)
    finally:
        hook.remove()
    return torch.cat(seen)
