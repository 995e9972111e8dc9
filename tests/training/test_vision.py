"""Networks of pictures that stay as they are: what they say of a face, and rows that learn from it."""

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate
from torchvision import models

from mien.errors import ConfigError, ModelError
from mien.faces.vision import extract_vision
from mien.io import shards
from mien.io.files import read_json
from training.commands import check_folder, train_variant

SMALL = {  # classes of the published networks
    "resnet50": lambda: models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1]),
    "vit_b_16": lambda: models.VisionTransformer(
        image_size=224, patch_size=56, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32
    ),
}
SIZES = {"resnet50": 512, "vit_b_16": 16}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Make the published networks small, and write weights of each; return the section vision."""
    monkeypatch.setattr(models, "get_model", lambda name, weights: SMALL[name]())
    section = {}
    for number, (model, build) in enumerate(SMALL.items()):
        with torch.random.fork_rng():
            torch.manual_seed(number)
            network = build()
            if model == "vit_b_16":  # whose last layer begins at zero
                torch.nn.init.normal_(network.heads.head.weight)
        torch.save(network.state_dict(), tmp_path / f"{model}.pth")
        section[model] = {"weights": str(tmp_path / f"{model}.pth")}
    return section


def extract(corpus, model, row):
    out = corpus.results / "vectors" / f"{corpus.name}-{model}"
    faces = corpus.results / "faces" / corpus.name
    extract_vision(corpus=corpus.name, model=model, parts=faces, out=out, config=json.dumps({"vision": {model: row}}))
    return out


@pytest.mark.parametrize("model", SMALL)
def test_a_face_is_what_comes_before_the_last_layer_of_its_frames(corpus, rows, model):
    part = shards.read_faces(corpus.results / "faces" / corpus.name / "a0")
    found = shards.read_vectors(extract(corpus, model, rows[model]) / "a0")
    assert set(found["modality"]) == {model}
    assert found["clip"].tolist() == part.index["clip"][part.index.found].drop_duplicates().tolist()
    network = SMALL[model]()
    network.load_state_dict(torch.load(rows[model]["weights"], weights_only=True))
    last = network.fc if model == "resnet50" else network.heads.head
    kept = {}
    last.register_forward_hook(lambda layer, given, out: kept.update(said=given[0]))
    own = (part.index["clip"] == found["clip"].iloc[0]) & part.index.found
    shown = torch.from_numpy(np.array(part.frames[own.to_numpy()])).permute(0, 3, 1, 2) / 255
    shown = interpolate(shown, size=(224, 224), mode="bilinear", antialias=True)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        network.eval()((shown - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
    assert kept["said"].shape[1] == len(found["values"].iloc[0]) == SIZES[model]
    np.testing.assert_allclose(found["values"].iloc[0], kept["said"].mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        ("none.pth", ConfigError, "vision.vit_b_16.weights: none.pth is no file"),
        ("resnet50.pth", ModelError, "resnet50.pth: no weights of vit_b_16"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(corpus, rows, weights, error, words):
    with pytest.raises(error, match=words):
        extract(corpus, "vit_b_16", {"weights": weights})
    assert not (corpus.results / "vectors" / f"{corpus.name}-vit_b_16" / "manifest.json").exists()


def test_networks_learn_from_what_was_seen(corpus, rows, tmp_path):
    manifests = [read_json(extract(corpus, model, row) / "manifest.json") for model, row in rows.items()]
    assert all(manifest["n_vectors"] > 0 for manifest in manifests)
    row = {"modalities": list(rows), "fusion": "mrpn"}
    run, *_ = check_folder(train_variant(corpus, "Seen", tmp_path, row=row, epochs=2))
    assert set(run["n_steps"]) == set(rows)
