"""Self-supervised networks of speech that stay as they are: what they say of a voice, and rows that learn from it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchaudio import pipelines
from torchaudio.models import wav2vec2_model, wavlm_model

from mien.audio.speech import FEWEST, embed_waveform, extract_speech
from mien.config.labels import SPEECH
from mien.errors import ConfigError, ModelError
from mien.io import shards
from mien.io.files import read_json
from training.commands import check_folder, run_command, train_variant

BUNDLES = {"wav2vec2": "WAV2VEC2_BASE", "hubert": "HUBERT_LARGE", "wavlm": "WAVLM_BASE_PLUS"}
SMALL = {  # instead of what the published ones have; lengths and strides of the convolutions are theirs
    "extractor_conv_layer_config": [(8, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2],
    "encoder_embed_dim": 16,
    "encoder_pos_conv_groups": 2,
    "encoder_num_layers": 2,
    "encoder_num_heads": 2,
    "encoder_ff_interm_features": 32,
}


def network_of(model):
    """Return a small random network of the class of a bundle."""
    bundle = getattr(pipelines, BUNDLES[model])
    build = {"Wav2Vec2": wav2vec2_model, "WavLM": wavlm_model}[bundle._model_type]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(**bundle._params | SMALL).eval()


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Make the published networks small, and write weights of each; return the section speech."""
    section = {}
    for model, name in BUNDLES.items():
        bundle = getattr(pipelines, name)
        monkeypatch.setattr(pipelines, name, replace(bundle, _path="nowhere", _params=bundle._params | SMALL))
        torch.save(network_of(model).state_dict(), tmp_path / f"{model}.pth")
        section[model] = {"bundle": name, "weights": str(tmp_path / f"{model}.pth")}
    return section


def extract(corpus, model, row, rate_hz=16000):
    out = corpus.results / "vectors" / f"{corpus.name}-{model}"
    config = json.dumps({"speech": {model: row}, "sound": {"rate_hz": rate_hz}})
    sound = corpus.results / "sound" / corpus.name
    extract_speech(corpus=corpus.name, model=model, parts=sound, out=out, config=config)
    return out


@pytest.mark.parametrize("model", SPEECH)
def test_a_voice_is_the_mean_of_the_states_after_a_layer(corpus, rows, model):
    part = shards.read_sound(corpus.results / "sound" / corpus.name / "a0")
    for layer in (0, 1):
        out = extract(corpus, model, rows[model] | {"layer": layer})
        found = shards.read_vectors(out / "a0")
        assert set(found["modality"]) == {model}
        assert (
            found["clip"].tolist() == part.index["clip"][~part.index.silent].tolist() == [f"a0-{k}" for k in range(7)]
        )
        first = part.index.iloc[0]
        wave = torch.from_numpy(part.wave[: first.n_samples].astype(np.float32) / shards.FULL_SCALE)
        if model == "hubert":  # the large ones take standardised sounds
            wave = (wave - wave.mean()) / (wave.var(correction=0) + 1e-5).sqrt()
        with torch.no_grad():
            states, _ = network_of(model).extract_features(wave.unsqueeze(0))
        wanted = states[layer - 1][0].mean(dim=0)
        np.testing.assert_allclose(found["values"].iloc[0], wanted, rtol=1e-4, atol=1e-5)
    assert read_json(out / "manifest.json")["n_vectors"] == 6 * 8 - 1


def test_a_voice_that_is_too_short_for_a_state_is_followed_by_silence():
    network, wave = network_of("wavlm"), torch.full((40,), 0.1)
    longer = torch.cat([wave, torch.zeros(FEWEST - 40)])
    assert torch.equal(embed_waveform(network, wave, 0), embed_waveform(network, longer, 0))


@pytest.mark.parametrize(
    ("changes", "rate_hz", "error", "words"),
    [
        (
            {"bundle": "HUBERT_BASE"},
            16000,
            ConfigError,
            "speech.wavlm.bundle should be one of WAVLM_BASE, WAVLM_BASE_PLUS",
        ),
        ({"weights": "none.pth"}, 16000, ConfigError, "speech.wavlm.weights: none.pth is no file"),
        ({"weights": "hubert.pth"}, 16000, ModelError, "hubert.pth: no weights of WAVLM_BASE_PLUS"),
        ({"layer": 3}, 16000, ConfigError, r"speech.wavlm.layer: .*\[1, 2\]"),
        ({}, 8000, ConfigError, "WAVLM_BASE_PLUS hears 16000 Hz, and sound.rate_hz is 8000"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(corpus, rows, changes, rate_hz, error, words):
    with pytest.raises(error, match=words):
        extract(corpus, "wavlm", rows["wavlm"] | changes, rate_hz)
    assert not (corpus.results / "vectors" / f"{corpus.name}-wavlm" / "manifest.json").exists()


def test_networks_and_classical_methods_learn_from_what_was_heard(corpus, rows, tmp_path):
    for model in ("wavlm", "hubert"):
        extract(corpus, model, rows[model])
    options = {"epochs": 12, "learning_rate": 3.0e-2}
    one = train_variant(corpus, "WavLM", tmp_path, row={"modalities": ["wavlm"], "fusion": "single"}, **options)
    run, _, predictions = check_folder(one)
    assert run["metrics"]["honest"]["test_accuracy"] > 0.8  # a class is a pitch
    assert len(set(predictions["clip"][predictions.role == "test"])) == 7  # not the silent one
    row = {"modalities": ["wavlm", "hubert"], "fusion": "n0"}
    both, *_ = check_folder(train_variant(corpus, "Both", tmp_path, row=row, **options))
    assert set(both["n_steps"]) == {"wavlm", "hubert"}
    config = json.dumps(corpus.params | {"baselines": {"Probe": {"modality": "wavlm", "model": "logistic"}}})
    asked = {"corpus": corpus.name, "folds": [0], "seeds": [0], "data": corpus.results, "config": config}
    run_command("fit_baseline", baseline="Probe", **asked, out=tmp_path / "Probe")
    probe = read_json(tmp_path / "Probe/fold0-seed0/run.json")
    assert probe["metrics"]["honest"]["test_accuracy"] > 0.8
    assert probe["data_digest"] == run["data_digest"] != both["data_digest"]
