"""A model file rebuilds its network, whatever its kind, and says what is wrong with it."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.errors import ModelError
from mien.io.prune import list_runs
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import load_backbone
from mien.models.small import Scaled

NAMES = {"corpus": "ravdess", "fold": 1, "seed": 0, "classes": ("a", "b", "c")}
SECTIONS = {"sound": {"rate_hz": 16000}, "faces": {"size_px": 48}}
JOINT = {"modalities": ("video", "audio"), "fusion": "mrpn", "aggregator": "lstm", "width": 2}
CARD = ModelCard(
    kind="variant",
    variant="N2",
    **NAMES,
    **SECTIONS,
    **JOINT,
    augmentation="VA+AO",
    dropout=0.5,
    frames=6,
)
STREAM = ModelCard(kind="stream", variant="AV_stream", **NAMES, **SECTIONS, **JOINT, rate_fps=5, hop_s=0.5)
EXTRACTOR = ModelCard(kind="extractor", variant="P1", **NAMES, modalities=("video",), model="resnet18", width=2)
CLASSIFIER = ModelCard(kind="classifier", variant="AU_DNN", **NAMES, model="dnn_au", features="AU8")
INPUTS = {"video": torch.randn(2, 2, 3, 32, 32), "audio": torch.randn(2, 2, 1, 32, 31)}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, checkpoint.network(CARD, seed=7), CARD)
    return path


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        *(replace(CARD, **changes) for changes in ({"residual": "relu"}, {"side_head": "scoring"})),
        *(replace(CARD, aggregator=name) for name in ("bilstm", "transformer")),
        *(replace(CARD, fusion=name) for name in ("gated", "attention")),
        replace(CARD, trunk={"video": "resnet3d18"}),
        replace(CARD, target="intensity"),
        STREAM,
        EXTRACTOR,
        replace(EXTRACTOR, model="vgg16", size_px=32),
        CLASSIFIER,
        replace(CLASSIFIER, model="cnn3", features="image", size_px=46),
    ],
    ids=lambda card: f"{card.kind} {card.model or card.fusion} {card.aggregator}",
)
def test_every_kind_of_network_comes_back(tmp_path, card):
    model = checkpoint.network(card, seed=7)
    if card.kind == "classifier":
        shape = (8,) if card.features == "AU8" else ()
        model = Scaled(model, mean=torch.full(shape, 3.0), deviation=torch.full(shape, 2.0))
    sides = {"AU8": (8,), "image": (1, 46, 46)}
    inputs = INPUTS if "audio" in card.modalities else torch.randn(2, *sides.get(card.features, (3, 32, 32)))
    for name in ("model", "again"):
        checkpoint.save(tmp_path / f"{name}.safetensors", model, card)
    assert (tmp_path / "model.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    loaded, found = checkpoint.load(tmp_path / "model.safetensors", kind=card.kind)
    assert found == card
    assert not loaded.training
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(loaded(inputs), model.eval()(inputs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [0, 5, 2000, -1])
def test_a_truncated_file_is_refused(file, size):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model.safetensors.*damaged"):
        checkpoint.load(file)


def test_other_files_are_refused(file, tmp_path):
    with pytest.raises(ModelError, match=r"none.safetensors: no such"):
        checkpoint.load(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="holds a variant, N2 of ravdess; a stream is needed"):
        checkpoint.load(file, kind="stream")
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match="not written by mien"):
        checkpoint.load(file)
    for header in ({"corpus": "ravdess"}, asdict(CARD) | {"more": 1}, [1]):
        save_file({"x": torch.zeros(1)}, file, metadata={checkpoint.HEADER: json.dumps(header)})
        with pytest.raises(ModelError, match="another version"):
            checkpoint.load(file)


def test_the_first_mismatch_is_named(file):
    state = load_file(file)
    for state_of_file, card, message in (
        (state, replace(CARD, width=4), r"width 4: branches.video.trunk.conv1.weight is \(2, 3, 7, 7\) instead of"),
        ({k: v for k, v in state.items() if k != "score.0.bias"}, CARD, "score.0.bias is missing; train it again"),
        (state, replace(CARD, fusion="n9"), r"cannot build.*n9"),
        (state, replace(CARD, trunk={"video": "resnet99"}), r"cannot build.*resnet99"),
        ({}, CARD, "N2 was not applicable to ravdess"),
        (None, CARD, "N2 was not applicable to ravdess"),
    ):
        checkpoint.save(file, state_of_file, card)
        assert checkpoint.is_bare(file) == (not state_of_file)
        with pytest.raises(ModelError, match=message):
            checkpoint.load(file)


def test_what_older_headers_do_not_say_is_as_it_was(file):
    """Fields with a default came later; a file without them is read as one of its time."""
    header = asdict(CARD)
    for name in ("residual", "target", "rate_fps", "trunk"):
        del header[name]
    save_file(load_file(file), file, metadata={checkpoint.HEADER: json.dumps(header)})
    assert checkpoint.load(file)[1] == CARD


def test_one_layer_is_all_that_comes_after_the_memory_of_a_dense_stream():
    """Thesis 2.12: image trunk, LSTM, one layer from its output to the classes."""
    model = checkpoint.network(replace(STREAM, modalities=("video",), fusion="dense"))
    after = {name: tuple(w.shape) for name, w in model.named_parameters() if not name.startswith("branches.")}
    assert after == {"score.weight": (3, 16), "score.bias": (3,)}


def test_flipped_weights_are_refused_wherever_they_are_read(tmp_path):
    folder = tmp_path / "fold1-seed0"
    path = folder / "model.safetensors"
    checkpoint.save(path, checkpoint.network(EXTRACTOR, seed=7), EXTRACTOR)
    (folder / "run.json").touch()
    list_runs(folders=[folder], out=tmp_path / "seed0.json")
    path.write_bytes(path.read_bytes()[:-64] + bytes(64))
    with pytest.raises(ModelError, match="not those that its training wrote"):
        checkpoint.load(path, kind="extractor")
    with pytest.raises(ModelError, match="not those that its training wrote"):
        load_backbone(checkpoint.network(EXTRACTOR), path, of="video branch", where="variants.*.init")
    path.rename(tmp_path / "alone.safetensors")  # nobody says what it should be
    checkpoint.load(tmp_path / "alone.safetensors", kind="extractor")
