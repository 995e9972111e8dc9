"""Networks over one or several branches (thesis section 5.2, eqs. 24 to 32, figure 5.5).

A network knows its modalities as names of branches only, in their order. Its inputs are one sequence per modality,
(B, T, ...), where ... is one step: a picture, a segment, a vector. `present` says per modality which of the B clips
have it; the normalised feature of an absent one is 0 whatever its input holds: about where FeatureNorm puts the mean
over training clips (its learned shift is small). The output maps head names to logits (B, C): "fused", the answer, and
where the network has side heads one head per modality. What comes after the branches can be had alone, by `judge`:
networks that run along with a recording (`running`) ask it again and again while the branches go on.
"""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from mien.models.branch import Branch
from mien.models.heads import FeatureNorm, ResidualPerception, Scoring

Present = Mapping[str, Tensor]  # modality -> (B,) bool


class Network(nn.Module):
    """Branches and their FeatureNorms: the part that all networks share.

    norm : constructor of a normalisation from its number of features; (N, D) -> (N, D).
    """

    def __init__(self, branches: Mapping[str, Branch], *, norm: Callable[[int], nn.Module] = FeatureNorm) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.norms = nn.ModuleDict({name: norm(branch.dim) for name, branch in branches.items()})
        self.frozen: tuple[nn.Module, ...] = ()

    def forward(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        return self.scores(self.features(inputs, present))

    def judge(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return head -> logits (N, C) of N rows of features as the branches give them, modality -> (N, D)."""
        return self.scores(self.normalise(features, present))

    def features(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return the normalised feature (B, D) of every modality; rows of absent ones are 0."""
        raw = {name: self._branch_output(name, inputs[name], (present or {}).get(name)) for name in self.branches}
        return self.normalise(raw, present)

    def normalise(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return the normalised features (N, D) of what the branches gave; rows of absent modalities are 0."""
        return {
            name: of_rows(self.norms[name], features[name], (present or {}).get(name), shape=(branch.dim,))
            for name, branch in self.branches.items()
        }

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return head -> logits (N, C) of normalised features, modality -> (N, D)."""
        raise NotImplementedError

    def freeze(self, *names: str, trunks: Collection[str] = ()) -> None:
        """Keep the branches `names` as they are in training too: neither weights nor batch statistics change.

        trunks : branches of which the trunk alone is kept; their aggregators learn.
        """
        self.frozen = (*(self.branches[name] for name in names), *(self.branches[name].trunk for name in trunks))
        for part in self.frozen:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        """Switch between training and evaluation; frozen parts stay in evaluation."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def _branch_output(self, name: str, sequence: Tensor, present: Tensor | None) -> Tensor:
        return of_rows(self.branches[name], sequence, present, shape=(self.branches[name].dim,))


class Dense(Network):
    """One branch and one layer on its feature, nothing between them (thesis section 4.4)."""

    def __init__(self, branches: Mapping[str, Branch], *, classes: int) -> None:
        super().__init__(branches, norm=nn.Identity)
        (branch,) = branches.values()
        self.score = nn.Linear(branch.dim, classes)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        (feature,) = features.values()
        return {"fused": self.score(feature)}


class Single(Network):
    """UNI-m: one branch, FeatureNorm, Scoring."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        (branch,) = branches.values()
        self.score = Scoring(branch.dim, hidden, classes, dropout=dropout)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        (feature,) = features.values()
        return {"fused": self.score(feature)}


class N0(Network):
    """Fusion component on the normalised features, no side heads (eqs. 26, 27)."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        joint = sum(branch.dim for branch in branches.values())
        self.joint_norm = FeatureNorm(joint)
        self.score = Scoring(joint, hidden, classes, dropout=dropout)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        features = self.refine(features)
        joint = torch.cat(list(features.values()), dim=1)  # (N, M * D)
        return {"fused": self.score(self.joint_norm(joint)), **self.side_scores(features)}

    def refine(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the features that fusion and side heads see."""
        return features

    def side_scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return logits (N, C) per modality."""
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
    """MRPN: N1 on features refined by residual perception (eqs. 29, 32).

    activation : of the residual perception; the sigmoid of eq. 29, or what takes its place.
    """

    def __init__(
        self,
        branches: Mapping[str, Branch],
        *,
        side: Callable[[int], nn.Module],
        activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        **sizes: float,
    ) -> None:
        super().__init__(branches, side=side, **sizes)
        self.residual = nn.ModuleDict(
            {name: ResidualPerception(branch.dim, activation=activation) for name, branch in branches.items()}
        )

    def refine(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.residual[name](feature) for name, feature in features.items()}


def of_rows(
    change: Callable[[Tensor], Tensor], rows: Tensor, present: Tensor | None, *, shape: tuple[int, ...]
) -> Tensor:
    """Return what `change` makes of the present ones among `rows`, (N, ...) -> (N, *shape); 0 for the absent ones."""
    if present is None or bool(present.all()):
        return change(rows)
    out = torch.zeros(len(rows), *shape, device=rows.device)
    if bool(present.any()):  # absent rows do not enter at all: 0 * NaN is NaN
        out[present] = change(rows[present]).to(out.dtype)
    return out
