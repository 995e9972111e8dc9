"""Corpora that come as numbers: official names, folds of people, vectors cut from a table, damaged tables."""

import json

import numpy as np
import pytest

from mien.corpora.download import get_corpus
from mien.corpora.index import index, index_corpus
from mien.corpora.vectors import extract_vectors, read_table
from mien.errors import CorpusError
from mien.io import shards, tables
from mien.io.files import read_json
from planted_vectors import COLUMNS, names, write_table


def test_clips_are_the_official_names_and_no_fold_shares_a_person(tmp_path):
    write_table(tmp_path / "au_mfcc.npz", names(24))
    clips, folds, defects, classes = index("ravdess_au", tmp_path, n_folds=12, validation=4)
    assert len(clips) == 24 * 15
    assert clips.has_video.all()
    assert clips.has_audio.all()
    assert defects.empty
    first = clips[clips["clip"] == "01-05-02-01-01-03"].iloc[0]
    assert (first.label_name, first.actor, first.sex, first.intensity) == ("angry", "03", "male", "strong")
    assert (first.label_name, len(classes)) == (classes[4], 8)
    assert folds.name.unique().tolist()[:2] == ["A1,2", "A3,4"]
    for _, fold in folds.groupby("fold"):
        assert sorted(fold.group) == sorted(clips.actor.unique())  # each person once
        assert fold.role.value_counts().to_dict() == {"training": 18, "validation": 4, "test": 2}
    assert sorted(folds.group[folds.role == "test"]) == sorted(clips.actor.unique())
    sexes = clips.drop_duplicates("actor").set_index("actor").sex
    chosen = folds[(folds.fold == 11) & (folds.role == "validation")].group
    assert sexes[chosen].value_counts().to_dict() == {"male": 2, "female": 2}
    assert sorted(chosen) == ["01", "02", "03", "04"]


def test_strange_names_and_equal_rows_are_put_on_record(tmp_path):
    stem = [*names(4), "03-01-01-01-01-01-01", "notes", names(4)[0]]
    numbers = np.arange(13 * len(stem), dtype=np.float32).reshape(-1, 13)
    numbers[16] = numbers[15]  # of one person, neutral and calm
    np.savez(tmp_path / "t.npz", stem=np.array(stem), features=numbers)
    clips, _, defects, _ = index("ravdess_au", tmp_path, n_folds=2)
    found = defects.groupby("defect").size().to_dict()
    assert found == {"misnamed": 2, "rival copy": 1, "twin": 2}
    torn = clips[~clips.has_video]
    assert sorted(torn["clip"]) == ["01-01-01-01-01-02", "01-02-01-01-01-02"]  # which label is right is not known


def _prepare(folder, *, columns=COLUMNS):
    row = {"source": str(folder / "in" / "t.npz"), "actors": 6, "columns": columns}
    config = json.dumps({"corpora": {"ravdess_au": row}, "folds": {"ravdess_au": 4}})
    manifest, corpus = folder / "data/ravdess_au.json", folder / "results/corpora/ravdess_au"
    get_corpus(corpus="ravdess_au", out=manifest, config=config)
    index_corpus(corpus="ravdess_au", manifest=manifest, out=corpus, config=config)
    where = {"manifest": manifest, "clips": corpus / "clips.parquet", "out": folder / "results/vectors/ravdess_au"}
    extract_vectors(corpus="ravdess_au", config=config, **where)
    return read_json(where["out"] / "manifest.json"), shards.read_vectors(where["out"] / "all")


def test_vectors_are_the_columns_of_the_rows_of_their_names(tmp_path):
    stem = names()[::-1]
    numbers = write_table(tmp_path / "in/t.npz", stem, lost=(4, 11))
    manifest, rows = _prepare(tmp_path)
    assert manifest["sizes"] == {"face_features": 10, "voice_features": 3}
    assert manifest["n_vectors"] == {"face_features": 120, "voice_features": 119}
    (problem,) = manifest["problems"]
    assert (problem["clip"], problem["reason"]) == (stem[4][3:], "voice_features: not finite")
    for k, (first, end) in enumerate(COLUMNS.values()):
        of = rows[rows.modality == list(COLUMNS)[k]].set_index("clip")["values"]
        for row, name in zip(numbers[:, first:end], stem, strict=True):
            if name[3:] in of.index:
                np.testing.assert_array_equal(of[name[3:]], row)


def test_more_columns_than_there_are_are_refused(tmp_path):
    write_table(tmp_path / "in/t.npz", names())
    with pytest.raises(CorpusError, match=r"has 13 columns; voice_features should end there at most, not at 14"):
        _prepare(tmp_path, columns=COLUMNS | {"voice_features": [10, 14]})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"no archive"), "no table with stem"),
        (lambda path: np.savez(path, names=np.zeros(3)), "no table with stem"),
        (lambda path: np.savez(path, stem=np.array([{}], object), features=np.zeros((1, 2))), "no table with stem"),
        (lambda path: np.savez(path, stem=np.array(["a"]), features=np.zeros(1)), r"found \(1,\)"),
        (lambda path: np.savez(path, stem=np.array(["a"]), features=np.zeros((2, 2))), "1 names and 2 rows"),
    ],
)
def test_other_files_are_refused_and_never_executed(tmp_path, write, message):
    write(tmp_path / "t.npz")
    with pytest.raises(CorpusError, match=message):
        read_table(tmp_path / "t.npz")


def test_one_table_is_wanted(tmp_path):
    with pytest.raises(CorpusError, match="nothing of ravdess_au here"):
        index("ravdess_au", tmp_path, n_folds=2)
    for name in ("a.npz", "b.npz"):
        write_table(tmp_path / name, names())
    with pytest.raises(CorpusError, match=r"a.npz, b.npz are 2 tables"):
        index("ravdess_au", tmp_path, n_folds=2)


def test_the_real_table_is_complete_but_for_a_twin(shared):
    path = shared / "data/ravdess/au_mfcc.npz"
    stem, numbers = read_table(path)
    assert (len(stem), numbers.shape) == (1440, (1440, 294))
    assert tables.VECTORS.columns.names == ["clip", "modality", "values"]
