"""What is seen is what was evaluated: a short clip is judged as the evaluation of the training judges it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from apps.tiny_models import CANDIDE, FACES, SOUND, write_results
from mien.apps.recording import cut_windows, predict_windows, read_recording
from mien.apps.units import median_shape
from mien.augment.slicing import Interval
from mien.config.schema import CandideConfig
from mien.models import checkpoint
from mien.training import clips as training_clips
from mien.training.clips import Sampling, assemble, network_inputs

CONFIG = CandideConfig(**CANDIDE)
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
    _, kept = checkpoint.load(models["N2"])
    data = training_clips.read(results, "ravdess", kept.modalities, faces=FACES, sound=SOUND)
    clips = [read_recording(media_folder / name, faces=FACES, sound=SOUND) for name in names]
    for changes in KINDS:
        settings = replace(kept, **changes)
        network = checkpoint.network(settings, seed=3).eval()
        sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=0.8, sound=SOUND)
        batch = assemble(data, data.clips, sampling, rng=None)
        with torch.no_grad():
            expected = network(network_inputs(batch), batch.n_steps)["fused"].softmax(dim=1)
        for row, recording in enumerate(clips):
            prediction = predict_windows(recording, network, settings, window_s=1.0, hop_s=0.5)
            np.testing.assert_allclose(prediction.probabilities, expected[row], atol=1e-5)
            assert prediction.used == tuple(name for name in settings.modalities if batch.n_steps[name][row])


@pytest.mark.parametrize("names", [["both.mp4"], ["both.mp4", "half.mp4", "blank.mp4"]])
def test_action_units_are_those_of_the_corpus(models, media_folder, tmp_path, names):
    """With the person's clips at hand; a corpus of one clip knows no more than the clip itself."""
    results = write_results(tmp_path, media_folder, names)
    network, card = checkpoint.load(models["N2_units"])
    data = training_clips.read(results, "ravdess", card.modalities, faces=FACES, sound=SOUND)
    clips = [read_recording(media_folder / name, faces=FACES, sound=SOUND) for name in names]
    seen = np.concatenate([clip.track.landmarks[clip.track.found] for clip in clips])
    shape = median_shape(seen, CONFIG) if len(names) > 1 else None
    clips = [clip.with_units(CONFIG, shape=shape) for clip in clips]
    sampling = Sampling.of(card.augmentation, frames=card.frames, share=0.8, sound=SOUND)
    batch = assemble(data, data.clips, sampling, rng=None)
    with torch.no_grad():
        expected = network(network_inputs(batch), batch.n_steps)["fused"].softmax(dim=1)
    for row, (name, clip) in enumerate(zip(names, clips, strict=True)):
        prediction = predict_windows(clip, network, card, window_s=1.0, hop_s=0.5)
        np.testing.assert_allclose(prediction.probabilities, expected[row], atol=1e-5)
        assert prediction.used == tuple(one for one in card.modalities if batch.n_steps[one][row])
        assert ("units" in prediction.used) == (name != "blank.mp4")
        if name in data.media["units"]:
            found = clip.cut("units", Interval(0.0, clip.duration_s))
            np.testing.assert_allclose(found.units, data.media["units"][name].units, atol=1e-6)
            np.testing.assert_array_equal(found.time_s, data.media["units"][name].time_s)


@pytest.mark.parametrize("duration_s", [0.1, 0.99, 1.0, 1.01, 1.5, 3.7, 20.0])
def test_windows_cover_the_clip(duration_s):
    windows = cut_windows(duration_s, window_s=1.0, hop_s=0.5)
    assert windows[0].start_s == 0.0
    assert windows[-1].stop_s == pytest.approx(duration_s)
    starts = np.array([window.start_s for window in windows])
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= 0.5 + 1e-9).all()
    assert all(window.stop_s - window.start_s == pytest.approx(min(1.0, duration_s)) for window in windows)
