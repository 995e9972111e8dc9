"""N0, N1 and N2: counts, their equalities, absent modalities, frozen branches."""

import pytest
import torch
from torch import nn

from mien.errors import ModelError
from mien.models.mrpn import N2, Branch, build, load_trunk, n_parameters

JOINT = ("video", "audio")
COUNTS = {  # (modalities, fusion) -> weights with 8 and 6 classes, thesis-spec 2.9 and 2.10
    (("video",), "single"): (13_412_680, 13_412_166),
    (("audio",), "single"): (13_406_408, 13_405_894),
    (JOINT, "n0"): (26_818_312, 26_817_798),
    (JOINT, "n1"): (26_826_520, 26_823_954),
    (JOINT, "mrpn"): (27_353_880, 27_351_314),
}


def make(fusion, *, modalities=JOINT, width=2, classes=4, side_head="dense", seed=0, **changes):
    return build(
        modalities,
        fusion=fusion,
        aggregator="lstm",
        side_head=side_head,
        classes=classes,
        width=width,
        dropout=0.5,
        seed=seed,
        **changes,
    )


def draw(n=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "video": torch.randn(n, 3, 3, 32, 32, generator=generator),
        "audio": torch.randn(n, 2, 1, 32, 31, generator=generator),
    }


def trained(model):
    """Give batch statistics that are not those of a fresh network."""
    with torch.no_grad():
        for _ in range(3):
            model.train()(draw(seed=1))
    return model.eval()


@pytest.mark.parametrize("key", COUNTS, ids=str)
@pytest.mark.parametrize("classes", [8, 6])
def test_parameter_counts_of_the_thesis(key, classes):
    with torch.device("meta"):  # shapes without numbers
        model = make(key[1], modalities=key[0], width=64, classes=classes)
    assert n_parameters(model) == COUNTS[key][classes == 6]


@pytest.mark.parametrize(("fusion", "heads"), [("n0", set()), ("n1", set(JOINT)), ("mrpn", set(JOINT))])
@pytest.mark.parametrize("side_head", ["dense", "scoring"])
def test_every_head_gives_logits(fusion, heads, side_head):
    out = make(fusion, side_head=side_head)(draw())
    assert set(out) == {"fused"} | heads
    assert all(score.shape == (5, 4) for score in out.values())


def test_n0_and_n1_agree_in_the_test_for_equal_weights():
    n1 = trained(make("n1"))
    n0 = make("n0").eval()
    n0.load_state_dict({name: w for name, w in n1.state_dict().items() if not name.startswith("side.")})
    torch.testing.assert_close(n0(draw())["fused"], n1(draw())["fused"], rtol=0, atol=0)


def test_n2_without_its_residual_is_n1():
    n2 = trained(make("mrpn"))
    n1 = make("n1").eval()
    n1.load_state_dict({name: w for name, w in n2.state_dict().items() if not name.startswith("residual.")})
    assert not torch.equal(n2(draw())["fused"], n1(draw())["fused"])
    for residual in n2.residual.values():
        nn.init.zeros_(residual.norm.weight)
        nn.init.zeros_(residual.norm.bias)
    for head, score in n2(draw()).items():
        torch.testing.assert_close(score, n1(draw())[head], rtol=0, atol=0)


def test_the_residual_may_be_a_relu():
    """X34: f' = f + FeatureNorm(ReLU(Dense(f))); the same weights as with a sigmoid."""
    plain, model = trained(make("mrpn")), make("mrpn", residual="relu").eval()
    model.load_state_dict(plain.state_dict())
    feature = torch.randn(5, 16)
    part = model.residual["video"]
    wanted = feature + part.norm(part.dense(feature).clamp(min=0.0))
    torch.testing.assert_close(part(feature), wanted)
    assert not torch.allclose(plain.residual["video"](feature), wanted, atol=1e-3)


def test_side_heads_may_score_as_the_fusion_does():
    """Eq. 26 writes Scoring where eqs. 31 and 32 write one layer (thesis-spec, I-20)."""
    with torch.device("meta"):
        model = make("mrpn", width=64, classes=8, side_head="scoring")
    for side in model.side.values():
        assert [type(layer).__name__ for layer in side] == [type(layer).__name__ for layer in model.score]
    assert n_parameters(model) == 27_353_880 + 2 * (512 * 256 + 256 + 2 * 256 + 256 * 8 + 8 - 512 * 8 - 8)


