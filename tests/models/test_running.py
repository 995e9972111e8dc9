"""Running networks: step by step is one pass is the batch network; nothing comes from later or from others."""

import copy

import pytest
import torch

from mien.errors import ModelError
from mien.models import checkpoint
from mien.models.mrpn import build
from mien.models.streaming import Along, StreamSettings, load, network_of, run_along

JOINT = ("video", "audio")
NETWORKS = {  # name -> (modalities, fusion, aggregator)
    "frame": (("video",), "dense", "none"),
    "stream": (("video",), "dense", "lstm"),
    "single": (("audio",), "single", "lstm"),
    "n1": (JOINT, "n1", "lstm"),
    "mrpn": (JOINT, "mrpn", "lstm"),
    "mrpn of frames": (JOINT, "mrpn", "none"),
}
SHAPES = {"video": (5, 3, 32, 32), "audio": (3, 1, 32, 31)}  # steps of a recording
AT = {  # numbers of the newest steps of two recordings; the second one has no voice, the first one none at first
    "video": torch.tensor([[0, 1, 3, 4], [-1, 0, 2, 4]]),
    "audio": torch.tensor([[-1, 0, 1, 2], [-1, -1, -1, -1]]),
}


@pytest.fixture(scope="module")
def networks():
    """Return name -> network in evaluation whose batch statistics are not those of a fresh one."""
    made = {}
    for name, (modalities, fusion, aggregator) in NETWORKS.items():
        model = build(
            modalities, fusion=fusion, aggregator=aggregator, side_head="dense", classes=3, width=2, dropout=0.3
        )
        model.train()
        with torch.no_grad():
            model({modality: inputs(4, seed=1)[modality] for modality in modalities})
        made[name] = model.eval()
    return made


def inputs(n=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, *shape, generator=generator) for name, shape in SHAPES.items()}


def ticks_of(model, given, at):
    """Follow every recording alone and step by step; return its judgements by tick, None where there is none."""
    found = []
    for row in range(2):
        along, done, judged = Along(model), dict.fromkeys(model.branches, 0), []
        for tick in range(at["video"].shape[1]):
            for name in model.branches:
                while done[name] <= at[name][row, tick]:
                    along.step(name, given[name][row : row + 1, done[name] : done[name] + 1])
                    done[name] += 1
            judged.append(along.judge() if along.features else None)
        found.append(judged)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_step_by_step_is_one_pass(networks, name):
    model, given = networks[name], inputs()
    with torch.no_grad():
        passed = run_along(model, given, AT)
    for row, judged in enumerate(ticks_of(model, given, AT)):
        for tick, scores in enumerate(judged):
            for head, score in passed.items():
                if scores is None:
                    assert score[row, tick].isnan().all()
                else:
                    torch.testing.assert_close(scores[head][0], score[row, tick], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_judgement_is_that_of_the_whole_sequence(networks, name):
    model, given = networks[name], inputs()
    along = Along(model, 2)
    for modality in model.branches:
        features = along.step(modality, given[modality])
        assert features.shape == (2, given[modality].shape[1], 16)
    for head, score in model(given).items():
        torch.testing.assert_close(along.judge()[head], score, rtol=0, atol=1e-5)


def test_an_absent_modality_is_absent_as_in_the_batch(networks):
    model, given = networks["mrpn"], inputs()
    along = Along(model, 2)
    along.step("audio", given["audio"])
    absent = {"video": torch.zeros(2, dtype=torch.bool), "audio": torch.ones(2, dtype=torch.bool)}
    for head, score in model(given, absent).items():
        torch.testing.assert_close(along.judge()[head], score, rtol=0, atol=1e-5)


def test_memory_goes_on_where_steps_are_given_in_parts(networks):
    model, given = networks["stream"], inputs()["video"]
    whole, parts, forgetful = Along(model, 2), Along(model, 2), Along(model, 2)
    whole.step("video", given)
    for part in (given[:, :2], given[:, 2:3], given[:, 3:]):
        parts.step("video", part)
    torch.testing.assert_close(parts.judge()["fused"], whole.judge()["fused"], rtol=0, atol=1e-5)
    forgetful.step("video", given[:, 3:])
    assert (forgetful.judge()["fused"] - whole.judge()["fused"]).abs().max() > 1e-4


def test_a_network_without_memory_knows_the_newest_step_alone(networks):
    given = inputs()["video"]
    long, short = Along(networks["frame"], 2), Along(networks["frame"], 2)
    long.step("video", given[:, :4])
    long.step("video", given[:, 4:])
    short.step("video", given[:, 4:])
    assert torch.equal(long.judge()["fused"], short.judge()["fused"])


def test_what_comes_later_changes_nothing_earlier(networks):
    given, other = inputs(), inputs()
    other["video"][:, 3:] += 5.0
    other["audio"][:, 2:] += 5.0
    for name in ("stream", "mrpn"):
        model = networks[name]
        with torch.no_grad():
            one, two = run_along(model, given, AT), run_along(model, other, AT)
        for head in one:
            assert torch.equal(one[head][0, :2], two[head][0, :2])
            assert not torch.equal(one[head][0, 2:], two[head][0, 2:])
        before, after = ticks_of(model, given, AT)[0], ticks_of(model, other, AT)[0]
        assert all(torch.equal(before[tick][head], after[tick][head]) for tick in range(2) for head in one)


def test_recordings_and_copies_do_not_reach_one_another(networks):
    model, given = networks["mrpn"], inputs()
    other = {name: value.clone() for name, value in given.items()}
    for value in other.values():
        value[1] = 9.0
    along, beside = Along(model, 2), Along(model, 2)
    for name in JOINT:
        along.step(name, given[name])
        beside.step(name, other[name])
    assert torch.equal(along.judge()["fused"][0], beside.judge()["fused"][0])
    assert not torch.equal(along.judge()["fused"][1], beside.judge()["fused"][1])
    before, branch_off = along.judge()["fused"], along.copy()
    branch_off.step("video", other["video"])
    assert torch.equal(along.judge()["fused"], before)
    along.step("video", other["video"])
    assert torch.equal(along.judge()["fused"], branch_off.judge()["fused"])


def test_nothing_seen_and_heard_is_no_judgement(networks):
    with pytest.raises(ModelError, match="before it has seen or heard anything"):
        Along(networks["mrpn"]).judge()


def test_padding_enters_nothing_in_training(networks):
    """Neither scores, nor gradients, nor batch statistics notice what lies after the last step."""
    padded = {name: torch.cat([value, torch.full_like(value, torch.nan)], 1) for name, value in inputs().items()}
    padded["audio"][1] = torch.nan  # the second recording has no voice at all
    at = {name: torch.cat([numbers, torch.full((2, 1), -1)], 1) for name, numbers in AT.items()}
    models = [copy.deepcopy(networks["n1"]).train() for _ in range(2)]
    scores = []
    for model, (given, numbers) in zip(models, ((inputs(), AT), (padded, at)), strict=True):
        torch.manual_seed(0)  # of dropout
        score = run_along(model, given, numbers)
        sum(value[~value.isnan()].square().sum() for value in score.values()).backward()
        scores.append({head: value[:, :4] for head, value in score.items()})
    for head, score in scores[0].items():
        torch.testing.assert_close(score, scores[1][head], rtol=0, atol=1e-5, equal_nan=True)
        assert score[1, 0].isnan().all()
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4)
    for name, value in models[0].state_dict().items():
        torch.testing.assert_close(value, models[1].state_dict()[name], rtol=1e-5, atol=1e-5)
        assert value.isfinite().all()


