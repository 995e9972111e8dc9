"""A bare utterance is judged as the evaluation of the training judges it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from apps.tiny_models import (
    CANDIDE,
    FACES,
    PREDICT,
    SOUND,
    model_of,
    write_frames_model,
    write_model,
    write_results,
)
from mien.apps.models import join, load_models
from mien.apps.recording import judge_file
from mien.apps.reference import PersonReference, RunningReference, VoiceRecording, read_reference
from mien.apps.units import median_shape
from mien.audio.spectrogram import crop_or_repeat
from mien.config.schema import CandideConfig, MelConfig
from mien.errors import ConfigError, MediaError
from mien.faces.track import cut_region, follow, region_around
from mien.io import isolated, media
from mien.models import checkpoint
from mien.models.checkpoint import GreyscaleInput
from mien.models.mrpn import build
from mien.training import clips as training_clips
from mien.training.clips import ActionUnitSequence, Reference, Sampling, Spectrogram, assemble, network_inputs

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


@pytest.fixture
def two_parts(tmp_path):
    """Return a network of single pictures and one of voices, of other classes, joined, and both alone."""
    voice = write_model(tmp_path / "voice.safetensors", "AM", classes=("neutral", "calm", "happy", "angry"))
    return load_models([write_frames_model(tmp_path / "face.safetensors"), voice])


def _alone(path, pixels):
    """Return what the network of a file says of RGB pictures (N, S, S, 3), probabilities (N, 7)."""
    network, _ = checkpoint.load(path, kind="extractor")
    grey = np.stack([cv2.cvtColor(np.ascontiguousarray(one), cv2.COLOR_RGB2GRAY) for one in pixels])
    with torch.no_grad():
        return GreyscaleInput(network)(torch.from_numpy(grey)[:, None].float()).softmax(1).numpy()


def test_a_network_of_single_pictures_is_the_mean_over_the_pictures(two_parts, media_folder):
    (_, face, _) = two_parts
    (model,) = load_models([face.path])
    found = judge_file(media_folder / "face.mp4", [model], **WINDOWS)
    pictures = [(time_s, one) for time_s, one in isolated.read_frames(media_folder / "face.mp4", 10)]
    track = follow(pictures, model.faces)
    regions = [region_around(box[None], margin=model.faces.margin) for box in track.boxes[track.found]]
    here = [picture for (_, picture), there in zip(pictures, track.found, strict=True) if there]
    size_px = model.faces.size_px
    squares = [cut_region(picture, region, size_px=size_px) for picture, region in zip(here, regions, strict=True)]
    np.testing.assert_allclose(found.probabilities, _alone(face.path, squares).mean(0), atol=ATOL)
    assert found.classes[0] == "angry"  # its own names


def test_a_cropped_picture_is_judged_as_a_whole(two_parts, tmp_path):
    (_, face, _) = two_parts
    (model,) = load_models([face.path])
    picture = np.random.default_rng(5).integers(0, 255, (60, 60, 3), dtype=np.uint8)  # nobody would find a face in it
    cv2.imwrite(str(tmp_path / "crop.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert np.isnan(judge_file(tmp_path / "crop.png", [model], **WINDOWS).probabilities).all()
    found = judge_file(tmp_path / "crop.png", [model], **WINDOWS, cropped=True)
    whole = cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA)[None]
    np.testing.assert_allclose(found.probabilities, _alone(face.path, whole)[0], atol=ATOL)
    assert found.used == ("video",)


def test_a_film_is_judged_by_the_product_of_its_face_and_its_voice(two_parts, media_folder):
    both, face, voice = two_parts
    said = [judge_file(media_folder / "both.mp4", [part], **WINDOWS).probabilities[None] for part in (face, voice)]
    found = judge_file(media_folder / "both.mp4", two_parts, **WINDOWS)
    np.testing.assert_allclose(found.probabilities, join(both.parts, said)[0], atol=ATOL)
    assert found.classes == ("neutral", "happy", "angry")
    assert (found.model, found.used) == (both, ("video", "audio"))
    mute = judge_file(media_folder / "face.mp4", two_parts, **WINDOWS)
    assert (mute.model, mute.used) == (face, ("video",))
    assert judge_file(media_folder / "voice.wav", two_parts, **WINDOWS).model is voice


@pytest.fixture
def by_subject(tmp_path):
    """Return a network of faces by their units that uses other recordings of the person."""
    path = write_model(tmp_path / "own.safetensors", "units", normalise="subject")
    return load_models([path], reference=True)


def test_other_recordings_of_the_person_standardise_what_is_judged(by_subject, media_folder, tmp_path):
    judged, others = media_folder / "face.mp4", [media_folder / name for name in ("both.mp4", "half.mp4", "voice.wav")]
    running = judge_file(judged, by_subject, **WINDOWS)
    assert running.reference == "running"
    own = read_reference(others, by_subject)
    assert own.n_recordings == 2  # a sound alone has no face
    far = PersonReference({"units": Reference(own.of["units"].mean - 9, own.of["units"].deviation / 9)}, 2)
    found = judge_file(judged, by_subject, **WINDOWS, reference=far)
    assert found.reference == "folder, 2 recordings"
    assert np.abs(found.probabilities - running.probabilities).max() > 0.003
    itself = judge_file(judged, by_subject, **WINDOWS, reference=read_reference([judged], by_subject))
    np.testing.assert_allclose(itself.probabilities, running.probabilities, atol=1e-6)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="empty: --reference has no face in 0 recordings"):
        read_reference([tmp_path / "empty"], by_subject)
    without = load_models([write_model(tmp_path / "AM.safetensors", "AM")])
    with pytest.raises(ConfigError, match="none of the models uses other recordings of a person"):
        read_reference([media_folder], without)
    assert judge_file(media_folder / "voice.wav", without, **WINDOWS).reference == "none"


def test_what_is_said_of_a_voice_is_referred_to_other_recordings_of_the_person(media_folder, tmp_path):
    path = write_model(tmp_path / "voice.safetensors", "AM", normalise="subject")
    models, judged = load_models([path], reference=True), media_folder / "voice.wav"
    own = read_reference([judged, media_folder / "both.mp4"], models)
    assert own.n_recordings == 2
    found = judge_file(judged, models, **WINDOWS, reference=own)
    assert found.reference == "folder, 2 recordings"
    (network,) = models[0].network.networks
    sampling = Sampling.of("VA+AO", frames=4, share=1.0, sound=SOUND)
    rows = own.of["audio"].rows(network, sampling)
    assert rows.shape == (2, network.branches["audio"].dim)
    norm = network.norms["audio"]
    norm.running_mean = (8 * norm.running_mean + 2 * rows.mean(0)) / 10
    norm.running_var = (8 * norm.running_var + 2 * rows.var(0, correction=0)) / 10
    without = load_models([write_model(tmp_path / "AM.safetensors", "AM")])
    without[0].network.networks[0].load_state_dict(network.state_dict())
    wanted = judge_file(judged, without, **WINDOWS)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-6)
    running = judge_file(judged, models, **WINDOWS)
    assert running.reference == "running"
    assert np.abs(running.probabilities - found.probabilities).max() > 1e-4


def test_a_long_voice_is_several_recordings_of_a_reference():
    mel = replace(SOUND, front_end="logmel", mel=MelConfig(columns=100))  # 2 s
    how = {"aggregator": "lstm", "side_head": "dense", "classes": 2, "width": 1, "dropout": 0.0}
    network = build(["audio"], fusion="single", trunk={"audio": "cnn"}, **how).eval()
    sampling = Sampling.of("VA+AO", frames=4, share=1.0, sound=mel)
    voice = Spectrogram(torch.randn(64, 390), duration_s=9.0, start_s=1.0)
    rows = VoiceRecording(voice).rows(network, sampling)
    assert rows.shape == (4, 18)
    second = voice.spectrum[:, 98:195]  # columns of 0.02 s; 97.5 of them are a quarter
    torch.testing.assert_close(rows[1:2], network.branches["audio"](crop_or_repeat(second, mel).unsqueeze(0)))


def test_a_running_reference_is_that_of_all_that_was_shown():
    rng = np.random.default_rng(7)
    parts = [ActionUnitSequence(rng.normal(3, 2, (n, 8)).astype(np.float32), np.arange(n), n) for n in (5, 9, 2)]
    running = RunningReference()
    last = [running.add(one) for one in parts][-1]
    whole = Reference.of(parts)
    np.testing.assert_allclose(last.mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(last.deviation, whole.deviation, rtol=1e-6)


def test_how_far_it_is_is_told(models, media_folder):
    told, path = [], media_folder / "half.mp4"
    judge_file(path, load_models([models["VM"]]), **WINDOWS, on_time=lambda *one: told.append(one))
    times, lengths = np.array(told).T
    np.testing.assert_allclose(lengths, media.probe(path).duration_s)
    assert (np.diff(times) > 0).all()
    assert times[0] == 0
    assert times[-1] == pytest.approx(lengths[0], abs=0.2)
