"""Aggregators: from a sequence of features to one vector (SAC in thesis section 5.2), at its end or along the way.

An aggregator is a module (B, T, D) -> (B, D) with a method `run` that gives what it would have said after every step,
and a memory with which the sequence goes on: run(one part) and then run(the rest, memory) is run(the whole).
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

Memory = Any  # what an aggregator keeps between two calls of `run`; None: nothing yet


class LSTMAggregator(nn.Module):
    """Last hidden state of a one-layer LSTM; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        states, _ = self.run(features)  # (B, T, D)
        return states[:, -1]  # (B, D)

    def run(self, features: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        """Return the hidden states (B, T, D) and the memory: hidden and cell state, each (1, B, D)."""
        return self.lstm(features, memory)


class Newest(nn.Module):
    """The feature of the newest step, without memory; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, features: Tensor) -> Tensor:
        return features[:, -1]  # (B, D)

    def run(self, features: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        """Return the features (B, T, D) as they are, and no memory."""
        return features, memory


AGGREGATORS: dict[str, Callable[[int], nn.Module]] = {  # name -> constructor from D
    "lstm": LSTMAggregator,
    "none": Newest,
}
