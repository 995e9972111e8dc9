"""Command `doctor`: what is installed, which models judge and what is known of them, which devices there are."""

import importlib.metadata
import logging
import os
import platform
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mien import kernels
from mien.apps import Models
from mien.config import schema
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.apps.models import Model

LIBRARIES = ("numpy", "pandas", "torch", "torchaudio", "av", "dlib-bin", "opencv-python-headless")


def doctor(*, results: Models = None, config: str = "") -> None:
    """Say what is installed, which models would judge, on which device, and what is wrong; exit with 2 if anything is.

    Parameters
    ----------
    results
        Folder with models, as for `mien predict`.
    config
        File with the parameters; by default params.yaml here, or the one that came with mien.
    """
    problems = []
    for part, tell in (("installed", _tell_installed), ("devices", _tell_devices), ("faces", _tell_faces)):
        _print(part, tell())
    try:
        _print("models", _tell_models(results, config))
    except MienError as error:
        problems.append(str(error))
    problems += _missing()
    for deviation in kernels.deviations():
        print(f"note: numbers differ in rounding from the published ones: {deviation}")
    if problems:
        raise MienError("; ".join(problems))
    print("no problems found")


def _print(part: str, lines: Iterator[str]) -> None:
    for line in lines:
        print(f"{part}: {line}", flush=True)


def _tell_installed() -> Iterator[str]:
    yield f"mien {version('mien')} in {Path(__file__).resolve().parents[1]}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield f"FFmpeg of av: {ffmpeg()}"


def version(name: str) -> str:
    """Return the version of an installed package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def ffmpeg() -> str:
    """Return the version of FFmpeg that av was built with, and those of its libraries."""
    import av

    numbers = ", ".join(f"{name} {'.'.join(map(str, found))}" for name, found in sorted(av.library_versions.items()))
    return f"{av.ffmpeg_version_info} ({numbers})"


def _tell_devices() -> Iterator[str]:
    import torch

    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"{n_cores} CPU cores ({torch.backends.cpu.get_cpu_capability()} kernels)"
    for k in range(torch.cuda.device_count()):
        yield f"cuda:{k} {torch.cuda.get_device_name(k)}"
    yield f"networks run on {'the GPU' if torch.cuda.is_available() else 'the CPU'}"


def _tell_faces() -> Iterator[str]:
    from mien.faces.detect import CNN_FILE, FILE, model_file

    for name in (FILE, CNN_FILE):
        try:
            path = model_file(name)
            yield f"{path.name}, {path.stat().st_size / 2**20:.0f} MiB"
        except (MienError, OSError) as error:
            yield f"{Path(name).name} is missing ({error})"


def _missing() -> list[str]:
    """Return what predict needs and is not installed."""
    needed = {"av": "av", "dlib": "dlib-bin", "cv2": "opencv-python-headless", "torch": "torch"}
    needed["face_recognition_models"] = "face_recognition_models"
    return [f"{name} is not installed: pip install {name}" for module, name in needed.items() if not find_spec(module)]


def _quietly(load: Callable[[], "list[Model]"]) -> "list[Model]":
    """Load models without what is logged of them, which is printed here."""
    log = logging.getLogger("mien")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return load()
    finally:
        log.setLevel(level)


def _tell_models(results: Path | None, config: str) -> Iterator[str]:
    from mien.apps.models import find_trained, load_models

    settings = schema.section(schema.PredictConfig, schema.load(config), "predict")
    for model in _quietly(lambda: load_models(find_trained(results, settings.corpus, settings))):
        info = model.info
        yield f"{info.describe()}; {', '.join(info.modalities)}"
        state = "checked" if info.checked else "not checked: nothing beside it says what it was"
        at = f"temperature {info.temperature:g}" if info.calibrated else "not calibrated"
        yield f"    {model.path}: weights {state}; {at}"
