"""Who is learnt from and who is tested: nobody and nothing on two sides, and every decision on record."""

import numpy as np
import pandas as pd
import pytest

from classical.corpora_of_faces import CROSS, clips_of, select, write_corpus
from mien.classical import samples as classical_samples
from mien.classical.samples import FACE4, LABELS, LEFT_EYE, RIGHT_EYE, fp68
from mien.errors import ConfigError, CorpusError, TableError
from mien.io import shards, tables
from mien.io.files import read_json, sha256
from mien.io.randomness import rng_for


def _results(tmp_path, ckplus=None, rafd=None):
    write_corpus(tmp_path, "ckplus", clips_of("ckplus", 4) if ckplus is None else ckplus)
    write_corpus(tmp_path, "rafd", clips_of("rafd", 1) if rafd is None else rafd)
    return tmp_path


def test_every_corpus_names_the_four_emotions():
    from mien.corpora.index import adapter_for

    for corpus in ("ckplus", "rafd", "mug", "jaffe"):
        labels = [LABELS.get(name) for name in adapter_for(corpus).CLASSES]
        assert sorted(k for k in labels if k is not None) == list(range(len(FACE4))), corpus


def test_roles_follow_corpus_and_camera(samples):
    table = samples.table
    assert set(table.corpus[table.role == "training"]) == {"ckplus"}
    tested = table[table.corpus == "rafd"]
    assert (tested.role.where(tested.angle.isin(CROSS["angles"]), "") == tested.role.replace("aside", "")).all()
    assert set(tested.angle) == {45, 90, 180}
    assert set(tested.gaze[tested.angle == 45]) == {"left"}
    assert set(table.angle[table.role == "training"]) == {90}  # a corpus without cameras is frontal
    assert not table["clip"].str.contains("fear|sad").any()
    assert len(table) == 8 * 4 + 2 * 4 * 3
    assert samples.title == "ckplus to rafd"


def test_a_sample_is_the_first_frame_with_a_face(results, samples):
    for row in samples.table.itertuples():
        shard = shards.read_faces(results / "faces" / row.corpus / row.part)
        mine = shard.index[(shard.index["clip"] == row.clip) & shard.index.found]
        assert row.row == (mine.index[0] if len(mine) else -1)
        if row.row >= 0:
            np.testing.assert_array_equal(row.points, fp68(shard.landmarks[row.row : row.row + 1])[0])
    assert (samples.table["row"][samples.table.angle == 45] % 2 == 1).all()


def test_missing_features_stay_on_record(samples):
    table = samples.table
    faceless = (table.angle == 180).to_numpy()
    assert (table.verdict[faceless] == "no face").all()
    surprised = (table.label_name == "surprise").to_numpy()
    np.testing.assert_array_equal(classical_samples.has_features(table, "image"), ~faceless)
    np.testing.assert_array_equal(classical_samples.has_features(table, "FP68"), ~faceless)
    np.testing.assert_array_equal(classical_samples.has_features(table, "AU8"), ~faceless & ~surprised)
    for features in ("AU8", "FP68"):
        values = classical_samples.vectors(table, features)
        np.testing.assert_array_equal(np.isfinite(values).all(axis=1), classical_samples.has_features(table, features))
        assert np.isnan(values[faceless]).all()
    assert samples.info["coverage"]["180"] == {"total": 8, "found": 0, "fitted": 0}
    assert samples.info["coverage"]["training"] == {"total": 32, "found": 32, "fitted": 24}
    assert samples.info["counts"] == dict.fromkeys(FACE4, 8)


def test_shaped_names_the_pictures_of_the_neutral_face(samples):
    table = samples.table
    np.testing.assert_array_equal(table.shaped, (table.label_name == "neutral") & (table.angle != 45))


def test_pictures_are_the_shards_in_grey(results, samples):
    grey = classical_samples.pictures(samples.table, results, 16)
    for k, row in enumerate(samples.table.itertuples()):
        frames = shards.read_faces(results / "faces" / row.corpus / row.part).frames
        np.testing.assert_array_equal(grey[k], frames[row.row, ..., 0] if row.row >= 0 else 0)
    assert classical_samples.pictures(samples.table, results, 20).shape == (len(samples.table), 20, 20)


