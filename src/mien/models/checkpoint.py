"""model.safetensors: the weights of a network, and a `ModelCard` as JSON in its header that says how to build it again.

The weights of a ResNet-18 have the names of torchvision's, with fc for its classifier, so `mrpn.load_backbone` can
start an encoder from them; those of VGG-16 have the names of `vgg`.

A file that cannot be loaded is refused with a `ModelError` that names it: it is missing; damaged; not written by mien;
of another version; of another kind of network; without weights, because there was nothing to train on; describes a
network that cannot be built; or its weights do not fit.

Networks that are judged with away from their results are exported: all of a row in one file, with what is known of them
and a digest of the weights, which is checked when they are loaded.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from safetensors.torch import save_file
from torch import Tensor, nn

from mien.config.values import plain
from mien.errors import ModelError
from mien.io.files import atomic_file
from mien.io.prune import CHANGED, is_as_listed
from mien.models.card import EXPORTED, Export, ModelCard, read_export
from mien.models.layout import to_device
from mien.models.mrpn import CHANNELS, build, first_mismatch, normalise_pixels
from mien.models.resnet import ResNet12, ResNetClassifier
from mien.models.small import Scaled, classifier
from mien.models.vgg import VGG16

HEADER = "mien"  # one key only: safetensors keeps no order among several


class GreyscaleInput(nn.Module):
    """A network of pictures that looks at grey ones; (B, 1, S, S) grey levels 0..255 -> (B, classes) logits."""

    def __init__(self, network: ResNetClassifier | ResNet12 | VGG16) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor) -> Tensor:
        if isinstance(self.network, ResNet12):
            return self.network(grey)
        pictures = grey.expand(-1, 3, -1, -1).contiguous()  # three equal channels (thesis 4.3)
        if not isinstance(self.network, VGG16):  # which normalises them itself
            pictures = normalise_pixels(pictures)
        return self.network(pictures)


def network(card: ModelCard, *, seed: int = 0, dropout: float | None = None) -> nn.Module:
    """Build the network that a card describes, with random weights that depend on `seed` alone.

    Parameters
    ----------
    dropout
        In training, in the place of the card's; of variants, streams, resnet12 and vgg16.

    Raises
    ------
    KeyError
        The card names a part that there is not.
    ModelError
        A network of kind stream cannot run along, or pictures are too small for the network.
    """
    dropout = card.dropout if dropout is None else dropout
    n_classes = len(card.classes)
    if card.kind == "classifier":
        return classifier(card.model, classes=n_classes, size_px=card.size_px, seed=seed)
    if card.kind == "extractor":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if card.model == "vgg16":
                return VGG16(n_classes, width=card.width, size_px=card.size_px, dropout=dropout)
            if card.model == "resnet12":
                return ResNet12(n_classes, width=card.width, dropout=dropout)
            if card.model != "resnet18":
                raise KeyError(card.model)
            return ResNetClassifier(n_classes, in_channels=CHANNELS[card.modalities[0]], width=card.width)
    model = build(
        card.modalities,
        fusion=card.fusion,
        aggregator=card.aggregator,
        side_head=card.side_head,
        head=card.head,
        members=card.members,
        classes=n_classes if card.target == "label" else 1,
        width=card.width,
        dropout=dropout,
        trunk=card.trunk,
        residual=card.residual,
        also=card.also,
        vectors=card.vectors,
        seed=seed,
    )
    if card.kind == "stream":
        model.require_steps()
    return model


def save(path: Path, weights: nn.Module | Mapping[str, Tensor] | None, card: ModelCard) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    weights
        A network or its state dict; None or empty where there was nothing to train on.
    """
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights or {}
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_file(path) as scratch:
        save_file(tensors, scratch, metadata={HEADER: json.dumps(plain(card), sort_keys=True)})


def load(path: Path, *, kind: str = "variant", device: str = "cpu") -> tuple[nn.Module, ModelCard]:
    """Rebuild the network of a model file, in evaluation mode.

    A classifier comes as `Scaled`: it takes vectors (B, D) as SAMPLES has them, or grey levels 0..255 (B, 1, size_px,
    size_px), as float32.

    Raises
    ------
    ModelError
        See the top of this module.
    """
    path = Path(path)
    card, state = _read(path)
    if card.kind != kind:
        raise ModelError(f"{path}: holds a {card.kind}, {card.variant} of {card.corpus}; a {kind} is needed")
    if not state:
        raise ModelError(f"{path}: holds no weights: {card.variant} was not applicable to {card.corpus}")
    try:
        model = network(card)
    except (LookupError, AttributeError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(f"{path}: describes a network that this version cannot build ({error!r})") from error
    if kind == "classifier":
        blank = torch.zeros_like(state.get("mean", torch.zeros(())))
        model = Scaled(model, mean=blank, deviation=blank.clone())
    if mismatch := first_mismatch(model.state_dict(), state):
        raise ModelError(f"{path}: weights do not fit {card.variant} at width {card.width}: {mismatch}; train it again")
    model.load_state_dict(state)
    return to_device(model.eval(), device), card


def read_card(path: Path) -> ModelCard:
    """Return what the header of a model file says, whatever kind of network it holds.

    Raises
    ------
    ModelError
        See the top of this module.
    """
    return _read(Path(path))[0]


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


def _read(path: Path) -> tuple[ModelCard, dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; train it first, or name another")
    if not is_as_listed(path):
        raise ModelError(f"{path}: {CHANGED}")
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
        card = ModelCard(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its header is of another version ({error}); train it again") from error
    return card, state


def export(
    path: Path, networks: Sequence[tuple[nn.Module, ModelCard]], facts: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write networks into one file, whole or not at all: the weights of the k-th one begin with "k.".

    Parameters
    ----------
    facts
        What else is to be known of them; values of JSON.
    half
        Store kernels and matrices as float16; vectors, such as batch statistics, stay as they are.
    """
    tensors = {
        f"{k}.{name}": _halved(value.detach().cpu()).contiguous() if half else value.detach().cpu().contiguous()
        for k, (model, _) in enumerate(networks)
        for name, value in model.state_dict().items()
    }
    header = {"cards": [plain(card) for _, card in networks], "facts": dict(facts), "sha256": _digest(tensors)}
    with atomic_file(path) as scratch:  # save_file would make one that others may not read
        scratch.write_bytes(serialise(tensors, metadata={EXPORTED: json.dumps(header, sort_keys=True)}))


def load_export(path: Path, *, device: str = "cpu") -> tuple[list[nn.Module], Export]:
    """Rebuild the networks of an exported file, in evaluation mode.

    Raises
    ------
    ModelError
        The file is damaged, its weights are not those that were exported, or a network cannot be built.
    """
    said = read_export(path)
    if said is None:
        raise ModelError(f"{path}: its header has no entry {EXPORTED!r}: the file was not exported by mien")
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    if _digest(state) != said.sha256:
        raise ModelError(f"{path}: its weights are not those that were exported; fetch or export it again")
    networks = []
    for k, card in enumerate(said.cards):
        own = {name.removeprefix(f"{k}."): value for name, value in state.items() if name.startswith(f"{k}.")}
        try:
            model = network(card)
        except (LookupError, AttributeError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ModelError(f"{path}: describes a network that this version cannot build ({error!r})") from error
        if mismatch := first_mismatch(model.state_dict(), own):
            raise ModelError(f"{path}: weights do not fit {card.variant}: {mismatch}; export it again")
        model.load_state_dict(own)
        networks.append(to_device(model.eval(), device))
    return networks, said


def _halved(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() and value.dim() > 1 else value


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a SHA-256 of names, types, shapes and bytes, in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
