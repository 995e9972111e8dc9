"""model.safetensors: the weights of a network, and as JSON in its header all that is needed to use them again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mien.core.errors import ModelError
from mien.core.files import atomic_file
from mien.models.build import build, first_mismatch
from mien.models.fusion import Network
from mien.models.layout import to_device

HEADER = "mien"  # one key only: safetensors keeps no order among several

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the header of a model file says; `sound` and `faces` are the sections that its inputs were made with."""

    corpus: str
    variant: str
    fold: int
    seed: int
    modalities: tuple[str, ...]
    fusion: str
    aggregator: str
    trunk: dict[str, str]  # modality -> key of build.TRUNKS; resnet18 where absent
    side_head: str
    augmentation: str
    classes: tuple[str, ...]  # names in the order of the logits; of intensity, names of the levels 0, 1, ...
    width: int
    dropout: float
    frames: int  # of a clip
    segments: int  # of a clip
    sound: dict[str, Any]  # SoundConfig
    faces: dict[str, Any]  # FacesConfig
    target: str = "label"  # or intensity: one output, a number
    residual: str = "sigmoid"  # key of build.ACTIVATIONS; of mrpn


def network(settings: Settings, *, seed: int = 0) -> Network:
    """Build the network that `settings` describes, with random weights."""
    return build(
        settings.modalities,
        fusion=settings.fusion,
        aggregator=settings.aggregator,
        side_head=settings.side_head,
        classes=len(settings.classes) if settings.target == "label" else 1,
        width=settings.width,
        dropout=settings.dropout,
        trunk=settings.trunk,
        residual=settings.residual,
        seed=seed,
    )


def save(path: Path, model: Network | None, settings: Settings) -> None:
    """Write a model file, whole or not at all; without a network (nothing to train on) it holds no weights."""
    state = {} if model is None else {name: value.detach().cpu() for name, value in model.state_dict().items()}
    save_state(path, state, settings)


def save_state(path: Path, state: Mapping[str, Any], settings: Any) -> None:
    """Write a model file from a state dict; `settings` is a dataclass, which `read` finds again."""
    tensors = {name: value.contiguous() for name, value in state.items()}
    with atomic_file(path) as scratch:
        save_file(tensors, scratch, metadata={HEADER: json.dumps(asdict(settings), sort_keys=True)})


def load(path: Path, *, device: str = "cpu") -> tuple[Network, Settings]:
    """Rebuild the network of a model file, in evaluation mode.

    Raises
    ------
    ModelError : the file is missing, damaged, without weights, or not ours.
    """
    return load_as(path, Settings, network, device=device)


def load_as(path: Path, kind: type[T], make: Callable[[T], Network], *, device: str = "cpu") -> tuple[Network, T]:
    """Rebuild a network, in evaluation mode, from a file whose header is the dataclass `kind`.

    kind : with the fields corpus, variant and width.   make : builds the network, with any weights.

    Raises
    ------
    ModelError : the file is missing, damaged, without weights, or not ours.
    """
    settings, state = read(Path(path), kind)
    if not state:
        raise ModelError(f"{path}: holds no weights: {settings.variant} was not applicable to {settings.corpus}")
    try:
        model = make(settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: describes a network that this version cannot build ({error!r})") from error
    if mismatch := first_mismatch(model.state_dict(), state):
        raise ModelError(f"{path}: weights do not fit {settings.variant} at width {settings.width}: {mismatch}")
    model.load_state_dict(state)
    return to_device(model.eval(), device), settings


def is_bare(path: Path) -> bool:
    """Say whether a file is of ours and holds no weights, because there was nothing to train on.

    A file that is missing or damaged is not: that is said in full when it is loaded.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return not file.keys() and HEADER in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read(path: Path, kind: type[T]) -> tuple[T, dict[str, Any]]:
    """Return the header of a model file as the dataclass `kind`, whose sequences are tuples, and its state dict.

    A field with a default may be absent: the file is older than it.

    Raises
    ------
    ModelError : the file is missing, damaged, not ours, or the header has other fields.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; train it first, or name another")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or not a safetensors file ({error}); train it again") from error
    if header is None:
        raise ModelError(f"{path}: its header has no entry {HEADER!r}: the file was not written by mien")
    try:
        values = json.loads(header)
        known = {field.name for field in fields(kind)}
        needed = {field.name for field in fields(kind) if field.default is MISSING}
        if not isinstance(values, dict) or not needed <= set(values) <= known:
            raise ValueError(f"keys differ: {sorted(needed - set(values) | set(values) - known)}")
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: its header is of another version ({error}); train it again") from error
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**values), state
