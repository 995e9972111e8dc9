"""The two listings of the thesis come out to the last digit, and honest counts count every use of a weight."""

import pytest
import torch
from torch import nn

from mien.config.schema import ClassifierConfig, PretrainConfig, StreamConfig
from mien.models.cost import (
    WINDOW,
    Cost,
    Listing,
    costs,
    input_shapes,
    multiply_adds,
    row_costs,
    total,
)
from mien.models.mrpn import build, n_parameters
from mien.models.resnet import ResNet18

LSTM_WEIGHTS = 2 * 4 * (512 * 512 + 512 * 512)  # two layers of four gates, from the input and from the state
AUDIO, HEAD = 2_382_453_568, 1024 * 256 + 256 * 8


@pytest.fixture(scope="module")
def flat() -> dict[str, Cost]:
    with torch.device("meta"):
        return costs(Listing(deep=False), WINDOW)


@pytest.fixture(scope="module")
def deep() -> dict[str, Cost]:
    with torch.device("meta"):
        return costs(Listing(deep=True), WINDOW)


def test_the_printed_numbers_to_the_last_digit(flat, deep):
    assert (total(flat).parameters, total(flat).listed) == (26_813_704, 4_200_483_008)
    assert (total(deep).parameters, total(deep).listed) == (44_638_600, 56_933_271_744)


def test_honest_counts_see_every_frame_and_step(flat, deep):
    image = 25 * 1_813_561_344
    assert total(flat, "trunk").multiply_adds == image
    assert total(flat, "lstm").multiply_adds == 25 * LSTM_WEIGHTS
    assert total(flat).multiply_adds == image + 25 * LSTM_WEIGHTS + AUDIO + HEAD
    assert total(deep).multiply_adds == 54_550_544_384 + AUDIO + HEAD


def test_one_more_member_of_a_batch_is_not_listed():
    layer = nn.Conv3d(2, 3, 3, padding=1)
    one, four = (costs(layer, (n, 2, 5, 6, 7))[""] for n in (1, 4))
    assert one == Cost(parameters=2 * 3 * 27 + 3, multiply_adds=2 * 3 * 27 * 210, listed=2 * 3 * 27 * 210)
    assert four == Cost(parameters=one.parameters, multiply_adds=4 * one.multiply_adds, listed=one.listed)


def test_dense_layers_and_memories_count_their_weights_once_per_step_or_once_per_call():
    dense = costs(nn.Linear(5, 7), (2, 3, 5))[""]
    assert dense == Cost(parameters=42, multiply_adds=6 * 35, listed=35)
    memory = costs(nn.LSTM(5, 7, batch_first=True, bidirectional=True), (2, 3, 5))[""]
    weights = 2 * 4 * 7 * (5 + 7)
    assert memory == Cost(parameters=weights + 2 * 8 * 7, multiply_adds=6 * weights, listed=weights)


def test_a_layer_that_is_called_twice_has_its_parameters_once():
    layer = nn.Linear(3, 3)
    assert costs(nn.Sequential(layer, nn.ReLU(), layer), (1, 3)) == {"0": Cost(12, 18, 18)}


def test_counting_leaves_the_model_as_it_is():
    model = ResNet18(in_channels=1, width=2).train()
    model(torch.ones(2, 1, 32, 32)).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient = model.conv1.weight.grad.clone()
    assert multiply_adds(model, (1, 1, 32, 32)) > 0
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model.conv1.weight.grad, gradient)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_attention_counts_its_dense_layers_and_the_products_of_its_steps():
    """Self-attention as an encoder uses it: four dense layers per step, and every step against every other one."""
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True, norm_first=True)
    found = costs(layer, (3, 5, 8))
    dense = 4 * 8 * 8 + 2 * 8 * 16
    assert total(found).parameters == sum(weight.numel() for weight in layer.parameters())
    assert total(found).multiply_adds == 3 * (5 * dense + 2 * 5 * 5 * 8)
    assert found["self_attn"].listed == 4 * 8 * 8


@torch.no_grad()
def test_what_is_left_out_of_counting_does_not_change_shapes():
    """Norms and memories are not computed; whoever computes them finds the same layers and sizes."""
    model = build(("video",), fusion="single", aggregator="bilstm", side_head="dense", classes=4, width=2, dropout=0.0)
    computed = costs(model, {"video": (1, 3, 3, 32, 32)}, computed=True)
    assert computed == costs(model, {"video": (1, 3, 3, 32, 32)})
    assert total(computed).parameters == n_parameters(model)
    assert model.eval()({"video": torch.zeros(1, 3, 3, 32, 32)})["fused"].shape == (1, 4)


LEARNT = {"corpus": "fer2013", "target": "label", "learning_rate": 1e-3, "epochs": 1, "batch": 2}
ROWS = {  # name -> row, shape of the input, multiply-adds of some layers
    "stream": (
        StreamConfig(modalities=("video", "audio"), fusion="mrpn", aggregator="lstm"),
        {"video": (1, 3, 3, 32, 32), "audio": (1, 2, 1, 32, 31)},
        {"branches.video.aggregator": 3 * 8 * 16**2, "branches.audio.aggregator": 2 * 8 * 16**2, "score.4": 8 * 4},
    ),
    "vgg16": (
        PretrainConfig(modality="video", network="vgg16", **LEARNT),
        (1, 3, 32, 32),
        {"features.0": 3 * 2 * 9 * 32**2, "classifier.6": 128 * 4},
    ),
    "resnet18": (
        PretrainConfig(modality="audio", network="resnet18", **LEARNT),
        (1, 1, 32, 31),
        {"conv1": 2 * 49 * 16 * 16, "fc": 16 * 4},
    ),
    "classifier": (ClassifierConfig(features="AU8", model="dnn_au"), (1, 8), {"layers.0": 64, "layers.2": 8 * 4}),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_counted_as_the_network_that_it_describes(name):
    row, shape, parts = ROWS[name]
    found = row_costs(row, classes=4, width=2, shape=shape)
    assert {part: total(found, part).multiply_adds for part in parts} == parts


def test_shapes_are_those_of_a_clip():
    shapes = input_shapes({"video": 3, "audio": 2, "units": 4}, size_px=32, segment=(33, 31))
    assert shapes == {"video": (1, 3, 3, 32, 32), "audio": (1, 2, 1, 33, 31), "units": (1, 4, 8)}
