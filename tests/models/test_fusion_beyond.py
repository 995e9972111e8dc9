"""Gates and attention in the place of the concatenation: formulas, counts, absent modalities, order."""

import math

import pytest
import torch

from mien.errors import ModelError
from mien.models.mrpn import Crossing, GatedUnit, build, n_parameters

JOINT = ("video", "audio")
CLASSES = 4


def make(fusion, *, modalities=JOINT, width=2, **changes):
    arguments = {"aggregator": "lstm", "side_head": "dense", "classes": CLASSES, "dropout": 0.5} | changes
    return build(modalities, fusion=fusion, width=width, **arguments)


def draw(n=5, seed=0, modalities=JOINT):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"video": (3, 3, 32, 32), "audio": (2, 1, 32, 31), "units": (4, 8)}
    return {name: torch.randn(n, *shapes[name], generator=generator) for name in modalities}


def trained(model):
    """Give batch statistics that are not those of a fresh network."""
    with torch.no_grad():
        for _ in range(2):
            model.train()(draw(seed=1, modalities=tuple(model.branches)))
    return model.eval()


@pytest.mark.parametrize("fusion", ["gated", "attention"])
@pytest.mark.parametrize("modalities", [JOINT, (*JOINT, "units")])
def test_parameter_counts_by_formula(fusion, modalities):
    m, d, h, c = len(modalities), 512, 256, CLASSES
    with torch.device("meta"):
        model = make(fusion, modalities=modalities, width=64)
        branches = sum(n_parameters(branch) for branch in model.branches.values())
    scoring = {"gated": d, "attention": m * d}[fusion] * h + h + 2 * h + h * c + c
    gates = 1 if m == 2 else m
    own = {
        "gated": m * d * d + gates * d * m * d,
        "attention": m * (4 * d * d + 4 * d + 2 * d) + 2 * m * d,  # projections, LayerNorm; FeatureNorm of all
    }[fusion]
    assert n_parameters(model) == branches + 2 * m * d + own + scoring


def test_two_modalities_share_a_gate_as_in_the_paper():
    unit = GatedUnit(["v", "t"], 6)
    v, t = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    z = torch.sigmoid(torch.cat([v, t], dim=1) @ unit.gate["v"].weight.T)
    h_v, h_t = (torch.tanh(x @ unit.hidden[name].weight.T) for name, x in (("v", v), ("t", t)))
    torch.testing.assert_close(unit({"v": v, "t": t}), z * h_v + (1 - z) * h_t)


def test_the_attention_is_the_softmax_of_scaled_products():
    crossing, (own, others) = Crossing(64), torch.randn(2, 3, 5, 64, generator=torch.Generator().manual_seed(0))
    attention = crossing.attention
    queries, keys, values = (
        (x @ weight.T + bias).unflatten(2, (4, 16)).transpose(1, 2)  # (B, heads, T, 16)
        for x, weight, bias in zip(
            (own, others, others), attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True
        )
    )
    weights = (queries @ keys.transpose(2, 3) / math.sqrt(16)).softmax(-1)
    found = attention.out_proj((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(crossing(own, others), crossing.norm(own + found).mean(1))


@pytest.mark.parametrize(("dim", "heads"), [(512, 8), (64, 4), (16, 1), (24, 1)])
def test_heads_have_enough_numbers_each(dim, heads):
    assert Crossing(dim).attention.num_heads == heads


@pytest.mark.parametrize("fusion", ["gated", "attention"])
@pytest.mark.parametrize("modalities", [JOINT, (*JOINT, "units")])
def test_an_absent_modality_has_no_influence(fusion, modalities):
    model, inputs = trained(make(fusion, modalities=modalities)), draw(modalities=modalities)
    present = {name: torch.ones(5, dtype=torch.bool) for name in modalities}
    present["video"][[1, 3]] = False
    present[modalities[-1]][3] = len(modalities) == 2  # of three, the last clip of these has a voice alone
    want = model(inputs, present)["fused"]
    assert want.isfinite().all()
    for name in modalities:
        inputs[name][~present[name]] = torch.nan
    torch.testing.assert_close(model(inputs, present)["fused"], want, rtol=0, atol=0)
    alone = model({name: rows[:1] for name, rows in inputs.items()})["fused"]
    torch.testing.assert_close(alone, want[:1], rtol=1e-4, atol=1e-5)  # clips with everything do not notice


@pytest.mark.parametrize("fusion", ["gated", "attention"])
def test_an_absent_modality_leaves_gradients_finite(fusion):
    model, inputs = make(fusion).train(), draw()
    present = {"video": torch.tensor([True, False, True, False, True]), "audio": torch.ones(5, dtype=torch.bool)}
    inputs["video"][~present["video"]] = torch.nan
    model(inputs, present)["fused"].square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_attention_hears_what_the_other_modality_does_in_between():
    """The same last state of the voice, but another way to it: late fusion of last states could not tell."""
    torch.manual_seed(0)
    model = trained(make("attention"))
    states = {"video": torch.randn(2, 3, 16), "audio": torch.randn(2, 4, 16)}
    other = states["audio"].clone()
    other[:, 0] += 1.0
    crossing = model.crossings["video"]
    assert not torch.allclose(crossing(states["video"], states["audio"]), crossing(states["video"], other), atol=1e-3)


@pytest.mark.parametrize("fusion", ["gated", "attention"])
def test_the_order_of_modalities_does_not_matter(fusion):
    """The same weights at their new places give the same answer."""
    names, turned = (*JOINT, "units"), ("units", "video", "audio")
    model, other = trained(make(fusion, modalities=names)), make(fusion, modalities=turned).eval()
    places = [names.index(name) for name in turned]
    joint = {"gated": ("unit.gate",), "attention": ("joint_norm", "score.0.weight")}[fusion]

    def moved(key, value):
        if not key.startswith(joint) or value.ndim == 0:
            return value
        return torch.cat([value.chunk(3, dim=-1)[place] for place in places], dim=-1)

    other.load_state_dict({key: moved(key, value) for key, value in model.state_dict().items()})
    inputs = draw(modalities=names)
    torch.testing.assert_close(other(inputs)["fused"], model(inputs)["fused"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{"aggregator": "bilstm"}, {"trunk": {"video": "resnet3d18"}}], ids=str)
def test_attention_needs_states_of_every_step(changes):
    with pytest.raises(ModelError, match=r"fusion attention .* give it aggregator lstm"):
        make("attention", **changes)
