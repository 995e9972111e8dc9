"""Networks over three modalities: heads, counts, absent ones, their order; the branch of action units."""

import pytest
import torch

from mien.models.mrpn import HIDDEN, UNITS, UnitPerceptron, build, n_parameters

NAMES = ("video", "audio", "units")
FUSIONS = ("n0", "n1", "mrpn")
CLASSES, WIDTH = 4, 2
D, H = 8 * WIDTH, HIDDEN * WIDTH


def make(fusion, names=NAMES):
    sizes = {"aggregator": "lstm", "side_head": "dense", "classes": CLASSES, "width": WIDTH, "dropout": 0.5}
    return build(names, fusion=fusion, **sizes)


def draw(n=5):
    generator = torch.Generator().manual_seed(0)
    return {
        "video": torch.randn(n, 2, 3, 32, 32, generator=generator),
        "audio": torch.randn(n, 2, 1, 32, 31, generator=generator),
        "units": torch.randn(n, 3, UNITS, generator=generator),
    }


def trained(model):
    """Give batch statistics that are not those of a fresh network."""
    with torch.no_grad():
        for _ in range(3):
            model.train()(draw())
    return model.eval()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_head_per_modality_beside_the_answer(fusion):
    out = make(fusion)(draw())
    assert set(out) == {"fused"} | (set() if fusion == "n0" else set(NAMES))
    assert {score.shape for score in out.values()} == {(5, CLASSES)}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_counts_of_weights_by_formula(fusion):
    model, m = make(fusion), len(NAMES)
    perceptron, lstm = UNITS * H + H + H * D + D, 8 * D * D + 8 * D
    assert n_parameters(model.branches["units"]) == perceptron + lstm
    branches = sum(n_parameters(branch) for branch in model.branches.values())
    scoring = m * D * H + H + 2 * H + H * CLASSES + CLASSES
    wanted = branches + m * 2 * D + 2 * m * D + scoring  # FeatureNorms of the features and of the joint vector
    wanted += m * (D * CLASSES + CLASSES) * (fusion != "n0") + m * (D * D + D + 2 * D) * (fusion == "mrpn")
    assert n_parameters(model) == wanted


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("gone", NAMES)
def test_what_an_absent_modality_holds_has_no_influence(fusion, gone):
    model, inputs = trained(make(fusion)), draw()
    present = {name: torch.ones(5, dtype=torch.bool) for name in NAMES}
    present[gone] = torch.tensor([True, False, True, False, True])
    one = model(inputs, present)
    inputs[gone][~present[gone]] = torch.nan
    other = model(inputs, present)
    for head, score in one.items():
        assert torch.equal(score, other[head])
    inputs[gone][0] += 1.0
    assert not torch.equal(model(inputs, present)["fused"][0], one["fused"][0])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_order_of_modalities_is_one_of_columns_only(fusion):
    one, order = trained(make(fusion)), ("units", "video", "audio")
    columns = torch.cat([torch.arange(D) + D * NAMES.index(name) for name in order])
    state = one.state_dict()
    for name in ("joint_norm.weight", "joint_norm.bias", "joint_norm.running_mean", "joint_norm.running_var"):
        state[name] = state[name][columns]
    state["score.0.weight"] = state["score.0.weight"][:, columns]
    other = make(fusion, order).eval()
    other.load_state_dict(state)
    here, there = one(draw()), other(draw())
    for head, score in here.items():
        torch.testing.assert_close(score, there[head])


def test_scale_and_offset_of_action_units_do_not_matter():
    trunk = UnitPerceptron(D, H).train()
    units = torch.randn(50, UNITS, generator=torch.Generator().manual_seed(1))
    scaled = 3.0 * torch.arange(1, UNITS + 1) * units + 7.0
    torch.testing.assert_close(trunk(units), trunk(scaled), rtol=1e-3, atol=1e-4)
