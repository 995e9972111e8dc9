"""A clip gives a timeline and a verdict, says what it lacks, and a bad clip spoils no other."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mien.apps.predict import distinct_stems
from mien.io import media
from predict.tiny_models import FACES, FUSION, write_model

CLASSES = ["neutral", "happy", "sad", "angry"]


def read(folder, stem):
    """Return the JSON and the CSV of a prediction."""
    summary = json.loads((folder / f"{stem}.json").read_text())
    return summary, pd.read_csv(folder / f"{stem}.csv")


@pytest.mark.parametrize(
    ("clip", "variant", "missing", "words"),
    [
        ("both.mp4", "N2", [], ""),
        ("face.mp4", "VM", ["voice"], "no voice (there is no sound): judged by the face alone"),
        ("silent.mp4", "VM", ["voice"], "no voice (the sound is silent): judged by the face alone"),
        ("blank.mp4", "AM", ["face"], "frames): judged by the voice alone"),
        ("voice.wav", "AM", ["face"], "no face (there is no picture): judged by the voice alone"),
        ("still.png", "VM", ["voice"], "judged by the face alone"),
    ],
)
def test_the_network_fits_what_the_clip_has(mien, models, media_folder, tmp_path, clip, variant, missing, words):
    code, out, err = mien(media_folder / clip, "--out", tmp_path / "out", "--checkpoint", *models.values())
    assert (code, err) == (0, "")
    assert out.startswith(f"{clip}: ")
    assert words in out
    assert out.count("\n") == 1
    summary, timeline = read(tmp_path / "out", clip.partition(".")[0])
    assert summary["variant"] == variant
    assert summary["missing"] == missing
    assert summary["classes"] == CLASSES
    verdict = summary["verdict"]["probabilities"]
    assert sum(verdict.values()) == pytest.approx(1.0, abs=1e-3)
    assert summary["verdict"]["label"] == max(verdict, key=verdict.get)
    assert list(timeline.columns) == ["start_s", "end_s", "face", "voice", "label", *CLASSES]
    np.testing.assert_allclose(timeline[CLASSES].sum(axis=1), 1.0, atol=1e-3)
    assert timeline.label.tolist() == timeline[CLASSES].idxmax(axis=1).tolist()


def test_without_face_and_voice_there_is_no_verdict(mien, models, media_folder, tmp_path):
    code, out, _ = mien(media_folder / "nothing.mp4", "--out", tmp_path, "--checkpoint", *models.values())
    assert code == 0
    assert "no verdict; neither a face (none in" in out
    summary, timeline = read(tmp_path, "nothing")
    assert summary["verdict"] == {"label": None, "probabilities": None}
    assert timeline[CLASSES].isna().all(axis=None)
    assert timeline.label.isna().all()


def test_windows_without_face_and_voice_stay_empty(mien, models, media_folder, tmp_path):
    mien(media_folder / "half.mp4", "--out", tmp_path, "--checkpoint", *models.values())
    summary, timeline = read(tmp_path, "half")
    empty = timeline.label.isna()
    assert not empty.iloc[0]
    assert empty.iloc[-1]
    assert (timeline.face[empty] == 0).all()
    assert not timeline.voice[empty].any()
    assert [window["probabilities"] is None for window in summary["timeline"]] == empty.tolist()
    assert summary["verdict"]["label"] in CLASSES


def test_a_single_joint_network_judges_what_is_there(mien, models, media_folder, tmp_path):
    code, out, _ = mien(media_folder / "voice.wav", "--out", tmp_path, "--checkpoint", models["N2"])
    assert code == 0
    assert "judged by the voice alone" in out


def test_a_network_without_its_modality_gives_no_verdict(mien, models, media_folder, tmp_path):
    code, out, _ = mien(media_folder / "face.mp4", "--out", tmp_path, "--checkpoint", models["AM"])
    assert code == 0
    assert "no verdict" in out
    assert "AM needs a voice" in out


def test_the_same_clip_gives_the_same_bytes(mien, models, media_folder, tmp_path):
    for name in ("one", "two"):
        mien(media_folder / "both.mp4", "--out", tmp_path / name, "--checkpoint", models["N2"])
    for suffix in ("csv", "json"):
        first, second = ((tmp_path / name / f"both.{suffix}").read_bytes() for name in ("one", "two"))
        assert first == second


def test_a_bad_clip_spoils_no_other(mien, models, media_folder, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.wav").write_text("only words, no sound\n" * 50)
    (folder / "b.mp4").write_bytes((media_folder / "both.mp4").read_bytes()[:20000])
    (folder / "c.mp4").touch()
    (folder / "notes.txt").write_text("no medium: passed over")
    shutil.copy(media_folder / "voice.wav", folder / "d.wav")
    code, out, err = mien(folder, tmp_path / "gone.mp4", "--out", tmp_path / "out", "--checkpoint", *models.values())
    assert code == 2
    assert out.startswith("d.wav: ")
    lines = err.splitlines()
    assert len(lines) == 4
    assert all(sum(name in line for line in lines) == 1 for name in ("a.wav", "b.mp4", "c.mp4", "gone.mp4"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["d.csv", "d.json"]


def test_equal_stems_do_not_overwrite_each_other(mien, models, media_folder, tmp_path):
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        shutil.copy(media_folder / "voice.wav", tmp_path / place / "clip.wav")
    shutil.copy(media_folder / "still.png", tmp_path / "x" / "clip.png")
    clips = [tmp_path / "x", tmp_path / "y", tmp_path / "x" / "clip.wav"]
    code, out, _ = mien(*clips, "--out", tmp_path / "out", "--checkpoint", *models.values())
    assert code == 0
    assert out.count("\n") == 3
    stems = {path.stem for path in (tmp_path / "out").glob("*.json")}
    assert stems == {"clip.png", "clip.wav", "clip.wav-2"}


def test_stems_are_distinct_where_case_does_not_count(tmp_path):
    stems = distinct_stems([tmp_path / name for name in ("a.mp4", "A.mp4", "a.wav", "b.wav")])
    assert len({stem.casefold() for stem in stems}) == 4
    assert stems[-1] == "b"


@pytest.mark.parametrize("names", [("a.mp4", "a.units.mp4"), ("a.units.mp4", "a.wav")])
def test_no_timeline_overwrites_the_units_of_another_clip(tmp_path, names):
    stems = distinct_stems([tmp_path / name for name in names])
    files = [f"{stem}{suffix}" for stem in stems for suffix in (".csv", ".units.csv")]
    assert len(set(files)) == 4


def test_errors_are_one_line(mien, models, media_folder, tmp_path):
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "file").touch()
    (tmp_path / "none").mkdir()
    clip, model = media_folder / "voice.wav", models["AM"]
    for arguments, words in [
        ([clip], "snakemake"),
        ([clip, "--checkpoint", tmp_path / "text.safetensors"], "text.safetensors"),
        ([clip, "--checkpoint", tmp_path / "gone.safetensors"], "gone.safetensors"),
        ([tmp_path / "none", "--checkpoint", model], "holds no video"),
        ([clip, "--checkpoint", model, "--out", tmp_path / "file"], "should be a folder"),
    ]:
        code, out, err = mien(*arguments)
        assert code == 2
        assert out == ""
        assert err.count("\n") == 1
        assert words in err
        assert "Traceback" not in err
    assert not (tmp_path / "results").exists()


def test_a_long_clip_is_the_mean_of_its_windows(mien, models, media_folder, tmp_path):
    wave, rate = media.read_sound(media_folder / "voice.wav")
    media.write_sound(tmp_path / "long.wav", np.tile(wave[0], 8), rate)
    mien(tmp_path / "long.wav", "--out", tmp_path, "--checkpoint", models["AM"])
    summary, timeline = read(tmp_path, "long")
    assert summary["duration_s"] > 6
    means = timeline[CLASSES].mean()
    for name, probability in summary["verdict"]["probabilities"].items():
        assert probability == pytest.approx(means[name], abs=2e-4)


def test_real_clips_are_judged_by_what_they_have(mien, shared, tmp_path):
    coarse = replace(FACES, rate_fps=5)
    models = [write_model(tmp_path / f"{name}.safetensors", name, faces=coarse) for name in FUSION]
    code, out, err = mien(shared / "data" / "clips", "--out", tmp_path / "out", "--checkpoint", *models)
    assert (code, err) == (0, "")
    talking, faceless = out.splitlines()
    assert "no voice (the sound is silent): judged by the face alone" in talking
    assert "no face (none in 20 frames): judged by the voice alone" in faceless
    summary, timeline = read(tmp_path / "out", "WolfgangLanger_Pexels")
    assert summary["duration_s"] == pytest.approx(19.7, abs=0.2)
    assert (timeline.face > 0.9).all()
