"""Speakers: crops carry the right samples, the command learns and counts, N processes equal one."""

import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mien.audio.spectrogram import cut_segments, spectrogram
from mien.config.schema import SoundConfig
from mien.errors import ConfigError, CorpusError, TableError
from mien.evaluation.verification import equal_error_rate
from mien.io import shards, tables
from mien.io.files import read_json, write_json
from mien.io.randomness import rng_for
from mien.models import checkpoint
from mien.training.images import divide, divide_voices, recordings_of
from mien.training.utterances import (
    SpeakerTask,
    UtteranceDataset,
    levels,
    prefetch_map,
    read_crops,
    transform,
    whole_segments,
)
from training import group_worker
from training.commands import (
    check_folder,
    check_not_applicable,
    check_resume,
    contents,
    inside,
    run_command,
    run_processes,
)
from training.tiny_corpus import PARAMS, SOUND
from training.tiny_voices import SHORT, SILENT, SPEAKERS, params, write_voices

pytestmark = pytest.mark.usefixtures("scratch")
CPU = torch.device("cpu")
LENGTHS = (16000, 40001, 70000, 9000, 100, 16447)


def pretrain(root: Path, out: Path, **changes) -> Path:
    """Run the command (checkpoints go below the working directory) and return the folder of the seed."""
    files = {"data": root / "results", "manifest": root / "data" / "voxceleb.json", "out": out}
    run_command("pretrain", row="Voices", seeds=[0], **files, config=params(**changes))
    return out / "fold0-seed0"


def voices_of(waves: list[np.ndarray], config: SoundConfig) -> UtteranceDataset:
    n = np.array([len(wave) for wave in waves])
    starts = np.cumsum([0, *n])[:-1]
    names = np.array([f"c{k}" for k in range(len(waves))], dtype=object)
    part = np.zeros(len(n), np.int64)
    joined = np.concatenate(waves).astype(np.int16)
    return UtteranceDataset(waves=(joined,), clip=names, part=part, start=starts, n_samples=n, config=config)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    write_voices(folder)
    return folder


@pytest.fixture(scope="module")
def trained(root) -> Path:
    with inside(root):
        return pretrain(root, root / "one")


