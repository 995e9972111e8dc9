"""Who is in which role, and what a network is shown."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from mien.errors import ConfigError, TableError
from mien.io.randomness import rng_for
from mien.training.clips import (
    ClipDataset,
    FeatureVector,
    FrameSequence,
    Reference,
    Sampling,
    Spectrogram,
    assemble,
    complete,
    evaluation_batches,
    normalise,
    prefetch,
    split,
    training_batches,
)
from mien.training.run_folder import check_clips, find_reason
from training.tiny_corpus import SOUND


@pytest.fixture(scope="module")
def data(tiny) -> ClipDataset:
    return tiny.read("video", "audio")


def sampling(augmentation="VA+AO", frames=3) -> Sampling:
    return Sampling.of(augmentation, frames=frames, share=0.8, sound=SOUND)


def test_no_person_is_on_two_sides(data):
    people = [set(clips.actor) for clips in split(data, 0).values()]
    assert all(people)
    assert sum(map(len, people)) == len(set().union(*people))


def test_a_group_in_two_roles_is_refused(data):
    twice = pd.concat([data.folds, data.folds.head(1).assign(role="training")])
    with pytest.raises(TableError, match=r"\['a0'\] in two roles"):
        split(replace(data, folds=twice), 0)
    with pytest.raises(TableError, match="no fold 7"):
        split(data, 7)


@pytest.mark.parametrize(
    ("n", "words"), [(1, "tiny has 1 person, 3 or"), (2, "tiny has 2 people, 3 or more are needed")]
)
def test_too_few_people_for_folds_are_not_applicable(data, n, words):
    few = data.clips[data.clips.group.isin(sorted(set(data.clips.group))[:n])]
    alone = replace(data, corpus="tiny", clips=few, folds=data.folds.head(0))
    roles = split(alone, 0)
    assert [len(clips) for clips in roles.values()] == [0, 0, 0]
    assert find_reason(check_clips(alone, roles)).startswith(words)
    assert alone.name_of(2) == "2"


def test_clips_without_a_face_or_voice_are_judged_but_not_trained_on(data):
    roles = split(data, 0)
    assert "a0-0" not in data.media["video"]  # no frame shows a face
    assert "a0-7" not in data.media["audio"]  # silent
    assert {"a0-0", "a0-7"} <= set(roles["test"]["clip"])
    assert {"a0-0", "a0-7"}.isdisjoint(complete(data, roles["test"])["clip"])


def test_a_person_is_standardised_by_all_own_recordings_and_by_nobody_elses(data):
    rng = rng_for(0, "normalise")
    of_person = dict(zip(sorted(set(data.clips.actor)), range(100), strict=False))
    lies = dict(zip(data.clips["clip"], data.clips.actor.map(of_person), strict=True))
    raw = {clip: np.array([rng.normal(k, 1 + k), k, rng.normal()], np.float32) for clip, k in lies.items()}
    given = replace(data, media={"face_features": {clip: FeatureVector(one, 0.0) for clip, one in raw.items()}})
    assert normalise(given, "corpus") is given
    found = normalise(given, "subject")
    assert found.digest != given.digest
    for k in of_person.values():
        rows = np.stack([found.media["face_features"][clip].values for clip, own in lies.items() if own == k])
        np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-5)
        np.testing.assert_allclose(rows.std(axis=0), [1.0, 0.0, 1.0], atol=1e-5)  # the second does not vary
    # neither labels nor anybody else have a part in it
    others = {clip: FeatureVector(one + (9 if lies[clip] else 0), 0.0) for clip, one in raw.items()}
    apart = replace(given, clips=given.clips.assign(label=-1), media={"face_features": others})
    again = normalise(apart, "subject").media["face_features"]
    assert all(
        (again[clip].values == found.media["face_features"][clip].values).all() for clip, k in lies.items() if k == 0
    )
    with pytest.raises(ConfigError, match="does not say"):
        normalise(replace(given, clips=given.clips.assign(actor="")), "subject")


def test_pictures_stay_as_they_are_where_a_person_is_standardised(data):
    found = normalise(replace(data, media={"video": data.media["video"]}), "subject")
    assert found.media["video"] == data.media["video"]
    assert Reference.of(data.media["video"].values()) is None


def test_unlabelled_clips_and_those_set_apart_are_in_no_role(data):
    clips = data.clips.copy()
    clips.loc[clips["clip"] == "a3-0", "apart"] = True
    clips.loc[clips["clip"] == "a3-1", "label"] = -1
    roles = split(replace(data, clips=clips), 0)
    assert {"a3-0", "a3-1"}.isdisjoint(set().union(*(role["clip"] for role in roles.values())))


def test_frames_without_a_face_are_not_shown(data):
    clips = split(data, 0)["training"]
    for rng in (None, rng_for(0)):
        video = assemble(data, clips, sampling(), rng=rng).inputs["video"].float()
        brightness = video.mean(dim=(1, 2, 3, 4))  # lost frames are white or black
        assert (brightness[clips.label.to_numpy() == 0] < 120).all()
        assert (brightness[clips.label.to_numpy() == 1] > 140).all()


def test_shapes_and_masks_of_a_batch(data):
    clips = split(data, 0)["test"]
    batch = assemble(data, clips, sampling(), rng=None)
    assert batch.inputs["video"].shape == (8, 3, 16, 16, 3)
    assert batch.inputs["video"].dtype == torch.uint8
    assert batch.n_steps["video"].tolist() == [3 * (clip != "a0-0") for clip in clips["clip"]]
    held = [int((data.duration_s(clip) - 0.992) / 0.496) + 1 for clip in clips["clip"]]  # a segment is 31 * 32 ms
    assert batch.n_steps["audio"].tolist() == [
        n * (clip != "a0-7") for n, clip in zip(held, clips["clip"], strict=True)
    ]
    assert batch.inputs["audio"].shape == (8, max(held), 1, 32, 31)
    for row, n in enumerate(batch.n_steps["audio"]):
        assert not batch.inputs["audio"][row, n:].any()
    assert batch.label.tolist() == clips.label.tolist()


def test_both_modalities_are_cut_from_one_stretch_of_time():
    """Frames and spectrogram hold their own time, so what was cut out tells when it was."""
    seconds = 10.0
    pixels = np.arange(100, dtype=np.uint8).repeat(2 * 2 * 3).reshape(100, 2, 2, 3)  # frame k at k / 10 s
    spectrum = (torch.arange(int(16000 * seconds) // 512) * 512 / 16000).expand(32, -1)  # value = s
    media = {
        "video": {"c": FrameSequence(pixels, np.arange(100) / 10, seconds)},
        "audio": {"c": Spectrogram(spectrum, seconds)},
    }
    clips = pd.DataFrame({"clip": ["c"], "label": [0]})
    data = ClipDataset("x", clips, pd.DataFrame(), ("a",), media, "")
    starts = []
    for seed in range(20):
        batch = assemble(data, clips, sampling(frames=30), rng=rng_for(seed))
        video_s, audio_s = batch.inputs["video"].float() / 10, batch.inputs["audio"]
        assert video_s.max() - video_s.min() <= 0.8 * seconds + 0.1
        assert audio_s.max() - audio_s.min() <= 0.8 * seconds + 0.1
        assert abs(video_s.min() - audio_s.min()) < 1.0
        assert abs(video_s.max() - audio_s.max()) < 1.0
        starts.append(video_s.min().item())
    assert max(starts) - min(starts) > 1.0  # 20 draws from 0..2 s
    whole = assemble(data, clips, sampling(frames=30), rng=None)
    assert whole.inputs["audio"].max() > seconds - 0.3
    fixed = assemble(data, clips, sampling("NT", frames=30), rng=rng_for(0))
    assert torch.equal(fixed.inputs["video"], whole.inputs["video"])  # NT: whole clip, fixed positions


@pytest.mark.parametrize("seconds", [1.3, 2.5, 6.0])
@pytest.mark.parametrize("augmentation", ["NT", "VA+WO", "VA+AO"])
def test_segments_hold_no_padding_and_show_a_moment_as_often_as_their_overlap_says(augmentation, seconds):
    """The spectrogram holds the numbers of its columns from 1 on, and nothing but padding holds its minimum, 0."""
    n_columns = int(16000 * seconds) // 512
    spectrum = torch.arange(1, n_columns + 1).float().expand(32, -1).clone()
    spectrum[1:] = 0.0
    data = ClipDataset(
        "x", pd.DataFrame(), pd.DataFrame(), ("a",), {"audio": {"c": Spectrogram(spectrum, seconds)}}, ""
    )
    clips = pd.DataFrame({"clip": ["c"], "label": [0]})
    for rng in (None, *map(rng_for, range(20))):
        batch = assemble(data, clips, sampling(augmentation), rng=rng)
        heard = batch.inputs["audio"][0, :, 0, 0]
        assert batch.n_steps["audio"].tolist() == [len(heard)]
        assert (heard > 0).all()
        _, times = heard.unique(return_counts=True)
        assert times.max() == (1 if augmentation != "VA+AO" or len(heard) == 1 else 2)
        if rng is not None and augmentation != "NT":
            assert heard.max() - heard.min() <= max(0.8 * n_columns, 31)


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_seed(data):
    clips = complete(data, split(data, 0)["training"])

    def labels(seed, size=5):
        return [b.label.tolist() for b in training_batches(data, clips, sampling(), size=size, rng=rng_for(seed))]

    assert sorted(chain(*labels(0))) == sorted(clips.label)
    assert labels(0) == labels(0)
    assert labels(0) != labels(1)


@pytest.mark.parametrize("n", range(2, 12))
@pytest.mark.parametrize("size", [2, 3, 5])
def test_no_batch_of_one_clip(data, n, size):
    clips = split(data, 0)["training"].head(n)
    sizes = [len(b) for b in training_batches(data, clips, sampling(), size=size, rng=rng_for(0))]
    assert sum(sizes) == n
    assert min(sizes) >= 2
    assert max(sizes) <= size + 1


def test_evaluation_is_the_same_every_time_and_reading_ahead_changes_nothing(data):
    clips = split(data, 0)["test"]
    first, again = (list(evaluation_batches(data, clips, sampling(), size=3)) for _ in range(2))
    ahead = list(prefetch(evaluation_batches(data, clips, sampling(), size=3)))
    assert [len(batch) for batch in first] == [3, 3, 2]
    for a, b, c in zip(first, again, ahead, strict=True):
        for name in a.inputs:
            assert torch.equal(a.inputs[name], b.inputs[name])
            assert torch.equal(a.inputs[name], c.inputs[name])


def test_the_digest_follows_the_files(tiny, data):
    assert tiny.read("video", "audio").digest == data.digest
    assert tiny.read("audio").digest != data.digest


def test_a_stage_that_has_not_run_is_named(tiny):
    with pytest.raises(TableError, match=r"corpora/none/clips.parquet is missing"):
        replace(tiny, name="none").read("video")
