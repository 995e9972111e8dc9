"""What a trained network's scoring component sees of a clip: f_v or f_a of one modality, g_va of both (thesis 5.1)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from mien.core import tables
from mien.core.config import EmbeddingsConfig, SoundConfig
from mien.core.errors import ModelError
from mien.models import checkpoint
from mien.models.fusion import Network
from mien.training import machine
from mien.training.dataset import Batch, Sampling, complete, evaluation_batches, split
from mien.training.loop import network_inputs
from mien.training.recordings import Recordings

ROLES = ("training", "test")
BATCH = 32  # clips


@dataclass(frozen=True)
class Trained:
    """A trained network, and the symbol of what it judges by."""

    model: Network
    settings: checkpoint.Settings
    feature: str


def load_networks(paths: Iterable[Path], config: EmbeddingsConfig) -> list[Trained]:
    """Load the networks of the variants in `config`, in the order of its rows.

    Raises
    ------
    ModelError : a file cannot be read, or is of another corpus or variant, or of another fold than the first one.
    """
    symbols = {variant: tables.FEATURES[key] for key, variant in config.rows.items()}
    networks: list[Trained] = []
    for path in paths:
        model, settings = checkpoint.load(path, device=machine.device().type)
        if settings.corpus != config.corpus or settings.variant not in symbols:
            raise ModelError(
                f"{path}: is {settings.variant} of {settings.corpus}; embeddings asks for {', '.join(symbols)} of"
                f" {config.corpus}"
            )
        if networks and networks[0].settings.fold != settings.fold:
            raise ModelError(f"{path}: is of fold {settings.fold}, the others of {networks[0].settings.fold}; name one")
        networks.append(Trained(model, settings, symbols[settings.variant]))
    return sorted(networks, key=lambda one: list(symbols).index(one.settings.variant))


def feature_rows(network: Trained, recordings: Recordings) -> pd.DataFrame:
    """Return rows of EMBEDDINGS: the clips of the network's fold that have all of its modalities.

    recordings : of these modalities, and maybe others.
    """
    settings = network.settings
    view = replace(recordings, media={name: recordings.media[name] for name in settings.modalities})
    roles = split(view, settings.fold)
    clips = pd.concat([complete(view, roles[role]).assign(role=role) for role in ROLES], ignore_index=True)
    sampling = Sampling.of(
        settings.augmentation, frames=settings.frames, share=1.0, sound=SoundConfig(**settings.sound)
    )
    vectors = judged_by(network.model, evaluation_batches(view, clips, sampling, size=BATCH))
    rows = clips.assign(variant=settings.variant, feature=network.feature, values=list(vectors.numpy()))
    return rows[tables.EMBEDDINGS.columns.names]


@torch.no_grad()
def judged_by(model: Network, batches: Iterable[Batch]) -> torch.Tensor:
    """Return the input (N, D) of the scoring component of a network in evaluation mode, for all clips of `batches`."""
    seen: list[torch.Tensor] = []
    hook = model.score.register_forward_pre_hook(lambda _, given: seen.append(given[0].float().cpu()))
    try:
        for batch in batches:
            on = batch.to(machine.device())
            model(network_inputs(on), on.present)
    finally:
        hook.remove()
    return torch.cat(seen)
