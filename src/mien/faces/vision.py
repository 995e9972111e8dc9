"""Command `extract_vision`: what a network of pictures, that stays as it is, says of faces.

The networks are torchvision's, without their last layer: ResNet-50 (He et al. 2016), EfficientNet (Tan & Le 2019), ViT
(Dosovitskiy et al. 2021), Swin (Liu et al. 2021) and ConvNeXt (Liu et al. 2022). A clip is the mean over the frames
that show a face, so a network of vectors can be trained on it. Weights come from a file that params.yaml names; nothing
is fetched.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.config.schema import FrozenEncoderConfig, load, section
from mien.errors import ConfigError, ModelError
from mien.io import shards
from mien.io.files import sha256
from mien.io.provenance import code_digest

log = logging.getLogger(__name__)

BATCH = 16  # pictures at a time


def extract_vision(
    *, corpus: str, model: str, parts: Path, out: Path, config: str = "params.yaml", jobs: int = 1
) -> None:
    """Write a vector of every face of a corpus.

    Writes per part index.parquet (VECTORS), and once manifest.json: digests of the parts and counts.

    Parameters
    ----------
    model : str
        Row of vision in params.yaml, torchvision's name of the network.
    parts : Path
        Folder of the shards of faces.
    out : Path
        Folder for the shards and manifest.json.

    Raises
    ------
    ConfigError : the row names no file.
    ModelError : the file holds other weights.
    """
    torch.set_num_threads(1)  # the parts share the cores already; the same bits for any number of them
    row = section(FrozenEncoderConfig, load(config), "vision", model)
    build = partial(build_part, network=load_network(model, row), model=model)
    made_with = [code_digest("faces.vision:extract_vision"), model, sha256(row.file)]
    n_vectors = shards.build_vectors(out, parts, build, made_with, corpus=corpus, jobs=jobs)
    log.info("%s: %d faces seen by %s", corpus, n_vectors, model)


def load_network(model: str, row: FrozenEncoderConfig) -> nn.Module:
    """Return the network of a row without its last layer, in evaluation.

    Raises
    ------
    ConfigError, ModelError : see `extract_vision`.
    """
    from torchvision.models import get_model

    if not row.file.is_file():
        raise ConfigError(f"vision.{model}.weights: {row.file} is no file; name the weights of {model}")
    network = get_model(model, weights=None)
    try:
        network.load_state_dict(torch.load(row.file, map_location="cpu", weights_only=True))
    except Exception as error:  # whatever a damaged or a strange file brings about
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{row.file}: no weights of {model} ({first}); see vision.{model} in params.yaml") from error
    last = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    return network.eval()


@torch.inference_mode()
def embed_frames(network: nn.Module, pictures: np.ndarray, model: str) -> Tensor:
    """Return the mean of what a network says of pictures (N, S, S, 3) uint8, brought to the size that it has learnt."""
    from torchvision.models import get_model_weights

    learnt = get_model_weights(model).DEFAULT.transforms()
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (learnt.mean, learnt.std))
    said = []
    for batch in torch.from_numpy(np.array(pictures)).split(BATCH):
        shown = batch.permute(0, 3, 1, 2) / 255
        shown = functional.interpolate(shown, size=learnt.crop_size * 2, mode="bilinear", antialias=True)
        said.append(network((shown - mean) / deviation))
    return torch.cat(said).mean(dim=0)


def build_part(folder: Path, faces: Path, *, network: nn.Module, model: str) -> dict[str, Any]:
    """Write the vectors of the clips of a shard of faces that show one, and return their number."""
    part = shards.read_faces(faces)
    seen = part.index.assign(row=np.arange(len(part.index)))
    rows = [
        (clip, model, embed_frames(network, part.frames[found.row.to_numpy()], model).numpy())
        for clip, found in seen[seen.found].groupby("clip", sort=False)
    ]
    shards.write_vectors(folder, rows)
    return {"n_vectors": len(rows)}
