"""Fusion by gates: the network decides for every clip, number by number, which modality it listens to.

The Gated Multimodal Unit of Arevalo, Solorio, Montes-y-Gomez, Gonzalez (2017), "Gated multimodal units for information
fusion", section 3.1, in the place of the concatenation of the thesis.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.models.branch import Branch
from mien.models.fusion import Network
from mien.models.heads import Scoring


class GatedUnit(nn.Module):
    """Gated sum of modalities; modality -> (N, D), together -> (N, D).

    h_m = tanh(W_m f_m).  Two modalities share a gate: h = z h_1 + (1 - z) h_2 with z = sigmoid(W_z [f_1, f_2]).  Each
    of more has its own: h = sum_m z_m h_m with z_m = sigmoid(W_zm [f_1, ..., f_M]).  No layer has a bias, so an absent
    modality, whose feature is 0, adds nothing.
    """

    def __init__(self, names: list[str], dim: int) -> None:
        super().__init__()
        gated = names[:1] if len(names) == 2 else names
        self.hidden = nn.ModuleDict({name: nn.Linear(dim, dim, bias=False) for name in names})
        self.gate = nn.ModuleDict({name: nn.Linear(len(names) * dim, dim, bias=False) for name in gated})

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        joint = torch.cat([features[name] for name in self.hidden], dim=1)  # (N, M * D)
        gates = {name: gate(joint).sigmoid() for name, gate in self.gate.items()}  # (N, D) each
        if len(self.hidden) == 2:
            first, second = self.hidden
            gates[second] = 1.0 - gates[first]
        return sum(gates[name] * hidden(features[name]).tanh() for name, hidden in self.hidden.items())


class Gated(Network):
    """Branches, their FeatureNorms, a gated unit in which they meet, Scoring; no side heads."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        dim = next(iter(branches.values())).dim
        self.unit = GatedUnit(list(branches), dim)
        self.score = Scoring(dim, hidden, classes, dropout=dropout)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"fused": self.score(self.unit(features))}
