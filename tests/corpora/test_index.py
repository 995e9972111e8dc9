"""Every adapter finds in its embedded corpus what was put there, and nothing leaks between folds."""

import math

import numpy as np
import pandas as pd

from mien.corpora.folds import select_members
from mien.corpora.index import index

OURS = {  # class names of the corpora -> emotions of the synthetic people
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
    "disgusted": "disgust",
    "contemptuous": "contempt",
}


def found(rows: pd.DataFrame) -> set[tuple[str, str, str]]:
    return set(rows[["clip", "path", "defect"]].itertuples(index=False, name=None))


def test_found_defects_are_the_planted_ones(embedded):
    planted = found(embedded.truth("planted"))
    assert planted
    assert found(embedded.defects) == planted


def test_every_written_clip_is_found_or_missing(embedded):
    missing = set(embedded.defects["clip"][embedded.defects.defect == "missing"])
    truth = embedded.truth("clips")
    if embedded.corpus == "fer2013":  # its rows have no names
        assert len(embedded.clips) == len(truth)
    else:
        assert set(embedded.clips["clip"]) == set(truth["clip"]) - missing
    assert embedded.clips["clip"].is_unique


def test_labels_are_the_acted_emotions(embedded):
    if embedded.corpus in ("fer2013", "voxceleb"):
        return  # no names in the one; the class is the speaker in the other
    truth = embedded.truth("clips").set_index("clip")
    labelled = embedded.clips[embedded.clips.label >= 0]
    acted = truth.loc[labelled["clip"]]
    expected = acted.emotion.where((acted.intensity > 0) | (acted.emotion == "neutral"), "neutral").to_numpy()
    names = labelled.label_name.map(lambda name: OURS.get(name, name)).to_numpy()
    assert (names == expected).all()
    assert (labelled.label_name.to_numpy() == np.array(embedded.classes)[labelled.label]).all()


def test_nothing_leaks_between_the_roles_of_a_fold(embedded):
    for fold in embedded.folds.fold.unique():
        roles = embedded.folds[embedded.folds.fold == fold]
        assert roles.group.is_unique
        assert set(roles.group) == set(embedded.clips.group)
        training, *others = (
            select_members(embedded.clips, embedded.folds, fold=fold, role=role)
            for role in ("training", "validation", "test")
        )
        assert len(training)
        for held_out in others:
            for column in ("group", "sequence", "duplicate", "sha256"):
                shared = set(training[column]) & set(held_out[column])
                assert shared <= {""}, (column, shared)


def test_index_is_the_same_with_two_processes(embed):
    first = embed("cremad")
    again = index("cremad", first.root, n_folds=3, n_jobs=2)
    for one, other in zip((first.clips, first.folds, first.defects), again[:3], strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_fer2013_test_images_seen_in_training_are_apart(embed):
    fer = embed("fer2013")
    apart = fer.clips[fer.clips.apart]
    n_tested = fer.clips.group.value_counts()
    for usage in ("PublicTest", "PrivateTest"):  # as in the real corpus: 499 of 7178
        assert (apart.group == usage).sum() == math.ceil(0.07 * n_tested[usage])
    assert apart.duplicate.isin(fer.clips.duplicate[fer.clips.group == "Training"]).all()
    every = select_members(fer.clips, fer.folds, fold=0, role="test", with_apart=True)
    alone = select_members(fer.clips, fer.folds, fold=0, role="test")
    assert len(every) - len(alone) == (apart.group == "PrivateTest").sum()


def test_ckplus_labels_first_and_last_frames_of_labelled_sequences(embed):
    ckplus = embed("ckplus")
    for _, frames in ckplus.clips.groupby("sequence"):
        labels = frames.sort_values("item").label.tolist()
        assert frames.sort_values("item").item.tolist() == list(range(6))
        assert labels == [-1] * 6 or (labels[:3] == [0, -1, -1] and labels[3] == labels[4] == labels[5] > 0)
