"""A clip gives a timeline and a verdict, says what it lacks, and a bad clip spoils no other."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from apps.tiny_models import CLASSES, FACES, FUSION, PREDICT, WATCH, write_model
from mien.apps import predict as predict_module
from mien.apps.annotate import Annotator
from mien.apps.models import load_models
from mien.apps.predict import distinct_stems
from mien.apps.watch import write_film
from mien.config.schema import PredictConfig
from mien.errors import ConfigError, MediaError
from mien.io import media

CLASSES = list(CLASSES)


def read(folder, stem):
    """Return the JSON and the CSV of a prediction."""
    return json.loads((folder / f"{stem}.json").read_text()), pd.read_csv(folder / f"{stem}.csv")


@pytest.fixture
def judged(run_predict, models, media_folder, tmp_path):
    """Return a function: (clip, variants) -> (line, JSON, CSV)."""

    def call(name, *variants):
        error, line, _ = run_predict(media_folder / name, out=tmp_path, checkpoint=[models[one] for one in variants])
        assert error == (f"1 of 1 files without a verdict: {media_folder / name}" if ": no verdict" in line else "")
        return line, *read(tmp_path, name.partition(".")[0])

    return call


@pytest.mark.parametrize(
    ("clip", "variant", "missing", "basis"),
    [
        ("both.mp4", "N2", [], ""),
        ("face.mp4", "VM", ["voice"], "by the face alone"),
        ("silent.mp4", "VM", ["voice"], "by the face alone"),
        ("blank.mp4", "AM", ["face"], "by the voice alone"),
        ("voice.wav", "AM", ["face"], "by the voice alone"),
        ("still.png", "VM", ["voice"], "by the face alone"),
    ],
)
def test_the_network_fits_what_the_clip_has(judged, clip, variant, missing, basis):
    line, summary, timeline = judged(clip, *FUSION)
    assert line.startswith(f"{clip}: ")
    assert basis in line
    assert line.count("\n") == 1
    assert (summary["variant"], summary["missing"], summary["classes"]) == (variant, missing, CLASSES)
    verdict = summary["verdict"]["probabilities"]
    assert sum(verdict.values()) == pytest.approx(1.0, abs=1e-3)
    assert summary["verdict"]["label"] == max(verdict, key=verdict.get)
    further = ["person", "voice_share", "confidence", "used"]
    assert list(timeline.columns) == ["start_s", "end_s", "face", "voice", "label", *CLASSES, *further]
    np.testing.assert_allclose(timeline[CLASSES].sum(axis=1), 1.0, atol=1e-3)
    assert timeline.label.tolist() == timeline[CLASSES].idxmax(axis=1).tolist()


def test_without_face_and_voice_there_is_no_verdict(judged):
    _, summary, timeline = judged("nothing.mp4", *FUSION)
    assert summary["verdict"] == {"label": None, "probabilities": None}
    assert timeline[[*CLASSES, "label"]].isna().all(axis=None)


def test_windows_without_face_and_voice_stay_empty(judged):
    _, summary, timeline = judged("half.mp4", *FUSION)
    empty = timeline.label.isna()
    assert (empty.iloc[0], empty.iloc[-1]) == (False, True)
    assert (timeline.face[empty] == 0).all()
    assert not timeline.voice[empty].any()
    assert [window["probabilities"] is None for window in summary["timeline"]] == empty.tolist()
    assert summary["verdict"]["label"] in CLASSES


def test_one_network_judges_by_what_it_uses(judged):
    assert "by the voice alone" in judged("voice.wav", "N2")[0]
    assert "by the face alone" in judged("face.mp4", "N2_units")[0]
    line, summary, _ = judged("both.mp4", "N2_units")
    assert ";" not in line
    assert (summary["variant"], summary["missing"]) == ("N2_units", [])
    assert "AM needs a voice" in judged("face.mp4", "AM")[0]


def test_the_same_clip_gives_the_same_bytes(run_predict, models, media_folder, tmp_path):
    for name in ("one", "two"):
        run_predict(media_folder / "both.mp4", out=tmp_path / name, checkpoint=[models["N2"]])
    for suffix in ("csv", "json"):
        first, second = ((tmp_path / name / f"both.{suffix}").read_bytes() for name in ("one", "two"))
        assert first == second


def test_a_bad_clip_spoils_no_other(run_predict, models, media_folder, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.wav").write_text("only words, no sound\n" * 50)
    (folder / "b.mp4").write_bytes((media_folder / "both.mp4").read_bytes()[:20000])
    (folder / "c.mp4").touch()
    (folder / "notes.txt").write_text("no medium: passed over")
    shutil.copy(media_folder / "voice.wav", folder / "d.wav")
    clips = (folder, tmp_path / "gone.mp4")
    error, out, err = run_predict(*clips, out=tmp_path / "out", checkpoint=list(models.values()))
    assert out.startswith("d.wav: ")
    judge, *lines = [*err.splitlines(), error]
    assert "Judged by N2 of ravdess" in judge
    assert len(lines) == 4
    assert all(sum(name in line for line in lines) == 1 for name in ("a.wav", "b.mp4", "c.mp4", "gone.mp4"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["d.csv", "d.json"]


def test_equal_stems_do_not_overwrite_each_other(run_predict, models, media_folder, tmp_path):
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        shutil.copy(media_folder / "voice.wav", tmp_path / place / "clip.wav")
    shutil.copy(media_folder / "still.png", tmp_path / "x" / "clip.png")
    clips = [tmp_path / "x", tmp_path / "y", tmp_path / "x" / "clip.wav"]
    _, out, _ = run_predict(*clips, out=tmp_path / "out", checkpoint=list(models.values()))
    assert out.count("\n") == 3
    assert {path.stem for path in (tmp_path / "out").glob("*.json")} == {"clip.png", "clip.wav", "clip.wav-2"}


@pytest.mark.parametrize(
    "names", [("a.mp4", "A.mp4", "a.wav", "b.wav"), ("a.mp4", "a.units.mp4"), ("a.units.mp4", "a.wav")]
)
def test_files_are_distinct_also_where_case_does_not_count(tmp_path, names):
    stems = distinct_stems([tmp_path / name for name in names])
    files = {f"{stem}{suffix}".casefold() for stem in stems for suffix in (".csv", ".units.csv")}
    assert len(files) == 2 * len(names)


def test_errors_are_one_line(run_predict, models, media_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "none"))
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "file").touch()
    (tmp_path / "none").mkdir()
    clip, model = media_folder / "voice.wav", [models["AM"]]
    for path, options, words in [
        (clip, {}, "snakemake"),
        (clip, {"checkpoint": [tmp_path / "text.safetensors"]}, "text.safetensors"),
        (clip, {"checkpoint": [tmp_path / "gone.safetensors"]}, "gone.safetensors"),
        (tmp_path / "none", {"checkpoint": model}, "holds no video"),
        (clip, {"checkpoint": model, "out": tmp_path / "file"}, "should be a folder"),
        (clip, {"checkpoint": model, "neutral": clip}, "add --units"),
    ]:
        error, out, err = run_predict(path, **options)
        assert words in error
        assert ("\n" in error, out, err) == (False, "", "")
    assert not (tmp_path / "results").exists()


def test_a_long_clip_is_the_mean_of_its_windows(run_predict, models, media_folder, tmp_path):
    wave, rate = media.read_sound(media_folder / "voice.wav")
    media.write_sound(tmp_path / "long.wav", np.tile(wave[0], 8), rate)
    run_predict(tmp_path / "long.wav", out=tmp_path, checkpoint=[models["AM"]])
    summary, timeline = read(tmp_path, "long")
    assert summary["duration_s"] > 6
    means = timeline[CLASSES].mean()
    for name, probability in summary["verdict"]["probabilities"].items():
        assert probability == pytest.approx(means[name], abs=2e-4)


def test_real_clips_are_judged_by_what_they_have(run_predict, shared, tmp_path):
    coarse = replace(FACES, rate_fps=5)
    models = [write_model(tmp_path / f"{name}.safetensors", name, faces=coarse) for name in FUSION]
    error, out, err = run_predict(shared / "data" / "clips", out=tmp_path / "out", checkpoint=models)
    assert (error, err.count("\n")) == ("", 1)
    assert "Judged by N2 of ravdess" in err
    talking, faceless = out.splitlines()
    assert "no voice (the sound is silent): judged by the face alone" in talking
    assert "no face (none in 20 frames): judged by the voice alone" in faceless
    summary, timeline = read(tmp_path / "out", "WolfgangLanger_Pexels")
    assert summary["duration_s"] == pytest.approx(19.7, abs=0.2)
    assert (timeline[timeline.person == 1].face > 0.9).all()


def test_where_films_go(tmp_path):
    def places(clips, out, *, alone):
        stems = [clip.stem for clip in clips]
        return list(predict_module._choose_film_places(clips, stems, out, alone=alone).values())

    clips = [tmp_path / name for name in ("a.mp4", "b.mov")]
    for clip in clips:
        clip.touch()
    folder = tmp_path / "films"
    assert places(clips[:1], tmp_path / "x.mkv", alone=True) == [tmp_path / "x.mkv"]
    assert places(clips, folder, alone=False) == [folder / "a.mp4", folder / "b.mp4"]
    folder.mkdir()
    assert places(clips[:1], folder, alone=True) == [folder / "a.mp4"]
    for out, alone, kind, words in [
        (tmp_path / "x.mp4", False, ConfigError, "should be a folder"),
        (clips[0], True, ConfigError, "write over this clip"),
        (tmp_path, False, ConfigError, "write over this clip"),
        (tmp_path / "x.gif", True, MediaError, r"x\.gif: a film ends in one of"),
    ]:
        with pytest.raises(kind, match=words):
            places(clips[:1] if alone else clips, out, alone=alone)


def _times(path) -> list[float]:
    return [time_s for time_s, _ in media.read_frames(path)]


def test_the_film_of_a_clip_has_its_times_its_sound_and_its_face(
    run_predict, models, media_folder, tmp_path, monkeypatch
):
    moments, draw = [], Annotator.draw
    monkeypatch.setattr(Annotator, "draw", lambda *args, **kw: moments.append(args[1]) or draw(*args, **kw))
    clip, film = media_folder / "both.mp4", tmp_path / "film.mp4"
    networks = {"checkpoint": [models[name] for name in ("N2", "VM", "AM")]}
    error, out, _ = run_predict(clip, out=tmp_path / "out", video=film, units=True, **networks)
    assert error == ""
    assert f"film: {film}" in out
    np.testing.assert_allclose(_times(film), _times(clip), atol=1e-4)
    for a, b in zip(media.read_sound(film), media.read_sound(clip), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"both.csv", "both.json", "both.units.csv"}
    assert all(len(moment.faces) == 1 for moment in moments)
    assert moments[-1].basis == ("face", "voice")
    assert moments[-1].faces[0].units is not None
    np.testing.assert_allclose([moment.time_s for moment in moments], _times(clip), atol=1e-6)


def test_every_clip_of_a_folder_has_its_film_or_a_sentence(run_predict, models, media_folder, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("voice.wav", "still.png", "nothing.mp4"):
        shutil.copy(media_folder / name, folder / name)
    whole = (media_folder / "nothing.mp4").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    networks = {"checkpoint": list(models.values())}
    error, out, _ = run_predict(folder, out=tmp_path / "out", video=tmp_path / "films", **networks)
    assert "broken.mp4" in error
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert "no film" in lines["still.png"]
    assert "no film" in lines["voice.wav"]
    assert lines["nothing.mp4"].endswith(f"; film: {tmp_path / 'films' / 'nothing.mp4'}")
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["nothing.mp4"]


def test_a_film_that_breaks_off_leaves_nothing(models, media_folder, tmp_path):
    pictures = [picture for _, picture in media.read_frames(media_folder / "both.mp4")]
    media.write_video(tmp_path / "cut.mkv", pictures, rate_fps=10)
    whole = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"cut\.mkv"):
        how = {"predict": PredictConfig(**PREDICT), "watch": WATCH}
        write_film(tmp_path / "cut.mkv", tmp_path / "a.mp4", load_models([models["N2"]]), **how)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mkv"]
