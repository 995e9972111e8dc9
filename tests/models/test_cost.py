"""The two listings of the thesis come out to the last digit, and honest counts count every use of a weight."""

import pytest
import torch
from torch import nn

from mien.config.schema import StreamConfig
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
from mien.models.mrpn import build
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


def test_a_row_is_counted_as_the_network_that_it_describes():
    shapes = input_shapes({"video": 3, "audio": 2}, size_px=32, segment=(32, 31))
    assert shapes == {"video": (1, 3, 3, 32, 32), "audio": (1, 2, 1, 32, 31)}
    row = StreamConfig(modalities=("video", "audio"), fusion="mrpn", aggregator="lstm", init={})
    sizes = {"classes": 4, "width": 2, "dropout": 0.0}
    model = build(row.modalities, fusion="mrpn", aggregator="lstm", side_head="dense", **sizes)
    found = row_costs(row, classes=4, width=2, shape=shapes)
    assert found == costs(model, shapes)
    assert total(found, "branches.video.aggregator").multiply_adds == 3 * 8 * 16**2
