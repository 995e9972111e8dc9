"""Units and pose of a clip are those its face was made with, and a clip or a picture without a face says so."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from apps.tiny_models import CANDIDE, FACES
from mien.apps.units import COLUMNS, POSE, Shape, compute_head_pose, fit_neutral_shape, fit_units, median_shape
from mien.candide.fit import FITTED, NO_FACE, place_mesh
from mien.candide.mesh import ACTIONS, AU_CODES, AU_NAMES, LANDMARKS, VERTICES
from mien.candide.pose import rotation_matrix, rotation_vector
from mien.config.schema import CandideConfig
from mien.faces.track import Track, follow
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, person_for
from mien.synthetic.performance import portrait

CONFIG = CandideConfig(**CANDIDE)
SHAPE = np.array([0.3, -0.2, 0.25, 0.1, 0.2, -0.3, 0.1])
JAW = AU_NAMES.index("jaw drop")
NOSE_TIP, SKULL, EYES = 5, 0, [20, 53]  # vertices; the outer corners of the eyes


def turned(*, yaw=0.0, pitch=0.0, roll=0.0) -> np.ndarray:
    """Return the rotation vector, rad, of a head turned about one axis after the other by degrees."""
    about = [np.deg2rad(angles) for angles in ([0, yaw, 0], [-pitch, 0, 0], [0, 0, -roll])]
    one, two, three = map(rotation_matrix, about)
    return rotation_vector(one @ two @ three)


def landmarks_of(*, units, rotation, shape=SHAPE) -> np.ndarray:
    """Return (T, 68, 2) px: where dlib would find the 35 points of a mesh (the others are never looked at)."""
    n = len(units)
    vertices = place_mesh(
        shape, units=units, rotation=rotation, scale=np.full(n, 80.0), origin=np.full((n, 2), [160.0, 120.0])
    )
    marks = np.full((n, 68, 2), np.nan)
    marks[:, LANDMARKS] = vertices[:, VERTICES[CONFIG.landmarks]]
    return marks


def track_of(landmarks, found) -> Track:
    n = len(landmarks)
    return Track(
        frames=np.zeros((n, 1, 1, 3), np.uint8),
        landmarks=np.where(found[:, None, None], landmarks, np.nan).astype(np.float32),
        boxes=np.where(found[:, None], 1.0, np.nan) * np.ones(3),
        region=np.zeros(3),
        time_s=np.arange(n) / 10,
        score=np.ones(n),
        found=found,
    )


@pytest.mark.parametrize(("pose", "vertex", "axis", "sign"), [
    ({"yaw": 30.0}, NOSE_TIP, 0, 1),  # the subject's left is the right of the picture
    ({"pitch": 20.0}, NOSE_TIP, 1, -1),  # image rows grow downwards
    ({"roll": 20.0}, SKULL, 0, 1),
])  # fmt: skip
def test_a_turned_head_is_seen_where_the_signs_say(pose, vertex, axis, sign):
    rotations = np.stack([turned(), turned(**pose)])
    places = place_mesh(
        np.zeros(7), units=np.zeros((2, 8)), rotation=rotations, scale=np.full(2, 80.0), origin=np.zeros((2, 2))
    )
    moved = (places[:, vertex] - places[:, EYES].mean(axis=1)) @ np.eye(2)[axis]  # against the eyes
    assert sign * (moved[1] - moved[0]) > 10
    (name,), (angle,) = pose.keys(), pose.values()
    expected = np.where(np.array(POSE) == f"{name}_deg", angle, 0.0)
    np.testing.assert_allclose(compute_head_pose(rotations), [np.zeros(3), expected], atol=1e-9)


def test_three_angles_at_once_come_back():
    angles = np.random.default_rng(0).uniform([-85, -60, -85], [85, 60, 85], size=(50, 3))
    rotations = np.stack([turned(yaw=yaw, pitch=pitch, roll=roll) for yaw, pitch, roll in angles])
    np.testing.assert_allclose(compute_head_pose(rotations), angles, atol=1e-9)
    assert np.isnan(compute_head_pose(np.full((2, 3), np.nan))).all()


def test_a_clip_of_known_units_and_pose_gives_them_back():
    rng = rng_for(0, "clip")
    course = np.linspace(0, 1, 40)[:, None]
    units = 0.5 * course * rng.uniform(0, 1, 8)
    pose = course * [25.0, -10.0, 15.0]
    rotation = np.stack([turned(yaw=y, pitch=p, roll=r) for y, p, r in pose])
    found = ~np.isin(np.arange(40), [0, 17, 18])
    track = track_of(landmarks_of(units=units, rotation=rotation), found)
    config = replace(CONFIG, ridge=1e-7)  # the usual one divides what two units of the lids share
    result = fit_units(track, config, shape=Shape("known", SHAPE))
    assert result.shape.source == "known"
    assert result.n_fitted == found.sum()
    assert result.frames.verdict.tolist() == np.where(found, FITTED, NO_FACE).tolist()
    assert np.isnan(result.pose_deg[~found]).all()
    assert np.abs(result.frames.units - units)[found].max() < 0.01
    assert np.abs(result.pose_deg - pose)[found].max() < 0.1
    assert result.frames.residual[found].max() < 1e-3


def test_the_shape_of_a_clip_is_that_of_its_many_neutral_frames():
    units = np.zeros((300, 8))
    units[:120:2, JAW] = 0.8
    marks = landmarks_of(units=units, rotation=np.zeros((300, 3)))
    shape = median_shape(marks, CONFIG)
    assert shape.source == "median of the clip"
    assert np.abs(shape.coefficients - SHAPE).max() < 0.05
    speaking = median_shape(marks[:120:2], CONFIG)
    assert np.abs(speaking.coefficients - SHAPE).max() > 0.2  # what the median has to pass over


def test_portraits_show_the_units_and_the_pose_they_were_made_with(tmp_path):
    """Through dlib, whose points are a few px off; what moves few points by little is not asked for."""
    moved, seen, errors_deg = [], [], []
    for actor in range(4):
        person = person_for(0, "units", str(actor), "male")

        def take(emotion, yaw_deg, person=person, actor=actor):
            asked = {"emotion": emotion, "intensity": 1.0, "size": (300, 240), "yaw_deg": yaw_deg, "gaze": "frontal"}
            return portrait(person, **asked, fuzziness=CLEAR, rng=rng_for(0, "units", actor))

        picture, rest, _, _ = take("neutral", 0.0)
        Image.fromarray(picture).save(tmp_path / "rest.png")
        shape = fit_neutral_shape(tmp_path / "rest.png", faces=FACES, config=CONFIG)
        takes = [take(*kind) for kind in (("surprised", 15.0), ("happy", -15.0), ("angry", 20.0))]
        track = follow([(k / 10, picture) for k, (picture, *_) in enumerate(takes)], FACES)
        result = fit_units(track, CONFIG, shape=shape)
        assert result.n_fitted == 3
        moved += [(units - rest)[list(ACTIONS)] for _, units, _, _ in takes]
        seen += list(result.frames.units)
        errors_deg += list(result.pose_deg - compute_head_pose(np.stack([rotation for _, _, rotation, _ in takes])))
    yaw, pitch, roll = np.median(np.abs(errors_deg), axis=0)
    assert yaw < 4
    assert pitch < 8
    assert roll < 2
    for name in ("jaw drop", "brow lowerer", "lip corner depressor"):
        unit = AU_NAMES.index(name)
        assert np.corrcoef(np.array(moved)[:, unit], np.array(seen)[:, unit])[0, 1] > 0.7, name


def test_units_stand_in_a_file_of_their_own_and_in_the_json(run_predict, models, media_folder, tmp_path):
    clip = media_folder / "half.mp4"  # a face in the first half
    models = [models["VM"]]
    error, out, err = run_predict(clip, checkpoint=models, out=tmp_path / "with", units=True)
    assert error == ""
    assert [line.partition(" (")[0] for line in err.splitlines()] == ["mien predict: Judged by VM of ravdess"]
    rows = pd.read_csv(tmp_path / "with" / "half.units.csv")
    summary = json.loads((tmp_path / "with" / "half.json").read_text())
    section = summary.pop("units")
    fitted = rows.verdict == FITTED
    assert tuple(rows.columns) == COLUMNS
    assert f"units of {fitted.sum()} of {len(rows)} frames" in out
    assert set(rows.verdict[~fitted]) == {NO_FACE}
    assert 0.4 < fitted.mean() < 0.6
    values = rows[list(COLUMNS[2:-1])]
    assert values[fitted].notna().all(axis=None)
    assert values[~fitted].isna().all(axis=None)
    np.testing.assert_allclose(rows.time_s, np.arange(len(rows)) / FACES.rate_fps)
    assert section["names"] == list(AU_NAMES)
    assert section["codes"] == list(AU_CODES)
    assert section["shape"]["source"] == "median of the clip"
    assert len(section["shape"]["coefficients"]) == 7
    units = [frame["units"] or [np.nan] * 8 for frame in section["frames"]]
    np.testing.assert_array_equal(units, rows[list(COLUMNS[2:10])])
    assert [frame["verdict"] for frame in section["frames"]] == rows.verdict.tolist()
    run_predict(clip, checkpoint=models, out=tmp_path / "without")
    assert json.loads((tmp_path / "without" / "half.json").read_text()) == summary
    timelines = [(tmp_path / folder / "half.csv").read_bytes() for folder in ("with", "without")]
    assert timelines[0] == timelines[1]
    assert not (tmp_path / "without" / "half.units.csv").exists()


@pytest.mark.parametrize("clip", ["blank.mp4", "voice.wav"])
def test_a_clip_without_a_face_has_no_units(run_predict, models, media_folder, tmp_path, clip):
    _, out, _ = run_predict(media_folder / clip, out=tmp_path, checkpoint=[models["AM"]], units=True)
    assert out.endswith("; no units without a face\n")
    stem = clip.partition(".")[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{stem}.csv", f"{stem}.json"]
    assert json.loads((tmp_path / f"{stem}.json").read_text())["units"] is None


def test_a_neutral_picture_gives_the_shape(run_predict, models, media_folder, tmp_path):
    still, model = media_folder / "still.png", models["VM"]
    run_predict(still, out=tmp_path, checkpoint=[model], units=True)
    assert json.loads((tmp_path / "still.json").read_text())["units"]["shape"]["source"] == "mean face"
    _, out, _ = run_predict(still, out=tmp_path, checkpoint=[model], units=True, neutral=still)
    assert "units of 1 of 1 frames" in out
    shape = json.loads((tmp_path / "still.json").read_text())["units"]["shape"]
    assert shape["source"] == "still.png"
    assert any(shape["coefficients"])


def test_a_bad_neutral_picture_is_one_line(run_predict, models, media_folder, tmp_path):
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    (tmp_path / "text.png").write_text("no picture")
    for neutral, words in [
        (tmp_path / "wall.png", "there is no face in it"),
        (tmp_path / "text.png", "not a readable picture"),
        (tmp_path / "gone.png", "no such file"),
        (media_folder / "voice.wav", "should be a picture"),
    ]:
        options = {"checkpoint": [models["VM"]], "out": tmp_path / "out", "units": True, "neutral": neutral}
        error, out, _ = run_predict(media_folder / "still.png", **options)
        assert (out, "\n" in error, neutral.name in error, words in error) == ("", False, True, True)
    assert not (tmp_path / "out").exists()
