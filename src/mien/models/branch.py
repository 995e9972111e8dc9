"""A branch: what one modality says about a clip (thesis eq. 24)."""

import torch
from torch import Tensor, nn

PIXEL_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB, the statistics that published trunks expect
PIXEL_STD = (0.229, 0.224, 0.225)


class Branch(nn.Module):
    """A trunk shared over time and an aggregator; (B, T, channels, H, W) -> (B, D).

    trunk : (N, channels, H, W) -> (N, D), with the attribute `dim` = D.
    aggregator : (B, T, D) -> (B, D).
    """

    def __init__(self, trunk: nn.Module, aggregator: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.aggregator = aggregator
        self.dim = trunk.dim

    def forward(self, sequence: Tensor) -> Tensor:
        n_clips, n_steps = sequence.shape[:2]
        steps = sequence.flatten(0, 1)  # (B * T, channels, H, W)
        steps = steps.contiguous(memory_format=torch.channels_last)  # a third faster, on a CPU too
        features = self.trunk(steps)  # (B * T, D)
        return self.aggregator(features.unflatten(0, (n_clips, n_steps)))  # (B, D)


def normalise_pixels(frames: Tensor) -> Tensor:
    """Bring grey levels 0..255 of (..., 3, H, W) RGB frames to the mean 0 and deviation 1 of ImageNet's colours."""
    mean = torch.tensor(PIXEL_MEAN, device=frames.device).mul_(255.0).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=frames.device).mul_(255.0).view(3, 1, 1)
    return (frames - mean) / std
