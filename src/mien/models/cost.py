"""What a network costs: multiply-adds of its convolutions and dense layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call


def multiply_adds(model: nn.Module, shape: Sequence[int]) -> int:
    """Count the multiply-adds of one pass forward.

    Convolutions and dense layers count, at every position and step; biases, norms, pools and activations, which are
    less than a hundredth, do not. Nothing is computed and no weight is copied.

    model : its weights, gradients and mode are left as they are.   shape : of the input, with the batch axis.
    """
    counts: list[int] = []

    def count(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        positions = out.numel() // layer.weight.shape[0]  # a weight is used once at each of them
        counts.append(layer.weight.numel() * positions)

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    try:
        model.eval()  # batch norm in training needs more than one input
        weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        shapes = {name: value.to("meta") for name, value in weights.items()}
        with torch.no_grad():
            functional_call(model, shapes, (torch.zeros(*shape, device="meta"),))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return sum(counts)
