"""Embedded corpora: the same bytes whoever writes them, and the formats of the real ones."""

import numpy as np
import pandas as pd
import pytest

from mien.config.labels import AS_VECTORS, CORPORA
from mien.config.schema import SyntheticConfig
from mien.errors import ConfigError
from mien.io.files import sha256
from mien.io.media import probe, read_sound
from mien.synthetic.corpora import write_corpus
from mien.synthetic.performance import Actor, Scene
from mien.synthetic.write_ckplus import place_landmarks
from mien.synthetic.write_ravdess import write_actor as write_ravdess_actor

SHARES = {"missing_video": 0.5, "blended_video": 0.3, "missing_audio": 0.4, "blended_audio": 0.3}
SMALL = SyntheticConfig(size_px=128, rate_fps=5, takes=1, **SHARES)


def bytes_of(folder) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*.*")) if path.is_file()}


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a") / "voxceleb"
    write_corpus("voxceleb", folder, n_actors=3, config=SMALL, seed=0)
    return folder


def test_bytes_do_not_depend_on_the_number_of_processes(voices, tmp_path):
    write_corpus("voxceleb", tmp_path / "voxceleb", n_actors=3, config=SMALL, seed=0, n_jobs=2)
    assert bytes_of(tmp_path / "voxceleb") == bytes_of(voices)
    assert bytes_of(tmp_path / "voxceleb.truth") == bytes_of(voices.with_name("voxceleb.truth"))


def test_truth_names_every_clip_and_its_fuzziness(tmp_path):
    write_corpus("jaffe", tmp_path / "jaffe", n_actors=4, config=SMALL, seed=0)
    clips = pd.read_parquet(tmp_path / "jaffe.truth" / "clips.parquet")
    frames = pd.read_parquet(tmp_path / "jaffe.truth" / "frames.parquet")
    assert clips["clip"].is_unique
    assert frames["clip"].tolist() == clips["clip"].tolist()
    assert frames.units.map(len).eq(11).all()
    assert frames.pose.map(len).eq(3).all()
    kinds = clips.video_kind.value_counts(normalize=True)
    assert 0.3 < kinds["missing"] < 0.7
    assert 0.12 < kinds["blended"] < 0.48
    assert clips.audio_kind.eq("").all()
    assert clips.video_other[clips.video_kind == "blended"].ne(clips.emotion[clips.video_kind == "blended"]).all()


@pytest.mark.parametrize("corpus", [name for name in CORPORA if name not in AS_VECTORS])
def test_too_many_people_are_refused(corpus, tmp_path):
    if corpus == "fer2013":
        return  # nobody is named there
    with pytest.raises(ConfigError, match=rf"corpora\.{corpus}\.actors"):
        write_corpus(corpus, tmp_path / corpus, n_actors=2000, config=SMALL, seed=0)
    assert not list(tmp_path.iterdir())


def test_ravdess_take_has_the_real_files(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.synthetic.write_ravdess._kinds", lambda: [(5, 2)])
    (truth, _) = write_ravdess_actor(Scene("ravdess", 0, SMALL), tmp_path, Actor("07", "male"))
    files = sorted(path.name for path in (tmp_path / "Actor_07").iterdir())
    assert truth.clip == "01-05-02-01-01-07"
    assert [name for name in files if name[-12:-10] == "01"] == [
        "01-01-05-02-01-01-07.mp4",
        "02-01-05-02-01-01-07.mp4",
        "03-01-05-02-01-01-07.wav",
    ]
    both, mute, wav = (probe(tmp_path / "Actor_07" / name) for name in files[::2])
    assert both.has_video
    assert both.has_audio
    assert both.rate_hz == wav.rate_hz == 48000
    assert mute.has_video
    assert not mute.has_audio
    assert wav.channels == 1
    samples, _ = read_sound(tmp_path / "Actor_07" / files[4])
    assert abs(samples.shape[1] / 48000 - len(truth.time_s) / 5) < 0.5


def test_landmarks_are_complete_and_in_order():
    scene = Scene("ckplus", 0, SMALL)
    _, vertices, _ = scene.picture(Actor("S005", "male"), "x", emotion="neutral", size=(245, 320))
    points = place_landmarks(vertices)
    assert points.shape == (68, 2)
    assert np.isfinite(points).all()
    assert (np.diff(points[:17, 0]) > 0).sum() >= 14  # the jaw runs from left to right
    assert points[8, 1] > points[[0, 16], 1].max()  # and its middle is the chin
    assert points[36:42, 0].max() < points[42:48, 0].min()
