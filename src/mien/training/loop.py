"""One epoch of training and one pass of evaluation."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from mien.models.branch import normalise_pixels
from mien.models.fusion import Network
from mien.training.dataset import Batch
from mien.training.progress import Verdict
from mien.training.targets import Judge, Losses, cross_entropies

Change = Callable[[Tensor], Tensor]  # frames (B, T, 3, H, W), grey levels -> the same shape


def train_epoch(
    model: Network,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    augment: Change,
    bfloat16: bool,
    losses_of_clips: Losses = cross_entropies,
    weights: Mapping[str, float] | None = None,
) -> float:
    """Run one pass over `batches` of complete clips, minimising the sum of all heads' losses (eq. 28).

    A side head's loss is the mean over the clips that have its modality: all, unless modalities are dropped.

    weights : head -> factor of its loss; 1 where absent.

    Returns the mean loss per clip of the fused head, which is comparable between networks.
    """
    model.train()
    total, n_clips = 0.0, 0
    for batch in batches:
        inputs = network_inputs(batch, augment=augment)
        with torch.autocast(batch.label.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            scores = model(inputs, batch.present)
        losses = {
            head: _mean(losses_of_clips(score.float(), batch.label), batch.present.get(head))
            for head, score in scores.items()
        }
        optimizer.zero_grad(set_to_none=True)
        sum((weights or {}).get(head, 1.0) * loss for head, loss in losses.items()).backward()
        optimizer.step()
        total += losses["fused"].detach() * len(batch)
        n_clips += len(batch)
    return float(total) / n_clips


@torch.no_grad()
def evaluate(model: Network, batches: Iterable[Batch], *, bfloat16: bool, judge: Judge = Verdict.of) -> Verdict:
    """Let the network in evaluation mode judge `batches`, of which each clip has at least one modality."""
    model.eval()
    scores, labels = [], []
    for batch in batches:
        with torch.autocast(batch.label.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            out = model(network_inputs(batch), batch.present)
        scores.append({head: score.float().cpu() for head, score in out.items()})
        labels.append(batch.label.cpu())
    logits = {head: torch.cat([score[head] for score in scores]) for head in scores[0]}
    return judge(logits, torch.cat(labels))


def _mean(losses: Tensor, present: Tensor | None) -> Tensor:
    return losses.mean() if present is None or bool(present.all()) else losses[present].mean()


def network_inputs(batch: Batch, *, augment: Change | None = None) -> dict[str, Tensor]:
    """Turn stored frames (B, T, S, S, 3) uint8 into what a trunk expects, (B, T, 3, S, S) float, if there are any."""
    inputs = dict(batch.inputs)
    if "video" in inputs:
        frames = inputs["video"].permute(0, 1, 4, 2, 3).contiguous().float()
        inputs["video"] = normalise_pixels(frames if augment is None else augment(frames))
    return inputs
