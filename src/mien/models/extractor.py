"""Networks of one modality that are trained ahead (thesis 4.3, 5.3.2): built by name, kept in model.safetensors.

The weights of a ResNet-18 have the names of torchvision's, with fc for its classifier, so `build.load_trunk` can start
a branch from them; those of VGG-16 have the names of `vgg`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models import checkpoint
from mien.models.branch import normalise_pixels
from mien.models.build import CHANNELS, first_mismatch
from mien.models.layout import to_device
from mien.models.resnet import ResNet18
from mien.models.vgg import VGG16


@dataclass(frozen=True, kw_only=True)
class Settings:
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


def extractor(settings: Settings, *, seed: int = 0, dropout: float = 0.0) -> ResNetClassifier | VGG16:
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


def load_extractor(path: Path, *, device: str = "cpu") -> tuple[ResNetClassifier | VGG16, Settings]:
    """Rebuild the network of a model file, in evaluation mode.

    Raises
    ------
    ModelError : the file is missing, damaged, without weights, or no extractor of ours.
    """
    settings, state = checkpoint.read(Path(path), Settings)
    if not state:
        raise ModelError(f"{path}: holds no weights: {settings.variant} was not applicable to {settings.corpus}")
    model = extractor(settings)
    if mismatch := first_mismatch(model.state_dict(), state):
        raise ModelError(f"{path}: weights do not fit {settings.network}: {mismatch}; train it again")
    model.load_state_dict(state)
    return to_device(model.eval(), device), settings
