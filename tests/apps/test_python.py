"""`import mien` is light, and files, arrays and streams give the same rows."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import mien
from apps.tiny_models import CLASSES
from mien.audio.resample import to_mono
from mien.errors import ConfigError, MediaError, ModelError
from mien.io import media

COLUMNS = ["file", "person", "start_s", "end_s", "label", *(f"p_{name}" for name in CLASSES)]
COLUMNS += ["face_share", "voice_share", "confidence", "used"]


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    """Return a folder with three model files."""
    folder = tmp_path_factory.mktemp("folder")
    for variant in ("N2", "VM", "AM"):
        shutil.copy(models[variant], folder)
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return mien.load_models(folder, window_s=0.8, hop_s=0.2)


@pytest.fixture(scope="module")
def arrays(media_folder, loaded):
    """Return pictures, times, samples at the models' rate and that rate, of both.mp4."""
    times, frames = zip(*media.read_frames(media_folder / "both.mp4"), strict=True)
    rate = loaded.networks[0].sound.rate_hz
    return np.stack(frames), np.array(times), to_mono(*media.read_sound(media_folder / "both.mp4"), rate), rate


def test_what_cannot_be_windows_or_models_is_refused(folder):
    for wrong in ({"window_s": -1.0}, {"window_s": 0.0}, {"window_s": 0.1, "hop_s": 5.0}):
        with pytest.raises(ConfigError, match=r"predict.*(window_s|hop_s)"):
            mien.load_models(folder, **wrong)
    with pytest.raises(TypeError, match=r"models should come from mien.load_models"):
        mien.predict("a.wav", models=str(folder))


def values_of(rows):
    return rows.drop(columns=["file", "label", "used"]).to_numpy(float)


def test_importing_mien_is_light():
    code = "import mien, sys; print([m for m in ('torch', 'numpy', 'pandas', 'cv2', 'mien.apps') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    assert {"predict", "load_models", "Models", "Stream"} <= set(dir(mien))
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        mien.predikt  # noqa: B018


def test_a_file_gives_a_table_with_its_verdict_and_who_judged(media_folder, loaded):
    rows = mien.predict(str(media_folder / "both.mp4"), models=loaded)
    assert list(rows.columns) == COLUMNS
    assert set(rows.file) == {str(media_folder / "both.mp4")}
    assert set(rows.used) == {"face+voice"}
    np.testing.assert_allclose(rows[[f"p_{name}" for name in CLASSES]].sum(axis=1), 1.0, atol=1e-6)
    verdict, who = rows.attrs["verdict"], rows.attrs["model"]
    assert verdict["label"] == max(verdict["probabilities"], key=verdict["probabilities"].get)
    assert list(verdict["probabilities"]) == list(loaded.classes) == list(CLASSES)
    assert (who["row"], who["corpus"]) == ("N2", "ravdess")
    assert len(who["sha256"]) == 64
    assert who["text"].startswith("N2 of ravdess (1 network)")
    json.dumps(rows.attrs)  # survives Parquet


def test_where_nothing_can_be_judged_there_is_no_verdict(media_folder, loaded):
    rows = loaded.predict(media_folder / "nothing.mp4")
    assert rows.attrs["verdict"] == {"label": None, "probabilities": None}
    assert (rows.label == "").all()


