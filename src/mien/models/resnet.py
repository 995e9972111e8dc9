"""ResNet-18 for pictures, and 3D-ResNet-18 for clips, without their classifiers; free width and input channels.

ResNet12 is a small network for grey faces of 32 to 64 px, with its classifier.

ResNet18 (He et al. 2016, arXiv 1512.03385) has torchvision's names in its state dict, so weights can be exchanged.

ResNet3D18 (Hara et al. 2018, arXiv 1711.09577) convolves space and time together. It is the network behind the thesis's
second listing (section 4.4): the stem keeps the rate of the frames, pool and stages halve it. The names in the state
dict are those of the authors' resnet-18 with projected shortcuts.
"""

import torch
from torch import Tensor, nn

LAYERS = {2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d), 3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d)}  # by dimensions


class BasicBlock(nn.Module):
    """Two convolutions of 3 in every dimension beside a shortcut.

    (N, inputs, *sizes) -> (N, outputs, *sizes / stride, rounded up), sizes being H, W or T, H, W.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, dimensions: int = 2) -> None:
        super().__init__()
        conv, norm, _ = LAYERS[dimensions]
        self.conv1 = conv(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride=stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class _ResNet(nn.Module):
    """18 layers of 2 or 3 dimensions; `width` is the channels of the first stage, 64 in the standard network."""

    def __init__(self, *, in_channels: int, width: int = 64, dimensions: int, stem_stride: int | tuple) -> None:
        super().__init__()
        conv, norm, pool = LAYERS[dimensions]
        self.dim = 8 * width
        self.conv1 = conv(in_channels, width, 7, stride=stem_stride, padding=3, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = pool(3, stride=2, padding=1)
        for stage, (inputs, outputs) in enumerate([(1, 1), (1, 2), (2, 4), (4, 8)], start=1):
            first = BasicBlock(inputs * width, outputs * width, stride=1 if stage == 1 else 2, dimensions=dimensions)
            second = BasicBlock(outputs * width, outputs * width, stride=1, dimensions=dimensions)
            self.add_module(f"layer{stage}", nn.Sequential(first, second))
        for module in self.modules():
            if isinstance(module, conv):  # He et al. 2015, arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, width, H / 4, W / 4), of clips T / 2 as well
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, 8 width, H / 32, W / 32), of clips T / 16
        return x.mean(dim=tuple(range(2, x.ndim)))  # (N, 8 width)


class ResNet18(_ResNet):
    """Backbone of pictures: (N, in_channels, H, W) -> (N, 8 * width)."""

    def __init__(self, *, in_channels: int, width: int = 64) -> None:
        super().__init__(in_channels=in_channels, width=width, dimensions=2, stem_stride=2)


class ResNet3D18(_ResNet):
    """Backbone of whole clips of T >= 1 frames: (B, T, in_channels, H, W) -> (B, 8 * width)."""

    def __init__(self, *, in_channels: int, width: int = 64) -> None:
        super().__init__(in_channels=in_channels, width=width, dimensions=3, stem_stride=(1, 2, 2))

    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips.transpose(1, 2))  # channels before time


class ResNetClassifier(ResNet18):
    """ResNet-18 with its classifier; (B, in_channels, H, W), normalised -> (B, classes) logits."""

    def __init__(self, classes: int, *, in_channels: int, width: int) -> None:
        super().__init__(in_channels=in_channels, width=width)
        self.fc = nn.Linear(self.dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(super().forward(x))


class ResNet12(nn.Module):
    """Twelve layers for small grey faces, (B, 1, H, W) in grey levels -> (B, classes) logits.

    As in the ResNet of He et al. 2016 (section 4.2) for pictures of 32 px, the stem convolves in windows of 3 px and is
    not followed by a pool; here its stride is 2, so that stages of 1, 2 and 2 blocks see 1/2, 1/4 and 1/8 of the side.
    Each picture is brought to the mean 0 and the deviation 1 first: light and contrast say nothing about emotions. In
    evaluation, the logits are the mean of those of the picture and of its mirror image.

    Parameters
    ----------
    width
        Channels of the first stage; features are 4 times as many.
    dropout
        Probability, of the features.
    """

    FLAT = 8.0  # grey levels; added to the deviation of a picture, that noise on an empty one is not blown up

    def __init__(self, classes: int, *, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim = 4 * width
        self.conv1 = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        inputs = width
        for stage, n_blocks in enumerate((1, 2, 2)):
            blocks = []
            for block in range(n_blocks):
                outputs, stride = width * 2**stage, 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(inputs, outputs, stride=stride))
                inputs = outputs
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.dim, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, grey: Tensor) -> Tensor:
        x = grey - grey.mean(dim=(1, 2, 3), keepdim=True)
        x = x / (x.std(dim=(1, 2, 3), keepdim=True, correction=0) + self.FLAT)
        if self.training:
            return self._classify(x)
        seen, mirrored = self._classify(torch.cat([x, x.flip(-1)])).tensor_split(2)  # at once: one alone is slow
        return (seen + mirrored) / 2

    def _classify(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = x.contiguous(memory_format=torch.channels_last)  # a step of training takes an eighth less on a CPU
        x = self.layer3(self.layer2(self.layer1(x)))  # (B, 4 width, H / 8, W / 8)
        return self.fc(self.dropout(x.mean(dim=(2, 3))))
