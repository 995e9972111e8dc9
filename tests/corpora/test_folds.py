"""Folds: everybody tested once, one role per fold, men and women on both sides."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.corpora import voxceleb
from mien.corpora.base import Listing
from mien.corpora.folds import blocks, dealt, members, official
from mien.errors import CorpusError


def people(names, sexes=("male", "female")) -> pd.DataFrame:
    return pd.DataFrame({"group": names, "sex": [sexes[(int(name) - 1) % len(sexes)] for name in names]})


def blocks_of(folds: pd.DataFrame) -> dict[str, list[str]]:
    return folds[folds.role == "test"].groupby("name", sort=False).group.agg(list).to_dict()


@given(
    n_people=st.integers(3, 40),
    n_folds=st.integers(2, 12),
    scheme=st.sampled_from([blocks, dealt]),
    sexes=st.sampled_from([("male", "female"), ("female",), ("male", "male", "female"), ("",)]),
)
def test_every_scheme_keeps_the_promises(n_people, n_folds, scheme, sexes):
    if scheme is blocks and sexes == ("",):
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


def test_ravdess_pairs_are_those_of_the_thesis():
    folds = blocks(people([f"{k:02d}" for k in range(1, 25)]), 12, corpus="ravdess")
    assert list(blocks_of(folds)) == [f"A{k},{k + 1}" for k in range(1, 24, 2)]
    assert blocks_of(folds)["A3,4"] == ["03", "04"]
    first = folds[(folds.fold == 0) & (folds.role == "validation")]
    last = folds[(folds.fold == 11) & (folds.role == "validation")]
    assert first.group.tolist() == ["03", "04"]
    assert last.group.tolist() == ["01", "02"]


def test_fewer_folds_hold_blocks_of_pairs():
    folds = blocks(people([f"{k:02d}" for k in range(1, 13)]), 3, corpus="ravdess")
    assert list(blocks_of(folds)) == ["A1-4", "A5-8", "A9-12"]


@pytest.mark.parametrize(
    ("n_folds", "names"),
    [(2, ["A1,2", "A5,20"]), (3, ["A1,2", "A5", "A20"]), (4, ["A1", "A2", "A5", "A20"])],
)
def test_four_actors_make_two_to_four_folds(n_folds, names):
    folds = blocks(people(["01", "02", "05", "20"]), n_folds, corpus="ravdess")
    assert list(blocks_of(folds)) == names
    assert (folds[folds.role == "training"].groupby("fold").size() >= 1).all()


def test_too_many_folds_name_the_largest_possible():
    with pytest.raises(CorpusError, match=r"4 people cannot make 5 folds; .* folds\.ravdess can be 2 to 4"):
        blocks(people(["01", "02", "05", "20"]), 5, corpus="ravdess")
    with pytest.raises(CorpusError, match="2 people are too few"):
        dealt(people(["01", "02"]), 2, corpus="cremad")
    with pytest.raises(CorpusError, match="can be 3 to 3"):
        dealt(people(["01", "02", "03"]), 1, corpus="cremad")


def test_nine_folds_cover_the_91_actors_of_cremad(shared):
    cast = pd.read_csv(shared / "data/crema-d/VideoDemographics.csv", dtype=str)
    cast = pd.DataFrame({"group": cast.ActorID, "sex": cast.Sex.str.lower()})
    folds = dealt(cast, 9, corpus="cremad")
    assert list(blocks_of(folds)) == [f"S{k}" for k in range(1, 10)]
    of_fold = folds[folds.role == "test"].merge(cast, on="group").groupby("name").sex.value_counts().unstack()
    assert of_fold.sum(axis=1).sum() == 91
    assert of_fold.male.between(5, 6).all()
    assert of_fold.female.between(4, 5).all()
    assert of_fold.sum(axis=1).between(10, 11).all()


def test_official_split_is_one_fold():
    with pytest.raises(CorpusError, match=r"set folds\.fer2013 to 1"):
        official({"Training": "training"}, 3, corpus="fer2013")
    with pytest.raises(CorpusError, match="nothing to train on"):
        official({"PrivateTest": "test"}, 1, corpus="fer2013")


def test_speakers_without_a_list_are_split_by_number():
    listing = Listing("voxceleb", tuple(f"id{k}" for k in range(10001, 10041)))
    for k, speaker in enumerate(listing.classes):
        listing.add_clip(f"{speaker}-a-00001", label=k, part="speakers-000", group=speaker)
    roles = voxceleb.arrange(listing, 1).groupby("role").group.agg(list)
    assert len(roles["training"]) == 33
    assert roles["test"] == ["id10037", "id10038", "id10039", "id10040"]
    assert len(roles["validation"]) == 3


def test_members_leave_out_clips_apart():
    clips = pd.DataFrame({"group": ["a", "a", "b"], "apart": [True, False, False]})
    folds = pd.DataFrame({"fold": [0, 0], "group": ["a", "b"], "role": ["test", "training"]})
    assert members(clips, folds, fold=0, role="test").index.tolist() == [1]
    assert members(clips, folds, fold=0, role="test", with_apart=True).index.tolist() == [0, 1]
