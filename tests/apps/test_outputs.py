"""What other programs read: right times, labels and numbers, whole files, and names of any kind."""

import itertools
import json
import math
import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import av
import numpy as np
import pandas as pd
import pytest

from mien.apps import outputs
from mien.apps.outputs import (
    FORMATS,
    FRAME_COLUMNS,
    MODEL_COLUMNS,
    ROW_COLUMNS,
    Outputs,
    cut_stretches,
    describe_columns,
    format_srt,
    format_textgrid,
    format_vtt,
    make_eaf,
    resample,
    tile,
    to_events,
    to_frames,
    to_openface,
    to_table,
    write_outputs,
    write_table,
)
from mien.apps.units import compute_head_pose
from mien.candide.fit import FITTED
from mien.candide.mesh import AU_NAMES
from mien.candide.pose import rotation_matrix
from mien.errors import ConfigError
from mien.faces.track import Track
from mien.io import media
from mien.io.files import printable

MODEL = {
    "row": "N2",
    "corpus": "ravdess",
    "networks": 2,
    "synthetic": True,
    "people": 20,
    "accuracy": 0.61,
    "accuracy_low": 0.5,
    "accuracy_high": None,
    "file": "ravdess/N2",
    "sha256": "abcd",
    "text": "N2 of ravdess (2 networks), trained on 20 synthetic people; right in 61% of the clips",
}


