"""What a network costs: its parameters and multiply-adds, layer by layer, as it is and as the thesis's listings count.

Two counts of multiply-adds. The honest one counts every use of a weight in convolutions, dense layers and LSTM: at
every position, step and member of the batch; of attention the products of what its steps say as well. Biases, norms,
pools and activations, less than a hundredth, do not count. The listed one is the rule of torchsummaryX
(https://github.com/nmhkahn/torchsummaryX), whose layout the listings of thesis section 4.4 have and whose numbers
come out to the last digit: a convolution counts its weights at every position of ONE member of the batch, any other
layer counts its weights once per call, so a trunk that is given 25 frames as a batch counts one of them, and an LSTM
one step.

LIST-2D and LIST-3D are the two networks whose sizes the thesis lists there. It prints totals only. The networks here
give both totals of both listings to the last digit, by the listings' own rule; that fixes the sizes of the inputs too:
a second of video of 25 frames of 224 px, and a second of sound as 257 frequencies by 250 columns. Neither is trained
here: the networks of chapter 5 (`mrpn`) have norms besides.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mien.config.schema import ClassifierConfig, PretrainConfig, StreamConfig, VariantConfig
from mien.models.mrpn import CHANNELS, UNITS, build
from mien.models.resnet import ResNet3D18, ResNet12, ResNet18, ResNetClassifier
from mien.models.small import classifier
from mien.models.vgg import VGG16

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

Shape = Sequence[int] | Mapping[str, Sequence[int]]  # of the input, or of the inputs by modality; with the batch axis


@dataclass(frozen=True)
class Cost:
    """What a layer, or several, cost in one pass forward."""

    parameters: int = 0
    multiply_adds: int = 0
    listed: int = 0  # multiply-adds by the rule of the thesis's listings

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            self.listed + other.listed,
        )


def costs(model: nn.Module, shape: Shape, *, computed: bool = False) -> dict[str, Cost]:
    """Return layer -> cost, for the layers with parameters that one pass forward uses, in the order of their use.

    No weight is copied, and the model itself is not run.

    Parameters
    ----------
    computed
        Pass numbers through it, instead of shapes alone: of a network of one picture that takes less time than torch's
        first shape without numbers (a second).
    """
    weights = [*model.parameters(), *model.buffers()]
    shared = {id(weight): weight if computed else _shadow(weight) for weight in weights}  # for deepcopy to take
    device = weights[0].device if computed else "meta"
    twin = copy.deepcopy(model, shared).eval()
    found: dict[str, Cost] = {}
    for name, layer in twin.named_modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer.register_forward_hook(partial(_add_call, found, name))
        # what these compute takes most of the time, and nobody looks at it
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.forward = lambda maps: maps
        elif isinstance(layer, nn.LSTM):
            layer.forward = partial(_blank_states, layer)
    with torch.no_grad():
        if isinstance(shape, Mapping):
            twin({name: torch.zeros(*one, device=device) for name, one in shape.items()})
        else:
            twin(torch.zeros(*shape, device=device))
    return found


def total(found: Mapping[str, Cost], prefix: str = "") -> Cost:
    """Return the sum over the layers whose names are, or begin with, the dotted `prefix`; over all without one."""
    inside = [cost for name, cost in found.items() if not prefix or f"{name}.".startswith(f"{prefix}.")]
    return sum(inside, Cost())


def multiply_adds(model: nn.Module, shape: Shape, *, computed: bool = False) -> int:
    """Count the multiply-adds of one pass forward, honestly; see `costs`."""
    return total(costs(model, shape, computed=computed)).multiply_adds


def input_shapes(steps: Mapping[str, int], *, size_px: int, segment: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return modality -> shape (1, T, ...) of the input of one clip.

    Parameters
    ----------
    steps
        Modality -> T, for the modalities of the network, in their order.
    size_px
        Side of a picture.
    segment
        Frequencies and columns of a segment of the spectrogram, see `audio.spectrogram.segment_shape`.
    """
    step = {"video": (CHANNELS["video"], size_px, size_px), "audio": (CHANNELS["audio"], *segment), "units": (UNITS,)}
    return {name: (1, n_steps, *step[name]) for name, n_steps in steps.items()}


def row_costs(
    row: VariantConfig | StreamConfig | PretrainConfig | ClassifierConfig, *, classes: int, width: int, shape: Shape
) -> dict[str, Cost]:
    """Return layer -> cost of the network of a row of params.yaml, which is built without numbers.

    Of variants and streams, the encoder of a modality is what `total` finds under branches.<modality>.

    Parameters
    ----------
    classes
        Of the labels; a network that tells the intensity has one output.
    width
        Channels of the first stage, of no meaning to classifiers.
    shape
        Of the input, of variants and streams as `input_shapes` has it.
    """
    with torch.device("meta"):
        match row:
            case ClassifierConfig():
                model = classifier(row.model, classes=classes, size_px=row.size_px, seed=0)
            case PretrainConfig(network="vgg16"):
                model = VGG16(classes, width=width, size_px=shape[-1])
            case PretrainConfig(network="resnet12"):
                model = ResNet12(classes, width=width)
            case PretrainConfig():
                model = ResNetClassifier(classes, in_channels=CHANNELS[row.modality], width=width)
            case _:
                model = build(
                    row.modalities,
                    fusion=row.fusion,
                    aggregator=row.aggregator,
                    side_head=getattr(row, "side_head", "dense"),
                    head=getattr(row, "head", "scoring"),
                    classes=classes if getattr(row, "target", "label") == "label" else 1,
                    width=width,
                    dropout=0.0,
                    trunk=getattr(row, "trunk", None),
                    also=getattr(row, "also", ()),
                )
    return costs(model, shape)


