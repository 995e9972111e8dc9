"""Folds, made or published: everybody tested once, one role per fold, men and women on both sides."""

import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.corpora import voxceleb
from mien.corpora.base import Listing
from mien.corpora.folds import arrange_published, cut_blocks, deal_people, hold_out, read_split
from mien.corpora.index import index
from mien.errors import CorpusError
from mien.io import tables


def people(names, sexes=("male", "female")) -> pd.DataFrame:
    return pd.DataFrame({"group": names, "sex": [sexes[(int(name) - 1) % len(sexes)] for name in names]})


def blocks_of(folds: pd.DataFrame) -> dict[str, list[str]]:
    return folds[folds.role == "test"].groupby("name", sort=False).group.agg(list).to_dict()


@settings(deadline=None)
@given(
    n_people=st.integers(3, 40),
    n_folds=st.integers(2, 12),
    scheme=st.sampled_from([cut_blocks, deal_people]),
    sexes=st.sampled_from([("male", "female"), ("female",), ("male", "male", "female"), ("",)]),
)
def test_every_scheme_keeps_the_promises(n_people, n_folds, scheme, sexes):
    if scheme is cut_blocks and sexes == ("",):
        return  # numbers without sexes cannot be paired
    cast = people([f"{k:02d}" for k in range(1, n_people + 1)], sexes)
    try:
        folds = scheme(cast, n_folds, corpus="x")
    except CorpusError as refusal:
        low, high = map(int, re.search(r"folds\.x can be (\d+) to (\d+)", str(refusal)).groups())
        assert n_folds > high or (n_folds < low and n_people < 6)  # a block would be (nearly) everybody
        assert scheme(cast, low, corpus="x").fold.nunique() == low
        assert scheme(cast, high, corpus="x").fold.nunique() == high == n_people
        return
    assert folds.fold.nunique() == folds.name.nunique() == n_folds
    assert sorted(folds.group[folds.role == "test"]) == sorted(cast.group)
    for _, fold in folds.groupby("fold"):
        assert sorted(fold.group) == sorted(cast.group)
        counts = fold.role.value_counts()
        assert {"test", "validation", "training"} == set(counts.index)
        n_left = n_people - counts["test"]
        sexes_left = cast.set_index("group").sex[fold.group[fold.role != "test"]].nunique()
        assert counts["validation"] == (1 if n_left < 4 else sexes_left)


def test_more_people_validate_where_they_are_asked_for():
    cast = people([f"{k:02d}" for k in range(1, 25)])
    folds, sex_of = cut_blocks(cast, 12, corpus="x"), dict(zip(cast.group, cast.sex, strict=True))
    held = hold_out(folds, sex_of, 4, corpus="x")
    validating = held[held.role == "validation"].groupby("fold").group.agg(list)
    assert validating[0] == ["03", "04", "05", "06"]
    assert validating[11] == ["01", "02", "03", "04"]
    assert held.drop(columns="role").equals(folds.drop(columns="role"))
    assert (held.role == "test").equals(folds.role == "test")
    assert held.role.value_counts().to_dict() == {"training": 12 * 18, "validation": 12 * 4, "test": 12 * 2}
    assert hold_out(folds, sex_of, 2, corpus="x").equals(folds)  # a man and a woman, as without
    with pytest.raises(CorpusError, match=r"12 people cannot validate fold A1,2.* validation\.x can be up to 11"):
        hold_out(folds, sex_of, 12, corpus="x")


def test_ravdess_pairs_are_those_of_the_thesis():
    folds = cut_blocks(people([f"{k:02d}" for k in range(1, 25)]), 12, corpus="ravdess")
    assert list(blocks_of(folds)) == [f"A{k},{k + 1}" for k in range(1, 24, 2)]
    assert blocks_of(folds)["A3,4"] == ["03", "04"]
    first = folds[(folds.fold == 0) & (folds.role == "validation")]
    last = folds[(folds.fold == 11) & (folds.role == "validation")]
    assert first.group.tolist() == ["03", "04"]
    assert last.group.tolist() == ["01", "02"]


def test_nine_folds_cover_the_91_actors_of_cremad(shared):
    cast = pd.read_csv(shared / "data/crema-d/VideoDemographics.csv", dtype=str)
    cast = pd.DataFrame({"group": cast.ActorID, "sex": cast.Sex.str.lower()})
    folds = deal_people(cast, 9, corpus="cremad")
    assert list(blocks_of(folds)) == [f"S{k}" for k in range(1, 10)]
    of_fold = folds[folds.role == "test"].merge(cast, on="group").groupby("name").sex.value_counts().unstack()
    assert of_fold.sum(axis=1).sum() == 91
    assert of_fold.male.between(5, 6).all()
    assert of_fold.female.between(4, 5).all()
    assert of_fold.sum(axis=1).between(10, 11).all()


def test_speakers_without_a_list_are_split_by_number():
    listing = Listing("voxceleb", tuple(f"id{k}" for k in range(10001, 10041)))
    for k, speaker in enumerate(listing.classes):
        listing.add_clip(f"{speaker}-a-00001", label=k, part="speakers-000", group=speaker)
    roles = voxceleb.arrange(listing, 1).groupby("role").group.agg(list)
    assert len(roles["training"]) == 33
    assert roles["test"] == ["id10037", "id10038", "id10039", "id10040"]
    assert len(roles["validation"]) == 3


SHIPPED = sorted((Path(__file__).parents[2] / "resources" / "splits").glob("*.csv"))
PEOPLE = {"ravdess": [f"{k:02d}" for k in range(1, 25)], "cremad": [str(k) for k in range(1001, 1092)]}


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
    with pytest.raises(CorpusError, match="no such file"):
        read_split(path)
    for content, words in (("actor,fold\n01,0\n", "should have the columns fold, name, group, role"), ("", "list")):
        path.write_text(content)
        with pytest.raises(CorpusError, match=words):
            read_split(path)


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
