"""One epoch of training a running network, and following whole recordings with it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.models.fusion import Network
from mien.models.running import run_along
from mien.training.loop import Change, network_inputs
from mien.training.progress import Verdict
from mien.training.stream_clips import StreamBatch


@dataclass(frozen=True)
class Followed:
    """A recording that was followed: tick_s (K,) s, known and logits by head, (K,) bool and (K, C) float32."""

    tick_s: np.ndarray
    known: dict[str, Tensor]
    logits: dict[str, Tensor]

    def last(self, head: str) -> Tensor:
        """Return what a head says in the end, (C,); NaN if it never had anything to go by."""
        rows = self.logits[head][self.known[head]]
        return rows[-1] if len(rows) else torch.full_like(self.logits[head][0], torch.nan)


def train_epoch(
    model: Network, batches: Iterable[StreamBatch], optimizer: torch.optim.Optimizer, *, augment: Change, loss: str
) -> float:
    """Run one pass over `batches`, minimising the sum of all heads' cross-entropies (eq. 28).

    A head's cross-entropy is the mean over the ticks of a recording that it has something to go by at, or that of the
    last of them, and the mean of these over recordings.

    loss : every (tick) or last.

    Returns the mean over recordings of the fused head's.
    """
    model.train()
    total, n_followed = 0.0, 0
    for batch in batches:
        if not _enough(batch):
            continue
        scores = run_along(model, network_inputs(batch, augment=augment), batch.at)
        losses = {}
        for head, score in scores.items():
            known = batch.known(head)
            of_each = tick_loss(score, known if loss == "every" else last_of(known), batch.label)  # (B,)
            if bool(known.any()):
                losses[head] = of_each[known.any(1)].mean()
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        optimizer.step()
        n = int(batch.known("fused").any(1).sum())
        total, n_followed = total + losses["fused"].detach() * n, n_followed + n
    return float(total) / max(n_followed, 1)


@torch.no_grad()
def follow(model: Network, batches: Iterable[StreamBatch]) -> list[Followed]:
    """Let the network in evaluation mode follow all recordings of `batches`."""
    model.eval()
    followed = []
    for batch in batches:
        scores = run_along(model, network_inputs(batch), batch.at)
        known = {head: batch.known(head).cpu() for head in scores}
        scores = {head: score.float().cpu() for head, score in scores.items()}
        for row, tick_s in enumerate(batch.tick_s):
            upto = len(tick_s)
            followed.append(
                Followed(
                    tick_s,
                    {head: ticks[row, :upto] for head, ticks in known.items()},
                    {head: score[row, :upto] for head, score in scores.items()},
                )
            )
    return followed


def verdict_of(followed: list[Followed], label: Tensor) -> Verdict:
    """Return what is said of recordings with `label` (N,): logits (N, C) and accuracy of the last tick.

    The loss is the fused head's mean cross-entropy over the ticks of a recording, and the mean of that over recordings.
    """
    losses = [
        tick_loss(one.logits["fused"][None].double(), one.known["fused"][None], label[row : row + 1])
        for row, one in enumerate(followed)
    ]
    logits = {head: torch.stack([one.last(head) for one in followed]) for head in followed[0].logits}
    hits = logits["fused"].argmax(1) == label
    return Verdict(logits, float(torch.cat(losses).mean()), float(hits.double().mean()))


def tick_loss(score: Tensor, known: Tensor, label: Tensor) -> Tensor:
    """Return the mean cross-entropy over known ticks, (B, K, C), (B, K) bool, (B,) -> (B,); 0 where none is known."""
    losses = torch.zeros(known.shape, dtype=score.dtype, device=score.device)
    losses[known] = functional.cross_entropy(score[known], label[:, None].expand(known.shape)[known], reduction="none")
    return losses.sum(1) / known.sum(1).clamp(min=1)


def last_of(known: Tensor) -> Tensor:
    """Return (B, K) bool: the last of the known ticks of every row."""
    number = torch.arange(1, known.shape[1] + 1, device=known.device) * known  # (B, K)
    return known & (number == number.amax(1, keepdim=True))


def _enough(batch: StreamBatch) -> bool:
    """Tell whether batch statistics can be taken: no modality has one step, or is judged at one tick, and no more."""
    for at in batch.at.values():
        if int((at.amax(1) + 1).sum()) == 1 or int((at >= 0).sum()) == 1:
            return False
    return int(batch.known("fused").sum()) >= 2