@pytest.mark.parametrize("fusion", ["n0", "n1", "mrpn"])
@pytest.mark.parametrize("filling", [float("nan"), 1e6])
def test_an_absent_modality_has_no_influence(fusion, filling):
    model, inputs = trained(make(fusion)), draw()
    present = {"video": torch.tensor([True, False, True, False, True]), "audio": torch.ones(5, dtype=torch.bool)}
    want = model(inputs, present)
    inputs["video"][~present["video"]] = filling
    for head, score in model(inputs, present).items():
        torch.testing.assert_close(score, want[head], rtol=0, atol=0)
    features = model.features(inputs, present)
    assert not features["video"][~present["video"]].any()
    assert features["video"][present["video"]].any(dim=1).all()


def test_a_batch_without_a_modality_is_judged_by_the_other():
    model = trained(make("mrpn"))
    inputs = draw() | {"video": torch.full((5, 3, 3, 32, 32), float("nan"))}
    absent = torch.zeros(5, dtype=torch.bool)
    assert model(inputs, {"video": absent, "audio": ~absent})["fused"].isfinite().all()


def test_clips_with_everything_do_not_notice_the_masks():
    model = trained(make("mrpn"))
    present = {name: torch.ones(5, dtype=torch.bool) for name in JOINT}
    torch.testing.assert_close(model(draw(), present)["fused"], model(draw())["fused"], rtol=0, atol=0)


@pytest.mark.parametrize("fusion", ["n0", "gated", "attention"])
def test_frozen_branches_keep_weights_and_statistics_in_training(fusion):
    model = make(fusion)
    model.freeze("video", "audio")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for seed in range(2):
        model.train()
        model(draw(seed=seed))["fused"].square().sum().backward()
        optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not [name for name in changed if name.startswith("branches.")]
    assert "norms.video.running_mean" in changed
    assert "score.0.weight" in changed


@pytest.mark.parametrize("fusion", ["n0", "mrpn", "gated", "attention"])
def test_frozen_trunks_keep_weights_and_statistics_while_all_else_learns(fusion):
    model = make(fusion)
    model.freeze(trunks=JOINT)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for seed in range(2):
        model.train()
        sum(score.square().sum() for score in model(draw(seed=seed)).values()).backward()
        optimizer.step()
    unchanged = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    trunks = {name for name in before if name.startswith(("branches.video.trunk.", "branches.audio.trunk."))}
    assert unchanged == trunks
    assert any("running_mean" in name for name in trunks)


def test_fusion_takes_any_number_of_modalities_by_any_name():
    class Trunk(nn.Linear):
        dim = 6

        def forward(self, x):
            return super().forward(x.flatten(1))

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(1)

    branches = {name: Branch(Trunk(4, 6), Mean()) for name in ("gait", "pulse", "text")}
    model = N2(branches, side=lambda dim: nn.Linear(dim, 3), hidden=5, classes=3, dropout=0.0)
    out = model({name: torch.randn(7, 2, 1, 2, 2) for name in branches})
    assert list(out) == ["fused", "gait", "pulse", "text"]
    assert out["fused"].shape == (7, 3)


def test_networks_of_one_seed_start_from_the_same_branches():
    single, joint, other = make("single", modalities=("audio",)), make("mrpn"), make("mrpn", seed=1)
    for name, value in single.branches["audio"].state_dict().items():
        assert torch.equal(value, joint.branches["audio"].state_dict()[name])
    assert not torch.equal(joint.branches["audio"].trunk.conv1.weight, other.branches["audio"].trunk.conv1.weight)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    make("n1")
    assert torch.equal(torch.rand(2), want)


def test_first_weights_of_a_trunk_are_loaded_and_checked(tmp_path):
    from safetensors.torch import save_file

    source, model = make("n0", seed=5), make("n0")
    state = source.branches["video"].trunk.state_dict()
    save_file(state | {"fc.weight": torch.zeros(7, 16)}, tmp_path / "trunk.safetensors")
    load_trunk(model, "video", tmp_path / "trunk.safetensors")
    assert torch.equal(model.branches["video"].trunk.conv1.weight, state["conv1.weight"])
    with pytest.raises(
        ModelError, match=r"trunk.safetensors.*conv1.weight is \(2, 3, 7, 7\) instead of \(2, 1, 7, 7\)"
    ):
        load_trunk(model, "audio", tmp_path / "trunk.safetensors")
    with pytest.raises(ModelError, match=r"none.safetensors"):
        load_trunk(model, "audio", tmp_path / "none.safetensors")
