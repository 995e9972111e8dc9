"""BiLSTM and Transformer: sizes of the thesis's reading, references, and that every weight takes part."""

import pytest
import torch
from torch import nn

from mien.errors import ModelError
from mien.models.cost import costs, total
from mien.models.mrpn import AGGREGATORS, BiLSTM, Transformer, build, n_parameters

COUNTS = {"lstm": 2_101_248, "bilstm": 1_576_960, "transformer": 4_238_336}  # thesis-spec 2.9 and 2.11, D = 512
JOINT_COUNTS = {"lstm": 27_353_880, "bilstm": 26_305_304, "transformer": 31_628_056}  # N2 with 8 classes


def joint(aggregator, *, width=2, **changes):
    arguments = {"fusion": "mrpn", "side_head": "dense", "classes": 8, "dropout": 0.0} | changes
    return build(("video", "audio"), aggregator=aggregator, width=width, **arguments)


def features(n=3, n_steps=5, dim=64):
    return torch.randn(n, n_steps, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    with torch.device("meta"):  # shapes without numbers
        assert n_parameters(AGGREGATORS[name](512)) == COUNTS[name]
        model = joint(name, width=64)
        assert n_parameters(model) == JOINT_COUNTS[name]
        shapes = {"video": (1, 3, 3, 64, 64), "audio": (1, 2, 1, 64, 64)}
        assert total(costs(model, shapes)).parameters == JOINT_COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("dim", [16, 64])
def test_every_weight_takes_part_and_clips_do_not_meet(name, dim):
    model = AGGREGATORS[name](dim)
    sequence = features(dim=dim)
    out = model.eval()(sequence)
    assert out.shape == (3, dim)
    torch.testing.assert_close(model(sequence[1:2]), out[1:2], rtol=1e-4, atol=1e-5)
    model.train()(sequence).square().sum().backward()
    idle = [key for key, weight in model.named_parameters() if not weight.grad.any()]
    assert not idle


def test_a_bilstm_is_two_lstm_of_half_the_size():
    model, sequence = BiLSTM(64).eval(), features()
    directions = []
    for suffix, order in (("", sequence), ("_reverse", sequence.flip(1))):
        one = nn.LSTM(64, 32, batch_first=True)
        one.load_state_dict({key: model.lstm.state_dict()[f"{key}{suffix}"] for key in one.state_dict()})
        directions.append(one(order)[0].mean(1))
    torch.testing.assert_close(model(sequence), torch.cat(directions, dim=1))


def test_a_transformer_tells_time_by_its_positions_alone():
    model, sequence = Transformer(64).eval(), features()
    assert not torch.allclose(model(sequence), model(sequence.flip(1)), atol=1e-4)
    nn.init.zeros_(model.positions)
    torch.testing.assert_close(model(sequence), model(sequence.flip(1)))


def test_a_transformer_refuses_what_it_has_no_positions_for():
    model = Transformer(16).eval()
    assert model(features(n_steps=64, dim=16)).isfinite().all()
    with pytest.raises(ModelError, match=r"64 steps, and a clip has 65; lower train\.frames"):
        model(features(n_steps=65, dim=16))


@pytest.mark.parametrize("name", COUNTS)
def test_networks_of_one_seed_start_from_the_same_trunks(name):
    trunk, other = (joint(kind, seed=4).branches["video"].trunk.state_dict() for kind in (name, "none"))
    assert all(torch.equal(value, other[key]) for key, value in trunk.items())
