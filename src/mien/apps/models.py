"""The networks that run along with a film: one for face and voice together, one for each alone; some may be missing.

Which trained network looks at a clip.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mien.config.schema import FacesConfig, PredictConfig, SoundConfig, WatchConfig
from mien.errors import ConfigError, ModelError
from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.mrpn import Network
from mien.models.streaming import StreamSettings, load


@dataclass(frozen=True)
class Model:
    """A trained network with what its file says."""

    path: Path
    network: Network
    settings: checkpoint.Settings
    faces: FacesConfig
    sound: SoundConfig


def load_models(paths: Sequence[Path]) -> list[Model]:
    """Load model files onto the GPU if there is one.

    Raises
    ------
    ModelError : a file is missing, unreadable or not ours, looks at action units, or does not tell emotions.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = []
    for path in paths:
        network, settings = checkpoint.load(path, device=device)
        if "units" in settings.modalities or settings.target != "label":
            raise ModelError(
                f"{path}: {settings.variant} looks at {', '.join(settings.modalities)} and learnt {settings.target};"
                " clips are judged by networks that look at faces or voices and learnt emotions: name another"
            )
        try:
            sections = FacesConfig(**settings.faces), SoundConfig(**settings.sound)
        except (TypeError, ConfigError) as error:
            raise ModelError(f"{path}: its header has settings of another version ({error}); train it again") from error
        models.append(Model(path, network, settings, *sections))
    return models


def trained_files(results: Path, config: PredictConfig) -> list[Path]:
    """Return the model files of the variants that section `predict` names: of each the best run that was trained.

    Raises
    ------
    ModelError : none of them was trained.
    """
    return best_files(Path(results) / "training" / config.corpus, (config.joint, config.video, config.audio))


def best_files(folder: Path, rows: Iterable[str]) -> list[Path]:
    """Return the model files of the best runs, one of each row below `folder` that was trained.

    Raises
    ------
    ModelError : none was.
    """
    names = list(dict.fromkeys(rows))
    best = [run for name in names if (run := best_run(folder / name)) is not None]
    if not best:
        raise ModelError(
            f"{folder}: no trained run of {', '.join(names)}; run snakemake to train them, or name model files with"
            " --checkpoint"
        )
    return [run / "model.safetensors" for run in best]


def best_run(folder: Path) -> Path | None:
    """Return the run of a variant with the lowest loss on its validation people, None if none was trained.

    Under the protocol of the thesis there are no validation people; the loss on the reported ones stands in.
    """
    losses = []
    for file in sorted(folder.glob("fold*/run.json")):
        run = read_json(file)
        metrics = run.get("metrics", {})
        selected = metrics.get("honest") or metrics.get("optimistic") or {}
        loss = selected.get("validation_loss", selected.get("test_loss"))
        if run.get("status") == "trained" and isinstance(loss, float | int) and math.isfinite(loss):
            losses.append((loss, file.parent))
    return min(losses, default=(math.nan, None))[1]


def choose(models: Sequence[Model], modalities: Sequence[str]) -> Model:
    """Return the model that uses most of `modalities`, of these the one that misses least, of equals the first."""

    def rank(model: Model) -> tuple[int, int]:
        used = len(set(model.settings.modalities) & set(modalities))
        return -used, len(model.settings.modalities) - used

    return min(models, key=rank)


def settings_key(model: Model) -> str:
    """Return a text that is equal for models that want their clips decoded alike."""
    return json.dumps([model.settings.faces, model.settings.sound], sort_keys=True)


ROLES = {("video", "audio"): "joint", ("video",): "video", ("audio",): "audio"}
_SHARED = ("classes", "rate_fps", "hop_s", "sound", "faces")  # what networks that look together must agree on
_ORDER = ("video", "audio")


@dataclass(frozen=True, eq=False)
class Models:
    """Networks in evaluation, at least one, that look at the same frames and hear the same segments."""

    joint: Network | None
    video: Network | None
    audio: Network | None
    classes: tuple[str, ...]
    rate_fps: int  # frames per second that they look at
    hop_s: float  # between the ends of two segments
    faces: FacesConfig
    sound: SoundConfig

    @property
    def of_face(self) -> Network | None:
        """Return what judges a face without a voice."""
        return self.video or self.joint

    @property
    def of_voice(self) -> Network | None:
        """Return what judges a voice without a face."""
        return self.audio or self.joint


def load_live(paths: Sequence[Path]) -> Models:
    """Load model files onto the GPU if there is one.

    Raises
    ------
    ModelError : a file is missing, unreadable or not of a network that runs along; two files have the same role, or
        files do not go together.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return together({path: load(path, device=device) for path in map(Path, paths)})


def together(loaded: dict[Path, tuple[Network, StreamSettings]]) -> Models:
    """Put networks to their roles; the paths are for messages.

    Raises
    ------
    ModelError : two networks have the same role, or were made with other classes, rates or sections.
    """
    by_role: dict[str, Path] = {}
    first, of_first = next((path, settings) for path, (_, settings) in loaded.items())
    for path, (_, settings) in loaded.items():
        role = ROLES[tuple(name for name in _ORDER if name in settings.modalities)]
        if role in by_role:
            raise ModelError(
                f"{path}: uses {' and '.join(settings.modalities)}, as {by_role[role]} does; name one of them"
            )
        by_role[role] = path
        for name in _SHARED:
            if getattr(settings, name) != getattr(of_first, name):
                raise ModelError(
                    f"{path}: was trained with {name} {getattr(settings, name)}, {first} with"
                    f" {getattr(of_first, name)}; name models of one training with --checkpoint"
                )
    try:
        sections = {"faces": FacesConfig(**of_first.faces), "sound": SoundConfig(**of_first.sound)}
    except (TypeError, ConfigError) as error:
        raise ModelError(f"{first}: its header has settings of another version ({error}); train it again") from error
    networks = {role: loaded[by_role[role]][0] if role in by_role else None for role in ROLES.values()}
    shared = {name: getattr(of_first, name) for name in ("classes", "rate_fps", "hop_s")}
    return Models(**networks, **shared, **sections)


def trained_live(results: Path, watch: WatchConfig, *, corpus: str) -> list[Path]:
    """Return the model files of the rows of `streams` that section `watch` names: of each the best run.

    Raises
    ------
    ModelError : none of them was trained.
    """
    return best_files(Path(results) / "training" / corpus, (watch.joint, watch.video, watch.audio))
