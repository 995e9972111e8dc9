"""Action units as a modality: which frames are read, when they are looked at, what a clip without them gets."""

import numpy as np
import pytest

from mien.augment.slicing import Interval, frame_times, nearest_frames
from mien.errors import TableError
from mien.io.files import read_json, write_json
from mien.io.randomness import rng_for
from mien.training.clips import Sampling, assemble, complete
from training.tiny_corpus import SOUND, write_corpus
from training.tiny_units import UNFITTED, write_fits


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    made = write_corpus(tmp_path_factory.mktemp("units") / "results", n_actors=3, takes=2)
    write_fits(made.results, made.name)
    return made


SAMPLING = Sampling.of("VA+AO", frames=3, share=0.8, sound=SOUND)


def test_fitted_frames_alone_are_looked_at(corpus):
    motions = corpus.read("units").media["units"]
    assert UNFITTED not in motions
    assert "a0-0" not in motions  # no face in it
    motion = motions["a2-1"]
    np.testing.assert_allclose(motion.time_s, [0.2, 0.4, 0.6, 0.8])  # faces from frame 2 on, fits of even ones
    np.testing.assert_allclose(motion.units[:, 1], motion.time_s, rtol=1e-6)
    assert motion.duration_s == pytest.approx(1.0)


def test_units_are_those_of_the_stretch_that_pictures_are_from(corpus):
    data = corpus.read("video", "units")
    clips = data.clips[data.clips["clip"] == "a2-1"]
    times = [assemble(data, clips, SAMPLING, rng=rng_for(k)).inputs["units"][0, :, 1] for k in range(20)]
    assert all((seconds.diff() >= 0).all() for seconds in times)
    assert len({tuple(seconds.tolist()) for seconds in times}) > 1  # slices differ
    whole = assemble(data, clips, SAMPLING, rng=None).inputs["units"][0]
    motion = data.media["units"]["a2-1"]
    nearest = nearest_frames(motion.time_s, frame_times(Interval(0.0, data.duration_s("a2-1")), 3))
    np.testing.assert_array_equal(whole, motion.units[nearest])


def test_a_clip_without_a_fit_lacks_the_modality(corpus):
    data = corpus.read("audio", "units")
    clips = data.clips[data.clips["clip"].isin(["a1-0", "a1-1"])]
    batch = assemble(data, clips, SAMPLING, rng=None)
    assert batch.inputs["units"].shape == (2, 3, 8)
    assert batch.n_steps["units"].tolist() == [0, 3]
    assert batch.inputs["units"][0].abs().sum() == 0
    assert UNFITTED not in set(complete(data, clips)["clip"])


def test_fits_count_in_the_digest_and_must_be_there(corpus, tmp_path):
    manifest = corpus.results / "candide" / corpus.name / "manifest.json"
    before, parts = corpus.read("audio", "units").digest, read_json(manifest)
    write_json(manifest, {"parts": parts["parts"] | {"a0": "y"}})
    assert corpus.read("audio", "units").digest != before
    write_json(manifest, parts)
    assert corpus.read("audio", "units").digest == before
    made = write_corpus(tmp_path, n_actors=3, takes=1)
    with pytest.raises(TableError, match=r"candide/tiny/manifest.json is missing"):
        made.read("units")
