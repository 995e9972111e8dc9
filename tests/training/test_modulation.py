"""OGM-GE: coefficients of a batch, gradients that are scaled by them exactly, noise by seed, and rows that train so."""

import math
import re

import pytest
import torch
import yaml
from torch.nn import functional

from mien.config.rows import expand
from mien.config.schema import ModulationConfig
from mien.models import checkpoint
from mien.models.mrpn import build
from mien.training.modulation import GradientModulation, modulation_coefficients
from training.commands import contents, train_variant

NAMES = ("video", "audio")
LABEL = torch.tensor([0, 1, 0, 1])


def scores(*right):
    """Return logits (2, 2) of two clips, of class 0 and 1, that give the right class these probabilities."""
    first, second = (math.log(p / (1 - p)) for p in right)
    return torch.tensor([[first, 0.0], [0.0, second]])


@pytest.mark.parametrize(("ahead", "behind"), [NAMES, NAMES[::-1]])
def test_the_modality_that_knows_more_is_slowed_down(ahead, behind):
    own = {name: scores(*{ahead: (0.8, 0.6), behind: (0.4, 0.3)}[name]) for name in NAMES}
    found = modulation_coefficients(own, torch.tensor([0, 1]), alpha=0.5)  # the ratio is 1.4 / 0.7 = 2
    assert float(found[ahead]) == pytest.approx(0.2384058)  # 1 - tanh(1)
    assert float(found[behind]) == 1.0


def test_modalities_that_know_as_much_learn_as_they_would():
    own = dict.fromkeys(NAMES, scores(0.7, 0.2))
    assert [float(k) for k in modulation_coefficients(own, torch.tensor([0, 1]), alpha=0.5).values()] == [1.0, 1.0]


def asked(*, seed=0, head="scoring", **config):
    """Return a network after a batch, and its optimizer; its gradients are those of the batch."""
    options = {"aggregator": "lstm", "side_head": "dense", "classes": 2, "width": 1, "dropout": 0.0}
    network = build(NAMES, fusion="n0", head=head, seed=1, **options).train()
    generator = torch.Generator().manual_seed(0)
    inputs = {"video": torch.randn(4, 2, 3, 16, 16, generator=generator)}
    inputs["audio"] = torch.randn(4, 2, 1, 16, 16, generator=generator)
    generator.manual_seed(seed)
    one = GradientModulation(network=network, config=ModulationConfig(**config), generator=generator)
    loss = functional.cross_entropy(one(inputs)["fused"], LABEL)
    loss.backward(retain_graph=True)
    return one, torch.optim.SGD(network.parameters(), lr=0.1), loss


def gradients(one):
    return {name: weight.grad.clone() for name, weight in one.network.named_parameters()}


def step(one, optimizer, loss):
    one.step(optimizer, loss, LABEL)
    return gradients(one)


def test_what_a_modality_says_alone_is_its_share_of_a_linear_head():
    one, _, _ = asked(head="dense")
    found, network = one.unimodal_logits(), one.network.eval()
    weight, bias = network.score[1].weight, network.score[1].bias
    joint = torch.cat([network.norms[name](one.encoded[name]) for name in NAMES], dim=1)
    norm = network.joint_norm
    for name, part in zip(NAMES, (slice(0, 8), slice(8, 16)), strict=True):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = weight @ (norm.bias - norm.running_mean * scale) + bias  # of the norm and the layer together
        torch.testing.assert_close(found[name], (joint * scale)[:, part] @ weight[:, part].T + shift / 2)
    torch.testing.assert_close(sum(found.values()), network.classify_features(one.encoded)["fused"])


def test_to_ask_leaves_no_trace():
    one, _, _ = asked()
    before = {name: value.clone() for name, value in one.network.state_dict().items()}
    state = torch.get_rng_state()
    one.unimodal_logits()
    assert one.network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in one.network.state_dict().items())


def test_gradients_of_the_branches_are_scaled_exactly():
    one, optimizer, loss = asked(alpha=0.3)
    before, factors = gradients(one), modulation_coefficients(one.unimodal_logits(), LABEL, alpha=0.3)
    assert sorted(float(k) < 1 for k in factors.values()) == [False, True]
    for name, after in step(one, optimizer, loss).items():
        branch = name.split(".")[1] if name.startswith("branches") else ""
        assert torch.equal(after, before[name] * factors.get(branch, 1.0)), name
    assert not optimizer._optimizer_step_pre_hooks  # each batch has its own


def test_noise_is_as_large_as_the_gradient_and_comes_from_the_seed():
    one, again, other = (asked(seed=seed, noise=True) for seed in (0, 0, 1))
    before, after, others = gradients(one[0]), step(*one), step(*other)
    assert all(torch.equal(value, after[name]) for name, value in step(*again).items())
    added = {name: after[name] - value for name, value in before.items()}
    for name in NAMES:
        key = f"branches.{name}.trunk.layer4.0.conv2.weight"
        assert float(added[key].std()) == pytest.approx(float(before[key].std()), rel=0.15)  # of 576 numbers
        assert not torch.equal(after[key], others[key])
    assert not any(value.any() for name, value in added.items() if not name.startswith("branches"))


@pytest.fixture(scope="module")
def howto(repository):
    """Return the row N0_OGM that the how-to tells to add, of the tiny corpus's N0."""
    text = (repository / "docs/howto.md").read_text()
    (block,) = re.findall(r"```yaml\n(variants:\n  N0_OGM: .*?)```", text, re.DOTALL)
    plain = {"modalities": list(NAMES), "fusion": "n0"}
    return expand({"variants": {"N0": plain} | yaml.safe_load(block)["variants"]})["variants"]["N0_OGM"]


@pytest.fixture
def trained(tiny, howto, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def train(out, **modulation):
        return train_variant(tiny, "N0_OGM", tmp_path / out, row=howto | {"modulation": modulation}, epochs=2)

    return train


def test_the_row_of_the_howto_trains_by_seed(trained, howto):
    assert howto["modulation"] == {"alpha": 0.3, "noise": True}
    balanced = trained("a", **howto["modulation"])
    assert contents(trained("b", **howto["modulation"])) == contents(balanced)
    weights = [checkpoint.load(at / "model.safetensors")[0] for at in (balanced, trained("c"))]
    kernels = [model.branches["video"].trunk.conv1.weight for model in weights]
    assert not torch.equal(*kernels)


def test_a_factor_of_one_gives_the_bits_of_the_plain_row(trained):
    plain, one = contents(trained("a")), contents(trained("b", alpha=1.0e-30))  # 1 - tanh(1e-30 * ratio) is 1
    assert {name for name in plain if plain[name] != one[name]} == {"run.json"}  # which says the configuration
