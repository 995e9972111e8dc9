"""Published divisions in folds: whole, disjoint, by people; a wrong file is refused in one sentence."""

import re
from pathlib import Path

import pandas as pd
import pytest

from mien.corpora.folds import arrange_published, read_split
from mien.corpora.index import index
from mien.errors import CorpusError
from mien.io import tables

SHIPPED = sorted((Path(__file__).parents[2] / "resources" / "splits").glob("*.csv"))
PEOPLE = {"ravdess": [f"{k:02d}" for k in range(1, 25)], "cremad": [str(k) for k in range(1001, 1092)]}


def people(names) -> pd.DataFrame:
    return pd.DataFrame({"group": names, "sex": ["male" if int(name) % 2 else "female" for name in names]})


def written(tmp_path, rows) -> Path:
    path = tmp_path / "split.csv"
    pd.DataFrame(rows, columns=["fold", "name", "group", "role"]).to_csv(path, index=False)
    return path


def two_folds() -> list[list]:
    """Return a valid division of 01 to 06."""
    return [
        [fold, f"F{fold}", f"0{k}", "test" if (k > 3) == bool(fold) else "training"]
        for fold in (0, 1)
        for k in range(1, 7)
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_shipped_divisions_test_everybody_once_and_name_everybody_everywhere(path):
    corpus = path.stem.split("-")[0]
    split = read_split(path)
    assert sorted(split.group[split.role == "test"]) == PEOPLE[corpus]
    assert all(sorted(fold.group) == PEOPLE[corpus] for _, fold in split.groupby("fold"))
    folds, absent = arrange_published(people(PEOPLE[corpus]), split, split.fold.nunique(), corpus=corpus, path=path)
    assert absent == []
    assert folds[folds.role == "test"].reset_index(drop=True).equals(split[split.role == "test"].reset_index(drop=True))
    assert f"`{path.name}`" in (path.parent / "README.md").read_text()
    for _, fold in folds.groupby("fold"):
        validating = fold.group[fold.role == "validation"]
        assert sorted(int(person) % 2 for person in validating) == [0, 1]  # a woman and a man


def test_hicmae_is_consecutive_and_emobox_is_not():
    tested = {
        path.stem: read_split(path).query("role == 'test'").groupby("fold").group.agg(list).tolist() for path in SHIPPED
    }
    assert tested["ravdess-hicmae"] == [PEOPLE["ravdess"][k : k + 4] for k in range(0, 24, 4)]
    assert [len(block) for block in tested["cremad-hicmae"]] == [18, 18, 18, 18, 19]
    assert [person for block in tested["cremad-hicmae"] for person in block] == PEOPLE["cremad"]
    assert [len(block) for block in tested["ravdess-emobox"]] == [4] * 6


def test_validation_people_of_the_source_are_kept(tmp_path):
    rows = two_folds()
    rows[4][3] = "validation"  # 05, in fold 0
    path = written(tmp_path, rows)
    folds, _ = arrange_published(people([f"0{k}" for k in range(1, 7)]), read_split(path), 2, corpus="x", path=path)
    first = folds[folds.fold == 0]
    assert first.group[first.role == "validation"].tolist() == ["05"]


def test_people_that_a_copy_lacks_are_left_out_and_recorded(embed, tmp_path):
    whole = embed("jaffe")  # three people; any corpus will do
    names = sorted(whole.clips.group.unique())
    roles = {names[0]: 0, names[1]: 1, names[2]: 2, "24": 0}
    rows = [
        [fold, f"F{fold}", name, "test" if tested == fold else "training"]
        for fold in range(3)
        for name, tested in roles.items()
    ]
    clips, folds, defects, _ = index("jaffe", whole.root, n_folds=3, split=written(tmp_path, rows))
    assert clips.drop(columns="defect").equals(whole.clips.drop(columns="defect"))
    assert sorted(folds.group.unique()) == names
    assert folds.name.unique().tolist() == ["F0", "F1", "F2"]
    assert defects.detail[defects.defect == "absent"].tolist() == ["24 of split.csv is not in this copy"]
    tables.write(tmp_path / "folds.parquet", folds, tables.FOLDS)
    assert tables.read(tmp_path / "folds.parquet", tables.FOLDS).equals(folds)


def test_people_who_are_never_tested_are_named(tmp_path, caplog):
    rows = two_folds()
    rows[11][3] = "training"
    path = written(tmp_path, rows)
    folds, _ = arrange_published(people([f"0{k}" for k in range(1, 7)]), read_split(path), 2, corpus="x", path=path)
    assert "06" not in folds.group[folds.role == "test"].tolist()
    assert "tested in no fold: 06" in caplog.text


def swap(rows, place, value):
    rows[place[0]][place[1]] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (swap(two_folds(), (0, 3), "training"), None),
        (swap(two_folds(), (3, 3), "test"), "tested in more than one fold: 04"),
        (swap(two_folds(), (3, 3), "Test"), "role should be one of test, validation, training; found Test"),
        ([*two_folds(), [0, "F0", "01", "training"]], "01 has two rows in fold F0"),
        (swap(two_folds(), (0, 1), "F1"), "every fold needs a name of its own"),
        ([[row[0] + 1, *row[1:]] for row in two_folds()], "folds should be numbered 0, 1, ...; found 1, 2"),
        ([row for row in two_folds() if row[3] == "test"], "fold F0 has nobody for training"),
        ([], "folds should be numbered"),
    ],
)
def test_contradictions_are_refused(tmp_path, rows, words):
    path = written(tmp_path, rows)
    if words is None:
        assert len(read_split(path)) == 12
        return
    with pytest.raises(CorpusError, match=re.escape(words)) as refusal:
        read_split(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_division_is_refused(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("actor,fold\n01,0\n")
    with pytest.raises(CorpusError, match="should have the columns fold, name, group, role; found actor, fold"):
        read_split(path)
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"list\.csv"):
        read_split(path)
    with pytest.raises(CorpusError, match="no such file"):
        read_split(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("names", "n_folds", "words"),
    [
        (range(1, 7), 3, "has 2 folds: set folds.x to 2"),
        (range(1, 8), 2, "fold F0 does not name 07 of x"),
        (range(1, 4), 2, "nobody of fold F0 is left for training, as this copy of x lacks 04, 05, 06"),
        ((3, 4), 2, "too few people to validate and train in fold 0"),
    ],
)
def test_a_copy_that_the_division_does_not_fit_is_refused(tmp_path, names, n_folds, words):
    path = written(tmp_path, two_folds())
    with pytest.raises(CorpusError, match=re.escape(words)):
        arrange_published(people([f"0{k}" for k in names]), read_split(path), n_folds, corpus="x", path=path)
