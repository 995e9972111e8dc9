"""Networks of geometric features: action units and landmarks (thesis section 4.2).

CNN-1, CNN-2 and CNN-3: small networks of grey pictures (thesis section 4.2).

The printed formulas are damaged. CNN-1 and CNN-2 are read with the help of the two networks of Arriaga, Valdenegro-Toro
and Ploeger 2017 (arXiv 1710.07557) with which every legible filter, kernel and stride coincides.
"""

from collections.abc import Sequence

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

    dropout : after every strided convolution with a ReLU; the thesis prints none, Arriaga et al. have 0.25.
    """

    def __init__(self, *, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        layers, inputs = [], 1
        for outputs, kernel, stride in CNN1_LAYERS:
            parts = [nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2), nn.BatchNorm2d(outputs)]
            if stride > 1:
                parts += [nn.ReLU(inplace=True), nn.Dropout(dropout)]
            layers.append(nn.Sequential(*parts))
            inputs = outputs
        last = nn.Sequential(nn.Conv2d(inputs, classes, 3, stride=2, padding=1), nn.BatchNorm2d(classes))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.layers(pictures)  # (B, classes, H / 64, W / 64), rounded up
        return maps.mean(dim=(2, 3))


class CNN2(nn.Module):
    """Four units of separable convolutions beside a shortcut; (B, 1, H, W) of any size -> (B, classes) logits.

    second_relu : also after the second convolution of a unit. So print the thesis's formulas; Arriaga et al. omit it,
        because the sum with the shortcut follows.
    """

    def __init__(self, *, classes: int, second_relu: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_stem_layer(1), *_stem_layer(CNN2_STEM))
        sizes = zip((CNN2_STEM, *CNN2_UNITS), CNN2_UNITS, strict=False)
        self.units = nn.Sequential(*(Unit(*pair, second_relu=second_relu) for pair in sizes))
        self.head = nn.Conv2d(CNN2_UNITS[-1], classes, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.units(self.stem(pictures))  # (B, 128, H / 16, W / 16), rounded up
        return self.head(maps).mean(dim=(2, 3))


class Unit(nn.Module):
    """Two separable convolutions and a pool beside a shortcut; (B, inputs, H, W) -> (B, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int, *, second_relu: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_separable(inputs, outputs),
            nn.ReLU(inplace=True),
            *_separable(outputs, outputs),
            *([nn.ReLU(inplace=True)] if second_relu else []),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


class CNN3(nn.Module):
    """Four convolutions with pools and two dense layers; (B, 1, size_px, size_px) -> (B, classes) logits.

    dropout : after the first dense layer.

    Raises
    ------
    ModelError : pictures of `size_px` end before the last pool.
    """

    def __init__(self, *, classes: int, size_px: int, dropout: float = 0.5) -> None:
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
            nn.Dropout(dropout),
            nn.Linear(CNN3_HIDDEN, classes),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return self.dense(self.layers(pictures))


def _stem_layer(inputs: int) -> Sequence[nn.Module]:
    convolution = nn.Conv2d(inputs, CNN2_STEM, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(CNN2_STEM), nn.ReLU(inplace=True)


def _separable(inputs: int, outputs: int) -> Sequence[nn.Module]:
    """Return a filter per channel, a mixing of channels and a batch norm."""
    per_channel = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return per_channel, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)


UNITS = 8  # numbers of AU8
POINTS = 136  # numbers of FP68


class DNNAU(nn.Module):
    """DNN-AU: dense 8, ReLU, dense; (B, 8) action units -> (B, classes) logits."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(UNITS, 8), nn.ReLU(), nn.Linear(8, classes))

    def forward(self, units: Tensor) -> Tensor:
        return self.layers(units)


class DNNFP(nn.Module):
    """DNN-FP: dense 16, batch norm, ReLU, dropout, dense; (B, 136) landmarks -> (B, classes) logits.

    dropout : probability of dropping; the thesis has 80%.
    """

    def __init__(self, *, classes: int, dropout: float = 0.8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(POINTS, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, classes)
        )

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points)
