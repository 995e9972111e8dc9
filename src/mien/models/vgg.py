"""VGG-16: configuration D of Simonyan and Zisserman 2014 (arXiv 1409.1556), the face descriptor of thesis section 4.3.

The names in the state dict are those of torchvision's vgg16, beside `mean` and `deviation`, which say how the weights
want their pixels: weights and normalisation belong together, and travel together in one file.

Read .t7 files: objects as Lua Torch 7 wrote them in binary, on a 64-bit little-endian machine.

Own code after the sources of torch7 (File.lua, generic/Tensor.c, generic/Storage.c). Nothing in a file is executed:
a file is numbers, texts and tables, and byte code of Lua functions is refused. An object is

nil         int32 0
number      int32 1, float64
text        int32 2, int32 length, bytes
table       int32 3, int32 index; at the first mention int32 pairs, and that many keys and values, objects again
instance    int32 4, int32 index; at the first mention version "V 1" and class (int32 length, bytes), then what its
            class writes: tensors int32 dimensions, int64 sizes, int64 strides, int64 offset in the storage (from 1)
            and the storage, an object; storages int64 numbers and these; all others one table of their fields
truth       int32 5, int32 0 or 1

The index names an object that several others share.


First weights of VGG-16 from a file: the published face descriptor, torchvision's ImageNet network, or one of ours.

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

import math
import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.errors import ModelError
from mien.io.files import sha256
from mien.models.mrpn import PIXEL_MEAN, PIXEL_STD, first_mismatch

STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels relative to the width, convolutions; a pool ends each
DENSE = 64  # numbers of the two hidden dense layers, relative to the width: 4096
SHRINK = 2 ** len(STAGES)  # of the side of a picture
FACE_MEAN = (129.1863, 104.7624, 93.5940)  # grey levels of R, G, B: Parkhi et al. 2015, Deep face recognition
CONTRAST = 64.0  # grey levels: about the deviation of pictures, with which random weights see numbers of size 1
LAST = 0.01  # deviation of the last layer's first weights


class VGG16(nn.Module):
    """Thirteen convolutions and three dense layers, no batch norm; (B, 3, size_px, size_px) -> (B, classes) logits.

    Pictures are RGB grey levels 0..255; the network looks at (pictures - mean) / deviation, (3, 1, 1) each. Both start
    as the descriptor's channel means and `CONTRAST`; `models.weights.load_descriptor` puts those of a file there. The
    border that pads a picture has the colour `mean`, whatever weights are loaded.

    First weights are those of He et al. 2015 (arXiv 1502.01852, eq. 10): normal with variance 2 / inputs, biases 0.
    They keep the size of the signal through all layers; with the deviation 0.01 of the original a network of this
    depth without batch norm does not start to learn. Only the last layer has that deviation: every class begins with
    nearly the same logit, and the first loss is log(classes).

    width : channels of the first stage; 64 is the standard network. Dense layers have 64 times as many numbers.
    size_px : side of the pictures; 224 is the standard, 32 the least.
    dropout : after both hidden dense layers.

    Raises
    ------
    ModelError : pictures of `size_px` end before the last pool.
    """

    def __init__(self, classes: int, *, width: int = 64, size_px: int = 224, dropout: float = 0.5) -> None:
        super().__init__()
        side = size_px // SHRINK
        if side < 1:
            raise ModelError(f"vgg16 needs pictures of {SHRINK} px or more, got {size_px}; see extractor.vgg_size_px")
        self.classes, self.width, self.size_px = classes, width, size_px
        self.register_buffer("mean", torch.tensor(FACE_MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.full((3, 1, 1), CONTRAST))
        layers, inputs = [], 3
        for factor, convolutions in STAGES:
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, factor * width, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = factor * width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        hidden = DENSE * width
        self.classifier = nn.Sequential(
            *(nn.Linear(inputs * side * side, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
            *(nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
            nn.Linear(hidden, classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.classifier[-1].weight, std=LAST)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.features((pictures - self.mean) / self.deviation)  # (B, 8 width, S / 32, S / 32)
        return self.classifier(maps.flatten(1))  # (B, classes)

    def freeze_convolutions(self) -> None:
        """Keep the convolutions as they are: only dense layers are trained (thesis section 4.3, study X13)."""
        self.features.requires_grad_(False)


DEPTH = 100  # objects inside objects; a network has about ten
DIMENSIONS = 16  # of a tensor
TEXT = 2**16  # bytes of a class name
LEAST_PAIR = 12  # bytes of a key and a value: a truth has 8, nil 4
NUMBERS = {  # kind of tensor or storage -> its numbers
    "Byte": "<u1",
    "Char": "<i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "Half": "<f2",
    "Float": "<f4",
    "Double": "<f8",
    "Cuda": "<f4",  # written as the numbers on the host
    "CudaHalf": "<f2",
    "CudaDouble": "<f8",
    "CudaLong": "<i8",
}
TENSORS = {f"torch.{kind}Tensor": np.dtype(number) for kind, number in NUMBERS.items()}
STORAGES = {f"torch.{kind}Storage": np.dtype(number) for kind, number in NUMBERS.items()}


@dataclass(eq=False)
class Instance:
    """An object of a Lua class, such as a layer of a network."""

    kind: str  # name of the class, such as nn.Linear
    fields: dict[Any, Any] = field(default_factory=dict)


def read(path: Path) -> Any:
    """Read the object in a file.

    nil, numbers, texts, truths and tables come as None, float, str, bool and dict (whose keys 1.0, 2.0, ... are found
    under 1, 2, ... too); tensors and storages as arrays; all else as `Instance`. What is shared in the file is the same
    object here, so tables may contain themselves. Arrays are read-only views of the file, which is not copied, and
    need not be aligned or contiguous; a tensor without numbers comes as shape (0,).

    Raises
    ------
    ModelError : the file is missing, ends too early, or is no binary .t7 file; byte and expectation are named.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise ModelError(f"{path}: is empty, not a .t7 file; fetch it again")
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such .t7 file; check the name") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    reader = _Reader(path, content)
    result = reader.object()
    if reader.at != len(content):
        raise reader.fault(reader.at, "the end of the file", f"{len(content) - reader.at} bytes more")
    return result


