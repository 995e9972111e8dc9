"""Which trained networks look at a clip: whole clips for `predict`, streaming ones for `watch`, `serve` and films."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mien.config import schema
from mien.config.schema import CandideConfig, FacesConfig, SoundConfig
from mien.errors import ConfigError, ModelError
from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network

SHOWN_BY = {"video": "face", "audio": "voice", "units": "face"}  # modality -> what a clip without it lacks


@dataclass(frozen=True)
class Model:
    """A trained network with what its file says."""

    path: Path
    network: Network
    settings: ModelCard
    faces: FacesConfig
    sound: SoundConfig
    candide: CandideConfig | None = None  # where it looks at action units


def load_models(paths: Sequence[Path]) -> list[Model]:
    """Load networks for whole clips, onto the GPU if there is one.

    Raises
    ------
    ModelError : a file is missing, unreadable or not ours, or does not tell emotions.
    """
    models = []
    for path in paths:
        network, settings = checkpoint.load(path, device=_device())
        if settings.target != "label":
            raise ModelError(
                f"{path}: {settings.variant} learnt {settings.target}; clips are judged by networks that learnt"
                " emotions: name another"
            )
        models.append(Model(path, network, settings, **_sections(path, settings)))
    return models


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _sections(path: Path, settings: Any) -> dict[str, Any]:
    """Return the sections faces and sound of a header, and candide where it looks at action units."""
    kinds = {"faces": FacesConfig, "sound": SoundConfig}
    kinds |= {"candide": CandideConfig} if "units" in settings.modalities else {}
    try:
        return {name: schema.build(kind, getattr(settings, name), name) for name, kind in kinds.items()}
    except ConfigError as error:
        found = str(error).removeprefix("params.yaml: ")
        raise ModelError(f"{path}: its header has settings of another version ({found}); train it again") from error


def find_trained(results: Path, corpus: str, rows: schema.PredictConfig | schema.WatchConfig) -> list[Path]:
    """Return the model files of the rows joint, video and audio that a section names: of each the best run.

    Raises
    ------
    ModelError : none of them was trained.
    """
    folder = Path(results) / "training" / corpus
    names = list(dict.fromkeys((rows.joint, rows.video, rows.audio)))
    best = [run for name in names if (run := find_best_run(folder / name)) is not None]
    if not best:
        raise ModelError(
            f"{folder}: no trained run of {', '.join(names)}; run snakemake to train them, or name model files with"
            " --checkpoint"
        )
    return [run / "model.safetensors" for run in best]


def find_streaming(results: Path, params: dict[str, Any]) -> list[Path]:
    """Return the model files of the rows of `streams` that section `watch` names: of each the best run.

    Raises
    ------
    ModelError : none of them was trained.
    """
    corpus = schema.section(schema.StreamingConfig, params, "streaming").corpus
    return find_trained(results, corpus, schema.section(schema.WatchConfig, params, "watch"))


def find_best_run(folder: Path) -> Path | None:
    """Return the run of a variant with the lowest loss on its validation actors, None if none was trained.

    Under the protocol of the thesis there are no validation actors; the loss on the test actors stands in.
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


def choose_model(models: Iterable[Model], modalities: Sequence[str]) -> Model:
    """Return the model that uses most of what `modalities` show, then misses least, then stands first.

    Frames and action units both show the face.
    """
    shown = {SHOWN_BY[name] for name in modalities}

    def rank(model: Model) -> tuple[int, int]:
        wanted = {SHOWN_BY[name] for name in model.settings.modalities}
        return -len(wanted & shown), len(wanted - shown)

    return min(models, key=rank)


ROLES = {("video", "audio"): "joint", ("video",): "video", ("audio",): "audio"}
_SHARED = ("classes", "rate_fps", "hop_s", "sound", "faces")  # what networks that are used together must agree on


@dataclass(frozen=True, eq=False)
class StreamingModels:
    """Streaming networks in evaluation, at least one, with the same frames and segments as input."""

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


def load_streaming(paths: Sequence[Path]) -> StreamingModels:
    """Load streaming networks, onto the GPU if there is one.

    Raises
    ------
    ModelError : a file is missing, unreadable or not of a streaming network; two files have the same role, or files do
        not go together.
    """
    return combine({path: checkpoint.load(path, kind="stream", device=_device()) for path in map(Path, paths)})


def combine(loaded: dict[Path, tuple[Network, ModelCard]]) -> StreamingModels:
    """Put networks to their roles; the paths are for messages.

    Raises
    ------
    ModelError : two networks have the same role, or were made with other classes, rates or sections.
    """
    by_role: dict[str, Path] = {}
    first, (_, shared) = next(iter(loaded.items()))
    for path, (_, settings) in loaded.items():
        role = ROLES[tuple(name for name in ("video", "audio") if name in settings.modalities)]
        if role in by_role:
            raise ModelError(
                f"{path}: uses {' and '.join(settings.modalities)}, as {by_role[role]} does; name one of them"
            )
        by_role[role] = path
        for name in _SHARED:
            if getattr(settings, name) != getattr(shared, name):
                raise ModelError(
                    f"{path}: was trained with {name} {getattr(settings, name)}, {first} with"
                    f" {getattr(shared, name)}; name models of one training with --checkpoint"
                )
    networks = {role: loaded[by_role[role]][0] if role in by_role else None for role in ROLES.values()}
    facts = {name: getattr(shared, name) for name in ("classes", "rate_fps", "hop_s")}
    return StreamingModels(**networks, **facts, **_sections(first, shared))