def row(person, start_s, end_s, happy, *, used="face+voice", file="clip.mp4"):
    """Return a row of two classes; `happy` None: nothing could be judged."""
    judged = happy is not None
    label = ("happy" if happy > 0.5 else "sad") if judged else ""
    happy = happy if judged else math.nan
    facts = {"file": file, "person": person, "start_s": start_s, "end_s": end_s, "label": label}
    facts |= {"p_happy": happy, "p_sad": 1 - happy, "face_share": 1.0, "voice_share": 0.25}
    return facts | {"confidence": max(happy, 1 - happy), "used": used if judged else ""}


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two people and a voice; person 1 has windows of 2 s every 0.5 s, turns sad, and is not judged at the end."""
    return pd.DataFrame(
        [
            row(1, 0.0, 2.0, 0.9),
            row(2, 3.0, 5.0, 0.7, used="face"),
            row(1, 0.5, 2.5, 0.7),
            row(1, 1.0, 3.0, 0.2),
            row(1, 1.5, 3.5, None),
            row(0, 6.0, 7.0, 0.4, used="voice"),
        ]
    )


@pytest.fixture
def frames() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(0, 100, (3, 136)), columns=[f"{axis}_{k}" for axis in "xy" for k in range(68)])
    for k, name in enumerate(AU_NAMES):
        table[name.replace(" ", "_")] = [0.1 * k, -0.2, math.nan]
    table = table.assign(yaw_deg=[30.0, 0, math.nan], pitch_deg=[0.0, 20, math.nan], roll_deg=[0.0, 0, math.nan])
    table = table.assign(frame=[1, 2, 2], person=[1, 1, 2], time_s=[0.0, 0.1, 0.1], success=[True, True, False])
    return table.assign(confidence=[1.5, math.nan, 0.2], x=10.0, y=20.0, width=30.0, height=40.0)


# ---- stretches


def test_windows_meet_in_the_middle_of_what_they_share(rows):
    tiled = tile(rows)
    one = tiled[tiled.person == 1]
    assert list(zip(one.start_s, one.end_s, strict=True)) == [(0.0, 1.25), (1.25, 1.75), (1.75, 2.25), (2.25, 3.5)]
    assert list(tiled.person) == [0, 1, 1, 1, 1, 2]


def test_neighbours_with_one_label_are_one_stretch(rows):
    stretches = cut_stretches(rows)
    assert stretches[["person", "start_s", "end_s", "label"]].to_numpy().tolist() == [
        [0, 6.0, 7.0, "sad"],
        [1, 0.0, 1.75, "happy"],
        [1, 1.75, 2.25, "sad"],
        [2, 3.0, 5.0, "happy"],
    ]
    assert stretches.confidence[1] == pytest.approx((1.25 * 0.9 + 0.5 * 0.7) / 1.75)
    assert list(stretches.used) == ["voice", "face+voice", "face+voice", "face"]


def test_a_gap_parts_stretches_and_different_grounds_are_joined():
    rows = pd.DataFrame([row(1, 0, 1, 0.9, used="voice"), row(1, 1, 2, 0.9, used="face"), row(1, 2.5, 3, 0.9)])
    stretches = cut_stretches(rows)
    assert stretches[["start_s", "end_s", "used"]].to_numpy().tolist() == [[0, 2, "face+voice"], [2.5, 3, "face+voice"]]


def test_rows_at_a_rate_follow_each_other_and_hold_what_the_nearest_window_says(rows):
    ticks = resample(rows, 10.0)
    one = ticks[ticks.person == 1]
    assert len(one) == 35
    np.testing.assert_allclose(one.start_s, np.arange(35) / 10)
    np.testing.assert_allclose(one.end_s, np.arange(1, 36) / 10)
    assert one.p_happy.iloc[[0, 12, 13, 17, 18, 22]].tolist() == pytest.approx([0.9, 0.9, 0.7, 0.7, 0.2, 0.2])
    assert one.p_happy.iloc[23:].isna().all()


# ---- tables


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_one_table_of_all_recordings_says_who_judged(rows, tmp_path, suffix):
    other = rows.assign(file="b.wav").rename(columns={"p_sad": "p_angry"})
    path = tmp_path / f"all{suffix}"
    write_table(path, [to_table(rows, MODEL), to_table(other, {"row": "AM"})])
    table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert len(table) == 12
    names = [one.name for one in (*ROW_COLUMNS, *MODEL_COLUMNS)]
    assert set(table.columns) == {*names, "p_happy", "p_sad", "p_angry"} - {"p_CLASS"}
    assert list(table.model) == ["N2"] * 6 + ["AM"] * 6
    assert table.accuracy[0] == 0.61
    assert table.accuracy[6:].isna().all()
    assert (table.people[0], table.synthetic[0], table.accuracy_low[0]) == (20, True, 0.5)
    assert table.accuracy_high.isna().all()
    assert table.model_sha256[0] == "abcd"
    assert (table.p_happy + table.p_sad)[:4].tolist() == pytest.approx([1.0] * 4)
    assert table.p_sad[6:].isna().all()
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_table_without_recordings_has_its_columns(tmp_path):
    write_table(tmp_path / "all.csv", [])
    assert (tmp_path / "all.csv").read_text().startswith("file,person,start_s,end_s,label,face_share")


@pytest.mark.parametrize("name", ['a, "b"\nc.mp4', "Ünï 你好 🎬.mp4", "caf\udce9.mp4"])
def test_names_of_any_kind_survive_the_table(tmp_path, name):
    for path in (tmp_path / "all.csv", tmp_path / "all.parquet"):
        write_table(path, [to_table(pd.DataFrame([row(1, 0, 1, 0.9, file=printable(name))]), MODEL)])
    found = pd.read_csv(tmp_path / "all.csv").file[0], pd.read_parquet(tmp_path / "all.parquet").file[0]
    assert found == (name.replace("\udce9", "\\xe9"),) * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("all.xlsx",), "all.xlsx: --table should end in .csv or .parquet"),
        (("x.csv",), "x.csv: --table should be a file, and this is a folder"),
        ((None, ["srt", "sub"]), "--formats sub: there is no such format; choose from openface, srt"),
        ((None, [], "25"), "--fps 25 is for the rows of a table"),
        (("all.csv", [], "-1"), "--fps -1: rows per second should be more than 0"),
        (("all.csv", [], "fast"), "--fps fast: rows"),
    ],
)
def test_what_cannot_be_had_is_refused_before_the_work(tmp_path, options, message):
    (tmp_path / "x.csv").mkdir()
    table, *rest = options
    with pytest.raises(ConfigError, match=re.escape(message)):
        Outputs(tmp_path / table if table else None, *rest)


def test_rows_at_the_films_rate_or_a_given_one(rows, tmp_path):
    film, sound = tmp_path / "a.mp4", tmp_path / "a.wav"
    media.write_video(film, [np.zeros((32, 32, 3), np.uint8)] * 6, rate_fps=12)
    media.write_sound(sound, np.zeros(800, np.float32), 8000)
    for fps, clip, n_rows in (("film", film, 42), ("4", film, 14), (None, film, 4), ("film", sound, 4)):
        collected = Outputs(tmp_path / "all.csv", fps=fps)
        collected.add(clip, rows[rows.person == 1], None, MODEL, tmp_path / "a")
        collected.finish()
        assert len(pd.read_csv(tmp_path / "all.csv")) == n_rows


def test_frames_are_in_openfaces_columns(frames):
    table = to_openface(frames)
    names = ["frame", "face_id", "timestamp", "confidence", "success", "pose_Tx", "pose_Ty", "pose_Tz"]
    assert list(table.columns[:11]) == [*names, "pose_Rx", "pose_Ry", "pose_Rz"]
    assert list(table.columns[11:147]) == [f"{axis}_{k}" for axis in "xy" for k in range(68)]
    assert list(table.columns[147:155]) == [f"AU{k:02}_r" for k in (4, 7, 9, 10, 15, 20, 26, 45)]
    assert table.AU26_r[0] == 0.0
    assert table.AU45_r[0] == pytest.approx(0.7)  # the last of AU_NAMES
    assert table.AU04_r[0] == pytest.approx(0.1)
    assert list(table.success) == [1, 1, 0]
    assert table.pose_Ry[0] == pytest.approx(math.radians(-30), abs=1e-4)  # to the subject's left
    assert table.pose_Rx[1] == pytest.approx(math.radians(-20), abs=1e-4)  # up
    assert table.iloc[2][["pose_Rx", "AU04_r"]].isna().all()
    assert list(to_openface(None).columns) == list(table.columns)


def test_frames_are_those_from_the_first_to_the_last_that_shows_a_person():
    found = np.array([False, True, False, True, False])
    points = np.where(found[:, None, None], np.arange(136.0).reshape(68, 2), np.nan)
    boxes = np.where(found[:, None], [10.0, 20.0, 30.0], np.nan)
    none = np.zeros((5, 0, 0, 3), np.uint8)
    track = Track(none, points, boxes, np.zeros(3), np.arange(5) / 10, np.where(found, 1.5, np.nan), found)
    pose = np.where(found[:, None], [[20.0, 10.0, 0.0]], np.nan)
    verdict = np.where(found, FITTED, "no face")
    fitted = SimpleNamespace(pose_deg=pose, frames=SimpleNamespace(units=np.full((5, 8), 0.3), verdict=verdict))
    table = to_openface(to_frames({1: track, 2: track, 3: replace(track, found=~found & found)}, {1: fitted}))
    assert table[["frame", "face_id", "success"]].to_numpy().tolist() == [
        [frame, person, success] for frame, success in ((2, 1), (3, 0), (4, 1)) for person in (1, 2)
    ]
    assert table.iloc[0][["x_1", "y_1", "AU26_r", "box_height"]].tolist() == [2.0, 3.0, 0.3, 30.0]
    assert table[["AU26_r", "x_1"]].isna().to_numpy().tolist() == [
        [False, False],
        [True, False],
        [True, True],
        [True, True],
        [False, False],
        [True, False],
    ]
    assert to_openface(to_frames({}, {})).empty


def test_pose_is_the_same_rotation_in_openfaces_axes():
    vectors = np.random.default_rng(1).normal(scale=0.5, size=(50, 3))
    angles = outputs._to_camera_angles(compute_head_pose(vectors))
    flip = np.diag([1.0, -1.0, -1.0])
    for vector, (x, y, z) in zip(vectors, angles, strict=True):
        about = [rotation_matrix(angle * np.eye(3)[k]) for k, angle in enumerate((x, y, z))]
        np.testing.assert_allclose(about[0] @ about[1] @ about[2], flip @ rotation_matrix(vector) @ flip, atol=1e-9)


def test_every_column_of_the_frames_is_described(frames):
    described = set()
    for one in FRAME_COLUMNS:
        first, _, last = one.name.partition(" ... ")
        numbered = [f"{first[0]}_{k}" for k in range(int(last[2:]) + 1)] if last else one.name.split(", ")
        described |= set(numbered)
    assert described == set(to_openface(frames).columns)


# ---- subtitles


def _seconds(clock):
    hours, minutes, seconds = clock.replace(",", ".").split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds)).total_seconds()


def read_cues(text, point):
    """Read SRT (point ",") or VTT (".") strictly: [(start s, end s, lines)]."""
    clock = rf"\d\d:[0-5]\d:[0-5]\d[{point}]\d\d\d"
    cues = []
    blocks = text.strip("\n").split("\n\n")
    if point == ".":
        assert blocks.pop(0) == "WEBVTT"
        blocks = [block for block in blocks if not block.startswith("NOTE")]
    for number, block in enumerate(blocks, 1):
        lines = block.split("\n")
        if point == ",":
            assert lines.pop(0) == str(number)
        start, end = re.fullmatch(rf"({clock}) --> ({clock})", lines[0]).groups()
        assert _seconds(start) < _seconds(end)
        assert all("-->" not in line for line in lines[1:])
        cues.append((_seconds(start), _seconds(end), lines[1:]))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(cues))
    return cues


def test_subtitles_hold_the_stretches(rows):
    srt, vtt = read_cues(format_srt(rows, MODEL), ","), read_cues(format_vtt(rows, MODEL), ".")
    assert [cue[:2] for cue in srt] == [cue[:2] for cue in vtt] == [(0, 1.75), (1.75, 2.25), (3, 5), (6, 7)]
    assert [cue[2][0] for cue in srt] == [
        "person 1: happy 84%",
        "person 1: sad 80%",
        "person 2: happy 70%",
        "voice: sad 60%",
    ]
    assert vtt[1][2] == ["<v person 1>person 1: sad 80%</v>"]
    for cues in (srt, vtt):
        assert cues[0][2][1] == f"Judged by {MODEL['text']}"


def test_two_people_at_once_are_lines_of_one_subtitle():
    rows = pd.DataFrame([row(1, 0, 4, 0.9), row(2, 1, 2, 0.2)])
    cues = read_cues(format_srt(rows, {}), ",")
    assert [(start, end, len(lines)) for start, end, lines in cues] == [(0, 1, 2), (1, 2, 2), (2, 4, 1)]
    assert cues[1][2] == ["person 1: happy 90%", "person 2: sad 80%"]


def test_times_beyond_an_hour_and_labels_with_marks():
    rows = pd.DataFrame([row(1, 3599.9996, 36000.001, 0.9)]).assign(label="a <b> & --> c\n\nd")
    ((start, end, lines),) = read_cues(format_srt(rows, {}), ",")
    assert (start, end, lines[0]) == (3600.0, 36000.001, "person 1: a <b> & c d 90%")
    assert "a &lt;b&gt; &amp; c d" in format_vtt(rows, {})


@pytest.mark.parametrize("empty", [pd.DataFrame([row(1, 0, 1, None)]), pd.DataFrame([row(1, 0, 1, 0.9)]).iloc[:0]])
def test_nothing_judged_gives_whole_files(empty, tmp_path):
    files = write_outputs(empty, None, MODEL, tmp_path / "clip", formats=FORMATS)
    assert all(path.is_file() for path in files)
    assert read_cues((tmp_path / "clip.vtt").read_text(), ".") == []
    assert [name for name, _ in read_textgrid((tmp_path / "clip.TextGrid").read_text())] == ["judged by"]
    assert to_events(empty).empty


# ---- tiers


def read_textgrid(text):
    """Read a long TextGrid strictly, as Praat's manual has it: [(tier, [(xmin, xmax, text)])]."""
    head, *items = re.split(r"^    item \[\d+\]:\n", text, flags=re.M)
    number = r"(\d+(?:\.\d+)?)"
    head = re.fullmatch(
        rf'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = {number}\nxmax = {number}\n'
        rf"tiers\? <exists>\nsize = (\d+)\nitem \[\]:\n",
        head,
    )
    assert int(head[3]) == len(items)
    tiers = []
    for item in items:
        start, *spans = re.split(r"^        intervals \[\d+\]:\n", item, flags=re.M)
        start = re.fullmatch(
            rf'        class = "IntervalTier"\n        name = "((?:[^"]|"")*)"\n        xmin = {number}\n'
            rf"        xmax = {number}\n        intervals: size = (\d+)\n",
            start,
        )
        assert int(start[4]) == len(spans)
        assert (start[2], start[3]) == (head[1], head[2])
        found = [
            re.fullmatch(
                rf'            xmin = {number}\n            xmax = {number}\n            text = "((?:[^"]|"")*)"\n',
                span,
            )
            for span in spans
        ]
        assert found[0][1] == head[1]
        assert found[-1][2] == head[2]
        assert all(a[2] == b[1] for a, b in itertools.pairwise(found))
        assert all(float(one[1]) < float(one[2]) for one in found)
        tiers.append(
            (start[1].replace('""', '"'), [(float(x[1]), float(x[2]), x[3].replace('""', '"')) for x in found])
        )
    return tiers