class _Reader:
    """A place in a file; methods read what is there and go on behind it."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path = path
        self.content = content
        self.at = 0
        self.depth = 0
        self.shared: dict[int, Any] = {}  # index -> object

    def fault(self, at: int, wanted: str, found: str) -> ModelError:
        """Return the error that says what is wrong at a byte of the file."""
        return ModelError(
            f"{self.path}: damaged, truncated or no binary .t7 file: at byte {at} {wanted} was expected,"
            f" found {found}; fetch it again"
        )

    def object(self) -> Any:
        start, tag = self.at, self.number("<i", "the tag of an object")
        match tag:
            case 0:
                return None
            case 1:
                return self.number("<d", "a number")
            case 2:
                return self.text(len(self.content))
            case 3:
                return self.sharable(start, self.table)
            case 4:
                return self.sharable(start, self.instance)
            case 5:
                return self.truth()
            case 6 | 7 | 8:
                raise self.fault(start, "data", "a Lua function, which is never read")
        raise self.fault(start, "the tag of an object (0 to 5)", str(tag))

    def sharable(self, start: int, content: Callable[[int], Any]) -> Any:
        index = self.number("<i", "the index of an object")
        if index in self.shared:
            return self.shared[index]
        self.depth += 1
        if self.depth > DEPTH:
            raise self.fault(start, f"at most {DEPTH} objects inside one another", "one more")
        result = content(index)
        self.depth -= 1
        return result

    def table(self, index: int) -> dict[Any, Any]:
        self.shared[index] = result = {}  # before its content, which may mention it
        start, pairs = self.at, self.number("<i", "the size of a table")
        if not 0 <= pairs <= (len(self.content) - self.at) / LEAST_PAIR:
            raise self.fault(start, "the size of a table that fits into the file", str(pairs))
        for _ in range(pairs):
            start, key = self.at, self.object()
            if not isinstance(key, bool | float | str) or key != key:
                raise self.fault(start, "a number, text or truth as key of a table", _kind(key))
            result[key] = self.object()
        return result

    def instance(self, index: int) -> Any:
        start, version = self.at, self.text(TEXT)
        kind = self.text(TEXT) if version.startswith("V ") else version  # the first files had no version
        if kind in STORAGES:
            self.shared[index] = self.storage(STORAGES[kind])
        elif kind in TENSORS:
            self.shared[index] = self.tensor(TENSORS[kind])
        else:
            self.shared[index] = result = Instance(kind)
            fields = self.object()
            if not isinstance(fields, dict):
                raise self.fault(start, f"the table of the fields of {kind!r}", _kind(fields))
            result.fields = fields
        return self.shared[index]

    def storage(self, dtype: np.dtype) -> np.ndarray:
        start, size = self.at, self.number("<q", "the size of a storage")
        left = len(self.content) - self.at
        if not 0 <= size <= left // dtype.itemsize:
            raise self.fault(start, f"a storage of at most {left // dtype.itemsize} numbers", str(size))
        result = np.frombuffer(self.content, dtype, count=size, offset=self.at) if size else np.empty(0, dtype)
        self.at += size * dtype.itemsize
        return result

    def tensor(self, dtype: np.dtype) -> np.ndarray:
        start, dimensions = self.at, self.number("<i", "the dimensions of a tensor")
        if not 0 <= dimensions <= DIMENSIONS:
            raise self.fault(start, f"0 to {DIMENSIONS} dimensions of a tensor", str(dimensions))
        sizes = [self.number("<q", "the size of a dimension") for _ in range(dimensions)]
        strides = [self.number("<q", "the stride of a dimension") for _ in range(dimensions)]
        first = self.number("<q", "the place of a tensor in its storage") - 1
        storage = self.object()
        if storage is None:
            storage = np.empty(0, dtype)
        if not isinstance(storage, np.ndarray) or storage.dtype != dtype or storage.ndim != 1:
            raise self.fault(start, f"a tensor with a storage of {dtype}", _kind(storage))
        found = f"sizes {sizes}, strides {strides}, first {first}"
        if min([*sizes, *strides], default=0) < 0:
            raise self.fault(start, "a tensor with sizes and strides that are not negative", found)
        if math.prod(sizes) == 0 or not sizes:
            return np.empty(0, dtype)
        strides = [stride if size > 1 else 0 for size, stride in zip(sizes, strides, strict=True)]  # of no meaning
        last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if first < 0 or last >= len(storage):
            raise self.fault(start, f"a tensor inside its storage of {len(storage)} numbers", found)
        if math.prod(sizes) > len(self.content):  # a stride of 0 makes much of little
            raise self.fault(start, f"a tensor of at most {len(self.content)} numbers", found)
        steps = [stride * dtype.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(storage[first:], sizes, steps, writeable=False)

    def truth(self) -> bool:
        start, value = self.at, self.number("<i", "a truth")
        if value not in (0, 1):
            raise self.fault(start, "0 or 1 as a truth", str(value))
        return bool(value)

    def text(self, longest: int) -> str:
        start, length = self.at, self.number("<i", "the length of a text")
        left = len(self.content) - self.at
        if not 0 <= length <= min(left, longest):
            raise self.fault(start, f"the length of a text of at most {min(left, longest)} bytes", str(length))
        self.at += length
        return self.content[self.at - length : self.at].decode("utf-8", "backslashreplace")

    def number(self, form: str, what: str) -> Any:
        size = struct.calcsize(form)
        if self.at + size > len(self.content):
            raise self.fault(self.at, what, "the end of the file")
        self.at += size
        return struct.unpack_from(form, self.content, self.at - size)[0]


def _kind(value: Any) -> str:
    return repr(value) if isinstance(value, bool | float | str | None) else f"a {type(value).__name__}"


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
    network = read(path)
    modules = network.fields.get("modules") if isinstance(network, Instance) else None
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
    if not isinstance(layer, Instance):
        raise ModelError(f"{path}: module {number} of its nn.Sequential is no layer; fetch it again")
    kind = LUA_KINDS.get(layer.kind.rpartition(".")[2], "")
    if not kind and (layer.fields.keys() & {"weight", "modules"} or "Pooling" in layer.kind):
        raise ModelError(f"{path}: not VGG-16: module {number} is {layer.kind}")
    return kind


def _lua_array(path: Path, number: int, layer: Instance, which: str) -> np.ndarray:
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
