"""The three networks of pictures: the counts and feature maps of the thesis's formulas, read layer by layer."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mien.errors import ModelError
from mien.models import checkpoint
from mien.models.checkpoint import ClassifierSettings, Scaled, classifier, load_classifier
from mien.models.mrpn import n_parameters
from mien.models.small import CNN1, CNN2

COUNTS = {"cnn1": 551_164, "cnn2": 53_492, "cnn3": 266_020}
CNN1_COUNTS = (448, 6448, 12896, 25696, 18624, 37056, 4288, 74112, 33536, 295296, 33536, 9228)
CNN1_CHANNELS = (16, 16, 32, 32, 64, 64, 64, 128, 256, 128, 256, 4)
CNN1_SIDES = {50: (50, 25, 25, 13, 13, 7, 7, 4, 4, 2, 2, 1), 75: (75, 38, 38, 19, 19, 10, 10, 5, 5, 3, 3, 2)}


def maps(layers, size_px: int) -> list[tuple[int, int, int]]:
    """Return channels, height and width after each of `layers` of a black picture."""
    x, shapes = torch.zeros(1, 1, size_px, size_px), []
    with torch.no_grad():
        for layer in layers:
            x = layer.eval()(x)
            shapes.append(tuple(x.shape[1:]))
    return shapes


@pytest.mark.parametrize(("name", "size_px"), [("cnn1", 50), ("cnn1", 75), ("cnn2", 75), ("cnn3", 150)])
def test_parameters_and_outputs(name, size_px):
    model = classifier(name, size_px=size_px, seed=0).eval()
    assert n_parameters(model) == COUNTS[name]
    with torch.no_grad():
        assert model(torch.zeros(1, 1, size_px, size_px)).shape == (1, 4)


@pytest.mark.parametrize("size_px", CNN1_SIDES)
def test_layers_of_cnn1(size_px):
    model = classifier("cnn1", size_px=size_px, seed=0)
    assert tuple(map(n_parameters, model.layers)) == CNN1_COUNTS
    assert maps(model.layers, size_px) == [
        (channels, side, side) for channels, side in zip(CNN1_CHANNELS, CNN1_SIDES[size_px], strict=True)
    ]
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 5


def test_cnn1_has_the_same_weights_for_every_size():
    small, large = (classifier("cnn1", size_px=size, seed=0).state_dict() for size in (50, 75))
    assert all(torch.equal(small[name], large[name]) for name in small)


def test_layers_of_cnn2():
    model = classifier("cnn2", size_px=75, seed=0)
    parts = [model.stem, *model.units, model.head]
    assert [*map(n_parameters, parts)] == [680, 824, 2672, 9440, 35264, 4612]
    shapes = maps(parts, 75)
    assert shapes == [(8, 75, 75), (16, 38, 38), (32, 19, 19), (64, 10, 10), (128, 5, 5), (4, 5, 5)]


def test_layers_of_cnn3():
    model = classifier("cnn3", size_px=150, seed=0)
    dense = [n_parameters(layer) for layer in model.dense if n_parameters(layer)]
    assert [n_parameters(layer) for layer in model.layers] + dense == [320, 9248, 18496, 36928, 200768, 260]
    assert maps(model.layers, 150) == [(32, 74, 74), (32, 36, 36), (64, 17, 17), (64, 7, 7)]
    assert maps([layer[0] for layer in model.layers[:1]], 150) == [(32, 148, 148)]


def test_a_pool_before_the_relu_of_cnn3_changes_nothing():
    convolution, pool, relu = classifier("cnn3", size_px=46, seed=0).layers[0]
    features = convolution(torch.randn(2, 1, 46, 46, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(relu(pool(features)), pool(torch.relu(features)))


def test_options_that_the_thesis_leaves_open():
    drops = [module.p for module in CNN1(classes=4, dropout=0.25).modules() if isinstance(module, nn.Dropout)]
    assert drops == 5 * [0.25]
    printed, default = CNN2(classes=4, second_relu=True), CNN2(classes=4)
    assert n_parameters(printed) == n_parameters(default)
    relus = [sum(isinstance(module, nn.ReLU) for module in model.modules()) for model in (printed, default)]
    assert relus[0] - relus[1] == 4


def test_cnn3_refuses_pictures_that_its_pools_use_up():
    assert maps(classifier("cnn3", size_px=46, seed=0).layers, 46)[-1] == (64, 1, 1)
    with pytest.raises(ModelError, match="46 px or more, got 45"):
        classifier("cnn3", size_px=45, seed=0)


SETTINGS = ClassifierSettings(
    corpus="ckplus_rafd",
    variant="AU_DNN",
    fold=0,
    seed=1,
    model="dnn_au",
    features="AU8",
    size_px=0,
    classes=("neutral", "smile", "surprise", "anger"),
)


def test_a_model_file_gives_back_the_network_and_its_scaling(tmp_path):
    model = Scaled(classifier("dnn_au", size_px=0, seed=3), mean=torch.arange(8.0), deviation=torch.full((8,), 2.0))
    checkpoint.save_state(tmp_path / "model.safetensors", model.state_dict(), SETTINGS)
    loaded, settings = load_classifier(tmp_path / "model.safetensors")
    units = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    assert settings == SETTINGS
    assert not loaded.training
    assert torch.equal(loaded(units), model.network((units - torch.arange(8.0)) / 2.0))


def test_files_that_hold_no_classifier_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save_state(path, {}, SETTINGS)
    with pytest.raises(ModelError, match="holds no weights: AU_DNN was not applicable"):
        load_classifier(path)
    checkpoint.save_state(path, classifier("dnn_au", size_px=0, seed=0).state_dict(), SETTINGS)
    with pytest.raises(ModelError, match="is missing; train it again"):
        load_classifier(path)
    save_file({"x": torch.zeros(1)}, path, metadata={checkpoint.HEADER: json.dumps({"corpus": "ravdess"})})
    with pytest.raises(ModelError, match="of another version"):
        load_classifier(path)
