"""Hold the gradients of the project's convolutions against float64; test_layout runs it in a process of its own.

    python tests/models/layer_gradients.py resnet18

A kernel that writes beyond its buffer may end the process: every line says what is tried next.
"""

import copy
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mien.models.layout import to_device
from mien.models.resnet import ResNet3D18, ResNet18
from mien.models.small import CNN1, CNN2, CNN3
from mien.models.vgg import VGG16

WIDTHS = range(1, 17)
NETWORKS = {
    "resnet18": lambda: (ResNet18(in_channels=colours, width=width) for colours in (1, 3) for width in WIDTHS),
    "resnet3d18": lambda: (ResNet3D18(in_channels=colours, width=width) for colours in (1, 3) for width in WIDTHS),
    "vgg16": lambda: (VGG16(7, width=width, size_px=32) for width in WIDTHS),
    "cnn": lambda: (CNN1(classes=7), CNN2(classes=7), CNN3(classes=7, size_px=48)),
}
BATCH = 4
OUT = {nn.Conv2d: (8, 8), nn.Conv3d: (2, 4, 4)}  # size of a layer's output; large enough for all kernels of oneDNN
REPEATS = 2  # damage shows when memory is freed or used again
TOLERANCE = 1e-4  # of the largest number of a gradient; rounding stays fifty times below


def layers(kind: str) -> Iterator[nn.Module]:
    """Yield every convolution of the networks as it is laid out on a CPU, equal ones once."""
    seen = set()
    for network in NETWORKS[kind]():
        for module in to_device(network, "cpu").modules():
            if type(module) in OUT and (identity := (str(module), module.weight.stride())) not in seen:
                seen.add(identity)
                yield module


def contiguous(layer: nn.Module) -> nn.Module:
    """Return a copy with contiguous weights."""
    plain = copy.deepcopy(layer)
    plain.weight.data = torch.empty(layer.weight.shape).copy_(layer.weight.data)
    return plain


def gradients(layer: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Return those of the weights and of the inputs."""
    inputs = inputs.detach().requires_grad_()
    layer.zero_grad()
    layer(inputs).square().sum().backward()
    return {"weights": layer.weight.grad, "inputs": inputs.grad}


def check(layer: nn.Module) -> None:
    """Compare a layer in its layout and in the contiguous one, with inputs in both, with float64."""
    sides = [size * stride for size, stride in zip(OUT[type(layer)], layer.stride, strict=True)]
    plain = contiguous(layer)
    layout = "contiguous" if layer.weight.stride() == plain.weight.stride() else "channels-last"
    inputs = torch.randn(BATCH, layer.in_channels, *sides, generator=torch.Generator().manual_seed(0))
    true = gradients(contiguous(layer).double(), inputs.double())
    last = torch.channels_last if inputs.ndim == 4 else torch.channels_last_3d
    for name, candidate in {"contiguous": plain, layout: layer}.items():
        print(f"{layer}, {name} weights", flush=True)
        for _ in range(REPEATS):
            for given in (inputs, inputs.to(memory_format=last)) if candidate is layer else (inputs,):
                for what, gradient in gradients(candidate, given).items():
                    error = ((gradient - true[what]).abs().max() / true[what].abs().max()).item()
                    if not error < TOLERANCE:
                        sys.exit(f"the gradient of the {what} is wrong by {error:.1e} of its largest number")


def main(kind: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    different = list(layers(kind))
    for layer in different:
        check(layer)
    print(f"{len(different)} convolutions")


if __name__ == "__main__":
    main(*sys.argv[1:])
