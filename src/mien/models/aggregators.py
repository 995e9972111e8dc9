"""Aggregators: from a sequence of features to one vector (SAC in thesis section 5.2)."""

from collections.abc import Callable

from torch import Tensor, nn


class LSTMAggregator(nn.Module):
    """Last hidden state of a one-layer LSTM; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        states, _ = self.lstm(features)  # (B, T, D)
        return states[:, -1]  # (B, D)


AGGREGATORS: dict[str, Callable[[int], nn.Module]] = {"lstm": LSTMAggregator}  # name -> constructor from D
