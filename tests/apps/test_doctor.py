"""`mien doctor` says what is there, and is refused where something is missing."""

import importlib.metadata

import pytest

from mien import kernels
from mien.apps import doctor as module
from mien.apps.doctor import doctor
from mien.apps.models import ModelInfo
from mien.errors import MienError
from mien.models import checkpoint


@pytest.fixture
def folder(models, tmp_path):
    """Return a folder with one exported model."""
    info = ModelInfo(row="AM", corpus="ravdess", modalities=("audio",), networks=1, people="24 people", accuracy=0.5)
    checkpoint.export(tmp_path / "m" / "AM.safetensors", [checkpoint.load(models["AM"])], info.to_dict())
    return tmp_path / "m"


def test_doctor_says_what_is_there(folder, tmp_path, capsys, monkeypatch):
    import av

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kernels, "deviations", lambda: ["the processor is a toaster"])
    doctor(results=folder)
    said = capsys.readouterr().out
    assert f"torch {importlib.metadata.version('torch')}" in said
    assert f"FFmpeg of av: {av.ffmpeg_version_info} (libavcodec " in said
    assert "faces: shape_predictor_68_face_landmarks.dat, 95 MiB" in said
    assert "models: AM of ravdess (1 network), trained on 24 people; right in 50% of the clips" in said
    assert f"{folder / 'AM.safetensors'}: weights checked; not calibrated" in said
    assert "note: numbers differ in rounding from the published ones: the processor is a toaster" in said
    assert said.endswith("no problems found\n")


def test_doctor_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "dlib" else name)
    with pytest.raises(
        MienError, match=r"nowhere: no such folder; .*; dlib-bin is not installed: pip install dlib-bin"
    ):
        doctor(results=tmp_path / "nowhere")
    assert "no problems found" not in capsys.readouterr().out
