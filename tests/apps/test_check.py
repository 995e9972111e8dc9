"""Recordings of known emotions are judged as files, in the names that corpora share."""

import json
import shutil

import pandas as pd
import pytest

from apps.tiny_models import CANDIDE, FACES, PREDICT, write_frames_model, write_model
from mien.apps.check import COLUMNS, check_models
from mien.apps.models import load_models
from mien.apps.recording import judge_file
from mien.config.labels import common_name
from mien.errors import ConfigError
from mien.io import tables
from mien.io.files import write_json

CONFIG = json.dumps({"predict": PREDICT, "candide": CANDIDE})
WINDOWS = {name: PREDICT[name] for name in ("window_s", "hop_s")}


@pytest.fixture
def corpus(tmp_path, media_folder):
    """Return results of an indexed corpus: four takes of two people, one of whom each fold tests."""
    root, place = tmp_path / "root", tmp_path / "results" / "corpora" / "ravdess"
    root.mkdir()
    row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": "ravdess", "part": "01"}
    row |= {"item": -1, "cropped": False, "has_video": True, "has_audio": True, "apart": False}
    rows = []
    for actor, label, name in (("01", 0, "calm"), ("01", 1, "angry"), ("02", 0, "calm"), ("02", 2, "bored")):
        clip = f"{actor}-{name}"
        shutil.copy(media_folder / "both.mp4", root / f"{clip}.mp4")
        rows.append(row | {"clip": clip, "video": f"{clip}.mp4", "audio": f"{clip}.mp4", "sha256": clip})
        rows[-1] |= {"actor": actor, "group": actor, "label": label, "label_name": name}
    tables.write(place / "clips.parquet", pd.DataFrame(rows), tables.CLIPS)
    folds = [{"fold": k, "name": f"A{k}", "group": f"0{k + 1}", "role": "test"} for k in (0, 1)]
    tables.write(place / "folds.parquet", pd.DataFrame(folds), tables.FOLDS)
    write_json(tmp_path / "data" / "ravdess.json", {"corpus": "ravdess", "root": str(root), "digest": ""})
    return tmp_path / "results"


def test_a_corpus_is_judged_by_networks_of_another_one(corpus, tmp_path):
    path = write_frames_model(tmp_path / "face.safetensors")
    given = {"material": "takes", "models": [path], "corpus": "ravdess", "data": corpus, "config": CONFIG}
    check_models(**given, out_csv=tmp_path / "all.csv")
    rows = pd.read_csv(tmp_path / "all.csv", dtype={"person": str})
    assert tuple(rows.columns) == COLUMNS
    assert rows[["clip", "label"]].to_numpy().tolist() == [  # bored is nothing that the network knows
        ["01-angry", "angry"],
        ["01-calm", "neutral"],
        ["02-calm", "neutral"],
    ]
    found = judge_file(tmp_path / "root" / "01-calm.mp4", load_models([path]), **WINDOWS)
    said = common_name(found.classes[int(found.probabilities.argmax())])
    assert (rows.said == said).all()
    assert (rows.right == (rows.label == said)).all()
    assert rows.confidence.to_list() == pytest.approx([found.probabilities.max()] * 3, abs=1e-4)
    assert set(rows.used) == {"face"}
    check_models(**given, out_csv=tmp_path / "two.csv", most=2)
    two = pd.read_csv(tmp_path / "two.csv")
    assert set(two["clip"]) < set(rows["clip"]) | {"02-bored"}


def test_everybody_is_judged_by_the_network_of_the_own_fold(corpus, tmp_path):
    row = corpus / "training" / "ravdess" / "VM"
    for fold in (0, 1):
        write_model(row / f"fold{fold}-seed0" / "model.safetensors", "VM", seed=fold)
        write_json(row / f"fold{fold}-seed0" / "run.json", {"status": "trained"})
    given = {"material": "takes", "corpus": "ravdess", "data": corpus, "config": CONFIG, "by_fold": True}
    check_models(**given, models=[row], out_csv=tmp_path / "folds.csv")
    rows = pd.read_csv(tmp_path / "folds.csv", dtype={"person": str})
    assert rows["clip"].to_list() == ["01-angry", "01-calm", "02-calm"]
    for person, fold in (("01", 0), ("02", 1)):
        own = load_models([row / f"fold{fold}-seed0" / "model.safetensors"])
        found = judge_file(tmp_path / "root" / f"{person}-calm.mp4", own, **WINDOWS)
        sure = rows[rows["clip"] == f"{person}-calm"].confidence.item()
        assert sure == pytest.approx(found.probabilities.max(), abs=1e-4)
    assert rows.confidence.nunique() == 2


def test_a_folder_shows_one_emotion(tmp_path, media_folder):
    stills = tmp_path / "stills"
    stills.mkdir()
    shutil.copy(media_folder / "still.png", stills / "Actor_07.png")
    path = write_frames_model(tmp_path / "face.safetensors")
    given = {"material": "stills", "models": [path], "out_csv": tmp_path / "out.csv", "config": CONFIG}
    check_models(**given, folder=stills, label="neutral")
    (row,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert (row["clip"], row["person"], row["label"], row["models"]) == (
        "Actor_07",
        "Actor_07",
        "neutral",
        "P1 of fer2013",
    )
    with pytest.raises(ConfigError, match="name --corpus, or --folder with --label"):
        check_models(**given, folder=stills)
    assert FACES.size_px == 32  # of the other networks: this one has its own
