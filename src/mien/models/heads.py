"""Heads: from a vector to class scores (thesis eqs. 25, 29, 31)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class FeatureNorm(nn.BatchNorm1d):
    """Statistical normalisation of a feature vector over clips; (B, D) -> (B, D)."""


class Scoring(nn.Sequential):
    """Dense, ReLU, FeatureNorm, dropout, dense (eq. 25); (B, inputs) -> (B, classes)."""

    def __init__(self, inputs: int, hidden: int, classes: int, *, dropout: float) -> None:
        super().__init__(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            FeatureNorm(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )


class ResidualPerception(nn.Module):
    """f' = f + FeatureNorm(sigmoid(Dense(f))) (eq. 29); (B, D) -> (B, D).

    activation : takes the place of the sigmoid.
    """

    def __init__(self, dim: int, *, activation: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = FeatureNorm(dim)
        self.activation = activation

    def forward(self, feature: Tensor) -> Tensor:
        return feature + self.norm(self.activation(self.dense(feature)))
