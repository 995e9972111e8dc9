"""The networks that run along with a film: one for face and voice together, one for each alone; some may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.config import FacesConfig, SoundConfig, WatchConfig
from mien.core.errors import ConfigError, ModelError
from mien.models.fusion import Network
from mien.models.running import StreamSettings, load
from mien.predict.selection import best_files

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
