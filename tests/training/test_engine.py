"""The loop: which epochs are chosen, when it ends, checkpoints that are damaged, stale or far apart."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mien.config.schema import RecipeConfig
from mien.errors import ModelError
from mien.training import engine
from mien.training.engine import EvalResult, Pass, Progress, TrainSpec

pytestmark = pytest.mark.usefixtures("scratch")
LOGITS = {"fused": torch.zeros(1, 4)}


class Planned:
    """A task whose losses are given, one for each epoch."""

    def __init__(self, losses: list[float]) -> None:
        self.losses, self.epoch = losses, 0

    def train_epoch(self, model, optimizer, epoch):
        self.epoch = epoch
        model.weight.sum().backward()
        optimizer.step()
        return Pass(self.losses[epoch - 1])

    def evaluate(self, model, role):
        return EvalResult(LOGITS, self.losses[self.epoch - 1], 0.5)


def spec(**changes) -> TrainSpec:
    folder = engine.ROOT / "none"
    return TrainSpec(**{"learning_rate": 1.0, "epochs": 9, "checkpoint": folder, "key": "mine"} | changes)


def rates(losses: list[float], **changes) -> list[float]:
    """Return the learning rates of the epochs of a training with these losses."""
    return [row["learning_rate"] for row in engine.fit(nn.Linear(1, 1), Planned(losses), spec(**changes)).history]


def test_honest_follows_validation_and_optimistic_the_test():
    progress = Progress()
    course = [(0.5, 0.3, 0.6), (0.2, 0.9, 0.5), (0.3, 0.5, 0.8), (0.2, 0.4, 0.8), (0.6, 0.4, 0.8)]
    for epoch, (validation, loss, accuracy) in enumerate(course, start=1):
        results = {"validation": EvalResult(LOGITS, validation, 0.1), "test": EvalResult(LOGITS, loss, accuracy)}
        progress.enter(Pass(1.0), results, rate=1.0, weights={"weight": torch.tensor(epoch)}, keep=("honest",))
    assert {name: choice.epoch for name, choice in progress.choices.items()} == {"honest": 2, "optimistic": 4}
    assert progress.choices["honest"].weights == {"weight": torch.tensor(2)}
    assert progress.choices["optimistic"].weights == {}
    assert Progress.of(progress.state_dict()).history == progress.history


def test_the_rate_is_halved_and_training_ends_early():
    assert rates([3.0, 2.0, *[2.5] * 7], schedule="plateau", patience=2, stop=3) == [1.0, 1.0, 1.0, 1.0, 0.5]


def test_the_rate_falls_along_half_a_cosine():
    assert rates([1.0] * 4, schedule="cosine", epochs=4) == pytest.approx([1.0, 0.853553, 0.5, 0.146447], rel=1e-5)


class Steps:
    """A task of three steps an epoch on one weight, whose gradient is 1; keeps the rate and the weight of each."""

    def __init__(self) -> None:
        self.rates, self.weights = [], []

    def train_epoch(self, model, optimizer, epoch):
        for _ in range(3):
            self.rates.append(optimizer.param_groups[0]["lr"])
            engine.step(optimizer, model.weight.sum())
            self.weights.append(model.weight.item())
        return Pass(1.0)

    def evaluate(self, model, role):
        return EvalResult({"fused": model.weight.detach().clone()}, model.weight.item(), 0.5)


def one_weight() -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def test_one_cycle_follows_every_step_and_has_its_peak_after_the_rise():
    task = Steps()
    engine.fit(one_weight(), task, spec(schedule="one_cycle", steps=3, epochs=20))
    assert len(task.rates) == 60
    assert task.rates[0] == pytest.approx(0.04)
    assert task.rates[9] == pytest.approx(1.0)  # 15 % of 60 steps
    assert task.rates[4] == pytest.approx(0.04 + 0.96 * 4 / 9)
    assert task.rates[30] == pytest.approx(0.5 * (1 + math.cos(math.pi * (0.5 - 0.15) / 0.85)))
    assert 0 < task.rates[-1] < 0.002


def test_sgd_has_nesterovs_momentum_and_a_decay():
    task = Steps()
    engine.fit(one_weight(), task, spec(optimizer="sgd", weight_decay=0.1, epochs=1, learning_rate=0.5))
    weight, speed, expected = 0.0, 0.0, []
    for _ in range(3):
        gradient = 1.0 + 0.1 * weight
        speed = 0.9 * speed + gradient
        weight -= 0.5 * (gradient + 0.9 * speed)
        expected.append(weight)
    assert task.weights == pytest.approx(expected)


def test_the_moving_average_is_evaluated_and_kept():
    task, model = Steps(), one_weight()
    how = {"optimizer": "sgd", "average": 0.3, "epochs": 2, "learning_rate": 0.1}
    progress = engine.fit(model, task, spec(**how, keep=("honest",)))
    mean, means = 0.0, []
    for k, weight in enumerate(task.weights, start=1):
        decay = min(0.3, (1 + k) / (10 + k))
        mean = decay * mean + (1 - decay) * weight
        means.append(mean)
    assert [row["validation_loss"] for row in progress.history] == pytest.approx([means[2], means[5]])
    assert float(progress.choices["honest"].weights["weight"]) == pytest.approx(means[5])
    assert model.weight.item() == task.weights[-1]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_killed_run_goes_on_to_the_same_bits_with_every_part_of_a_recipe(monkeypatch, optimizer):
    monkeypatch.setattr(engine, "CHECKPOINT_S", 0.0)
    how = {"optimizer": optimizer, "schedule": "one_cycle", "steps": 3, "average": 0.5, "weight_decay": 0.1}
    whole = engine.fit(one_weight(), Steps(), spec(**how, epochs=5, checkpoint=engine.ROOT / "whole"))

    class Killed(Steps):
        def train_epoch(self, model, optimizer, epoch):
            if epoch == 3:
                raise KeyboardInterrupt
            return super().train_epoch(model, optimizer, epoch)

    with pytest.raises(KeyboardInterrupt):
        engine.fit(one_weight(), Killed(), spec(**how, epochs=5))
    task = Steps()
    resumed = engine.fit(one_weight(), task, spec(**how, epochs=5))
    assert len(task.rates) == 9
    assert resumed.history == whole.history
    assert torch.equal(resumed.choices["honest"].weights["weight"], whole.choices["honest"].weights["weight"])


def test_the_loss_smooths_labels_and_weighs_classes_to_a_mean_of_one():
    label, logits = np.array([0, 0, 0, 0, 1]), torch.tensor([[2.0, 0.0, 1.0], [0.5, -1.0, 0.0]])
    plain = engine.make_loss(RecipeConfig(), label, 3)
    assert torch.equal(plain(logits, torch.tensor([0, 1])), functional.cross_entropy(logits, torch.tensor([0, 1])))
    inverse = engine.make_loss(RecipeConfig(class_weights="inverse"), label, 3).keywords["weight"]
    assert inverse.tolist()[:2] == pytest.approx([5 / 8, 5 / 2])
    root = engine.make_loss(RecipeConfig(class_weights="sqrt"), label, 3).keywords["weight"]
    assert root.tolist()[:2] == pytest.approx([5 / 6, 5 / 3])
    smooth = engine.make_loss(RecipeConfig(label_smoothing=0.3), label, 3)
    log = logits[:1].log_softmax(1)[0]
    assert float(smooth(logits[:1], torch.tensor([0]))) == pytest.approx(float(-(0.8 * log[0] + 0.1 * log[1:].sum())))


def test_every_epoch_has_a_line_in_the_log(caplog):
    with caplog.at_level("INFO", "mien.training.engine"):
        rates([0.5, 0.25], epochs=2)
    lines = [text for text in caplog.messages if "epoch" in text]
    wanted = "none: epoch 1 of 2: rate 1, loss: training 0.5000, validation 0.5000 (50.0%), test 0.5000 (50.0%); "
    assert lines[0].startswith(wanted)
    assert len(lines) == 2


def test_a_diverging_run_ends_with_advice():
    with pytest.raises(ModelError, match="the loss is nan in epoch 2; lower the learning rate"):
        rates([1.0, float("nan")])


def test_checkpoints_keep_their_distance_and_the_last_epoch_has_one(monkeypatch):
    saved = []
    monkeypatch.setattr(engine, "save", lambda *args, epoch, key: saved.append(epoch))
    rates([1.0] * 9)
    assert saved == [9]


def test_the_latest_whole_epoch_is_kept_alone(tmp_path):
    for epoch in (9, 10):
        engine.save(tmp_path, {"epoch": epoch}, epoch=epoch, key="mine")
    assert engine.load(tmp_path, key="mine") == {"epoch": 10}
    assert engine.load(tmp_path, key="other") is None
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "epoch-0011.pt").write_bytes(b"broken off")  # as a machine that lost its power leaves it
    assert engine.load(tmp_path, key="mine") == {"epoch": 10}
    kept = tmp_path / "epoch-0010.pt"
    for size in (300, 10, 0):
        kept.write_bytes(kept.read_bytes()[:size])
        assert engine.load(tmp_path, key="mine") is None


def test_training_does_without_torchs_compiler_and_others_still_get_it():
    """In a process of its own: here others may have imported it."""
    code = """
import sys
from mien.training import engine
engine.prepare(1)
import torch
layer = torch.nn.Linear(2, 1)
optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
engine.step(optimizer, layer(torch.ones(1, 2)).sum())
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo.eval_frame" in sys.modules)
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item())
print("torch._dynamo.eval_frame" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "2.0", "True"]
