"""A branch: what one modality says about a clip (thesis eq. 24)."""

import torch
from torch import Tensor, nn

PIXEL_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB, the statistics that published trunks expect
PIXEL_STD = (0.229, 0.224, 0.225)


class Branch(nn.Module):
    """A trunk shared over time and an aggregator; (B, T, ...) -> (B, D), where ... is one step of the modality.

    trunk : (N, ...) -> (N, D), with the attribute `dim` = D.
    aggregator : (B, T, D) -> (B, D).
    """

    def __init__(self, trunk: nn.Module, aggregator: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.aggregator = aggregator
        self.dim = trunk.dim

    def forward(self, sequence: Tensor) -> Tensor:
        return self.aggregator(self._features(sequence))  # (B, D)

    def states(self, sequence: Tensor) -> Tensor:
        """Return what it says after every step, (B, T, ...) -> (B, T, D), if its aggregator knows no later one."""
        return self.aggregator.run(self._features(sequence))[0]

    def _features(self, sequence: Tensor) -> Tensor:
        return self.look(sequence.flatten(0, 1)).unflatten(0, sequence.shape[:2])  # (B, T, D)

    def look(self, steps: Tensor) -> Tensor:
        """Return what the trunk says about single steps, (N, ...) -> (N, D)."""
        return self.trunk(steps)


class ClipBranch(nn.Module):
    """A trunk that looks at whole clips, so that nothing is left to aggregate; (B, T, channels, H, W) -> (B, D).

    It cannot run along with a recording (`running`): every judgement needs all frames of the clip.

    trunk : (B, T, channels, H, W) -> (B, D), with the attribute `dim` = D.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.dim = trunk.dim

    def forward(self, sequence: Tensor) -> Tensor:
        return self.trunk(sequence)


def normalise_pixels(frames: Tensor) -> Tensor:
    """Bring grey levels 0..255 of (..., 3, H, W) RGB frames to the mean 0 and deviation 1 of ImageNet's colours."""
    mean = torch.tensor(PIXEL_MEAN, device=frames.device).mul_(255.0).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=frames.device).mul_(255.0).view(3, 1, 1)
    return (frames - mean).div_(std)
