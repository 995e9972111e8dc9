"""A variant whose video trunk looks at whole clips is trained and kept like the others."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from mien import cli
from mien.config.schema import FacesConfig, SoundConfig
from mien.errors import ModelError
from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.mrpn import n_parameters
from mien.models.resnet import ResNet18
from mien.training import clips
from mien.training.clips import Sampling, evaluation_batches, split
from mien.training.train import evaluate

SETTINGS = {"modalities": ["video", "audio"], "fusion": "mrpn", "trunk": {"video": "resnet3d18"}}


def run(tiny, out, *more, **changes):
    """Train the row N2 with a 3D trunk and `changes`, and return the folder of its fold."""
    row = tiny.params["variants"]["N2"] | SETTINGS | changes
    params = json.dumps(tiny.params | {"train": tiny.params["train"] | {"epochs": 1}, "variants": {"N3": row}})
    words = ["--corpus", tiny.name, "--variant", "N3", "--folds", "0", "--seeds", "0", "--data", str(tiny.results)]
    args = cli.parse(["train", *words, "--out", str(out / "N3"), "--config", params, *more])
    args.run(args)
    return out / "N3" / "fold0-seed0"


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_it_trains_and_its_file_gives_the_same_logits_again(tiny, tmp_path):
    folder = run(tiny, tmp_path)
    model, settings = checkpoint.load(folder / "model.safetensors")
    assert settings.trunk == {"video": "resnet3d18"}
    assert read_json(folder / "run.json")["n_parameters"] == n_parameters(model)
    fresh = checkpoint.network(settings, seed=1).branches["video"].trunk.bn1
    assert not torch.equal(model.branches["video"].trunk.bn1.running_mean, fresh.running_mean)  # it has been trained
    sound = SoundConfig(**settings.sound)
    data = clips.read(tiny.results, tiny.name, settings.modalities, faces=FacesConfig(**settings.faces), sound=sound)
    sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=1.0, sound=sound)
    verdict = evaluate(model, evaluation_batches(data, split(data, 0)["test"], sampling, size=6), bfloat16=False)
    rows = pd.read_parquet(folder / "predictions.parquet")
    rows = rows[(rows.selection == "honest") & (rows.role == "test") & (rows["head"] == "fused")]
    np.testing.assert_allclose(np.stack(rows.logits), verdict.logits["fused"].numpy(), rtol=1e-4, atol=1e-5)


def test_a_row_of_single_pictures_cannot_start_it(tiny, tmp_path):
    path = tmp_path / "P1.safetensors"
    save_file(ResNet18(in_channels=3, width=2).state_dict(), path)
    with pytest.raises(ModelError, match="single pictures"):
        run(tiny, tmp_path, "--init", f"video={path}", init={"video": "P1"})
