"""Training running networks: a planted rule is learnt, every held-out clip is followed, a killed run goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from mien.audio.spectrogram import standardised_segment
from mien.augment.slicing import Interval
from mien.errors import ConfigError, TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.shards import FULL_SCALE
from mien.models import checkpoint, streaming
from mien.models.mrpn import build
from mien.training import clips as training_clips
from mien.training import streams as training_streams
from mien.training.clips import network_inputs
from mien.training.stream import StreamTask, last_of, tick_loss
from training.commands import check_folder, check_not_applicable, check_resume, inside, run_command
from training.tiny_corpus import PARAMS, SOUND, TinyCorpus, write_corpus

pytestmark = pytest.mark.usefixtures("scratch")
ROWS = {  # name -> (modalities, fusion, aggregator, init)
    "V_stream": (["video"], "dense", "lstm", {}),
    "A_stream": (["audio"], "dense", "lstm", {}),
    "AV_stream": (["video", "audio"], "mrpn", "lstm", {}),
    "V_started": (["video"], "dense", "none", {"video": "P1"}),
}
TRAINED = ("V_stream", "A_stream", "AV_stream")
PACE = training_streams.StreamTiming(rate_fps=10, hop_s=0.1, sound=SOUND)
STREAMING = {
    "corpus": "ravdess",
    "rate_fps": 5,
    "hop_s": 0.1,
    "window_s": 1.1,
    "loss": "every",
    "learning_rate": 1.0e-2,
    "epochs": 5,  # with fewer it is rounding that decides whether the rule is learnt
    "batch": 6,
}


def parameters(**changes) -> dict:
    streams = {
        name: {"modalities": modalities, "fusion": fusion, "aggregator": aggregator, "init": init}
        for name, (modalities, fusion, aggregator, init) in ROWS.items()
    }
    return PARAMS | {"streaming": STREAMING | changes, "streams": streams}


def train(corpus: TinyCorpus, row: str, out: Path, *init: str, **changes) -> Path:
    """Run the command (checkpoints go below the working directory) and return the folder of its fold."""
    options = {"folds": [0], "seeds": [0], "data": corpus.results, "out": out / row, "init": list(init)}
    run_command("train_stream", stream=row, **options, config=json.dumps(parameters(**changes)))
    return out / row / "fold0-seed0"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCorpus:
    """Return a corpus of five people: a0 tests, her first clip has no face and her last no sound; a1 validates."""
    return write_corpus(tmp_path_factory.mktemp("running") / "results", name="ravdess", n_actors=5)


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """Return a folder with the rows that start at random."""
    out = tmp_path_factory.mktemp("streams")
    with inside(out):
        for row in TRAINED:
            train(tiny, row, out)
    return out


def read(folder: Path) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Return run.json, STREAM and the honest PREDICTIONS of a fold."""
    rows = tables.read(folder / "predictions.parquet", tables.PREDICTIONS)
    stream = tables.read(folder / "stream.parquet", tables.STREAM)
    return read_json(folder / "run.json"), stream, rows[rows.selection == "honest"]


@pytest.mark.parametrize("row", TRAINED)
def test_a_planted_rule_is_learnt_and_every_clip_is_followed(trained, row):
    folder = trained / row / "fold0-seed0"
    check_folder(folder, "stream.parquet")
    run, stream, predictions = read(folder)
    assert run["metrics"]["honest"]["test_accuracy"] >= 0.85
    absent = {"V": {"a0-0"}, "A": {"a0-7"}, "AV": set()}[row.split("_")[0]]
    for role, actor in (("validation", "a1"), ("test", "a0")):
        of_role = stream[stream.role == role]
        wanted = {f"{actor}-{take}" for take in range(8)} - absent
        assert set(of_role["clip"]) == wanted
        assert run["n_clips"][role] == len(wanted)
        assert set(of_role.actor) == {actor}  # nobody who was trained on
    for (_, head), rows in stream.groupby(["clip", "head"]):
        assert (np.diff(rows.time_s) > 0).all()
        assert head in ("fused", "video", "audio")
    last = stream.groupby(["clip", "head"]).logits.last()
    said = predictions.set_index(["clip", "head"]).logits
    assert set(last.index) == set(said.index)
    np.testing.assert_allclose(np.stack(last[said.index]), np.stack(said), atol=1e-5)