def test_models_are_found_by_folder_and_variable(folder, loaded, media_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    assert [one.path for one in mien.load_models().networks] == [one.path for one in loaded.networks]
    assert mien.predict(media_folder / "voice.wav").attrs["model"]["row"] == "AM"
    with pytest.raises(ModelError, match="no trained run of N2"):
        mien.load_models(tmp_path)


def test_arrays_give_the_rows_of_the_file(arrays, media_folder, loaded):
    frames, times, samples, rate = arrays
    rows = loaded.predict(frames=iter(frames), times=times, samples=samples, rate=rate)
    expected = loaded.predict(media_folder / "both.mp4")
    assert list(rows.columns) == COLUMNS
    np.testing.assert_allclose(values_of(rows), values_of(expected), atol=1e-3)
    alone = loaded.predict(samples=samples, rate=rate)
    assert set(alone.used) == {"voice"}
    seen = loaded.predict(frames=frames, times=times)
    assert set(seen.used) == {"face"}


def test_sound_may_be_whole_numbers_and_have_channels(arrays, loaded):
    *_, samples, rate = arrays
    whole = (samples * 32767).round().astype(np.int16)
    expected = values_of(loaded.predict(samples=samples, rate=rate))
    np.testing.assert_allclose(
        values_of(loaded.predict(samples=np.stack([whole, whole]), rate=rate)), expected, atol=0.01
    )


def test_a_stream_gives_the_rows_of_the_arrays_as_their_windows_end(arrays, loaded):
    frames, times, samples, rate = arrays
    stream, came, taken = loaded.stream(), [], 0
    for time_s, picture in zip(times, frames, strict=True):
        until = round((time_s + 0.1) * rate)
        stream.add_sound(samples[taken:until], rate)
        taken = until
        rows = stream.add_picture(time_s, picture)
        assert (rows.end_s <= time_s + 1e-3).all()
        came.append(rows)
    stream.add_sound(samples[taken:], rate)
    rows = stream.finish()
    early = pd.concat([one for one in came if len(one)])
    assert len(early) >= 2
    expected = loaded.predict(frames=frames, times=times, samples=samples, rate=rate)
    np.testing.assert_allclose(values_of(rows), values_of(expected), atol=1e-4)
    np.testing.assert_allclose(values_of(rows)[: len(early)], values_of(early), atol=1e-6)
    assert rows.attrs["verdict"]["label"] == expected.attrs["verdict"]["label"]


def test_a_stream_of_sound_returns_rows_with_the_sound(arrays, loaded):
    *_, samples, rate = arrays
    stream = loaded.stream(pictures=False)
    rows = [stream.add_sound(piece, rate) for piece in np.array_split(samples, 7)]
    assert sum(map(len, rows)) >= 1
    np.testing.assert_allclose(
        values_of(stream.finish()), values_of(loaded.predict(samples=samples, rate=rate)), atol=1e-3
    )
    with pytest.raises(ValueError, match="without pictures"):
        stream.add_picture(0.0, np.zeros((8, 8, 3), np.uint8))


PICTURES = np.zeros((2, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "there is nothing to judge"),
        ({"clip": "a.mp4", "samples": np.zeros(9)}, "a clip, or frames and samples"),
        ({"frames": PICTURES}, "frames need times"),
        ({"frames": PICTURES, "times": [0.0]}, "as many times as frames"),
        ({"frames": PICTURES[:0], "times": []}, "frames are empty"),
        ({"frames": PICTURES, "times": [0.1, 0.1]}, "times should ascend"),
        ({"frames": PICTURES, "times": [np.nan, 0.1]}, "times should ascend"),
        ({"frames": PICTURES[..., 0], "times": [0.0, 0.1]}, r"an array \(H, W, 3\) of uint8"),
        ({"frames": PICTURES / 255, "times": [0.0, 0.1]}, "got float64"),
        ({"samples": np.zeros(9)}, "their rate in Hz; got None"),
        ({"samples": np.zeros(9, np.int64), "rate": 8000}, "got int64"),
        ({"samples": np.zeros((900, 2)), "rate": 8000}, "its transpose"),
    ],
)
def test_what_does_not_go_together_is_refused(loaded, given, message):
    with pytest.raises(ValueError, match=message):
        loaded.predict(**given)


def test_a_file_that_cannot_be_read_is_named(tmp_path, loaded):
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        loaded.predict(tmp_path / "bad.mp4")


def test_the_examples_of_the_page_run(repository, folder, media_folder, monkeypatch, tmp_path, capsys):
    page = (repository / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, flags=re.M | re.S)
    assert len(blocks) >= 5
    shutil.copy(media_folder / "both.mp4", tmp_path / "clip.mp4")
    (tmp_path / "models").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_MODELS", str(folder))
    names = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)  # each goes on where the last one ended
    assert "s, person" in capsys.readouterr().out
    assert len(pd.read_parquet("all.parquet")) > 25
    assert {"clip.srt", "clip.eaf"} <= {path.name for path in tmp_path.iterdir()}
