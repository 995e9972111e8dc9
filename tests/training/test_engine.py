"""The loop: which epochs are chosen, when it ends, checkpoints that are damaged, stale or far apart."""

import subprocess
import sys

import pytest
import torch
from torch import nn

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
