"""Shards hold every readable sound once, at one rate, whatever the number of processes."""

import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest

from mien.audio.extract import extract_sound
from mien.io import media, shards, tables
from mien.io.files import read_json, write_json

CONFIG = {"rate_hz": 16000, "silence_dbfs": -60.0, "window": 512, "hop": 64, "segment": 250, "log": True, "pool": 4}


def extract(folder, out, *, jobs=1):
    paths = {"manifest": folder / "manifest.json", "clips": folder / "clips.parquet", "out": out}
    extract_sound(corpus="toy", **paths, config=json.dumps({"sound": CONFIG}), jobs=jobs)
    return read_json(out / "manifest.json")


def write_tables(folder, root, files):
    """Write clips.parquet and manifest.json for (part, file name) pairs; an empty name is a clip without sound."""
    rows = []
    for part, name in files:
        row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": "toy", "part": part, "audio": name}
        row |= {"clip": name.rpartition("/")[2] or "mute", "item": -1, "label": 0, "cropped": False, "apart": False}
        rows.append(row | {"has_video": False, "has_audio": name != "", "sha256": name})
    tables.write(folder / "clips.parquet", pd.DataFrame(rows), tables.CLIPS)
    facts = {"corpus": "toy", "source": "folder", "root": str(root), "n_files": len(files), "digest": "0"}
    write_json(folder / "manifest.json", facts)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    time_s = np.arange(48000) / 48000
    wave = (0.25 * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32)
    media.write_sound(folder / "mono.wav", wave, 48000)
    media.write_sound(folder / "stereo.flac", np.stack([wave, wave]), 44100, codec="flac")
    media.write_sound(folder / "silent.wav", np.zeros(8000, np.float32), 8000)
    (folder / "text.wav").write_text("not a sound\n")
    files = [("a", "mono.wav"), ("a", "text.wav"), ("b", "silent.wav"), ("b", "stereo.flac"), ("c", "")]
    write_tables(folder, folder, files)
    return folder


def test_a_shard_holds_the_waves_one_after_the_other(corpus, tmp_path):
    manifest = extract(corpus, tmp_path / "toy")
    assert sorted(manifest["parts"]) == ["a", "b"]
    assert manifest["n_silent"] == 1
    assert [problem["clip"] for problem in manifest["problems"]] == ["text.wav"]
    part = shards.read_sound(tmp_path / "toy" / "b")
    assert part.index["clip"].tolist() == ["silent.wav", "stereo.flac"]
    assert part.index.silent.tolist() == [True, False]
    assert (part.index.start + part.index.n_samples).tolist()[:-1] == part.index.start.tolist()[1:]
    loud = part.index.iloc[1]
    wave = part.wave[loud.start : loud.start + loud.n_samples] / shards.FULL_SCALE
    assert np.abs(wave).max() == pytest.approx(min(loud.peak, 1.0), abs=1e-4)
    assert loud.peak == pytest.approx(0.25, rel=0.05)


def test_processes_change_nothing_and_finished_parts_are_kept(corpus, tmp_path):
    extract(corpus, tmp_path / "one")
    extract(corpus, tmp_path / "two", jobs=2)
    names = sorted(str(file.relative_to(tmp_path / "one")) for file in (tmp_path / "one").rglob("*.*"))
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)
    os.utime(tmp_path / "one" / "a" / "wave.npy", (1, 1))
    extract(corpus, tmp_path / "one")
    assert (tmp_path / "one" / "a" / "wave.npy").stat().st_mtime == 1


def test_real_recordings_keep_their_length(shared, tmp_path):
    archive = next((shared / "data" / "ravdess").glob("*.zip"))
    with zipfile.ZipFile(archive) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".wav"))[:6]
        packed.extractall(tmp_path, names)
    write_tables(tmp_path, tmp_path, [("01", name) for name in names])
    manifest = extract(tmp_path, tmp_path / "toy")
    assert manifest["problems"] == []
    part = shards.read_sound(tmp_path / "toy" / "01")
    assert part.index.n_samples.between(2.9 * 16000, 5.3 * 16000).all()
    assert not part.index.silent.any()
