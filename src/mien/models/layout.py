"""The memory layout of networks: the only place that decides it."""

import torch
from torch import Tensor, nn


def to_device(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move a network to a device and lay its weights out for it, in place; return the network.

    A convolution with channels-last weights gives channels-last outputs, whatever its input: inputs need no layout of
    their own. On a GPU the weights of 2D convolutions are channels-last; on a CPU where that is safe, contiguous
    elsewhere. Contiguous weights take 6 to 18 % longer to train ResNet-18 of width 8 and 16 on a CPU with AVX2, and 11
    to 40 % longer to evaluate it (`benchmarks/layout.py`).

    Not safe is oneDNN's kernel for the gradient of the weights of a strided 1x1 convolution (jit_1x1):
    with fewer input channels than a vector it writes beyond its buffer in channels-last layout, which is taken if the
    weights or the input have it (oneDNN's issue 6035). Seen with torch 2.11.0, 2.12.0, 2.13.0 and 2.15.0, the newest
    (oneDNN 3.10.2 to 3.13.3): no newer torch, and so no triple with torchvision and torchaudio, ends it. In a network
    with such a layer all 2D convolutions have contiguous weights and make their inputs contiguous.

    Weights of 3D convolutions stay contiguous: channels-last is faster at width 8 and slower at width 64 on a CPU.
    """
    model = model.to(device)
    unsafe = torch.device(device).type == "cpu" and any(map(_is_unsafe, model.modules()))
    for layer in model.modules() if unsafe else ():
        if isinstance(layer, nn.Conv2d) and _contiguous not in layer._forward_pre_hooks.values():
            layer.register_forward_pre_hook(_contiguous)
    layout = torch.contiguous_format if unsafe else torch.channels_last
    for weight in model.parameters():
        if weight.ndim == 4:  # contiguous() would leave weights of one input channel alone, and with them what follows
            weight.data = weight.data.to(memory_format=layout)
    return model


def _is_unsafe(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d) or module.kernel_size != (1, 1):
        return False
    return module.in_channels // module.groups % 8 != 0  # float32 in a vector of AVX2, which `mien.kernels` pins


def _contiguous(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].reshape(-1).view(inputs[0].shape),)  # contiguous() would keep other strides of sizes of 1
