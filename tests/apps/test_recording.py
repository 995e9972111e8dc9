"""What is seen is what was evaluated: a short clip is judged as the evaluation of the training judges it."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from apps.tiny_models import CLASSES, FACES, SOUND
from mien.apps.recording import cut_windows, predict_windows, read_recording
from mien.audio import extract as audio_extract
from mien.augment.slicing import SEGMENTS
from mien.faces import extract as faces_extract
from mien.io import tables
from mien.io.files import write_json
from mien.models import checkpoint
from mien.training import clips as training_clips
from mien.training.clips import Sampling, assemble, network_inputs

KINDS = (  # settings that differ from those of N2
    {},
    {"augmentation": "VA+WO", "aggregator": "bilstm"},
    {"augmentation": "NT", "aggregator": "transformer"},
    {"residual": "relu", "side_head": "scoring"},
    {"fusion": "gated"},
    {"fusion": "attention"},
)


def _results(folder, media_folder, names):
    """Send clips through the stages; return the folder of results."""
    row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": "ravdess", "part": "01", "group": "01"}
    row |= {"item": -1, "label": 0, "cropped": False, "has_video": True, "has_audio": True, "apart": False}
    rows = [row | {"clip": name, "video": name, "audio": name, "sha256": name} for name in names]
    corpus = folder / "corpora" / "ravdess"
    tables.write(corpus / "clips.parquet", pd.DataFrame(rows), tables.CLIPS)
    folds = pd.DataFrame([{"fold": 0, "name": "A", "group": "01", "role": "test"}])
    tables.write(corpus / "folds.parquet", folds, tables.FOLDS)
    write_json(corpus / "corpus.json", {"classes": list(CLASSES)})
    for stage in ("faces", "sound"):
        write_json(folder / stage / "ravdess" / "manifest.json", {"parts": {"01": "0"}})
    faces_extract.build_part(folder / "faces" / "ravdess" / "01", faces_extract.Work(media_folder, rows, FACES))
    work = audio_extract.Work(media_folder, rows, SOUND.rate_hz, SOUND.silence_dbfs)
    audio_extract.build_part(folder / "sound" / "ravdess" / "01", work)
    return folder


def test_the_verdict_is_that_of_the_evaluation(models, media_folder, tmp_path):
    names = ["both.mp4", "silent.mp4", "blank.mp4", "half.mp4"]
    results = _results(tmp_path, media_folder, names)
    _, kept = checkpoint.load(models["N2"])
    data = training_clips.read(results, "ravdess", kept.modalities, faces=FACES, sound=SOUND)
    clips = [read_recording(media_folder / name, faces=FACES, sound=SOUND) for name in names]
    for changes in KINDS:
        settings = replace(kept, **changes, segments=SEGMENTS[changes.get("augmentation", kept.augmentation)])
        network = checkpoint.network(settings, seed=3).eval()
        sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=0.8, sound=SOUND)
        batch = assemble(data, data.clips, sampling, rng=None)
        with torch.no_grad():
            expected = network(network_inputs(batch), batch.present)["fused"].softmax(dim=1)
        for row, recording in enumerate(clips):
            prediction = predict_windows(recording, network, settings, window_s=1.0, hop_s=0.5)
            np.testing.assert_allclose(prediction.probabilities, expected[row], atol=1e-5)
            assert prediction.used == tuple(name for name in settings.modalities if batch.present[name][row])


@pytest.mark.parametrize("duration_s", [0.1, 0.99, 1.0, 1.01, 1.5, 3.7, 20.0])
def test_windows_cover_the_clip(duration_s):
    windows = cut_windows(duration_s, window_s=1.0, hop_s=0.5)
    assert windows[0].start_s == 0.0
    assert windows[-1].stop_s == pytest.approx(duration_s)
    starts = np.array([window.start_s for window in windows])
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= 0.5 + 1e-9).all()
    assert all(window.stop_s - window.start_s == pytest.approx(min(1.0, duration_s)) for window in windows)


def test_settings_survive_the_model_file(models):
    _, settings = checkpoint.load(models["VM"])
    assert settings.faces == asdict(FACES)
    assert settings.sound == asdict(SOUND)
