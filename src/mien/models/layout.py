"""The memory layout of networks: the only place that decides it."""

import torch
from torch import nn

SAFE_CHANNELS = 8  # channels of a vector of AVX2


def to_device(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move a network to a device and lay its weights out for it, in place; return the network.

    A convolution follows the layout of its weights, whatever that of its input, and so does what comes after it:
    inputs need no layout of their own. On a GPU the weights of 2D convolutions are channels-last; on a CPU where that
    is safe, contiguous elsewhere. Training ResNet-18 of width 8 and 16 on a CPU with AVX2 takes 9 to 15 % longer with
    contiguous weights, evaluating it 31 to 43 % (`benchmarks/layout.py`).

    Not safe is oneDNN's kernel for the gradient of the weights of a strided 1x1 convolution (jit_1x1:avx2): with fewer
    input channels than a vector it writes beyond its buffer in channels-last layout (oneDNN's issue 6035). Seen with
    torch 2.11.0, 2.12.0, 2.13.0 and 2.15.0, the newest (oneDNN 3.10.2 to 3.13.3): no newer torch, and so no triple with
    torchvision and torchaudio, ends it.

    Weights of 3D convolutions stay contiguous: channels-last is faster at width 8 and slower at width 64 on a CPU.
    """
    model = model.to(device)
    last = torch.device(device).type != "cpu" or all(map(_is_safe, model.modules()))
    for weight in model.parameters():
        if weight.ndim == 4:  # contiguous() would leave weights of one input channel alone, and with them what follows
            weight.data = weight.data.to(memory_format=torch.channels_last if last else torch.contiguous_format)
    return model


def _is_safe(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d) or module.kernel_size != (1, 1):
        return True
    return module.in_channels // module.groups % SAFE_CHANNELS == 0
