"""The contact sheet of a corpus: which clips are shown, and that faces and sounds are theirs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import planted
from mien.config.schema import SoundConfig
from mien.errors import TableError
from mien.io import tables
from mien.report.figures.samples import choose_clips, log_spectrogram, plot_samples, read_corpus


@pytest.fixture
def corpus(tmp_path):
    return planted.write_corpus(tmp_path, n_actors=6)


@pytest.mark.parametrize("missing", ["faces", "sound"])
def test_samples_do_without_a_modality(tmp_path, corpus, missing):
    faces, sound = planted.write_shards(tmp_path, n_actors=6)
    given = {"clips": corpus / "clips.parquet", "corpus_info": corpus / "corpus.json", "config": planted.config()}
    shards = {"faces": faces, "sound": sound} | {missing: None}
    out = tmp_path / "samples.png"
    plot_samples(**given, **shards, columns=2, out_png=out)
    assert plt.imread(out).std() > 0.05
    with pytest.raises(TableError, match="--faces or --sound"):
        plot_samples(**given, out_png=out)


def test_a_clip_per_class_and_person_is_chosen(corpus):
    clips = tables.read(corpus / "clips.parquet", tables.CLIPS)
    clips.loc[clips["clip"] == "clip-01-0-2", "intensity"] = "strong"
    chosen = choose_clips(clips, 3)
    assert sorted(chosen.actor.unique()) == ["01", "03", "06"]
    assert len(chosen) == 3 * len(planted.CLASSES)
    assert "clip-01-0-2" in set(chosen["clip"])


def test_faces_and_sounds_belong_to_their_clip(tmp_path, corpus):
    faces, sound = planted.write_shards(tmp_path, n_actors=6)
    config = SoundConfig(**planted.SOUND)
    found = read_corpus(corpus / "clips.parquet", corpus / "corpus.json", faces=faces, sound=sound)
    for row in choose_clips(found.clips, 6).itertuples():
        assert found.regions([row.clip])[0][..., 0].mean() == pytest.approx(
            60 * row.label + 30, abs=6
        )  # the planted tint
        level = log_spectrogram(found.wave(row.clip), config)
        loudest_hz = level.mean(axis=1).argmax() * config.rate_hz / config.window
        assert 300 * (row.label + 1) <= loudest_hz <= 300 * (row.label + 1) + 500  # the planted sweep


def test_the_spectrogram_ignores_the_gain():
    config = SoundConfig(**planted.SOUND)
    wave = np.sin(np.arange(8000) * 0.3) + 0.01 * np.sin(np.arange(8000) * 1.1)
    level = log_spectrogram(wave, config)
    np.testing.assert_allclose(level, log_spectrogram(0.2 * wave, config), atol=1e-6)
    assert level.max() == 0
    assert level.shape[0] == config.window // 2 + 1
    assert log_spectrogram(wave[:10], config).shape[1] == 1  # shorter than a window
