"""The networks of chapter 5: the thesis's counts, equalities between them, absent modalities, frozen encoders."""

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mien.errors import ModelError
from mien.models.cost import costs, total
from mien.models.mrpn import (
    AGGREGATORS,
    UNITS,
    BiLSTM,
    CrossmodalAttention,
    GatedMultimodalUnit,
    Transformer,
    UnitPerceptron,
    build,
    load_backbone,
    n_parameters,
)

JOINT, ALL = ("video", "audio"), ("video", "audio", "units")
FUSIONS = ("n0", "n1", "mrpn", "gated", "attention")
CLASSES, WIDTH, D = 4, 2, 16


def make(fusion, modalities=JOINT, *, width=WIDTH, **changes):
    arguments = {"aggregator": "lstm", "side_head": "dense", "classes": CLASSES, "dropout": 0.5} | changes
    return build(modalities, fusion=fusion, width=width, **arguments)


def draw(modalities=JOINT, *, n=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"video": (3, 3, 32, 32), "audio": (2, 1, 32, 31), "units": (4, UNITS)}
    return {name: torch.randn(n, *shapes[name], generator=generator) for name in modalities}


def trained(model):
    """Give batch statistics that are not those of a fresh network."""
    with torch.no_grad():
        for _ in range(3):
            model.train()(draw(tuple(model.branches), seed=1))
    return model.eval()


COUNTS = {  # (modalities, fusion, aggregator) -> weights with 8 and 6 classes, thesis-spec 2.9 to 2.11
    (("video",), "single", "lstm"): (13_412_680, 13_412_166),
    (("audio",), "single", "lstm"): (13_406_408, 13_405_894),
    (JOINT, "n0", "lstm"): (26_818_312, 26_817_798),
    (JOINT, "n1", "lstm"): (26_826_520, 26_823_954),
    (JOINT, "mrpn", "lstm"): (27_353_880, 27_351_314),
    (JOINT, "mrpn", "bilstm"): (26_305_304, 26_302_738),
    (JOINT, "mrpn", "transformer"): (31_628_056, 31_625_490),
}
MEMORIES = {"lstm": 2_101_248, "bilstm": 1_576_960, "transformer": 4_238_336}  # D = 512


@pytest.mark.parametrize("key", COUNTS, ids=str)
def test_counts_of_the_thesis(key):
    modalities, fusion, aggregator = key
    with torch.device("meta"):  # shapes without numbers
        for classes, count in zip((8, 6), COUNTS[key], strict=True):
            model = make(fusion, modalities, width=64, classes=classes, aggregator=aggregator)
            assert n_parameters(model) == count
        assert n_parameters(AGGREGATORS[aggregator](512)) == MEMORIES[aggregator]
        shapes = {name: (1, *rows.shape[1:]) for name, rows in draw(modalities).items()}
        assert total(costs(model, shapes)).parameters == COUNTS[key][1]  # every weight takes part


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("side_head", ["dense", "scoring"])
def test_every_head_gives_logits(fusion, side_head):
    model = make(fusion, ALL, side_head=side_head)
    out = model(draw(ALL))
    assert set(out) == {"fused"} | (set(ALL) if fusion in ("n1", "mrpn") else set())
    assert all(score.shape == (5, CLASSES) for score in out.values())
    for side in model.side.values():  # eq. 26 writes Scoring where eqs. 31 and 32 write one layer
        assert type(side) is (nn.Linear if side_head == "dense" else type(model.score))


def test_mrpn_without_its_residual_is_n1_and_n1_without_side_heads_is_n0():
    n2, n1, n0 = trained(make("mrpn")), make("n1").eval(), make("n0").eval()
    n1.load_state_dict({name: w for name, w in n2.state_dict().items() if not name.startswith("residual.")})
    n0.load_state_dict({name: w for name, w in n1.state_dict().items() if not name.startswith("side.")})
    assert not torch.equal(n2(draw())["fused"], n1(draw())["fused"])
    for residual in n2.residual.values():
        nn.init.zeros_(residual.norm.weight)
        nn.init.zeros_(residual.norm.bias)
    assert all(torch.equal(score, n1(draw())[head]) for head, score in n2(draw()).items())
    assert torch.equal(n0(draw())["fused"], n1(draw())["fused"])


def test_the_residual_may_be_a_relu():
    """X34: f' = f + FeatureNorm(ReLU(Dense(f))); the same weights as with a sigmoid."""
    plain, model = trained(make("mrpn")), make("mrpn", residual="relu").eval()
    model.load_state_dict(plain.state_dict())
    feature = torch.randn(5, D)
    part = model.residual["video"]
    wanted = feature + part.norm(part.dense(feature).clamp(min=0.0))
    torch.testing.assert_close(part(feature), wanted)
    assert not torch.allclose(plain.residual["video"](feature), wanted, atol=1e-3)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("filling", [math.nan, 1e6])
