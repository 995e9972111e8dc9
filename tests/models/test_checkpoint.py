"""A model file rebuilds its network, and says what is wrong with it."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.errors import ModelError
from mien.models import checkpoint

SETTINGS = checkpoint.Settings(
    corpus="ravdess",
    variant="N2",
    fold=1,
    seed=0,
    modalities=("video", "audio"),
    fusion="mrpn",
    aggregator="lstm",
    trunk={},
    side_head="dense",
    augmentation="VA+AO",
    classes=("a", "b", "c"),
    width=2,
    dropout=0.5,
    frames=6,
    segments=4,
    sound={"rate_hz": 16000},
    faces={"size_px": 48},
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, checkpoint.network(SETTINGS, seed=7), SETTINGS)
    return path


def test_a_network_comes_back_with_its_settings(file):
    model, settings = checkpoint.load(file)
    want = checkpoint.network(SETTINGS, seed=7)
    assert settings == SETTINGS
    assert not model.training
    assert all(torch.equal(value, want.state_dict()[name]) for name, value in model.state_dict().items())


def test_equal_networks_give_equal_bytes(file, tmp_path):
    checkpoint.save(tmp_path / "again.safetensors", checkpoint.network(SETTINGS, seed=7), SETTINGS)
    assert file.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


@pytest.mark.parametrize("size", [0, 5, 2000, -1])
def test_a_truncated_file_is_refused(file, size):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model.safetensors.*damaged"):
        checkpoint.load(file)


def test_other_files_are_refused(file, tmp_path):
    with pytest.raises(ModelError, match=r"none.safetensors: no such"):
        checkpoint.load(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match="not written by mien"):
        checkpoint.load(file)
    save_file({"x": torch.zeros(1)}, file, metadata={"mien": '{"corpus": "ravdess"}'})
    with pytest.raises(ModelError, match="another version"):
        checkpoint.load(file)


def test_the_first_mismatch_is_named(file):
    state = load_file(file)
    checkpoint.save_state(file, state, replace(SETTINGS, width=4))
    with pytest.raises(ModelError, match=r"width 4: branches.video.trunk.conv1.weight is \(2, 3, 7, 7\) instead of"):
        checkpoint.load(file)
    del state["score.0.bias"]
    checkpoint.save_state(file, state, SETTINGS)
    with pytest.raises(ModelError, match=r"score.0.bias is missing"):
        checkpoint.load(file)
    checkpoint.save_state(file, state, replace(SETTINGS, fusion="n9"))
    with pytest.raises(ModelError, match="cannot build"):
        checkpoint.load(file)


def test_what_older_headers_do_not_say_is_as_it_was(file):
    """Fields with a default came later; a file without them is read as one of its time."""
    model = checkpoint.network(SETTINGS, seed=7)
    header = asdict(SETTINGS)
    for name in ("residual", "target"):
        del header[name]
    save_file(model.state_dict(), file, metadata={"mien": json.dumps(header)})
    assert checkpoint.load(file)[1] == SETTINGS


@pytest.mark.parametrize(
    "changes",
    [
        {"residual": "relu"},
        {"side_head": "scoring"},
        {"aggregator": "bilstm"},
        {"aggregator": "transformer"},
        {"fusion": "gated"},
        {"fusion": "attention"},
    ],
    ids=str,
)
def test_every_kind_of_network_comes_back(tmp_path, changes):
    settings = replace(SETTINGS, **changes)
    model = checkpoint.network(settings, seed=7).eval()
    checkpoint.save(tmp_path / "model.safetensors", model, settings)
    loaded, _ = checkpoint.load(tmp_path / "model.safetensors")
    inputs = {"video": torch.randn(2, 2, 3, 32, 32), "audio": torch.randn(2, 2, 1, 32, 31)}
    with torch.no_grad():
        assert torch.equal(loaded(inputs)["fused"], model(inputs)["fused"])


def test_a_file_without_weights_says_why(file):
    checkpoint.save(file, None, SETTINGS)
    with pytest.raises(ModelError, match="N2 was not applicable to ravdess"):
        checkpoint.load(file)
