"""First weights of VGG-16 from a file: the published face descriptor, torchvision's ImageNet network, or one of ours.

.t7           VGG_FACE.t7 of Parkhi et al. 2015 (https://www.robots.ox.ac.uk/~vgg/software/vgg_face/), for non-
              commercial use, read by `models.lua_torch`
.pth, .pt     torchvision's vgg16: a state dict with the names features.N and classifier.N, read with weights_only
.safetensors  a model.safetensors of ours, or a file with torchvision's names

A network only works with the normalisation that it was trained with, which is `mean` and `deviation` of VGG16. It is
not folded into the first convolution: with the zeros that pad a picture this would be exact everywhere but in the
outermost pixels of the first map, and these buffers are exact there too.

VGG_FACE.t7: means 129.1863, 104.7624, 93.5940, deviation 1. Its first convolution looks at B, G, R, so its input
channels are turned round here. The means are of R, G, B: faces are reddish, the MatConvNet release of the same
network, which takes RGB, subtracts them in this order, and its successor VGGFace2 has 131.1, 103.9, 91.5 for R, G, B.
The demonstrations for Torch and Caffe swap the channels first and then subtract by position, 129 from blue; we take
this for a slip, worth 36 grey levels of red and blue, and do not repeat it.

Files of torchvision, and those with its names that hold no `mean`: RGB / 255 with ImageNet's mean and deviation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.core.files import sha256
from mien.models import lua_torch
from mien.models.branch import PIXEL_MEAN, PIXEL_STD
from mien.models.build import first_mismatch
from mien.models.vgg import DENSE, FACE_MEAN, SHRINK, STAGES, VGG16

KINDS = {nn.Conv2d: "a convolution", nn.MaxPool2d: "a pool", nn.Linear: "a dense layer"}
LUA_KINDS = {
    "SpatialConvolution": "a convolution",
    "SpatialConvolutionMM": "a convolution",
    "SpatialMaxPooling": "a pool",
    "Linear": "a dense layer",
}
KERNEL = (3, 3)


def load_descriptor(model: VGG16, path: Path, *, last_layer: bool = True) -> str:
    """Put the weights and the normalisation of a file into `model`; return the SHA-256 of the file.

    The last layer keeps the weights that it has when the file's has another number of classes. The model is changed
    only if the whole file is in order.

    last_layer : False: it keeps them in any case. Equally many classes need not be the same ones.

    Raises
    ------
    ModelError : the file is missing, damaged, of another kind, or holds another network, width or picture size.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights; see init under pretrain in params.yaml")
    readers = {".t7": _read_lua, ".pth": _read_torch, ".pt": _read_torch, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise ModelError(f"{path}: no known file of weights; its name must end in {', '.join(readers)}")
    found = readers[path.suffix](path, model)
    wanted = model.state_dict()
    last = f"classifier.{len(model.classifier) - 1}"
    if not last_layer or _shape(found, f"{last}.weight")[:1] not in ((), (model.classes,)):
        for name in (f"{last}.weight", f"{last}.bias"):
            wanted.pop(name)
            found.pop(name, None)
    if mismatch := first_mismatch(wanted, found):
        raise ModelError(f"{path}: not the weights of this VGG-16: {mismatch}; {_advice(model, found)}")
    state = {name: _tensor(weight) for name, weight in found.items()}
    for name, weight in state.items():
        if not weight.isfinite().all():
            raise ModelError(f"{path}: {name} holds numbers that are not finite; fetch or train it again")
    digest = sha256(path)
    model.load_state_dict(state, strict=False)
    return digest


def _read_torch(path: Path, model: VGG16) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader stumbles over in a damaged file, it is the file's fault
        raise ModelError(f"{path}: damaged, truncated or no state dict of torch ({error}); fetch it again") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: holds a {type(state).__name__}; a state dict of torchvision's vgg16 is needed")
    return _with_normalisation(path, state)


def _read_safetensors(path: Path, model: VGG16) -> dict[str, Any]:
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged, truncated or no safetensors file ({error}); make it again") from error
    return _with_normalisation(path, state)


def _with_normalisation(path: Path, state: Mapping[Any, Any]) -> dict[str, Any]:
    """Check that a state dict is of float tensors; add ImageNet's normalisation where there is none."""
    for name, weight in state.items():
        if not (isinstance(name, str) and isinstance(weight, Tensor) and weight.is_floating_point()):
            raise ModelError(f"{path}: {name} is no tensor of floats; a state dict of VGG-16 is needed")
    if "mean" in state:
        return dict(state)
    return dict(state) | {"mean": _channels(PIXEL_MEAN, 255.0), "deviation": _channels(PIXEL_STD, 255.0)}


def _read_lua(path: Path, model: VGG16) -> dict[str, Any]:
    """Give the layers of an nn.Sequential the names of ours; both must have the same layers in the same order."""
    network = lua_torch.read(path)
    modules = network.fields.get("modules") if isinstance(network, lua_torch.Instance) else None
    if not isinstance(modules, dict) or network.kind != "nn.Sequential":
        raise ModelError(f"{path}: holds no nn.Sequential with modules; VGG_FACE.t7 is needed")
    layers = [modules.get(number) for number in range(1, len(modules) + 1)]
    layers = [(number, layer, _lua_kind(path, number, layer)) for number, layer in enumerate(layers, start=1)]
    layers = [entry for entry in layers if entry[2]]
    ours = [(name, KINDS[type(module)]) for name, module in model.named_modules() if type(module) in KINDS]
    for (number, layer, kind), (name, wanted) in zip(layers, ours, strict=False):
        if kind != wanted:
            raise ModelError(f"{path}: not VGG-16: module {number} is {layer.kind}, instead of {wanted} ({name})")
    if len(layers) != len(ours):
        raise ModelError(f"{path}: not VGG-16: {len(layers)} convolutions, pools and dense layers, not {len(ours)}")
    state = {"mean": _channels(FACE_MEAN, 1.0), "deviation": _channels((1.0, 1.0, 1.0), 1.0)}
    for (number, layer, kind), (name, _) in zip(layers, ours, strict=True):
        if kind != KINDS[nn.MaxPool2d]:
            weight, bias = (_lua_array(path, number, layer, which) for which in ("weight", "bias"))
            if kind == KINDS[nn.Conv2d] and weight.ndim == 2 and weight.shape[1] % 9 == 0:  # as ...MM has it
                weight = weight.reshape(len(weight), -1, *KERNEL)
            state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    first = f"{ours[0][0]}.weight"
    state[first] = state[first][:, ::-1] if state[first].ndim > 1 else state[first]  # B, G, R to R, G, B
    return state


def _lua_kind(path: Path, number: int, layer: Any) -> str:
    """Say in words what a module is; empty if it holds no weights and moves nothing."""
    if not isinstance(layer, lua_torch.Instance):
        raise ModelError(f"{path}: module {number} of its nn.Sequential is no layer; fetch it again")
    kind = LUA_KINDS.get(layer.kind.rpartition(".")[2], "")
    if not kind and (layer.fields.keys() & {"weight", "modules"} or "Pooling" in layer.kind):
        raise ModelError(f"{path}: not VGG-16: module {number} is {layer.kind}")
    return kind


def _lua_array(path: Path, number: int, layer: lua_torch.Instance, which: str) -> np.ndarray:
    array = layer.fields.get(which)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise ModelError(f"{path}: module {number}, {layer.kind}, has no {which} of floats; fetch it again")
    return array


def _channels(values: tuple[float, ...], scale: float) -> Tensor:
    return torch.tensor(values).mul(scale).view(3, 1, 1)


def _tensor(weight: Tensor | np.ndarray) -> Tensor:
    """Return a float32 tensor; arrays of a mapped file may be unaligned and turned round, so they are copied."""
    return weight.float() if isinstance(weight, Tensor) else torch.from_numpy(np.array(weight, np.float32, order="C"))


def _shape(found: Mapping[str, Any], name: str) -> tuple[int, ...]:
    return tuple(found[name].shape) if name in found else ()


def _advice(model: VGG16, found: Mapping[str, Any]) -> str:
    """Say what to do about weights that do not fit: the first convolution tells the width, the first dense the side."""
    first, dense = _shape(found, "features.0.weight"), _shape(found, "classifier.0.weight")
    if len(first) == 4 and len(dense) == 2 and dense[0] == DENSE * first[0]:
        if first[0] != model.width:
            return f"its width is {first[0]}, here {model.width}: see extractor.vgg_width"
        side = (dense[1] / (STAGES[-1][0] * model.width)) ** 0.5
        if side.is_integer() and side != model.size_px // SHRINK:
            return f"its pictures have {int(side) * SHRINK} px, here {model.size_px}: see extractor.vgg_size_px"
    return "weights of configuration D of VGG without batch norm are needed"