def test_nobody_is_on_two_sides_of_a_split(samples):
    divisions = set()
    for split in range(CROSS["splits"]):
        roles = samples.roles(split)
        sides = samples.table.person.groupby(roles).unique()
        people = [set(sides[role]) for role in ("training", "validation", "test")]
        assert not people[0] & people[1]
        assert not (people[0] | people[1]) & people[2]
        assert len(people[0] | people[1]) == 8
        assert people[1]
        assert set(samples.table.label[roles == "training"]) == set(range(4))
        assert (roles[samples.table.role != "training"] == samples.table.role[samples.table.role != "training"]).all()
        divisions.add(frozenset(people[1]))
    assert len(divisions) > 1
    with pytest.raises(TableError, match="no split 6"):
        samples.roles(6)


def test_same_seed_same_bytes(results, samples, tmp_path):
    again = select(_results(tmp_path, clips_of("ckplus", 8), clips_of("rafd", 2)))
    for name in ("samples.parquet", "splits.parquet", "corpus.json"):
        assert sha256(again / name) == sha256(results / "samples" / "ckplus_rafd" / name)
    assert classical_samples.read_samples(again).digest == samples.digest


def test_copies_do_not_cross_and_are_counted(tmp_path):
    ckplus, rafd = clips_of("ckplus", 4), clips_of("rafd", 1)
    ckplus.loc[0, "sha256"] = rafd.loc[1, "sha256"]  # tested on as well
    ckplus.loc[2, "sha256"] = ckplus.loc[1, "sha256"]  # twice the same person: stays
    ckplus.loc[7, "sha256"] = ckplus.loc[6, "sha256"]
    ckplus.loc[11, "sha256"] = ckplus.loc[6, "sha256"]  # of another person
    out = select(_results(tmp_path, ckplus, rafd))
    kept = set(classical_samples.read_samples(out).table["clip"])
    assert [k for k in range(len(ckplus)) if ckplus["clip"][k] not in kept and k % 5 != 4] == [0, 11]
    assert read_json(out / "corpus.json")["dropped"] == 2


def test_a_corpus_that_its_publisher_divides_is_on_both_sides_with_its_own_pictures(tmp_path):
    clips = clips_of("fer2013", 6).assign(actor="")  # nobody is named
    folds = pd.DataFrame({"fold": 0, "name": "official", "group": [f"p{k}" for k in range(6)]})
    folds["role"] = ["training"] * 4 + ["validation", "test"]
    write_corpus(tmp_path, "fer2013", clips)
    tables.write(tmp_path / "corpora" / "fer2013" / "folds.parquet", folds, tables.FOLDS)
    of_test = set(clips["clip"][(clips.group == "p5") & (clips.label_name != "sad")])
    for most in (0, 16):
        samples = classical_samples.read_samples(select(tmp_path, train=["fer2013"], test="fer2013", most=most))
        table = samples.table
        learnt = table[table.role == "training"]
        assert set(table["clip"][table.role == "test"]) == of_test
        assert set(learnt["clip"]) < set(clips["clip"]) - of_test
        assert len(learnt) == learnt.person.nunique() == (most or 5 * 4)
        validating = samples.roles(0) == "validation"
        assert 0 < validating.sum() < len(learnt)
        assert not set(table["clip"][validating]) & of_test
    with pytest.raises(ConfigError, match="unless its publisher divides it: fer2013"):
        select(tmp_path, train=["ckplus"], test="ckplus")


def test_clips_that_stand_apart_or_have_no_picture_are_left_out(tmp_path):
    ckplus = clips_of("ckplus", 4)
    ckplus.loc[0, "apart"], ckplus.loc[6, "has_video"] = True, False
    kept = set(classical_samples.read_samples(select(_results(tmp_path, ckplus))).table["clip"])
    assert not {ckplus["clip"][0], ckplus["clip"][6]} & kept
    assert ckplus["clip"][1] in kept


