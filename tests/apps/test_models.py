"""All networks of a row judge together, and every model says who it is, and how often it is right."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from apps.tiny_models import CANDIDE, CLASSES, FER_CLASSES, write_frames_model, write_model
from mien.apps.models import (
    Ensemble,
    choose_model,
    combine,
    export_model,
    find_trained,
    join,
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


def test_networks_of_everybody_are_given_away_with_what_the_folds_measured(results, tmp_path):
    row = results / "training" / "ravdess" / "AM"
    folds = load_models([row])[0].info
    for seed in range(2):
        folder = row / f"everybody-seed{seed}"
        write_model(folder / "model.safetensors", "AM", seed=7 + seed)
        tables.write(folder / "predictions.parquet", tables.empty(tables.PREDICTIONS), tables.PREDICTIONS)
        record = {"corpus": "ravdess", "variant": "AM", "fold": -1, "fold_name": "everybody", "seed": seed}
        record |= {
            "status": "trained",
            "classes": list(CLASSES),
            "n_clips": {"training": 12},
            "metrics": {"honest": {}},
        }
        write_json(folder / "run.json", record)
    export_model(tmp_path / "out", rows=["AM"], results=results)
    (given,) = load_models([tmp_path / "out" / "ravdess-AM.safetensors"])
    assert (given.info.networks, given.info.clips, given.info.people) == (2, 12, "3 synthetic people")
    assert (given.info.accuracy, given.info.temperature) == (folds.accuracy, folds.temperature)
    inputs = {"audio": torch.randn(2, 3, 1, 32, 31)}
    for k, network in enumerate(given.network.networks):
        alone, _ = checkpoint.load(row / f"everybody-seed{k}" / "model.safetensors")
        torch.testing.assert_close(network(inputs)["fused"], alone(inputs)["fused"], rtol=0, atol=0)


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
    same = ("file", "sha256", "terms", "address", "made")  # the last three are known of what is given away
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


RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
COMMON = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@pytest.fixture
def two_parts(tmp_path):
    """Return files of a network of faces with FER2013's classes and one of voices with RAVDESS's."""
    face = write_frames_model(tmp_path / "face.safetensors")
    return [face, write_model(tmp_path / "voice.safetensors", "AM", classes=RAVDESS)]


def test_faces_and_voices_of_two_corpora_are_one_model_of_two_parts(two_parts):
    both, face, voice = load_models(two_parts)
    assert [part.path for part in both.parts] == two_parts
    assert {model.settings.classes for model in (both, face, voice)} == {COMMON}
    assert (both.settings.modalities, both.faces.size_px, both.sound) == (("video", "audio"), 48, voice.sound)
    assert [part["row"] for part in both.info.to_dict()["parts"]] == ["P1", "AM"]
    assert json.loads(json.dumps(both.info.to_dict())) == both.info.to_dict()
    line = both.info.describe()
    assert line.startswith("product of calibrated probabilities")
    assert "(face) P1 of fer2013" in line
    for shown, model in (("video", face), ("audio", voice)):
        assert choose_model([both, face, voice], (shown,)) is model
    assert choose_model([both, face, voice], ("video", "audio")) is both


def test_names_of_other_corpora_are_those_of_ravdess_and_calm_is_neutral(two_parts):
    _, face, voice = load_models(two_parts)
    said = np.arange(1.0, 8.0)[None] / 28  # angry, disgust, fear, happy, sad, surprise, neutral
    assert face.to_names(said)[0] == pytest.approx(np.array([7, 4, 5, 1, 3, 2, 6]) / 28)
    said = np.arange(1.0, 9.0)[None] / 36  # neutral, calm, happy, ...
    assert voice.to_names(said)[0] == pytest.approx(np.array([3, 3, 4, 5, 6, 7, 8]) / 36)


def test_what_one_part_does_not_know_is_left_out(tmp_path, two_parts):
    face = write_frames_model(tmp_path / "few.safetensors", classes=("happy", "contempt", "sad", "neutral"))
    _, few, voice = load_models([face, two_parts[1]])
    assert few.settings.classes == voice.settings.classes == ("neutral", "happy", "sad")
    assert few.to_names(np.array([[0.1, 0.5, 0.1, 0.3]]))[0] == pytest.approx([0.6, 0.2, 0.2])
    other = write_frames_model(tmp_path / "other.safetensors", classes=("contempt", "sad"))
    with pytest.raises(ModelError, match="have sad in common, two are needed"):
        load_models([other, two_parts[1]])


def test_parts_are_multiplied_and_divided_by_the_shares_of_their_training(two_parts):
    _, face, voice = load_models(two_parts)
    of_face = dict(zip(FER_CLASSES, (0.2, 0.0, 0.1, 0.4, 0.1, 0.1, 0.1), strict=True))
    of_face["disgust"] = 0.1
    face = replace(face, info=replace(face.info, shares={name: of_face[name] / 1.1 for name in sorted(of_face)}))
    of_voice = dict(zip(RAVDESS, (0.04, 0.16, 0.16, 0.16, 0.12, 0.12, 0.12, 0.12), strict=True))
    voice = replace(voice, info=replace(voice.info, shares=of_voice))
    seen, heard = np.full((1, 7), 1 / 7), np.array([[0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]])
    # neutral, happy, sad, angry, fearful, disgust, surprised: shares 0.1, 0.4, 0.1, 0.2, 0.1, 0.1, 0.1 (of 1.1) seen,
    # 0.2, 0.16, 0.16, 0.12, 0.12, 0.12, 0.12 heard
    by_hand = np.array([0.4 / 0.02, 0.1 / 0.064, 0.1 / 0.016, 0.1 / 0.024, 0.1 / 0.012, 0.1 / 0.012, 0.1 / 0.012])
    assert join([face, voice], [seen, heard])[0] == pytest.approx(by_hand / by_hand.sum())
    sure = join([face, voice], [np.eye(7)[:1], np.eye(7)[:1]])[0]
    assert sure[0] == pytest.approx(1.0)
    assert np.isfinite(sure).all()


def test_where_a_model_judges_by_both_nothing_is_joined(models):
    together = load_models([models[name] for name in ("N2", "VM", "AM")])
    assert [model.settings.variant for model in together] == ["N2", "VM", "AM"]
    assert not any(model.parts for model in together)
    alike = combine(together[1:])
    assert alike[0].settings.classes == CLASSES  # names of one corpus stay as they are
    assert alike[1:] == together[1:]


def test_networks_of_another_kind_are_called_what_they_are(tmp_path, two_parts):
    people = write_frames_model(tmp_path / "people.safetensors", corpus="fer2013_actor")
    strength = write_model(tmp_path / "strength.safetensors", "AM", target="intensity")
    for path, words in ((people, r"learnt who somebody is \(target: actor\)"), (strength, "learnt intensity")):
        with pytest.raises(ModelError, match=f"{path.name}: .*{words}; clips are judged by networks that learnt emo"):
            load_models([path])
    card = replace(checkpoint.read_card(two_parts[1]), kind="stream", rate_fps=5, hop_s=0.5)
    stream = tmp_path / "stream.safetensors"
    checkpoint.save(stream, checkpoint.network(replace(card, kind="variant"), seed=1), card)
    with pytest.raises(ModelError, match="is a row of streams, which run along with a recording"):
        load_models([stream])


def test_of_models_that_judge_by_the_same_the_reference_chooses(tmp_path, two_parts):
    own = write_model(tmp_path / "own.safetensors", "AM", classes=RAVDESS, normalise="subject")
    assert [model.path for model in load_models([*two_parts, own])[1:]] == two_parts
    assert [model.path for model in load_models([*two_parts, own], reference=True)[1:]] == [two_parts[0], own]
    assert load_models([own])[0].by_subject


def test_networks_trained_on_people_come_before_synthetic_ones_unless_named(results, tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_MODELS", raising=False)
    package = tmp_path / "package"
    export_model(package, rows=["AM"], results=results)
    file = package / "ravdess-AM.safetensors"
    said = checkpoint.read_export(file)
    networks, _ = checkpoint.load_export(file)
    checkpoint.export(file, list(zip(networks, said.cards, strict=True)), said.facts | {"synthetic": False})
    monkeypatch.setattr("mien.apps.models.list_places", lambda named: [named] if named else [results, package])
    assert find_trained(None, "ravdess", CONFIG) == [file]
    assert find_trained(results, "ravdess", CONFIG) == [results / "training" / "ravdess" / "AM"]
    write_json(results / "corpora" / "ravdess" / "corpus.json", {"source": "/data/ravdess"})
    assert find_trained(None, "ravdess", CONFIG) == [results / "training" / "ravdess" / "AM"]


def test_an_exported_file_may_have_16_bits(results, tmp_path):
    export_model(tmp_path / "whole", rows=["AM"], results=results)
    export_model(tmp_path / "half", rows=["AM"], results=results, half=True)
    whole, half = (load_models([tmp_path / name / "ravdess-AM.safetensors"])[0] for name in ("whole", "half"))
    inputs = {"audio": torch.randn(2, 3, 1, 32, 31)}
    with torch.no_grad():
        torch.testing.assert_close(half.network(inputs), whole.network(inputs), rtol=0.02, atol=0.02)
    assert half.path.stat().st_size < 0.75 * whole.path.stat().st_size
    assert (half.info.made["weights"], whole.info.made["weights"]) == ("16 bits", "32 bits")
    assert half.info.terms == "CC BY-NC-SA 4.0"
    assert (half.info.recalls, half.info.uar) == ({"neutral": 0.5}, 0.5)


def test_weights_of_a_row_that_was_trained_on_everybody_keep_the_accuracy_of_the_protocol(results, tmp_path):
    other = results / "training" / "ravdess" / "all"
    for file in (results / "training" / "ravdess" / "AM" / "fold0-seed0").iterdir():
        (other / "fold0-seed0").mkdir(parents=True, exist_ok=True)
        (other / "fold0-seed0" / file.name).write_bytes(file.read_bytes())
    write_model(other / "fold0-seed0" / "model.safetensors", "AM", seed=9)
    export_model(tmp_path / "out", rows=["AM"], results=results, weights=other)
    (given,) = load_models([tmp_path / "out" / "ravdess-AM.safetensors"])
    assert (given.info.networks, given.info.accuracy, given.info.tested_people) == (1, 0.5, 3)
    inputs = {"audio": torch.randn(2, 3, 1, 32, 31)}
    alone = checkpoint.load(other / "fold0-seed0" / "model.safetensors")[0]
    with torch.no_grad():
        wanted = (alone(inputs)["fused"] / given.info.temperature).softmax(1)
        torch.testing.assert_close(given.network(inputs)["fused"].softmax(1), wanted)
