"""What is watched is what is evaluated: a film, picture by picture, and its shards, as training follows them, agree."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from apps.streaming_models import ROWS, WATCH, streaming_network
from apps.tiny_models import FACES, SOUND, write_results
from mien.apps.models import combine
from mien.apps.sources import open_source
from mien.apps.streaming import EmotionStream
from mien.audio.resample import to_mono
from mien.io import media
from mien.training import clips
from mien.training.stream import follow
from mien.training.streams import StreamTiming, usable, whole_batches

HERE = replace(FACES, region_s=0.4)  # short, so that the region of a moving face is not that of the whole clip
RATE = SOUND.rate_hz


@pytest.fixture(scope="module")
def film(media_folder, tmp_path_factory) -> Path:
    """Write 2.4 s at 25 fps: a face that moves, is lost where a look is due, and speaks from 0.5 s on.

    So faces are followed in some of its pictures only, 10 a second, of which every other one is not exactly due.
    """
    pictures = [picture for _, picture in media.read_frames(media_folder / "both.mp4", 25.0)]
    pictures = (pictures + pictures[::-1] + pictures)[:60]
    moved = [
        np.pad(picture, ((0, 0), (96, 96), (0, 0)), mode="edge")[:, 3 * k // 2 : 3 * k // 2 + 256]
        for k, picture in enumerate(pictures)
    ]
    moved[25] = np.full_like(moved[0], 120)
    voice = 0.3 * to_mono(*media.read_sound(media_folder / "both.mp4"), RATE)
    wave = np.resize(voice, round(2.4 * RATE))
    wave[: RATE // 2] = 0.0
    path = tmp_path_factory.mktemp("watched") / "film.mkv"
    media.write_video(path, moved, rate_fps=25, wave=wave, rate_hz=RATE, codecs=("libx264", "pcm_s16le"))
    return path


@pytest.fixture(scope="module")
def models():
    """Return networks of every role with random weights."""
    return combine({Path(row): streaming_network(row, faces=asdict(HERE)) for row in ROWS})


@pytest.fixture(scope="module")
def results(film) -> Path:
    """Make the shards of the film by the stages; return the folder of the results."""
    return write_results(film.parent / "results", film.parent, [film.name], faces=HERE)


@pytest.fixture(scope="module")
def moments(models, film):
    """Return what is said of every picture."""
    live, moments = EmotionStream(models, watch=WATCH), []
    source = open_source(str(film), rate_hz=RATE)
    for item in source:
        live.add_sound(item.sound)
        if item.pixels is not None:  # else sound after the last picture
            moments.append(live.add_picture(item.time_s, item.pixels))
    source.close()
    return moments


@pytest.mark.parametrize("row", ROWS)
def test_every_judgement_of_the_evaluation_is_seen_live(models, moments, results, row):
    modalities, _ = ROWS[row]
    network = {"AV": models.joint, "V": models.video, "A": models.audio}[row]
    pace = StreamTiming(rate_fps=models.rate_fps, hop_s=models.hop_s, sound=SOUND)
    data = usable(clips.read(results, "ravdess", modalities, faces=HERE, sound=SOUND, running=True), pace)
    (followed,) = follow(network, whole_batches(data, data.clips, pace, size=1))
    time_s = np.array([moment.time_s for moment in moments])
    told = {
        "AV": [moment.probabilities for moment in moments],
        "V": [moment.faces[0].probabilities for moment in moments],
        "A": [moment.voice for moment in moments],
    }[row]
    judged = followed.known["fused"].numpy()
    expected = followed.logits["fused"].softmax(dim=1).numpy()
    n_compared = 0
    for k in np.flatnonzero(judged & (followed.tick_s < time_s[-1] + 1e-6)):
        # The picture at that time, or the first after it: before, nobody knows which frame was the newest.
        seen = int(np.searchsorted(time_s, followed.tick_s[k] - 1e-6))
        np.testing.assert_allclose(told[seen], expected[k], atol=1e-5)
        n_compared += 1
    assert n_compared >= {"AV": 4, "V": 8, "A": 2}[row]
    first = followed.tick_s[judged][0]
    assert all(value is None for value, at_s in zip(told, time_s, strict=True) if at_s < first - 0.5)


def test_the_region_matters_to_this_film(results):
    pixels = {
        running: clips.read(results, "ravdess", ("video",), faces=HERE, sound=None, running=running)
        .media["video"]["film.mkv"]
        .pixels
        for running in (False, True)
    }
    assert len(pixels[True]) == 23  # the face is lost once
    assert (pixels[True] != pixels[False]).any(axis=(1, 2, 3)).sum() > 15


def test_the_joint_network_judges_without_a_voice_from_the_first_look_on(moments):
    bases = [moment.basis for moment in moments]
    assert set(bases[:25]) == {("face",)}  # the first second is heard as a whole
    assert set(bases[25:]) == {("face", "voice")}
    assert np.abs(moments[0].probabilities - moments[0].faces[0].probabilities).max() > 1e-5  # not the face's network
