"""Multiply-adds of our networks from formulas, without building them: for plans, which are to be there at once.

Trunks and aggregators are counted as `models.cost` counts them honestly; heads and fusion, less than a hundredth at the
sizes of the thesis, are left out. A test holds the formulas to the count.
"""

from collections.abc import Callable
from math import prod

CHANNELS = {"video": 3, "audio": 1}  # of a frame, of a segment of the sound
STAGES = (1, 2, 4, 8)  # channels of the stages of a ResNet-18, relative to its width
WIDEST = STAGES[-1]  # numbers of a feature, relative to the width
VGG_STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels relative to the width, convolutions
CNNS = {"cnn1": (50, 25.47e6), "cnn2": (75, 15.92e6), "cnn3": (150, 83.89e6)}  # network -> side in px, of one picture
HIDDEN = 4  # hidden units of the trunk of action units, relative to the width
UNITS = 8


def resnet18(channels: int, size: tuple[int, ...], width: int) -> int:
    """Return those of ResNet-18 for a picture of `size` (H, W), or of its 3D form for a clip of (T, H, W)."""
    deep = len(size) == 3
    kernel = 27 if deep else 9
    size = (*size[:-2], *(_half(side) for side in size[-2:]))  # the stem keeps the rate of the frames
    total = channels * width * 49 * (7 if deep else 1) * prod(size)
    size = tuple(map(_half, size))  # pool
    inputs = width
    for stage, factor in enumerate(STAGES):
        outputs = factor * width
        if stage:
            size = tuple(map(_half, size))
            total += inputs * outputs * prod(size)  # projected shortcut
        total += (inputs + 3 * outputs) * outputs * kernel * prod(size)
        inputs = outputs
    return total


def vgg16(size_px: int, width: int, classes: int) -> int:
    """Return those of VGG-16 for one picture."""
    total, inputs, side = 0, 3, size_px
    for factor, convolutions in VGG_STAGES:
        for _ in range(convolutions):
            total += inputs * factor * width * 9 * side**2
            inputs = factor * width
        side //= 2
    hidden = 64 * width
    return total + inputs * side**2 * hidden + hidden**2 + hidden * classes


def cnn(name: str, size_px: int) -> int:
    """Return those of a network of chapter 4 for one picture, nearly: they grow as its area. Networks of vectors: 0."""
    side, counted = CNNS.get(name, (1, 0.0))
    return round(counted * (size_px / side) ** 2)


def unit_perceptron(width: int) -> int:
    """Return those of the trunk of action units for one step."""
    return HIDDEN * width * (UNITS + WIDEST * width)


AGGREGATORS: dict[str, Callable[[int, int], int]] = {  # name -> of (D, steps)
    "none": lambda dim, steps: 0,
    "lstm": lambda dim, steps: 8 * dim**2 * steps,
    "bilstm": lambda dim, steps: 6 * dim**2 * steps,
    "transformer": lambda dim, steps: 16 * dim**2 * steps + 4 * dim * steps**2,  # two layers; pairs of steps
}


def _half(side: int) -> int:
    """Return the positions of a convolution or pool of stride 2 that is padded by half its kernel."""
    return (side + 1) // 2
