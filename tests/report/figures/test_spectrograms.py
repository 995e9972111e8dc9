"""Figures 1.1, 1.2 and 4.18 to 4.20: the thesis's resolution, and the right recordings."""

import json
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

import planted
from mien.config.schema import SoundConfig
from mien.io.files import write_json
from mien.io.shards import SoundShard, read_sound, write_sound
from mien.report.figures.samples import choose_clips, read_corpus
from mien.report.figures.spectrograms import (
    BANDS,
    Sound,
    choose_segments,
    draw_frames,
    draw_hops,
    draw_segments,
    longest_sound,
    mel_of,
    mel_spectrogram,
    plot_spectrograms,
)
from report import planted_streams

CONFIG = SoundConfig(**planted.SOUND)
FINE = replace(CONFIG, pool=1)
NAMES = {f"{number}.png" for number in ("1.1", "1.2", "4.18", "4.19", "4.20")}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return clips.parquet's folder, face shards and sound shards of two people."""
    root = tmp_path_factory.mktemp("world")
    folder = planted.write_corpus(root, n_actors=2)
    return folder, *planted.write_shards(root, n_actors=2, size=16)


def read(folder, faces, sound):
    return read_corpus(folder / "clips.parquet", folder / "corpus.json", faces=faces, sound=sound)


def tone(hz: float, *, seconds: float = 1.9, emotion: str = "sad") -> Sound:
    time_s = np.arange(round(seconds * FINE.rate_hz)) / FINE.rate_hz
    return Sound("clip", emotion, np.sin(2 * np.pi * hz * time_s))


def test_figures_are_whole_with_and_without_shards(tmp_path, world, monkeypatch):
    planted_streams.draw_small(monkeypatch)
    folder, faces, sound = world
    given = {"clips": folder / "clips.parquet", "corpus_info": folder / "corpus.json"}
    given["config"] = json.dumps({"seed": 0, "sound": planted.SOUND})
    plot_spectrograms(**given, faces=faces, sound=sound, out=tmp_path / "all")
    plot_spectrograms(**given, faces=tmp_path / "faces", sound=tmp_path / "sound", out=tmp_path / "none")
    assert {path.name for path in (tmp_path / "none").iterdir()} == NAMES
    assert {path.name for path in (tmp_path / "all").iterdir()} == NAMES
    assert all(plt.imread(tmp_path / "all" / name).std() > 0.05 for name in NAMES)


def test_segments_are_as_many_as_the_sound_holds_and_overlap_by_half_in_training():
    fixed, overlapping = choose_segments(tone(440.0, seconds=2.5), FINE, seed=0)
    np.testing.assert_allclose(fixed, [0.25, 1.25])
    np.testing.assert_allclose(overlapping, [0.0, 0.5, 1.0, 1.5])


def test_one_person_is_shown_with_every_emotion(world):
    corpus = read(*world)
    chosen = choose_clips(corpus.clips, 1)
    assert chosen.actor.unique().tolist() == ["01"]
    assert chosen.label_name.tolist() == corpus.info["classes"]
    figure = plt.figure()
    draw_frames(figure, corpus, chosen["clip"])
    assert {ax.get_title() for ax in figure.axes} == {"0.0 s", "0.1 s", "0.2 s"}
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == list(planted.CLASSES)
    plt.close(figure)


def test_the_longest_sound_that_is_heard_is_found(tmp_path, world):
    folder, faces, sound = world
    assert longest_sound(read(*world)).clip == read(*world).clips["clip"].min()  # all are as long
    shard = read_sound(sound / "actor02")
    index = shard.index.iloc[:3].assign(start=[0, 5000, 15000], n_samples=[5000, 10000, 20000])
    wave = np.full(35000, 9, np.int16)
    write_json(tmp_path / "manifest.json", {"parts": {"actor02": ""}})
    write_sound(tmp_path / "actor02", SoundShard(wave, index.assign(silent=[False, False, True])))
    found = longest_sound(read(folder, faces, tmp_path))
    assert (found.clip, len(found.wave)) == (index["clip"].iloc[1], 10000)
    assert longest_sound(read(folder, faces, tmp_path / "nowhere")) is None


@pytest.mark.parametrize("hz", [300.0, 1000.0, 5000.0])
def test_a_tone_is_loudest_in_its_band(hz):
    level = mel_spectrogram(tone(hz).wave, FINE)
    band = level.mean(axis=1).argmax()
    step = float(mel_of(8000)) / (BANDS + 1)
    assert abs((band + 1) * step - float(mel_of(hz))) <= step
    assert level.max() == 0
    assert mel_spectrogram(np.zeros(10), FINE).shape[0] == BANDS


def test_segments_have_the_size_of_the_thesis():
    figure = plt.figure()
    draw_segments(figure, tone(440.0), np.array([0.0, 0.9]), FINE)
    whole, marks, *segments = [ax for ax in figure.axes if ax.images or ax.texts]
    assert whole.images[0].get_array().shape == (257, 475)
    assert whole.get_ylim() == (0, 8000)
    assert len(marks.patches) == len(segments) == 2
    for ax, start_s in zip(segments, (0.0, 0.9), strict=True):
        assert ax.images[0].get_array().shape == (257, 250)
        assert ax.get_xlim() == pytest.approx((start_s, start_s + 1))
    plt.close(figure)


def test_columns_are_equally_wide_whatever_the_hop():
    figure = plt.figure()
    draw_hops(figure, tone(440.0), FINE)
    axes = [ax for ax in figure.axes if ax.images and ax.get_title(loc="left")]
    assert [ax.images[0].get_array().shape for ax in axes] == [(257, 250), (257, 125), (257, 500)]
    assert {ax.get_xlim() for ax in axes} == {(0.0, 500.0)}
    assert axes[1].get_xticks()[-1] == 125
    assert [label.get_text() for label in axes[0].get_xticklabels()] == [
        label.get_text() for label in axes[2].get_xticklabels()
    ]
    plt.close(figure)
