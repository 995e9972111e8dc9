"""ResNet-18 without its classifier (He et al. 2016, arXiv 1512.03385), with a free width and number of input channels.

The names in the state dict are those of torchvision's resnet18, so weights can be exchanged.

3D-ResNet-18 without its classifier (Hara et al. 2018, arXiv 1711.09577): space and time are convolved together.

It is the network behind the thesis's second listing (section 4.4): the stem keeps the rate of the frames, pool and
stages halve it. The names in the state dict are those of the authors' resnet-18 with projected shortcuts.
"""

from torch import Tensor, nn

STAGES = 4
BLOCKS = 2  # per stage


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; (N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class ResNet18(nn.Module):
    """Trunk of 18 layers: (N, in_channels, H, W) -> (N, 8 * width).

    width : channels of the first stage; 64 is the standard network.
    """

    def __init__(self, *, in_channels: int, width: int = 64) -> None:
        super().__init__()
        self.dim = width * 2 ** (STAGES - 1)
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, width, H / 4, W / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, 8 width, H / 32, W / 32)
        return x.mean(dim=(2, 3))  # (N, 8 width)


def _stage(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride=stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, stride=1) for _ in range(BLOCKS - 1)))


class BasicBlock3d(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut; (B, inputs, T, H, W) -> (B, outputs, ceil of T, H and W / stride)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class ResNet3D18(nn.Module):
    """Trunk of 18 layers for whole clips of T >= 1 frames: (B, T, in_channels, H, W) -> (B, 8 * width).

    width : channels of the first stage; 64 is the standard network.
    """

    def __init__(self, *, in_channels: int, width: int = 64) -> None:
        super().__init__()
        self.dim = width * 2 ** (STAGES - 1)
        self.conv1 = nn.Conv3d(in_channels, width, 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)
        self.layer1 = _stage_resnet3d(width, width, stride=1)
        self.layer2 = _stage_resnet3d(width, 2 * width, stride=2)
        self.layer3 = _stage_resnet3d(2 * width, 4 * width, stride=2)
        self.layer4 = _stage_resnet3d(4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):  # He et al. 2015, arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clips: Tensor) -> Tensor:
        x = clips.transpose(1, 2)  # (B, in_channels, T, H, W)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, width, T / 2, H / 4, W / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 8 width, T / 16, H / 32, W / 32), rounded up
        return x.mean(dim=(2, 3, 4))  # (B, 8 width)


def _stage_resnet3d(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock3d(inputs, outputs, stride=stride)
    return nn.Sequential(first, *(BasicBlock3d(outputs, outputs, stride=1) for _ in range(BLOCKS - 1)))