@pytest.mark.parametrize("modalities", [JOINT, ALL])
def test_an_absent_modality_has_no_influence(fusion, filling, modalities):
    model, inputs = trained(make(fusion, modalities)), draw(modalities)
    n_steps = {name: torch.tensor([rows.shape[1]] * 5) for name, rows in inputs.items()}
    n_steps["video"][[1, 3]] = 0
    if len(modalities) == 3:  # clip 3 has a voice alone
        n_steps["units"][3] = 0
    n_steps["audio"][2] = 1  # of two
    want = model(inputs, n_steps)
    for name, rows in inputs.items():
        for clip, n in enumerate(n_steps[name]):
            rows[clip, n:] = filling
    assert all(torch.equal(score, want[head]) for head, score in model(inputs, n_steps).items())
    assert not model.forward_features(inputs, n_steps)["video"][[1, 3]].any()
    short = {name: rows[2:3, : n_steps[name][2]] for name, rows in inputs.items()}  # alone, and without its padding
    torch.testing.assert_close(model(short)["fused"], want["fused"][2:3], rtol=1e-4, atol=1e-5)
    alone = model({name: rows[:1] for name, rows in inputs.items()})["fused"]  # clips with everything do not notice
    torch.testing.assert_close(alone, want["fused"][:1], rtol=1e-4, atol=1e-5)
    inputs["video"] = torch.full_like(inputs["video"], math.nan)
    assert model(inputs, n_steps | {"video": torch.zeros(5, dtype=torch.int64)})["fused"].isfinite().all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_absent_modality_leaves_gradients_finite(fusion):
    model, inputs = make(fusion).train(), draw()
    n_steps = {"video": torch.tensor([3, 0, 2, 0, 1]), "audio": torch.tensor([2, 2, 1, 2, 1])}
    for name, rows in inputs.items():
        for clip, n in enumerate(n_steps[name]):
            rows[clip, n:] = torch.nan
    model(inputs, n_steps)["fused"].square().sum().backward()
    assert all(w.grad.isfinite().all() for name, w in model.named_parameters() if not name.startswith("side."))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_order_of_modalities_is_one_of_columns_only(fusion):
    """The same weights at their new places give the same answer."""
    turned = ("units", "video", "audio")
    model, other = trained(make(fusion, ALL)), make(fusion, turned).eval()
    joint = ("unit.gate",) if fusion == "gated" else ("joint_norm", "score.0.weight")

    def moved(key, value):
        if not key.startswith(joint) or value.ndim == 0:
            return value
        return torch.cat([value.chunk(3, dim=-1)[ALL.index(name)] for name in turned], dim=-1)

    other.load_state_dict({key: moved(key, value) for key, value in model.state_dict().items()})
    for head, score in model(draw(ALL)).items():
        torch.testing.assert_close(other(draw(ALL))[head], score, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("frozen", [{"names": JOINT}, {"trunks": JOINT}], ids=str)
def test_frozen_parts_keep_weights_and_statistics_while_all_else_learns(fusion, frozen):
    model = make(fusion)
    model.freeze(*frozen.get("names", ()), trunks=frozen.get("trunks", ()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for seed in range(2):
        model.train()
        sum(score.square().sum() for score in model(draw(seed=seed)).values()).backward()
        optimizer.step()
    unchanged = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    kept = tuple(f"branches.{name}.{'trunk.' if 'trunks' in frozen else ''}" for name in JOINT)
    assert unchanged == {name for name in before if name.startswith(kept)}
    assert any("running_mean" in name for name in unchanged)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_networks_of_one_seed_start_from_the_same_encoders(aggregator):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    single, joint = make("single", ("audio",), aggregator=aggregator), make("mrpn", aggregator=aggregator)
    assert torch.equal(torch.get_rng_state(), before)  # the global generator is left alone
    for name, value in single.branches["audio"].state_dict().items():
        assert torch.equal(value, joint.branches["audio"].state_dict()[name])
    trunk, other = (model.branches["audio"].trunk.conv1.weight for model in (joint, make("mrpn", seed=1)))
    assert not torch.equal(trunk, other)
    assert torch.equal(trunk, make("n0").branches["audio"].trunk.conv1.weight)  # whatever the aggregator


def test_first_weights_of_a_trunk_are_loaded_and_checked(tmp_path):
    path, model = tmp_path / "trunk.safetensors", make("n0")
    state = make("n0", seed=5).branches["video"].trunk.state_dict()
    save_file(state | {"fc.weight": torch.zeros(7, 16)}, path)
    load_backbone(model.branches["video"].trunk, path, of="video branch", where="variants.*.init")
    assert torch.equal(model.branches["video"].trunk.conv1.weight, state["conv1.weight"])
    message = r"trunk.safetensors.*conv1.weight is \(2, 3, 7, 7\) instead of \(2, 1, 7, 7\)"
    with pytest.raises(ModelError, match=message):
        load_backbone(model.branches["audio"].trunk, path, of="audio branch", where="variants.*.init")
    with pytest.raises(ModelError, match=r"none.safetensors"):
        load_backbone(model.branches["audio"].trunk, tmp_path / "none.safetensors", of="branch", where="init")
    clips = make("single", ("video",), trunk={"video": "resnet3d18"})
    with pytest.raises(ModelError, match=r"trunk.safetensors: .*single pictures.*leave it out of variants\.\*\.init"):
        load_backbone(clips.branches["video"].trunk, path, of="video branch", where="variants.*.init")


def test_whole_clips_leave_nothing_to_aggregate():
    usual, model = make("mrpn").state_dict(), make("mrpn", trunk={"video": "resnet3d18"})
    video = {name for name in model.state_dict() if name.startswith("branches.video.")}
    assert all(name.startswith("branches.video.trunk.") for name in video)
    for name, value in model.state_dict().items():  # the rest starts from the same weights
        assert name in video or torch.equal(value, usual[name]), name


def test_scale_and_offset_of_action_units_do_not_matter():
    trunk = UnitPerceptron(D, 8).train()
    units = torch.randn(50, UNITS, generator=torch.Generator().manual_seed(1))
    scaled = 3.0 * torch.arange(1, UNITS + 1) * units + 7.0
    torch.testing.assert_close(trunk(units), trunk(scaled), rtol=1e-3, atol=1e-4)


# Aggregators


def features(n_steps=5, dim=64):
    return torch.randn(3, n_steps, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MEMORIES)
@pytest.mark.parametrize("dim", [16, 64])
def test_every_weight_takes_part_and_clips_do_not_meet(name, dim):
    model, sequence = AGGREGATORS[name](dim), features(dim=dim)
    out = model.eval()(sequence)
    assert out.shape == (3, dim)
    torch.testing.assert_close(model(sequence[1:2]), out[1:2], rtol=1e-4, atol=1e-5)
    model.train()(sequence).square().sum().backward()
    assert not [key for key, weight in model.named_parameters() if not weight.grad.any()]


@pytest.mark.parametrize("name", AGGREGATORS)
def test_padded_steps_are_not_seen(name):
    model, sequence = AGGREGATORS[name](64).eval(), features()
    n_steps = torch.tensor([5, 2, 1])
    for clip, n in enumerate(n_steps):
        sequence[clip, n:] = 1e6
    out = model(sequence, n_steps)
    for clip, n in enumerate(n_steps):
        torch.testing.assert_close(out[clip], model(sequence[clip : clip + 1, :n])[0], rtol=1e-4, atol=1e-5)


def test_batch_statistics_are_those_of_the_steps_that_there_are():
    inputs, n_steps = draw(("audio",)), torch.tensor([2, 1, 0, 2, 1])
    padded, there = make("single", ("audio",)).train(), make("single", ("audio",)).train()
    padded(inputs, {"audio": n_steps})
    there.branches["audio"].trunk(torch.cat([rows[:n] for rows, n in zip(inputs["audio"], n_steps, strict=True)]))
    for one, other in zip(padded.branches["audio"].buffers(), there.branches["audio"].buffers(), strict=True):
        torch.testing.assert_close(one, other)


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
    with pytest.raises(ModelError, match=r"64 steps, and a clip has 65; lower train\.frames"):
        model(features(n_steps=65))


# Gates and attention


@pytest.mark.parametrize("names", ["vt", "vtu"])
def test_two_modalities_share_a_gate_and_more_have_one_each_as_in_the_paper(names):
    unit = GatedMultimodalUnit(list(names), 6)
    features = dict(zip(names, torch.randn(len(names), 4, 6), strict=True))
    joint = torch.cat(list(features.values()), dim=1)
    hidden = {name: torch.tanh(rows @ unit.hidden[name].weight.T) for name, rows in features.items()}
    z = {name: torch.sigmoid(joint @ gate.weight.T) for name, gate in unit.gate.items()}
    if names == "vt":
        z["t"] = 1 - z["v"]
    torch.testing.assert_close(unit(features), sum(z[name] * hidden[name] for name in names))


def test_the_attention_is_the_softmax_of_scaled_products():
    crossing = CrossmodalAttention(64)
    attention, (own, others) = crossing.attention, torch.randn(2, 3, 5, 64)
    queries, keys, values = (
        (x @ weight.T + bias).unflatten(2, (4, 16)).transpose(1, 2)  # (B, heads, T, 16)
        for x, weight, bias in zip(
            (own, others, others), attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True
        )
    )
    weights = (queries @ keys.transpose(2, 3) / math.sqrt(16)).softmax(-1)
    found = attention.out_proj((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(crossing(own, others), crossing.norm(own + found).mean(1))


@pytest.mark.parametrize("changes", [{"aggregator": "bilstm"}, {"trunk": {"video": "resnet3d18"}}], ids=str)
def test_attention_needs_states_of_every_step(changes):
    with pytest.raises(ModelError, match=r"fusion attention .* give it aggregator lstm"):
        make("attention", **changes)
