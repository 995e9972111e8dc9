"""The networks of geometric features have the sizes of the thesis's formulas."""

import pytest
import torch

from mien.models.checkpoint import classifier
from mien.models.mrpn import n_parameters


@pytest.mark.parametrize(("name", "inputs", "count"), [("dnn_au", 8, 108), ("dnn_fp", 136, 2292)])
def test_counts_and_shapes(name, inputs, count):
    model = classifier(name, size_px=0, seed=0)
    assert n_parameters(model) == count
    assert model(torch.zeros(3, inputs)).shape == (3, 4)


def test_dnn_fp_drops_four_fifths_in_training_and_nothing_after():
    model = classifier("dnn_fp", size_px=0, seed=0)
    seen = []
    model.layers[3].register_forward_hook(lambda module, inputs, output: seen.append((output == 0) & (inputs[0] > 0)))
    points = torch.randn(1000, 136, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(points)
    positive = model.layers[:3](points) > 0
    assert seen[0].sum() / positive.sum() == pytest.approx(0.8, abs=0.02)
    model.eval()(points)
    assert not seen[1].any()


def test_a_seed_names_the_first_weights_and_leaves_the_global_stream_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (classifier("dnn_fp", size_px=0, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])
