"""Figures: the numbers behind them, what they say about their corpus, and the same bytes every time."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import planted
from mien.config.schema import SoundConfig
from mien.errors import TableError
from mien.io import tables
from mien.report.figures import confusion, curves, images
from mien.report.figures.confusion import draw_confusion
from mien.report.figures.images import choose_clips, log_spectrogram, read_samples
from mien.report.style import title_line


@pytest.fixture
def corpus(tmp_path):
    return planted.write_corpus(tmp_path, n_actors=6)


def draw(command, root, folder, runs) -> dict[str, bytes]:
    out = root / "results" / "figures"
    names = ["--clips", folder / "clips.parquet", "--corpus-info", folder / "corpus.json", "--runs", *runs]
    files = {kind: out / f"5.6.{kind}" for kind in ("svg", "png", "csv")}
    places = [part for kind, file in files.items() for part in (f"--out-{kind}", file)]
    command(confusion, "--table", "5.2", *names, *places)
    return {kind: file.read_bytes() for kind, file in files.items()}


def test_confusion_is_the_same_twice_and_has_no_date(tmp_path, corpus, command):
    runs = planted.write_runs(tmp_path, n_folds=3)
    first = draw(command, tmp_path, corpus, runs)
    assert draw(command, tmp_path, corpus, runs) == first
    assert b"<dc:date>" not in first["svg"]
    assert b"Software" not in first["png"]


def test_the_numbers_behind_the_panels_are_recalls_of_joint_networks(tmp_path, corpus, command):
    runs = planted.write_runs(tmp_path, n_folds=3, variants=("AM", "VM", "N0", "N2"))
    runs += planted.write_runs(tmp_path, n_folds=3, variants=("N1",), reason="no clip has a picture")
    draw(command, tmp_path, corpus, runs)
    rows = pd.read_csv(tmp_path / "results" / "figures" / "5.6.csv")
    assert list(rows.variant.unique()) == ["N0", "N2"]
    sums = rows.groupby(["variant", "truth"]).recall.sum()
    np.testing.assert_allclose(sums, 1, atol=1e-3)


def test_a_figure_of_synthetic_people_says_so():
    assert "synthetic" in title_line("Figure 5.6", "ravdess", synthetic=True)
    assert "synthetic" not in title_line("Figure 5.6", "ravdess", synthetic=False)


def test_a_panel_labels_units_and_n():
    figure, ax = plt.subplots()
    recall = np.array([[0.9, 0.1], [np.nan, np.nan]])
    draw_confusion(ax, recall, ["calm", "sad"], title="N2", n_clips=7)
    assert "n = 7 clips" in ax.get_ylabel()
    assert [text.get_text() for text in ax.texts] == ["90", "10"]
    plt.close(figure)


def test_curves_are_the_same_twice(tmp_path, corpus, command):
    runs = planted.write_runs(tmp_path, n_folds=2, variants=("AM", "N2"))
    runs += planted.write_runs(tmp_path, n_folds=2, variants=("VM",), reason="no clip has a picture")
    out = tmp_path / "curves.svg"
    drawn = []
    for _ in range(2):
        command(curves, "--runs", *runs, "--corpus-info", corpus / "corpus.json", "--out-svg", out)
        drawn.append(out.read_bytes())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("missing", [None, "--faces", "--sound"])
def test_samples_do_without_a_modality(tmp_path, corpus, command, missing):
    faces, sound = planted.write_shards(tmp_path, n_actors=6)
    shards = {"--faces": faces, "--sound": sound}
    places = [part for flag, folder in shards.items() if flag != missing for part in (flag, folder)]
    out = tmp_path / "samples.png"
    names = ["--clips", corpus / "clips.parquet", "--corpus-info", corpus / "corpus.json", "--out-png", out]
    command(images, *names, *places, "--columns", "2")
    assert plt.imread(out).std() > 0.05


def test_samples_without_shards_are_refused(tmp_path, corpus, command):
    names = ["--clips", corpus / "clips.parquet", "--corpus-info", corpus / "corpus.json"]
    with pytest.raises(TableError, match="--faces or --sound"):
        command(images, *names, "--out-png", tmp_path / "samples.png")


def test_a_clip_per_class_and_person_is_chosen(corpus):
    clips = tables.read(corpus / "clips.parquet", tables.CLIPS)
    clips.loc[clips["clip"] == "clip-01-0-2", "intensity"] = "strong"
    chosen = choose_clips(clips, 3)
    assert sorted(chosen.actor.unique()) == ["01", "03", "06"]
    assert len(chosen) == 3 * len(planted.CLASSES)
    assert "clip-01-0-2" in set(chosen["clip"])


def test_speakers_are_rows_and_their_takes_columns(corpus):
    clips = tables.read(corpus / "clips.parquet", tables.CLIPS)
    clips["label"] = clips.actor.astype(int)
    chosen = choose_clips(clips, 3)
    assert chosen.groupby("label").size().tolist() == [3] * 6
    assert chosen.column.str.startswith("take").all()


def test_faces_and_sounds_belong_to_their_clip(tmp_path, corpus):
    faces, sound = planted.write_shards(tmp_path, n_actors=6)
    config = SoundConfig(**planted.SOUND)
    samples = read_samples(choose_clips(tables.read(corpus / "clips.parquet", tables.CLIPS), 6), faces, sound, config)
    for sample in samples:
        label = planted.CLASSES.index(sample.label_name)
        assert sample.face[..., 0].mean() == pytest.approx(60 * label + 30, abs=6)  # the planted tint
        loudest_hz = sample.level.mean(axis=1).argmax() * config.rate_hz / config.window
        assert 300 * (label + 1) <= loudest_hz <= 300 * (label + 1) + 500  # the planted sweep


def test_the_spectrogram_ignores_the_gain():
    config = SoundConfig(**planted.SOUND)
    wave = np.sin(np.arange(8000) * 0.3) + 0.01 * np.sin(np.arange(8000) * 1.1)
    level = log_spectrogram(wave, config)
    np.testing.assert_allclose(level, log_spectrogram(0.2 * wave, config), atol=1e-6)
    assert level.max() == 0
    assert level.shape[0] == config.window // 2 + 1
    assert log_spectrogram(wave[:10], config).shape[1] == 1  # shorter than a window
