"""Branches of chapter 5 that start from networks which were trained ahead."""

import json
from pathlib import Path

import pytest
import torch

from mien import cli
from mien.errors import ConfigError, ModelError
from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.checkpoint import ExtractorSettings, extractor

SIZES = {"width": 2, "size_px": 16, "classes": ("a", "b", "c")}  # three classes: fc is of another task
NAMES = {"corpus": "other", "base": "other", "variant": "P1", "fold": 0, "seed": 0}
AHEAD = ExtractorSettings(**NAMES, **SIZES, modality="video", network="resnet18", sound={}, faces={})


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ahead(tmp_path) -> Path:
    """Return a model file of a network that was trained ahead on pictures."""
    path = tmp_path / "ahead" / "model.safetensors"
    checkpoint.save_state(path, extractor(AHEAD, seed=7).state_dict(), AHEAD)
    return path


def train(tiny, init: dict[str, str], *given: str, rate: float = 1.0e-30) -> Path:
    """Train VM for an epoch, by default at a rate that leaves the weights where they start."""
    params = json.loads(tiny.config(epochs=1, learning_rate=rate))
    params["variants"]["VM"] = params["variants"]["VM"] | {"init": init}
    args = ["train", "--corpus", tiny.name, "--variant", "VM", "--folds", "0", "--seeds", "0"]
    args += ["--data", str(tiny.results), "--out", "runs/VM", "--config", json.dumps(params)]
    parsed = cli.parse([*args, *(["--init", *given] if given else [])])
    parsed.run(parsed)
    return Path("runs/VM/fold0-seed0")


def test_a_branch_starts_from_the_trunk_and_leaves_the_other_classifier(tiny, ahead):
    model, _ = checkpoint.load(train(tiny, {"video": "P1"}, f"video={ahead}") / "model.safetensors")
    started = extractor(AHEAD, seed=7)
    weights = model.branches["video"].trunk.state_dict()
    for name, weight in started.named_parameters():
        assert name.startswith("fc.") or torch.allclose(weights[name], weight, rtol=0, atol=1e-20), name
    random, _ = checkpoint.load(train(tiny, {}) / "model.safetensors")
    assert not torch.equal(random.branches["video"].trunk.state_dict()["conv1.weight"], weights["conv1.weight"])


def test_a_start_that_was_not_trained_makes_the_variant_not_applicable(tiny, tmp_path):
    bare = tmp_path / "bare.safetensors"
    checkpoint.save_state(bare, {}, AHEAD)
    run = read_json(train(tiny, {"video": "P1"}, f"video={bare}") / "run.json")
    assert (run["status"], run["epochs"]) == ("not applicable", 0)
    assert "P1" in run["reason"]


@pytest.mark.parametrize(
    ("init", "given", "words"),
    [
        ({"video": "P1"}, [], ["variants.VM.init.video", "P1 is no file", "--init video=FILE"]),
        ({}, ["video=x.safetensors"], ["--init video=x.safetensors", "random"]),
        ({"video": "P1"}, ["audio=x"], ["--init audio=x", "P1"]),
        ({"video": "P1"}, ["video"], ["MODALITY=FILE"]),
    ],
)
def test_first_weights_that_are_missing_or_not_asked_for_are_refused(tiny, init, given, words):
    with pytest.raises(ConfigError) as error:
        train(tiny, init, *given)
    assert all(word in str(error.value) for word in words)


def test_the_weights_of_another_network_are_refused(tiny, tmp_path):
    path = tmp_path / "wide.safetensors"
    wide = ExtractorSettings(
        **NAMES, **(SIZES | {"width": 4}), modality="video", network="resnet18", sound={}, faces={}
    )
    checkpoint.save_state(path, extractor(wide).state_dict(), wide)
    with pytest.raises(ModelError, match=r"not the trunk of this video branch: .* check train.width"):
        train(tiny, {"video": "P1"}, f"video={path}")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be read"):
        train(tiny, {"video": "P1"}, f"video={path}")
    assert not Path("runs").exists()
