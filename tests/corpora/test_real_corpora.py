"""The adapters on what we have of the real corpora."""

import csv
import gzip
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest

from mien.corpora import cremad, fer2013
from mien.corpora.download import unpack
from mien.corpora.index import compare_counts, index
from mien.errors import CorpusError
from mien.evaluation.calibration import perceived, share_at
from mien.synthetic.containers import write_pointer


@pytest.fixture(scope="module")
def ravdess(shared, tmp_path_factory):
    root = tmp_path_factory.mktemp("real") / "ravdess"
    unpack([shared / "data/ravdess/Audio_Speech_Actors_subset.zip"], root)
    return root, *index("ravdess", root, n_folds=4)


def test_ravdess_subset_is_complete_and_five_takes_are_stereo(ravdess, shared):
    _, clips, folds, defects, classes = ravdess
    assert clips.groupby("actor").size().to_dict() == dict.fromkeys(["01", "02", "05", "20"], 60)
    assert clips.sex.value_counts().to_dict() == {"male": 120, "female": 120}
    counts = dict.fromkeys(classes, 32) | {"neutral": 16}
    assert clips.label_name.value_counts().to_dict() == counts
    assert clips.has_audio.all()
    assert not clips.has_video.any()
    assert folds.name.unique().tolist() == ["A1", "A2", "A5", "A20"]
    with gzip.open(shared / "data/ravdess/audio_manifest.tsv.gz", "rt") as file:
        known = {row["file"]: row["sha256"] for row in csv.DictReader(file, delimiter="\t")}
    assert all(known[path.rsplit("/", 1)[-1]] == found for path, found in zip(clips.audio, clips.sha256, strict=True))
    assert set(defects.defect) == {"stereo"}
    takes = ("02-01-01-02-01", "02-01-02-02-05", "03-01-02-01-20", "06-01-01-02-20", "08-01-02-02-01")
    assert sorted(defects["clip"]) == [f"01-{take}" for take in takes]


def test_ravdess_nested_second_set_is_put_aside(ravdess, tmp_path):
    for actor in ("Actor_01", "Actor_02", "Actor_05"):
        for path in sorted((ravdess[0] / actor).iterdir())[:4]:
            for folder in (tmp_path / actor, tmp_path / "audio_speech_actors_01-24" / actor):
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / path.name)
    altered = tmp_path / "audio_speech_actors_01-24" / "Actor_01" / "03-01-01-01-01-01-01.wav"
    altered.write_bytes(altered.read_bytes()[:-1] + b"?")
    clips, _, defects, _ = index("ravdess", tmp_path, n_folds=3)
    assert len(clips) == 12
    assert not clips.audio.str.contains("audio_speech_actors").any()
    counts = defects.defect.value_counts()
    assert (counts["twin copy"], counts["rival copy"]) == (11, 1)


@pytest.fixture(scope="module")
def cremad_clone(shared, tmp_path_factory):
    """A clone without git-lfs: every medium is a pointer."""
    root = tmp_path_factory.mktemp("real") / "CREMA-D"
    shutil.copytree(shared / "data/crema-d", root)
    (root / "processedResults").mkdir()
    with gzip.open(root / "tabulatedVotes.csv.gz") as file:
        (root / "processedResults" / "tabulatedVotes.csv").write_bytes(file.read())
    with gzip.open(root / "lfs_manifest.tsv.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = root / row["path"]
            path.parent.mkdir(exist_ok=True)
            write_pointer(path, row["sha256"], int(row["size"]))
    return root


def test_cremad_names_and_gaps_are_the_published_ones(cremad_clone):
    listing = cremad.find(cremad_clone)
    assert len(listing.clips) == 7442
    counts = {name: sum(row["label_name"] == name for row in listing.clips) for name in cremad.CLASSES}
    assert counts == {"neutral": 1087} | dict.fromkeys(["happy", "sad", "angry", "fear", "disgust"], 1271)
    missing = sorted(row["clip"] for row in listing.defects if row["defect"] == "missing")
    assert len(missing) == 20
    assert {name.rsplit("_", 2)[0] for name in missing} == {"1002_TIE", "1008_WSI", "1009_MTI", "1019_ITH", "1076_ITS"}
    assert {row["defect"] for row in listing.defects} == {"missing", "unused", "stated"}
    assert len({row["actor"]: row["sex"] for row in listing.clips if row["sex"] == "female"}) == 43


def test_cremad_clone_without_lfs_says_so(cremad_clone):
    stated_bad = 3 * 2 + 1  # files that the authors' own words rule out before they are opened
    words = rf"not one of the 7442 clips .*\b{2 * 7442 - stated_bad} pointer.*git lfs pull"
    with pytest.raises(CorpusError, match=words):
        index("cremad", cremad_clone, n_folds=9)


def test_cremad_votes_are_the_published_ones(cremad_clone):
    votes = cremad.votes(cremad_clone)
    codes = ["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]  # in the order of cremad.CLASSES
    counts, meant = np.stack(votes.counts), votes["clip"].str[9:12].map(codes.index).to_numpy()
    majority = share_at(perceived(counts), meant)
    rows = votes.assign(own=share_at(counts, meant), alone=majority == 1, majority=majority)
    means = rows.groupby("modality")[["own", "n", "alone", "majority"]].mean()
    of_votes = 100 * means.own / means.n  # Cao et al. 2014 state 40.9, 58.2 and 63.6
    assert of_votes.round(1).to_dict() == {"voice": 40.0, "face": 57.4, "multimodal": 63.1}
    assert (100 * means.alone).round(1).to_dict() == {"voice": 41.6, "face": 66.3, "multimodal": 72.2}
    assert (100 * means.majority).round(1).to_dict() == {"voice": 44.6, "face": 68.5, "multimodal": 74.4}
    assert rows.groupby("modality").size().eq(7442).all()


def test_a_few_films_of_cremad_are_clips_with_the_sound_at_hand(shared):
    clips, folds, defects, _ = index("cremad", shared / "data/crema-d", n_folds=9)
    assert clips.groupby("actor")[["has_video", "has_audio"]].sum().to_numpy().tolist() == [[6, 6], [0, 6]]
    assert clips.audio.str.rsplit(".").str[-1].value_counts().to_dict() == {"flv": 6, "mp3": 6}
    assert folds.empty
    assert "2 people are too few" in defects.set_index("defect").detail["few people"]
    assert not defects.defect.isin(["unreadable", "truncated", "mute"]).any()


def test_fer2013_folders_hold_the_published_number_of_pictures(shared, tmp_path):
    with tarfile.open(shared / "data/fer2013/fer2013_images.tar.gz") as archive:  # names alone
        for entry in archive:
            if entry.isfile():
                path = tmp_path / entry.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    listing = fer2013.find(tmp_path)
    assert compare_counts(pd.DataFrame(listing.clips), fer2013.PUBLISHED) == []
    assert listing.copies == listing.defects == []
