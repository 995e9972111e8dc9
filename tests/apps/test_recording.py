"""A bare utterance is judged as the evaluation of the training judges it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from apps.tiny_models import CANDIDE, FACES, PREDICT, SOUND, model_of, write_results
from mien.apps.models import load_models
from mien.apps.recording import judge_file
from mien.apps.units import median_shape
from mien.config.schema import CandideConfig
from mien.io import media
from mien.models import checkpoint
from mien.training import clips as training_clips
from mien.training.clips import Sampling, assemble, network_inputs

ATOL = 1e-3  # sound that is resampled in pieces rounds one of 20 000 samples the other way, which silence amplifies
CONFIG = CandideConfig(**CANDIDE)
WINDOWS = {name: PREDICT[name] for name in ("window_s", "hop_s")}
KINDS = (  # settings that differ from those of N2
    {},
    {"augmentation": "VA+WO", "aggregator": "bilstm"},
    {"augmentation": "NT", "aggregator": "transformer"},
    {"residual": "relu", "side_head": "scoring"},
    {"fusion": "gated"},
    {"fusion": "attention"},
)


def test_the_verdict_is_that_of_the_evaluation(models, media_folder, tmp_path):
    names = ["both.mp4", "silent.mp4", "blank.mp4", "half.mp4"]
    results = write_results(tmp_path, media_folder, names)
    kept = checkpoint.load(models["N2"])[1]
    data = training_clips.read(results, "ravdess", kept.modalities, faces=FACES, sound=SOUND)
    for changes in KINDS:
        settings = replace(kept, **changes)
        network = checkpoint.network(settings, seed=3).eval()
        sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=0.8, sound=SOUND)
        batch = assemble(data, data.clips, sampling, rng=None)
        with torch.no_grad():
            expected = network(network_inputs(batch), batch.n_steps)["fused"].softmax(dim=1)
        for row, name in enumerate(names):
            found = judge_file(media_folder / name, [model_of(network, settings)], **WINDOWS)
            np.testing.assert_allclose(found.probabilities, expected[row], atol=ATOL)
            assert found.used == tuple(name for name in settings.modalities if batch.n_steps[name][row])


@pytest.mark.parametrize("names", [["both.mp4"], ["both.mp4", "half.mp4", "blank.mp4"]])
def test_action_units_are_those_of_the_corpus(models, media_folder, tmp_path, names):
    """With the person's clips at hand; a corpus of one clip knows no more than the clip itself."""
    results = write_results(tmp_path, media_folder, names)
    network, card = checkpoint.load(models["N2_units"])
    model = model_of(network, card)
    data = training_clips.read(results, "ravdess", card.modalities, faces=FACES, sound=SOUND)
    tracks = [judge_file(media_folder / name, [model], **WINDOWS, tracks=True).tracks for name in names]
    seen = [track.landmarks[track.found] for one in tracks for track in one.values()]
    shape = median_shape(np.concatenate(seen), CONFIG) if len(names) > 1 else None
    sampling = Sampling.of(card.augmentation, frames=card.frames, share=0.8, sound=SOUND)
    batch = assemble(data, data.clips, sampling, rng=None)
    with torch.no_grad():
        expected = network(network_inputs(batch), batch.n_steps)["fused"].softmax(dim=1)
    for row, name in enumerate(names):
        found = judge_file(media_folder / name, [model], **WINDOWS, shape=shape)
        np.testing.assert_allclose(found.probabilities, expected[row], atol=ATOL)
        assert found.used == tuple(one for one in card.modalities if batch.n_steps[one][row])
        assert ("units" in found.used) == (name != "blank.mp4")


def test_how_far_it_is_is_told(models, media_folder):
    told, path = [], media_folder / "half.mp4"
    judge_file(path, load_models([models["VM"]]), **WINDOWS, on_time=lambda *one: told.append(one))
    times, lengths = np.array(told).T
    np.testing.assert_allclose(lengths, media.probe(path).duration_s)
    assert (np.diff(times) > 0).all()
    assert times[0] == 0
    assert times[-1] == pytest.approx(lengths[0], abs=0.2)
