"""The network that fits a clip best is used, and of several runs the one with the lowest validation loss."""

import math
from dataclasses import replace

import pytest

from apps.tiny_models import CANDIDE
from mien.apps.models import choose_model, find_best_run, find_trained, load_models
from mien.config.schema import CandideConfig, PredictConfig
from mien.errors import ModelError
from mien.io.files import write_json
from mien.models import checkpoint

CONFIG = PredictConfig(corpus="ravdess", joint="N2", video="VM", audio="AM", window_s=1.0, hop_s=0.5)


def _run(folder, name, loss, status="trained", selection="honest", key="validation_loss"):
    write_json(folder / name / "run.json", {"status": status, "metrics": {selection: {key: loss}}})


def test_the_lowest_validation_loss_wins(tmp_path):
    assert find_best_run(tmp_path) is None
    _run(tmp_path, "fold0-seed0", 1.0)
    _run(tmp_path, "fold1-seed0", 0.5)
    _run(tmp_path, "fold2-seed0", 0.1, status="not applicable")
    write_json(tmp_path / "fold3-seed0" / "run.json", {"status": "trained", "metrics": {"honest": {}}})
    assert find_best_run(tmp_path).name == "fold1-seed0"


def test_without_validation_people_the_reported_ones_stand_in(tmp_path):
    _run(tmp_path, "fold0-seed0", 1.0, selection="optimistic", key="test_loss")
    _run(tmp_path, "fold1-seed0", math.inf, selection="optimistic", key="test_loss")
    assert find_best_run(tmp_path).name == "fold0-seed0"


def test_variants_that_were_not_trained_are_left_out(tmp_path):
    with pytest.raises(ModelError, match="snakemake"):
        find_trained(tmp_path, "ravdess", CONFIG)
    _run(tmp_path / "training" / "ravdess" / "AM", "fold0-seed0", 1.0)
    assert find_trained(tmp_path, "ravdess", CONFIG) == [
        tmp_path / "training" / "ravdess" / "AM" / "fold0-seed0" / "model.safetensors"
    ]


@pytest.mark.parametrize(
    ("modalities", "variant"),
    [(("video", "audio"), "N2"), (("video",), "VM"), (("audio",), "AM")],
)
def test_a_network_that_uses_all_and_misses_nothing_is_chosen(models, modalities, variant):
    loaded = load_models([models[name] for name in ("AM", "N2", "VM")])
    assert choose_model(loaded, modalities).settings.variant == variant
    assert choose_model(loaded[:1], modalities).settings.variant == "AM"


def test_action_units_show_the_face(models):
    loaded = load_models([models[name] for name in ("N2_units", "VM", "N2")])
    assert choose_model(loaded, ("video", "audio")).settings.variant == "N2_units"
    assert choose_model(loaded, ("video", "units")).settings.variant == "VM"
    assert [model.candide for model in loaded] == [CandideConfig(**CANDIDE), None, None]


@pytest.mark.parametrize(
    ("variant", "change", "words"),
    [("VM", {"target": "intensity"}, "learnt emotions"), ("N2_units", {"candide": {}}, "train it again")],
)
def test_networks_of_intensity_or_of_units_of_unknown_fits_do_not_judge_clips(tmp_path, models, variant, change, words):
    _, settings = checkpoint.load(models[variant])
    other = replace(settings, **change)
    checkpoint.save(tmp_path / "model.safetensors", checkpoint.network(other), other)
    with pytest.raises(ModelError, match=words):
        load_models([tmp_path / "model.safetensors"])