def _blank_states(lstm: nn.LSTM, sequence: Tensor, memory: Any = None) -> tuple[Tensor, None]:
    return sequence.new_zeros(*sequence.shape[:2], (1 + lstm.bidirectional) * lstm.hidden_size), None


def _shadow(weight: Tensor) -> Tensor:
    shadow = weight.detach().to("meta")
    return nn.Parameter(shadow, requires_grad=False) if isinstance(weight, nn.Parameter) else shadow


def _add_call(found: dict[str, Cost], name: str, layer: nn.Module, given: tuple[Tensor, ...], out: Any) -> None:
    """Add a call of `layer` to `found`; parameters count once, however often it is called."""
    if isinstance(layer, nn.MultiheadAttention):
        found[name] = found.get(name, Cost()) + _of_attention(layer, *given[:2], known=name in found)
        return
    own = dict(layer.named_parameters(recurse=False))
    parameters = 0 if name in found else sum(weight.numel() for weight in own.values())
    weights = sum(weight.numel() for key, weight in own.items() if "weight" in key)  # of an LSTM: weight_ih_l0, ...
    used, listed = 0, 1  # how often a weight is used, how often it is listed
    if isinstance(layer, nn.LSTM):
        used = math.prod(out[0].shape[:-1])  # members of the batch times steps
    elif isinstance(layer, nn.Linear):
        used = math.prod(out.shape[:-1])
    elif isinstance(layer, CONVOLUTIONS):
        listed = math.prod(out.shape[2:])  # positions
        used = len(out) * listed
    found[name] = found.get(name, Cost()) + Cost(parameters, used * weights, listed * weights)


def _of_attention(layer: nn.MultiheadAttention, queries: Tensor, keys: Tensor, *, known: bool) -> Cost:
    """Return the cost of a call with queries (B, T, D), keys and values (B, S, D); its layers are not called alone."""
    dim, (n, n_queries, _), n_keys = layer.embed_dim, queries.shape, keys.shape[1]
    parameters = 0 if known else sum(weight.numel() for weight in layer.parameters())
    dense = 2 * n * (n_queries + n_keys) * dim**2  # queries and answers; keys and values
    products = 2 * n * n_queries * n_keys * dim  # of queries and keys, of weights and values
    return Cost(parameters, dense + products, 4 * dim**2)


CLASSES = 8
HIDDEN = 256  # of the head
LAYERS = 2  # of the LSTM; a layer in each encoder would give the same totals, but LIST-3D has none beside its sound
FRAMES = 25  # a second of video
FRAME = (CHANNELS["video"], 224, 224)
SEGMENT = (1, 257, 250)  # a second of sound
WINDOW = {"video": (1, FRAMES, *FRAME), "audio": (1, *SEGMENT)}  # shapes of the inputs for one second


class Listing(nn.Module):
    """An encoder of pictures beside ResNet-18 for the sound, and a head; see `WINDOW` for the inputs -> (B, 8) logits.

    deep : LIST-3D: 3D-ResNet-18 for all frames at once; else LIST-2D: ResNet-18 for every frame and an LSTM along them.
    """

    def __init__(self, *, deep: bool) -> None:
        super().__init__()
        self.trunk = (ResNet3D18 if deep else ResNet18)(in_channels=FRAME[0])
        self.lstm = None if deep else nn.LSTM(self.trunk.dim, self.trunk.dim, LAYERS, batch_first=True)
        self.audio = ResNet18(in_channels=SEGMENT[0])
        joint = self.trunk.dim + self.audio.dim
        self.head = nn.Sequential(nn.Linear(joint, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        joint = [self.watch(inputs["video"])[0], self.audio(inputs["audio"])]
        return self.head(torch.cat(joint, dim=1))  # (B, 8)

    def watch(self, video: Tensor, memory: Any = None) -> tuple[Tensor, Any]:
        """Give T frames (B, T, 3, H, W), an LSTM's next ones; return the feature (B, 512) and the LSTM's memory."""
        if self.lstm is None:
            return self.trunk(video), None
        features = self.trunk(video.flatten(0, 1)).unflatten(0, video.shape[:2])  # (B, T, 512)
        states, memory = self.lstm(features, memory)
        return states[:, -1], memory
