"""Classifiers of vectors and pictures: built by name, with the scaling of their inputs, kept in model.safetensors."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models import checkpoint
from mien.models.build import first_mismatch
from mien.models.cnn import CNN1, CNN2, CNN3
from mien.models.geometry import DNNAU, DNNFP
from mien.models.layout import to_device

BUILDERS = {  # name -> network of (classes, side of the picture in px)
    "dnn_au": lambda classes, _: DNNAU(classes=classes),
    "dnn_fp": lambda classes, _: DNNFP(classes=classes),
    "cnn1": lambda classes, _: CNN1(classes=classes),
    "cnn2": lambda classes, _: CNN2(classes=classes),
    "cnn3": lambda classes, size_px: CNN3(classes=classes, size_px=size_px),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
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


def load_classifier(path: Path, *, device: str = "cpu") -> tuple[Scaled, Settings]:
    """Rebuild the classifier of a model file, in evaluation mode.

    It takes vectors (B, D) as SAMPLES has them, or grey levels 0..255 (B, 1, size_px, size_px), as float32.

    Raises
    ------
    ModelError : the file is missing, damaged, without weights, or not a classifier of ours.
    """
    settings, state = checkpoint.read(Path(path), Settings)
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