def test_a_textgrid_has_a_tier_per_person_without_gaps(rows):
    tiers = read_textgrid(format_textgrid(rows.assign(label=rows.label.replace("sad", 'so "sad"')), MODEL))
    assert [name for name, _ in tiers] == ["voice", "person 1", "person 2", "judged by"]
    assert tiers[1][1] == [(0, 1.75, "happy"), (1.75, 2.25, 'so "sad"'), (2.25, 7, "")]
    assert tiers[0][1] == [(0, 6, ""), (6, 7, 'so "sad"')]
    assert tiers[3][1][0][2].startswith("Judged by N2")


def test_an_elan_document_refers_to_times_tiers_and_the_recording(rows, tmp_path):
    folder = tmp_path / "out & in"
    clip = tmp_path / "Ünï #1%20 <ä>.mp4"
    clip.write_bytes(b"")
    (path,) = write_outputs(rows, None, MODEL, folder / "clip", formats=["elan"], clip=clip)
    root = ElementTree.parse(path).getroot()
    assert [child.tag for child in root] == ["HEADER", "TIME_ORDER", *["TIER"] * 3, "LINGUISTIC_TYPE"]
    media_file = root.find("HEADER/MEDIA_DESCRIPTOR").attrib
    assert unquote(urlparse(media_file["MEDIA_URL"]).path) == str(clip)
    assert (path.parent / unquote(media_file["RELATIVE_MEDIA_URL"])).resolve() == clip
    assert media_file["MIME_TYPE"] == "video/mp4"
    slots = {one.get("TIME_SLOT_ID"): int(one.get("TIME_VALUE")) for one in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    found, ids = {}, []
    for tier in root.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") == root.find("LINGUISTIC_TYPE").get("LINGUISTIC_TYPE_ID")
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            span = slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")], one.findtext("ANNOTATION_VALUE")
            found.setdefault(tier.get("TIER_ID"), []).append(span)
            ids.append(one.get("ANNOTATION_ID"))
    assert found == {
        "voice": [(6000, 7000, "sad")],
        "person 1": [(0, 1750, "happy"), (1750, 2250, "sad")],
        "person 2": [(3000, 5000, "happy")],
    }
    assert len(set(ids)) == 4
    facts = {one.get("NAME"): one.text for one in root.iter("PROPERTY")}
    assert facts["lastUsedAnnotationId"] == "4"
    assert facts["judged by"].startswith("Judged by N2")


def test_an_elan_document_holds_what_xml_can(rows):
    document = make_eaf(rows.assign(label="a\x00\x0b<&>"), MODEL)
    again = ElementTree.fromstring(ElementTree.tostring(document.getroot(), encoding="UTF-8"))
    assert again.findtext(".//ANNOTATION_VALUE") == "a\ufffd\ufffd<&>"
    assert again.find("HEADER/MEDIA_DESCRIPTOR") is None


# ---- BIDS, files


def test_events_have_what_bids_wants(rows, tmp_path):
    (path,) = write_outputs(rows, None, MODEL, tmp_path / "sub-01_task-film", formats=["bids"])
    assert path.name == "sub-01_task-film_events.tsv"
    lines = path.read_text().splitlines()
    assert lines[0].split("\t")[:3] == ["onset", "duration", "trial_type"]
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    assert table.onset.tolist() == [0.0, 1.75, 3.0, 6.0]
    assert table.duration.tolist() == [1.75, 0.5, 2.0, 1.0]
    assert table.trial_type.tolist() == ["happy", "sad", "happy", "sad"]
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert set(sidecar) == {*table.columns, "GeneratedBy"}
    assert sidecar["onset"]["Units"] == "s"
    assert set(sidecar["trial_type"]["Levels"]) == {"happy", "sad"}
    assert "Judged by N2" in sidecar["trial_type"]["Description"]
    assert sidecar["GeneratedBy"][0]["Model"]["sha256"] == MODEL["sha256"]


def test_outputs_are_named_after_the_recording_and_leave_no_scratch(rows, frames, tmp_path):
    write_outputs(rows, frames, MODEL, tmp_path / "x" / "a.b", formats=FORMATS)
    names = {path.name for path in (tmp_path / "x").iterdir()}
    assert names == {
        "a.b" + end for end in (".openface.csv", ".srt", ".vtt", ".eaf", ".TextGrid", "_events.tsv", "_events.json")
    }
    again = {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()}
    write_outputs(rows, frames, MODEL, tmp_path / "x" / "a.b", formats=FORMATS)
    assert again == {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()}


def test_predict_writes_them_all(run_predict, models, media_folder, tmp_path):
    clips = [media_folder / name for name in ("both.mp4", "voice.wav")]
    options = {"out": tmp_path / "out", "checkpoint": [models["N2"], models["AM"]], "formats": list(FORMATS)}
    error, lines, _ = run_predict(*clips, table=tmp_path / "all.csv", fps="film", **options)
    assert error == ""
    assert "units of" in lines
    table = pd.read_csv(tmp_path / "all.csv")
    film = table[table.file == str(clips[0])]
    np.testing.assert_allclose(film.start_s, np.arange(len(film)) / 10, atol=1e-6)
    assert set(film.model) == {"N2"}
    assert set(table.model[table.file == str(clips[1])]) == {"AM"}
    assert (table.p_neutral + table.p_happy + table.p_sad + table.p_angry).tolist() == pytest.approx(
        [1.0] * len(table), abs=1e-5
    )
    ends = [".csv", ".json", ".units.csv", ".openface.csv", ".srt", ".vtt", ".eaf", ".TextGrid", "_events.tsv"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"both" + end for end in [*ends, "_events.json"]} <= names
    frames = pd.read_csv(tmp_path / "out" / "both.openface.csv")
    units = pd.read_csv(tmp_path / "out" / "both.units.csv")
    both = frames.merge(units, left_on="timestamp", right_on="time_s")
    assert len(both) == len(frames) >= 10
    assert both.AU26_r.tolist() == pytest.approx(both.jaw_drop.tolist(), abs=1e-3, nan_ok=True)
    assert both.AU26_r.notna().any()
    inside = (frames.x_30 > frames.box_x) & (frames.x_30 < frames.box_x + frames.box_width)
    assert inside[frames.success == 1].all()


def test_predict_refuses_a_table_in_the_place_of_a_clips_file(run_predict, models, media_folder, tmp_path):
    clip = media_folder / "voice.wav"
    error, *_ = run_predict(clip, out=tmp_path, table=tmp_path / "voice.csv", checkpoint=[models["AM"]])
    assert "--table would write over the file of one clip" in error


def test_who_judged_is_said_as_far_as_it_is_known():
    assert outputs.describe_model({}) == "Judged by a network of which nothing is known"
    assert outputs.describe_model({"row": "N2"}) == "Judged by N2"
    card = SimpleNamespace(variant="N2", corpus="ravdess")
    facts = outputs.model_facts(SimpleNamespace(info=None, settings=card))
    assert facts == {"row": "N2", "corpus": "ravdess", "text": "N2 of ravdess; its accuracy is not known"}


def test_the_page_is_made_from_the_columns(repository):
    page = (repository / "docs" / "outputs.md").read_text(encoding="utf-8")
    assert page.count("<!-- generated:") == len(outputs.DESCRIBED)
    assert describe_columns(page) == page, "write docs/outputs.md anew with mien.apps.outputs.describe_columns"


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_ffmpeg_reads_the_subtitles(rows, tmp_path, suffix):
    (path,) = write_outputs(rows, None, MODEL, tmp_path / "a", formats=[suffix[1:]])
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.subtitles[0]) if packet.size]
        times = [(float(one.pts * one.time_base), float((one.pts + one.duration) * one.time_base)) for one in packets]
        np.testing.assert_allclose(times, [(0, 1.75), (1.75, 2.25), (3, 5), (6, 7)])
        assert b"person 1: sad 80%" in bytes(packets[1])
