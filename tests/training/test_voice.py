"""Whole voices: what networks of the front end logmel are given, a person's reference, the command `train`."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mien.augment.slicing import Interval
from mien.config.schema import AugmentConfig, MelConfig, TrainConfig, VariantConfig
from mien.errors import ConfigError, ModelError
from mien.io import shards
from mien.io.files import read_json, sha256
from mien.models import checkpoint
from mien.models.mrpn import build
from mien.training import clips
from mien.training.clips import Sampling, Wave, assemble_inputs, transform_wave
from mien.training.train import ClipTask
from training.commands import check_folder, rows_of, run_command, train_variant
from training.tiny_corpus import FACES, PARAMS, SOUND, TinyCorpus

MEL = replace(SOUND, front_end="logmel", mel=MelConfig(columns=32))
AUGMENT = AugmentConfig(**PARAMS["augment"])
ROW = {"modalities": ["audio"], "fusion": "single", "front_end": "logmel", "trunk": {"audio": "cnn"}}
CHANGES = {
    "masks": {"bands": 4, "columns": 4, "warp": 0.1, "stretch": 0.1, "colour": 0.2},
    "train": {"width": 1, "epochs": 2, "batch": 8},
}


def wave(seconds, level=0.1, seed=0):
    samples = np.random.default_rng(seed).normal(0, level, round(16000 * seconds)).clip(-1, 1)
    return Wave((samples * shards.FULL_SCALE).astype(np.int16), seconds)


def looked(one, interval, config, rng=None):
    sampling = Sampling.of("VA+AO", frames=1, share=0.8, sound=config)
    inputs, n_steps = assemble_inputs([(interval, {"audio": one})], ["audio"], sampling, size_px=0, rng=rng)
    assert n_steps["audio"].tolist() == [2 if rng is None else 1]
    return inputs["audio"][0, 0, 0]  # (F, W)


def test_a_voice_is_standardised_in_itself_whatever_its_level():
    quiet, loud = (transform_wave(wave(1.0, level), MEL).spectrum for level in (0.01, 0.1))
    assert float(quiet.mean()) == pytest.approx(0, abs=1e-5)
    assert float(quiet.std(correction=0)) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(quiet, loud, atol=0.05, rtol=0)  # int16, and the floor of the power


def test_networks_hear_the_stretch_that_they_are_given():
    one = transform_wave(Wave(np.concatenate([np.zeros(16000, np.int16), wave(2.0).samples]), 3.0), MEL)
    assert one.start_s == pytest.approx(0.94)
    found = looked(one, Interval(1.44, 1.94), MEL)
    assert torch.equal(found, torch.cat([one.spectrum[:, 25:50], one.spectrum[:, 25:32]], 1))  # 25 columns, repeated
    assert torch.equal(looked(one, Interval(0.0, 0.5), MEL), looked(one, Interval(0.0, 3.0), MEL))  # silence: all of it
    anywhere = {tuple(looked(one, Interval(0.0, 3.0), MEL, np.random.default_rng(k))[0].tolist()) for k in range(5)}
    assert len(anywhere) > 1


def test_people_are_judged_by_what_is_said_of_their_own_recordings(tiny):
    params = tiny.params["train"] | {"width": 1, "batch": 2}
    row = VariantConfig(**ROW, normalise="subject")
    settings = SimpleNamespace(variant=row, train=TrainConfig(**params), augment=AUGMENT, sound=MEL)
    data = clips.read(tiny.results, tiny.name, ["audio"], faces=FACES, sound=MEL)
    rows = data.clips[data.clips.actor.isin(["a0", "a3"]) & data.clips["clip"].isin(data.media["audio"])]
    rows = rows.sample(frac=1, random_state=0)
    task = ClipTask(settings=settings, dataset=data, roles={"test": rows}, draws=None, loss_weights={})
    model = build(
        ["audio"],
        fusion="single",
        aggregator="lstm",
        side_head="dense",
        classes=2,
        width=1,
        dropout=0.0,
        trunk=ROW["trunk"],
    ).eval()
    model.norms["audio"].running_mean.normal_(generator=torch.Generator().manual_seed(0))
    model.requires_grad_(False)
    found = task.evaluate(model, "test").logits["fused"]
    for actor in ("a0", "a3"):
        there = (rows.actor == actor).to_numpy(copy=True)
        batch = clips.assemble(data, rows[there], task.sampling, rng=None)
        said = model.forward_features(batch.inputs, batch.n_steps)["audio"]
        alone = copy.deepcopy(model)
        norm = alone.norms["audio"]
        n = len(said)  # the training people count like 8 recordings
        norm.running_mean = (n * said.mean(0) + 8 * norm.running_mean) / (n + 8)
        norm.running_var = (n * said.var(0, correction=0) + 8 * norm.running_var) / (n + 8)
        torch.testing.assert_close(found[torch.from_numpy(there)], alone(batch.inputs, batch.n_steps)["fused"])
        assert not torch.allclose(found[torch.from_numpy(there)], model(batch.inputs, batch.n_steps)["fused"])


def test_without_a_recording_there_is_no_reference():
    model = build(["audio"], fusion="single", aggregator="lstm", side_head="dense", classes=2, width=1, dropout=0.0)
    features = torch.randn(3, 8)
    assert torch.equal(model.adapt_to_reference("audio", features, features[:0]), features)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("how", ["corpus", "subject"])
def test_train_says_what_it_hears(tiny, tmp_path, how):
    params = tiny.params | {"sound": tiny.params["sound"] | {"mel": {"columns": 32}}}
    row = ROW | CHANGES | {"normalise": how}
    folder = train_variant(TinyCorpus(tiny.results, tiny.name, params), "Voice", tmp_path / "out", row=row)
    run, _, _ = check_folder(folder)
    assert run["epochs"] == run["config"]["train"]["epochs"] == 2
    assert run["n_steps"] == {"audio": 1.0}
    _, card = checkpoint.load(folder / "model.safetensors")
    assert card.sound["front_end"] == "logmel"
    assert card.normalise == how
    assert read_json(folder / "run.json")["config"]["variant"].get("normalise", "corpus") == how


@pytest.mark.usefixtures("scratch")
def test_everybody_is_trained_on_as_long_as_on_the_folds(tiny, tmp_path):
    row = ROW | CHANGES | {"schedule": "one_cycle", "average": 0.5}
    config = json.dumps(tiny.params | {"variants": {"Voice": row}})
    options = {"corpus": tiny.name, "variant": "Voice", "seeds": [0], "data": tiny.results, "config": config}
    with pytest.raises(ModelError, match="no fold was trained"):
        run_command("train_everybody", out=tmp_path / "empty", **options)
    run_command("train", folds=[0], out=tmp_path / "Voice", **options)
    run_command("train_everybody", out=tmp_path / "Voice", **options)
    of_fold, of_all = (read_json(tmp_path / "Voice" / f"{name}-seed0" / "run.json") for name in ("fold0", "everybody"))
    assert of_all["epochs"] == of_all["best_epoch"]["honest"] == of_fold["best_epoch"]["honest"]
    assert of_all["n_clips"] == {"training": 6 * 8 - 1}  # one clip is silent
    _, card = checkpoint.load(tmp_path / "Voice" / "everybody-seed0" / "model.safetensors")
    assert card.fold == -1
    assert len(rows_of(tmp_path / "Voice" / "everybody-seed0")) == 0
    other = options | {"config": config.replace('"epochs": 2', '"epochs": 1')}
    with pytest.raises(ModelError, match="of another config"):
        run_command("train_everybody", out=tmp_path / "Voice", **other)


@pytest.mark.usefixtures("scratch")
def test_a_row_may_be_the_network_of_another_asked_with_a_reference(tiny, tmp_path):
    rows = {"Voice": ROW | CHANGES, "Voice_S": ROW | CHANGES | {"normalise": "subject", "weights": "Voice"}}
    config = json.dumps(tiny.params | {"variants": rows})
    options = {"corpus": tiny.name, "seeds": [0], "data": tiny.results, "config": config}
    with pytest.raises(ModelError, match="no such model file"):
        run_command("train", variant="Voice_S", folds=[0], out=tmp_path / "Voice_S", **options)
    for variant in rows:
        run_command("train", variant=variant, folds=[0], out=tmp_path / variant, **options)
        run_command("train_everybody", variant=variant, out=tmp_path / variant, **options)
    for name in ("fold0-seed0", "everybody-seed0"):
        folders = [tmp_path / variant / name for variant in rows]
        states = [load_file(folder / "model.safetensors") for folder in folders]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        runs = [read_json(folder / "run.json") for folder in folders]
        assert runs[1]["best_epoch"]["honest"] == runs[0]["best_epoch"]["honest"]
        assert runs[1]["weights"] == sha256(folders[0] / "model.safetensors")
    alone, referred = (rows_of(tmp_path / variant / "fold0-seed0").query("selection == 'honest'") for variant in rows)
    assert alone["clip"].tolist() == referred["clip"].tolist()
    assert not np.allclose(np.stack(alone.logits), np.stack(referred.logits))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trunk": {}}, "front_end should be logmel with the trunk cnn"),
        ({"front_end": "stft"}, "front_end should be logmel with the trunk cnn"),
        ({"trunk": {"audio": "resnet3d18"}}, "trunk should be resnet18 or cnn for audio"),
    ],
)
def test_front_end_and_trunk_go_together(tiny, tmp_path, changes, said):
    with pytest.raises(ConfigError, match=said):
        train_variant(tiny, "Voice", tmp_path, row=ROW | changes)
