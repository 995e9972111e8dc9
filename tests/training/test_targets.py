"""Intensity as the target: labels, losses and verdicts, and a network of it from the command to its numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.config.labels import LEVELS, nearest_level
from mien.errors import ConfigError
from mien.evaluation.intensity import said
from mien.evaluation.runs import read_run
from mien.io import tables
from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.mrpn import build
from mien.training.clips import NO_LEVEL, Batch, describe_levels, network_inputs, select_target, split
from mien.training.engine import EvalResult
from mien.training.train import LOSSES, train_epoch
from training.commands import train_variant
from training.tiny_corpus import TinyCorpus, write_corpus
from training.tiny_units import write_fits

CANDIDE = {"landmarks": "printed", "ridge": 1e-3, "warm_start": True, "evaluations": 100, "tolerance": 1e-8}
VARIANT = {"modalities": ["video", "audio", "units"], "fusion": "mrpn", "target": "intensity"}


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> TinyCorpus:
    """Return a corpus whose intensity is its class, but for one clip of a level that is none."""
    made = write_corpus(tmp_path_factory.mktemp("graded") / "results", name="ravdess", n_actors=4, takes=3)
    path = made.results / "corpora" / "ravdess" / "clips.parquet"
    clips = tables.read(path, tables.CLIPS)
    clips["intensity"] = clips.label.map(dict(enumerate(LEVELS["ravdess"])))
    clips.loc[clips["clip"] == "a3-0", "intensity"] = "unheard of"
    tables.write(path, clips, tables.CLIPS)
    write_fits(made.results, "ravdess")
    return replace(made, params=made.params | {"candide": CANDIDE, "variants": {"Strength": VARIANT}})


@pytest.fixture(scope="module")
def data(graded):
    return graded.read("audio")


def test_clips_of_no_level_are_in_no_role_and_counted(data):
    aimed = select_target(data, "intensity")
    roles = split(aimed, 0)
    assert aimed.classes == ("normal", "strong")
    assert "a3-0" not in set().union(*(clips["clip"] for clips in roles.values()))
    assert sum(map(len, roles.values())) == sum(map(len, split(data, 0).values())) - 1
    facts = describe_levels(aimed, roles["training"])
    assert facts == {"training_mean": pytest.approx(roles["training"].label.mean()), "n_without_level": 1}
    assert aimed.digest != data.digest
    assert select_target(data, "label") is data


def test_a_corpus_that_says_nothing_of_strength_is_refused(data):
    with pytest.raises(ConfigError, match="fer2013 does not say how strongly"):
        select_target(replace(data, corpus="fer2013"), "intensity")


def test_the_nearest_level_is_one_of_the_corpus_and_of_two_the_lower():
    numbers = np.array([-7.0, 0.49, 0.5, 0.51, 1.5, 1.500001, 99.0])
    assert nearest_level(numbers, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_a_verdict_on_numbers_counts_the_nearest_level():
    numbers = {"fused": torch.tensor([[0.2], [0.8], [0.9], [-3.0]])}
    verdict = EvalResult.of_levels(numbers, torch.tensor([0, 1, 0, 0]), n_levels=2)
    assert verdict.accuracy == 0.75
    assert verdict.loss == pytest.approx((0.2**2 + 0.2**2 + 0.9**2 + 3.0**2) / 4)


@pytest.mark.parametrize("target", ["label", "intensity"])
def test_a_step_follows_the_sum_of_the_losses_of_all_heads(target):
    """Eq. 28 with three modalities: four heads."""
    torch.manual_seed(0)
    names = ("video", "audio", "units")
    outputs = 3 if target == "label" else 1
    sizes = {"aggregator": "lstm", "side_head": "dense", "classes": outputs, "width": 2, "dropout": 0.0}
    model = build(names, fusion="n1", **sizes)
    inputs = {
        "video": torch.randint(0, 256, (4, 2, 32, 32, 3), dtype=torch.uint8),
        "audio": torch.randn(4, 2, 1, 32, 31),
        "units": torch.randn(4, 2, 8),
    }
    label = torch.tensor([0, 1, 1, 0])
    batch = Batch(inputs, {name: torch.tensor([rows.shape[1]] * 4) for name, rows in inputs.items()}, label)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    again = build(names, fusion="n1", **sizes).train()
    again.load_state_dict(model.state_dict())
    loss = train_epoch(model.train(), [batch], optimizer, inputs_of=network_inputs, loss_of=LOSSES[target])
    heads = {head: LOSSES[target](score, label).mean() for head, score in again(network_inputs(batch)).items()}
    assert set(heads) == {"fused", *names}
    sum(heads.values()).backward()
    assert loss == pytest.approx(heads["fused"].item())
    for (name, weight), other in zip(model.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(before[name] - weight, other.grad, rtol=1e-3, atol=1e-6)


def test_the_command_trains_a_network_of_intensity(graded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = train_variant(graded, "Strength", tmp_path, epochs=2)
    record, run = read_json(folder / "run.json"), read_run(folder / "run.json")
    assert record["classes"] == ["normal", "strong"]
    assert record["n_without_level"] == 1
    assert (run.target, run.trained) == ("intensity", True)
    rows = run.predictions()
    assert set(rows["head"]) == {"fused", "video", "audio", "units"}
    assert set(rows.logits.map(len)) == {1}
    fused = rows[(rows["head"] == "fused") & (rows.selection == "honest") & (rows.role == "test")]
    told = np.stack(fused.logits)[:, 0]
    assert record["metrics"]["honest"]["test_loss"] == pytest.approx(np.mean((told - fused.label) ** 2), rel=1e-5)
    assert (fused.predicted.to_numpy() == nearest_level(told, 2)).all()
    assert record["metrics"]["honest"]["test_accuracy"] == pytest.approx((fused.predicted == fused.label).mean())
    network, settings = checkpoint.load(folder / "model.safetensors")
    assert settings.target == "intensity"
    assert network.score[-1].out_features == 1


def test_further_targets_add_their_losses_where_they_are_known():
    torch.manual_seed(0)
    sizes = {
        "aggregator": "lstm",
        "side_head": "dense",
        "classes": 3,
        "width": 2,
        "dropout": 0.0,
        "also": ["intensity"],
    }
    model = build(["audio"], fusion="single", **sizes)
    again = build(["audio"], fusion="single", **sizes).train()
    again.load_state_dict(model.state_dict())
    label, level = torch.tensor([0, 1, 2, 0]), torch.tensor([1, NO_LEVEL, 0, 1])
    inputs = {"audio": torch.randn(4, 2, 1, 32, 31)}
    batch = Batch(inputs, {"audio": torch.tensor([2] * 4)}, label, {"intensity": level})
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    train_epoch(model.train(), [batch], optimizer, inputs_of=network_inputs)
    scores, known = again(inputs), level != NO_LEVEL
    (
        torch.nn.functional.cross_entropy(scores["fused"], label)
        + (scores["intensity"].squeeze(1) - level)[known].square().mean()
    ).backward()
    for (name, weight), other in zip(model.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(before[name] - weight, other.grad, rtol=1e-3, atol=1e-6)


def test_the_command_trains_a_network_of_both_targets(graded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    both = replace(
        graded, params=graded.params | {"variants": {"Both": VARIANT | {"target": "label", "also": ["intensity"]}}}
    )
    folder = train_variant(both, "Both", tmp_path, epochs=2)
    run = read_run(folder / "run.json")
    assert run.targets == ("label", "intensity")
    emotions, strength = run.predictions(), run.of_target("intensity").predictions()
    assert set(emotions["head"]) == {"fused", "video", "audio", "units"}
    assert run.of_target("intensity").classes == ("normal", "strong")
    assert set(strength["head"]) == {"fused"}
    assert set(strength.logits.map(len)) == {1}
    fused = emotions[emotions["head"] == "fused"]
    assert set(fused["clip"]) - set(strength["clip"]) == {"a3-0"} & set(fused["clip"])  # of no level
    told = said([run.of_target("intensity")])
    assert told.constant.unique() == pytest.approx(run.record["also"]["intensity"]["training_mean"])
    network, card = checkpoint.load(folder / "model.safetensors")
    assert card.also == ("intensity",)
    assert network.also["intensity"][-1].out_features == 1
