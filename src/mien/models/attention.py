"""Fusion by attention: what one modality does at a time is looked up in the whole course of the others.

Crossmodal attention of Tsai et al. (2019), "Multimodal Transformer for unaligned multimodal language sequences", eq. 3,
with a layer and a direction per modality, between the memories and the fusion of N0. It needs no common time axis.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.models.branch import Branch
from mien.models.fusion import N0, Present, of_rows


class Crossing(nn.Module):
    """LayerNorm(x + attention(queries x, keys and values y)), mean over time; x (N, T, D), y (N, S, D) -> (N, D).

    A head has at least `HEAD` numbers and there are at most `HEADS`: 8 for D = 512, 4 for D = 64.
    """

    HEADS = 8
    HEAD = 16

    def __init__(self, dim: int) -> None:
        super().__init__()
        heads = max(n for n in (1, 2, 4, self.HEADS) if n == 1 or n * self.HEAD <= dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, own: Tensor, others: Tensor, absent: Tensor | None = None) -> Tensor:
        """Return the feature; absent : (N, S) bool, what of `others` is not to be looked at, if not nothing."""
        if absent is None:
            found, _ = self.attention(own, others, others, need_weights=False)  # (N, T, D)
        else:
            alone = absent.all(1)  # (N,): a softmax over nothing is NaN
            mask = absent & ~alone.unsqueeze(1)
            found, _ = self.attention(own, others, others, key_padding_mask=mask, need_weights=False)
            found = found.masked_fill(alone.view(-1, 1, 1), 0.0)
        return self.norm(own + found).mean(1)  # (N, D)


class Attention(N0):
    """N0 on features that have seen the other modalities' memories; every branch needs states of every step."""

    def __init__(self, branches: Mapping[str, Branch], **sizes: float) -> None:
        super().__init__(branches, **sizes)
        self.crossings = nn.ModuleDict({name: Crossing(branch.dim) for name, branch in branches.items()})

    def features(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        present = present or {}
        states = {name: self._states(name, inputs[name], present.get(name)) for name in self.branches}
        raw = {
            name: crossing(states[name], *_others(name, states, present)) for name, crossing in self.crossings.items()
        }
        return self.normalise(raw, present)

    def _states(self, name: str, sequence: Tensor, present: Tensor | None) -> Tensor:
        """Return the states (B, T, D) of a branch, 0 where the modality is absent."""
        branch = self.branches[name]
        return of_rows(branch.states, sequence, present, shape=(sequence.shape[1], branch.dim))


def _others(name: str, states: Mapping[str, Tensor], present: Present) -> tuple[Tensor, Tensor | None]:
    """Return the states of all modalities but `name`, one after the other, (B, S, D), and which are absent, (B, S)."""
    others = {other: one for other, one in states.items() if other != name}
    joined = torch.cat(list(others.values()), dim=1)
    if not present:
        return joined, None
    return joined, torch.cat(
        [~present[other].unsqueeze(1).expand(one.shape[:2]) for other, one in others.items()], dim=1
    )
