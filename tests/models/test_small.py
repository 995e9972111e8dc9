"""The classifiers of section 4.2: the counts and feature maps of the thesis's formulas, read layer by layer."""

import pytest
import torch
from torch import nn

from mien.errors import ModelError
from mien.models.mrpn import n_parameters
from mien.models.small import classifier

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


def test_layers_of_cnn1():
    for size_px, sides in CNN1_SIDES.items():
        model = classifier("cnn1", size_px=size_px, seed=0)
        assert tuple(map(n_parameters, model.layers)) == CNN1_COUNTS
        assert maps(model.layers, size_px) == [(n, side, side) for n, side in zip(CNN1_CHANNELS, sides, strict=True)]
        assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 5


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


def test_cnn3_refuses_pictures_that_its_pools_use_up():
    assert maps(classifier("cnn3", size_px=46, seed=0).layers, 46)[-1] == (64, 1, 1)
    with pytest.raises(ModelError, match="46 px or more, got 45"):
        classifier("cnn3", size_px=45, seed=0)


def test_networks_of_vectors():
    for name, inputs, count in (("dnn_au", 8, 108), ("dnn_fp", 136, 2292)):
        model = classifier(name, size_px=0, seed=0)
        assert n_parameters(model) == count
        assert model(torch.zeros(3, inputs)).shape == (3, 4)
    assert [layer.p for layer in model.layers if isinstance(layer, nn.Dropout)] == [0.8]


def test_a_seed_names_the_first_weights_and_leaves_the_global_stream_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (classifier("dnn_fp", size_px=0, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])
