"""Adam and AdamW of torch, less their import of its compiler.

torch marks methods of its optimisers as not to be compiled, and the mark imports torch._dynamo and sympy: over a second
of every job. Nothing is compiled here, so the same methods are taken without the mark.
"""

import inspect
from collections.abc import Iterable

import torch
from torch import nn


class _Uncompiled(torch.optim.Optimizer):
    """The methods under the marks; a version of torch that does not mark one gives it as it is."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class Adam(_Uncompiled, torch.optim.Adam):
    """torch.optim.Adam (Kingma and Ba 2015, arXiv 1412.6980) of the `weights` that learn, one call for all of them."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))

    def __init__(self, weights: Iterable[nn.Parameter], *, learning_rate: float) -> None:
        super().__init__([weight for weight in weights if weight.requires_grad], lr=learning_rate, fused=True)


class AdamW(_Uncompiled, torch.optim.AdamW):
    """torch.optim.AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) of the `weights` that learn, likewise."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))

    def __init__(self, weights: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float) -> None:
        learning = [weight for weight in weights if weight.requires_grad]
        super().__init__(learning, lr=learning_rate, weight_decay=weight_decay, fused=True)
