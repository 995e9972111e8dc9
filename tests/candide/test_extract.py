"""Every frame of a corpus gets a verdict, every person a face with a source, whatever the recordings are like."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from mien.candide import extract, mesh
from mien.candide.fit import DEGENERATE, FITTED, NO_FACE, NOT_FINITE
from mien.candide.mesh import ACTIONS, LANDMARKS, SHAPES, VERTICES
from mien.candide.pose import project, rotation_matrix
from mien.config import schema
from mien.errors import TableError
from mien.io import shards, tables
from mien.io.files import read_json, write_json
from mien.io.randomness import rng_for
from mien.io.shards import folder_digest

CONFIG = {"landmarks": "printed", "ridge": 1e-3, "warm_start": True, "evaluations": 100, "tolerance": 1e-8}
SHAPE = np.array([0.3, -0.1, 0.1, 0.05, 0.2, -0.2, 0.02])  # of everybody in these tests
SMILE = np.array([0.2, -0.1, -0.9, 0.5, 0.8, 0.2, 0.0, 0.1])
STILL = np.zeros(8)


def picture(units=STILL, *, yaw_deg=5.0, shape=SHAPE):
    """Return exact landmarks (68, 2) of a face."""
    face = mesh.load_mesh()
    all_shapes, all_actions = np.zeros(14), np.zeros(11)
    all_shapes[list(SHAPES)], all_actions[list(ACTIONS)] = shape, units
    vertices = face.deform(all_shapes, all_actions)[list(VERTICES["printed"])]
    turn = rotation_matrix(np.array([0.02, np.deg2rad(yaw_deg), -0.03]))
    landmarks = np.full((68, 2), 100.0)
    landmarks[list(LANDMARKS)] = project(vertices, turn, 60.0, np.array([120.0, 100.0]))
    return landmarks


def film(n_frames=4, apex=SMILE):
    """Return landmarks (T, 68, 2) from the neutral face to the apex."""
    return np.stack([picture(apex * share) for share in np.linspace(0, 1, n_frames)])


class Corpus:
    """A corpus of landmarks in a folder: what extract_faces and index_corpus leave."""

    def __init__(self, folder):
        self.folder, self.clips, self.shards = folder, [], {}

    def add(self, clip, landmarks, *, part="01", actor="01", label="happy", found=None, **more):
        row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": "toy", "clip": clip, "part": part}
        row |= {"actor": actor, "group": actor, "label": 0, "label_name": label, "item": -1}
        row |= {"cropped": False, "has_video": True, "has_audio": False, "apart": False}
        self.clips.append(row | more)
        found = np.isfinite(landmarks).all(axis=(1, 2)) if found is None else found
        self.shards.setdefault(part, []).append((clip, landmarks, np.asarray(found)))
        return self

    def write(self):
        digests = {}
        for part, clips in self.shards.items():
            index = pd.concat([self._index(*clip) for clip in clips], ignore_index=True)
            landmarks = np.concatenate([points for _, points, _ in clips])
            frames = np.zeros((len(index), 4, 4, 3), np.uint8)
            shards.write_faces(self.folder / "faces" / part, shards.FaceShard(frames, landmarks, index))
            digests[part] = folder_digest(self.folder / "faces" / part)
        clips = pd.DataFrame(self.clips, columns=tables.CLIPS.columns.names)
        tables.write(self.folder / "clips.parquet", clips, tables.CLIPS)
        write_json(self.folder / "faces" / "manifest.json", {"corpus": "toy", "parts": digests})
        return self

    @staticmethod
    def _index(clip, landmarks, found):
        n = len(landmarks)
        side = {name: np.full(n, 64.0) for name in ("x", "y", "side", "score")}
        times = {"frame": np.arange(n), "time_s": np.arange(n) / 10}
        return pd.DataFrame({"clip": [clip] * n, **times, **side, "found": found})

    def fit(self, *, out="candide", jobs=1, **changes):
        faces = self.folder / "faces"
        paths = {"manifest": faces / "manifest.json", "clips": self.folder / "clips.parquet", "faces": faces}
        config = json.dumps({"candide": CONFIG | changes})
        extract.fit_candide(corpus="toy", **paths, out=self.folder / out, config=config, jobs=jobs)
        return read_json(self.folder / out / "manifest.json")

    def fits(self, part="01"):
        return tables.read(self.folder / "candide" / part / "index.parquet", tables.FITS)

    def people(self, part="01"):
        return tables.read(self.folder / "candide" / part / "people.parquet", tables.PEOPLE).set_index("actor")


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


def test_the_fits_stand_in_the_order_of_the_shard_and_find_what_was_done(corpus):
    corpus.add("b", film(5)).add("a", film(3, -SMILE)).add("rest", film(9, STILL), label="neutral")
    corpus.add("other", film(2), part="02", actor="02").write()
    manifest = corpus.fit(ridge=1e-6)
    fits = corpus.fits()
    assert fits["clip"].tolist() == ["b"] * 5 + ["a"] * 3 + ["rest"] * 9
    assert fits.frame.tolist() == [*range(5), *range(3), *range(9)]
    assert set(fits.verdict) == {FITTED}
    truth = [SMILE * share for share in np.linspace(0, 1, 5)] + [-SMILE * share for share in (0, 0.5, 1)] + 9 * [STILL]
    # Lid tightener and eyes closed move the same points in nearly the same way: their sum is what can be seen.
    seen, done = np.stack(fits.units.to_list()), np.stack(truth)
    np.testing.assert_allclose(seen[:, [0, 1, 2, 3, 4, 6]], done[:, [0, 1, 2, 3, 4, 6]], atol=0.02)
    np.testing.assert_allclose(seen[:, [5, 7]].sum(axis=1), done[:, [5, 7]].sum(axis=1), atol=0.05)
    np.testing.assert_allclose(corpus.people()["shape"]["01"], SHAPE, atol=0.01)
    assert manifest["n_frames"] == 19
    assert manifest["verdicts"] == {FITTED: 19}
    assert sorted(manifest["parts"]) == ["01", "02"]
    assert manifest["people"] == {"neutral": 0, "first": 0, "films": 1, "mean face": 1}
    assert manifest["persons_without_neutral"] == ["02"]
    assert manifest["residual_median"] <= 0.01 < manifest["residual_q95"] < 0.02  # 02 has the mean face


def test_in_pictures_the_face_of_a_person_is_the_median_of_the_neutral_frontal_ones(corpus):
    odd, none = picture(shape=SHAPE + 1.0), np.full((1, 68, 2), np.nan)
    corpus.add("n1", picture()[None], label="neutral")
    corpus.add("n2", picture()[None], label="neutral", view="090 frontal")
    corpus.add("n3", odd[None], label="neutral", view="090 left")
    corpus.add("aside", odd[None], label="neutral", view="045 frontal")
    corpus.add("blank", none, label="neutral").add("happy", odd[None]).write()
    corpus.fit(ridge=1e-6)
    person = corpus.people().loc["01"]
    assert person.source == "neutral"
    assert person.clips.tolist() == ["n1", "n2", "n3"]
    np.testing.assert_allclose(person["shape"], SHAPE, atol=0.01)


def test_in_films_the_face_of_a_person_is_the_median_of_all_frontal_frames_whatever_their_labels(tmp_path):
    """Two people of planted shapes act strongly in a third of their frames; the labels may say anything."""
    shapes = {"01": SHAPE, "02": -SHAPE}
    fits, people = [], []
    for seed in range(3):
        labels = rng_for(seed, "labels").permutation(["neutral", "happy", "sad", "angry"])
        corpus = Corpus(tmp_path / str(seed))
        for actor, shape in shapes.items():
            still, moved = (picture(units, shape=shape) for units in (STILL, SMILE))
            for clip, label in enumerate(labels):
                frames = np.stack([moved, still, still] * 10)
                corpus.add(f"{actor}-{clip}", frames, actor=actor, part=actor, label=label)
            aside = np.stack([picture(yaw_deg=45.0, shape=shape + 1.0)] * 200)
            corpus.add(f"{actor}-aside", aside, actor=actor, part=actor, label="neutral", view="045 frontal")
        manifest = corpus.write().fit()
        assert manifest["people"] == {"neutral": 0, "first": 0, "films": 2, "mean face": 0}
        assert manifest["persons_without_neutral"] == []
        assert "warning" not in manifest
        fits.append(pd.concat([corpus.fits(actor) for actor in shapes]))
        people.append(pd.concat([corpus.people(actor) for actor in shapes]))
    for actor, shape in shapes.items():
        person = people[0].loc[actor]
        assert (person.source, person.clips.tolist()) == ("films", [])
        np.testing.assert_allclose(person["shape"], shape, atol=0.05)
    for other in range(1, 3):
        pd.testing.assert_frame_equal(fits[other], fits[0])
        pd.testing.assert_frame_equal(people[other], people[0])


def test_without_a_neutral_picture_the_first_of_a_sequence_or_the_mean_face_serves(corpus, caplog):
    for item, landmarks in enumerate(film(3)):
        corpus.add(f"s-{item}", landmarks[None], sequence="s", item=item, label="")
    corpus.add("film", film(3), actor="02").add("film3", film(2), actor="03", label="calm")
    corpus.add("a", film(1), part="row", actor="", label="neutral").write()
    with caplog.at_level(logging.WARNING):
        manifest = corpus.fit()
    people = corpus.people()
    assert people.source.to_dict() == {"01": "first", "02": "mean face", "03": "mean face"}
    assert people.clips["01"].tolist() == ["s-0"]
    assert people.clips["02"].tolist() == []
    np.testing.assert_array_equal(people["shape"]["02"], np.zeros(7))
    nameless = corpus.people("row")
    assert nameless.source.to_dict() == {"": "mean face"}  # pictures of many people have no median face
    assert manifest["persons_without_neutral"] == ["01", "02", "03"]
    assert "no neutral frontal face" in manifest["warning"]
    assert manifest["warning"] in caplog.text
    assert manifest["verdicts"] == {FITTED: 9}


def test_a_frame_that_cannot_be_fitted_is_marked_and_kept(corpus):
    line = np.linspace([10, 20], [90, 60], 68)
    landmarks = np.stack([picture(), np.full((68, 2), np.nan), picture(), line, np.full((68, 2), 7.0), picture(SMILE)])
    landmarks[2, 36, 0] = np.nan
    corpus.add("n", picture()[None], label="neutral").add("clip", landmarks, found=[True, False, *[True] * 4]).write()
    manifest = corpus.fit()
    fits = corpus.fits()
    assert fits.verdict.tolist() == [FITTED, FITTED, NO_FACE, NOT_FINITE, DEGENERATE, DEGENERATE, FITTED]
    bad = fits[fits.verdict != FITTED]
    assert bad[["scale", "residual"]].isna().all().all()
    assert all(np.isnan(np.concatenate([row.rotation, row.origin, row.units])).all() for row in bad.itertuples())
    assert [len(units) for units in fits.units] == [8] * 7
    assert manifest["verdicts"] == {FITTED: 3, NO_FACE: 1, NOT_FINITE: 1, DEGENERATE: 2}
    assert manifest["n_frames"] == 7


def test_a_corpus_in_which_nothing_can_be_fitted_is_no_crash(corpus):
    corpus.add("n", np.full((2, 68, 2), 7.0), label="neutral").add("blank", np.full((3, 68, 2), np.nan)).write()
    manifest = corpus.fit()
    assert manifest["verdicts"] == {DEGENERATE: 2, NO_FACE: 3}
    assert manifest["people"] == {"neutral": 0, "first": 0, "films": 0, "mean face": 1}
    assert manifest["mean_iterations"] is manifest["residual_median"] is None
    Corpus(corpus.folder).write()
    assert corpus.fit()["parts"] == {}
    assert not (corpus.folder / "candide" / "01").exists()


def test_the_number_of_processes_changes_nothing_and_finished_parts_stay(corpus):
    noisy = film(6) + rng_for(0, "noise").normal(0.0, 0.6, (6, 68, 2))
    corpus.add("a", noisy).add("b", film(3), part="02", actor="02").write()
    corpus.fit()
    two = corpus.fit(out="two", jobs=2)
    content = [
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (corpus.folder / "candide", corpus.folder / "two")
    ]
    assert content[0] == content[1]
    stamps = [(corpus.folder / "two" / part / "index.parquet").stat().st_mtime_ns for part in ("01", "02")]
    corpus.shards["02"] = [("b", film(3, 0.5 * SMILE), np.ones(3, bool))]
    three = corpus.write().fit(out="two")
    again = [(corpus.folder / "two" / part / "index.parquet").stat().st_mtime_ns for part in ("01", "02")]
    assert again[0] == stamps[0]
    assert again[1] != stamps[1]
    assert three["parts"]["01"] == two["parts"]["01"]
    assert three["parts"]["02"] != two["parts"]["02"]


def test_damaged_input_is_named(corpus):
    corpus.add("a", film(2)).write()
    with pytest.raises(TableError, match="describes other, not toy"):
        write_json(corpus.folder / "faces" / "manifest.json", {"corpus": "other", "parts": {}})
        corpus.fit()
    corpus.write()
    np.save(corpus.folder / "faces" / "01" / "landmarks.npy", np.zeros((2, 5, 2)))
    with pytest.raises(TableError, match=r"landmarks\.npy.*\(2, 5, 2\)"):
        corpus.fit()
    corpus.write()
    (corpus.folder / "faces" / "01" / "landmarks.npy").write_bytes(b"half")
    with pytest.raises(TableError, match="damaged"):
        corpus.fit()
    corpus.clips[0]["clip"] = "renamed"
    corpus.write()
    with pytest.raises(TableError, match="CLIPS has no clip 'a'"):
        corpus.fit()


def test_the_real_stills_are_fitted(shared, corpus):
    from mien.faces.extract import open_pictures
    from mien.faces.track import follow

    faces = schema.FacesConfig(rate_fps=10, size_px=32, detect_px=240, detect_every=8, margin=1.2, region_s=2.0)
    stills = sorted((shared / "data" / "ravdess" / "stills").glob("*.png"))
    for file in stills:
        track = follow(open_pictures(file, faces.rate_fps), faces)
        corpus.add(file.stem, track.landmarks, actor=file.stem)
    manifest = corpus.write().fit()
    assert manifest["verdicts"] == {FITTED: len(stills)}
    assert len(stills) == 24
    fits = corpus.fits()
    turns = rotation_matrix(np.stack(fits.rotation.to_list()))
    yaw_deg = np.rad2deg(np.arctan2(turns[:, 0, 2], turns[:, 2, 2]))
    roll_deg = np.rad2deg(np.arctan2(turns[:, 1, 0], turns[:, 1, 1]))
    assert (np.abs(yaw_deg) < 25).all()
    assert (np.abs(roll_deg) < 12).all()
    assert fits.residual.between(0.005, 0.12).all()  # the face is two units wide, and dlib is no more exact than that