def test_what_cannot_be_divided_says_what_to_do(tmp_path):
    full = clips_of("ckplus", 4)
    with pytest.raises(CorpusError, match=r"0 surprise.*cross\.train"):
        select(_results(tmp_path / "a", full[full.label_name != "surprise"]))
    with pytest.raises(CorpusError, match=r"test side.*cross\.angles"):
        select(_results(tmp_path / "b"), angles=[135])
    with pytest.raises(ConfigError, match="1 people"):
        select(_results(tmp_path / "c", clips_of("ckplus", 1)))
    one_angry = full[(full.label_name != "anger") | (full.actor == "p0")]
    assert "anger" in set(classical_samples.read_samples(select(_results(tmp_path / "d", one_angry))).table.label_name)
    two = clips_of("ckplus", 2)
    each_its_own = two[(two.actor == "p0") == two.label_name.isin(["neutral", "anger"])]
    with pytest.raises(ConfigError, match=r"lower cross\.validation"):
        select(_results(tmp_path / "e", each_its_own))
    with pytest.raises(CorpusError, match="its labels: fear"):
        select(_results(tmp_path / "f", full[full.label_name == "fear"]))


def test_stages_that_do_not_fit_together_are_refused(tmp_path):
    results = _results(tmp_path)
    path = results / "candide" / "ckplus" / "p0" / "index.parquet"
    fits = tables.read(path, tables.FITS)
    tables.write(path, fits[1:], tables.FITS)
    with pytest.raises(TableError, match="run fit_candide again"):
        select(results)
    path.unlink()
    with pytest.raises(TableError, match="is missing"):
        select(results)
    with pytest.raises(TableError, match="is missing"):
        classical_samples.read_samples(results)


# FP68


@pytest.fixture
def faces():
    return rng_for(0, "faces").normal(200.0, 40.0, (50, 68, 2))


def _turned(points, angles):
    cosine, sine = np.cos(angles), np.sin(angles)
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)  # (N, 2, 2)
    return np.einsum("nij,nlj->nli", turn, points)


def test_place_size_and_tilt_do_not_matter(faces):
    rng = rng_for(1, "moves")
    moved = _turned(faces, rng.uniform(-np.pi, np.pi, 50)) * rng.uniform(0.01, 100, (50, 1, 1))
    moved += rng.uniform(-1000, 1000, (50, 1, 2))
    np.testing.assert_allclose(fp68(moved), fp68(faces), atol=1e-8)


def test_the_shape_is_kept_up_to_a_similarity(faces):
    points = fp68(faces).reshape(-1, 68, 2)
    np.testing.assert_allclose(points.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((points**2).sum(axis=2).mean(axis=1), 1)
    eyes = points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1)
    assert (eyes[:, 0] > 0).all()
    np.testing.assert_allclose(eyes[:, 1], 0, atol=1e-12)
    ratio = np.linalg.norm(points[:, 1:] - points[:, :-1], axis=2) / np.linalg.norm(
        faces[:, 1:] - faces[:, :-1], axis=2
    )
    np.testing.assert_allclose(ratio / ratio[:, :1], 1)


def test_x_and_y_alternate_and_a_mirrored_face_is_another(faces):
    vector = fp68(faces)[0]
    level = _turned(faces[:1], np.zeros(1))
    assert fp68(level * [-1, 1])[0] == pytest.approx(vector * np.tile([1, -1], 68))  # turned back upright: y negated


def test_what_is_no_face_becomes_nan_alone(faces):
    bad = faces[:6].copy()
    bad[0] = np.nan
    bad[1, 7, 1] = np.inf
    bad[2] = 123.4  # all in one place
    bad[3, 36:48] = 5.0  # eyes in one place
    bad[4] = np.float32(0.1) * 3
    vectors = fp68(bad)
    assert np.isnan(vectors[:5]).all()
    np.testing.assert_array_equal(vectors[5], fp68(faces[5:6])[0])
    assert fp68(np.empty((0, 68, 2))).shape == (0, 136)
    with pytest.raises(ValueError, match="68"):
        fp68(np.zeros((3, 67, 2)))
