"""G-Blend: weights follow the validation people's histories, and nothing of the test people."""

import numpy as np
import pandas as pd
import pytest

from mien.errors import ModelError
from mien.io.files import read_json, write_json
from mien.io.tables import HISTORY
from mien.training.train import FLOOR, LEAST, LearningStats, gradient_blending_weights
from training.commands import contents, train_variant

pytestmark = pytest.mark.usefixtures("scratch")
LOSSES = {  # variant -> (training, validation) losses of three epochs
    "N0": ([2.0, 1.2, 0.4], [2.0, 1.5, 1.0]),
    "VM": ([2.0, 1.5, 1.0], [2.0, 1.6, 1.8]),
    "AM": ([2.0, 1.0, 0.2], [2.0, 1.9, 1.8]),
}
BLEND = {"fused": "N0", "video": "VM", "audio": "AM"}


def history(training, validation, *, test=(2.0, 1.0, 3.0)):
    rows = {name: np.full(3, 0.5) for name in HISTORY} | {"epoch": [1, 2, 3], "train_loss": training}
    return pd.DataFrame(rows | {"validation_loss": validation, "test_loss": test, "test_accuracy": test})


def course(gain, overfitting):
    return LearningStats(first_epoch=1, best_epoch=2, gain=gain, overfitting=overfitting)


def test_gain_and_overfitting_lie_between_the_first_and_the_best_epoch():
    found = LearningStats.of(history(*LOSSES["VM"]))
    assert (found.first_epoch, found.best_epoch) == (1, 2)
    assert found.gain == pytest.approx(0.4)
    assert found.overfitting == pytest.approx(1.6 - 1.5)


def test_weights_are_gain_over_squared_overfitting():
    courses = {"fused": course(1.0, 0.5), "video": course(0.4, 0.2), "audio": course(0.3, 1.0)}
    weights = gradient_blending_weights(courses)
    raw = {head: one.gain / one.overfitting**2 for head, one in courses.items()}
    assert sum(weights.values()) == pytest.approx(3.0)
    for head, weight in raw.items():
        assert weights[head] / weights["fused"] == pytest.approx(weight / raw["fused"])


@pytest.mark.parametrize("overfitting", [-2.0, 0.0, FLOOR / 2])
def test_too_little_overfitting_counts_as_the_floor(overfitting):
    others = {"fused": course(1.0, 0.2), "audio": course(0.3, 0.3)}
    given, floor = (gradient_blending_weights({**others, "video": course(0.5, o)}) for o in (overfitting, FLOOR))
    assert given == floor


def test_a_head_that_gained_nothing_is_not_silenced():
    weights = gradient_blending_weights(
        {"fused": course(0.0, 0.0), "video": course(0.5, 0.2), "audio": course(0.5, 0.2)}
    )
    assert weights["fused"] / sum(weights.values()) == pytest.approx(LEAST, rel=0.02)
    assert weights["video"] == weights["audio"] > 1.4
    assert gradient_blending_weights(dict.fromkeys(BLEND, course(0.0, 0.0))) == dict.fromkeys(BLEND, 1.0)


def plant(out, *, fold=0, status="trained", **changes):
    """Write what a blend reads of the runs of `BLEND`; `changes` are variants with other test losses."""
    for variant, losses in LOSSES.items():
        folder = out / variant / "fold0-seed0"
        run = {"corpus": "tiny", "fold": fold, "seed": 0, "status": status}
        write_json(folder / "run.json", run)
        history(*losses, **changes).to_csv(folder / "history.csv", index=False)


def train(tiny, out, **changes):
    row = tiny.params["variants"]["N1"] | {"blend": BLEND}
    return train_variant(tiny, "N1_blend", out, row=row, epochs=1, **changes)


def test_the_run_says_what_its_losses_weigh_and_test_people_have_no_part_in_it(tiny, tmp_path):
    plant(tmp_path / "a")
    plant(tmp_path / "b", test=(9.0, 0.1, 0.0))
    folder = train(tiny, tmp_path / "a")
    run = read_json(folder / "run.json")
    courses = {head: LearningStats.of(history(*LOSSES[variant])) for head, variant in BLEND.items()}
    assert run["loss_weights"] == pytest.approx(gradient_blending_weights(courses))
    assert run["blend"]["video"]["best_epoch"] == 2
    assert contents(train(tiny, tmp_path / "b")) == contents(folder)


@pytest.mark.parametrize(
    ("planted", "changes", "reason"),
    [
        ({}, {"protocol": "thesis"}, "the protocol of the thesis has none"),
        ({"status": "not applicable"}, {}, "N0, whose history weighs the loss of fused, was not trained"),
    ],
)
def test_without_validation_people_or_histories_it_is_not_applicable(tiny, tmp_path, planted, changes, reason):
    plant(tmp_path, **planted)
    run = read_json(train(tiny, tmp_path, **changes) / "run.json")
    assert run["status"] == "not applicable"
    assert reason in run["reason"]


def test_histories_of_other_people_are_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match=r"N0/fold0-seed0/run.json: is missing"):
        train(tiny, tmp_path)
    plant(tmp_path, fold=1)
    with pytest.raises(ModelError, match=r"run.json: is of tiny fold 1 seed 0; train N0 again"):
        train(tiny, tmp_path)
