"""Rows of variants with options: frozen extractors, lost modalities, fusions, aggregators, trained as a user does."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.resnet import ResNet18
from training.commands import contents, run_command

pytestmark = pytest.mark.usefixtures("scratch")


def train(tiny, out, *more, **changes):
    """Train the row N2 with `changes` for one epoch, and return the folder of its fold."""
    row = tiny.params["variants"]["N2"] | changes
    params = json.dumps(tiny.params | {"train": tiny.params["train"] | {"epochs": 1}, "variants": {"N2": row}})
    where = ("--data", tiny.results, "--out", out / "N2", *more)
    run_command("train", "--corpus", tiny.name, "--variant", "N2", "--folds", 0, "--seeds", 0, *where, config=params)
    return out / "N2" / "fold0-seed0"


def test_frozen_extractors_stay_as_they_were_given(tiny, tmp_path):
    files = {}
    for name, channels in (("video", 3), ("audio", 1)):
        torch.manual_seed(channels)
        files[name] = tmp_path / f"{name}.safetensors"
        save_file(ResNet18(in_channels=channels, width=2).state_dict(), files[name])
    init = {name: f"P_{name}" for name in files}
    given = [f"{name}={path}" for name, path in files.items()]
    folder = train(tiny, tmp_path, "--init", *given, init=init, extractors="frozen")
    model, _ = checkpoint.load(folder / "model.safetensors")
    for name, path in files.items():
        trunk = model.branches[name].trunk.state_dict()
        assert all(torch.equal(trunk[key], value) for key, value in load_file(path).items())
    assert model.norms["video"].running_mean.any()  # the rest has learnt


def test_lost_modalities_are_those_of_the_seed(tiny, tmp_path):
    first, again = (contents(train(tiny, tmp_path / name, modality_dropout=0.5)) for name in "ab")
    assert first == again
    assert contents(train(tiny, tmp_path / "c"))["model.safetensors"] != first["model.safetensors"]


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregator": "transformer", "augmentation": "NT", "residual": "relu", "side_head": "scoring"},
        {"fusion": "gated", "aggregator": "bilstm", "augmentation": "VA+WO"},
        {"fusion": "attention", "modality_dropout": 0.3},
    ],
    ids=str,
)
def test_every_option_trains_and_is_kept(tiny, tmp_path, changes):
    folder = train(tiny, tmp_path, **changes)
    run = read_json(folder / "run.json")
    model, settings = checkpoint.load(folder / "model.safetensors")
    assert run["status"] == "trained"
    assert "loss_weights" not in run
    assert run["n_parameters"] == sum(weight.numel() for weight in model.parameters())
    kept = {key: getattr(settings, key) for key in changes if hasattr(settings, key)}
    assert kept == {key: value for key, value in changes.items() if key != "modality_dropout"}
