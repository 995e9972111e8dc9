"""A small network of a whole voice: convolutions of its mel spectrogram, and three statistics over time."""

from itertools import pairwise

import torch
from torch import Tensor, nn

STAGES = (1, 2, 4, 6)  # channels of a stage, in multiples of those of the first


class VoiceCNN(nn.Module):
    """Backbone of whole voices: (B, S, in_channels, F, W) -> (B, 18 * width), F and W at least 16.

    Every stage convolves and halves rows and columns, the first one in one step. The mean over rows is told by its
    mean, its largest value and its deviation over time: statistics pooling, as of Snyder et al. (2018), "X-vectors:
    Robust DNN embeddings for speaker recognition", with the maximum beside. Of S looks the mean is said.
    """

    def __init__(self, *, in_channels: int, width: int = 16) -> None:
        super().__init__()
        channels = [in_channels, *(width * factor for factor in STAGES)]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            size, stride = (3, 1) if layers else (5, 2)  # pooling the first maps, the largest, would take half the time
            layers += [nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), *([nn.MaxPool2d(2)] if stride == 1 else [])]
        self.layers = nn.Sequential(*layers)
        self.dim = 3 * channels[-1]

    def forward(self, voices: Tensor) -> Tensor:
        course = self.layers(voices.flatten(0, 1)).mean(2)  # (B * S, 6 width, W / 16)
        said = torch.cat([course.mean(2), course.amax(2), course.std(2, correction=0)], dim=1)
        return said.unflatten(0, voices.shape[:2]).mean(1)