def test_crops_carry_the_samples_around_their_columns():
    ramp = np.arange(1, 30001)
    voices = voices_of([np.full(500, -7), ramp, np.full(500, -7)], SOUND)
    starts = np.array([0, 3, int(voices.n_starts(np.array([1]))[0]) - 1])
    crops = read_crops(voices, np.ones(3, np.int64), starts)
    for crop, start in zip(crops.samples, starts, strict=True):
        sample = start * SOUND.hop * SOUND.pool  # the first window is centred on it
        middle = crop[SOUND.window // 2 :]
        known = min(len(middle), len(ramp) - sample)
        np.testing.assert_array_equal(middle[:known], ramp[sample : sample + known])
        assert not middle[known:].any()  # not what the shard goes on with
    assert not crops.samples[0, : SOUND.window // 2].any()


@pytest.mark.parametrize("pool", [1, 8])
@pytest.mark.parametrize("log", [True, False])
def test_a_crop_is_the_segment_of_the_whole_clip(pool, log):
    config = SoundConfig(**PARAMS["sound"] | {"pool": pool, "log": log})
    rng = rng_for(0, "waves")
    waves = [(rng.normal(50, 3000, n) * np.sin(np.arange(n) / 3000)).astype(np.int16) for n in LENGTHS]
    voices = voices_of(waves, config)
    rows = np.repeat(np.arange(len(waves)), 3)
    places = np.tile([0.0, 0.4, 0.999], len(waves))
    starts = (places * voices.n_starts(rows)).astype(np.int64)
    level = levels(voices, np.arange(len(waves)), device=CPU)[torch.from_numpy(rows)]
    found = transform(read_crops(voices, rows, starts), level, config)
    for segment, row, start in zip(found, rows, starts, strict=True):
        whole = spectrogram(torch.from_numpy(waves[row]).float() / shards.FULL_SCALE, config)
        wanted = cut_segments(whole, np.array([start * config.hop * pool / config.rate_hz]), config)[0]
        torch.testing.assert_close(segment, wanted, rtol=1e-5, atol=1e-5)


def test_whole_utterances_are_cut_without_overlap():
    wave = rng_for(0, "wave").normal(0, 3000, 45000).astype(np.int16)
    segments = whole_segments(wave, SOUND, device=CPU)
    whole = spectrogram(torch.from_numpy(wave).float() / shards.FULL_SCALE, SOUND)
    assert len(segments) == 45000 // (31 * 8 * 64) == 2
    torch.testing.assert_close(torch.cat(list(segments[:, 0]), dim=1), whole[:, :62])
    assert len(whole_segments(wave[:5000], SOUND, device=CPU)) == 1


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(prefetch_map(lambda k: k * k, range(20))) == [k * k for k in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(prefetch_map(lambda k: 1 / k, range(3)))


def test_the_files_agree(trained):
    run, _, rows = check_folder(trained, "pairs.parquet")
    assert (run["corpus"], run["base"], run["variant"]) == ("voxceleb_actor", "voxceleb", "Voices")
    assert run["fold_name"] == "official"
    assert run["n_clips"] == {"training": 12, "validation": 3, "test": 5}
    assert run["n_missing"] == {"training": 0, "validation": 0, "test": 1}
    assert run["n_shown"] == 24
    assert SILENT not in set(rows["clip"])
    assert SHORT in set(rows["clip"])
    assert run["classes"] == list(SPEAKERS)
    assert [SPEAKERS[label] for label in rows.label] == list(rows.actor)


def test_pairs_without_a_voice_are_counted_and_have_no_score(trained, root):
    pairs = tables.read(trained / "pairs.parquet", tables.PAIRS)
    run = read_json(trained / "run.json")
    missing = pairs.one.eq(SILENT) | pairs.other.eq(SILENT) | pairs.other.str.startswith("id19999")
    assert pairs.score.isna().tolist() == missing.tolist() == [True, False, False, False, False, True]
    assert run["n_pairs"] == {"scored": 4, "unheard": 2, "missing": 2}
    known = pairs[~missing]
    model, settings = checkpoint.load(trained / "model.safetensors", kind="extractor")
    wave = shards.read_sound(root / "results" / "sound" / "voxceleb" / "p")
    means = {}
    for clip in {*known.one, *known.other}:
        row = wave.index.set_index("clip").loc[clip]
        segments = whole_segments(
            np.array(wave.wave[row.start : row.start + row.n_samples]), SoundConfig(**settings.sound), device=CPU
        )
        with torch.no_grad():
            means[clip] = super(type(model), model).forward(segments).mean(0)
    for pair in known.itertuples():
        cosine = torch.cosine_similarity(means[pair.one], means[pair.other], dim=0)
        assert pair.score == pytest.approx(float(cosine), abs=1e-5)


def test_pairs_that_were_trained_on_are_marked_and_have_a_rate_without_them(trained, root):
    pairs = tables.read(trained / "pairs.parquet", tables.PAIRS)
    run = read_json(trained / "run.json")
    clips = _clips(root).set_index("clip").split
    for pair in pairs.itertuples():
        assert pair.heard == ("train" in [clips.get(pair.one), clips.get(pair.other)])
    assert pairs.heard.tolist() == [False, False, True, False, True, False]
    known = pairs[pairs.score.notna()]
    unheard = known[~known.heard]
    assert run["metrics"]["honest"]["eer"] == equal_error_rate(known.score, known.same)[0]
    assert run["metrics"]["honest"]["eer_unheard"] == equal_error_rate(unheard.score, unheard.same)[0]
    assert {"eer", "eer_unheard"} <= set(run["metrics"]["optimistic"])


def test_it_learns_who_speaks(root, tmp_path):
    run = read_json(pretrain(root, tmp_path / "long", epochs=8, learning_rate=1e-2) / "run.json")
    assert run["metrics"]["honest"]["test_accuracy"] >= 0.8  # chance: 1/3


def test_a_killed_run_goes_on_to_the_same_bits(trained, root, tmp_path, monkeypatch):
    check_resume(monkeypatch, SpeakerTask, 2, lambda: pretrain(root, tmp_path / "out"), trained)


def test_two_processes_equal_one(trained, root):
    """Also: even, uneven and empty shares of a step in float64, other data in one of them, a kill: see group_worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # what it sets
    ranks = [torchrun | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    log, call = root / "processes.log", (str(root), params())
    assert run_processes(group_worker.main, [call, call], log=log, environments=ranks) == [0, 0], log.read_text()[
        -6000:
    ]
    one, two = (pd.read_csv(folder / "history.csv") for folder in (trained, root / "two" / "fold0-seed0"))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-4)
    assert contents(root / "two" / "fold0-seed0") == contents(root / "again" / "fold0-seed0")
    assert contents(root / "two" / "fold0-seed0").keys() == contents(trained).keys()
    assert not (root / "strangers").exists()
    assert not list((root / ".checkpoints").rglob("*.pt"))


def _clips(root: Path) -> pd.DataFrame:
    return tables.read(root / "results" / "corpora" / "voxceleb" / "clips.parquet", tables.CLIPS)


def test_recordings_are_divided_and_never_cross(root):
    clips = pd.concat([_clips(root).assign(split="", sequence="s" + _clips(root)["clip"], frame=k) for k in range(3)])
    clips = clips.assign(clip=clips["clip"] + "-" + clips.frame.astype(str)).reset_index(drop=True)
    clips.loc[clips["clip"].str.startswith(("id10001-a", "id10001-b")), "duplicate"] = "same bytes"
    roles = divide(clips)
    assert (roles.groupby(clips.sequence).nunique() == 1).all()
    assert roles[clips.duplicate != ""].nunique() == 1
    assert (roles.groupby(clips.actor).nunique() == 3).all()
    assert roles.value_counts(normalize=True)["training"] == pytest.approx(0.7, abs=0.03)
    shuffled = clips.sample(frac=1.0, random_state=0)
    pd.testing.assert_series_equal(divide(shuffled).sort_index(), roles)
    few = clips[clips["clip"].str.contains("-[ab][123]-")]
    assert set(divide(few)) == {"training"}  # two recordings cannot be in three roles


def _names(corpus: str, names: list[str], actors: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"corpus": corpus, "clip": names, "actor": actors, "sequence": "", "duplicate": ""})


def test_utterances_of_a_video_are_one_recording_whoever_speaks():
    videos = [(speaker, f"x-{k}_{speaker}") for speaker in ("id10001", "id10002") for k in range(20)]
    videos += [("id10001", "-both-"), ("id10002", "-both-")]
    names = [f"{speaker}-{video}-{n:05d}" for speaker, video in videos for n in range(1, 4)]
    clips = _names("voxceleb", names, [name[:7] for name in names])
    roles, video = divide(clips), clips["clip"].str[8:-6]
    assert set(recordings_of(clips)) == set(video) == {name for _, name in videos}
    assert (roles.groupby(video).nunique() == 1).all()
    assert set(roles[video == "-both-"]) == {"training"}
    assert roles.groupby(clips.actor).value_counts().unstack().to_dict("list") == {
        "test": [9, 9],
        "training": [45, 45],
        "validation": [9, 9],
    }


def test_five_cameras_saw_one_recording():
    poses = [
        f"{model}_Kid_male_{mood}_{gaze}" for model in ("07", "08") for mood in "abcdef" for gaze in ("left", "right")
    ]
    names = [f"Rafd{camera}_{pose}" for camera in ("000", "045", "090", "135", "180") for pose in poses]
    clips = _names("rafd", names, [name[8:10] for name in names])
    roles = divide(clips)
    assert (roles.groupby(clips["clip"].str[8:]).nunique() == 1).all()
    assert (roles.groupby(clips.actor).nunique() == 3).all()
    assert set(recordings_of(clips)) == set(poses)


def test_equal_bytes_under_two_names_are_in_one_role(root):
    clips = _clips(root).assign(split="")
    clips.loc[clips["clip"].isin(["id10001-a1-00001", "id10002-b2-00001"]), "duplicate"] = "same bytes"
    assert set(divide(clips)[clips.duplicate != ""]) == {"training"}


def test_people_who_are_silent_are_no_classes(root):
    clips = _clips(root).assign(split="")
    heard = (clips.actor != SPEAKERS[0]) & ~clips["clip"].str.contains("-[a-d]2-")
    roles = divide_voices(clips, audible=heard)
    assert set(roles[~heard]) == {""}
    counts = roles[heard].groupby(clips.actor).value_counts().unstack()
    assert counts.index.tolist() == list(SPEAKERS[1:])
    assert (counts == 1).sum().to_dict() == {
        "test": 2,
        "training": 1,
        "validation": 2,
    }  # shares of those that are heard


def test_official_roles_are_kept(root):
    clips = _clips(root)
    clips.loc[0, "split"], clips.loc[1, "apart"] = "", True
    roles = divide_voices(clips, audible=clips["clip"] != SILENT)
    assert roles.iloc[:2].tolist() == ["", "apart"]
    assert dict(zip(clips.split[2:], roles[2:], strict=True)) == {
        "train": "training",
        "dev": "validation",
        "test": "test",
    }
    with pytest.raises(CorpusError, match="do not say who"):
        divide_voices(clips.assign(actor="", split=""), audible=clips["clip"] != SILENT)


def test_a_speaker_without_training_counts_as_a_mistake(tmp_path):
    root = tmp_path / "other"
    results = write_voices(root)
    clips = _clips(root)
    lost = clips.actor.eq(SPEAKERS[2]) & clips.split.eq("train")
    tables.write(results / "corpora/voxceleb/clips.parquet", clips.assign(has_audio=~lost), tables.CLIPS)
    run = read_json(pretrain(root, tmp_path / "out", epochs=1) / "run.json")
    assert run["classes"] == list(SPEAKERS)
    assert run["n_missing"]["training"] == 4
    assert run["n_clips"]["test"] == 5


def test_without_voices_or_speakers_it_is_not_applicable(tmp_path):
    root = tmp_path / "other"
    results = write_voices(root, split=False)
    clips = _clips(root)
    path = results / "corpora/voxceleb/clips.parquet"
    tables.write(path, clips.assign(has_audio=False), tables.CLIPS)
    check_not_applicable(pretrain(root, tmp_path / "none"), "voxceleb has no usable audio", "pairs.parquet")
    tables.write(path, clips.assign(has_audio=clips.actor == SPEAKERS[0]), tables.CLIPS)
    folder = pretrain(root, tmp_path / "one")
    assert check_not_applicable(folder, "of one speaker", "pairs.parquet")["classes"] == [SPEAKERS[0]]
    assert tables.read(folder / "pairs.parquet", tables.PAIRS).empty


def test_bad_input_is_named(root, tmp_path):
    with pytest.raises(ConfigError, match="target: actor"):
        pretrain(root, tmp_path / "out", target="label")
    other = tmp_path / "other"
    results = write_voices(other)
    write_json(results / "sound/voxceleb/manifest.json", {"parts": {"p": "x"}, "rate_hz": 8000})
    with pytest.raises(TableError, match="8000 Hz"):
        pretrain(other, tmp_path / "out")
    manifest = read_json(other / "data/voxceleb.json")
    write_json(other / "data/voxceleb.json", manifest | {"root": "nowhere"})
    write_json(results / "sound/voxceleb/manifest.json", {"parts": {"p": "x"}})
    with pytest.raises(TableError, match="nowhere"):
        pretrain(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()
