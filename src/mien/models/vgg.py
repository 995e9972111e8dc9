"""VGG-16: configuration D of Simonyan and Zisserman 2014 (arXiv 1409.1556), the face descriptor of thesis section 4.3.

The names in the state dict are those of torchvision's vgg16, beside `mean` and `deviation`, which say how the weights
want their pixels: a network only works with the normalisation that it was trained with, so both travel together in one
file. The normalisation is not folded into the first convolution: with the zeros that pad a picture this would be exact
everywhere but in the outermost pixels of the first map.

`load_descriptor` takes first weights from a file, .safetensors or .pth/.pt (a state dict, read with weights_only):

names of VGG-Face       conv1_1.weight, conv1_1.bias, conv1_2.weight, ..., conv5_3.bias, fc6.weight, ..., fc8.bias, as
                        in vgg_face_dag.pth, Albanie's conversion for PyTorch of the MatConvNet release of Parkhi et al.
                        2015, Deep face recognition. It looks at R, G, B of 0..255 minus the means 129.186, 104.762,
                        93.594. These are of R, G, B: faces are reddish. (The demonstrations for Torch and Caffe swap
                        the channels first and then subtract by position, 129 from blue; we take this for a slip.)
names of torchvision    features.N.weight, ..., classifier.N.bias, as in vgg16-397923af.pth: RGB / 255 with ImageNet's
                        mean and deviation
these with `mean` and   a model.safetensors of ours, or any network with its own normalisation, in grey levels:
`deviation`, (3, 1, 1)  (pictures - mean) / deviation
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
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
    as the descriptor's channel means and `CONTRAST`; `load_descriptor` puts those of a file there. The
    border that pads a picture has the colour `mean`, whatever weights are loaded.

    First weights are those of He et al. 2015 (arXiv 1502.01852, eq. 10): normal with variance 2 / inputs, biases 0.
    They keep the size of the signal through all layers; with the deviation 0.01 of the original a network of this
    depth without batch norm does not start to learn. Only the last layer has that deviation: every class begins with
    nearly the same logit, and the first loss is log(classes).

    Parameters
    ----------
    width
        Channels of the first stage; 64 is the standard network. Dense layers have 64 times as many numbers.
    dropout
        Between the dense layers.

    Raises
    ------
    ModelError
        Pictures of `size_px` end before the last pool.
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


def load_descriptor(model: VGG16, path: Path, *, last_layer: bool = True) -> str:
    """Put the weights and the normalisation of a file into `model`; return the SHA-256 of the file.

    The last layer keeps the weights that it has when the file's has another number of classes. The model is changed
    only if the whole file is in order.

    Parameters
    ----------
    last_layer
        False: it keeps them in any case. Equally many classes need not be the same ones.

    Raises
    ------
    ModelError
        The file is missing, damaged, of another kind, or holds another network, width or picture size.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights; see init under pretrain in params.yaml")
    found = _read_state(path, model)
    wanted = model.state_dict()
    last = f"classifier.{len(model.classifier) - 1}"
    if not last_layer or _shape(found, f"{last}.weight")[:1] not in ((), (model.classes,)):
        for name in (f"{last}.weight", f"{last}.bias"):
            wanted.pop(name)
            found.pop(name, None)
    if mismatch := first_mismatch(wanted, found):
        raise ModelError(f"{path}: not the weights of this VGG-16: {mismatch}; {_advice(model, found)}")
    for name, weight in found.items():
        if not weight.isfinite().all():
            raise ModelError(f"{path}: {name} holds numbers that are not finite; fetch or train it again")
    digest = sha256(path)
    model.load_state_dict(found, strict=False)
    return digest


def _read_state(path: Path, model: VGG16) -> dict[str, Tensor]:
    """Return the state dict of a file under the names of ours, with its normalisation."""
    if path.suffix not in (".pth", ".pt", ".safetensors"):
        raise ModelError(f"{path}: no known file of weights; its name must end in .pth, .pt or .safetensors")
    safe = path.suffix == ".safetensors"
    try:
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch stumbles over in a damaged file, it is the file's fault
        kind = "safetensors file" if safe else "state dict of torch"
        raise ModelError(f"{path}: damaged, truncated or no {kind} ({error}); fetch it again") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: holds a {type(state).__name__}; a state dict of VGG-16 is needed")
    for name, weight in state.items():
        if not (isinstance(name, str) and isinstance(weight, Tensor) and weight.is_floating_point()):
            raise ModelError(f"{path}: {name} is no tensor of floats; a state dict of VGG-16 is needed")
    mean, deviation = (torch.tensor(values).mul(255.0) for values in (PIXEL_MEAN, PIXEL_STD))
    if "conv1_1.weight" in state:
        names = _face_names(model)
        state = {names.get(name, name): weight for name, weight in state.items()}
        mean, deviation = torch.tensor(FACE_MEAN), torch.ones(3)
    normalisation = {"mean": mean.view(3, 1, 1), "deviation": deviation.view(3, 1, 1)}
    return normalisation | {name: weight.float() for name, weight in state.items()}


def _face_names(model: VGG16) -> dict[str, str]:
    """Return name of VGG-Face -> name of ours."""
    ours = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    theirs = [f"conv{stage}_{k + 1}" for stage, (_, count) in enumerate(STAGES, start=1) for k in range(count)]
    pairs = zip([*theirs, "fc6", "fc7", "fc8"], ours, strict=True)
    return {f"{their}.{part}": f"{own}.{part}" for their, own in pairs for part in ("weight", "bias")}


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