SETTINGS = StreamSettings(
    corpus="ravdess",
    variant="AV_stream",
    fold=0,
    seed=1,
    modalities=JOINT,
    fusion="mrpn",
    aggregator="lstm",
    classes=("a", "b", "c"),
    width=2,
    rate_fps=5,
    hop_s=0.5,
    sound={"rate_hz": 16000},
    faces={"rate_fps": 10},
)


def test_a_model_file_gives_the_network_back(networks, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, networks["mrpn"], SETTINGS)
    model, settings = load(path)
    assert settings == SETTINGS
    assert not model.training
    with torch.no_grad():
        for head, score in model(inputs()).items():
            assert torch.equal(score, networks["mrpn"](inputs())[head])
    with pytest.raises(ModelError, match="its header is of another version"):
        checkpoint.load(path)
    checkpoint.save(path, None, SETTINGS)
    with pytest.raises(ModelError, match="AV_stream was not applicable to ravdess"):
        load(path)


def test_one_layer_is_all_that_comes_after_the_memory():
    """Thesis 2.12: image trunk, LSTM, one layer from its output to the classes."""
    settings = SETTINGS.__dict__ | {
        "modalities": ("video",),
        "fusion": "dense",
        "width": 4,
        "classes": tuple("abcdefgh"),
    }
    model = network_of(StreamSettings(**settings))
    after = {name: tuple(w.shape) for name, w in model.named_parameters() if not name.startswith("branches.")}
    assert after == {"score.weight": (8, 32), "score.bias": (8,)}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"aggregator": "bilstm"}, "video, audio"),
        ({"aggregator": "transformer"}, "video, audio"),
        ({"trunk": {"video": "resnet3d18"}}, "video"),
        ({"fusion": "attention"}, "fusion"),
    ],
    ids=str,
)
def test_networks_that_need_the_whole_recording_are_refused(changes, part):
    arguments = {"fusion": "mrpn", "aggregator": "lstm", "side_head": "dense", "classes": 3, "width": 1, "dropout": 0}
    model = build(JOINT, **arguments | changes)
    for use in (Along, lambda model: run_along(model, inputs(), AT)):
        with pytest.raises(ModelError, match=f"cannot run along with a recording: {part} needs all of it"):
            use(model)
