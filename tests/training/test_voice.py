"""Whole voices: what networks of the front end logmel are given, a person's reference, the command `train`."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.augment.slicing import Interval
from mien.config.schema import MelConfig
from mien.errors import ConfigError, ModelError
from mien.io import shards
from mien.io.files import read_json
from mien.models import checkpoint
from mien.training import clips
from mien.training.clips import Sampling, Wave, assemble_inputs, reference_of, transform_wave
from training.commands import check_folder, rows_of, run_command, train_variant
from training.tiny_corpus import FACES, SOUND, TinyCorpus

MEL = replace(SOUND, front_end="logmel", mel=MelConfig(columns=32))
SUBJECT = replace(MEL, normalise="subject")
ROW = {"modalities": ["audio"], "fusion": "single", "front_end": "logmel", "trunk": {"audio": "cnn"}}
CHANGES = {"masks": {"bands": 4, "columns": 4, "shift": 1}, "train": {"width": 1, "epochs": 2, "batch": 8}}


def wave(seconds, level=0.1, seed=0):
    samples = np.random.default_rng(seed).normal(0, level, round(16000 * seconds)).clip(-1, 1)
    return Wave((samples * shards.FULL_SCALE).astype(np.int16), seconds)


def looked(one, interval, config, rng=None):
    sampling = Sampling.of("VA+AO", frames=1, share=0.8, sound=config)
    inputs, n_steps = assemble_inputs([(interval, {"audio": one})], ["audio"], sampling, size_px=0, rng=rng)
    assert n_steps["audio"].tolist() == [1]
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


def test_a_reference_takes_the_person_out_of_a_voice():
    spoken = [wave(1.0, 0.1, seed=1), wave(1.5, 0.02, seed=2)]
    reference = reference_of(spoken, SUBJECT)
    assert reference.mean.shape == reference.deviation.shape == (64,)
    rows = np.concatenate([reference.standardise(transform_wave(one, SUBJECT)).spectrum.T for one in spoken])
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-4)
    loud, quiet = (reference.standardise(transform_wave(one, SUBJECT)).spectrum.mean() for one in spoken)
    assert loud > quiet  # how loud somebody is, compared with themselves, is kept


def test_training_reads_what_a_reference_makes(tiny):
    found = clips.read(tiny.results, tiny.name, ["audio"], faces=FACES, sound=SUBJECT)
    waves = clips.read(tiny.results, tiny.name, ["audio"], faces=FACES, sound=SOUND, running=True).media["audio"]
    own = [clip for clip in waves if clip.startswith("a2-")]
    reference = reference_of([waves[clip] for clip in own], SUBJECT)
    media = clips.normalise(found, "subject").media["audio"]
    for clip in own:
        wanted = reference.standardise(transform_wave(waves[clip], SUBJECT))
        assert torch.equal(media[clip].spectrum, wanted.spectrum)
        assert media[clip].start_s == wanted.start_s


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
    assert card.sound.get("normalise", "corpus") == card.normalise == how
    assert read_json(folder / "run.json")["config"]["variant"].get("normalise", "corpus") == how


@pytest.mark.usefixtures("scratch")
def test_everybody_is_trained_on_as_long_as_on_the_folds(tiny, tmp_path):
    row = ROW | CHANGES | {"schedule": "one_cycle", "average": 0.5}
    config = json.dumps(tiny.params | {"variants": {"Voice": row}})
    options = {"corpus": tiny.name, "variant": "Voice", "seeds": [0], "data": tiny.results, "config": config}
    with pytest.raises(ModelError, match="no fold was trained"):
        run_command("train", folds=[], everybody=True, out=tmp_path / "empty", **options)
    run_command("train", folds=[0], everybody=True, out=tmp_path / "Voice", **options)
    of_fold, of_all = (read_json(tmp_path / "Voice" / f"{name}-seed0" / "run.json") for name in ("fold0", "everybody"))
    assert of_all["epochs"] == of_all["best_epoch"]["honest"] == of_fold["best_epoch"]["honest"]
    assert of_all["n_clips"] == {"training": 6 * 8 - 1}  # one clip is silent
    _, card = checkpoint.load(tmp_path / "Voice" / "everybody-seed0" / "model.safetensors")
    assert card.fold == -1
    assert len(rows_of(tmp_path / "Voice" / "everybody-seed0")) == 0
    other = options | {"config": config.replace('"epochs": 2', '"epochs": 1')}
    with pytest.raises(ModelError, match="of another config"):
        run_command("train", folds=[], everybody=True, out=tmp_path / "Voice", **other)


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
