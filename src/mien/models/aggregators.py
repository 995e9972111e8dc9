"""Aggregators: from a sequence of features to one vector (SAC in thesis section 5.2), at its end or along the way.

An aggregator is a module (B, T, D) -> (B, D). Those that know no later step have a method `run` that gives what they
would have said after every step, and a memory with which the sequence goes on: run(one part) and then run(the rest,
memory) is run(the whole). BiLSTM and Transformer look at whole sequences and have none.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError

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


class BiLSTM(nn.Module):
    """Mean over time of an LSTM's states in both directions, D / 2 numbers each; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor) -> Tensor:
        states, _ = self.lstm(features)  # (B, T, D)
        return states.mean(1)  # (B, D)


class Transformer(nn.Module):
    """Mean over time of what pre-norm encoder layers make of the sequence; (B, T, D) -> (B, D).

    Learned positions and layers of an encoder as in Dosovitskiy et al. (2021), whose features the thesis averages.
    D is a multiple of `HEADS`.
    """

    HEADS = 8
    LAYERS = 2
    STEPS = 64  # longest sequence
    DROPOUT = 0.1

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(self.STEPS, dim))
        nn.init.trunc_normal_(self.positions, std=0.02)  # as there
        sizes = {"d_model": dim, "nhead": self.HEADS, "dim_feedforward": 2 * dim, "dropout": self.DROPOUT}
        layers = [
            nn.TransformerEncoderLayer(**sizes, activation="gelu", norm_first=True, batch_first=True)
            for _ in range(self.LAYERS)
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        if (n_steps := features.shape[1]) > self.STEPS:
            raise ModelError(
                f"the transformer has learned positions for {self.STEPS} steps, and a clip has {n_steps}; lower"
                " train.frames, or use another aggregator"
            )
        return self.layers(features + self.positions[:n_steps]).mean(1)  # (B, D)


AGGREGATORS: dict[str, Callable[[int], nn.Module]] = {  # name -> constructor from D
    "lstm": LSTMAggregator,
    "bilstm": BiLSTM,
    "transformer": Transformer,
    "none": Newest,
}
