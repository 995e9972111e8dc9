"""Random models, and clips with and without a face and a voice."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from apps.tiny_models import CANDIDE, FUSION, PREDICT, WATCH, write_model
from mien.apps.predict import predict
from mien.errors import MienError
from mien.io import media
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, person_for
from mien.synthetic.performance import perform


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    """Return variant -> model file."""
    folder = tmp_path_factory.mktemp("models")
    return {variant: write_model(folder / f"{variant}.safetensors", variant) for variant in FUSION}


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory) -> Path:
    """Return a folder with both.mp4, face.mp4 (mute), silent.mp4, voice.wav, blank.mp4, nothing.mp4 and still.png."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("media")
    take = perform(
        person_for(0, "tests", "01", "male"),
        emotion="angry",
        intensity=1.0,
        sentence="kids",
        size_px=192,
        rate_fps=10,
        rate_hz=48000,
        video=CLEAR,
        audio=CLEAR,
        rng=rng_for(0, "take"),
    )
    frames, wave = list(take.frames), take.wave
    blank = [np.full_like(frame, 100) for frame in frames]
    write = {"rate_fps": 10, "rate_hz": 48000}
    media.write_video(folder / "both.mp4", frames, wave=wave, **write)
    media.write_video(folder / "face.mp4", frames, **write)
    media.write_video(folder / "silent.mp4", frames, wave=0 * wave, **write)
    media.write_video(folder / "blank.mp4", blank, wave=wave, **write)
    media.write_video(folder / "nothing.mp4", blank, wave=0 * wave, **write)
    media.write_video(folder / "half.mp4", frames + blank, wave=np.concatenate([wave, 0 * wave]), **write)
    media.write_sound(folder / "voice.wav", wave, 48000)
    Image.fromarray(frames[len(frames) // 2]).save(folder / "still.png")
    return folder


@pytest.fixture
def run_predict(capsys, monkeypatch, tmp_path):
    """Return a function that runs `predict` in an empty folder: arguments -> (error or "", stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*clips: Path, **options) -> tuple[str, str, str]:
        sections = {"predict": PREDICT, "candide": CANDIDE, "watch": asdict(WATCH)}
        error = ""
        try:
            predict(*clips, config=json.dumps(sections), **options)
        except MienError as raised:
            error = str(raised)
        captured = capsys.readouterr()
        return error, captured.out, captured.err

    return call
