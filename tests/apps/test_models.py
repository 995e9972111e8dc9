"""All networks of a row judge together, and every model says who it is, and how often it is right."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from apps.tiny_models import CANDIDE, CLASSES, write_model
from mien.apps.models import (
    Ensemble,
    choose_model,
    export_model,
    find_trained,
    list_places,
    load_models,
)
from mien.config import schema
from mien.config.schema import CandideConfig, PredictConfig
from mien.errors import ModelError
from mien.io import tables
from mien.io.files import sha256, write_json
from mien.io.prune import list_runs
from mien.models import checkpoint

CONFIG = PredictConfig(corpus="ravdess", joint="N2", video="VM", audio="AM", window_s=1.0, hop_s=0.5)
PEOPLE = ("01", "02", "03")  # each is tested in one fold, validates in the next, and is learnt from in the third


def _run(folder, name, loss, status="trained", selection="honest", key="validation_loss"):
    write_json(folder / name / "run.json", {"status": status, "metrics": {selection: {key: loss}}})


@pytest.fixture
def results(tmp_path):
    """Return results with row AM of three folds: two of four test clips of each are right, with logits of 2."""
    corpus, row = tmp_path / "corpora" / "ravdess", tmp_path / "training" / "ravdess" / "AM"
    write_json(corpus / "corpus.json", {"source": "synthetic"})
    roles = []
    for fold in range(3):
        by_role = {role: PEOPLE[(fold + k) % 3] for k, role in enumerate(("test", "validation", "training"))}
        roles += [{"fold": fold, "name": f"A{fold}", "group": one, "role": role} for role, one in by_role.items()]
        folder = row / f"fold{fold}-seed0"
        write_model(folder / "model.safetensors", "AM", seed=fold)
        rows = []
        for role, person in list(by_role.items())[:2]:
            for k in range(4):
                said = np.zeros(len(CLASSES), np.float32)
                said[k % 2] = 2.0
                keys = {"selection": "honest", "role": role, "clip": f"{person}-{k}", "actor": person, "head": "fused"}
                rows.append(keys | {"label": 0, "logits": said})
        tables.write(folder / "predictions.parquet", pd.DataFrame(rows), tables.PREDICTIONS)
        record = {"corpus": "ravdess", "variant": "AM", "fold": fold, "fold_name": f"A{fold}", "seed": 0}
        record |= {"status": "trained", "classes": list(CLASSES), "n_clips": {"training": 7 + fold}}
        write_json(folder / "run.json", record | {"metrics": {"honest": {"validation_loss": 1.0 + fold}}})
    tables.write(corpus / "folds.parquet", pd.DataFrame(roles), tables.FOLDS)
    list_runs(folders=sorted(row.glob("fold*")), out=row / "seed0.json")
    return tmp_path


def test_a_row_is_the_mean_of_its_folds_at_the_temperature_of_all_validation_people(results):
    (model,) = load_models(find_trained(results, "ravdess", CONFIG))
    files = sorted((results / "training" / "ravdess" / "AM").glob("*/model.safetensors"))
    # two classes of logits 2 and 0 beside two of 0, right half of the time: p = q makes the cross-entropy smallest,
    # so e^(2/T) should go to infinity beside the two others and to 1 beside its rival: found numerically
    at = np.linspace(0.3, 5.0, 47001)
    loss = np.log(np.exp(2 / at) + 3) - 0.5 * 2 / at
    assert model.info.temperature == pytest.approx(at[loss.argmin()], abs=2e-4)
    assert model.info.calibrated
    inputs, n_steps = {"audio": torch.randn(2, 3, 1, 32, 31)}, {"audio": torch.tensor([3, 2])}
    with torch.no_grad():
        alone = [checkpoint.load(file)[0](inputs, n_steps)["fused"] for file in files]
        mean = torch.stack([(one / model.info.temperature).softmax(1) for one in alone]).mean(0)
        torch.testing.assert_close(model.network(inputs, n_steps)["fused"].softmax(1), mean)


def test_a_model_says_who_it_is(results):
    (model,) = load_models(find_trained(results, "ravdess", CONFIG))
    said = model.info.to_dict()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    known = {"row": "AM", "corpus": "ravdess", "synthetic": True, "people": "3 synthetic people", "n_people": 3}
    known |= {"clips": 9, "networks": 3, "file": str(results / "training" / "ravdess" / "AM")}
    known |= {"accuracy": 0.5, "tested_people": 3, "protocol": "honest", "checked": True, "modalities": ["audio"]}
    assert known.items() <= said.items()
    assert said["accuracy_low"] < 0.5 < said["accuracy_high"]
    line = model.info.describe()
    assert line.startswith("AM of ravdess (3 networks), trained on 3 synthetic people; right in 50% (")
    (one,) = load_models([results / "training" / "ravdess" / "AM" / "fold1-seed0" / "model.safetensors"])
    assert (one.info.people, one.info.clips, one.info.networks) == ("1 synthetic people", 8, 1)
    assert (one.info.accuracy, one.info.sha256) == (0.5, sha256(one.path))
    assert one.info.temperature == model.info.temperature


def test_what_is_not_known_is_said(models, caplog):
    (model,) = load_models([models["AM"]])
    assert "its accuracy is not known" in model.info.describe()
    assert (model.info.checked, model.info.people, model.info.calibrated) == (False, None, False)
    assert "cannot be checked" in caplog.text


def test_an_exported_model_is_the_same_anywhere_and_refused_when_changed(results, tmp_path, monkeypatch):
    export_model(tmp_path / "out", rows=["AM"], results=results)
    file = tmp_path / "out" / "ravdess-AM.safetensors"
    before = file.read_bytes()
    export_model(tmp_path / "out", rows=["AM"], results=results)
    assert file.read_bytes() == before
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "out"))
    assert find_trained(None, "ravdess", CONFIG) == [file]
    assert find_trained(None, "cremad", CONFIG) == [file]  # the only one there is
    (there,), (here,) = load_models([file]), load_models(find_trained(results, "ravdess", CONFIG))
    same = ("file", "sha256")
    assert {k: v for k, v in vars(there.info).items() if k not in same} == {
        k: v for k, v in vars(here.info).items() if k not in same
    }
    assert (there.info.file, there.info.sha256, there.info.checked) == (str(file), sha256(file), True)
    inputs = {"audio": torch.randn(2, 3, 1, 32, 31)}
    with torch.no_grad():
        torch.testing.assert_close(there.network(inputs), here.network(inputs), rtol=0, atol=0)
    file.write_bytes(before[:-64] + bytes(64))
    with pytest.raises(ModelError, match=r"ravdess-AM.safetensors: its weights are not those that were exported"):
        load_models([file])
    file.write_bytes(before[:2000])
    with pytest.raises(ModelError, match=r"ravdess-AM.safetensors: damaged"):
        load_models([file])


def test_changed_weights_of_a_fold_are_refused(results):
    file = results / "training" / "ravdess" / "AM" / "fold1-seed0" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-64] + bytes(64))
    with pytest.raises(ModelError, match=r"fold1-seed0.*not those that its training wrote"):
        load_models(find_trained(results, "ravdess", CONFIG))


def test_one_network_at_temperature_one_is_as_it_was(models):
    network, _ = checkpoint.load(models["AM"])
    inputs = {"audio": torch.randn(2, 3, 1, 32, 31)}
    with torch.no_grad():
        said = Ensemble([network]).eval()(inputs)["fused"]
        torch.testing.assert_close(said.softmax(1), network(inputs)["fused"].softmax(1))


def test_models_are_looked_for_here_then_in_the_checkout_then_in_the_package(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    home = schema.DEFAULTS.resolve().parent
    assert [place.absolute() for place in list_places(None)] == [
        tmp_path / "results",
        home / "results",
        home / "resources" / "models",
    ]
    monkeypatch.setenv("MIEN_MODELS", "mine")
    assert [str(place) for place in list_places(None)] == ["mine"]
    assert [str(place) for place in list_places(tmp_path)] == [str(tmp_path)]


def test_parameters_come_from_the_package_where_there_are_none(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    assert schema.load("") == schema.load(repository / "params.yaml")
    (tmp_path / "params.yaml").write_text("scale: [")
    with pytest.raises(Exception, match=r"params.yaml"):
        schema.load("")


def test_variants_that_were_not_trained_are_left_out(tmp_path):
    with pytest.raises(ModelError, match="snakemake"):
        find_trained(tmp_path, "ravdess", CONFIG)
    _run(tmp_path / "training" / "ravdess" / "VM", "fold0-seed0", 1.0, status="not applicable")
    _run(tmp_path / "training" / "ravdess" / "AM", "fold0-seed0", 1.0)
    assert find_trained(tmp_path, "ravdess", CONFIG) == [tmp_path / "training" / "ravdess" / "AM"]


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
