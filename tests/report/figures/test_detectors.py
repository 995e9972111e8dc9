"""Figure 3.4: pictures of every camera are taken, and what is found in them is counted."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from faces.conftest import still
from mien.config import schema
from mien.io.files import write_json
from mien.report.figures import detectors

YAWS = {"090_01": 0.0, "090_02": 0.0, "180_01": -90.0, "180_02": -90.0}  # camera and person -> degrees


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Plant two pictures of two cameras, a blank one from the front, and two that do not count."""
    pictures = {name: still(name[-2:], size=(384, 255), yaw_deg=yaw_deg) for name, yaw_deg in YAWS.items()}
    pictures["090_03"] = np.full((240, 240, 3), 120, np.uint8)
    rows = [{"clip": name, "angle": int(name[:3]), "role": "test", "gaze": "frontal"} for name in pictures]
    rows += [rows[0] | {"clip": "learnt", "role": "training"}, rows[0] | {"clip": "aside", "gaze": "left"}]
    for name, picture in pictures.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    table = pd.DataFrame(rows)
    clips = pd.DataFrame({"clip": table["clip"], "video": table["clip"] + ".png"})
    planted = SimpleNamespace(table=table, info={"source": "synthetic", "corpus": "pair"})
    monkeypatch.setattr(detectors, "read_samples", lambda _: planted)
    monkeypatch.setattr(detectors.tables, "read", lambda *_: clips)
    write_json(tmp_path / "rafd.json", {"corpus": "rafd", "root": str(tmp_path), "digest": ""})
    return tmp_path, table, clips


def test_pictures_are_of_every_camera_and_of_gazes_to_the_front(world):
    _, table, clips = world
    chosen = detectors.choose_pictures(table, clips, 2)
    assert chosen["clip"].tolist() == ["090_01", "090_03", "180_01", "180_02"]
    assert chosen.video.tolist()[0] == "090_01.png"


def test_the_network_finds_the_profiles_that_gradients_do_not(world, repository):
    folder, *_ = world
    given = schema.slice_of(schema.load(repository / "params.yaml"), "cross", "faces")
    out = {"out_png": folder / "3.4.png", "out_csv": folder / "3.4.csv"}
    paths = {"samples": Path(), "clips": Path(), "manifest": folder / "rafd.json"}
    detectors.plot_detectors(**paths, **out, config=json.dumps(given))
    numbers = pd.read_csv(out["out_csv"]).set_index(["angle", "detector"])
    assert numbers.pictures.tolist() == [3, 3, 2, 2]
    assert numbers.found.to_dict() == {(90, "hog"): 2, (90, "cnn"): 2, (180, "hog"): 0, (180, "cnn"): 2}
    assert np.asarray(Image.open(out["out_png"])).std() > 10
