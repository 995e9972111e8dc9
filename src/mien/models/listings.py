"""The two networks whose sizes the thesis lists in section 4.4, rebuilt: LIST-2D and LIST-3D.

The thesis prints totals only. These networks give both totals of both listings to the last digit, by the listings' own
rule (`cost`); that fixes the sizes of the inputs too: a second of video of 25 frames of 224 px, and a second of sound
as 257 frequencies by 250 columns. Neither is trained here: the networks of chapter 5 (`fusion`) have norms besides.
"""

from typing import Any

import torch
from torch import Tensor, nn

from mien.models.resnet import ResNet18
from mien.models.resnet3d import ResNet3D18

CLASSES = 8
HIDDEN = 256  # of the head
LAYERS = 2  # of the LSTM; a layer in each encoder would give the same totals, but LIST-3D has none beside its sound
FRAMES = 25  # a second of video
FRAME = (3, 224, 224)
SEGMENT = (1, 257, 250)  # a second of sound
WINDOW = {"video": (1, FRAMES, *FRAME), "audio": (1, *SEGMENT)}  # shapes of the inputs for one second


class Listing(nn.Module):
    """An encoder of pictures beside one of sound, and a head; see `WINDOW` for the inputs -> (B, 8) logits."""

    def __init__(self, trunk: ResNet18 | ResNet3D18) -> None:
        super().__init__()
        self.trunk = trunk
        self.audio = ResNet18(in_channels=SEGMENT[0])
        joint = trunk.dim + self.audio.dim
        self.head = nn.Sequential(nn.Linear(joint, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        joint = [self.watch(inputs["video"]), self.audio(inputs["audio"])]
        return self.head(torch.cat(joint, dim=1))  # (B, 8)

    def watch(self, video: Tensor) -> Tensor:
        """Return the feature of whole clips, (B, T, 3, H, W) -> (B, 512)."""
        raise NotImplementedError


class Listing2D(Listing):
    """LIST-2D: ResNet-18 for every frame and an LSTM of two layers along them, ResNet-18 for the sound."""

    def __init__(self) -> None:
        super().__init__(ResNet18(in_channels=FRAME[0]))
        self.lstm = nn.LSTM(self.trunk.dim, self.trunk.dim, LAYERS, batch_first=True)

    def watch(self, video: Tensor) -> Tensor:
        return self.step(video)[0]

    def step(self, video: Tensor, memory: Any = None) -> tuple[Tensor, Any]:
        """Give the next T >= 1 frames (B, T, 3, H, W); return the feature (B, 512) and the memory for the next call."""
        looked = self.trunk(video.flatten(0, 1)).unflatten(0, video.shape[:2])  # (B, T, 512)
        states, memory = self.lstm(looked, memory)  # (B, T, 512)
        return states[:, -1], memory


class Listing3D(Listing):
    """LIST-3D: 3D-ResNet-18 for the frames of a second at once, ResNet-18 for the sound."""

    def __init__(self) -> None:
        super().__init__(ResNet3D18(in_channels=FRAME[0]))

    def watch(self, video: Tensor) -> Tensor:
        return self.trunk(video)
