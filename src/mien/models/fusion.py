"""Networks over one or several branches (thesis section 5.2, eqs. 24 to 32, figure 5.5).

A network knows its modalities as names of branches only, in their order. Its inputs are one sequence per modality,
(B, T, channels, H, W). `present` says per modality which of the B clips have it; the normalised feature of an absent
one is 0 whatever its input holds: about where FeatureNorm puts the mean over training clips (its learned shift is
small). The output maps head names to logits (B, C): "fused",
the answer, and where the network has side heads one head per modality.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mien.models.branch import Branch
from mien.models.heads import FeatureNorm, ResidualPerception, Scoring

Present = Mapping[str, Tensor]  # modality -> (B,) bool


class Network(nn.Module):
    """Branches and their FeatureNorms: the part that all networks share."""

    def __init__(self, branches: Mapping[str, Branch]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.norms = nn.ModuleDict({name: FeatureNorm(branch.dim) for name, branch in branches.items()})
        self.frozen: tuple[str, ...] = ()

    def features(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return the normalised feature (B, D) of every modality; rows of absent ones are 0."""
        return {name: self._feature(name, inputs[name], (present or {}).get(name)) for name in self.branches}

    def freeze(self, *names: str) -> None:
        """Keep the branches `names` as they are in training too: neither weights nor batch statistics change."""
        self.frozen = names
        for name in names:
            self.branches[name].requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        """Switch between training and evaluation; frozen branches stay in evaluation."""
        super().train(mode)
        for name in self.frozen:
            self.branches[name].eval()
        return self

    def _feature(self, name: str, sequence: Tensor, present: Tensor | None) -> Tensor:
        branch, norm = self.branches[name], self.norms[name]
        if present is None or bool(present.all()):
            return norm(branch(sequence))  # (B, D)
        feature = torch.zeros(len(sequence), branch.dim, device=sequence.device)
        if bool(present.any()):  # absent rows do not enter at all: 0 * NaN is NaN
            feature[present] = norm(branch(sequence[present])).to(feature.dtype)
        return feature


class Single(Network):
    """UNI-m: one branch, FeatureNorm, Scoring."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        (branch,) = branches.values()
        self.score = Scoring(branch.dim, hidden, classes, dropout=dropout)

    def forward(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        (feature,) = self.features(inputs, present).values()
        return {"fused": self.score(feature)}


class N0(Network):
    """Fusion component on the normalised features, no side heads (eqs. 26, 27)."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        joint = sum(branch.dim for branch in branches.values())
        self.joint_norm = FeatureNorm(joint)
        self.score = Scoring(joint, hidden, classes, dropout=dropout)

    def forward(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        features = self.refine(self.features(inputs, present))
        joint = torch.cat(list(features.values()), dim=1)  # (B, M * D)
        return {"fused": self.score(self.joint_norm(joint)), **self.side_scores(features)}

    def refine(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the features that fusion and side heads see."""
        return features

    def side_scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return logits (B, C) per modality."""
        return {}


class N1(N0):
    """N0 with a side head per modality (eq. 31), whose loss reaches the branch directly.

    side : constructor of a head from its number of inputs; (B, D) -> (B, C).
    """

    def __init__(self, branches: Mapping[str, Branch], *, side: Callable[[int], nn.Module], **sizes: float) -> None:
        super().__init__(branches, **sizes)
        self.side = nn.ModuleDict({name: side(branch.dim) for name, branch in branches.items()})

    def side_scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.side[name](feature) for name, feature in features.items()}


class N2(N1):
    """MRPN: N1 on features refined by residual perception (eqs. 29, 32)."""

    def __init__(self, branches: Mapping[str, Branch], *, side: Callable[[int], nn.Module], **sizes: float) -> None:
        super().__init__(branches, side=side, **sizes)
        self.residual = nn.ModuleDict({name: ResidualPerception(branch.dim) for name, branch in branches.items()})

    def refine(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.residual[name](feature) for name, feature in features.items()}
