"""model.safetensors: the weights of a network, and as JSON in its header all that is needed to use them again.

Classifiers of vectors and pictures: built by name, with the scaling of their inputs, kept in model.safetensors.

Networks of one modality that are trained ahead (thesis 4.3, 5.3.2): built by name, kept in model.safetensors.

The weights of a ResNet-18 have the names of torchvision's, with fc for its classifier, so `build.load_trunk` can start
a branch from them; those of VGG-16 have the names of `vgg`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mien.errors import ModelError
from mien.io.files import atomic_file
from mien.models.layout import to_device
from mien.models.mrpn import CHANNELS, Network, build, first_mismatch, normalise_pixels
from mien.models.resnet import ResNet18
from mien.models.small import CNN1, CNN2, CNN3, DNNAU, DNNFP
from mien.models.vgg import VGG16

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


BUILDERS = {  # name -> network of (classes, side of the picture in px)
    "dnn_au": lambda classes, _: DNNAU(classes=classes),
    "dnn_fp": lambda classes, _: DNNFP(classes=classes),
    "cnn1": lambda classes, _: CNN1(classes=classes),
    "cnn2": lambda classes, _: CNN2(classes=classes),
    "cnn3": lambda classes, size_px: CNN3(classes=classes, size_px=size_px),
}


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """What the header of a classifier's model file says."""

    corpus: str  # the pair that it was trained and tested on
    variant: str  # row of classifiers
    fold: int
    seed: int
    model: str
    features: str  # AU8, FP68 or image
    size_px: int  # side of the picture; 0 for vectors
    classes: tuple[str, ...]  # names in the order of the logits


class Scaled(nn.Module):
    """A network that looks at (x - mean) / deviation; stored inputs (B, ...) -> (B, classes) logits.

    mean, deviation : of one shape, such as () or (D,), that fits the inputs from the right.
    """

    def __init__(self, network: nn.Module, *, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network((inputs - self.mean) / self.deviation)


def classifier(name: str, *, classes: int = 4, size_px: int, seed: int) -> nn.Module:
    """Build a network of thesis section 4.2 with random weights; its inputs are scaled already.

    Weights start as Keras starts them, in which such networks were written: Glorot's uniform distribution, biases 0.
    torch's own are smaller, and CNN-3, which has no batch norm, then stays at chance twice as long.

    name : one of `BUILDERS`.   size_px : side of the picture, of no meaning to networks of vectors.
    """
    with torch.random.fork_rng(devices=[]):  # torch's own first weights come from the global stream
        model = BUILDERS[name](classes, size_px)
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


def load_classifier(path: Path, *, device: str = "cpu") -> tuple[Scaled, ClassifierSettings]:
    """Rebuild the classifier of a model file, in evaluation mode.

    It takes vectors (B, D) as SAMPLES has them, or grey levels 0..255 (B, 1, size_px, size_px), as float32.

    Raises
    ------
    ModelError : the file is missing, damaged, without weights, or not a classifier of ours.
    """
    settings, state = read(Path(path), ClassifierSettings)
    if not state:
        raise ModelError(f"{path}: holds no weights: {settings.variant} was not applicable to {settings.corpus}")
    if settings.model not in BUILDERS:
        raise ModelError(f"{path}: describes a network {settings.model!r}; this version knows {', '.join(BUILDERS)}")
    network = classifier(settings.model, classes=len(settings.classes), size_px=settings.size_px, seed=0)
    blank = torch.zeros_like(state.get("mean", torch.zeros(())))
    model = Scaled(network, mean=blank, deviation=blank.clone())
    if mismatch := first_mismatch(model.state_dict(), state):
        raise ModelError(f"{path}: weights do not fit {settings.model}: {mismatch}; train it again")
    model.load_state_dict(state)
    return to_device(model.eval(), device), settings


@dataclass(frozen=True, kw_only=True)
class ExtractorSettings:
    """What the header of such a model file says; `sound` and `faces` are the sections that its inputs were made with.

    One of them is empty, as a network has one modality.
    """

    corpus: str  # of the results, such as ravdess_actor
    base: str  # of the clips
    variant: str  # row of pretrain
    fold: int
    seed: int
    modality: str
    network: str  # resnet18 or vgg16
    width: int  # channels of the first stage
    size_px: int  # side of the picture; 0 for sound
    classes: tuple[str, ...]  # emotions or people, in the order of the logits
    sound: dict[str, Any]  # SoundConfig
    faces: dict[str, Any]  # FacesConfig


class ResNetClassifier(ResNet18):
    """ResNet-18 with its classifier; (B, in_channels, H, W), normalised -> (B, classes) logits."""

    def __init__(self, classes: int, *, in_channels: int, width: int) -> None:
        super().__init__(in_channels=in_channels, width=width)
        self.fc = nn.Linear(self.dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(super().forward(x))


class OfGrey(nn.Module):
    """A network of colour pictures that looks at grey ones; (B, 1, S, S) grey levels 0..255 -> (B, classes) logits."""

    def __init__(self, network: ResNetClassifier | VGG16) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor) -> Tensor:
        pictures = grey.expand(-1, 3, -1, -1).contiguous()  # three equal channels (thesis 4.3)
        if not isinstance(self.network, VGG16):  # which normalises them itself
            pictures = normalise_pixels(pictures)
        return self.network(pictures)


def extractor(settings: ExtractorSettings, *, seed: int = 0, dropout: float = 0.0) -> ResNetClassifier | VGG16:
    """Build the network that `settings` describes, with random weights that depend on `seed` alone.

    dropout : of vgg16 while it is trained; resnet18 has none.

    Raises
    ------
    ModelError : there is no such network, or the pictures are too small for it.
    """
    sizes = {"classes": len(settings.classes), "width": settings.width}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.network == "resnet18":
            return ResNetClassifier(in_channels=CHANNELS[settings.modality], **sizes)
        if settings.network == "vgg16":
            return VGG16(size_px=settings.size_px, dropout=dropout, **sizes)
    raise ModelError(f"{settings.variant}: describes a network {settings.network!r}; known: resnet18, vgg16")


def load_trunk(model: ResNetClassifier, path: Path) -> None:
    """Put the weights of a safetensors file with torchvision's names into `model`; fc stays as it is.

    Raises
    ------
    ModelError : the file is missing or damaged, or holds another trunk.
    """
    try:
        state = {name: weight for name, weight in load_file(path).items() if not name.startswith("fc.")}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: first weights cannot be read ({error}); see pretrain.*.init") from error
    wanted = {name: weight for name, weight in model.state_dict().items() if not name.startswith("fc.")}
    if mismatch := first_mismatch(wanted, state):
        raise ModelError(f"{path}: not the trunk of this resnet18: {mismatch}; check train.width")
    model.load_state_dict(state, strict=False)


def load_extractor(path: Path, *, device: str = "cpu") -> tuple[ResNetClassifier | VGG16, ExtractorSettings]:
    """Rebuild the network of a model file, in evaluation mode.

    Raises
    ------
    ModelError : the file is missing, damaged, without weights, or no extractor of ours.
    """
    settings, state = read(Path(path), ExtractorSettings)
    if not state:
        raise ModelError(f"{path}: holds no weights: {settings.variant} was not applicable to {settings.corpus}")
    model = extractor(settings)
    if mismatch := first_mismatch(model.state_dict(), state):
        raise ModelError(f"{path}: weights do not fit {settings.network}: {mismatch}; train it again")
    model.load_state_dict(state)
    return to_device(model.eval(), device), settings
