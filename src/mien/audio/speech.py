"""Command `extract_speech`: what a self-supervised network of speech, that stays as it is, says of voices.

wav2vec 2.0 (Baevski et al. 2020), HuBERT (Hsu et al. 2021) and WavLM (Chen et al. 2022), as torchaudio's pipelines
build them. A clip is the mean over time of the states after a layer of the transformer, so a network of vectors can be
trained on it. Weights come from a file that params.yaml names; nothing is fetched.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio import pipelines

from mien.config.schema import SpeechConfig, load, section
from mien.errors import ConfigError, ModelError
from mien.io import shards
from mien.io.files import sha256
from mien.io.provenance import code_digest

log = logging.getLogger(__name__)

FEWEST = 400  # samples of which the convolutions make a first state; a shorter voice is followed by silence


def extract_speech(
    *, corpus: str, model: str, parts: Path, out: Path, config: str = "params.yaml", jobs: int = 1
) -> None:
    """Write a vector of every voice of a corpus.

    Writes per part index.parquet (VECTORS), and once manifest.json: digests of the parts and counts.

    Parameters
    ----------
    model : str
        Row of speech in params.yaml: wav2vec2, hubert or wavlm.
    parts : Path
        Folder of the shards of sound.
    out : Path
        Folder for the shards and manifest.json.

    Raises
    ------
    ConfigError : the row names no such network, no file, or sounds are stored at another rate than it hears.
    ModelError : the file holds other weights.
    """
    torch.set_num_threads(1)  # the parts share the cores already; the same bits for any number of them
    params = load(config)
    row = section(SpeechConfig, params, "speech", model)
    network = load_network(model, row, rate_hz=params["sound"]["rate_hz"])
    made_with = [code_digest("audio.speech:extract_speech"), model, row.bundle, row.layer, sha256(row.file)]
    build = partial(build_part, network=network, layer=row.layer, model=model)
    n_vectors = shards.build_vectors(out, parts, build, made_with, corpus=corpus, jobs=jobs)
    log.info("%s: %d voices heard by %s", corpus, n_vectors, row.bundle)


def load_network(model: str, row: SpeechConfig, *, rate_hz: int) -> nn.Module:
    """Return the network of a row, in evaluation.

    Raises
    ------
    ConfigError, ModelError : see `extract_speech`.
    """
    known = [name for name in pipelines.__all__ if name.startswith(f"{model.upper()}_")]
    if row.bundle not in known:
        raise ConfigError(f"speech.{model}.bundle should be one of {', '.join(known)}, got {row.bundle}")
    bundle = getattr(pipelines, row.bundle)
    if bundle.sample_rate != rate_hz:
        raise ConfigError(f"speech.{model}: {row.bundle} hears {bundle.sample_rate} Hz, and sound.rate_hz is {rate_hz}")
    if not row.file.is_file():
        raise ConfigError(f"speech.{model}.weights: {row.file} is no file; name the weights of {row.bundle}")
    where = {"model_dir": str(row.file.parent), "file_name": row.file.name}
    try:  # the file is there, so torchaudio does not fetch it
        return bundle.get_model(dl_kwargs=where | {"map_location": "cpu", "weights_only": True})
    except Exception as error:  # whatever a damaged or a strange file brings about
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(
            f"{row.file}: no weights of {row.bundle} ({first}); see speech.{model} in params.yaml"
        ) from error


@torch.inference_mode()
def embed_waveform(network: nn.Module, wave: Tensor, layer: int) -> Tensor:
    """Return the mean over time of the states after a layer, the last one if it is 0; (N,), full scale 1 -> (D,)."""
    wave = functional.pad(wave, (0, max(0, FEWEST - len(wave))))
    states, _ = network.extract_features(wave.unsqueeze(0), num_layers=layer or None)
    return states[-1][0].mean(dim=0)


def build_part(folder: Path, sound: Path, *, network: nn.Module, layer: int, model: str) -> dict[str, Any]:
    """Write the vectors of the voices of a sound shard and return their number.

    Raises
    ------
    ConfigError : the network has fewer layers.
    """
    part = shards.read_sound(sound)
    heard = part.index[~part.index.silent & (part.index.n_samples > 0)]
    rows = []
    for one in heard.itertuples():
        wave = part.wave[one.start : one.start + one.n_samples].astype(np.float32) / shards.FULL_SCALE
        try:
            rows.append((one.clip, model, embed_waveform(network, torch.from_numpy(wave), layer).numpy()))
        except ValueError as error:  # torchaudio's, of a layer that there is not
            raise ConfigError(f"speech.{model}.layer: {error}") from None
    shards.write_vectors(folder, rows)
    return {"n_vectors": len(rows)}