def test_heads_begin_when_they_have_something_to_go_by(trained):
    _, stream, _ = read(trained / "AV_stream" / "fold0-seed0")
    first = stream[stream["clip"] == "a1-1"].groupby("head").time_s.min()
    assert dict(first.round(6)) == {"fused": 0.2, "video": 0.2, "audio": 1.0}  # two frames are lost; 1 s is heard
    assert set(stream["head"][stream["clip"] == "a0-0"]) == {"fused", "audio"}  # never a face
    assert set(stream["head"][stream["clip"] == "a0-7"]) == {"fused", "video"}  # never a sound
    assert stream[stream["clip"] == "a0-0"].time_s.min() == pytest.approx(1.0)
    of_frames = tables.read(trained / "V_stream" / "fold0-seed0" / "stream.parquet", tables.STREAM)
    np.testing.assert_allclose(of_frames.time_s[of_frames["clip"] == "a1-0"], [0.2, 0.4, 0.6, 0.8, 1.0])


def test_following_as_it_comes_says_what_the_table_says(trained, tiny):
    """`StreamState`, fed frames and seconds of the written clip one by one, gives the rows of stream.parquet."""
    folder = trained / "AV_stream" / "fold0-seed0"
    model, settings = checkpoint.load(folder / "model.safetensors", kind="stream")
    data = tiny.read(*settings.modalities, running=True)
    pixels, wave = data.media["video"]["a0-2"].pixels, data.media["audio"]["a0-2"].samples
    shown_s = data.media["video"]["a0-2"].time_s
    frames, looked_s = running_frames(shown_s, settings)
    along, said, shown = streaming.StreamState(model), [], 0
    for tick in range(1, len(wave) // 1600 + 1):
        while shown < len(frames) and looked_s[shown] <= 0.1 * tick + 1e-6:
            batch = training_streams.StreamBatch(
                {"video": torch.from_numpy(pixels[frames[shown]])[None, None]}, {}, torch.zeros(1), ()
            )
            along.step("video", network_inputs(batch)["video"])
            shown += 1
        if tick >= 10:
            newest = torch.from_numpy(wave[1600 * tick - 16000 : 1600 * tick] / np.float32(FULL_SCALE))
            along.step("audio", standardised_segment(newest, SOUND)[None, None])
        if along.features:
            said.append(along.predict()["fused"][0].numpy())
    _, stream, _ = read(folder)
    rows = stream[(stream["clip"] == "a0-2") & (stream["head"] == "fused")]
    np.testing.assert_allclose(np.stack(rows.logits), np.stack(said), atol=1e-5)


def running_frames(time_s, settings):
    """Choose the frames by hand: at 5 of 10 frames/s, the newest of each pair."""
    look = np.ceil(time_s * settings.rate_fps - 1e-6)
    frames = [int(np.flatnonzero(look == number)[-1]) for number in np.unique(look)]
    return frames, np.unique(look) / settings.rate_fps


def test_a_killed_run_goes_on_to_the_same_bytes(trained, tiny, tmp_path, monkeypatch):
    whole = trained / "V_stream" / "fold0-seed0"
    check_resume(monkeypatch, StreamTask, 3, lambda: train(tiny, "V_stream", tmp_path), whole)


def test_a_row_starts_from_a_trunk_or_is_not_applicable(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"streams\.V_started\.init\.video: P1 is no file"):
        train(tiny, "V_started", tmp_path)
    given = build(
        ("video",), fusion="dense", aggregator="lstm", side_head="dense", classes=2, width=2, dropout=0.0, seed=9
    )
    state = given.branches["video"].trunk.state_dict()
    path = tmp_path / "P1.safetensors"
    save_file(state, path)
    folder = train(tiny, "V_started", tmp_path, f"video={path}", learning_rate=1.0e-12, epochs=1)
    model, _ = checkpoint.load(folder / "model.safetensors", kind="stream")
    torch.testing.assert_close(model.branches["video"].trunk.conv1.weight, state["conv1.weight"])
    save_file({}, path, metadata={"mien": "{}"})
    folder = train(tiny, "V_started", tmp_path, f"video={path}")
    reason = "P1, which its video branch starts from, was not trained"
    check_not_applicable(folder, reason, "stream.parquet")
    assert read(folder)[1].empty


def test_stretches_are_cut_alike_from_both_modalities_and_padding_is_marked(tiny):
    data = tiny.read("video", "audio", running=True)
    clips = data.clips[data.clips["clip"].isin(["a2-2", "a0-0"])].sort_values("clip")  # a0-0 has no face
    wave = data.media["audio"]["a2-2"]
    data.media["audio"]["a2-2"] = training_clips.Wave(np.tile(wave.samples, 2), 2 * wave.duration_s)
    batch = training_streams.assemble(data, clips, [Interval(0.0, 1.0), Interval(0.35, 1.45)], PACE)
    assert [len(ticks) for ticks in batch.tick_s] == [10, 11]
    assert batch.at["video"].tolist() == [[-1] * 11, [0, 1, 2, 3, 4, *[5] * 6]]
    assert batch.at["audio"].tolist() == [[-1] * 9 + [0, -1], [-1] * 9 + [0, 1]]
    pixels = data.media["video"]["a2-2"].pixels
    assert torch.equal(batch.inputs["video"][1, :6], torch.from_numpy(pixels[2:8]))  # two frames are lost: 0.4 to 0.9 s
    samples = torch.from_numpy(data.media["audio"]["a2-2"].samples[5600:21600] / np.float32(FULL_SCALE))
    assert torch.equal(batch.inputs["audio"][1, 0], standardised_segment(samples, SOUND))


def test_what_is_shorter_than_a_segment_is_not_heard(tiny, tmp_path):
    data = tiny.read("audio", running=True)
    wave = data.media["audio"]["a2-2"]
    data.media["audio"]["a2-2"] = training_clips.Wave(wave.samples[:15000], 15000 / SOUND.rate_hz)
    left = training_streams.usable(data, PACE).media["audio"]
    assert data.media["audio"].keys() - left.keys() == {"a2-2"}
    with pytest.raises(ConfigError, match=r"streaming\.window_s is 0\.9 s, and A_stream hears segments of 1 s"):
        train(tiny, "A_stream", tmp_path, window_s=0.9)


def test_pictures_are_those_that_know_nothing_later(tiny, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(tiny.results, results)
    for folder in (results / "faces" / "ravdess").iterdir():
        if folder.is_dir():
            np.save(folder / "along.npy", 255 - np.load(folder / "frames.npy"))
    copy = TinyCorpus(results, "ravdess", PARAMS)
    whole, along = (copy.read("video", running=running).media["video"] for running in (False, True))
    for clip in whole:
        assert np.array_equal(along[clip].pixels, 255 - whole[clip].pixels)
    (results / "faces" / "ravdess" / "a1" / "along.npy").unlink()
    with pytest.raises(TableError, match=r"a1: has no along\.npy .* run extract_faces again"):
        copy.read("video", running=True)


def test_losses_are_means_of_recordings():
    score = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    known = torch.tensor([[True, True, False, False], [False, True, True, True], [False] * 4])
    score[~known] = torch.nan
    label = torch.tensor([0, 1, 0])
    every = tick_loss(score, known, label)
    by_hand = [-score[row][known[row]].log_softmax(1)[:, label[row]].mean() for row in range(2)]
    torch.testing.assert_close(every, torch.stack([*by_hand, torch.tensor(0.0)]))
    assert last_of(known).int().tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [0] * 4]
