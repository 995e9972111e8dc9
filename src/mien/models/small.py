"""The classifiers of thesis section 4.2: DNN-AU and DNN-FP look at vectors, CNN-1, CNN-2 and CNN-3 at grey pictures.

The printed formulas are damaged. CNN-1 and CNN-2 are read with the help of the two networks of Arriaga, Valdenegro-Toro
and Ploeger 2017 (arXiv 1710.07557) with which every legible filter, kernel and stride coincides.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mien.errors import ModelError

CNN1_LAYERS = (  # filters, kernel, stride; a ReLU follows the strided ones. The last convolution has a filter per class
    (16, 5, 1),
    (16, 5, 2),
    (32, 5, 1),
    (32, 5, 2),
    (64, 3, 1),
    (64, 3, 2),
    (64, 1, 1),
    (128, 3, 2),
    (256, 1, 1),
    (128, 3, 2),
    (256, 1, 1),
)
CNN2_STEM = 8
CNN2_UNITS = (16, 32, 64, 128)
CNN3_FILTERS = (32, 32, 64, 64)
CNN3_HIDDEN = 64


class CNN1(nn.Module):
    """Twelve convolutions with batch norm, six of them strided; (B, 1, H, W) of any size -> (B, classes) logits.

    The thesis prints no dropout after the strided ones, where Arriaga et al. have 0.25.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        layers, inputs = [], 1
        for outputs, kernel, stride in CNN1_LAYERS:
            parts = [nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2), nn.BatchNorm2d(outputs)]
            if stride > 1:
                parts.append(nn.ReLU(inplace=True))
            layers.append(nn.Sequential(*parts))
            inputs = outputs
        last = nn.Sequential(nn.Conv2d(inputs, classes, 3, stride=2, padding=1), nn.BatchNorm2d(classes))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.layers(pictures)  # (B, classes, H / 64, W / 64), rounded up
        return maps.mean(dim=(2, 3))


class CNN2(nn.Module):
    """Four units of separable convolutions beside a shortcut; (B, 1, H, W) of any size -> (B, classes) logits."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for inputs in (1, CNN2_STEM):
            convolution = nn.Conv2d(inputs, CNN2_STEM, 3, padding=1, bias=False)
            stem += [convolution, nn.BatchNorm2d(CNN2_STEM), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*stem)
        self.units = nn.Sequential(*(Unit(*pair) for pair in pairwise((CNN2_STEM, *CNN2_UNITS))))
        self.head = nn.Conv2d(CNN2_UNITS[-1], classes, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.units(self.stem(pictures))  # (B, 128, H / 16, W / 16), rounded up
        return self.head(maps).mean(dim=(2, 3))


class Unit(nn.Module):
    """Two separable convolutions and a pool beside a shortcut; (B, inputs, H, W) -> (B, outputs, H / 2, W / 2).

    The thesis's formulas print a ReLU after the second convolution too; Arriaga et al. omit it, because the sum with
    the shortcut follows.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_separable(inputs, outputs),
            nn.ReLU(inplace=True),
            *_separable(outputs, outputs),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


def _separable(inputs: int, outputs: int) -> Sequence[nn.Module]:
    """Return a filter per channel, a mixing of channels and a batch norm."""
    per_channel = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return per_channel, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)


class CNN3(nn.Module):
    """Four convolutions with pools and two dense layers; (B, 1, size_px, size_px) -> (B, classes) logits.

    Raises
    ------
    ModelError
        Pictures of `size_px` end before the last pool.
    """

    def __init__(self, *, classes: int, size_px: int) -> None:
        super().__init__()
        layers, inputs, side = [], 1, size_px
        for outputs in CNN3_FILTERS:
            # the pool comes before the ReLU: the largest of four stays the largest, and a quarter is left to rectify
            layers.append(nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.MaxPool2d(2), nn.ReLU(inplace=True)))
            inputs, side = outputs, (side - 2) // 2
        if side < 1:
            raise ModelError(f"cnn3 needs pictures of 46 px or more, got {size_px}; see size_px under classifiers")
        self.layers = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs * side * side, CNN3_HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(CNN3_HIDDEN, classes),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return self.dense(self.layers(pictures))


class DNN(nn.Module):
    """Dense layers; vectors (B, D) -> (B, classes) logits."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.layers(vectors)


CLASSIFIERS = {  # name -> network of (classes, side of the picture in px)
    "dnn_au": lambda classes, _: DNN(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, classes)),  # of AU8
    "dnn_fp": lambda classes, _: DNN(  # of FP68
        nn.Linear(136, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.8), nn.Linear(16, classes)
    ),
    "cnn1": lambda classes, _: CNN1(classes=classes),
    "cnn2": lambda classes, _: CNN2(classes=classes),
    "cnn3": lambda classes, size_px: CNN3(classes=classes, size_px=size_px),
}


def classifier(name: str, *, classes: int = 4, size_px: int, seed: int) -> nn.Module:
    """Build a network with random weights; its inputs are scaled already, see `Scaled`.

    Weights start as Keras starts them, in which such networks were written: Glorot's uniform distribution, biases 0.
    torch's own are smaller, and CNN-3, which has no batch norm, then stays at chance twice as long.

    Parameters
    ----------
    name
        Key of `CLASSIFIERS`.
    size_px
        Side of the picture, of no meaning to networks of vectors.
    """
    with torch.random.fork_rng(devices=[]):  # torch's own first weights come from the global stream
        model = CLASSIFIERS[name](classes, size_px)
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model


class Scaled(nn.Module):
    """A network that looks at (x - mean) / deviation; stored inputs (B, ...) -> (B, classes) logits.

    `mean` and `deviation` have one shape, such as () or (D,), that fits the inputs from the right.
    """

    def __init__(self, network: nn.Module, *, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network((inputs - self.mean) / self.deviation)
